"""What the instructor version of a lab must look like; `problems` says what is wrong with one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from nbformat import NotebookNode

from lab_marks import about
from notebook_rules import NOTEBOOK_METADATA

POINTS = 20
ALLOWED = {"grade", "grade_id", "locked", "points", "schema_version", "solution", "task"}


def problems(notebook: NotebookNode) -> list[str]:
    """One sentence per fault; empty when the lab is fine."""
    return [*_whole(notebook), *_cells(notebook), *_order(notebook)]


def _whole(notebook: NotebookNode) -> Iterator[str]:
    if notebook.metadata != NOTEBOOK_METADATA:
        yield "the notebook's metadata are not those of the course"
    first = notebook.cells[0]
    if not first.source.startswith("# Lab "):
        yield "the first cell does not open with `# Lab `"
    elif f"**{POINTS} points, about " not in first.source:
        yield f"the first cell does not say `**{POINTS} points, about ... minutes.**`"
    ids = Counter(about(cell)["grade_id"] for cell in notebook.cells if about(cell))
    yield from (f"{name} stands {n} times" for name, n in ids.items() if n > 1)
    points = sum(about(cell).get("points", 0) for cell in notebook.cells)
    if points != POINTS:
        yield f"{points} points in all, not {POINTS}"


def _cells(notebook: NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        name = about(cell).get("grade_id", cell.source.splitlines()[0][:40])
        if set(cell.metadata) - {"nbgrader"} or set(about(cell)) - ALLOWED:
            yield f"{name}: metadata that are not nbgrader's"
        if cell.cell_type != "code":
            if about(cell).get("grade") and "**Rubric.**" not in cell.source:
                yield f"{name}: an answer that is marked by a person has no `**Rubric.**`"
            continue
        if not about(cell):
            yield f"{name}: a code cell without a name, which a submission may lack"
        if cell.outputs or cell.execution_count is not None:
            yield f"{name}: an output or a number is stored"
        if about(cell).get("solution") and "### BEGIN SOLUTION" not in cell.source:
            yield f"{name}: no `### BEGIN SOLUTION`"
        if about(cell).get("grade"):
            yield from (f"{name}: {fault}" for fault in _test(cell))


def _test(cell: NotebookNode) -> Iterator[str]:
    seen, begins, hidden = cell.source.partition("### BEGIN HIDDEN TESTS")
    if not begins or "assert" not in hidden:
        yield "no hidden test"
    if "assert" not in seen:
        yield "no test that the student sees"
    if cell.source.rstrip().splitlines()[-1] != "### END HIDDEN TESTS":
        yield "the hidden tests do not stand at the end, so their place shows"


def _order(notebook: NotebookNode) -> Iterator[str]:
    """Each solution's test comes before the next solution."""
    waiting = ""
    for cell in notebook.cells:
        if cell.cell_type != "code" or not about(cell):
            continue
        name = about(cell)["grade_id"]
        if about(cell)["solution"]:
            if waiting:
                yield f"{waiting} has no test"
            waiting = name
        elif about(cell)["grade"]:
            if not waiting:
                yield f"{name} tests nothing"
            waiting = ""
    if waiting:
        yield f"{waiting} has no test"
