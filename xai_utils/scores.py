"""Which number of the model is explained, and the engine that computes it in constant batches.

An explanation asks about one score: a class's *logit*, the number before the softmax.  The
probability after it saturates: where the model is sure its gradient vanishes.  Here logits are read
through the model's own layers: `trace` runs a model layer by layer and returns every layer's
output on the way, so nothing is rebuilt, copied or switched, and the model stays as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._engine import (
    PREDICTED,
    Score,
    announce_zeros,
    check_count,
    check_finite,
    check_images,
    check_target,
    class_count,
    compiled,
    default_batch,
    explain,
    image_shape,
    in_batches,
    prepare,
)
from ._graph import Call, LayerInfo, Trace, layers, trace

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

__all__ = [
    "Call",
    "LayerInfo",
    "Score",
    "Trace",
    "announce_zeros",
    "check_count",
    "check_finite",
    "check_images",
    "check_target",
    "chosen",
    "class_count",
    "compiled",
    "default_batch",
    "explain",
    "gradient_at",
    "image_shape",
    "in_batches",
    "layers",
    "logits",
    "pick",
    "prepare",
    "resolved",
    "sound",
    "trace",
]


def chosen(logits: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """The class of each image, ``(N,)`` int32: the target, or where it is -1 the predicted one."""
    import tensorflow as tf

    predicted = tf.argmax(logits, axis=1, output_type=tf.int32)
    return tf.where(target == PREDICTED, predicted, target)


def pick(logits: tf.Tensor, target: tf.Tensor, score: Score) -> tf.Tensor:
    """The explained number of each image: ``(N,)`` from logits ``(N, classes)``.

    ``target`` is ``(N,)`` int32, -1 standing for the predicted class.  ``"probability"`` is the
    softmax of the logits, or the sigmoid where there is one output only.
    """
    import tensorflow as tf

    classes = chosen(logits, target)
    if score == "probability":
        logits = tf.sigmoid(logits) if logits.shape[1] == 1 else tf.nn.softmax(logits)
    return tf.gather(logits, classes, axis=1, batch_dims=1)


def sound(result: Any, *numbers: Any) -> Any:
    """The result ``(N, ...)``, NaN for each image that has a NaN or infinity in other numbers.

    ReLU and max pooling swallow NaN, and the class that is predicted from NaN is any: a result may
    look well although what it was computed from is not.  ``numbers`` are ``(N, ...)`` each, the
    logits and gradients on the way.
    """
    import tensorflow as tf

    for t in numbers:
        fine = tf.reduce_all(tf.math.is_finite(t), axis=list(range(1, len(t.shape))))
        fine = tf.reshape(fine, [-1] + [1] * (len(result.shape) - 1))
        result = tf.where(fine, result, float("nan"))
    return result


def gradient_at(
    model: keras.Model, layer: str, images: Any, target: Any, score: Score
) -> tuple[Any, Any]:
    """A layer's output, and the gradient of the explained score with respect to it."""
    import tensorflow as tf

    seen = []
    with tf.GradientTape(watch_accessed_variables=False) as tape:

        def watched(here: Any, function: Any, *inputs: Any) -> Any:
            output = function(*inputs)
            if here.name == layer:
                tape.watch(output)
                seen.append(output)
            return output

        value = pick(trace(model, images, watched).logits, target, score)
    if len(seen) != 1:
        raise ValueError(
            f"layer {layer!r} is applied {len(seen)} times in {model.name!r}; "
            f"a map needs one that is applied once"
        )
    return seen[0], tape.gradient(value, seen[0])


def logits(model: keras.Model, images: ArrayLike) -> NDArray[np.float32]:
    """The model's scores before its softmax: ``(N, classes)`` float32."""
    return explain(model, images, None, ("logits",), lambda model, x, _: trace(model, x).logits)


def resolved(
    model: keras.Model,
    images: ArrayLike,
    target: int | ArrayLike | None,
    score: Score = "logit",
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Checked images, and the class of each; the predicted one is that of the image as it is.

    For methods that also ask about changed copies, which may be predicted as something else.

    Raises:
        ValueError: see `prepare`.
    """
    images, classes = prepare(model, images, target, score)
    if target is None:
        classes = logits(model, images).argmax(axis=1).astype(np.int32)
    return images, classes
