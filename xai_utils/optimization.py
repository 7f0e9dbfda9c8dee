"""What a unit of a network answers to most: gradient ascent in the input.

``a(x)`` is the activation of the unit: a channel of a layer, or the logit of a class.  Training
moves the weights down the loss and leaves the images alone; here the weights stay and an image
moves up the activation.  What comes out is an image that nobody has taken, so its activation is
returned with it, before and after.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import scores
from ._engine import _progress, check_weights
from ._regularisers import Canvas, Recipe, filtered, seen, variation_gradient
from ._units import Place, Unit, activation, check_unit
from .scores import Score

if TYPE_CHECKING:
    import keras

Images = NDArray[np.float32]


@dataclass(frozen=True)
class Maximum:
    """Images that excite a unit, and how far: N of them.

    Attributes:
        images: ``(N, H, W, C)`` float32 in the model's scale.
        before: ``(N,)``, the activation of the image that the ascent started from.
        after: ``(N,)``, the activation of ``images``.
        history: ``(N, steps)``, the activation that each step started from, of the image as it was
            seen there (moved, if there is jitter or zoom).
    """

    images: Images
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    history: NDArray[np.float32]


def activation_maximization(
    model: keras.Model,
    *,
    layer: str | None = None,
    channel: int | ArrayLike | None = None,
    target: int | ArrayLike | None = None,
    place: Place = "mean",
    pre_activation: bool = False,
    score: Score = "logit",
    size: int | tuple[int, int] | None = None,
    value_range: tuple[float | ArrayLike, float | ArrayLike] = (0.0, 1.0),
    bounded: bool = True,
    start: ArrayLike | None = None,
    noise: float = 0.1,
    steps: int = 30,
    step_size: float = 0.05,
    jitter: int = 0,
    zoom: float = 0.0,
    total_variation: float = 0.0,
    fourier: float = 0.0,
    octaves: int = 1,
    seed: int = 0,
    batch_size: int | None = None,
) -> Maximum:
    """Activation maximisation: an image is moved up the gradient of a unit's activation.

    ``x <- P(x + step_size * range * d)`` with ``d = F g / rms(F g) - total_variation * dTV(x)`` and
    ``g = d a(V x) / dx``.  V is a random view of the image (jitter, zoom), F the filter of the
    frequencies that a step may change (fourier, octaves), P clips to the value range.  Each is the
    identity unless it is asked for: what is left is the normalised gradient of the first articles.
    It moves the pixels of each image by ``step_size`` of the range (root of their mean square).

    Args:
        model: any network of images.
        layer, channel: channel (or channels, an image for each) of this layer's output; a unit
            where the layer has no places.  If the layer is applied twice, its first application.
        target: instead of both: class, or classes, whose score is maximised.
        place: ``"mean"`` of the channel over all places, or the neuron at the ``"centre"``.
        pre_activation: the channel before the layer's own activation.  A ReLU that is off passes no
            gradient, so no step would wake it.
        score: of a class: the logit, or the probability, which also rises where all other classes
            fall, and has no gradient where it saturates.
        size: ``(H, W)`` of the images or one number for both; None for what the model expects.  A
            layer with places, and a network that pools globally, take any size.
        value_range: darkest and lightest value of the model's scale: numbers or ``(C,)``.
        bounded: keep the images in that range.  False, as in early articles, gives arrays that are
            pictures only after they were scaled, and what was scaled has another activation.
        start: images ``(N, H, W, C)`` or ``(H, W, C)`` to start from, in the model's scale; None
            for noise around the middle of the range.
        noise: standard deviation of that noise, as a share of the range.
        steps: number of gradients.
        step_size: length of a step, as a share of the range.
        jitter: the image is shifted by up to so many pixels, anew for each step.
        zoom: it is enlarged by a factor between ``1 - zoom`` and ``1 + zoom``, anew for each step.
        total_variation: weight of the pull between neighbours, beside a gradient of mean square 1.
        fourier: decay of the waves' scale with frequency: 0 for ascent in pixels, 1 for waves whose
            scale falls as 1/f, as in photographs.  The noise at the start has that colour, too.
        octaves: coarse to fine: the steps are divided into so many equal parts, and each part may
            change details half as large as the one before.
        seed: image k has the same start and the same views in every batch size.
        batch_size: images computed at once; None for one that suits their size.

    Returns:
        A `Maximum`.  Units whose gradient is zero at every step come with a warning.

    Raises:
        ValueError: both or neither of channel and class, an unknown layer, a channel or class out
            of range, a size that the model cannot take, or an option out of its range.

    Source: Erhan et al. 2009, "Visualizing higher-layer features of a deep network", section 3;
    Simonyan et al. 2013, "Deep inside convolutional networks", section 2 (classes); Mordvintsev et
    al. 2015, "Inceptionism" (jitter, octaves); Mahendran & Vedaldi 2015, "Understanding deep image
    representations by inverting them", eq. 4 (total variation); Olah et al. 2017, "Feature
    visualization" (moved views, Fourier).
    """
    expected = scores.image_shape(model)
    unit, numbers = check_unit(model, layer, channel, target, place, score, pre_activation)
    canvas = Canvas.of(model.name, expected, size, value_range, start, len(numbers))
    recipe = Recipe(
        bounded, noise, steps, step_size, jitter, zoom, total_variation, fourier, octaves, seed
    ).check(canvas)
    check_weights(model)
    batch = scores.default_batch(canvas.shape) if batch_size is None else batch_size
    batch = scores.check_count("batch_size", batch)
    return _ascend(model, unit, np.broadcast_to(numbers, canvas.count), canvas, recipe, batch)


def total_variation(images: ArrayLike) -> NDArray[np.float32]:
    """How rough an image is: the mean absolute difference between neighbouring pixels.

    The mean over all differences, down and across, in every channel: 0 for a plain area, 1/3 each
    way for independent uniform noise in [0, 1].

    Args:
        images: ``(N, H, W, C)``, at least two pixels high and wide.

    Returns:
        ``(N,)`` float32 in units of the images' scale.

    Raises:
        ValueError: another shape.

    Source: Rudin, Osher & Fatemi 1992, "Nonlinear total variation based noise removal algorithms".
    """
    x = np.asarray(images, np.float32)
    if x.ndim != 4 or min(x.shape[1:3]) < 2:
        raise ValueError(f"images of shape {x.shape}; expected (N, H, W, C), 2 x 2 pixels or more")
    down, across = (np.abs(np.diff(x, axis=axis)).reshape(len(x), -1) for axis in (1, 2))
    return np.concatenate([down, across], axis=1).mean(axis=1)


# --- the ascent ----------------------------------------------------------------------------------


def _ascend(
    model: keras.Model,
    unit: Unit,
    numbers: NDArray[np.integer],
    canvas: Canvas,
    recipe: Recipe,
    batch: int,
) -> Maximum:
    """All images, in batches of one shape: each batch takes all its steps before the next."""
    step, value = _functions(model, unit, canvas, recipe)
    total, steps = canvas.count, recipe.steps
    batch = min(batch, total)
    images = np.empty((total, *canvas.shape), np.float32)
    before, after, slope = (np.zeros(total, np.float32) for _ in range(3))
    history = np.empty((total, steps), np.float32)
    batches = -(-total // batch)
    u: Any = None
    for turn in _progress(range(batches * steps), "activation_maximization"):
        k, s = divmod(turn, steps)
        # The last batch is filled up with copies of the last image: no other shape, no new trace.
        index = np.minimum(np.arange(k * batch, (k + 1) * batch), total - 1)
        own, count = index[: total - k * batch], min(batch, total - k * batch)
        unit_numbers = numbers[index].astype(np.int32)
        if s == 0:
            u = recipe.start(canvas, index)
            before[own] = value(u, unit_numbers)[:count]
        u, seen_value, rms = step(u, unit_numbers, *recipe.at(canvas, s))
        history[own, s] = seen_value.numpy()[:count]
        slope[own] = np.maximum(slope[own], rms.numpy()[:count])
        if s == steps - 1:
            after[own] = value(u, unit_numbers)[:count]
            images[own] = canvas.low + canvas.width * u.numpy()[:count]
    scores.check_finite(images, "activation_maximization", model.name)
    scores.check_finite(history, "activation_maximization", model.name)
    _announce_silence(slope, numbers, unit)
    return Maximum(images, before, after, history)


def _functions(model: keras.Model, unit: Unit, canvas: Canvas, recipe: Recipe) -> tuple[Any, Any]:
    """One step, and the activation of the pictures as they are, each compiled once.

    How far a step goes, where a view lies and which frequencies pass are arguments: to change them
    traces nothing anew.
    """
    import tensorflow as tf

    low, width = canvas.low, canvas.width

    def measured(model: keras.Model, u: Any, numbers: Any) -> Any:
        return activation(model, low + width * u, numbers, unit)

    step = _ascent(measured, recipe)
    pictures = tf.TensorSpec([None, *canvas.shape], tf.float32)
    matrix, pair = tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([2], tf.float32)
    key = ("activation_maximization", unit, canvas.key)
    try:
        one = scores.compiled(
            model, (*key, recipe.parts), step, [pictures, matrix, matrix, matrix, pair]
        )
        values = scores.compiled(model, key, lambda m, _, n, u: measured(m, u, n), [pictures])
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(
            f"model {model.name!r} cannot take images of size {canvas.shape[:2]}: {error}"
        ) from error
    # The engine's own images have the model's size; ours may not, and come beside them.
    none = np.zeros((0, *canvas.expected), np.float32)
    return (
        lambda u, numbers, *rest: one(none, numbers, u, *rest),
        lambda u, numbers: values(none, numbers, u).numpy(),
    )


def _ascent(measured: Any, recipe: Recipe) -> Any:
    """The step of the engine: a picture a bit further up, where it stood, and how steep that was.

    ``measured(model, u, numbers)`` is the activation of pictures u in [0, 1].
    """
    moved, smooth, flat, bounded = recipe.parts

    def step(
        model: keras.Model,
        _: Any,
        numbers: Any,
        u: Any,
        rows: Any,
        columns: Any,
        passes: Any,
        pace: Any,
    ) -> Any:
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(u)
            value = measured(model, seen(u, rows, columns) if moved else u, numbers)
        g = tape.gradient(value, u)
        g = filtered(g, passes) if smooth else g
        rms = tf.sqrt(tf.reduce_mean(g**2, axis=(1, 2, 3), keepdims=True))
        d = tf.math.divide_no_nan(g, rms)
        if flat:
            d -= pace[1] * variation_gradient(u)
        u += pace[0] * d
        return tf.clip_by_value(u, 0.0, 1.0) if bounded else u, value, rms[:, 0, 0, 0]

    return step


def _announce_silence(slope: NDArray[np.float32], numbers: NDArray[np.integer], unit: Unit) -> None:
    """Say so when nothing pulled: the image is then the noise that it started as."""
    silent = np.flatnonzero(slope == 0)
    if silent.size:
        what = "class" if unit.layer is None else f"channel of {unit.layer!r}"
        warnings.warn(
            f"activation_maximization: the gradient is zero at every step for {silent.size} of "
            f"{len(slope)} images (first: {what} {numbers[silent[0]]}). The unit is off near the "
            f"start: ask for pre_activation=True, another start or seed, or more noise",
            stacklevel=4,
        )
