"""Explanations by the gradient of the score with respect to the pixels.

``f(x)`` is the explained score of image x (a logit by default), ``df(x)`` its gradient.  Every
method here is a sum of such gradients: at the image, around it, or on the way to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import scores
from ._paths import Images, Quadrature, baselines, quadrature_rule
from .scores import Score

if TYPE_CHECKING:
    import keras

Target = int | ArrayLike | None


def saliency(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    score: Score = "logit",
    batch_size: int | None = None,
) -> Images:
    """The gradient of a class's score: how it changes when a pixel changes a little.

    ``S = df(x)``, signed; articles show ``max_c |S|``, the maximum over colours of the absolute
    value.  It says how sensitive the score is to a pixel, not how much the pixel contributed.

    Args:
        model: any differentiable network.
        images: ``(N, H, W, C)`` floats in the model's scale.
        target: class of each image; None for the predicted one.
        score: the logit, or the probability, whose gradient vanishes where the model is sure.
        batch_size: images computed at once; None for one that suits their size.

    Returns:
        ``(N, H, W, C)`` float32, in units of the score per unit of the image's scale.

    Raises:
        ValueError: wrong input, or NaN in the gradient (see `scores.explain`).

    Source: Simonyan, Vedaldi & Zisserman 2013, "Deep inside convolutional networks", section 3.
    """
    return scores.explain(
        model, images, target, ("saliency",), _gradient(score), score=score, batch_size=batch_size
    )


def input_x_gradient(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    score: Score = "logit",
    batch_size: int | None = None,
) -> Images:
    """Gradient times pixel: the share of each pixel if the network were linear through zero.

    ``A = x * df(x)``.  On a ReLU network without biases the shares sum to the score.

    Arguments, errors: as for `saliency`.

    Returns:
        ``(N, H, W, C)`` float32, in units of the score.

    Source: Shrikumar et al. 2016, "Not just a black box", arXiv:1605.01713, section 3.2.
    """
    gradient = saliency(model, images, target, score=score, batch_size=batch_size)
    return np.asarray(images, np.float32) * gradient


def smooth_grad(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    samples: int = 50,
    noise: float = 0.15,
    seed: int = 0,
    score: Score = "logit",
    batch_size: int | None = None,
) -> Images:
    """The gradient averaged over noisy copies of the image: what all of them agree on.

    ``M = mean_s df(x + e_s)`` with ``e_s ~ N(0, sigma^2)`` and ``sigma = noise (max x - min x)``.

    Args:
        model, images, target, score, batch_size: as for `saliency`; a predicted class is that of
            the image without noise.
        samples: number of noisy copies of each image.
        noise: standard deviation as a share of the image's own range.
        seed: of the noise, which is drawn image after image, copy after copy, and so is the same in
            every batch size.

    Returns:
        ``(N, H, W, C)`` float32, in units of the score per unit of the image's scale.

    Raises:
        ValueError: wrong input, ``samples`` below 1, negative noise.

    Source: Smilkov et al. 2017, "SmoothGrad", section 2.
    """
    images, classes = scores.resolved(model, images, target, score)
    samples = scores.check_count("samples", samples)
    if not 0 <= noise < np.inf:
        raise ValueError(f"noise {noise!r}; expected a share of the image's range, 0 or more")
    sigma = (noise * np.ptp(images, axis=(1, 2, 3))).astype(np.float32)
    stream = np.random.default_rng(seed)

    def noisy(n: Any, s: Any) -> Images:
        copies = stream.standard_normal((len(n), *images.shape[1:]), np.float32)
        copies *= sigma[n, None, None, None]
        copies += images[n]
        return copies

    weights = np.full(samples, 1 / samples)
    return _weighted_gradients(
        "smooth_grad", model, classes, score, batch_size, images.shape, weights, noisy
    )


def integrated_gradients(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    baseline: float | ArrayLike = 0.0,
    steps: int = 32,
    quadrature: Quadrature = "midpoint",
    score: Score = "logit",
    batch_size: int | None = None,
    return_residual: bool = False,
) -> Any:
    """The gradient gathered on the straight way from a baseline to the image, times the difference.

    ``A = (x - b) * integral_0^1 df(b + a (x - b)) da``.  The shares of all pixels sum to
    ``f(x) - f(b)`` (completeness), up to the error of the quadrature, which is the *residual*.

    Args:
        model, images, target, score, batch_size: as for `saliency`.
        baseline: a number, one image ``(H, W, C)``, or one for each image ``(N, H, W, C)``.  A
            pixel that equals its baseline gets exactly zero.
        steps: points on the way, so gradients for each image.
        quadrature: ``"midpoint"``, ``"trapezoid"`` (both ends among the points) or
            ``"gauss-legendre"``.  A ReLU network's gradient jumps, so no order is reliable.
        return_residual: also return how wrong the sum is.

    Returns:
        ``(N, H, W, C)`` float32, in units of the score; with ``return_residual`` a pair of it and
        ``sum(A) - (f(x) - f(b))``, ``(N,)`` float32 in units of the score.

    Raises:
        ValueError: wrong input, a baseline of another shape, unknown quadrature, ``steps`` below 1
            (below 2 for the trapezoid).

    Source: Sundararajan, Taly & Yan 2017, "Axiomatic attribution for deep networks", eq. 1.
    """
    images, classes = scores.resolved(model, images, target, score)
    start = baselines(baseline, images)
    way = images - start
    points, weights = quadrature_rule(quadrature, steps)

    def on_the_way(n: Any, s: Any) -> Images:
        return start[n] + points[s, None, None, None].astype(np.float32) * way[n]

    total = way * _weighted_gradients(
        "integrated_gradients", model, classes, score, batch_size, images.shape, weights, on_the_way
    )
    if not return_residual:
        return total
    rise = _values(model, images, classes, score) - _values(model, start, classes, score)
    return total, total.sum(axis=(1, 2, 3), dtype=np.float64).astype(np.float32) - rise


def expected_gradients(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    references: ArrayLike,
    samples: int = 100,
    seed: int = 0,
    score: Score = "logit",
    batch_size: int | None = None,
) -> Images:
    """Integrated gradients averaged over baselines drawn from data, one random point on each way.

    ``A = mean_s (x - b_s) * df(b_s + a_s (x - b_s))``, ``b_s`` drawn from the references and
    ``a_s ~ U(0, 1)``.  In expectation the shares sum to ``f(x) - mean f(b)``.

    Args:
        model, images, target, score, batch_size: as for `saliency`.
        references: ``(M, H, W, C)`` images to draw from, e.g. training images.
        samples: draws for each image; without replacement as long as there are references enough.
        seed: of the draws, which are the same for every image.

    Returns:
        ``(N, H, W, C)`` float32, in units of the score.

    Raises:
        ValueError: wrong input, references of another shape, ``samples`` below 1.

    Source: Erion et al. 2021, "Improving performance of deep learning models with axiomatic
    attribution priors and expected gradients", eq. 3.
    """
    images, classes = scores.resolved(model, images, target, score)
    references = scores.check_images(model, references)
    samples = scores.check_count("samples", samples)
    rng = np.random.default_rng(seed)
    rounds = -(-samples // len(references))
    drawn = np.concatenate([rng.permutation(len(references)) for _ in range(rounds)])[:samples]
    a = rng.random(samples, np.float32)[:, None, None, None]

    def between(n: Any, s: Any) -> Images:
        start = references[drawn[s]]
        return start + a[s] * (images[n] - start)

    def way(n: Any, s: Any) -> Images:
        return images[n] - references[drawn[s]]

    weights = np.full(samples, 1 / samples)
    return _weighted_gradients(
        "expected_gradients", model, classes, score, batch_size, images.shape, weights, between, way
    )


# --- what the methods share ----------------------------------------------------------------------


def _gradient(score: Score) -> Callable[[Any, Any, Any], Any]:
    """The step of the engine: the gradient of the explained score, the input alone watched."""

    def step(model: keras.Model, x: Any, target: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            logits = scores.trace(model, x).logits
            value = scores.pick(logits, target, score)
        return scores.sound(tape.gradient(value, x), logits)

    return step


def _weighted_gradients(
    method: str,
    model: keras.Model,
    classes: NDArray[np.int32],
    score: Score,
    batch_size: int | None,
    like: tuple[int, ...],
    weights: NDArray[np.float64],
    point: Callable[[Any, Any], Images],
    factor: Callable[[Any, Any], Images] | None = None,
) -> Images:
    """``sum_s w_s factor(n, s) * df(point(n, s))`` for each image n; without a factor it is 1.

    ``like`` is the images' shape.  ``point`` and ``factor`` take numbers of images and of samples,
    ``(rows,)`` each, and make only the rows of one batch, batch after batch.
    """
    samples, weights = len(weights), weights.astype(np.float32)
    size = scores.default_batch(like[1:]) if batch_size is None else batch_size
    batches = scores.in_batches(
        scores.compiled(model, ("saliency", score), _gradient(score)),
        lambda row: (point(*np.divmod(row, samples)), classes[row // samples]),
        like[0] * samples,
        scores.check_count("batch_size", size),
        method,
    )
    total = np.zeros(like, np.float64)
    for row, gradient in batches:
        n, s = np.divmod(row, samples)
        if factor is not None:
            gradient = gradient * factor(n, s)
        for image in np.unique(n):
            own = n == image
            with np.errstate(invalid="ignore"):  # infinity - infinity is refused below
                # No BLAS: its idle threads spin and take cores from the next batch.
                total[image] += np.einsum("s,shwc->hwc", weights[s[own]], gradient[own])
    scores.check_finite(total, method, model.name)
    return total.astype(np.float32)


def _values(
    model: keras.Model, images: Images, classes: NDArray[np.int32], score: Score
) -> NDArray[np.float32]:
    """The explained score of each image, ``(N,)``."""

    def step(model: keras.Model, x: Any, target: Any) -> Any:
        return scores.pick(scores.trace(model, x).logits, target, score)

    return scores.explain(model, images, classes, ("values",), step, score=score)
