"""A Keras model or any callable as a black box: images in, checked scores out, batch by batch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _incremental, scores
from .scores import Score

Images = NDArray[np.float32]
BlackBox = Callable[[Images], ArrayLike]  # images (N, H, W, C) -> scores (N, classes)
Target = int | ArrayLike | None


class _Scores(NamedTuple):
    """What a callable gave, read as a tensor is."""

    values: NDArray[np.float32]

    def numpy(self) -> NDArray[np.float32]:
        return self.values


class Look(NamedTuple):
    """A model or callable as a black box: images to something whose ``numpy()`` is scores."""

    name: str
    function: Callable[[Images], Any]
    batch_size: int
    what: str

    def over(
        self, rows: Callable[[NDArray[np.intp]], Images], total: int
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Scores ``(rows, classes)`` of ``total`` images that ``rows`` makes batch by batch."""
        batches = scores.in_batches(
            self.function, lambda index: (rows(index),), total, self.batch_size, self.what
        )
        for index, values in batches:
            scores.check_finite(values, self.what, self.name)
            yield index, values


def prepared(
    model: Any, images: ArrayLike, score: Score, batch_size: int | None, what: str
) -> tuple[Images, Look]:
    """Checked images, and the model behind one face, whatever it is."""
    if is_keras(model):
        x = scores.prepare(model, images, None, score)[0]
        if x.ndim != 4:
            raise ValueError(f"images of shape {x.shape}; expected (N, H, W, C)")
        step = scores.compiled(
            model,
            ("all scores", score),
            lambda model, x, _: _incremental.read(scores.trace(model, x).logits, score),
        )
        name, function = model.name, lambda x: step(x, np.zeros(len(x), np.int32))
    elif callable(model):
        x = _checked(images)
        if score != "logit":
            raise ValueError(
                f"score {score!r} with a callable: what it gives is taken as it is; leave 'logit'"
            )
        name = getattr(model, "__name__", type(model).__name__)
        function = _called(model, name)
    else:
        raise TypeError(f"expected a Keras model or a callable, got {type(model).__name__}")
    size = scores.default_batch(x.shape[1:]) if batch_size is None else batch_size
    return x, Look(name, function, scores.check_count("batch_size", size), what)


def is_keras(model: Any) -> bool:
    """Whether this is a Keras model; Keras is not imported to find out."""
    keras = sys.modules.get("keras")  # a callable needs no TensorFlow
    return keras is not None and isinstance(model, keras.Model)


def _called(model: BlackBox, name: str) -> Callable[[Images], _Scores]:
    """The callable, with what it gives checked."""
    classes: list[int] = []

    def function(x: Images) -> _Scores:
        found = np.asarray(model(x))
        fits = found.ndim == 2 and len(found) == len(x) and found.dtype.kind in "fiu"
        if not fits or found.shape[1:] != tuple(classes or found.shape[1:]):
            raise ValueError(
                f"{name!r} gives {found.dtype} of shape {found.shape} for {len(x)} images; "
                f"expected numbers ({len(x)}, classes), one row of scores for each image"
            )
        classes[:] = found.shape[1:]
        if not np.isfinite(found).all():
            raise ValueError(f"NaN or infinity in the scores that {name!r} gives")
        return _Scores(found.astype(np.float32, copy=False))

    return function


def _checked(images: ArrayLike) -> Images:
    """Images for a callable, of which no shape is known: any ``(N, H, W, C)``."""
    x = np.asarray(images)
    if x.ndim != 4 or x.size == 0:
        hint = "; add the batch axis: image[None]" if x.ndim == 3 else ""
        raise ValueError(f"images of shape {x.shape}; expected (N, H, W, C), not empty{hint}")
    if x.dtype.kind != "f":
        raise ValueError(f"images of dtype {x.dtype}; expected floats in the model's scale")
    if not np.isfinite(x).all():
        raise ValueError("NaN or infinity in the images; remove or repair them")
    return x.astype(np.float32, copy=False)


def untouched(
    look: Look, x: Images, target: Target
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The score of each image as it is, and the explained class: ``(N,)`` each."""
    found = np.concatenate([values for _, values in look.over(lambda n: x[n], len(x))])
    classes = scores.check_target(target, len(x), found.shape[1])
    if target is None:
        classes = found.argmax(axis=1).astype(np.int32)
    return found[np.arange(len(x)), classes], classes
