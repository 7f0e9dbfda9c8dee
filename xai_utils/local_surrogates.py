"""LIME: a weighted sum fitted to what a model says in the neighbourhood of one example.

Perturb, ask, weight by nearness, fit.  What comes out depends on what is called near, and, because
the neighbours are drawn by lot, on the seed: so both are parameters, and the spread over seeds is
there on request.  The fitting is done by the package ``lime``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._black_box import BlackBox, Look, Target, prepared, untouched
from ._frames import Floats, check_column, check_frame, check_varies, predictor
from ._lime_package import fit_image, fit_row
from .scores import Score, announce_zeros, check_count

if TYPE_CHECKING:
    import keras
    import pandas as pd

__all__ = ["ImageLime", "TableLime", "lime_image", "lime_table", "samples_needed", "superpixels"]


PLAIN = (
    "No superpixel counts, or each is of one colour and hidden by that colour: give hide, or fewer "
    "superpixels as segments"
)


class TableLime(NamedTuple):
    """The weighted sum that imitates a model near one row.

    Attributes:
        weights: ``(features,)`` by name: the mean over the seeds.
        spread: their standard deviation over the seeds; NaN where there was one seed.
        r2: how well the sum fits the neighbours, weighted as they are: 1 is perfectly.  The mean
            over the seeds.
        prediction: what the sum says of the row itself.
    """

    weights: pd.Series
    spread: pd.Series
    r2: float
    prediction: float


class ImageLime(NamedTuple):
    """The weight of each superpixel, painted where it lies; one entry for each image.

    Attributes:
        heat: ``(N, H, W)``: the score that is lost with the superpixel, signed; mean over seeds.
        spread: ``(N, H, W)``: standard deviation over the seeds; NaN where there was one.
        r2: ``(N,)``: how well the weighted sum of superpixels fits; mean over seeds.
        segments: ``(N, H, W)`` int: which superpixel a pixel belongs to, from 0.
    """

    heat: NDArray[np.float32]
    spread: NDArray[np.float32]
    r2: Floats
    segments: NDArray[np.intp]


def samples_needed(spread: ArrayLike, samples: int, wanted: float) -> int:
    """How many samples bring the largest spread over seeds down to ``wanted``.

    ``n = samples (max spread / wanted)^2``, because a spread falls as ``1 / sqrt(samples)``.

    Raises:
        ValueError: no spread (ask with ``seeds=10`` or so), or a wanted one that is not positive.
    """
    given = np.asarray(spread, dtype=np.float64)
    if given.size == 0 or np.isnan(given).any():
        raise ValueError("the spread is not known: explain with several seeds, e.g. seeds=10")
    if not 0 < wanted < np.inf:
        raise ValueError(f"wanted {wanted!r}; expected a positive spread in units of the weights")
    return max(1, math.ceil(check_count("samples", samples) * (given.max() / wanted) ** 2))


# --- tables --------------------------------------------------------------------------------------


def _check_row(row: pd.DataFrame, background: pd.DataFrame) -> None:
    check_frame(row, "row")
    check_frame(background, "background")
    if len(row) != 1 or list(row.columns) != list(background.columns):
        raise ValueError(
            f"row is {len(row)} rows of {list(row.columns)}; expected one row with the columns of "
            f"the background, {list(background.columns)}"
        )
    check_varies(background)


def lime_table(
    model: Any,
    row: pd.DataFrame,
    background: pd.DataFrame,
    *,
    samples: int = 5000,
    kernel_width: float | None = None,
    discretise: bool = False,
    around: Literal["row", "background"] = "row",
    categorical: Sequence[str] = (),
    seed: int = 0,
    seeds: int = 1,
) -> TableLime:
    """The weighted sum of features that comes nearest to a model in the neighbourhood of a row.

    ``minimise sum_k exp(-d_k^2 / 2 width^2) (f(z_k) - b - w . z_k / sd)^2 + |w|^2`` over drawn
    rows ``z_k = x + sd * normal``; ``d_k`` is the distance of ``z_k`` to x in standard deviations.
    For a weighted sum it gives slope times standard deviation, but for the ridge's ``|w|^2``.

    The package's own defaults are ``discretise=True``: each feature becomes "in the same quarter
    of the data as the row, or not" and its weight a difference of means, no slope; and, without
    it, ``around="background"``: the neighbours are drawn around the mean of the data.

    Args:
        model: an estimator or a callable; see `tabular`.  Two classes: the second's probability.
        row: a frame of one row.
        background: gives standard deviations, quarters and frequencies.
        samples: neighbours drawn, and so calls of the model.
        kernel_width: width, in standard deviations; None for ``0.75 sqrt(features)``.
        discretise, around: see above.
        categorical: columns of codes; their weight is that of "the same as the row's".
        seed: of the neighbours.
        seeds: how often the explanation is made, with seed, seed + 1, ...

    Returns:
        `TableLime`, weights in units of the prediction.

    Raises:
        ValueError: more or less than one row, other or constant columns, missing values, a width
            that is not positive.
        TypeError: not a frame, or a model that cannot be asked.

    Source: Ribeiro, Singh & Guestrin 2016, "Why should I trust you?", eq. 1 and section 3.4;
    package lime.
    """
    import pandas as pd

    f = predictor(model)
    _check_row(row, background)
    if around not in ("row", "background"):
        raise ValueError(f"around must be 'row' or 'background', not {around!r}")
    for name in categorical:
        check_column(background, name, "categorical")
    columns, train = list(background.columns), background.to_numpy(np.float64)

    def ask(z: Any) -> Floats:
        return f(pd.DataFrame(z, columns=background.columns))

    width = 0.75 * math.sqrt(len(columns)) if kernel_width is None else kernel_width
    options: dict[str, Any] = {
        "categorical_features": [columns.index(name) for name in categorical],
        "discretize_continuous": discretise,
        "sample_around_instance": around == "row",
        "kernel_width": _width(width),
    }
    x = row.to_numpy(np.float64)[0]
    runs = [
        fit_row(ask, x, train, check_count("samples", samples), seed + k, options)
        for k in range(check_count("seeds", seeds))
    ]
    weights, fits, predictions = zip(*runs, strict=True)
    index = pd.Index(columns, name="feature")
    mean, spread = (pd.Series(values, index) for values in _over_seeds(weights))
    return TableLime(mean, spread, float(np.mean(fits)), float(np.mean(predictions)))


# --- images --------------------------------------------------------------------------------------


def superpixels(image: ArrayLike, count: int = 50, *, compactness: float = 0.1) -> NDArray[np.intp]:
    """Cut a picture into about ``count`` patches of like pixels that hang together.

    Nothing in it is drawn by lot.  ``compactness`` weighs nearness against likeness: high for
    squares, low for patches that follow the picture.

    Args:
        image: ``(H, W, C)`` floats in [0, 1], grey or colour; each channel is brought to [0, 1].

    Returns:
        ``(H, W)``, numbered from 0 without gaps.

    Raises:
        ValueError: no ``(H, W, C)``, or fewer pixels than patches.

    Source: Achanta et al. 2012, "SLIC superpixels"; scikit-image.
    """
    x = np.asarray(image, dtype=np.float64)
    if x.ndim != 3 or x.size == 0 or not np.isfinite(x).all():
        raise ValueError(f"image of shape {x.shape}; expected (H, W, C) of finite numbers")
    if check_count("count", count) > x.shape[0] * x.shape[1]:
        raise ValueError(f"{count} patches of {x.shape[0]} x {x.shape[1]} pixels")
    from skimage.segmentation import slic

    low, high = x.min(axis=(0, 1)), x.max(axis=(0, 1))
    even = (x - low) / np.where(high > low, high - low, 1)
    cut = slic(even, count, compactness=_width(compactness), channel_axis=-1, start_label=0)
    return _numbered(cut, x.shape[:2])


def lime_image(
    model: keras.Model | BlackBox,
    images: ArrayLike,
    target: Target = None,
    *,
    segments: ArrayLike | None = None,
    hide: float | None = None,
    samples: int = 1000,
    kernel_width: float = 0.25,
    score: Score = "logit",
    seed: int = 0,
    seeds: int = 1,
    batch_size: int | None = None,
) -> ImageLime:
    """What the score loses with each superpixel, by a weighted sum fitted to pictures without some.

    ``minimise sum_k exp(-d_k^2 / width^2)^(1/2) (f(x with the superpixels of z_k) - b - w . z_k)^2
    + |w|^2`` over random ``z_k`` in {0, 1}, half of the superpixels hidden on average; ``d_k = 1 -
    cos(z_k, all ones) = 1 - sqrt(the share that is left)``.

    Args:
        model: a Keras model, or a callable as for `occlusion`.
        images: ``(N, H, W, C)`` floats, grey (C = 1) or colour (C = 3).
        target: class of each image; None for the predicted one.
        segments: ``(H, W)`` for all or ``(N, H, W)`` whole numbers; None for `superpixels`.
        hide: the value of hidden pixels; None for the superpixel's own mean, in each channel.
        samples: pictures asked for each image and seed.
        kernel_width: width; 0.25 is the package's.
        score: the logit, or the probability.
        seed, seeds: as for `lime_table`; the segments stay the same.
        batch_size: images computed at once.

    Returns:
        `ImageLime`, in units of the score.

    Raises:
        ValueError: wrong images or target, other channels, segments of another shape, a width that
            is not positive.
        TypeError: neither a Keras model nor a callable.

    Source: Ribeiro, Singh & Guestrin 2016, "Why should I trust you?", section 3.4; package lime.
    """
    x, look = prepared(model, images, score, batch_size, "lime")
    if x.shape[-1] not in (1, 3):
        raise ValueError(f"images of {x.shape[-1]} channels; lime knows grey (1) and colour (3)")
    if hide is not None and not np.isfinite(hide):  # which a ReLU would swallow
        raise ValueError(f"hide {hide!r}; expected None or a finite number in the images' scale")
    classes = untouched(look, x, target)[1]
    if segments is None:
        cut = np.stack([superpixels(image) for image in x])
    else:
        given = np.asarray(segments)
        cut = np.stack([_numbered(s, x.shape[1:3]) for s in _for_each(given, len(x))])
    width, samples = _width(kernel_width), check_count("samples", samples)
    heat, spread = np.empty(cut.shape, np.float32), np.empty(cut.shape, np.float32)
    r2 = np.empty(len(x))
    ask, batch = _scores_of(look, x.shape[-1]), look.batch_size
    for n, patch in enumerate(cut):
        runs = [
            fit_image(ask, x[n], patch, int(classes[n]), hide, samples, width, seed + k, batch)
            for k in range(check_count("seeds", seeds))
        ]
        mean, sd = _over_seeds([weights for weights, _ in runs])
        heat[n], spread[n] = mean[patch], sd[patch]
        r2[n] = np.mean([fit for _, fit in runs])
    announce_zeros(heat, "lime_image", PLAIN)
    return ImageLime(heat, spread, r2, cut)


def _scores_of(look: Look, channels: int) -> Callable[[Any], Any]:
    """What lime asks: scores of RGB images, of which a grey model gets one channel."""

    def ask(rgb: Any) -> Any:
        x = np.asarray(rgb, np.float32)[..., :channels]
        return np.concatenate([found for _, found in look.over(lambda n: x[n], len(x))])

    return ask


def _for_each(given: NDArray[Any], n: int) -> NDArray[Any]:
    if given.ndim == 2:
        return np.broadcast_to(given, (n, *given.shape))
    if given.ndim != 3 or len(given) != n:
        raise ValueError(f"segments {given.shape}; expected (H, W), or (N, H, W) with N = {n}")
    return given


def _numbered(segments: NDArray[Any], size: Sequence[int]) -> NDArray[np.intp]:
    """Segments numbered from 0 without gaps: lime takes column k of its samples for number k."""
    if segments.shape != tuple(size) or segments.dtype.kind not in "iub":
        raise ValueError(
            f"segments are {segments.dtype} of shape {segments.shape}; expected whole numbers of "
            f"shape {tuple(size)}"
        )
    return np.unique(segments, return_inverse=True)[1].reshape(segments.shape)


# --- both ----------------------------------------------------------------------------------------


def _over_seeds(runs: Sequence[Floats]) -> tuple[Floats, Floats]:
    every = np.stack(runs)
    alone = np.full(every.shape[1], np.nan)
    return every.mean(axis=0), every.std(axis=0, ddof=1) if len(every) > 1 else alone


def _width(given: Any) -> float:
    if not (isinstance(given, int | float | np.number) and 0 < given < np.inf):
        raise ValueError(f"width {given!r}; expected a positive number")
    return float(given)
