"""Submissions that hang, hoard, die, cheat or are broken: the run goes on, and nobody gains."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from lab_marks import Course, about, made, named, points_of, replaced

LAB = "lab1_coefficients"
LIMITS = ("--Limits.timeout=12", "--Limits.memory=2500", "--Limits.characters=100000")

LOOPS = '''
def advice(b, costs, limits, wanted):
    """Never ends, and says so."""
    while True:
        print("still here " * 100)
'''
CANNOT_BE_STOPPED = '''
def inflation(x):
    """Takes the interrupt for something of its own."""
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
'''
HOARDS = '''
def bill(b, house, reference):
    """Wants all memory there is."""
    hoard = []
    while True:
        hoard.append(np.zeros(25_000_000))
'''
DIES = '''
def standardised(b, x, y):
    """Takes the kernel along."""
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
'''
LEAVES = '''
def bill(b, house, reference):
    """Leaves before the test can fail."""
    import sys
    sys.exit()
'''
FILLS_THE_DISK = '''
def bill(b, house, reference):
    """Writes without end."""
    with open("big", "wb") as file:
        while True:
            file.write(bytes(10_000_000))
'''
VISIBLE_ANSWERS = {
    "fit": "def fit(x, y):\n    return np.array([3.0, 2.0, -1.0])",
    "bill": "def bill(b, house, reference):\n    return np.array([2.0, 3.0])",
    "standardised": "def standardised(b, x, y):\n    return np.array([0.5270, 0.5863])",
    "standard_errors": "def standard_errors(x, y):\n    return np.array([0.9899, 0.5292])",
    "inflation": "def inflation(x):\n    return np.ones(2) if x.max() == 1 else 5 * np.ones(2)",
    "advice": "def advice(b, costs, limits, *_):\n    return (0, 4.0) if limits[0] > 1 else None",
}


def with_cells_deleted(lab: NotebookNode) -> NotebookNode:
    """A wrong answer whose test is gone, a test whose text is gone, an answer that is gone."""
    replaced(lab, {"bill": "def bill(b, house, reference):\n    return 0 * b[1:]"})
    gone = ("test_bill", "setup", "standardised", "show_bill")
    lab.cells = [cell for cell in lab.cells if about(cell).get("grade_id") not in gone]
    return lab


def with_cells_copied(lab: NotebookNode) -> NotebookNode:
    """A wrong answer, and more tests of the same name that pass, before and behind the real one."""
    replaced(lab, {"bill": "def bill(b, house, reference):\n    return 0 * b[1:]"})
    easy = [new_code_cell("assert True", metadata=named(lab, "test_bill").metadata) for _ in "123"]
    again = new_code_cell("assert True", metadata=named(lab, "test_fit").metadata)
    lab.cells = [easy[0], *lab.cells, easy[1], again, easy[2]]
    return lab


def with_forged_metadata(lab: NotebookNode) -> NotebookNode:
    """A hundred points, a test that calls itself an answer, an answer that calls itself text."""
    replaced(lab, {"bill": "def bill(b, house, reference):\n    return 0 * b[1:]"})
    named(lab, "test_fit").metadata.nbgrader.points = 100
    test = named(lab, "test_bill")
    test.source = "assert True"
    test.metadata.nbgrader |= {"solution": True, "locked": False}
    named(lab, "inflation").metadata.nbgrader.grade_id = ["no", "name"]
    return lab


def with_old_metadata(lab: NotebookNode) -> NotebookNode:
    """Cells of an older nbgrader: plain nbgrader ends the whole run here."""
    for cell in lab.cells:
        if about(cell):
            cell.metadata.nbgrader.schema_version = 1
    return lab


def moved_about(lab: NotebookNode) -> NotebookNode:
    """All cells in reverse order: they are put back, and nothing is lost."""
    lab.cells = lab.cells[::-1]
    return lab


ALL = {"fit": 3, "bill": 2, "standardised": 2, "standard_errors": 3, "inflation": 2, "advice": 3}
EARNED: dict[str, tuple[Callable[[NotebookNode], NotebookNode], set[str]]] = {
    # who: (what is done to the solutions, the tasks that are lost)
    "loops": (lambda lab: replaced(lab, {"advice": LOOPS}), {"advice"}),
    "unstoppable": (
        lambda lab: replaced(lab, {"inflation": CANNOT_BE_STOPPED}),
        {"inflation", "advice"},  # the kernel had to be ended, what follows was not executed
    ),
    "hoards": (lambda lab: replaced(lab, {"bill": HOARDS}), {"bill"}),
    "dies": (lambda lab: replaced(lab, {"standardised": DIES}), set(ALL) - {"fit", "bill"}),
    "leaves": (lambda lab: replaced(lab, {"bill": LEAVES}), {"bill"}),
    "fills": (lambda lab: replaced(lab, {"bill": FILLS_THE_DISK}), {"bill"}),
    "hard_coded": (lambda lab: replaced(lab, VISIBLE_ANSWERS), set(ALL)),
    "deleted": (with_cells_deleted, {"bill", "standardised"}),
    "copied": (with_cells_copied, {"bill"}),
    "forged": (with_forged_metadata, {"bill", "inflation"}),
    "old": (with_old_metadata, set()),
    "moved": (moved_about, set()),
}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """All of them, and an honest one at either end, graded in one run."""
    course = made(tmp_path_factory.mktemp("hostile"), LAB)
    for honest in ("a_first", "z_last"):
        course.hand_in(honest, course.source)
    for student, (spoil, _) in EARNED.items():
        course.hand_in(student, spoil(course.source))
    course.hand_in("not_json", "this is no notebook")
    course.hand_in("no_cells", nbformat.writes(nbformat.v4.new_notebook()))
    course.hand_in("not_a_notebook", json.dumps({"cells": "none", "metadata": 3}))
    done = course.autograde(*LIMITS)
    assert done.returncode != 0, "the unreadable ones are reported"
    for student in ("not_json", "not_a_notebook"):
        assert f"error processing assignment '{LAB}' for student '{student}'" in done.stderr
    assert done.stderr.count("error processing assignment '") == 2, done.stderr
    return course


@pytest.mark.parametrize("honest", ["a_first", "z_last"])
def test_the_others_get_their_marks(course: Course, honest: str) -> None:
    assert course.marks(honest) == points_of(course.source)


@pytest.mark.parametrize("student", EARNED)
def test_nobody_gets_more_than_was_earned(course: Course, student: str) -> None:
    lost = EARNED[student][1]
    expected = {f"test_{task}": 0 if task in lost else points for task, points in ALL.items()}
    assert course.marks(student) == expected


@pytest.mark.parametrize("student", ["not_json", "not_a_notebook", "no_cells"])
def test_what_cannot_be_read_earns_nothing(course: Course, student: str) -> None:
    assert sum(course.marks(student).values()) == 0


def test_what_is_said_without_end_is_cut(course: Course) -> None:
    path = course.folder / "autograded" / "loops" / LAB / f"{LAB}.ipynb"
    assert path.stat().st_size < 1_000_000


def test_limits_are_what_stopped_them(course: Course) -> None:
    """Not a mistake of the tests: each failed for its own reason."""
    reasons = {
        "loops": ("test_advice", ("CellTimeoutError", "KeyboardInterrupt")),
        "unstoppable": ("test_inflation", ("Ended",)),
        "hoards": ("test_bill", ("MemoryError", "_ArrayMemoryError")),
        "dies": ("test_standardised", ("Ended",)),
        "leaves": ("test_bill", ("SystemExit",)),
        "fills": ("test_bill", ("OSError",)),
    }
    for student, (test, names) in reasons.items():
        outputs = named(course.graded(student), test).outputs
        errors = [o.ename for o in outputs if o.output_type == "error"]
        assert errors and errors[0] in names, f"{student}: {errors}"


def test_no_process_is_left(course: Course) -> None:
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if Path(process, "cwd").resolve().is_relative_to(course.folder):
                left.append(process.name)
        except OSError:  # it has ended meanwhile
            continue
    assert left == []
