"""Does a map stay when nothing of importance changes, and how simple is it?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._engine import check_count
from ._sanity import rank_correlation

Floats = NDArray[np.float64]
Images = NDArray[np.float32]


def max_sensitivity(
    method: Callable[[Images], ArrayLike],
    images: ArrayLike,
    *,
    radius: float = 0.02,
    samples: int = 10,
    seed: int = 0,
) -> Floats:
    """How far a map moves at the most when the picture is changed a little: ``(N,)``, 0 or more.

    ``max over s of |A(x + e_s) - A(x)| / |A(x)|``, Euclidean norms, the elements of e_s uniform
    between ``-radius`` and ``radius``.  Lower is steadier; 0 is also what a map scores that ignores
    the picture.  The largest of a few draws is a lower bound of the true maximum, so compare
    methods with equal ``samples`` only.  (The article does not divide; without it a method that
    gives small numbers looks robust.)

    Args:
        method: takes images ``(N, H, W, C)`` and gives maps ``(N, ...)``.  Fix the class in it:
            ``lambda x: saliency(model, x, labels)``.  With the predicted class a change of mind
            would count as a move of the map.
        images: ``(N, H, W, C)`` floats.
        radius: in units of the images; 0.02 is five grey levels of 255.
        samples: how many draws.
        seed: of the draws, which are independent of how many images there are.

    Returns:
        ``(N,)``; NaN where the map of the untouched image is zero everywhere.

    Raises:
        ValueError: wrong images, radius or samples; maps of another shape, NaN in them.

    Source: Yeh et al. 2019, "On the (in)fidelity and sensitivity of explanations".
    """
    x = np.asarray(images)
    if x.ndim != 4 or x.size == 0 or x.dtype.kind != "f":
        raise ValueError(
            f"images of dtype {x.dtype}, shape {x.shape}; expected floats (N, H, W, C)"
        )
    if not 0 < radius < np.inf:
        raise ValueError(f"radius {radius!r}; expected a positive number, in units of the images")
    x = x.astype(np.float32, copy=False)
    still = _maps(method(x), len(x))
    furthest = np.zeros(len(x))
    for s in range(check_count("samples", samples)):
        draws = (np.random.default_rng([seed, s, n]) for n in range(len(x)))
        noise = np.stack([r.uniform(-radius, radius, x.shape[1:]) for r in draws])
        moved = _maps(method(x + noise.astype(np.float32)), len(x))
        if moved.shape != still.shape:
            raise ValueError(f"the method gives {still.shape}, then {moved.shape}: expected one")
        furthest = np.maximum(furthest, np.linalg.norm(moved - still, axis=1))
    size = np.linalg.norm(still, axis=1)
    return np.divide(furthest, size, out=np.full(len(x), np.nan), where=size > 0)


def repeatability(
    method: Callable[[Images, int], ArrayLike],
    images: ArrayLike,
    *,
    seeds: Iterable[int] = range(5),
) -> Floats:
    """How alike the maps of one method are when only its seed differs: ``(N,)`` in [-1, 1].

    The mean rank correlation over all pairs of seeds; 1 for a method that draws nothing.  Below 1
    the number of samples is part of the explanation, and has to be told with it.

    Args:
        method: takes images ``(N, H, W, C)`` and a seed, and gives maps ``(N, ...)``.
        images: handed to the method as they are.
        seeds: two or more.

    Returns:
        ``(N,)``; NaN where a map is the same everywhere.

    Raises:
        ValueError: fewer than two seeds; maps of another number or shape, NaN in them.

    Source: the rank correlation of Adebayo et al. 2018, applied to seeds in place of models.
    """
    x = np.asarray(images)
    maps = [_maps(method(x, int(seed)), len(x)) for seed in seeds]
    if len(maps) < 2:
        raise ValueError(f"{len(maps)} seeds; expected two or more to compare")
    return np.mean([rank_correlation(a, b) for a, b in combinations(maps, 2)], axis=0)


def sparseness(heat: ArrayLike) -> Floats:
    """The Gini index of each map's magnitudes: ``(N,)`` from 0 to 1 - 1/d.

    ``G = 1 - 2 sum_k (v_k / |v|_1) (d - k + 1/2) / d`` with v the d magnitudes in ascending order.
    0: all pixels alike; 1 - 1/d: one pixel only.  It says how short the answer is, not whether it
    is right.

    Args:
        heat: ``(N, ...)``, signed or not.

    Returns:
        ``(N,)``; NaN where a map is zero everywhere.

    Raises:
        ValueError: NaN or infinity, or no batch axis.

    Source: Hurley & Rickard 2009, "Comparing measures of sparsity"; for maps, Chalasani et al.
    2020, "Concise explanations of neural networks using adversarial training".
    """
    v = np.sort(np.abs(_maps(heat, len(np.atleast_1d(heat)))), axis=1)
    d = v.shape[1]
    weights = (d - np.arange(1, d + 1) + 0.5) / d
    return 1 - 2 * (_shares(v) * weights).sum(axis=1)


def entropy(heat: ArrayLike) -> Floats:
    """The entropy of each map's magnitudes in nats: ``(N,)`` from 0 to log(d).

    ``H = - sum_k p_k log p_k``, where p_k is a pixel's share of the magnitude.  0: one pixel only;
    log(d): all d alike.  Lower is simpler to read, and no more right for it.

    Args:
        heat: ``(N, ...)``, signed or not.

    Returns:
        ``(N,)``; NaN where a map is zero everywhere.

    Raises:
        ValueError: NaN or infinity, or no batch axis.

    Source: Bhatt et al. 2020, "Evaluating and aggregating feature-based model explanations"
    (there: complexity).
    """
    p = _shares(np.abs(_maps(heat, len(np.atleast_1d(heat)))))
    return 0.0 - (p * np.log(np.where(p > 0, p, 1))).sum(axis=1)


def _maps(values: ArrayLike, count: int) -> Floats:
    """Maps as rows ``(N, d)``, checked."""
    maps = np.asarray(values, dtype=np.float64)
    if maps.ndim < 2 or len(maps) != count or maps.size == 0:
        raise ValueError(f"maps of shape {maps.shape}; expected ({count}, ...), one an image")
    if not np.isfinite(maps).all():
        raise ValueError("NaN or infinity in the maps: repair the model or the explanation first")
    return maps.reshape(count, -1)


def _shares(rows: Floats) -> Floats:
    total = rows.sum(axis=1, keepdims=True)
    return np.divide(rows, total, out=np.full(rows.shape, np.nan), where=total > 0)
