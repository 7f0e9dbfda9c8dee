"""What a run over a dataset is made of: checked before it begins, told to who reads the maps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import scores
from ._chunk_job import Classes, Job, OnBad, batch_of, explained, versions
from ._image_loading import Prepare, load
from ._image_sources import Source
from ._kept import digest
from ._map_store import MARKS

BATCHES = 4  # in a chunk: a lost chunk costs little, and a whole one is worth the way to a worker


def checked_target(target: int | ArrayLike | None, total: int) -> Classes:
    """None, one class for all images, or an array with one for each.

    Raises:
        ValueError: another number of classes than of images.
    """
    if target is None or isinstance(target, int):
        return target
    classes = np.asarray(target)
    if classes.shape not in ((), (total,)):
        raise ValueError(f"target of shape {classes.shape}; expected one int or {(total,)}")
    return classes if classes.ndim else int(classes)


def make_job(
    method: Callable[..., Any],
    model: Any,
    data: Source,
    out: Path,
    target: Classes,
    prepare: Prepare | None,
    dtype: str,
    on_bad: OnBad,
    chunk: int | None,
) -> tuple[Job, int]:
    """What all chunks share, and the images of a chunk.

    One image is explained, so that what is wrong with method, model or images is said at once.
    """
    if dtype not in ("float16", "float32"):
        raise ValueError(f"dtype {dtype!r}; expected 'float16' or 'float32'")
    if on_bad not in ("raise", "skip"):
        raise ValueError(f"on_bad {on_bad!r}; expected 'raise' or 'skip'")
    number, shape, image = _first_sound(data, prepare)
    one = target[number : number + 1] if isinstance(target, np.ndarray) else target
    found = explained(method, model, image, one, 1, 1)
    batch = batch_of(method, (image.shape[1], image.shape[2]))
    size = _chunk_size(chunk, batch, len(data))
    job = Job(
        method=method,
        model=model,
        prepare=prepare,
        out=out,
        dtype=dtype,
        batch=batch,
        total=len(data),
        shape=shape,
        map_shape=found.shape[1:],
        on_bad=on_bad,
        marks={
            "method": digest(method),
            "model": digest(model),
            "images": digest((len(data), shape, None if data.names is None else list(data.names))),
            "target": digest(target),
            "preparation": digest(prepare),
            "dtype": dtype,
            "chunk": str(size),
            "software": versions(),
        },
    )
    return job, size


def _first_sound(
    data: Source, prepare: Prepare | None
) -> tuple[int, tuple[int, ...], NDArray[np.floating]]:
    """Number, shape as it is read, and values ``(1, H, W, C)`` of the first image without fault."""
    for number in range(len(data)):
        piece = data.piece(number, number + 1)
        shape = data.shape
        if shape is None:
            (image,) = piece.read()
            shape = image.shape if isinstance(image, np.ndarray) else None
        found = None if shape is None else load(piece, shape, prepare).images
        if shape is not None and found is not None:
            return number, shape, found
    raise ValueError(f"none of the {len(data)} images can be explained; look at the first")


def _chunk_size(chunk: int | None, batch: int, total: int) -> int:
    if chunk is None:
        return BATCHES * batch
    size = scores.check_count("chunk", chunk)
    if size % batch and size < total:
        raise ValueError(
            f"chunk {size}; the method computes {batch} images at once, and only with a multiple "
            f"of that do chunks begin where its batches begin: {batch}, {2 * batch}, {4 * batch}"
        )
    return size


def input_shape(model: Any) -> tuple[int | None, ...] | None:
    """``(H, W, C)`` that a Keras model takes, as far as it says."""
    inputs = getattr(model, "inputs", None)
    return tuple(inputs[0].shape[1:]) if inputs else None


def about(job: Job) -> dict[str, Any]:
    """What a store says of itself, for people; ``fingerprints`` are for the next run."""
    options: dict[str, Any] = {}
    method = job.method
    while isinstance(method, functools.partial):
        options = {k: _told(v) for k, v in method.keywords.items()} | options
        method = method.func
    return {
        "method": f"{method.__module__}.{getattr(method, '__qualname__', type(method).__name__)}",
        "options": options,
        "model": str(getattr(job.model, "name", getattr(job.model, "__name__", "a callable"))),
        "images": [job.total, *job.shape],
        "batch": job.batch,
        MARKS: job.marks,
    }


def _told(value: Any) -> Any:
    """An option in words."""
    plain = value is None or isinstance(value, bool | int | float | str)
    return value if plain else f"{type(value).__name__} {digest(value)[:16]}"
