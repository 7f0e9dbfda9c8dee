"""The labs as nbgrader marks them: nothing for a blank copy, all for the solutions, and between."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

import labs
from lab_marks import Course, made, named, points_of, replaced

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in labs.LABS.glob("*.ipynb"))


@pytest.fixture(scope="module", params=NAMES)
def notebook(request: pytest.FixtureRequest) -> str:
    """A lab's name; the argument is called so because each lab's tests then keep to one worker."""
    return request.param


@pytest.fixture(scope="module")
def wrong(notebook: str) -> dict[str, Any]:
    """Submissions with mistakes: the cells that differ from the solution, and what they lose."""
    return tomllib.loads((HERE / f"{notebook}.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def course(
    notebook: str, wrong: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Course:
    """The lab with all its submissions graded in one run."""
    course = made(tmp_path_factory.mktemp("course"), notebook)
    course.hand_in("blank", course.released)
    course.hand_in("solved", course.source)
    for student, mistake in wrong.items():
        course.hand_in(student, replaced(course.source, mistake["cells"]))
    done = course.autograde()
    assert done.returncode == 0, done.stdout + done.stderr
    return course


def test_student_copies_hide_what_they_should(course: Course) -> None:
    text = "\n".join(cell.source for cell in course.released.cells)
    for secret in ("HIDDEN TESTS", "SOLUTION", "Rubric", "Model answer"):
        assert secret not in text
    hidden, shown = set[str](), set[str]()
    secret = False
    for cell in course.source.cells:
        for line in map(str.strip, cell.source.splitlines()):
            secret = "BEGIN " in line or (secret and "END " not in line)
            (hidden if secret else shown).add(line)
    secrets = {line for line in hidden - shown if len(line) > 30}
    assert secrets, "the lab hides nothing"
    assert {line for line in secrets if line in text} == set()


def test_blank_copy_earns_nothing(course: Course) -> None:
    marks = course.marks("blank")
    assert set(points_of(course.source)) < set(marks)  # the unanswered questions are marked, too
    assert set(marks.values()) == {0}


def test_solutions_earn_everything(course: Course) -> None:
    assert course.marks("solved") == points_of(course.source)
    with course.gradebook() as book:
        submission = book.find_submission(course.lab, "solved")
        assert submission.needs_manual_grade
        for grade in submission.notebooks[0].grades:  # as a person does in the form grader
            if grade.auto_score is None:
                grade.manual_score = grade.max_score
        book.db.commit()
        assert submission.score == submission.max_score == 20


def test_mistakes_cost_their_marks_and_say_why(course: Course, wrong: dict[str, Any]) -> None:
    everything = points_of(course.source)
    for student, mistake in wrong.items():
        right = everything | dict.fromkeys(mistake["loses"], 0)
        assert course.marks(student) == right, student
        for test, hint in mistake["loses"].items():
            outputs = named(course.graded(student), test).outputs
            said = "\n".join(o.evalue for o in outputs if o.output_type == "error")
            assert said and hint in said, f"{student}, {test}: {said}"
