"""The labs keep their rules; each rule finds its fault in a lab that was spoilt."""

from __future__ import annotations

from collections.abc import Callable

import nbformat
import pytest
from nbformat import NotebookNode

import course
import lab_rules
import labs
from lab_marks import about, named

PATHS = sorted(labs.LABS.glob("*.ipynb"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_labs_keep_the_rules(path: object) -> None:
    assert lab_rules.problems(nbformat.read(path, as_version=4)) == []


def twice(lab: NotebookNode) -> None:
    lab.cells.append(named(lab, "test_fit"))


def worth_more(lab: NotebookNode) -> None:
    named(lab, "test_fit").metadata.nbgrader.points = 4


def untested(lab: NotebookNode) -> None:
    lab.cells.remove(named(lab, "test_fit"))


def stored(lab: NotebookNode) -> None:
    named(lab, "setup").outputs = [nbformat.v4.new_output("stream", text="600 houses")]


def all_seen(lab: NotebookNode) -> None:
    cell = named(lab, "test_fit")
    cell.source = cell.source.replace("### BEGIN HIDDEN TESTS", "#").replace("### END", "# END")


def nothing_seen(lab: NotebookNode) -> None:
    cell = named(lab, "test_fit")
    cell.source = "### BEGIN HIDDEN TESTS\n" + cell.source.replace("### BEGIN HIDDEN TESTS\n", "")


def nameless(lab: NotebookNode) -> None:
    del named(lab, "setup").metadata["nbgrader"]


def no_rubric(lab: NotebookNode) -> None:
    cell = next(c for c in lab.cells if c.cell_type == "markdown" and about(c))
    cell.source = "Anything will do."


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (twice, "test_fit stands 2 times"),
        (worth_more, "21 points in all"),
        (untested, "fit has no test"),
        (stored, "setup: an output"),
        (all_seen, "test_fit: no hidden test"),
        (nothing_seen, "test_fit: no test that the student sees"),
        (nameless, "without a name"),
        (no_rubric, "no `**Rubric.**`"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_rules_find_faults(spoil: Callable[[NotebookNode], None], fault: str) -> None:
    lab = nbformat.read(labs.LABS / "lab1_coefficients.ipynb", as_version=4)
    spoil(lab)
    assert any(fault in found for found in lab_rules.problems(lab)), lab_rules.problems(lab)


def test_labs_are_not_executed_with_the_course() -> None:
    assert {path.parent for path in course.chosen(labs.LABS.parent, [])} == {labs.LABS.parent}
