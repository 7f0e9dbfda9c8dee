"""The engine: what a caller passes is checked, and computed in batches of one constant shape."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._graph import graph_of, leaves

if TYPE_CHECKING:
    import keras

Score = Literal["logit", "probability"]
BATCH_PIXELS = 32 * 200 * 200  # more are hardly faster, and want memory ...
BATCH_LIMITS = (8, 64)  # ... and fewer images do not share the cost of a call (benchmarks/batches)
PREDICTED = -1  # in a target array: the class that the model predicts


# --- what a caller passes ------------------------------------------------------------------------


def image_shape(model: keras.Model) -> tuple[int | None, ...]:
    """The shape of the images that a model takes, ``(N, H, W, C)``.

    Raises:
        ValueError: a model of tables, sequences or films, or one with the channels first.
    """
    expected = tuple(graph_of(model).inputs[0].shape)
    if len(expected) != 4:
        raise ValueError(
            f"model {model.name!r} takes {expected}; expected images (N, H, W, C); for "
            f"models of tables, or any other function, see tabular, shapley and lime_table"
        )
    for layer in leaves(model):  # its maps would be read along the wrong axes
        if getattr(layer, "data_format", None) == "channels_first":
            raise ValueError(
                f"layer {layer.name!r} of model {model.name!r} has its channels first; expected "
                f"(N, H, W, C) all through: build the network with data_format='channels_last' "
                f"(axis=-1 in its normalisations), copy the weights, which have the same shapes, "
                f"by set_weights(model.get_weights()), and compare what both give"
            )
    return expected


def class_count(model: keras.Model) -> int:
    """How many scores a model gives for an image; ValueError if these are not ``(N, classes)``."""
    outputs = tuple(graph_of(model).outputs[0].shape)
    if len(outputs) != 2 or outputs[1] is None:
        raise ValueError(
            f"model {model.name!r} gives {outputs}; expected scores (N, classes), their number "
            f"known when it is built"
        )
    return int(outputs[1])


def check_images(model: keras.Model, images: ArrayLike) -> NDArray[np.float32]:
    """The images as float32 ``(N, H, W, C)``, or an error that says what is wrong with them."""
    images = np.asarray(images)
    expected = image_shape(model)
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
    """Refuse NaN in the weights: ReLU and max pooling would swallow it, and the map look sound.

    A sum is finite only if everything in it is, and it takes one look at each weight and no memory.
    Only where it is not (finite weights, too, can add up to more than a float holds) are the
    weights looked at one by one.
    """
    import tensorflow as tf

    weights = [w for w in model.weights if "float" in str(w.dtype)]  # no seeds, no counters

    def sums(_: keras.Model) -> Any:
        return tf.stack([tf.cast(tf.reduce_sum(w.value), tf.float32) for w in weights])

    sound = np.isfinite(_once(model, ("finite weights",), sums, [])()) if weights else []
    suspects = [w for w, fine in zip(weights, sound, strict=True) if not fine]
    broken = [w.path for w in suspects if not tf.reduce_all(tf.math.is_finite(w.value))]
    if broken:
        raise ValueError(
            f"NaN or infinity in the weights of model {model.name!r}: {', '.join(broken[:5])}; "
            f"its training failed, so load or train it again"
        )


def prepare(
    model: keras.Model, images: ArrayLike, target: int | ArrayLike | None, score: Score = "logit"
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Everything that is checked before a model is explained: images, classes, score, weights.

    Raises:
        ValueError: wrong images, target or score, a model without one row of scores for each image,
            or NaN in its weights.
    """
    images = check_images(model, images)
    classes = check_target(target, len(images), class_count(model))
    check_weights(model)
    if score not in ("logit", "probability"):
        raise ValueError(f"score must be 'logit' or 'probability', not {score!r}")
    return images, classes


def check_count(name: str, value: Any) -> int:
    """A number of steps, samples or images a batch: a whole one, 1 or more."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} {value!r}; expected a whole number, 1 or more")
    return int(value)


def check_finite(result: NDArray[np.floating], method: str, name: str) -> None:
    """Refuse a result that is not a number although images and weights were."""
    if not np.isfinite(result).all():
        raise ValueError(
            f"{method}: the result holds NaN or infinity although images and weights do not: a "
            f"number overflows inside model {name!r}, or a slope in it is infinite, as that of a "
            f"root at 0; are the images in its scale?"
        )


def announce_zeros(
    maps: NDArray[np.float32], method: str, because: str, stacklevel: int = 3
) -> NDArray[np.float32]:
    """Say so when a map is zero everywhere: it shows that nothing was found, not where."""
    empty = np.flatnonzero(~maps.any(axis=tuple(range(1, maps.ndim))))
    if empty.size:
        warnings.warn(
            f"{method}: the map is zero everywhere for {empty.size} of {len(maps)} images "
            f"(first: number {empty[0]}). {because}",
            stacklevel=stacklevel,
        )
    return maps


# --- the compiled engine -------------------------------------------------------------------------

Step = Callable[..., Any]  # step(model, images, target, ...) -> tensor, one row an image
_compiled: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


def compiled(
    model: keras.Model, key: tuple[Any, ...], step: Step, extra: Sequence[Any] = ()
) -> Callable[..., Any]:
    """``step`` as one TensorFlow function, made once for each model and key.

    The batch axis is left open, so another number of images or another target traces nothing anew.
    The cache lives as long as the model and does not keep it alive.

    Args:
        model: what ``step`` gets first.
        key: what distinguishes this function from others of the same model.
        step: called as ``step(model, images, target, *extra)``, once, with symbolic tensors.
        extra: ``tf.TensorSpec`` of each further argument.
    """
    import tensorflow as tf

    shape = [None, *graph_of(model).inputs[0].shape[1:]]
    arguments = [tf.TensorSpec(shape, tf.float32), tf.TensorSpec([None], tf.int32), *extra]
    return _once(model, key, step, arguments)


def _once(
    model: keras.Model, key: tuple[Any, ...], step: Step, arguments: Sequence[Any]
) -> Callable[..., Any]:
    import tensorflow as tf

    functions = _compiled.setdefault(model, {})
    key = (*key, id(graph_of(model)))
    if key not in functions:
        alive = weakref.ref(model)

        @tf.function(input_signature=arguments, autograph=False)
        def function(*tensors: Any) -> Any:
            return step(alive(), *tensors)

        functions[key] = function.get_concrete_function()
    return functions[key]


def default_batch(shape: Sequence[int]) -> int:
    """How many images ``(H, W, ...)`` are computed at once when the caller does not say."""
    return int(np.clip(BATCH_PIXELS // (shape[0] * shape[1]), *BATCH_LIMITS))


def in_batches(
    function: Callable[..., Any],
    rows: Callable[[NDArray[np.intp]], tuple[NDArray[Any], ...]],
    total: int,
    batch_size: int,
    what: str,
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Run ``function`` over ``total`` rows in batches of one shape; yield numbers and results.

    A row is one pass through the network: an image, or one of its many changed copies.  Rows are
    made when their batch comes, so memory grows neither with images nor with copies.  The last
    batch is filled up with copies of the last row, so no batch has another shape.

    Args:
        function: takes what ``rows`` makes and gives a tensor, one row each.
        rows: makes the arguments of ``function`` for the rows of these numbers.
        total: how many rows there are.
        batch_size: how many are computed at once, at the most.
        what: the label of the progress bar, which appears on a terminal only.
    """
    size = min(batch_size, total)
    for start in _progress(range(0, total, size), what):
        index = np.minimum(np.arange(start, start + size), total - 1)
        count = min(size, total - start)
        yield index[:count], function(*rows(index)).numpy()[:count]


def explain(
    model: keras.Model,
    images: ArrayLike,
    target: int | ArrayLike | None,
    key: tuple[Any, ...],
    step: Step,
    *,
    score: Score = "logit",
    batch_size: int | None = None,
) -> NDArray[np.float32]:
    """Check what was passed, then run ``step(model, images, target)`` over it, one row an image.

    From ``batch_size`` images on, more of them behind change no bit of the result; another batch
    size or another place in the batch changes it by rounding.  Rounding can be seen where the
    network has a kink: in a flat picture all places of a max pooling are equal, and any may win.

    Raises:
        ValueError: see `prepare`; wrong batch size; NaN in the result.
    """
    images, classes = prepare(model, images, target, score)
    size = default_batch(images.shape[1:]) if batch_size is None else batch_size
    size = check_count("batch_size", size)
    batches = in_batches(
        compiled(model, (*key, score), step),
        lambda n: (images[n], classes[n]),
        len(images),
        size,
        key[0],
    )
    result = np.concatenate([rows for _, rows in batches]).astype(np.float32, copy=False)
    check_finite(result, key[0], model.name)
    return result


def _progress(batches: range, what: str) -> Any:
    """A bar for work of more than a few batches, on a terminal only."""
    from tqdm import tqdm

    return tqdm(batches, desc=what, unit="batch", delay=2, leave=False, disable=None)
