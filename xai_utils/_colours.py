"""From numbers to colours: what a heat map's colour means, and how it lies over a picture.

Explanations are plain numbers. This is the one place where they are scaled, clipped and coloured;
`plots` states the result on a colour bar. Signed maps are diverging and centred on zero, unsigned
ones start at zero. A map is never resized here: `cam.resize_heatmap` does that, visibly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap

Floats = NDArray[np.float64]

SIGNED_CMAP = "RdBu_r"
UNSIGNED_CMAP = "inferno"  # its peak is seen on white and on black, magma's not on white


def checked_heat(heat: ArrayLike) -> Floats:
    """Return one map as float64 (H, W), or say what is wrong with it."""
    array = np.asarray(heat)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"heat has shape {array.shape}, expected one map (H, W): take one of a batch "
            "(heat[0]) and reduce the channels first, e.g. np.abs(a).max(axis=-1)"
        )
    if array.dtype.kind not in "bfiu":
        raise TypeError(f"heat has dtype {array.dtype}, expected real numbers")
    array = array.astype(np.float64)
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise ValueError(
            f"heat holds {bad} of {array.size} values that are NaN or infinite, and no colour can "
            "show those: look for them in the model's weights and inputs"
        )
    return array


def checked_picture(image: ArrayLike) -> Floats:
    """Return a picture as float64 RGB (H, W, 3) in [0, 1], neither stretched nor clipped."""
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or array.size == 0:
        raise ValueError(
            f"image has shape {np.shape(image)}, expected (H, W), (H, W, 1) or (H, W, 3): "
            "take one of a batch with images[0]"
        )
    if array.dtype == np.uint8:
        array = array / 255.0
    elif array.dtype.kind != "f":
        raise TypeError(f"image has dtype {array.dtype}, expected uint8 or float in [0, 1]")
    elif not (array.min() >= 0 and array.max() <= 1):  # false for NaN, too
        raise ValueError(
            f"float image runs from {array.min():.4g} to {array.max():.4g}, expected [0, 1]: "
            "divide 0-255 pixels by 255, or undo the model's preprocessing"
        )
    return np.broadcast_to(array.astype(np.float64), (*array.shape[:2], 3)).copy()


@dataclass(frozen=True)
class Scale:
    """What a colour means: made once, and shared by all maps that are to be compared.

    `extend` names the side on which values lie beyond the limits; `note` says that there is
    nothing to see ("all zero", "nothing positive").
    """

    limit: float
    signed: bool
    cmap: str | Colormap
    extend: Literal["neither", "min", "max", "both"]
    note: str

    @classmethod
    def of(
        cls,
        heats: Sequence[Floats],
        signed: bool | None = None,
        limit: float | None = None,
        cmap: str | Colormap | None = None,
    ) -> Scale:
        """Choose the scale of one map, or of several; raise ValueError on a limit <= 0."""
        if limit is not None and not (np.isfinite(limit) and limit > 0):
            raise ValueError(f"limit is {limit}, expected a positive number or None")
        lowest = min(float(heat.min()) for heat in heats)
        highest = max(float(heat.max()) for heat in heats)
        signed = lowest < 0 if signed is None else signed
        largest = max(-lowest, highest) if signed else highest
        bound = float(limit) if limit is not None else largest if largest > 0 else 1.0
        below, above = lowest < (-bound if signed else 0.0), highest > bound
        extend: Literal["neither", "min", "max", "both"] = (
            "both" if below and above else "min" if below else "max" if above else "neither"
        )
        note = "all zero" if lowest == highest == 0 else "nothing positive" if largest <= 0 else ""
        default = SIGNED_CMAP if signed else UNSIGNED_CMAP
        return cls(bound, signed, default if cmap is None else cmap, extend, note)

    @property
    def low(self) -> float:
        """Value at the lower end."""
        return -self.limit if self.signed else 0.0

    def strength(self, heat: Floats) -> Floats:
        """Normalised size of each value, in [0, 1]; unsigned: that of the positive part."""
        return np.clip(np.abs(heat) if self.signed else heat, 0, self.limit) / self.limit

    def mappable(self, fade: float | None = None) -> ScalarMappable:
        """Return the scale as matplotlib knows it; `fade` gives colours an overlay's opacity."""
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import ListedColormap, Normalize

        norm = Normalize(self.low, self.limit)
        cmap = colormaps.get_cmap(self.cmap)
        if fade is not None:
            values = np.linspace(self.low, self.limit, 255)  # odd: zero itself is among them
            colours = cmap(norm(values))
            colours[:, 3] = fade * self.strength(values)
            cmap = ListedColormap(colours)
        return ScalarMappable(norm, cmap)


def overlay(
    image: ArrayLike,
    heat: ArrayLike,
    *,
    cmap: str | Colormap | None = None,
    limit: float | None = None,
    alpha: float = 0.6,
    signed: bool | None = None,
    uniform: bool = False,
) -> Floats:
    """Lay a heat map over its picture so that what the map does not touch stays as it was.

    Each pixel has its own opacity: out = (1 - o) image + o colour(heat), with
    o = alpha min(|heat| / limit, 1). Where heat is 0 the picture comes back bit for bit; an overlay
    that is rescaled as a whole darkens it and changes its contrast.

    `image` (H, W), (H, W, 1) or (H, W, 3), uint8 or float in [0, 1]; `heat` (H, W). `limit` is the
    value at which colour and opacity are full (default: the largest |heat|); `signed` defaults to
    "a value is negative"; unsigned maps show their positive part only. `uniform=True` gives every
    pixel the opacity `alpha`, as many articles do: only to reproduce those.
    Returns (H, W, 3) float64 in [0, 1].
    Raises ValueError or TypeError on other shapes, ranges, NaN, and on an alpha outside [0, 1].
    """
    picture, heat = checked_picture(image), checked_heat(heat)
    if heat.shape != picture.shape[:2]:
        raise ValueError(
            f"heat is {heat.shape} and the image {picture.shape[:2]}: bring the map to the "
            f"picture's size first, with resize_heatmap(heat, {picture.shape[:2]})"
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}, expected 0 (transparent) to 1 (opaque)")
    scale = Scale.of([heat], signed, limit, cmap)
    opacity = np.full_like(heat, alpha) if uniform else alpha * scale.strength(heat)
    colours = scale.mappable().to_rgba(heat)[..., :3]
    out: Floats = (1 - opacity[..., None]) * picture + opacity[..., None] * colours
    return out.clip(0.0, 1.0)  # 1 may be passed by a rounding error
