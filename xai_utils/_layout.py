"""What goes into a figure of panels, on which scale, and where on the page."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from numpy.typing import ArrayLike

from xai_utils._colours import Scale, checked_heat, checked_picture
from xai_utils._drawing import bar_label

if TYPE_CHECKING:
    from matplotlib.colors import Colormap


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """One cell of `panels`: a picture (`image`), a map (`heat`), or an overlay (both).

    `boxes` (n, 4) are drawn on top; `label` stands at the colour bar; `signed`, `limit`, `cmap`,
    `alpha` and `uniform` are those of `overlay` and `show_heat`. `note` alone is an empty cell that
    says why. `below`, some short lines, stands under a cell without a bar of its own.
    Raises ValueError if there is nothing to draw.
    """

    image: ArrayLike | None = None
    heat: ArrayLike | None = None
    boxes: ArrayLike | None = None
    title: str = ""
    label: str = ""
    signed: bool | None = None
    limit: float | None = None
    cmap: str | Colormap | None = None
    alpha: float = 0.6
    uniform: bool = False
    note: str = ""
    below: str = ""

    def __post_init__(self) -> None:
        if self.image is None and self.heat is None and not self.note:
            raise ValueError("a Panel needs an image, a heat map, or both, or a note that says why")

    @property
    def fade(self) -> float | None:
        """Opacity at the end of the scale, where opacity follows the map."""
        return None if self.image is None or self.uniform else self.alpha


Grid = list[list[Panel | None]]
Scales = list[list[Scale | None]]
Share = Literal["row", "figure"] | None


def as_grid(
    items: Sequence[Panel | None] | Sequence[Sequence[Panel | None]], columns: int | None
) -> Grid:
    """Bring one row of panels, or a list of rows, into a rectangle."""
    rows: Grid
    if any(isinstance(item, Panel) for item in items):
        row = cast("list[Panel | None]", list(items))
        columns = len(row) if columns is None else columns
        if columns < 1:
            raise ValueError(f"columns is {columns}, expected at least 1")
        rows = [row[start : start + columns] for start in range(0, len(row), columns)]
    elif columns is None:
        rows = [list(cast("Sequence[Panel | None]", item)) for item in items if item is not None]
    else:
        raise ValueError("columns wraps one row of panels, but a list of rows was given")
    cells = [cell for row in rows for cell in row if cell is not None]
    if not all(isinstance(cell, Panel) for cell in cells):
        kinds = sorted({type(cell).__name__ for cell in cells})
        raise TypeError(
            f"items hold {', '.join(kinds)}; expected Panel or None, e.g. Panel(image=x)"
        )
    if not cells:
        raise ValueError("no panels were given")
    widest = max(map(len, rows))
    return [row + [None] * (widest - len(row)) for row in rows]


def shared_rows(count: int, share: Share) -> list[range]:
    """Rows that have a bar in common."""
    if share == "figure":
        return [range(count)]
    return [range(row, row + 1) for row in range(count)] if share == "row" else []


def choose_scales(grid: Grid, share: Share) -> Scales:
    """Give every panel with a map its scale: its own, or that of its row or figure."""
    if share not in (None, "row", "figure"):
        raise ValueError(f"share is {share!r}, expected None, 'row' or 'figure'")
    if not share and any(p and p.heat is not None and p.below for row in grid for p in row):
        raise ValueError("a map's own bar stands where `below` would: use share, or the title")
    scales: Scales = [[None] * len(row) for row in grid]
    cells = [
        (r, c, panel, checked_heat(panel.heat))
        for r, row in enumerate(grid)
        for c, panel in enumerate(row)
        if panel is not None and panel.heat is not None
    ]
    groups = [[cell] for cell in cells]
    if share:
        shared = shared_rows(len(grid), share)
        groups = [[cell for cell in cells if cell[0] in rows] for rows in shared]
    for group in filter(None, groups):
        first = group[0][2]
        for field in ("label", "signed", "limit", "cmap", "alpha"):
            given = [getattr(panel, field) for _, _, panel, _ in group]
            if any(value != given[0] for value in given):  # a Colormap has no hash
                raise ValueError(
                    f"panels that share a scale must agree in {field}, given {given}: "
                    "make them equal, or leave share=None"
                )
        scale = Scale.of([heat for *_, heat in group], first.signed, first.limit, first.cmap)
        for r, c, *_ in group:
            scales[r][c] = scale
    return scales


# Inches. Panels are placed by hand: equal sizes and common edges are what makes them comparable,
# and automatic layouts give those up as soon as one panel has a colour bar.
PAGE_WIDTH, LARGEST_PANEL = 9.0, 2.2
GAP, MARGIN, LINE, BAR = 0.12, 0.04, 0.165, 0.07
ABOVE, BELOW, BESIDE, ROW_TITLE, TITLE = 0.1, 0.34, 0.75, 0.27, 0.27


@dataclass(frozen=True)
class Page:
    """Where everything goes, in inches; rows are counted from the top."""

    size: float
    left: float
    width: float
    height: float
    tops: tuple[float, ...]
    heights: tuple[float, ...]

    @classmethod
    def of(
        cls,
        grid: Grid,
        scales: Scales,
        share: Share,
        has_row_titles: bool,
        has_title: bool,
        panel_width: float | None,
    ) -> Page:
        count = len(grid[0])
        left = MARGIN + ROW_TITLE * has_row_titles
        around = left + MARGIN + BESIDE * (share is not None) + GAP * (count - 1)
        size = panel_width or min(LARGEST_PANEL, (PAGE_WIDTH - around) / count)
        page = cls(size, left, around + count * size, 0, (), ())  # knows how to wrap
        tops, heights, depth = [], [], MARGIN + TITLE * has_title
        for row, row_scales in zip(grid, scales, strict=True):
            present = [panel for panel in row if panel is not None]
            depth += ABOVE + LINE * max((page.lines(panel.title) for panel in present), default=0)
            tops.append(depth)
            heights.append(size * max(map(aspect, present), default=1.0))
            depth += heights[-1]
            labels = [
                bar_label(p.label, s) for p, s in zip(row, row_scales, strict=True) if p and s
            ]
            if labels and not share:
                depth += BELOW + LINE * max(map(page.lines, labels))
            depth += LINE * max((len(panel.below.splitlines()) for panel in present), default=0)
        return cls(size, left, page.width, depth + MARGIN, tuple(tops), tuple(heights))

    @property
    def font(self) -> float:
        """Size of a panel's title."""
        return 10 if self.size > 1.2 else 8.5

    def place(self, row: int, column: int) -> tuple[float, float, float, float]:
        """Left, bottom, width and height of a panel as fractions of the figure."""
        x, y = self.left + column * (self.size + GAP), self.tops[row] + self.heights[row]
        return (
            x / self.width,
            1 - y / self.height,
            self.size / self.width,
            self.heights[row] / self.height,
        )

    def wrap(self, text: str) -> str:
        """Break a title so that it stays within its panel."""
        letters = int(self.size * 72 / (0.58 * self.font))  # 0.58: a letter's mean width
        return "\n".join(textwrap.fill(line, letters) for line in text.splitlines())

    def lines(self, text: str) -> int:
        """Count the lines of a wrapped text."""
        return len(self.wrap(text).splitlines())


def aspect(panel: Panel) -> float:
    """Height over width."""
    if panel.image is not None:
        height, width, _ = checked_picture(panel.image).shape
    elif panel.heat is not None:
        height, width = checked_heat(panel.heat).shape
    else:
        return 1.0
    return float(height / width)
