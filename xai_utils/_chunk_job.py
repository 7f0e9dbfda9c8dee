"""What is done with one chunk of a dataset: read, explained in the plain call's batches, kept."""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import re
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import __version__
from ._image_loading import Loaded, Prepare, load
from ._image_sources import Piece
from ._map_store import MARKS, MapStore, OtherStore, provenance
from .scores import default_batch

OnBad = Literal["raise", "skip"]
Classes = int | NDArray[np.integer] | None
ZEROS = ".*zero everywhere.*"


class BadImages(ValueError):
    """Images that cannot be explained; ``images`` has number, name and reason of each."""

    def __init__(self, images: list[tuple[int, str, str]]) -> None:
        self.images = images
        told = "; ".join(f"{name} ({reason})" for _, name, reason in images[:5])
        more = f" and {len(images) - 5} more" if len(images) > 5 else ""
        super().__init__(
            f"{len(images)} image(s) cannot be explained: {told}{more}; repair or remove them, or "
            f'pass on_bad="skip"'
        )

    def __reduce__(self) -> tuple[Any, ...]:  # from a worker, too, with all it says
        return type(self), (self.images,)


class Chunk(NamedTuple):
    """One chunk to do: images ``start`` up to before ``stop``."""

    number: int
    start: int
    stop: int
    piece: Piece
    names: tuple[str, ...] | None
    target: Classes


class Told(NamedTuple):
    """What a worker says of a chunk; ``done``: computed, kept (it was there), damaged or other."""

    number: int
    done: Literal["computed", "kept", "damaged", "other"]
    images: int
    skipped: int = 0
    empty: int = 0
    read: float = 0.0  # seconds
    compute: float = 0.0
    write: float = 0.0


@dataclass(frozen=True)
class Job:
    """What is the same for all chunks, and what a worker needs to know of it.

    Attributes:
        batch: images that the method computes at once.
        total: images of the dataset.
        shape: of one image as it is read.
        map_shape: of one map.
        marks: fingerprints of all that decides the values of the maps.
    """

    method: Callable[..., Any]
    model: Any
    prepare: Prepare | None
    out: Path
    dtype: str
    batch: int
    total: int
    shape: tuple[int, ...]
    map_shape: tuple[int, ...]
    on_bad: OnBad
    marks: dict[str, Any]


def batch_of(method: Callable[..., Any], size: tuple[int, int]) -> int:
    """How many images a method computes at once: its own ``batch_size``, else the engine's."""
    own = inspect.signature(method).parameters.get("batch_size")
    given = None if own is None or own.default is inspect.Parameter.empty else own.default
    return default_batch(size) if given is None else int(given)


@functools.cache
def versions() -> dict[str, str]:
    """What else decides bits: the library, what computes, and Python, whose code is in a mark."""
    found = {name: importlib.metadata.version(name) for name in ("numpy", "tensorflow", "keras")}
    return {"xai_utils": __version__, "python": "{}.{}".format(*sys.version_info[:2])} | found


# --- what a worker runs --------------------------------------------------------------------------


def compute(job: Job, chunk: Chunk) -> Told:
    """Explain a chunk and keep it: the second time it only says that it is there.

    Raises:
        BadImages: images that cannot be explained, unless they are to be skipped.
        OtherStore: the store has become another one meanwhile.
        RuntimeError: a worker with other versions than the client.
        ValueError: what the method raises; a result that is no map, or does not fit the dtype.
    """
    store, size = MapStore(job.out), chunk.stop - chunk.start
    if job.marks["software"] != versions():
        raise RuntimeError(f"a worker has {versions()}, the client {job.marks['software']}")
    if (before := store.record(chunk.number)) is not None:
        return Told(chunk.number, "kept", size, len(before["skipped"]), before["empty"])
    begun = time.perf_counter()
    loaded = load(chunk.piece, job.shape, job.prepare)
    bad = _named(chunk, loaded.bad)
    if bad and job.on_bad == "raise":
        raise BadImages(bad)
    read = time.perf_counter()
    maps, empty = _maps(job, chunk, loaded)
    computed = time.perf_counter()
    if provenance(job.out)[MARKS] != job.marks:  # who comes late, of a run that was given up
        raise OtherStore(f"{job.out} holds other maps by now; chunk {chunk.number} is not written")
    record = {
        "images": [chunk.start, chunk.stop],
        "inputs": loaded.sha256,
        "skipped": bad,
        "empty": empty,
    }
    store.write(chunk.start, maps, chunk.number, record)
    done = time.perf_counter()
    spent = (read - begun, computed - read, done - computed)
    return Told(chunk.number, "computed", size, len(bad), empty, *spent)


def verify(job: Job, chunk: Chunk) -> Told:
    """Whether a chunk that is there has its checksum and is of these images."""
    store, size = MapStore(job.out), chunk.stop - chunk.start
    record = store.record(chunk.number)
    if record is None or record["images"] != [chunk.start, chunk.stop] or not store.sound(record):
        return Told(chunk.number, "damaged", size)
    loaded = load(chunk.piece, job.shape, job.prepare)
    if loaded.sha256 != record["inputs"]:
        return Told(chunk.number, "other", size)
    if record["skipped"] and job.on_bad == "raise":
        raise BadImages(_named(chunk, loaded.bad))
    return Told(chunk.number, "kept", size, len(record["skipped"]), record["empty"])


def _named(chunk: Chunk, bad: dict[int, str]) -> list[tuple[int, str, str]]:
    def name(k: int) -> str:
        return f"image {chunk.start + k}" if chunk.names is None else chunk.names[k]

    return [(chunk.start + k, name(k), reason) for k, reason in bad.items()]


def _maps(job: Job, chunk: Chunk, loaded: Loaded) -> tuple[NDArray[Any], int]:
    """The maps of a chunk as they are kept, bad ones NaN, and how many are zero everywhere."""
    size = chunk.stop - chunk.start
    maps = np.full((size, *job.map_shape), np.nan, job.dtype)
    if loaded.images is None:
        return maps, 0
    good = np.array([k for k in range(size) if k not in loaded.bad])
    found = explained(job.method, job.model, loaded.images, chunk.target, job.batch, job.total)
    if found.shape != maps.shape:
        raise ValueError(
            f"the method gives {found.shape} for images {chunk.start} to {chunk.stop - 1}; the "
            f"first image gave {job.map_shape}: all maps of a store have one shape"
        )
    if not np.isfinite(found[good]).all():
        raise ValueError(f"NaN or infinity in maps of images {chunk.start} to {chunk.stop - 1}")
    with np.errstate(over="ignore"):
        maps[good] = found[good]
    if not np.isfinite(maps[good]).all():
        raise ValueError(
            f"maps of images {chunk.start} to {chunk.stop - 1} reach "
            f"{np.abs(found[good]).max():.3g}, which {job.dtype} does not hold: dtype='float32'"
        )
    return maps, int((~maps[good].any(axis=tuple(range(1, maps.ndim)))).sum())


def explained(
    method: Callable[..., Any],
    model: Any,
    images: NDArray[np.floating],
    target: Classes,
    batch: int,
    total: int,
) -> NDArray[Any]:
    """The method's maps of a chunk, bit by bit those of the call over all ``total`` images.

    A chunk begins where a batch of that call begins.  What is left to take care of is a last chunk
    that is smaller than a batch: there the call pads, so this pads.
    """
    images = images.astype(np.float32, copy=False)
    size = len(images)
    if size < batch <= total:
        place = np.minimum(np.arange(batch), size - 1)
        images = images[place]
        target = target[place] if isinstance(target, np.ndarray) else target
    with warnings.catch_warnings():  # they are counted
        warnings.filterwarnings("ignore", message=ZEROS)
        found = method(model, images, target)
    if not isinstance(found, np.ndarray) or len(found) != len(images):
        told = re.sub(r"\s+", " ", repr(found))[:80]
        raise ValueError(
            f"the method gives {told} for {len(images)} images; expected one array with a map each"
        )
    return found[:size]
