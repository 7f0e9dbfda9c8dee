"""The notebook checker refuses each fault by itself, and lets a sound notebook pass."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import notebook_rules as rules

PNG = base64.b64encode(b"\x89PNG pixels do not matter here").decode()
CODE, CHECK, FIGURE, SOLUTION = 1, 3, 4, 8  # places of these cells in the sound notebook
NAME = Path("00_sound.ipynb")  # 00: for exercises see test_exercise_rules.py


def picture(alt: str = "A plate, bright along the scratch.") -> NotebookNode:
    metadata = {"image/png": {"alt": alt}} if alt else {}
    return new_output("display_data", data={"image/png": PNG}, metadata=metadata)


def printed(text: str, name: str = "stdout") -> NotebookNode:
    return new_output("stream", name=name, text=text)


def sound() -> NotebookNode:
    """A small notebook without a fault."""
    cells = [
        new_markdown_cell("# Title\n\n## What you will be able to do\n\nRead a map."),
        new_code_cell("print(1)", outputs=[printed("ratio 3/4, https://example.org/home/a/b\n")]),
        new_markdown_cell("## Check the claim"),
        new_code_cell(
            "# NBVAL_CHECK_OUTPUT\nprint(2)",
            outputs=[printed("accuracy 0.97\n")],
            metadata={"tags": ["check"]},
        ),
        new_code_cell("plots.show(f)", outputs=[picture()], metadata={"tags": ["figure:C2"]}),
        new_markdown_cell("## Where it breaks\n\n![A blurred plate.](plate.png)"),
        new_markdown_cell("## Questions\n\n<details><summary>Answer</summary>Yes.</details>"),
        new_markdown_cell("## Exercises\n\n```\n## Summary of a code fence\n```"),
        new_code_cell("x = 1", metadata={"tags": ["solution", "hide-input"]}),
        new_markdown_cell("## Summary\n\nDone."),
        new_markdown_cell("## Sources\n\nZhou et al. 2016"),
    ]
    # The check section would swallow the figure cell: give that its own heading.
    cells[FIGURE].source = "# NBVAL_CHECK_OUTPUT\nplots.show(f)"
    cells[FIGURE].outputs.append(printed("hit rate 0.81\n"))
    for number, cell in enumerate((c for c in cells if c.cell_type == "code"), start=1):
        cell.execution_count = number
    return rules.normalise(new_notebook(cells=cells))


def out(text: str, name: str = "stdout") -> Callable[[NotebookNode], None]:
    """Break the notebook by one more output of the first code cell."""
    return lambda nb: nb.cells[CODE].outputs.append(printed(text, name))


def outputs(place: int, *new: NotebookNode) -> Callable[[NotebookNode], None]:
    return lambda nb: nb.cells[place].update(outputs=list(new))


def source(place: int, text: str) -> Callable[[NotebookNode], None]:
    return lambda nb: nb.cells[place].update(source=text)


def tags(place: int, *new: str) -> Callable[[NotebookNode], None]:
    return lambda nb: nb.cells[place].update(metadata=nbformat.from_dict({"tags": list(new)}))


def count(place: int, number: int | None) -> Callable[[NotebookNode], None]:
    return lambda nb: nb.cells[place].update(execution_count=number)


def swap_sections(nb: NotebookNode) -> None:
    nb.cells[9], nb.cells[10] = nb.cells[10], nb.cells[9]


ERROR = new_output("error", ename="ValueError", evalue="no", traceback=[])
HTML = new_output("display_data", data={"text/html": "<b>/srv/work/xai/a.png</b>"})
SPECIMENS: dict[str, tuple[Callable[[NotebookNode], None], str]] = {
    "out of order": (count(CODE, 9), "not in reading order"),
    "not executed": (count(CODE, None), "was not executed"),
    "empty cell": (source(CODE, " "), "the cell is empty"),
    "error": (outputs(CODE, ERROR), "an error: ValueError"),
    "stderr": (out("noise\n", "stderr"), "stderr"),
    "warning": (out("UserWarning: all zero\n"), "a warning"),
    "TensorFlow's warning": (out("W0000 00:00 computation\n"), "a warning"),
    "carriage return": (out("1 of 3\r2 of 3\n"), "progress bar"),
    "tqdm rate": (out("12.5it/s\n"), "progress bar"),
    "Keras bar": (out("46/46 ━━━━━ 1s\n"), "progress bar"),
    "home path": (out("saved in /home/ann\n"), "path of one machine"),
    "temporary path": (out("('/tmp/x',)\n"), "path of one machine"),
    "root path": (out("/root\n"), "path of one machine"),
    "any absolute path": (out("from /srv/work/xai/a.png\n"), "path of one machine"),
    "Windows path": (out("C:\\Users\\ann\n"), "path of one machine"),
    "path in HTML": (outputs(CODE, HTML), "path of one machine"),
    "path in the source": (source(CODE, 'open("/home/ann/x")'), "path of one machine"),
    "path in the alternative text": (
        outputs(FIGURE, picture("see /home/ann/x.png"), printed("1\n")),
        "path of one machine",
    ),
    "memory address": (out("<Model at 0x7f12abcd3450>\n"), "memory address"),
    "tagged figure without picture": (
        outputs(FIGURE, printed("1\n")),
        "a figure was expected",
    ),
    "plots.show without picture": (source(CODE, "plots.show(x)"), "a figure was expected"),
    "no alternative text": (outputs(FIGURE, picture(""), printed("1\n")), "alternative text"),
    "two pictures": (
        outputs(FIGURE, picture(), picture("Another."), printed("1\n")),
        "one figure per cell",
    ),
    "Markdown picture": (source(6, "## Questions\n\n![](a.png)"), "alternative text"),
    "HTML picture": (source(6, '## Questions\n\n<img src="a.png" alt="">'), "alternative text"),
    "silent claim": (outputs(CHECK), "no text output"),
    "silent check elsewhere": (
        lambda nb: (outputs(CODE)(nb), tags(CODE, "check")(nb)),  # type: ignore[func-returns-value]
        "tagged `check` has no text output",
    ),
    "unmarked claim": (source(CHECK, "print(2)"), "lacks `# NBVAL_CHECK_OUTPUT`"),
    "open solution in code": (tags(SOLUTION, "solution"), "not folded"),
    "open solution in text": (tags(9, "solution"), "not folded"),
    "no title": (source(0, "Title\n\n## What you will be able to do"), "title"),
    "sections out of order": (swap_sections, "not in the order"),
    "too large": (
        outputs(CODE, new_output("display_data", data={"text/plain": "a" * 1_500_001})),
        "at most 1.5 MB",
    ),
}


def test_a_sound_notebook_passes() -> None:
    assert rules.problems(sound(), NAME) == []


@pytest.mark.parametrize("name", SPECIMENS)
def test_each_fault_is_found_and_nothing_else(name: str) -> None:
    spoil, sentence = SPECIMENS[name]
    notebook = sound()
    spoil(notebook)
    found = rules.problems(rules.normalise(notebook), NAME)
    assert len(found) == 1, found
    assert sentence in found[0]


@pytest.mark.parametrize("section", rules.SECTIONS)
def test_a_missing_section_is_found(section: str) -> None:
    notebook = sound()
    for cell in notebook.cells:
        cell.source = cell.source.replace(f"## {section}", f"**{section}**")
    found = rules.problems(rules.normalise(notebook), NAME)
    assert found == [f"section `## {section}` is missing"]


def test_the_start_page_needs_no_failure_and_no_exercises() -> None:
    notebook = sound()
    for cell in notebook.cells:
        cell.source = cell.source.replace("## Where it breaks", "").replace("## Exercises", "")
    notebook = rules.normalise(notebook)
    assert rules.problems(notebook, Path("00_start_here.ipynb")) == []
    assert len(rules.problems(notebook, NAME)) == 2


def test_what_another_run_changes_is_normalised_away() -> None:
    notebook = sound()
    cell = notebook.cells[FIGURE]
    notebook.metadata.kernelspec.name = "my-env"
    notebook.metadata.language_info.version = "3.13.0"
    notebook.metadata.widgets = {}
    cell.id = "somebody-else"
    cell.metadata |= {"execution": {"iopub.execute_input": "now"}, "collapsed": False}
    cell.metadata.jupyter = nbformat.from_dict({"outputs_hidden": False})
    cell.outputs[0].metadata["needs_background"] = "light"
    notebook.cells[CODE].outputs = [
        printed("ratio 3/4, "),
        printed("https://example.org/home/a/b\n"),
    ]
    assert len(rules.problems(notebook, NAME)) == 1
    assert rules.normalise(notebook) == sound()


def test_normalising_keeps_alternative_text_tags_and_order() -> None:
    cell = rules.normalise(sound()).cells[FIGURE]
    assert rules.pictures(cell)[0][2] == "A plate, bright along the scratch."
    assert cell.metadata.tags == ["figure:C2"]
    assert cell.execution_count == 3


def test_of_a_live_picture_the_figure_is_kept() -> None:
    notebook = sound()
    shown = next(output for output in notebook.cells[FIGURE].outputs if "data" in output)
    shown.data["application/vnd.jupyter.widget-view+json"] = {"model_id": "1f"}
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}
    assert any("not normalised" in fault for fault in rules.problems(notebook, NAME))
    assert rules.normalise(notebook) == sound()


def test_cell_ids_are_unique_and_an_inserted_cell_leaves_the_others_alone() -> None:
    notebook = sound()
    before = [cell.id for cell in notebook.cells]
    notebook.cells.insert(2, notebook.cells[CODE].copy())
    after = [cell.id for cell in rules.normalise(notebook).cells]
    assert len(set(after)) == len(after)
    assert after[:2] + after[3:] == before


def test_as_a_program_it_names_the_fault_and_mends_what_it_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / NAME
    notebook = sound()
    notebook.metadata.widgets = {}
    nbformat.write(notebook, path)
    assert rules.main([str(path)]) == 1
    assert f"{path}: not normalised" in capsys.readouterr().out
    assert rules.main(["--fix", str(path)]) == 0
    assert nbformat.read(path, as_version=4) == sound()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_executed_notebooks_are_taken_over(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    nbformat.write(sound(), tmp_path / "build" / NAME)
    stored = sound()
    stored.cells[CODE].outputs = []
    nbformat.write(stored, tmp_path / NAME)
    assert rules.main(["--from", str(tmp_path / "build"), str(tmp_path / NAME)]) == 0
    assert nbformat.read(tmp_path / NAME, as_version=4) == sound()


def test_a_failing_write_leaves_the_old_notebook(tmp_path: Path) -> None:
    path = tmp_path / NAME
    rules.write(sound(), path)
    before = path.read_bytes()
    broken = sound()
    broken.cells[CODE].source = object()
    with pytest.raises((TypeError, nbformat.ValidationError, AttributeError)):
        rules.write(broken, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
