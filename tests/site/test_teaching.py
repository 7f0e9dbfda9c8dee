"""The lecturer's guide: its plans hold all notebooks, its questions and commands exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import course
import teaching
from course_data import Course

ROOT = course.ROOT
GUIDE = (ROOT / "site" / "text" / "lecturers.md").read_text(encoding="utf-8")
QUESTION = re.compile(r"\[(\d\d)\]\(notebooks/([\w.]+)\), question (\d)")


@pytest.fixture(scope="module")
def whole() -> Course:
    return Course(ROOT, ROOT / "no-such-build")


def test_every_notebook_has_its_week(whole: Course) -> None:
    planned = [number for week in teaching.WEEKS for number in (*week.shown, *week.home)]
    assert len(planned) == len(set(planned))
    assert {name[:2] for name in whole.cells} <= set(planned), "put the new notebook into WEEKS"


def test_a_lecture_takes_at_most_ninety_minutes(whole: Course) -> None:
    efforts = teaching.Efforts(whole)
    for week in teaching.WEEKS:
        assert teaching.TALK * efforts.total(week.shown, "slides") <= 90, week.about
    assert teaching.TALK == 2, "the guide says two minutes a slide"


def test_the_day_ends_in_the_afternoon(whole: Course) -> None:
    assert sum(minutes for minutes, *_ in teaching.DAY) <= 8 * 60
    table = teaching.day(whole).splitlines()
    assert table[2].startswith("| 9:00 | 45 |")
    assert len(table) == 2 + len(teaching.DAY)


def test_every_notebook_states_what_it_costs(whole: Course) -> None:
    for name, cells in whole.cells.items():
        own = teaching.effort(cells)
        assert 15 <= own.read <= 90, name
        assert own.run, f"{name} does not say how long it runs"
        assert 10 <= own.slides <= 16, name
        assert own.exercises or name.startswith("00"), f"{name}: no exercise states its minutes"


def test_minutes_are_read_from_the_words() -> None:
    def cell(source: str) -> dict[str, object]:
        return {"cell_type": "markdown", "metadata": {}, "source": source}

    words = "# A\n\n**Time**: 35 minutes to read, under 45 seconds to run on two cores."
    tasks = "## Exercises\n\n**1** (easy, 10 minutes). Do.\n\n**2** (hard, 25 minutes). Do more."
    found = teaching.effort([cell(words), cell(tasks)])
    assert (found.read, found.exercises, found.run) == (35, 35, "under 45 seconds")


def test_measured_times_come_before_stated_ones(tmp_path: Path) -> None:
    name = next((ROOT / "notebooks").glob("10*.ipynb")).name
    run = {"cores": 2, "notebooks": {name: {"seconds": 41.6, "data": "mirror"}}}
    (tmp_path / "times.json").write_text(json.dumps(run))
    lines = teaching.timings(Course(ROOT, tmp_path)).splitlines()
    (line,) = (line for line in lines if name in line)
    assert line.endswith("| 42 s |")


def test_the_questions_that_the_guide_names_exist() -> None:
    named = QUESTION.findall(GUIDE)
    assert len(named) >= 15
    for number, file, question in named:
        assert file.startswith(number)
        cells = json.loads((ROOT / "notebooks" / file).read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells)
        asked = text.partition("## Questions\n")[2].partition("<details>")[0]
        assert re.search(rf"^{question}\. ", asked, re.MULTILINE), f"{file}: no question {question}"


def test_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {
        *re.findall(r"^make ([a-z]+)", GUIDE, re.MULTILINE),
        *re.findall(r"`make ([a-z]+)", GUIDE),
    }
    assert {"course", "slides", "mirror", "labs"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
