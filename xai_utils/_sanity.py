"""Does a map depend on the model?  Networks that have lost their weights, and a map without one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import scores
from ._graph import copied, leaves

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float64]
Order = Literal["cascading", "independent"]
How = Literal["initialise", "permute"]


def randomise_weights(
    model: keras.Model,
    order: Order = "cascading",
    *,
    how: How = "initialise",
    seed: int = 0,
) -> Iterator[tuple[str, keras.Model]]:
    """The model with its weights lost layer by layer, from the output down.

    ``for name, damaged in randomise_weights(model): ...``.  An explanation of *the model* must
    change along the way; one that does not shows the picture.  The given model is not touched.

    Args:
        model: a Keras model.
        order: ``"cascading"``: this layer and all above it are random; ``"independent"``: this
            layer alone, the others as trained.
        how: ``"initialise"``: fresh draws from each layer's own initialisers, so biases and
            moving means are 0 again; ``"permute"``: the layer's trained values, shuffled within
            each weight, so that their distribution stays.  Either way a ``Normalization`` layer
            keeps what it knows of the data.
        seed: of the draws.

    Yields:
        The layer's name and the damaged model.  It is *one* copy, changed from step to step and
        compiled once: finish with it before the next step.

    Raises:
        TypeError, ValueError: a model that cannot be followed layer by layer, or without weights,
            an unknown order or way.

    Source: Adebayo et al. 2018, "Sanity checks for saliency maps".
    """
    if order not in ("cascading", "independent"):
        raise ValueError(f"order {order!r}; expected 'cascading' or 'independent'")
    if how not in ("initialise", "permute"):
        raise ValueError(f"how {how!r}; expected 'initialise' or 'permute'")
    copy, trained = _fresh_copy(model, seed), _weighted(model)
    pairs = list(zip(trained, _weighted(copy), strict=True))
    lost = [_lost(old, new, how, [seed, n]) for n, (old, new) in enumerate(pairs)]
    copy.set_weights(model.get_weights())

    def steps() -> Iterator[tuple[str, keras.Model]]:
        for (old, new), values in list(zip(pairs, lost, strict=True))[::-1]:
            if order == "independent":
                copy.set_weights(model.get_weights())
            new.set_weights(values)
            yield old.name, copy

    return steps()


def untrained(model: keras.Model, seed: int = 0) -> keras.Model:
    """The same architecture with fresh weights from its own initialisers; the model is untouched.

    Source: Adebayo et al. 2018: the last step of the cascade.
    """
    return _fresh_copy(model, seed)


class Likeness(NamedTuple):
    """How alike two sets of maps are, image by image, ``(N,)`` each; 1 for the same map.

    Attributes:
        rank: rank correlation with signs, in [-1, 1].
        rank_absolute: of the magnitudes: what a figure in one colour shows.
        ssim: structural similarity with signs, in [-1, 1].
        ssim_absolute: of the magnitudes.
    """

    rank: Floats
    rank_absolute: Floats
    ssim: Floats
    ssim_absolute: Floats


def label_randomisation(
    explain: Callable[..., ArrayLike],
    model: keras.Model,
    shuffled: keras.Model,
    images: ArrayLike,
    target: int | ArrayLike | None = None,
) -> Likeness:
    """Maps of one network beside those of another that learned shuffled labels by heart.

    ``likeness(E(f, x_n, c_n), E(f', x_n, c_n))`` for each image n, where E is the method, f the
    network, and f' one of the same architecture that was trained on the same images after their
    labels had changed places.  f' knows its training images and nothing about the classes, so a
    method that explains what f has learned must give other maps for it: the lower the better.  What
    is low is told by a third network, trained on the true labels once more, in the place of f'.

    Args:
        explain: ``explain(model, images, target)``, ``(N, h, w)`` or ``(N, h, w, C)``; the channels
            of the latter are summed with their signs, and of their magnitudes the largest is taken.
        model: trained on the true labels.
        shuffled: trained on the shuffled ones (in the course: the network ``mnist_shuffled``).
        images: ``(N, H, W, C)`` floats in the models' scale, which neither was trained on.
        target: class of each image, the same for both; None for the class that ``model`` predicts.

    Raises:
        ValueError: maps of different shapes, NaN, or smaller than 7 x 7 (see `ssim`).

    Source: Adebayo et al. 2018, "Sanity checks for saliency maps", data randomization test.
    """
    x, classes = scores.resolved(model, images, target, "logit")
    maps = [_readings(np.asarray(explain(f, x, classes), np.float64)) for f in (model, shuffled)]
    (signed, sizes), (other_signed, other_sizes) = maps
    return Likeness(
        rank_correlation(signed, other_signed),
        rank_correlation(sizes, other_sizes),
        ssim(signed, other_signed),
        ssim(sizes, other_sizes, absolute=True),
    )


def sobel_edges(images: ArrayLike) -> Floats:
    """The edges of each picture, ``(N, H, W)``: a map that has never seen a network.

    The magnitude of the Sobel gradient of the mean over channels.  Whatever it scores, a method
    must score more before its score says anything about the model.

    Args:
        images: ``(N, H, W, C)``.

    Raises:
        ValueError: images of another rank, NaN or infinity in them.

    Source: Adebayo et al. 2018 (edge detectors as control).
    """
    from skimage import filters

    sobel: Any = filters.sobel
    pictures = np.asarray(images)
    if pictures.ndim != 4 or pictures.size == 0:
        raise ValueError(f"images of shape {pictures.shape}; expected (N, H, W, C), not empty")
    if not np.isfinite(pictures).all():
        raise ValueError("NaN or infinity in the images; remove or repair them")
    return np.stack([sobel(p.astype(np.float64).mean(axis=-1)) for p in pictures])


def rank_correlation(a: ArrayLike, b: ArrayLike, *, absolute: bool = False) -> Floats:
    """Spearman's rank correlation of two sets of maps, image by image: ``(N,)`` in [-1, 1].

    Args:
        a: ``(N, ...)``.
        b: the same shape.
        absolute: compare magnitudes, whatever their sign.

    Returns:
        ``(N,)``; equal values share their mean rank; NaN where a map is the same everywhere.

    Raises:
        ValueError: shapes differ, NaN or infinity.

    Source: Spearman 1904; for maps, Adebayo et al. 2018.
    """
    from scipy.stats import rankdata

    one, other = (rankdata(v.reshape(len(v), -1), axis=1) for v in _alike(a, b, absolute))
    one, other = (r - r.mean(axis=1, keepdims=True) for r in (one, other))
    length = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    product = (one * other).sum(axis=1)
    return np.divide(product, length, out=np.full(len(one), np.nan), where=length > 0)


def ssim(a: ArrayLike, b: ArrayLike, *, absolute: bool = False) -> Floats:
    """Structural similarity of two sets of maps, image by image: ``(N,)`` in [-1, 1].

    Each map is divided by its own largest magnitude first, because SSIM depends on the scale.
    Signed maps are then moved from [-1, 1] to [0, 2]: SSIM compares means as well, and takes a map
    with its sign turned for a likeness where the means have turned too.  Windows of 7 pixels.

    Args:
        a: ``(N, H, W)``, 7 pixels or more to a side.
        b: the same shape.
        absolute: compare magnitudes, whatever their sign.

    Returns:
        ``(N,)``; a map that is zero everywhere is compared as it is.

    Raises:
        ValueError: shapes differ or are too small, NaN or infinity.

    Source: Wang et al. 2004, "Image quality assessment"; for maps, Adebayo et al. 2018.
    """
    from skimage import metrics

    similarity: Any = metrics.structural_similarity
    one, other = (_by_its_peak(v) + (not absolute) for v in _alike(a, b, absolute))
    if one.ndim != 3 or min(one.shape[1:]) < 7:
        raise ValueError(f"maps of shape {one.shape}; expected (N, H, W), 7 pixels or more a side")
    span = 1.0 if absolute else 2.0
    pairs = zip(one, other, strict=True)
    return np.array([similarity(p, q, data_range=span) for p, q in pairs])


# --- parts ---------------------------------------------------------------------------------------


def _alike(a: ArrayLike, b: ArrayLike, absolute: bool) -> tuple[Floats, Floats]:
    one, other = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if one.shape != other.shape or one.ndim < 2 or one.size == 0:
        raise ValueError(f"maps of shapes {one.shape} and {other.shape}; expected one (N, ...)")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError("NaN or infinity in the maps: repair the model or the explanation first")
    return (np.abs(one), np.abs(other)) if absolute else (one, other)


def _readings(maps: Floats) -> tuple[Floats, Floats]:
    """One map a picture, ``(N, h, w)``: with signs, and of magnitudes."""
    if maps.ndim == 4:
        return maps.sum(axis=-1), np.abs(maps).max(axis=-1)
    return maps, np.abs(maps)


def _by_its_peak(maps: Floats) -> Floats:
    peak = np.abs(maps).max(axis=tuple(range(1, maps.ndim)), keepdims=True)
    return maps / np.where(peak > 0, peak, 1)


def _fresh_copy(model: keras.Model, seed: int) -> keras.Model:
    """The architecture built anew, its weights drawn with this seed and no global seed moved."""
    scores.layers(model)  # refuses what cannot be followed, before Keras fails in its own words
    before = random.getstate()  # whence Keras takes the seed of an initialiser that has none
    random.seed(seed)
    try:
        copy = copied(model)
    finally:
        random.setstate(before)
    for old, new in zip(leaves(model), leaves(copy), strict=True):
        if _knows_the_data(old):
            new.set_weights(old.get_weights())
            new.finalize_state()  # it computes with numbers that it derives from its weights
    return copy


def _weighted(model: keras.Model) -> list[Any]:
    """The layers that can lose weights, from input to output, each once."""
    found = [x for x in leaves(model) if x.weights and not _knows_the_data(x)]
    if not found:
        raise ValueError(f"model {model.name!r} has no weights that could be lost")
    return found


def _knows_the_data(layer: Any) -> bool:
    """What `keras.layers.Normalization` learned is the scale of the data, and no part of a task."""
    return type(layer).__name__ == "Normalization"


def _lost(old: Any, new: Any, how: How, seed: list[int]) -> list[NDArray[Any]]:
    """A layer's weights as they are after training has been undone."""
    if how == "initialise":
        return list(new.get_weights())
    rng = np.random.default_rng(seed)
    return [rng.permutation(w.ravel()).reshape(w.shape) for w in old.get_weights()]
