"""Which number of the model is explained, and the engine that computes it in constant batches.

An explanation asks about one score: a class's *logit*, the number before the softmax.  The
probability after it saturates: where the model is sure its gradient vanishes.  Here logits are read
through the model's own layers.  `trace` runs a model layer by layer and returns every layer's
output on the way, so nothing is rebuilt, copied or switched, and the model stays as it was.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._quiet import import_tensorflow

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Score = Literal["logit", "probability"]
BATCH_SIZE = 32
PREDICTED = -1  # in a target array: the class that the model predicts


class Call(NamedTuple):
    """One layer applied once: what went in, what came out."""

    layer: Any
    inputs: Any
    output: Any


class Trace(NamedTuple):
    """A forward pass: the logits ``(N, classes)``, and every layer's call in order."""

    logits: tf.Tensor
    calls: list[Call]


def trace(model: keras.Model, images: Any, watch: Callable[[Any, Any], Any] | None = None) -> Trace:
    """Run a model layer by layer up to its logits.

    Sequential and functional models, nested ones included (a model used as a layer is entered).
    A softmax or sigmoid at the end, as a layer or as a layer's activation, is left out.

    Args:
        model: a built Keras model with one input and one output.
        images: tensor ``(N, H, W, C)``.
        watch: called as ``watch(layer, output)`` after each layer; what it returns flows on, so
            it may note the output, let a tape watch it, or put another tensor in its place.

    Raises:
        TypeError: a subclassed model (its layers cannot be enumerated), or no Keras model.
        ValueError: not built, or more than one input or output.
    """
    _graph(model)
    import keras

    calls: list[Call] = []
    with keras.StatelessScope():  # activity regularizers note their losses there, not in the model
        return Trace(_run(model, images, calls, watch, strip=True), calls)


def _run(model: Any, x: Any, calls: list[Call], watch: Any, strip: bool) -> Any:
    import keras

    graph = _graph(model)
    last = graph.outputs[0]._keras_history.operation
    nodes = itertools.chain.from_iterable(graph._nodes_by_depth.values())
    to_come = sum(node.operation is last for node in nodes)  # a shared layer comes several times

    def operation(layer: Any) -> Callable[..., Any]:
        nonlocal to_come
        to_come -= layer is last
        at_end = strip and layer is last and to_come == 0
        followed = hasattr(layer, "_run_through_graph") or isinstance(layer, keras.Sequential)
        # At the end a subclassed model is entered as well, and refused: it may hide a softmax.
        if followed or (at_end and isinstance(layer, keras.Model)):
            return lambda inputs, *_, **__: _run(layer, inputs, calls, watch, strip=at_end)

        def call(*args: Any, **kwargs: Any) -> Any:
            if at_end and _squashes(layer):
                return args[0]
            output = (_linear(layer) if at_end else layer)(*args, **kwargs)
            output = output if watch is None else watch(layer, output)
            calls.append(Call(layer, args[0] if len(args) == 1 else args, output))
            return output

        return call

    return graph._run_through_graph([x], operation_fn=operation)


def _graph(model: Any) -> Any:
    """The functional graph of a model, or an error that says why there is none."""
    import_tensorflow()
    import keras

    if not isinstance(model, keras.Model):
        raise TypeError(f"expected a Keras model, got {type(model).__name__}")
    if isinstance(model, keras.Sequential):
        if model._functional is None:
            raise ValueError(
                f"model {model.name!r} is not built: give it an Input layer, or call it once on a "
                f"batch of images"
            )
        model = model._functional
    if not hasattr(model, "_run_through_graph"):
        raise TypeError(
            f"model {model.name!r} is a subclassed {type(model).__name__}: its layers cannot be "
            f"followed one by one; write it with keras.Sequential or the functional API"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"model {model.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} "
            f"outputs; expected one of each: wrap the pair to be explained in keras.Model(...)"
        )
    return model


def _squashes(layer: Any) -> bool:
    """Whether the layer is nothing but a softmax or sigmoid."""
    kind = type(layer).__name__
    return kind in ("Softmax", "Sigmoid") or (kind == "Activation" and _squashing(layer))


def _squashing(layer: Any) -> bool:
    name = getattr(getattr(layer, "activation", None), "__name__", None)
    return name in ("softmax", "softmax_v2", "sigmoid")  # softmax_v2: what tf.nn.softmax is called


def _linear(layer: Any) -> Callable[..., Any]:
    """The layer through the same weights, without its softmax or sigmoid if it has one."""
    if not _squashing(layer):
        return layer
    # A twin with the same variables and another activation.  (`copy.copy` would save and load the
    # layer.)  Its `call` is used, not `__call__`, so Keras notes nothing and no graph grows.
    twin = object.__new__(type(layer))
    vars(twin).update(vars(layer), activation=lambda x: x)
    return lambda *args, **_: type(layer).call(twin, *args)


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

        def watch(here: Any, output: Any) -> Any:
            if here.name == layer:
                tape.watch(output)
                seen.append(output)
            return output

        value = pick(trace(model, images, watch).logits, target, score)
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
    expected = tuple(_graph(model).inputs[0].shape)
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

    graph = _graph(model)
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
    outputs = tuple(_graph(model).outputs[0].shape)
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


class LayerInfo(NamedTuple):
    """A layer as `layers` lists it: its class, its output's shape, whose outputs it reads."""

    kind: str
    shape: tuple[int | None, ...]
    reads: tuple[str, ...]


def layers(model: keras.Model) -> dict[str, LayerInfo]:
    """Every layer by name in the order of computation, nested ones included.

    What is left out at the end to get logits is not listed.
    """
    import tensorflow as tf

    graph = _graph(model)
    known = _compiled.setdefault(model, {})
    key = ("layers", id(graph))
    if key not in known:
        shape = tf.TensorSpec([1, *graph.inputs[0].shape[1:]], tf.float32)
        calls: list[Call] = []
        tf.function(
            lambda x: calls.extend(trace(model, x).calls), autograph=False
        ).get_concrete_function(shape)
        maker: dict[int, str] = {}
        for c in calls:  # Dropout passes its input on: what it reads was made by the layer before
            maker.setdefault(id(c.output), c.layer.name)
        known[key] = {
            c.layer.name: LayerInfo(
                type(c.layer).__name__,
                (None, *tuple(c.output.shape)[1:]),
                tuple(maker[id(x)] for x in tf.nest.flatten(c.inputs) if id(x) in maker),
            )
            for c in calls
        }
    return dict(known[key])
