"""Does a map tell what the network uses?  Take pixels away in the map's order and watch the score.

All of these are one thing: an order of the pixels, what stands in the place of those that are
gone, and the curve of the score.  What stands there decides what is measured, because a picture
with black holes is one that the network has never seen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import scores
from ._fills import Fill, filler
from ._localisation import checked_heat
from ._sanity import sobel_edges
from .scores import Score

if TYPE_CHECKING:
    import keras

Images = NDArray[np.float32]
NOISE = 0.01  # of images in [0, 1]: what ROAD adds to its linear imputation
ROAD_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)


class Curve(NamedTuple):
    """A score while pixels go: K points for each of N images.

    Attributes:
        shares: ``(K,)``, the share of the pixels that is gone (or, when inserting, is there).
        values: ``(N, K)``, the score of each image's class.
        kept: ``(N, K)`` bool, whether that class is still the network's first choice.
    """

    shares: NDArray[np.float64]
    values: NDArray[np.float32]
    kept: NDArray[np.bool_]

    @property
    def area(self) -> NDArray[np.float64]:
        """``(N,)``: the area under each curve (trapezia) divided by its width: its mean height."""
        width = self.shares[-1] - self.shares[0]
        values = self.values.astype(np.float64)
        return np.asarray(np.trapezoid(values, self.shares, axis=1) / width)

    @property
    def drop(self) -> NDArray[np.float64]:
        """``(N,)``: the mean fall from the first point, ``mean_k f(x_0) - f(x_k)`` (AOPC).

        Source: Samek et al. 2017, "Evaluating the visualization of what a deep neural network has
        learned", eq. 12, the mean over images left out.
        """
        values = self.values.astype(np.float64)
        return (values[:, :1] - values).mean(axis=1)


def removal_curve(
    model: keras.Model,
    images: ArrayLike,
    heat: ArrayLike,
    target: int | ArrayLike | None = None,
    *,
    steps: int | Sequence[float] = 10,
    fill: Fill | float | ArrayLike = 0.0,
    insert: bool = False,
    least_first: bool = False,
    noise: float = NOISE,
    seed: int = 0,
    score: Score = "logit",
    batch_size: int | None = None,
) -> Curve:
    """The score while pixels are taken away in the order of a map, the highest value first.

    ``f(x_k)``, where x_k is the image without its first ``shares[k] H W`` pixels.  Pixels of equal
    value go in random order (the same in every image), so a flat map is a random one.

    Args:
        model: a Keras model.
        images: ``(N, H, W, C)`` floats in the model's scale.
        heat: ``(N, H, W)``; only the order of its values counts.
        target: class of each image; None for the one predicted for the untouched image.
        steps: in how many equal steps, from none of the pixels to all of them; or the shares
            themselves, ascending between 0 and 1.
        fill: what stands in the place of a pixel that is gone: a number; ``"mean"``, the image's
            own in each channel; ``"blur"``, the image under a Gaussian of 5 pixels; ``"linear"``,
            imputed from what is left around it with a little noise (ROAD), which is slow; an image
            ``(H, W, C)`` or one for each image ``(N, H, W, C)``.
        insert: start from nothing and put pixels back in, in the same order.
        least_first: the lowest value first.
        noise: standard deviation of ROAD's noise, in units of the images; ``"linear"`` only.
        seed: of the order among equals, and of that noise.
        score: the logit, or the probability, as in Petsiuk 2018.
        batch_size: images computed at once; None for one that suits their size.

    Raises:
        ValueError: wrong input, heat of another size than the images, NaN, an unknown fill, shares
            that do not ascend within [0, 1].

    Source: Samek et al. 2017 and Petsiuk et al. 2018, for the curves; see `road` for the fill.
    """
    x, classes = scores.resolved(model, images, target, score)
    maps = _of_images(heat, x)
    shares = _shares(steps)
    counts = np.rint(shares * maps[0].size).astype(int)
    among_equals = np.random.default_rng(seed).permutation(maps[0].size)

    @functools.lru_cache(maxsize=1)  # rows come image by image
    def gone_first(n: int) -> NDArray[np.intp]:
        return _ranks(maps[n] if least_first else -maps[n], among_equals)

    filling = filler(fill, x, noise, seed)
    changed = functools.partial(_changed, x, classes, counts, gone_first, filling, insert)
    size = scores.default_batch(x.shape[1:]) if batch_size is None else batch_size
    batches = scores.in_batches(
        scores.compiled(model, ("score and choice", score), functools.partial(_answer, score)),
        changed,
        len(x) * len(counts),
        scores.check_count("batch_size", size),
        "pixels removed",
    )
    found = np.concatenate([rows for _, rows in batches]).reshape(len(x), len(counts), 2)
    scores.check_finite(found, "removal_curve", model.name)
    return Curve(shares, found[..., 0], found[..., 1] > 0.5)


def deletion(
    model: keras.Model,
    images: ArrayLike,
    heat: ArrayLike,
    target: int | ArrayLike | None = None,
    *,
    fill: Fill | float | ArrayLike = 0.0,
    **options: Any,
) -> NDArray[np.float64]:
    """The mean height of the score while the highest pixels go first: lower is better, ``(N,)``.

    In units of the score; between 0 and 1 with ``score="probability"``.  Arguments are those of
    `removal_curve`.  What to compare with is the same of a random map and of an edge map: see
    `pixel_flipping`.

    Source: Petsiuk et al. 2018, "RISE", which uses the probability.
    """
    return removal_curve(model, images, heat, target, fill=fill, **options).area


def insertion(
    model: keras.Model,
    images: ArrayLike,
    heat: ArrayLike,
    target: int | ArrayLike | None = None,
    *,
    fill: Fill | float | ArrayLike = "blur",
    **options: Any,
) -> NDArray[np.float64]:
    """The mean height while the highest pixels return to a blurred image: higher is better, (N,).

    In units of the score; between 0 and 1 with ``score="probability"``.  Arguments are those of
    `removal_curve`.

    Source: Petsiuk et al. 2018, "RISE", which uses the probability.
    """
    return removal_curve(model, images, heat, target, fill=fill, insert=True, **options).area


def pixel_flipping(
    model: keras.Model,
    images: ArrayLike,
    heat: ArrayLike,
    target: int | ArrayLike | None = None,
    *,
    seed: int = 0,
    **options: Any,
) -> dict[str, Curve]:
    """Three curves: in the order of the map, at random, and in the order of an edge detector.

    ``curves["map"].drop`` is to be compared with the other two: a map that tells what the network
    uses makes the score fall faster than chance, and faster than edges, which know the picture and
    not the network.  Arguments are those of `removal_curve`; a random order is another one for
    every image.

    Source: Bach et al. 2015, section "Pixel-flipping", and Samek et al. 2017, eq. 12.
    """
    pictures, maps = scores.check_images(model, images), checked_heat(heat)
    at_random = [np.random.default_rng([seed, n]).random(m.shape) for n, m in enumerate(maps)]
    edges = sobel_edges(pictures)
    return {
        name: removal_curve(model, pictures, order, target, seed=seed, **options)
        for name, order in (("map", maps), ("random", np.stack(at_random)), ("edges", edges))
    }


def road(
    model: keras.Model,
    images: ArrayLike,
    heat: ArrayLike,
    target: int | ArrayLike | None = None,
    *,
    shares: Sequence[float] = ROAD_SHARES,
    least_first: bool = False,
    **options: Any,
) -> Curve:
    """The curve while pixels are replaced by what their surroundings suggest (remove and debias).

    Filling by a linear system leaves little trace of *where* pixels were taken, which a network
    might otherwise read.  With ``target`` the true labels, ``curve.kept.mean(axis=0)`` is the
    article's accuracy at each share.  Most relevant first: the lower the better; ``least_first``:
    the higher.  A system is solved for every image and share, so it is slow on large images.

    Arguments are those of `removal_curve`.

    Source: Rong et al. 2022, "A consistent and efficient evaluation strategy for attribution
    methods" (ROAD).
    """
    return removal_curve(
        model,
        images,
        heat,
        target,
        steps=shares,
        fill="linear",
        least_first=least_first,
        **options,
    )


def _changed(
    x: Images,
    classes: NDArray[np.int32],
    counts: NDArray[np.int_],
    gone_first: Callable[[int], NDArray[np.intp]],
    filling: Callable[[int, int, NDArray[np.bool_]], Images],
    insert: bool,
    row: NDArray[np.intp],
) -> tuple[Images, NDArray[np.int32]]:
    """Copies of the images in which the first ``counts[k]`` pixels are gone, or are there only."""
    n, k = np.divmod(row, len(counts))
    copies = x[n]
    for copy, i, j in zip(copies, n, k, strict=True):
        first = gone_first(int(i)) < counts[j]
        gone = ~first if insert else first
        copy[gone] = filling(int(i), int(j), gone)[gone]
    return copies, classes[n]


# --- what goes in --------------------------------------------------------------------------------


def _ranks(values: NDArray[np.float64], among_equals: NDArray[np.intp]) -> NDArray[np.intp]:
    """Each pixel's place in the order of its value, the lowest first: ``(H, W)``."""
    place = np.empty(values.size, np.intp)
    place[np.lexsort((among_equals, values.ravel()))] = np.arange(values.size)
    return place.reshape(values.shape)


def _answer(score: Score, model: keras.Model, x: Any, target: Any) -> Any:
    """The class's score, and whether it is the first choice: ``(N, 2)``."""
    import tensorflow as tf

    z = scores.trace(model, x).logits
    first = tf.argmax(z, axis=1, output_type=tf.int32) == target
    return tf.stack([scores.pick(z, target, score), tf.cast(first, tf.float32)], axis=1)


def _of_images(heat: ArrayLike, x: Images) -> NDArray[np.float64]:
    maps = checked_heat(heat)
    if maps.shape != x.shape[:3]:
        raise ValueError(
            f"heat of shape {maps.shape} for images {x.shape}; expected {x.shape[:3]}: bring the "
            f"map to the picture's size with resize_heatmap"
        )
    return maps


def _shares(steps: int | Sequence[float]) -> NDArray[np.float64]:
    if np.ndim(steps) == 0:
        return np.linspace(0, 1, scores.check_count("steps", steps) + 1)
    shares = np.asarray(steps, dtype=np.float64)
    good = shares.ndim == 1 and len(shares) > 1 and (np.diff(shares) > 0).all()
    if not good or shares[0] < 0 or shares[-1] > 1:
        raise ValueError(f"steps {steps!r}; expected a number, or shares ascending within [0, 1]")
    return shares
