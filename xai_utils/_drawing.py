"""Drawing on one axes: a map with its scale, boxes, and the look of the course."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from xai_utils._colours import UNSIGNED_CMAP, Floats, Scale, checked_heat

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.image import AxesImage
    from matplotlib.patches import Rectangle

STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.figsize": (7.0, 3.2),
    "savefig.dpi": "figure",
    "savefig.facecolor": "white",
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same letters on every machine
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "axes.labelcolor": "0.15",
    "axes.edgecolor": "0.35",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    # Okabe & Ito (2008): colours that stay apart for colour-blind readers.
    "axes.prop_cycle": "cycler('color', ['0072B2', 'D55E00', '009E73', 'CC79A7', 'E69F00', "
    "'56B4E9', '000000'])",
    "lines.linewidth": 1.8,
    "xtick.color": "0.35",
    "ytick.color": "0.35",
    "xtick.labelcolor": "0.15",
    "ytick.labelcolor": "0.15",
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    # Cells of an enlarged map stay square, and thin lines survive when a map is made smaller:
    # "nearest" would drop whole rows of a 200 x 200 map that is shown on 170 pixels.
    "image.interpolation": "auto",
    "image.cmap": UNSIGNED_CMAP,
    "pdf.fonttype": 42,  # embedded TrueType
    "svg.fonttype": "path",  # letters as outlines: no font is needed to read them
    "svg.hashsalt": "xai_utils",
}


def set_look() -> None:
    """Set matplotlib's ``rcParams`` to `STYLE`."""
    import matplotlib

    matplotlib.rcParams.update(STYLE)


def show_heat(
    ax: Axes,
    heat: ArrayLike,
    *,
    signed: bool | None = None,
    limit: float | None = None,
    label: str = "",
    cmap: str | Colormap | None = None,
) -> AxesImage:
    """Draw one map (H, W) with a scale that fits its meaning, and a colour bar that states it.

    Signed (a value is negative, or `signed=True`): RdBu_r from -limit to limit, white at 0.
    Unsigned: inferno from 0 to limit. `limit` defaults to the largest value; give the same one to
    several maps to make them comparable. A map that is 0 everywhere is drawn, and labelled so.
    Raises ValueError on NaN, on other shapes, and on a limit that is not positive.
    """
    heat = checked_heat(heat)
    scale = Scale.of([heat], signed, limit, cmap)
    drawn = draw_heat(ax, heat, scale)
    colour_bar(ax.inset_axes((1.03, 0, 0.04, 1)), scale, bar_label(label, scale))
    return drawn


def show_numbers(
    ax: Axes,
    values: ArrayLike,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    limit: float,
    sure: ArrayLike | None = None,
) -> AxesImage:
    """Draw a table of signed numbers: each in its cell, two decimals, on the colour of its size.

    `values` (R, C) with their names; `limit` is the value at which the colour is full. Where `sure`
    (R, C) is given, its true cells are bold and the others paler: told from 0, not told from it.
    Gives the image, for a colour bar that several tables may share.
    Raises ValueError on NaN, and where names or `sure` do not fit the values.
    """
    numbers = checked_heat(values)
    bold = np.zeros(numbers.shape, bool) if sure is None else np.asarray(sure, dtype=bool)
    if numbers.shape != (len(rows), len(columns)) or bold.shape != numbers.shape:
        raise ValueError(
            f"values are {numbers.shape}, for {len(rows)} rows and {len(columns)} columns, and "
            f"sure is {bold.shape}: all must agree"
        )
    scale = Scale.of([numbers], True, limit)
    drawn = ax.imshow(numbers, cmap=scale.cmap, vmin=-limit, vmax=limit, aspect="auto")
    for (r, c), value in np.ndenumerate(numbers):
        ink = "0.1" if sure is None or bold[r, c] else "0.35"
        ink = "white" if abs(value) > 0.69 * limit else ink
        text = f"{round(value, 2) + 0.0:+.2f}"  # never a negative zero
        weight = "bold" if bold[r, c] else "normal"
        ax.text(c, r, text, ha="center", va="center", size=7, color=ink, weight=weight)
    ax.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    ax.set_yticks(range(len(rows)), rows)
    return drawn


def draw_boxes(
    ax: Axes,
    boxes: ArrayLike,
    *,
    colour: str = "white",
    linewidth: float = 1.0,
    linestyle: str = "-",
) -> list[Rectangle]:
    """Outline the pixels x0 <= x < x1, y0 <= y < y1 of each box (n, 4), exactly around them.

    `imshow` puts the centre of pixel 0 at 0, so its outer edge, and the box's, is at x0 - 0.5. A
    dark rim keeps the line visible on any picture. Returns the rectangles; no boxes, none drawn.
    Raises ValueError on other shapes and on boxes without area.
    """
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import Normal, Stroke

    corners = np.asarray(boxes, dtype=np.float64)
    if corners.size == 0:
        return []
    if corners.ndim != 2 or corners.shape[1] != 4:
        raise ValueError(f"boxes have shape {corners.shape}, expected (n, 4): x0, y0, x1, y1")
    if not (corners[:, 2:] > corners[:, :2]).all():
        raise ValueError(f"boxes need x0 < x1 and y0 < y1, given {corners.tolist()}")
    rim = [Stroke(linewidth=linewidth + 1.2, foreground="black"), Normal()]
    drawn = []
    for x0, y0, x1, y1 in corners:
        box = Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, clip_on=False)
        box.set(edgecolor=colour, linewidth=linewidth, linestyle=linestyle, path_effects=rim)
        ax.add_patch(box)
        drawn.append(box)
    return drawn


def draw_heat(ax: Axes, heat: Floats, scale: Scale) -> AxesImage:
    """Draw a checked map in the colours of a scale, without the bar."""
    bare(ax)
    cmap = scale.mappable().cmap
    return ax.imshow(heat, cmap=cmap, vmin=scale.low, vmax=scale.limit, interpolation="auto")


def bare(ax: Axes) -> None:
    """Take the ticks off and leave a hairline, so that a white map still has an edge."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, linewidth=0.5, color="0.6")


def bar_label(label: str, scale: Scale) -> str:
    """Return the label of a colour bar, with a note where there is nothing to see."""
    return f"{label} ({scale.note})" if label and scale.note else label or scale.note


def _number(value: float) -> str:
    """Write a limit so that two of them fit below a narrow panel: 3.26, 1.2e-5."""
    plain = value == 0 or 0.01 <= abs(value) < 999.5
    text = f"{value:.3g}" if plain else f"{value:.1e}".replace("e+0", "e").replace("e-0", "e-")
    return text.replace("e+", "e").replace("-", "\N{MINUS SIGN}")


def colour_bar(
    cax: Axes, scale: Scale, label: str, *, vertical: bool = True, fade: float | None = None
) -> None:
    """Draw a scale into `cax`: the limits (and 0) as ticks, arrows where values lie beyond."""
    cax.set_facecolor("0.5")  # a faded scale looks as it does on a mid-grey picture
    bar = cax.figure.colorbar(
        scale.mappable(fade),
        cax=cax,
        orientation="vertical" if vertical else "horizontal",
        extend=scale.extend,
        extendfrac=0.06,
    )
    ticks = [scale.low, 0.0, scale.limit] if scale.signed else [0.0, scale.limit]
    ticks = [0.0] if scale.note else ticks  # a map without mass has no upper limit
    bar.set_ticks(ticks, labels=[_number(tick) for tick in ticks])
    cax.tick_params(length=2, width=0.5, pad=2, labelsize=8)
    cax.minorticks_off()
    if len(ticks) > 1:  # the outer numbers stay within the bar, away from the neighbours'
        numbers = cax.get_yticklabels() if vertical else cax.get_xticklabels()
        numbers[0].set(**({"va": "bottom"} if vertical else {"ha": "left"}))
        numbers[-1].set(**({"va": "top"} if vertical else {"ha": "right"}))
    bar.set_label(label, size=8, labelpad=2)
    cax.spines[:].set(linewidth=0.5)
