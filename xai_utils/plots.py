"""Pictures of explanations: one look, scales that are always stated, panels that line up.

An explanation is never computed here, only shown. Every map comes with a colour bar: its ends are
the limits, an arrow marks values that lie beyond them. Every figure that is shown carries
alternative text. What a colour means is decided in `_colours`, the words are found in `_alt_text`,
one axes is drawn on in `_drawing`; this module has the whole figure, and all names to import.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_utils._alt_text import describe, describe_axes
from xai_utils._colours import Scale, checked_heat, checked_picture, overlay
from xai_utils._drawing import (
    STYLE,
    bar_label,
    bare,
    colour_bar,
    draw_boxes,
    draw_heat,
    set_look,
    show_heat,
    show_numbers,
)
from xai_utils._layout import (
    BAR,
    BESIDE,
    LINE,
    MARGIN,
    Grid,
    Page,
    Panel,
    Scales,
    Share,
    as_grid,
    choose_scales,
    shared_rows,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Panel",
    "as_png",
    "describe",
    "describe_axes",
    "draw_boxes",
    "overlay",
    "panels",
    "show",
    "show_heat",
    "show_numbers",
    "shown_to",
    "style",
]

CENTRED: dict[str, Any] = {"ha": "center", "va": "center"}


def panels(
    items: Sequence[Panel | None] | Sequence[Sequence[Panel | None]],
    *,
    columns: int | None = None,
    share: Share = None,
    row_titles: Sequence[str] = (),
    title: str = "",
    panel_width: float | None = None,
) -> Figure:
    """Set pictures, maps and overlays side by side in equal, aligned panels.

    `items` is one row of panels (wrapped after `columns`) or a list of rows; None leaves a place
    empty. Without `share` each map has its own scale, stated on a thin colour bar below it.
    `share="row"` or `"figure"` gives all maps of a row, or all, the same limits and one bar at the
    right; those must then agree in label, signed, limit, cmap and alpha. `panel_width` in inches
    (default: what fits the page, at most 2.2).
    Raises ValueError if there is nothing to draw, or if panels that share a scale disagree.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    grid = as_grid(items, columns)
    if row_titles and len(row_titles) != len(grid):
        raise ValueError(f"{len(row_titles)} row titles were given for {len(grid)} rows")
    scales = choose_scales(grid, share)
    page = Page.of(grid, scales, share, bool(row_titles), bool(title), panel_width)
    with rc_context(STYLE):
        fig = Figure(figsize=(page.width, page.height))
        middle = (page.place(0, 0)[0] + sum(page.place(0, len(grid[0]) - 1)[::2])) / 2
        top = 1 - 0.05 / page.height
        fig.text(middle, top, title, size=11, weight="bold", ha="center", va="top")
        for r, text in enumerate(row_titles):
            x, (y, height) = (MARGIN + LINE / 2) / page.width, page.place(r, 0)[1::2]
            fig.text(x, y + height / 2, text, size=10, rotation=90, **CENTRED)
        for r, row in enumerate(grid):
            for c, (panel, scale) in enumerate(zip(row, scales[r], strict=True)):
                if panel is not None:
                    ax = fig.add_axes(page.place(r, c))
                    _draw(ax, panel, scale)
                    ax.set_title(page.wrap(panel.title), size=page.font, pad=4)
                    if scale is not None and not share:
                        _bar_below(ax, panel, scale, page, page.heights[r])
        for rows in shared_rows(len(grid), share):
            _bar_beside(fig, page, rows, grid, scales)
    return fig


def _draw(ax: Axes, panel: Panel, scale: Scale | None) -> None:
    """Draw a picture, a map or an overlay, the boxes, and what is said of it."""
    if panel.image is None and panel.heat is not None and scale is not None:
        draw_heat(ax, checked_heat(panel.heat), scale)
    elif panel.image is None:
        ax.set(aspect=1)  # nothing but a note
    elif panel.heat is None or scale is None:
        ax.imshow(checked_picture(panel.image), interpolation="auto")
    else:
        blend = overlay(
            panel.image,
            panel.heat,
            cmap=scale.cmap,
            limit=scale.limit,
            alpha=panel.alpha,
            signed=scale.signed,
            uniform=panel.uniform,
        )
        ax.imshow(blend, interpolation="auto")
    bare(ax)
    # On its own scale the bar says so; on a shared one the panel must.
    empty = scale is not None and not scale.note and not np.any(panel.heat)
    if note := panel.note or ("all zero" if empty else ""):
        patch = {"facecolor": "white", "edgecolor": "none", "pad": 2}
        look = {"size": 8, "color": "0.35", "bbox": patch, **CENTRED}
        ax.text(0.5, 0.5, note, transform=ax.transAxes, **look)
    if panel.below:
        ax.set_xlabel(panel.below, size=8)
    if panel.boxes is not None:
        draw_boxes(ax, panel.boxes)


def _bar_below(ax: Axes, panel: Panel, scale: Scale, page: Page, height: float) -> None:
    """State a panel's own scale below it."""
    cax = ax.inset_axes((0, -(BAR + 0.06) / height, 1, BAR / height))
    label = page.wrap(bar_label(panel.label, scale))
    colour_bar(cax, scale, label, vertical=False, fade=panel.fade)


def _bar_beside(fig: Figure, page: Page, rows: range, grid: Grid, scales: Scales) -> None:
    """State the scale that some rows have in common once, at their right."""
    cells = [
        (panel, scale)
        for r in rows
        for panel, scale in zip(grid[r], scales[r], strict=True)
        if panel is not None and scale is not None
    ]
    if not cells:
        return
    first, scale = cells[0]
    fades = {panel.fade for panel, _ in cells}
    _, top, _, height = page.place(rows[0], 0)
    _, bottom, _, _ = page.place(rows[-1], 0)
    x = page.width - MARGIN - BESIDE + 0.1
    cax = fig.add_axes((x / page.width, bottom, BAR / page.width, top + height - bottom))
    # Opaque maps and overlays together: the bar shows the opaque colours.
    fade = fades.pop() if len(fades) == 1 else None
    colour_bar(cax, scale, bar_label(first.label, scale), fade=fade)


Receiver = Callable[["Figure", str], None]
_receivers: list[Receiver] = []  # who gets what is shown; see `shown_to`
_stand_in = ""  # what stands in for the real data, if anything does; see `style`


def style(source: str = "") -> None:
    """Give every later figure the quiet look of the course (sets matplotlib's ``rcParams``).

    With the `source` of a data set, `show` names it under every figure if it is a stand-in for the
    real one, so that no picture of drawn plates is taken for a picture of steel.
    """
    global _stand_in
    _stand_in = source.removeprefix("embedded default: ") if "embedded" in source else ""
    set_look()


def show(fig: Figure, alt: str) -> None:
    """Display a figure in a notebook with alternative text that is stored in the output.

    The PNG is written here rather than by the notebook's own formatter, so that it does not depend
    on the reader's settings; `alt` lands in ``output.metadata["image/png"]["alt"]``. The figure is
    closed, so that the notebook does not show it a second time.
    Raises ValueError if there is no text: some readers cannot see the figure.
    """
    from IPython.display import Image, display

    alt = _finished(fig, alt)
    if _receivers:
        _receivers[-1](fig, alt)
        return
    # IPython is not annotated.
    display(Image(data=_png(fig), format="png", alt=alt))  # type: ignore[no-untyped-call]


def as_png(fig: Figure, alt: str) -> tuple[bytes, str]:
    """The picture and the words that `show` would display, for what displays them itself.

    Raises ValueError if there is no text.
    """
    alt = _finished(fig, alt)
    return _png(fig), alt


def _finished(fig: Figure, alt: str) -> str:
    """Close a figure; name in it, and in its words, what stands in for the real data."""
    import matplotlib.pyplot as plt

    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"alt is {alt!r}, expected alternative text, e.g. from describe(heat)")
    if _stand_in:
        fig.text(0.5, -0.01, f"Data: {_stand_in}", size=8, ha="center", va="top")
        alt = f"Data: {_stand_in}. {alt}"
    plt.close(fig)
    return " ".join(alt.split())


@contextlib.contextmanager
def shown_to(receive: Receiver) -> Iterator[None]:
    """Hand every figure that is shown meanwhile, with its words, to a function instead.

    So a notebook's cell that shows a figure also defines the file that is made of it.
    """
    _receivers.append(receive)
    try:
        yield
    finally:
        _receivers.pop()


def _png(fig: Figure) -> bytes:
    """Write a figure as a small PNG: each channel in 64 levels, at most 2 of 255 off.

    That cannot be seen, and halves the file: a plate's grain is noise, which no PNG can compress.
    Nothing of the library's version is stored, so that the same picture is the same file.
    """
    from PIL import Image

    _settle(fig)
    full, small = io.BytesIO(), io.BytesIO()
    fig.savefig(full, format="png", dpi=fig.dpi, bbox_inches="tight", pad_inches=0.05)
    pixels = np.asarray(Image.open(full).convert("RGB"))
    levels = np.rint(np.rint(np.arange(256) * (63 / 255)) * (255 / 63)).astype(np.uint8)
    Image.fromarray(levels[pixels]).save(small, format="png", optimize=True)
    return small.getvalue()


def _settle(fig: Figure) -> None:
    """Lay a figure out once and for all, with its axes at whole billionths of its size.

    The solver of Matplotlib's constrained layout adds in the order of addresses in memory, so what
    it finds differs in its last bits from process to process, and with them a pixel now and then.
    """
    engine = fig.get_layout_engine()
    if engine is None:
        return
    engine.execute(fig)
    fig.set_layout_engine("none")
    for axes in fig.axes:
        counts = axes.get_in_layout()  # `set_position` takes the axes out of the picture's extent
        axes.set_position(np.round(axes.get_position(original=True).bounds, 9))
        axes.set_in_layout(counts)
