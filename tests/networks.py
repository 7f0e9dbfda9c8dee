"""Small seeded networks for the tests, each in every form that Keras knows.

TensorFlow is imported here, quietly; the tests take ``keras``, ``layers`` and ``tf`` from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xai_utils._quiet import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402

__all__ = ["keras", "layers", "tf"]

SHAPE = (8, 8, 1)
CLASSES = 3
Layers = list[Any]

# --- layers --------------------------------------------------------------------------------------

ENDS: dict[str, Callable[[], Layers]] = {
    "logits": lambda: [layers.Dense(CLASSES, name="logits")],
    "dense activation": lambda: [layers.Dense(CLASSES, activation="softmax", name="logits")],
    "softmax layer": lambda: [layers.Dense(CLASSES, name="logits"), layers.Softmax(name="softmax")],
    "activation layer": lambda: [
        layers.Dense(CLASSES, name="logits"),
        layers.Activation("softmax", name="softmax"),
    ],
}


def trunk_layers() -> Layers:
    """Two convolutions with a pooling between: 8x8x1 to 4x4x4."""
    return [
        layers.Conv2D(3, 3, padding="same", activation="relu", name="conv1"),
        layers.MaxPooling2D(name="pool1"),
        layers.Conv2D(4, 3, padding="same", activation="relu", name="conv2"),
    ]


def flat_layers(end: str = "softmax layer") -> Layers:
    """The trunk, then Flatten, Dense 5 with ReLU, and the end."""
    head = [layers.Flatten(name="flatten"), layers.Dense(5, activation="relu", name="dense")]
    return [*trunk_layers(), *head, *ENDS[end]()]


def gap_layers(end: str = "softmax layer") -> Layers:
    """The trunk, then global average pooling and the end."""
    return [*trunk_layers(), layers.GlobalAveragePooling2D(name="gap"), *ENDS[end]()]


# --- forms ---------------------------------------------------------------------------------------


def sequential(parts: Sequence[Any], shape: Sequence[int | None] = SHAPE, **named: Any) -> Any:
    return keras.Sequential([keras.Input(shape), *parts], **named)


def functional(parts: Sequence[Any], shape: Sequence[int | None] = SHAPE, **named: Any) -> Any:
    x = inputs = keras.Input(shape)
    for layer in parts:
        x = layer(x)
    return keras.Model(inputs, x, **named)


def nested_start(parts: Sequence[Any]) -> Any:
    """A model as the first layer, as in transfer learning."""
    return functional([sequential(parts[:3], name="trunk"), *parts[3:]])


def nested_end(parts: Sequence[Any]) -> Any:
    """A model as the last layer, the softmax inside."""
    return sequential([*parts[:3], functional(parts[3:], (4, 4, 4), name="head")])


def nested_twice(parts: Sequence[Any]) -> Any:
    """A model in a model in a model, in the middle and at the end."""
    inner = sequential(parts[3:], (4, 4, 4), name="inner")
    outer = functional([parts[2], inner], (4, 4, 3), name="outer")
    return functional([functional(parts[:2], name="start"), outer])


FORMS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "sequential": sequential,
    "functional": functional,
    "nested at the start": nested_start,
    "nested at the end": nested_end,
    "nested twice": nested_twice,
}


def reloaded(model: Any, folder: Path) -> Any:
    """The model as a fresh process would get it: saved and loaded."""
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


def seeded(model: Any, seed: int = 30) -> Any:
    """Random weights and random biases that are not zero, the same in each form of a network.

    With the default seed no class of the two networks has a Grad-CAM that is zero everywhere, every
    CAM has both signs, and the images of the tests are not all of one class.
    """
    rng = np.random.default_rng(seed)
    values = []
    for w in model.weights:
        size = 1.5 / np.sqrt(np.prod(w.shape[:-1])) if len(w.shape) > 1 else 0.3
        values.append(rng.normal(0, size, w.shape))
    model.set_weights(values)
    return model


def zero_classes(model: Any) -> Any:
    """The model with nothing left in its last weights: every logit 0, every gradient 0."""
    dense = model.get_layer("logits")
    dense.set_weights([np.zeros_like(w) for w in dense.get_weights()])
    return model


# --- what axioms need ---------------------------------------------------------------------------


def same_function() -> tuple[Any, Any]:
    """Two networks of unlike weights and layers that compute the same function of the image."""
    one = seeded(functional(flat_layers()))
    conv1, conv2, dense, head = ("conv1", "conv2", "dense", "logits")
    other_parts = [*flat_layers("logits")[:-2], layers.Dense(10, activation="relu", name="wide")]
    other_parts += [layers.Dense(4, name="between"), layers.Dense(3, name="logits")]
    other = functional(other_parts)
    weights = {name: one.get_layer(name).get_weights() for name in (conv1, conv2, dense, head)}

    order, scale = [2, 0, 1], np.array([0.5, 3.0, 2.0])  # maps in another order and another scale
    kernel, bias = weights[conv1]
    other.get_layer(conv1).set_weights([kernel[..., order] * scale, bias[order] * scale])
    kernel, bias = weights[conv2]
    other.get_layer(conv2).set_weights([kernel[:, :, order] / scale[:, None], bias])
    # Each unit of the dense layer twice, each copy with its share of the weights that read it.
    kernel, bias = weights[dense]
    other.get_layer("wide").set_weights([np.tile(kernel, 2), np.tile(bias, 2)])
    # The last layer as a product of two: (wide W) (P) with P's pseudo-inverse between.
    kernel, bias = weights[head]
    shares = np.concatenate([0.25 * kernel, 0.75 * kernel])
    rng = np.random.default_rng(5)
    mix = rng.normal(size=(3, 4))
    other.get_layer("between").set_weights([shares @ mix, np.zeros(4)])
    other.get_layer("logits").set_weights([np.linalg.pinv(mix), bias])
    return one, other


def close(actual: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    """Equal up to rounding, and not because both are zero."""
    size = np.abs(expected).max()
    assert size > 1e-3
    np.testing.assert_allclose(actual, expected, atol=tolerance * max(size, 1), rtol=0)


# --- by hand: two filters on an image of four pixels ---------------------------------------------

FOUR = np.array([[1, 2], [4, 5]], np.float32)[None, ..., None]


def two_filters(head: Layers) -> Any:
    """``relu(x)`` and ``relu(3 - x)`` of a 2x2 image, then a head."""
    filters = layers.Conv2D(2, 1, activation="relu", name="filters")
    model = functional([filters, *head], (2, 2, 1))
    filters.set_weights([np.array([1.0, -1.0]).reshape(1, 1, 1, 2), np.array([0.0, 3.0])])
    return model
