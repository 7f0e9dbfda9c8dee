"""What a set of scores is worth: an interval, and one line under a figure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._localisation import METRICS, centred_blob, chance, gain_over_chance
from ._sanity import sobel_edges

ENOUGH = 8  # groups; a bootstrap over fewer is too narrow to be printed


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


def is_it_right(
    heat: ArrayLike,
    masks: ArrayLike,
    *,
    what: str,
    groups: ArrayLike | None = None,
    images: ArrayLike | None = None,
    metric: str = "energy_inside",
    tolerance: float = 0,
) -> str:
    """One line for under a figure: score, chance, gain with its interval, and the controls' gain.

    Args:
        heat: ``(N, H, W)``.
        masks: ``(N, H, W)`` bool.
        what: name of the method.
        groups: which images are not independent; see `bootstrap_interval`.
        images: ``(N, H, W, C)``; given them, an edge map plays along as a control.
        metric: one of `METRICS`.
        tolerance: of the pointing game.

    Returns:
        ``"Is it right? CAM: energy inside 0.44, chance 0.39, gain +0.05 (95 %: ...)..."``.  With
        fewer than 8 independent images the range of their gains stands in the interval's place.

    Raises:
        ValueError: an unknown metric, shapes differ, NaN or infinity in the heat, no truth at all.
    """
    inside = np.asarray(masks, dtype=bool)
    expected = chance(metric, inside, tolerance=tolerance)
    kind = {"tolerance": tolerance} if metric == "pointing_game" else {}
    found = METRICS[metric](heat, inside, **kind)
    gain = gain_over_chance(found, expected)
    true = ~np.isnan(gain)
    if not true.any():
        raise ValueError("no image has a truth to be found: every mask is empty")
    gain, level = gain[true], expected[true].mean()
    parts = [
        f"Is it right? {what}: {metric.replace('_', ' ')} {level + gain.mean():.2f}, "
        f"chance {level:.2f}, gain {_signed(gain.mean())}"
        + _spread(gain, None if groups is None else np.asarray(groups)[true])
    ]
    if empty := int(np.isnan(found[true]).sum()):
        parts.append(f"{empty} of {len(gain)} maps say nothing and count as chance")
    controls = {"a centred blob": centred_blob(inside.shape)}
    if images is not None:
        controls["edges"] = sobel_edges(images)
    gains = {
        name: np.mean(gain_over_chance(METRICS[metric](m, inside, **kind), expected)[true])
        for name, m in controls.items()
    }
    parts.append("controls: " + ", ".join(f"{name} {_signed(g)}" for name, g in gains.items()))
    return "; ".join(parts)


def is_it_complete(attributions: ArrayLike, expected: ArrayLike, *, what: str) -> str:
    """One line for under a figure: how much of the score the parts of a map fail to add up to.

    Args:
        attributions: ``(N, ...)``, a method whose parts should sum to something.
        expected: ``(N,)``, what each image's should sum to: ``f(x) - f(baseline)``, or the logit.
        what: name of the method.

    Returns:
        ``"Is it right? Integrated gradients: sum 12.42 for 12.41, residual +0.01 (0.08%)"``; for
        several images the means, and the largest residual in per cent of the mean |expected|.

    Raises:
        ValueError: lengths differ, NaN or infinity.
    """
    maps, wanted = np.asarray(attributions, np.float64), np.asarray(expected, np.float64)
    if wanted.ndim != 1 or wanted.size == 0 or maps.ndim < 2 or len(maps) != len(wanted):
        raise ValueError(
            f"attributions {maps.shape}, expected {wanted.shape}; expected (N, ...) and (N,)"
        )
    if not (np.isfinite(maps).all() and np.isfinite(wanted).all()):
        raise ValueError("NaN or infinity: repair the model or the explanation first")
    sums = maps.reshape(len(maps), -1).sum(axis=1)
    worst = (sums - wanted)[np.abs(sums - wanted).argmax()]
    size = np.abs(wanted).mean()
    share = f" ({abs(worst) / size:.2%})" if size > 0 else ""
    one, many = len(maps) == 1, f"{len(maps)} images, "
    return (
        f"Is it right? {what}: {'' if one else many}sum {sums.mean():.2f} for {wanted.mean():.2f}, "
        f"{'' if one else 'largest '}residual {_signed(worst)}{share}"
    )


def _spread(gain: NDArray[np.float64], groups: NDArray[Any] | None) -> str:
    independent = len(gain) if groups is None else len(np.unique(groups))
    if len(gain) == 1:
        return " (one image)"
    if independent < ENOUGH:
        return f" ({len(gain)} images: {_signed(gain.min())} to {_signed(gain.max())})"
    low, high = bootstrap_interval(gain, groups)
    verdict = "above chance" if low > 0 else "below chance" if high < 0 else "not told from chance"
    return f" (95 %: {_signed(low)} to {_signed(high)}, {len(gain)} images), {verdict}"


def _signed(value: Any) -> str:
    return f"{round(float(value), 2) + 0.0:+.2f}"  # + 0.0: no "-0.00"
