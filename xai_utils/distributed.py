"""Explanations of more images than memory holds, chunk by chunk into a Zarr array.

`explain_dataset` runs in this process, or, given a client, on any Dask cluster: local processes,
SSH, SLURM, Kubernetes.  A chunk is written whole or not at all; a run that was killed goes on where
it was; and what comes out is, bit by bit, what the method gives for all images at once.

Needs the packages zarr and, for a cluster, dask and distributed: ``pip install -e ".[scale]"``.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._chunk_job import BadImages, Chunk, Classes, Job, OnBad, Told, compute, verify
from ._chunk_runs import SchedulerLost, Work, WorkersLost, check_client, chunks
from ._dataset_job import about, checked_target, input_shape, make_job
from ._image_loading import Prepare
from ._image_sources import ImageFolder, Source, source
from ._map_store import MapStore, OtherStore, StoreInUse, provenance, zarr_package

if TYPE_CHECKING:
    import keras

__all__ = [
    "BadImages",
    "Explained",
    "ImageFolder",
    "OtherStore",
    "SchedulerLost",
    "StoreInUse",
    "WorkersLost",
    "explain_dataset",
    "maps",
    "provenance",
    "unit_range",
]

TASKS = "explain_dataset"  # the name on Dask's dashboard
Target = int | ArrayLike | None


@dataclass(frozen=True)
class Explained:
    """What a run did.

    Attributes:
        path: of the store; `maps` opens it.
        images: of the dataset.
        computed: images that this run explained.
        kept: images whose maps were there already, sound.
        damaged: chunks that were there with a wrong checksum, and were computed again.
        skipped: number, name and reason of each image that could not be explained; its map is NaN.
        empty: maps that are zero everywhere.
        seconds: of wall time, ``start`` (until the first chunk was begun) and ``total``; and,
            summed over the chunks of all workers, ``read``, ``compute``, ``write``.
    """

    path: Path
    images: int
    computed: int
    kept: int
    damaged: int
    skipped: tuple[tuple[int, str, str], ...]
    empty: int
    seconds: dict[str, float]


def explain_dataset(
    method: Callable[..., Any],
    model: keras.Model | Callable[..., Any],
    images: Any,
    out: Path | str,
    target: Target = None,
    *,
    prepare: Prepare | None = None,
    dtype: Literal["float16", "float32"] = "float32",
    chunk: int | None = None,
    on_bad: OnBad = "raise",
    client: Any = None,
) -> Explained:
    """Explain every image of a dataset, however large, into one Zarr array of maps.

    ``maps(out)[n]`` is, bit by bit, ``method(model, images, target)[n]`` as ``dtype``, whatever the
    number of workers: chunks begin where batches begin, and no batch has another shape.  Methods
    that draw by lot image after image (`gradients.smooth_grad`) begin anew with each chunk: they
    give ``method(model, images[chunk])``, for any number of workers the same.

    Called again after it was stopped in any way, it checks what is there and computes the rest.

    Args:
        method: ``method(model, images, target)`` to one array with a map each; options, which hold
            for every image, by `functools.partial`.
        model: a Keras model, or whatever the method takes.
        images: an array ``(N, H, W, C)``; a `zarr.Array` or `h5py.Dataset`; the path of a Zarr
            array or of a folder of pictures (see `ImageFolder`).  Files must lie at the same path
            for every worker.
        out: folder of the store, at the same path for every worker.
        target: as the method takes it: None, a class, or one for each image.
        prepare: from images as they are kept to floats in the model's scale, for many at once, e.g.
            `unit_range`, or a `Network`'s ``scaling.apply``; None where they are such floats.
        dtype: of the maps.  float16 keeps three digits, up to 65,504.
        chunk: images computed and written together, a multiple of the method's batch; None for four
            batches.  A worker's memory grows with it, not with the dataset.
        on_bad: what happens at an image that cannot be read or is not finite: ``"raise"``, or
            ``"skip"``: its map is NaN, and it is named.
        client: a ``dask.distributed.Client``; None for this process.  A worker computes one chunk
            at a time, with as many TensorFlow threads as it has, on a graphics processor if its
            TensorFlow sees one: start one worker for each, with ``CUDA_VISIBLE_DEVICES`` of its
            own.  Workers need this library; what they are sent goes by Dask's pickles, so the
            cluster must be one that you trust.

    Returns:
        What was done; `maps` opens the array.

    Raises:
        ImportError: without Zarr or Dask.
        BadImages: images that cannot be explained; they are named.
        StoreInUse: another run is writing into ``out``.
        OtherStore: ``out`` is of another method, model, data set, ... which is said.
        WorkersLost, SchedulerLost: the cluster failed for good.
        OSError: the store cannot be written, e.g. because the disk is full.
        ValueError: wrong arguments, or what the method raises.
        In each case what was finished is kept, and another call goes on from there.
    """
    begun = time.perf_counter()
    zarr_package()
    check_client(client)
    data = source(images, input_shape(model))
    classes = checked_target(target, len(data))
    place = Path(out).expanduser().absolute()
    job, size = make_job(method, model, data, place, classes, prepare, dtype, on_bad, chunk)
    run = _Run(job, data, classes, size, client)
    store = MapStore(job.out)
    with store.alone(), _bar(len(data)) as bar:
        store.ready(about(job), (len(data), *job.map_shape), dtype, size)
        store.sweep()
        try:
            told = run.all(store, bar)
        except BaseException as error:  # Ctrl-C, too
            there = sum(store.record(n) is not None for n in range(run.count))
            error.add_note(f"{there} of {run.count} chunks are kept in {job.out}; call again.")
            raise
        store.sweep()
        whole = store.complete(run.count)
    return _summary(run, told, whole, begun)


def maps(out: Path | str) -> Any:
    """The maps of a store as a `zarr.Array` ``(N, h, w[, C])``, read-only.

    `provenance` says of what they are.  A map that was skipped, or not computed yet, is NaN; a
    damaged chunk raises when it is read.

    Raises:
        OtherStore: there is no store of maps.
    """
    provenance(Path(out))
    return zarr_package().open_array(Path(out), mode="r")


def unit_range(images: NDArray[Any]) -> NDArray[np.float32]:
    """Pixels of 0 to 255 as the course's networks want them: in [0, 1], float32."""
    return images.astype(np.float32) / np.float32(255)


# --- a run ---------------------------------------------------------------------------------------


class _Run:
    """The chunks of a dataset: those that are there are checked, then the rest is computed."""

    def __init__(self, job: Job, data: Source, target: Classes, size: int, client: Any) -> None:
        self.job, self.data, self.size, self.client = job, data, size, client
        self.target = target
        self.count = -(-len(data) // size)
        self.begun: float | None = None  # when the first chunk was

    def all(self, store: MapStore, bar: Any) -> list[Told]:
        there = [n for n in range(self.count) if store.record(n) is not None]
        checked = list(self.over(verify, there, bar))
        other = sorted(t.number for t in checked if t.done == "other")
        if other:
            raise OtherStore(
                f"{store.path} is of other images: chunk {other[0]} (from image "
                f"{other[0] * self.size} on) was made of different ones; name another store"
            )
        for told in checked:
            if told.done == "damaged":
                store.forget(told.number)
        left = sorted(set(range(self.count)) - {t.number for t in checked if t.done == "kept"})
        return checked + list(self.over(compute, left, bar))

    def over(self, function: Callable[..., Told], numbers: list[int], bar: Any) -> Iterator[Told]:
        work = Work(function, self.job, TASKS, heavy=self.data.in_memory)
        for told in chunks(work, map(self.chunk, numbers), self.client):
            if self.begun is None:
                self.begun = time.perf_counter() - told.read - told.compute - told.write
            if told.done != "damaged":
                bar.update(told.images)
            yield told

    def chunk(self, number: int) -> Chunk:
        start = number * self.size
        stop = min(start + self.size, len(self.data))
        names = None if self.data.names is None else tuple(self.data.names[start:stop])
        target = self.target[start:stop] if isinstance(self.target, np.ndarray) else self.target
        return Chunk(number, start, stop, self.data.piece(start, stop), names, target)


def _summary(run: _Run, told: list[Told], whole: dict[str, Any], begun: float) -> Explained:
    images: Counter[str] = Counter()
    for t in told:
        images[t.done] += t.images
    seconds = {k: sum(getattr(t, k) for t in told) for k in ("read", "compute", "write")}
    now = time.perf_counter()
    seconds |= {"start": (run.begun or now) - begun, "total": now - begun}
    skipped = tuple((n, name, why) for n, name, why in whole["skipped"])
    if whole["empty"] or skipped:
        warnings.warn(
            f"{whole['empty']} of {whole['images']} maps are zero everywhere, {len(skipped)} are "
            f"NaN because the image cannot be explained"
            + (f" (first: {skipped[0][1]}, {skipped[0][2]})" if skipped else ""),
            stacklevel=3,
        )
    return Explained(
        path=run.job.out,
        images=whole["images"],
        computed=images["computed"],
        kept=images["kept"],
        damaged=sum(t.done == "damaged" for t in told),
        skipped=skipped,
        empty=whole["empty"],
        seconds=seconds,
    )


def _bar(total: int) -> Any:
    """A bar on a terminal only."""
    from tqdm import tqdm

    return tqdm(total=total, desc=TASKS, unit="image", delay=2, leave=False, disable=None)
