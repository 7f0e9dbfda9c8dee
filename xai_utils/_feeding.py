"""The batches that training sees: shuffled, cut, flipped and brightened, the same for a seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .datasets import ImageDataset

if TYPE_CHECKING:
    from .training import Recipe


def training_batches(part: ImageDataset, recipe: Recipe, seed: int) -> Any:
    """Shuffled batches of the training part, changed as the recipe says; the same for a seed."""
    images, labels = part.inputs, part.labels
    rng = np.random.default_rng(seed)

    def epoch() -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        order = rng.permutation(len(labels))
        for start in range(0, len(labels), recipe.batch_size):
            chosen = order[start : start + recipe.batch_size]
            batch = images[chosen]
            if recipe.crop is not None:
                batch = _windows(batch, recipe.crop, rng)
            if recipe.jitter is not None:
                batch = _jittered(batch, recipe.jitter, rng)
            yield batch, labels[chosen]

    side = images.shape[1:3] if recipe.crop is None else (recipe.crop, recipe.crop)
    return _stream(epoch, (*side, images.shape[3]), len(labels), recipe.batch_size)


def plain_batches(part: ImageDataset, batch_size: int) -> Any:
    """The images of a part as they are, in their order."""
    images, labels = part.inputs, part.labels

    def epoch() -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        for start in range(0, len(labels), batch_size):
            yield images[start : start + batch_size], labels[start : start + batch_size]

    return _stream(epoch, images.shape[1:], len(labels), batch_size)


def _stream(
    epoch: Callable[[], Iterator[Any]], shape: tuple[int, ...], n_images: int, batch_size: int
) -> Any:
    """A generator of batches as a ``tf.data.Dataset``, called anew for every epoch.

    Its self-tuning is switched off: it sleeps for ever longer times between its looks, and the end
    of an epoch can wait until it wakes.
    """
    import tensorflow as tf

    signature = (tf.TensorSpec((None, *shape), tf.float32), tf.TensorSpec((None,), tf.int64))
    stream = tf.data.Dataset.from_generator(epoch, output_signature=signature)
    options = tf.data.Options()
    options.autotune.enabled = False
    count = tf.data.experimental.assert_cardinality(math.ceil(n_images / batch_size))
    return stream.apply(count).with_options(options)


def _windows(
    batch: NDArray[np.float32], side: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A square window of each image, at a place drawn anew."""
    rows = rng.integers(batch.shape[1] - side + 1, size=len(batch))
    columns = rng.integers(batch.shape[2] - side + 1, size=len(batch))
    corners = zip(batch, rows, columns, strict=True)
    return np.stack([image[y : y + side, x : x + side] for image, y, x in corners])


def _jittered(
    batch: NDArray[np.float32], jitter: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Flips and another contrast and brightness for each image."""
    for axis in (1, 2):
        flip = rng.random(len(batch)) < 0.5
        batch[flip] = np.flip(batch[flip], axis=axis)
    contrast, brightness = jitter
    gain = rng.uniform(1 - contrast, 1 + contrast, (len(batch), 1, 1, 1))
    shift = rng.uniform(-brightness, brightness, (len(batch), 1, 1, 1))
    return np.clip((batch - 0.5) * gain + 0.5 + shift, 0, 1).astype(np.float32)
