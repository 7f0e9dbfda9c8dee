"""Plans and timings for lecturers, counted from the notebooks, so that they cannot drift."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import deck
from course_data import ROOT, Course

TALK = 2  # minutes that the plans give a slide
READ = re.compile(r"(\d+) minutes to read,(?: [^.,]*,)? ([^.,]+?) to run\b")
EXERCISE = re.compile(r"\((?:easy|medium|hard), (\d+) minutes\)")
LABS = ROOT / "notebooks" / "labs"


@dataclass(frozen=True)
class Week:
    """What is shown in the lecture, and what is read at home beside it."""

    about: str
    shown: tuple[str, ...]
    home: tuple[str, ...] = ()


WEEKS = (
    Week("Data first, and a model that can be read", ("00", "01", "02")),
    Week("Tables: effects, fair shares, a line through a keyhole", ("03", "04", "05"), ("06",)),
    Week("Pixels: the gradient, covering, walking", ("07", "08"), ("09",)),
    Week("Maps of a layer", ("10", "11", "12")),
    Week("Large networks and photographs", ("13", "14"), ("15",)),
    Week("Judging explanations, and a network that cheats", ("16", "17"), ("18", "19")),
)

DAY = (  # minutes, what happens, notebooks
    (45, "A first map. Let the room vote: would you let it stop the line?", ("00",)),
    (45, "The program that knows nothing. Everybody writes down a guess first", ("01",)),
    (15, "Break", ()),
    (60, "The taxi on the board, then the waterfall", ("04",)),
    (60, "One pixel, one derivative; which of the two maps is the guesser's?", ("07",)),
    (60, "Lunch", ()),
    (60, "CAM by hand, then Grad-CAM; the article's faults in pairs", ("10", "11")),
    (75, "Detective work in groups: four networks, one verdict", ("17",)),
    (15, "Break", ()),
    (
        45,
        "The map that spells OK, and four questions. Each group: what it no longer believes",
        ("16",),
    ),
)


@dataclass(frozen=True)
class Effort:
    """Minutes that a notebook states, and the slides that it has."""

    read: int
    exercises: int
    run: str
    slides: int


def effort(cells: Sequence[dict[str, object]]) -> Effort:
    """What a notebook costs a reader, a student and a speaker, from its own words and marks."""
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")  # type: ignore[arg-type]
    said = READ.search(text)
    exercises = sum(map(int, EXERCISE.findall(text)))
    number = len(deck.slides(cells))  # type: ignore[arg-type]
    return Effort(int(said[1]) if said else 0, exercises, said[2] if said else "", number)


class Efforts:
    """The efforts of a course's notebooks, by their numbers."""

    def __init__(self, course: Course) -> None:
        self.names = {name[:2]: name for name in course.cells}
        self.of = {name[:2]: effort(cells) for name, cells in course.cells.items()}
        self.times = (course.times or {"notebooks": {}})["notebooks"]

    def link(self, number: str) -> str:
        """A link to a notebook's page."""
        return f"[{number}](notebooks/{self.names[number]}.ipynb)"

    def links(self, numbers: Iterable[str]) -> str:
        """Links to those that there are."""
        return ", ".join(self.link(number) for number in numbers if number in self.names)

    def total(self, numbers: Iterable[str], what: str) -> int:
        """The sum of a number over notebooks."""
        return sum(getattr(self.of[n], what) for n in numbers if n in self.of)

    def run(self, number: str) -> str:
        """How long it runs: as measured for these pages, else as the notebook states."""
        measured = self.times.get(f"{self.names[number]}.ipynb")
        return f"{measured['seconds']:.0f} s" if measured else self.of[number].run


def weeks(course: Course) -> str:
    """The plan for six weeks."""
    efforts = Efforts(course)
    lines = ["| week | lecture | slides | at home, minutes | lab |", "|--:|---|---|---|---|"]
    for number, week in enumerate(WEEKS, start=1):
        both = week.shown + week.home
        slides = efforts.total(week.shown, "slides")
        home = f"{efforts.total(both, 'read')} to read, {efforts.total(both, 'exercises')} to do"
        if beside := efforts.links(week.home):
            home += f" (with {beside})"
        shown = f"{week.about}: {efforts.links(week.shown)}"
        lines.append(
            f"| {number} | {shown} | {slides} ({TALK * slides} min) | {home} | {lab(number)} |"
        )
    return "\n".join(lines)


def lab(number: int) -> str:
    """A graded lab by its number, where there is one."""
    found = sorted(LABS.glob(f"lab{number}_*.ipynb"))
    about = found[0].stem.partition("_")[2].replace("_", " ") if found else "-"
    return f"{number}: {about}" if found else about


def day(course: Course) -> str:
    """The plan for one day."""
    efforts, minute = Efforts(course), 9 * 60
    lines = ["| from | minutes | what | notebooks |", "|---|--:|---|---|"]
    for minutes, what, numbers in DAY:
        clock = f"{minute // 60}:{minute % 60:02}"
        lines.append(f"| {clock} | {minutes} | {what} | {efforts.links(numbers)} |")
        minute += minutes
    return "\n".join(lines)


def timings(course: Course) -> str:
    """Notebook by notebook: slides, reading, exercises, running."""
    efforts = Efforts(course)
    lines = [
        "| notebook | slides | minutes to read | minutes of exercises | to run |",
        "|---|--:|--:|--:|---|",
    ]
    for number, name in sorted(efforts.names.items()):
        own = efforts.of[number]
        link = f"[{course.titles[name]}](notebooks/{name}.ipynb)"
        lines.append(
            f"| {link} | {own.slides} | {own.read} | {own.exercises} | {efforts.run(number)} |"
        )
    all_of_them = efforts.of
    sums = [efforts.total(all_of_them, what) for what in ("slides", "read", "exercises")]
    lines.append(f"| all | {sums[0]} | {sums[1]} | {sums[2]} | |")
    return "\n".join(lines)
