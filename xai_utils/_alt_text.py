"""Words for those who cannot see a figure, derived from the numbers that were drawn.

All figures are rounded far above the noise between machines (1e-5), so that a text stays the same
where the picture does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from xai_utils._colours import Floats, checked_heat

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from matplotlib.lines import Line2D

NINTHS = (
    ("upper left", "upper centre", "upper right"),
    ("centre left", "centre", "centre right"),
    ("lower left", "lower centre", "lower right"),
)
# A ninth of an even map holds 11 % of the mass; from one and a half times that on, it stands out.
STANDS_OUT = 100 * 1.5 / 9


def describe(
    heat: ArrayLike,
    *,
    method: str = "Heat map",
    image_class: str | None = None,
    predicted: str | None = None,
    score: float | None = None,
    boxes: ArrayLike | None = None,
) -> str:
    """Say in words what a map (H, W) shows: method, class and score, and where the mass lies.

    The picture is cut into ninths ("upper left", ..., "centre", ...); a ninth's share is the sum of
    max(heat, 0) inside it over the whole sum, where a pixel on a border counts for both sides in
    proportion. Shares in whole per cent, the peak as a place in per cent of width and height.
    `boxes` (n, 4), x0, y0, x1, y1 half-open in the map's pixels, add the share inside their union,
    beside the area that they cover: the share that chance would reach.
    Raises ValueError on NaN, on other shapes, and on boxes that reach beyond the map.
    """
    heat = checked_heat(heat)
    facts = [method]
    if image_class is not None:
        facts.append(f"picture of class {image_class}")
    if predicted is not None:
        facts.append(f"predicted {predicted}")
    if score is not None:
        facts.append(f"score {float(score) + 0.0:.2f}")
    sentences = [", ".join(facts)]
    positive = np.maximum(heat, 0)
    total = positive.sum()
    if not heat.any():
        sentences.append("The map is zero everywhere")
    elif total == 0:
        sentences.append("No value is positive")
    else:
        sentences += [_where(positive / total), _peak(heat)]
        if boxes is not None and np.size(boxes):
            sentences.append(_inside(positive / total, boxes))
    if (heat < 0).any() and total > 0:
        negative = 100 * -heat[heat < 0].sum() / np.abs(heat).sum()
        sentences.append(f"Negative values make up {negative:.0f} % of the absolute mass")
    return ". ".join(sentences) + "."


def _thirds(size: int) -> Floats:
    """Matrix (3, size): how much of each pixel [i, i + 1) lies in each third of [0, size)."""
    edges = np.arange(4)[:, None] * size / 3
    pixels = np.arange(size)
    inside: Floats = np.minimum(pixels + 1, edges[1:]) - np.maximum(pixels, edges[:-1])
    return inside.clip(0)


def _where(mass: Floats) -> str:
    """Name the ninth or two that stand out."""
    shares = 100 * _thirds(mass.shape[0]) @ mass @ _thirds(mass.shape[1]).T
    # Rounded before they are ranked: equal shares keep their reading order on every machine.
    ranked = sorted(
        (
            (round(float(share)), name)
            for row, names in zip(shares, NINTHS, strict=True)
            for share, name in zip(row, names, strict=True)
        ),
        key=lambda item: -item[0],
    )
    standing = [f"{name} ({share} %)" for share, name in ranked[:2] if share > STANDS_OUT]
    if not standing:
        return (
            "The positive mass is spread evenly: "
            f"no ninth of the picture holds more than {ranked[0][0]} % of it"
        )
    return "The positive mass lies mostly in the " + " and the ".join(standing)


def _peak(heat: Floats) -> str:
    """Place of the largest value; among values equal to a thousandth, the first one read."""
    if heat.min() == heat.max():
        return "All values are equal"
    y, x = np.unravel_index(np.argmax(np.round(heat / heat.max(), 3)), heat.shape)
    across, down = 100 * (x + 0.5) / heat.shape[1], 100 * (y + 0.5) / heat.shape[0]
    return f"The peak is {across:.0f} % from the left and {down:.0f} % from the top"


def _inside(mass: Floats, boxes: ArrayLike) -> str:
    """Share of the mass inside the union of the boxes, beside the area of that union."""
    corners = np.asarray(boxes, dtype=np.int64).reshape(-1, 4)
    height, width = mass.shape
    if (corners < 0).any() or (corners > (width, height, width, height)).any():
        raise ValueError(
            f"boxes {corners.tolist()} reach beyond the map of {height} rows and {width} columns: "
            "bring it to the picture's size first, with resize_heatmap"
        )
    inside = np.zeros(mass.shape, dtype=bool)
    for x0, y0, x1, y1 in corners:
        inside[y0:y1, x0:x1] = True
    return (
        f"{100 * mass[inside].sum():.0f} % of the positive mass lies inside the boxes, "
        f"which cover {100 * inside.mean():.0f} % of the picture"
    )


def describe_axes(ax: Axes) -> str:
    """Say in words what a plot of lines or bars shows, read from what was drawn.

    Title and axes; for each labelled line its first, last and highest value; for bars each value.
    Three significant digits. Raises ValueError if there is neither a line nor a bar.
    """
    from matplotlib.container import BarContainer

    sentences = [ax.get_title()] if ax.get_title() else []
    if ax.get_xlabel() or ax.get_ylabel():
        sentences.append(f"{ax.get_ylabel() or 'values'} against {ax.get_xlabel() or 'index'}")
    found = len(sentences)
    sentences += [_line(line) for line in ax.get_lines() if np.size(line.get_ydata())]
    sentences += [_bars(ax, bars) for bars in ax.containers if isinstance(bars, BarContainer)]
    if len(sentences) == found:
        raise ValueError("the axes hold neither a line nor a bar: write the text by hand")
    return ". ".join(" ".join(sentence.split()) for sentence in sentences) + "."


def _line(line: Line2D) -> str:
    x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    name = str(line.get_label())
    name = "Line" if name.startswith("_") else name  # matplotlib's name for "no label"
    if np.ptp(y) == 0:
        return f"{name}: {y[0]:.3g} throughout"
    top = int(np.nanargmax(y))
    return (
        f"{name}: from {y[0]:.3g} at {x[0]:.3g} to {y[-1]:.3g} at {x[-1]:.3g}, "
        f"highest {y[top]:.3g} at {x[top]:.3g}"
    )


def _bars(ax: Axes, bars: BarContainer) -> str:
    upright = bars.orientation != "horizontal"
    axis = ax.xaxis if upright else ax.yaxis
    labels = [label.get_text() for label in axis.get_ticklabels()]
    ticks = dict(zip(np.round(axis.get_ticklocs(), 6).tolist(), labels, strict=True))
    parts = []
    for bar in bars.patches:
        start, length = (
            (bar.get_x(), bar.get_width()) if upright else (bar.get_y(), bar.get_height())
        )
        value = bar.get_height() if upright else bar.get_width()
        centre = round(float(start + length / 2), 6)
        parts.append(f"{ticks.get(centre) or f'{centre:.3g}'} {value:.3g}")
    name = str(bars.get_label())
    return f"{'Bars' if name.startswith('_') else name}: " + ", ".join(parts)
