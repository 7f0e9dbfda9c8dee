"""A submission is put in order as its student meant it."""

from __future__ import annotations

from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from grading import rebuilt


def graded(name: str, source: str, *, text: bool = False, **about: Any) -> NotebookNode:
    known = {"grade_id": name, "grade": False, "solution": False, "locked": False, **about}
    make = new_markdown_cell if text else new_code_cell
    return make(source, metadata={"nbgrader": known})


def released() -> NotebookNode:
    return new_notebook(
        cells=[
            new_markdown_cell("# Lab"),
            graded("setup", "import numpy", locked=True),
            graded("fit", "stub", solution=True),
            graded("test_fit", "assert fit()", grade=True, locked=True, points=3),
            graded("why", "YOUR ANSWER HERE", text=True, grade=True, solution=True, points=2),
        ]
    )


def sources(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells]


def test_own_cells_stay_where_they_were_put() -> None:
    lab = released()
    lab.cells[2].source = "answer"
    lab.cells.insert(2, new_code_cell("helper"))
    lab.cells.append(new_markdown_cell("notes"))
    found = rebuilt(released(), lab)
    assert sources(found) == [
        "# Lab",
        "import numpy",
        "helper",
        "answer",
        "assert fit()",
        "YOUR ANSWER HERE",
        "notes",
    ]


def test_what_is_missing_comes_back_and_what_is_locked_is_not_theirs() -> None:
    lab = released()
    lab.cells[1].source = "import cheat"
    lab.cells = lab.cells[:2]
    found = rebuilt(released(), lab)
    assert sources(found)[1:] == ["import numpy", "stub", "assert fit()", "YOUR ANSWER HERE"]
    assert [c.metadata for c in found.cells] == [c.metadata for c in released().cells]


def test_of_copies_the_last_one_counts() -> None:
    lab = released()
    lab.cells[2].source = "first try"
    lab.cells.insert(3, graded("fit", "second try", solution=True))
    found = rebuilt(released(), lab)
    assert sources(found)[1:4] == ["import numpy", "first try", "second try"]
    assert "nbgrader" not in found.cells[2].metadata
    assert found.cells[3].metadata.nbgrader.grade_id == "fit"


def test_an_answer_keeps_its_pictures_and_its_kind() -> None:
    lab = released()
    pictures = {"map.png": {"image/png": "AAAA"}}
    lab.cells[4] |= {"source": "![](attachment:map.png)", "attachments": pictures}
    assert rebuilt(released(), lab).cells[4].attachments == pictures
    lab.cells[4] = graded("why", "1 / 0", grade=True, solution=True, points=2)
    assert rebuilt(released(), lab).cells[4].cell_type == "markdown"
