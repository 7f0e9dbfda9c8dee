"""`make labs`: the course folder is complete, and making it again loses nothing."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

import labs
from lab_marks import Course, about

pytestmark = pytest.mark.filterwarnings(
    "ignore:Object of type"
)  # nbgrader's own use of its database
NAMES = [path.stem for path in sorted(labs.LABS.glob("*.ipynb"))]


def test_course_folder_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert labs.main([str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert f"{len(NAMES)} labs: student copies in {tmp_path / 'release'}" in said
    assert sorted(path.name for path in (tmp_path / "release").iterdir()) == NAMES
    marking = (tmp_path / "marking.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert [p.name for p in (tmp_path / "release" / name).iterdir()] == [f"{name}.ipynb"]
        for cell in nbformat.read(labs.LABS / f"{name}.ipynb", as_version=4).cells:
            if cell.cell_type == "markdown" and about(cell):
                assert cell.source in marking


def test_making_it_again_keeps_the_gradebook(tmp_path: Path) -> None:
    lab = labs.LABS / f"{NAMES[0]}.ipynb"
    labs.make(tmp_path, [lab])
    course = Course(tmp_path, NAMES[0])
    with course.gradebook() as book:
        book.add_student("ada")
        book.update_or_create_submission(NAMES[0], "ada")
    labs.make(tmp_path, [lab])
    with course.gradebook() as book:
        assert book.find_submission(NAMES[0], "ada").max_score == 20
