"""Which number of the model is explained, and the engine that computes it in constant batches.

An explanation asks about one score: a class's *logit*, the number before the softmax.  The
probability after it saturates: where the model is sure its gradient vanishes.  Here logits are read
through the model's own layers: `trace` runs a model layer by layer and returns every layer's
output on the way, so nothing is rebuilt, copied or switched, and the model stays as it was.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._graph import Call, LayerInfo, Trace, graph_of, layers, trace

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

__all__ = [
    "Call",
    "LayerInfo",
    "Score",
    "Trace",
    "check_images",
    "check_target",
    "chosen",
    "compiled",
    "explain",
    "gradient_at",
    "layers",
    "logits",
    "pick",
    "trace",
]

Score = Literal["logit", "probability"]
BATCH_SIZE = 8  # small enough that the activations of a 200 x 200 plate stay near the cache
PREDICTED = -1  # in a target array: the class that the model predicts


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


# --- what a caller passes ------------------------------------------------------------------------


def check_images(model: keras.Model, images: ArrayLike) -> NDArray[np.float32]:
    """The images as float32 ``(N, H, W, C)``, or an error that says what is wrong with them."""
    images = np.asarray(images)
    expected = tuple(graph_of(model).inputs[0].shape)
    wanted = "(N, " + ", ".join("any" if n is None else str(n) for n in expected[1:]) + ")"
    if images.ndim != len(expected):
        hint = "; add the batch axis: image[None]" if images.ndim == len(expected) - 1 else ""
        raise ValueError(f"images of shape {images.shape}; expected {wanted}{hint}")
    if any(n is not None and n != m for n, m in zip(expected[1:], images.shape[1:], strict=True)):
        raise ValueError(f"images of shape {images.shape}; this model expects {wanted}")
    if len(images) == 0:
        raise ValueError(f"no images: shape {images.shape}")
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            f"images of dtype {images.dtype}; expected floats in the scale that the model was "
            f"trained on (the course's networks: images / 255)"
        )
    with np.errstate(over="ignore"):
        images = images.astype(np.float32, copy=False)
    if not np.isfinite(images).all():
        bad = np.flatnonzero(~np.isfinite(images).all(axis=tuple(range(1, images.ndim))))
        raise ValueError(f"NaN or infinity in images {bad[:5].tolist()}; remove or repair them")
    return images


def check_target(
    target: int | ArrayLike | None, n_images: int, n_classes: int
) -> NDArray[np.int32]:
    """The explained class of each image as int32 ``(N,)``; -1 is the predicted one."""
    if target is None:
        return np.full(n_images, PREDICTED, np.int32)
    classes = np.asarray(target)
    if not np.issubdtype(classes.dtype, np.integer):
        raise ValueError(f"target {target!r}: expected None, an int or an int array (N,)")
    if classes.shape not in ((), (n_images,)):
        raise ValueError(f"target of shape {classes.shape}; expected one int or {(n_images,)}")
    wrong = np.unique(classes[(classes < 0) | (classes >= n_classes)])
    if wrong.size:
        raise ValueError(
            f"target {wrong[:5].tolist()} out of range: the model has {n_classes} "
            f"outputs, so 0 to {n_classes - 1}"
        )
    return np.broadcast_to(classes, n_images).astype(np.int32)


def check_weights(model: keras.Model) -> None:
    """Refuse NaN in the weights: ReLU and max pooling would swallow it, and the map look sound."""
    broken = [w.path for w in model.weights if not np.isfinite(w.value).all()]
    if broken:
        raise ValueError(
            f"NaN or infinity in the weights of model {model.name!r}: {', '.join(broken[:5])}; "
            f"its training failed, so load or train it again"
        )


# --- the compiled engine -------------------------------------------------------------------------

Step = Callable[[Any, Any, Any], Any]  # step(model, images, target) -> tensor, one row an image
_compiled: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


def compiled(model: keras.Model, key: tuple[Any, ...], step: Step) -> Callable[..., Any]:
    """``step`` as one TensorFlow function, made once for each model and key.

    The batch axis is left open, so another number of images or another target traces nothing anew.
    The cache lives as long as the model and does not keep it alive.
    """
    import tensorflow as tf

    graph = graph_of(model)
    functions = _compiled.setdefault(model, {})
    key = (*key, id(graph))
    if key not in functions:
        alive = weakref.ref(model)
        shape = [None, *graph.inputs[0].shape[1:]]

        images_and_target = [tf.TensorSpec(shape, tf.float32), tf.TensorSpec([None], tf.int32)]

        @tf.function(input_signature=images_and_target, autograph=False)
        def function(images: Any, target: Any) -> Any:
            return step(alive(), images, target)

        functions[key] = function.get_concrete_function()
    return functions[key]


def explain(
    model: keras.Model,
    images: ArrayLike,
    target: int | ArrayLike | None,
    key: tuple[Any, ...],
    step: Step,
    *,
    score: Score = "logit",
    batch_size: int = BATCH_SIZE,
) -> NDArray[np.float32]:
    """Check what was passed, then run ``step`` over it in batches of one shape.

    The last batch is filled up with copies of its last image, so that every image is computed in a
    batch of the same size.  From ``batch_size`` images on, more of them behind change no bit of the
    result; another batch size or another place in the batch changes it by rounding.

    Raises:
        ValueError: wrong images, target, score or batch size, a model without one row of scores
            for each image, or NaN in its weights or in the result.
    """
    images = check_images(model, images)
    outputs = tuple(graph_of(model).outputs[0].shape)
    if len(outputs) != 2:
        raise ValueError(f"model {model.name!r} gives {outputs}; expected scores (N, classes)")
    classes = check_target(target, len(images), int(outputs[1]))
    check_weights(model)
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ValueError(f"batch_size {batch_size!r}; expected a whole number, 1 or more")
    if score not in ("logit", "probability"):
        raise ValueError(f"score must be 'logit' or 'probability', not {score!r}")
    function = compiled(model, (*key, score), step)
    size = min(batch_size, len(images))
    rows = []
    for start in _progress(range(0, len(images), size), key[0]):
        index = np.minimum(np.arange(start, start + size), len(images) - 1)
        rows.append(function(images[index], classes[index]).numpy()[: len(images) - start])
    result = np.concatenate(rows).astype(np.float32, copy=False)
    if not np.isfinite(result).all():
        raise ValueError(
            f"{key[0]}: the result holds NaN or infinity although images and weights do not: a "
            f"number overflows inside model {model.name!r}; are the images in its scale?"
        )
    return result


def _progress(batches: range, what: str) -> Any:
    """A bar for work of more than a few batches, on a terminal only."""
    from tqdm import tqdm

    return tqdm(batches, desc=what, unit="batch", delay=2, leave=False, disable=None)


def logits(model: keras.Model, images: ArrayLike) -> NDArray[np.float32]:
    """The model's scores before its softmax: ``(N, classes)`` float32."""
    return explain(model, images, None, ("logits",), lambda model, x, _: trace(model, x).logits)
