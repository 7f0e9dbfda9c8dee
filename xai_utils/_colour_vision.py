"""How a figure looks without colours and to colour-blind eyes, measured on its own colours.

The order of values survives where a scale's lightness only rises or only falls; of a scale with two
signs, on each side of zero.  In grey both signs of such a scale look alike, and no other choice of
ends would mend that: where zero is white, every grey down to the lighter end stands for two values,
and with ends of unlike lightness equal evidence for and against would no longer look equal.  So
`faults` does not count it; `two_signs` tells where it is so, for a caption to say.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

# What is left of linear RGB when one kind of cone is missing.
# Source: Machado, Oliveira & Fernandes 2009, "A physiologically-based model for simulation of color
# vision deficiency", table 1, severity 1.0.
BLIND: dict[str, Floats] = {
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
VISIONS = ("grey", *BLIND)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear sRGB (IEC 61966-2-1)
XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)  # linear sRGB to CIE XYZ (IEC 61966-2-1)
WHITE = XYZ.sum(axis=1)
APART = 10.0  # CIE Lab units between two colours of a legend that must be told apart
SLACK = 0.5  # lightness by which a step may go the wrong way: less than the eye sees


def seen(rgb: ArrayLike, vision: str) -> Floats:
    """Colours ``(..., 3)`` in [0, 1] as they look to one of `VISIONS`, in CIE Lab.

    ``"grey"`` keeps the luminance only, as a grey print does.

    Source: CIE 15:2004 for Lab, under the white of sRGB.
    """
    c = np.asarray(rgb, dtype=np.float64)[..., :3]
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    if vision == "grey":
        linear = np.repeat((linear @ LUMINANCE)[..., None], 3, axis=-1)
    else:
        linear = (linear @ BLIND[vision].T).clip(0, 1)
    t = linear @ XYZ.T / WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack(
        [
            116 * f[..., 1] - 16,
            500 * (f[..., 0] - f[..., 1]),
            200 * (f[..., 1] - f[..., 2]),
        ],
        axis=-1,
    )


def order_survives(colours: ArrayLike, vision: str, *, signed: bool = False) -> bool:
    """Whether lightness tells the order of the values that these colours stand for.

    Args:
        colours: ``(K, 3)`` in the order of their values.
        vision: one of `VISIONS`.
        signed: the middle stands for zero; each side is judged by itself.
    """
    lightness = seen(colours, vision)[:, 0]
    middle = (len(lightness) + 1) // 2
    sides = [lightness[:middle], lightness[-middle:]] if signed else [lightness]
    return all(
        np.ptp(side) > APART and (np.diff(side * way) > -SLACK).all()
        for side in sides
        for way in [np.sign(side[-1] - side[0])]
    )


def faults(fig: Figure) -> list[str]:
    """What in a figure cannot be read in grey or by colour-blind eyes, one sentence a fault.

    Every colour scale is judged by `order_survives`, and of a signed one the ends must differ for
    colour-blind eyes.  Two entries of a legend must differ in line, mark or hatch, or by `APART` in
    their colours, for every vision.  Plain pictures and texts are not judged, and of an overlay its
    scale only: the picture shows through, so in grey the map is better read by itself.
    """
    found: list[str] = []
    for ax in _all_axes(fig):
        for drawn in _scales(ax):
            found += _scale_faults(drawn)
        legend = ax.get_legend()
        if legend is not None:
            words = [text.get_text() for text in legend.get_texts()]
            found += _legend_faults(list(zip(words, legend.legend_handles, strict=True)))
    return list(dict.fromkeys(found))


def two_signs(fig: Figure) -> bool:
    """Whether a scale of the figure has two signs, which a grey print cannot tell apart."""
    return any(_signed(drawn) for ax in _all_axes(fig) for drawn in _scales(ax))


def _all_axes(fig: Figure) -> Iterator[Any]:
    for outer in fig.axes:
        yield from (outer, *outer.child_axes)


def _scales(ax: Any) -> Iterator[ScalarMappable]:
    for drawn in [*ax.images, *ax.collections]:
        values = drawn.get_array()
        # Three axes are colours as they are; a contour line has one colour, so no scale.
        if values is not None and values.ndim != 3 and drawn.cmap.N > 1:
            yield drawn


def _signed(drawn: ScalarMappable) -> bool:
    low, high = drawn.get_clim()
    return low is not None and high is not None and low == -high


def _scale_faults(drawn: ScalarMappable) -> Iterator[str]:
    name, signed = drawn.cmap.name, _signed(drawn)
    colours = drawn.cmap(np.linspace(0, 1, 255))[:, :3]
    lost = [v for v in VISIONS if not order_survives(colours, v, signed=signed)]
    if lost:
        yield f"colours of {name!r}: the order of values is lost ({', '.join(lost)})"
    alike = [v for v in BLIND if signed and _apart(colours[25], colours[-26], v) < APART]
    if alike:
        yield f"colours of {name!r}: both signs look alike ({', '.join(alike)})"


def _legend_faults(entries: list[tuple[str, Any]]) -> Iterator[str]:
    for (first, one), (second, other) in itertools.combinations(entries, 2):
        if _form(one) != _form(other):
            continue
        alike = [v for v in VISIONS if _apart(_colour(one), _colour(other), v) < APART]
        if alike:
            yield f"legend: {first!r} and {second!r} look alike ({', '.join(alike)})"


def _apart(one: ArrayLike, other: ArrayLike, vision: str) -> float:
    return float(np.linalg.norm(seen(one, vision) - seen(other, vision)))


def _form(handle: Any) -> tuple[Any, ...]:
    """What sets an entry apart beside its colour: kind, dashes, width, mark, hatch."""
    names = ("get_linestyle", "get_linewidth", "get_marker", "get_hatch")
    return type(handle), *(getattr(handle, name, lambda: None)() for name in names)


def _colour(handle: Any) -> ArrayLike:
    from matplotlib.colors import to_rgb

    colour = handle.get_color() if hasattr(handle, "get_color") else handle.get_facecolor()
    return to_rgb(np.atleast_2d(colour)[0] if not isinstance(colour, str) else colour)
