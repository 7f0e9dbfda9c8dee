"""A hostile submission that is graded apart reaches nothing, and leaves nothing behind."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import grade_apart
from lab_marks import Course, made, named, points_of, replaced

LAB = "lab1_coefficients"
pytestmark = [
    pytest.mark.skipif(bool(grade_apart.available()), reason=grade_apart.available()),
    pytest.mark.filterwarnings("ignore:Object of type"),  # nbgrader's own use of its database
]

# What it tries: read the gradebook, write beside it and into the library, call home, stay.
HOSTILE = """
import os, socket, subprocess
from pathlib import Path
import xai_utils


def attempt(what, action):
    try:
        print(what, "->", action())
    except OSError as error:
        print(what, "-> refused", type(error).__name__)


def bill(b, house, reference):
    return 0 * b[1:]


attempt("gradebook", lambda: Path({gradebook!r}).read_bytes()[:6])
attempt("write", lambda: Path({gradebook!r}).with_name("mine").write_text("here"))
attempt("library", lambda: Path(xai_utils.__file__).with_name("mine.py").write_text("here"))
attempt("network", lambda: socket.create_connection(("127.0.0.1", {port}), 2))
attempt("stay", lambda: subprocess.Popen(["sleep", "7313"], start_new_session=True).returncode)
"""


@pytest.fixture(scope="module")
def listening() -> Iterator[int]:
    """A server on this machine that a submission could call; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, listening: int) -> Course:
    course = made(tmp_path_factory.mktemp("apart"), LAB)
    course.hand_in("honest", course.source)
    gradebook = str(course.folder / "gradebook.db")
    code = HOSTILE.format(gradebook=gradebook, port=listening)
    course.hand_in("hostile", replaced(course.source, {"bill": code}))
    assert grade_apart.main([str(course.folder), LAB]) == 0
    return course


def test_marks_reach_the_gradebook(course: Course) -> None:
    assert course.marks("honest") == points_of(course.source)
    assert course.marks("hostile") == points_of(course.source) | {"test_bill": 0}


def test_nothing_is_reached(course: Course) -> None:
    text = "".join(o.text for o in named(course.graded("hostile"), "bill").outputs)
    assert [line.split(" -> ")[1] for line in text.splitlines()] == [
        "refused FileNotFoundError",
        "4",  # into a file system that is gone
        "refused OSError",
        "refused ConnectionRefusedError",
        "None",
    ]
    assert not (course.folder / "mine").exists()


def test_nobody_stays(course: Course) -> None:
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(b"sleep\x007313" in command for command in commands)
