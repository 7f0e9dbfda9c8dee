"""What the class activation maps have in common: one pass for many layers, and what zeros mean."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import scores
from ._cam_layers import default_layer, gradients_at, spatial_layer
from .scores import Score

if TYPE_CHECKING:
    import keras

Maps = NDArray[np.float32]
Target = int | ArrayLike | None
SILENT = "No place speaks for this class, or the score's gradient vanished"
Heat = Callable[[Any, Any], Any]  # heat(activation, gradient): (N, h, w, K) each -> (N, h, w)


def from_gradient(
    method: str,
    heat: Heat,
    model: keras.Model,
    images: ArrayLike,
    target: Target,
    layer: str | None,
    score: Score,
    batch_size: int | None,
) -> Maps:
    """A map made of one layer's output and the score's gradient there; zeros are announced."""
    name = default_layer(model) if layer is None else spatial_layer(model, layer)

    def step(model: keras.Model, x: Any, target: Any) -> Any:
        logits, ((a, g),) = gradients_at(model, [name], x, target, score)
        return scores.sound(heat(a, g), logits, g)

    result = scores.explain(
        model, images, target, (method, name), step, score=score, batch_size=batch_size
    )
    return announce_zeros(result, f"{method} at {name!r}", stacklevel=4)


def from_gradients(
    method: str,
    heat: Heat,
    model: keras.Model,
    images: ArrayLike,
    target: Target,
    names: Sequence[str],
    score: Score,
    batch_size: int | None,
) -> dict[str, Maps]:
    """The same at many layers, from one pass each way."""

    def step(model: keras.Model, x: Any, target: Any) -> Any:
        import tensorflow as tf

        logits, pairs = gradients_at(model, names, x, target, score)
        maps = [scores.sound(heat(a, g), logits, g) for a, g in pairs]
        # The engine wants one row an image: the sizes, which may hang on the image's; then the maps
        n = tf.shape(x)[0]
        sizes = tf.cast(tf.concat([tf.shape(m)[1:] for m in maps], axis=0), tf.float32)
        sizes = tf.broadcast_to(sizes, (n, 2 * len(maps)))
        return tf.concat([sizes, *(tf.reshape(m, (n, -1)) for m in maps)], axis=1)

    rows = scores.explain(
        model, images, target, (method, *names), step, score=score, batch_size=batch_size
    )
    sizes, rows = np.split(rows, [2 * len(names)], axis=1)
    shapes = sizes[0].astype(int).reshape(-1, 2)
    flat = np.split(rows, np.cumsum(shapes.prod(axis=1))[:-1], axis=1)
    maps = {n: m.reshape(-1, *s) for n, m, s in zip(names, flat, shapes, strict=True)}
    announce_zero_layers(maps, method, stacklevel=4)
    return maps


def announce_zeros(heat: Maps, what: str, stacklevel: int = 3) -> Maps:
    """Say so when a map is zero everywhere."""
    return scores.announce_zeros(heat, what, SILENT, stacklevel + 1)


def announce_zero_layers(maps: dict[str, Maps], what: str, stacklevel: int) -> None:
    """The same for many layers, in one warning."""
    empty = {name: int((~m.any(axis=(1, 2))).sum()) for name, m in maps.items()}
    told = [f"{name!r} ({count})" for name, count in empty.items() if count]
    if told:
        total = len(next(iter(maps.values())))
        warnings.warn(
            f"{what}: the map is zero everywhere at {', '.join(told)}; in brackets for how many of "
            f"{total} images. No place speaks for this class there, or the score's gradient "
            f"vanished",
            stacklevel=stacklevel,
        )
