"""Does a map lie where the truth lies?  Scores against boxes or masks, and what chance scores.

Every score takes maps ``(N, H, W)`` at the size of the masks and gives ``(N,)`` float64.  Ties
count as their expected value under random order, so a map that is the same everywhere scores
`chance` exactly.  A map that says nothing (no positive value, for scores of signed maps; zero
everywhere, for the others) scores NaN, and so does every map of an image without any truth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]
Pool = Literal["sum,pos", "sum,abs", "l1-norm", "max-norm", "l2-norm", "l2-norm-sq"]


def box_mask(boxes: ArrayLike, size: tuple[int, int]) -> Masks:
    """The pixels that lie in at least one box: ``(H, W)`` bool.

    Args:
        boxes: ``(n, 4)`` of x0, y0, x1, y1 in pixels, half-open; n may be 0.
        size: ``(H, W)``.
    """
    mask = np.zeros(size, dtype=bool)
    for x0, y0, x1, y1 in np.asarray(boxes, dtype=np.int64).reshape(-1, 4):
        mask[y0:y1, x0:x1] = True
    return mask


def pointing_game(heat: ArrayLike, masks: ArrayLike, *, tolerance: float = 0) -> Floats:
    """Whether the peak of each map hits the truth: 1 or 0, with several peaks their share.

    Args:
        heat: ``(N, H, W)``, signed.
        masks: ``(N, H, W)`` bool.
        tolerance: a peak so many pixels away from the truth still hits; usual are 15.
            It makes the game easier, and `chance` with the same tolerance says by how much.

    Raises:
        ValueError: shapes differ, NaN or infinity in the heat, a negative tolerance.

    Source: Zhang et al. 2016, "Top-down neural attention by excitation backprop" (ECCV; with a
    tolerance in the version of 2018, IJCV 126).
    """
    values, inside = _pair(heat, masks)
    highest = values.max(axis=(1, 2), keepdims=True)
    peak = values == highest
    hits = (peak & _near(inside, tolerance)).sum(axis=(1, 2)) / peak.sum(axis=(1, 2))
    return _where((highest[:, 0, 0] > 0) & inside.any(axis=(1, 2)), hits)


def energy_inside(heat: ArrayLike, masks: ArrayLike) -> Floats:
    """The share of a map's positive mass that lies inside the truth, for each image.

    ``E = sum(max(heat, 0) inside) / sum(max(heat, 0))``, between 0 and 1.  A map that is the same
    everywhere scores the mask's share of the picture, ``masks.mean(axis=(1, 2))``: that is chance,
    and E means nothing without it.

    Args:
        heat: ``(N, H, W)``, at the size of the masks.
        masks: ``(N, H, W)`` bool.

    Returns:
        ``(N,)``; NaN where a map has no positive value, or a mask no pixel.

    Raises:
        ValueError: shapes differ, or NaN or infinity in the heat.

    Source: Wang et al. 2020, "Score-CAM", section 4.3 (energy-based pointing game).
    """
    values, inside = _pair(heat, masks)
    return _share_inside(np.maximum(values, 0), inside)


def relevance_mass_accuracy(
    attributions: ArrayLike, masks: ArrayLike, *, pool: Pool = "max-norm"
) -> Floats:
    """The share of a map's relevance, for and against, that lies inside the truth.

    ``RMA = sum(R inside) / sum(R)``, between 0 and 1, where R is the map with its channels pooled
    to one number that is not negative.  With ``pool="sum,pos"`` it is `energy_inside`.

    Args:
        attributions: ``(N, H, W)``, or ``(N, H, W, C)`` as methods give them.
        masks: ``(N, H, W)`` bool.
        pool: how channels become one: ``"sum,pos"`` max(0, sum), ``"sum,abs"`` |sum|, and the
            norms over channels ``"l1-norm"``, ``"max-norm"``, ``"l2-norm"``, ``"l2-norm-sq"``.
            One channel is pooled too: to its positive part, its magnitude or its square.

    Raises:
        ValueError: shapes differ, NaN or infinity, an unknown pool.

    Source: Arras, Osman & Samek 2022, "CLEVR-XAI", Information Fusion 81.
    """
    values, inside = _pair(_pooled(attributions, pool), masks)
    return _share_inside(values, inside)


def relevance_rank_accuracy(
    attributions: ArrayLike, masks: ArrayLike, *, pool: Pool = "max-norm"
) -> Floats:
    """Of the K most relevant pixels, the share inside the truth; K is the size of the truth.

    Between 0 and 1; a perfect map scores 1 whatever the relative size of its values.

    Args:
        attributions: ``(N, H, W)`` or ``(N, H, W, C)``.
        masks: ``(N, H, W)`` bool.
        pool: how channels become one, as in `relevance_mass_accuracy`.

    Raises:
        ValueError: shapes differ, NaN or infinity, an unknown pool.

    Source: Arras, Osman & Samek 2022, "CLEVR-XAI", Information Fusion 81.
    """
    values, inside = _pair(_pooled(attributions, pool), masks)
    flat, truth = values.reshape(len(values), -1), inside.reshape(len(inside), -1)
    size = truth.sum(axis=1)
    least = np.take_along_axis(np.sort(flat, axis=1)[:, ::-1], np.maximum(size, 1)[:, None] - 1, 1)
    above, tied = flat > least, flat == least
    left = size - above.sum(axis=1)  # places among the K that the tied pixels share
    found = (above & truth).sum(axis=1) + left * (tied & truth).sum(axis=1) / tied.sum(axis=1)
    return _where((size > 0) & flat.any(axis=1), found / np.maximum(size, 1))


def auc_inside(heat: ArrayLike, masks: ArrayLike) -> Floats:
    """How well a map's values tell pixels inside the truth from those outside: the ROC AUC.

    The probability that a pixel inside has a higher value than one outside, a tie counting half:
    ``AUC = (sum of ranks inside - n_in (n_in + 1) / 2) / (n_in n_out)``.  1 is perfect, 0.5 chance
    whatever the size of the truth, 0 inverted.  Signed: only the order of the values counts.

    Args:
        heat: ``(N, H, W)``.
        masks: ``(N, H, W)`` bool.

    Returns:
        ``(N,)``; NaN where a map is zero everywhere, or a mask is empty or full.

    Raises:
        ValueError: shapes differ, or NaN or infinity in the heat.

    Source: Mann & Whitney 1947; Fawcett 2006, "An introduction to ROC analysis".
    """
    from scipy.stats import rankdata

    values, inside = _pair(heat, masks)
    flat, truth = values.reshape(len(values), -1), inside.reshape(len(inside), -1)
    n_in = truth.sum(axis=1)
    n_out = truth.shape[1] - n_in
    ranks = (rankdata(flat, axis=1) * truth).sum(axis=1)
    pairs = n_in * n_out
    auc = (ranks - n_in * (n_in + 1) / 2) / np.maximum(pairs, 1)
    return _where((pairs > 0) & flat.any(axis=1), auc)


METRICS: dict[str, Callable[..., Floats]] = {
    f.__name__: f
    for f in (
        pointing_game,
        energy_inside,
        relevance_mass_accuracy,
        relevance_rank_accuracy,
        auc_inside,
    )
}

# --- what a score is worth -----------------------------------------------------------------------


def chance(
    metric: str | Callable[..., Floats], masks: ArrayLike, *, tolerance: float = 0
) -> Floats:
    """What a map that knows nothing is expected to score on each image, ``(N,)``.

    The pointing game: the share of the picture that lies within ``tolerance`` of the truth.  AUC:
    one half.  All others: the share of the picture that is truth.  Each is also what a map scores
    that is the same everywhere.  NaN where there is nothing to find (an empty mask) and, for AUC,
    where there is nothing else.

    Args:
        metric: one of `METRICS`, by name or as the function.
        masks: ``(N, H, W)`` bool.
        tolerance: that of the pointing game; the other metrics have none.

    Raises:
        ValueError: an unknown metric, masks of another rank, a negative tolerance.
    """
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", repr(metric))
    if name not in METRICS:
        raise ValueError(f"no localisation metric {name!r}; there are {', '.join(METRICS)}")
    inside = _as_masks(masks)
    area = inside.mean(axis=(1, 2))
    if name == "auc_inside":
        return _where((area > 0) & (area < 1), np.full(len(area), 0.5))
    if name == "pointing_game":
        return _where(area > 0, _near(inside, tolerance).mean(axis=(1, 2)))
    return _where(area > 0, area)


def gain_over_chance(score: ArrayLike, chance: ArrayLike) -> Floats:
    """``score - chance``, image by image: what the map knows beyond a map that knows nothing.

    A difference, not the quotient (score - chance) / (1 - chance): where the truth fills nearly all
    of the picture the quotient of one image is huge and the mean over images worthless.

    A score that is NaN, because the map says nothing, gains 0: leaving it out would reward methods
    that answer only where it is easy.  Where chance is NaN there is nothing to gain: NaN.
    """
    expected = np.asarray(chance, dtype=np.float64)
    gained = np.asarray(score, dtype=np.float64) - expected
    return np.where(np.isnan(gained) & ~np.isnan(expected), 0.0, gained)


def centred_blob(shape: tuple[int, ...]) -> Floats:
    """A Gaussian in the middle of each picture, sigma a quarter of its sides: ``(N, H, W)``.

    Photographers centre what they photograph, so this map beats a uniform one without having seen
    anything.  It is the harder chance level: score it as if it were an explanation.
    """
    count, high, wide = shape
    row, column = (
        np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 4)) ** 2) for n in (high, wide)
    )
    return np.broadcast_to(np.outer(row, column), (count, high, wide))


# --- what goes in --------------------------------------------------------------------------------


def checked_heat(heat: ArrayLike) -> Floats:
    """Maps ``(N, H, W)`` as float64, or an error that says what is wrong with them."""
    values = np.asarray(heat, dtype=np.float64)
    if values.ndim != 3 or values.size == 0:
        hint = "; add the batch axis: heat[None]" if values.ndim == 2 else ""
        raise ValueError(f"heat of shape {values.shape}; expected (N, H, W), not empty{hint}")
    if not np.isfinite(values).all():
        raise ValueError("NaN or infinity in the heat: repair the model or the explanation first")
    return values


def _as_masks(masks: ArrayLike) -> Masks:
    inside = np.asarray(masks, dtype=bool)
    if inside.ndim != 3 or inside.size == 0:
        raise ValueError(f"masks of shape {inside.shape}; expected (N, H, W), not empty")
    return inside


def _pair(heat: ArrayLike, masks: ArrayLike) -> tuple[Floats, Masks]:
    shapes = np.shape(heat), np.shape(masks)
    if shapes[0] != shapes[1] or len(shapes[0]) != 3:
        raise ValueError(
            f"heat is {shapes[0]} and masks are {shapes[1]}; expected one (N, H, W) for "
            f"both: bring the map to the picture's size with resize_heatmap"
        )
    return checked_heat(heat), _as_masks(masks)


_POOLS: dict[str, Callable[[Any], Any]] = {
    "sum,pos": lambda a: np.maximum(a.sum(axis=-1), 0),
    "sum,abs": lambda a: np.abs(a.sum(axis=-1)),
    "l1-norm": lambda a: np.abs(a).sum(axis=-1),
    "max-norm": lambda a: np.abs(a).max(axis=-1),
    "l2-norm": lambda a: np.sqrt(np.square(a).sum(axis=-1)),
    "l2-norm-sq": lambda a: np.square(a).sum(axis=-1),
}


def _pooled(attributions: ArrayLike, pool: Pool) -> Any:
    if pool not in get_args(Pool):
        raise ValueError(f"pool {pool!r}; expected one of {', '.join(map(repr, get_args(Pool)))}")
    values = np.asarray(attributions, dtype=np.float64)
    if values.ndim not in (3, 4):
        raise ValueError(f"attributions of shape {values.shape}; expected (N, H, W) or with C")
    return _POOLS[pool](values if values.ndim == 4 else values[..., None])


def _near(inside: Masks, tolerance: float) -> Masks:
    """The pixels within so many pixels (Euclidean) of the truth."""
    if not tolerance >= 0:
        raise ValueError(f"tolerance {tolerance!r}; expected pixels, 0 or more")
    if tolerance == 0:
        return inside
    from scipy.ndimage import distance_transform_edt

    return np.stack([distance_transform_edt(~m) <= tolerance if m.any() else m for m in inside])


def _share_inside(positive: Floats, inside: Masks) -> Floats:
    total = positive.sum(axis=(1, 2))
    share = (positive * inside).sum(axis=(1, 2))
    return _where((total > 0) & inside.any(axis=(1, 2)), share / np.where(total > 0, total, 1))


def _where(defined: Masks, values: Any) -> Floats:
    return np.where(defined, values, np.nan)
