"""What is done with a class activation map once it is there: enlarged, combined, cut to a mask."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def resize_heatmap(
    heat: NDArray[np.floating], size: tuple[int, int], *, interpolation: str = "bilinear"
) -> NDArray[np.float32]:
    """Maps enlarged to the size of the picture, each cell centred on the pixels it stands for.

    Bilinear interpolation stays between the values of its neighbours, so it invents neither
    negative evidence nor peaks; ``"cubic"`` overshoots and is here to show that.

    Args:
        heat: ``(N, h, w)`` or ``(h, w)``.
        size: ``(H, W)`` in pixels.
        interpolation: ``"bilinear"``, ``"nearest"`` or ``"cubic"``.

    Returns:
        float32 of shape ``(N, H, W)`` or ``(H, W)``.

    Raises:
        ValueError: another rank, no map, no size ``(H, W)`` in whole pixels, or an unknown
            interpolation.
    """
    import cv2

    methods = {"bilinear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST, "cubic": cv2.INTER_CUBIC}
    heat = np.asarray(heat, dtype=np.float32)
    if heat.ndim not in (2, 3) or heat.size == 0:
        raise ValueError(f"heat of shape {heat.shape}; expected (N, h, w) or (h, w), not empty")
    if np.shape(size) != (2,) or any(int(n) != n or n < 1 for n in size):
        raise ValueError(f"size {size!r}; expected (H, W) in whole pixels")
    if interpolation not in methods:
        raise ValueError(f"interpolation {interpolation!r}; expected one of {', '.join(methods)}")
    height, width = (int(n) for n in size)
    stack = heat if heat.ndim == 3 else heat[None]
    large = [cv2.resize(m, (width, height), interpolation=methods[interpolation]) for m in stack]
    result = np.stack(large).astype(np.float32, copy=False)
    return result if heat.ndim == 3 else result[0]


def combine_layers(maps: Mapping[str, ArrayLike], size: tuple[int, int]) -> NDArray[np.float32]:
    """The maps of several layers as one: each scaled to its own maximum, enlarged, and averaged.

    ``C = mean_l up(M_l) / max |M_l|``, for each image by itself, where ``up`` is bilinear.  The
    unit of Grad-CAM is another one in each layer (its gradient is a mean over more places in early
    layers, its activations are of another size), so sums of raw maps would show one layer only.
    Scaled, every layer has the same say, and C is the share of layers that point at a place, each
    as far as it does.  A map that is zero everywhere stays zero and counts as a layer.

    Args:
        maps: layer -> ``(N, h, w)``, as from `cam.grad_cam_layers`.
        size: ``(H, W)`` of the picture.

    Returns:
        ``(N, H, W)`` float32 without a unit; between 0 and 1 where no map is negative.

    Raises:
        ValueError: no maps, maps of another rank or of unlike N, NaN or infinity in them.
    """
    given = {name: np.asarray(m, dtype=np.float32) for name, m in maps.items()}
    shapes = {name: m.shape for name, m in given.items()}
    if len({(len(shape), *shape[:1]) for shape in shapes.values()}) != 1:
        raise ValueError(f"maps of shapes {shapes}; expected (N, h, w) each, with one N")
    total = np.zeros(1, np.float32)
    for name, m in given.items():
        if m.ndim != 3 or m.size == 0:
            raise ValueError(f"map {name!r} of shape {m.shape}; expected (N, h, w), not empty")
        if not np.isfinite(m).all():
            raise ValueError(f"NaN or infinity in map {name!r}; remove or repair it")
        peak = np.abs(m).max(axis=(1, 2), keepdims=True)
        scaled = np.divide(m, peak, out=np.zeros_like(m), where=peak > 0)
        total = total + resize_heatmap(scaled, size)
    return np.asarray(total / len(given), np.float32)


def importance_mask(heat: ArrayLike, keep: float = 0.2) -> NDArray[np.bool_]:
    """The most important share of the pixels, the same number of them in every map.

    The ``round(keep H W)`` pixels of largest value (at least one).  Among equal values the first
    in reading order (left to right, then down) are kept, so the number is exact.  Where the last
    kept value is the lowest of its map, the map does not say which of these pixels come first:
    that comes with a warning.

    Args:
        heat: ``(N, H, W)`` or ``(H, W)``, at the size at which the mask is wanted: enlarge first.
        keep: share of the pixels, above 0 and at most 1.

    Returns:
        bool of the shape of ``heat``.

    Raises:
        ValueError: another rank, no map, NaN or infinity, ``keep`` outside of (0, 1].
    """
    values = np.asarray(heat)
    if values.ndim not in (2, 3) or values.size == 0:
        raise ValueError(f"heat of shape {values.shape}; expected (N, H, W) or (H, W), not empty")
    if not np.isfinite(values).all():
        raise ValueError("NaN or infinity in the heat; remove or repair it")
    if not 0 < keep <= 1:
        raise ValueError(f"keep {keep!r}; expected a share of the pixels, above 0 and at most 1")
    rows = values.reshape(-1, values.shape[-2] * values.shape[-1])
    count = max(1, round(keep * rows.shape[1]))
    order = np.argsort(-rows.astype(np.float64), axis=1, kind="stable")[:, :count]
    mask = np.zeros(rows.shape, bool)
    np.put_along_axis(mask, order, True, axis=1)
    _announce_no_order(rows, order, count)
    return mask.reshape(values.shape)


def _announce_no_order(rows: NDArray[Any], order: NDArray[np.intp], count: int) -> None:
    """Say so when a mask is filled up with pixels that no value of their map singles out."""
    last = np.take_along_axis(rows, order[:, -1:], axis=1)[:, 0]
    filled = np.flatnonzero(last == rows.min(axis=1))
    if filled.size and count < rows.shape[1]:
        warnings.warn(
            f"importance_mask: {filled.size} of {len(rows)} masks (first: number {filled[0]}) are "
            f"filled up to {count} pixels in reading order with the lowest value of the map, "
            f"{last[filled[0]]:.3g}: the map marks fewer pixels than are kept",
            stacklevel=3,
        )
