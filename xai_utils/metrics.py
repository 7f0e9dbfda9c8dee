"""How right an explanation is, measured against what is known about the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def box_mask(boxes: ArrayLike, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels that lie in at least one box: ``(H, W)`` bool.

    Args:
        boxes: ``(n, 4)`` of x0, y0, x1, y1 in pixels, half-open; n may be 0.
        size: ``(H, W)``.
    """
    mask = np.zeros(size, dtype=bool)
    for x0, y0, x1, y1 in np.asarray(boxes, dtype=np.int64).reshape(-1, 4):
        mask[y0:y1, x0:x1] = True
    return mask


def energy_inside(heat: ArrayLike, masks: ArrayLike) -> NDArray[np.float64]:
    """The share of a map's positive mass that lies inside the truth, for each image.

    ``E = sum(max(heat, 0) inside) / sum(max(heat, 0))``, between 0 and 1.  A map that is the same
    everywhere scores the mask's share of the picture, ``masks.mean(axis=(1, 2))``: that is chance,
    and E means nothing without it.

    Args:
        heat: ``(N, H, W)``, at the size of the masks.
        masks: ``(N, H, W)`` bool.

    Returns:
        ``(N,)``; NaN where a map has no positive value.

    Raises:
        ValueError: shapes differ, or NaN in the heat.

    Source: Wang et al. 2020, "Score-CAM", section 4.3 (energy-based pointing game).
    """
    positive = np.maximum(np.asarray(heat, dtype=np.float64), 0)
    inside = np.asarray(masks, dtype=bool)
    if positive.shape != inside.shape or positive.ndim != 3:
        raise ValueError(
            f"heat is {positive.shape} and masks are {inside.shape}; expected one (N, H, W) for "
            f"both: bring the map to the picture's size with resize_heatmap"
        )
    if np.isnan(positive).any():
        raise ValueError("NaN in the heat: repair the model or the explanation first")
    total = positive.sum(axis=(1, 2))
    share = (positive * inside).sum(axis=(1, 2))
    return np.divide(share, total, out=np.full(len(total), np.nan), where=total > 0)


def bootstrap_interval(
    values: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """An interval for the mean of ``values``, by drawing them again with replacement.

    Args:
        values: ``(N,)``.
        groups: ``(N,)``; values of one group are drawn together, because they are not independent
            (plates that show the same sheet).  None: every value is a group of its own.
        level: share of the draws' means that the interval holds.
        draws: how often is drawn.
        seed: of the draws.

    Returns:
        Lower and upper end: percentiles of the means of the draws.

    Raises:
        ValueError: no values, NaN among them, or groups of another length.

    Source: Efron & Tibshirani 1993, "An introduction to the bootstrap", section 13.3 (percentile
    interval), applied to clusters.
    """
    values = np.asarray(values, dtype=np.float64)
    groups = np.arange(len(values)) if groups is None else np.asarray(groups)
    if values.ndim != 1 or groups.shape != values.shape or values.size == 0:
        raise ValueError(
            f"values are {values.shape} and groups {groups.shape}; expected (N,) for both, N > 0"
        )
    if np.isnan(values).any():
        raise ValueError("NaN among the values: leave them out, or say what they count as")
    group = np.unique(groups, return_inverse=True)[1]
    sums, counts = np.bincount(group, values), np.bincount(group)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(draws, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
