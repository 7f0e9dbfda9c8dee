"""The methods of the course on one page: a table of them, and its drawing.

The table is ``data/methods.tsv``: one line a method, with when it looks (before, in or after the
model), what family it belongs to, its article, its notebook, and what to call.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, NamedTuple

from .storage import DATA

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WHEN = {
    "before": ("Before the model", "look at the data", "#E3F1EA", "#00664B"),
    "in": ("In the model", "read what is readable as it is", "#E1EDF6", "#00507F"),
    "after": ("After the model", "ask a trained model", "#FBEBDD", "#8A3D00"),
}
LINE, HEAD, GAP = 0.21, 0.34, 0.14  # inches: a method, the name of a family, between cards
WIDTH, TOP = 2.94, 0.62


class Method(NamedTuple):
    """One line of the table; ``state`` is ``"coming"`` where the notebook is not there yet."""

    when: str
    family: str
    method: str
    article: str
    notebook: str
    call: str
    state: str

    @property
    def number(self) -> str:
        """The notebook's number, two digits."""
        return self.notebook[:2]


def read() -> list[Method]:
    """The methods, in the order of the table.

    Raises:
        ValueError: a line that is incomplete, or at a time that is not in `WHEN`; it is named.
    """
    with (DATA / "methods.tsv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file, delimiter="\t"))
    if tuple(lines[0]) != Method._fields:
        raise ValueError(f"methods.tsv begins with {lines[0]}; expected {list(Method._fields)}")
    for number, line in enumerate(lines[1:], start=2):
        whole = len(line) == len(Method._fields) and all(line[:5])
        if not whole or line[0] not in WHEN or line[6] not in ("", "coming"):
            raise ValueError(
                f"methods.tsv, line {number}: {line}; expected {', '.join(Method._fields)}, "
                f"when one of {', '.join(WHEN)}, state empty or 'coming'"
            )
    return [Method(*line) for line in lines[1:]]


def taught(name: str) -> Method:
    """The line of a method that the scoreboard or a figure names in short.

    What follows a comma is a variant.  The rest is the method's name ("saliency"), or the beginning
    of it ("LIME" of "LIME on a picture"), or what is called ("CAM" of `cam.cam`).

    Raises:
        ValueError: no such method.
    """
    short = name.partition(",")[0]
    for fits in (
        lambda m: m.method == short,
        lambda m: m.call.rpartition(".")[2] == short.lower(),
        lambda m: m.method.startswith(f"{short} on a picture"),
    ):
        if found := next(filter(fits, read()), None):
            return found
    raise ValueError(f"no method {name!r} in methods.tsv; there are {[m.method for m in read()]}")


def as_table(folder: str = "") -> str:
    """The methods as a Markdown table, each linked to its notebook in ``folder``."""
    lines = ["| when | by | method | article | notebook |", "|---|---|---|---|---|"]
    for m in read():
        link = f"{m.number}, coming" if m.state else f"[{m.number}]({folder}{m.notebook}.ipynb)"
        when = WHEN[m.when][0].lower()
        lines.append(f"| {when} | {m.family} | {m.method} | {m.article} | {link} |")
    return "\n".join(lines)


def alternative_text() -> str:
    """The drawing in words: every family with its methods and their notebooks."""
    parts = []
    for when, families in _cards(read()).items():
        told = [
            f"{family}: " + ", ".join(f"{m.method} ({m.number})" for m in methods)
            for family, methods in families.items()
        ]
        parts.append(f"{WHEN[when][0]} - {'; '.join(told)}.")
    return "Map of the methods, with the number of the notebook. " + " ".join(parts)


def draw() -> Figure:
    """Every method on a map: columns say when it looks, cards by what, numbers in which notebook.

    Numbers in grey are notebooks that are still to come.
    """
    from matplotlib.figure import Figure

    cards = _cards(read())
    left = [(when, f, cards[when][f]) for when in ("before", "in") for f in cards[when]]
    columns = [left, *_balanced([("after", f, cards["after"][f]) for f in cards["after"]])]
    heights = [_height(column) for column in columns]
    height, width = max(heights[0] + 0.25, *heights) + 0.1, 3 * WIDTH + 2 * GAP
    fig = Figure(figsize=(width, height))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.set_axis_off()
    for c, column in enumerate(columns):
        x, y, before = c * (WIDTH + GAP), 0.0, ""
        for when, family, methods in column:
            if when != before and (c < 2):
                y = _heading(ax, x, y, when)
            elif when != before:
                y += TOP
            before = when
            y = _card(ax, x, y, when, family, methods)
    note = "Grey numbers: notebooks still to come."
    ax.text(0.05, _height(left) + 0.1, note, size=9, color="0.3", va="center")
    return fig


def _cards(methods: list[Method]) -> dict[str, dict[str, list[Method]]]:
    """By time, then by family, both in the order of the table."""
    cards: dict[str, dict[str, list[Method]]] = {when: {} for when in WHEN}
    for m in methods:
        cards[m.when].setdefault(m.family, []).append(m)
    return cards


Card = tuple[str, str, list[Method]]


def _balanced(cards: list[Card]) -> tuple[list[Card], list[Card]]:
    """Two columns of nearly one height: each card goes below the shorter one."""
    columns: tuple[list[Card], list[Card]] = ([], [])
    for card in cards:
        min(columns, key=_height).append(card)
    return columns


def _height(column: list[Card]) -> float:
    times = len({when for when, _, _ in column})
    return times * TOP + sum(HEAD + LINE * len(methods) + 0.08 + GAP for *_, methods in column)


def _heading(ax: Axes, x: float, y: float, when: str) -> float:
    title, what, _, dark = WHEN[when]
    ax.text(x + 0.05, y + 0.28, title, size=13, weight="bold", color=dark, va="center")
    ax.text(x + 0.05, y + 0.48, what, size=9, color="0.3", va="center")
    return y + TOP


def _card(ax: Axes, x: float, y: float, when: str, family: str, methods: list[Method]) -> float:
    from matplotlib.patches import FancyBboxPatch

    _, _, light, dark = WHEN[when]
    height = HEAD + LINE * len(methods) + 0.08
    box = "round,pad=0,rounding_size=0.08"
    ax.add_patch(FancyBboxPatch((x, y), WIDTH, height, boxstyle=box, fc=light, ec="none"))
    ax.text(x + 0.12, y + HEAD / 2 + 0.02, family, size=10, weight="bold", color=dark, va="center")
    for k, m in enumerate(methods):
        middle = y + HEAD + LINE * (k + 0.5)
        ax.text(x + 0.12, middle, m.method, size=9, color="0.1", va="center")
        colour, slant = ("0.5", "italic") if m.state else (dark, "normal")
        ax.text(
            x + WIDTH - 0.12,
            middle,
            m.number,
            size=9,
            ha="right",
            va="center",
            color=colour,
            style=slant,
        )
    return y + height + GAP
