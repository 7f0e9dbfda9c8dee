"""What an archive of maps costs, and how it scales: measure once, write data/scale.json.

``python benchmarks/scale.py [--images 10000] [--steps 4] [--only STEP ...]``.  Plates are the real
ones where they are at hand, in the eight symmetries of the square until there are enough of them.

overhead: the same plates by the plain call and through `explain_dataset`, in this process and on
clusters of this machine that are warm (their workers have TensorFlow and the compiled method).
They take turns, so that a slow moment of the machine meets all, and each ratio is the median over
the rounds of the ratio within a round; of wall time, and of processor time, which others' work on
the same machine hardly changes.  dispatch: what a chunk costs if its work is nothing.
whole: start to end, cold, from a Zarr array on the disk.  Each step adds to the file.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import functools
import json
import logging
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from work import BUILD, ROOT

from xai_utils import cam, datasets, distributed, gradients, training
from xai_utils._chunk_runs import Work, chunks
from xai_utils._kept import write_whole

sys.path.insert(0, str(ROOT / "tests"))
import chunk_methods

RESULT = ROOT / "data" / "scale.json"
FEW, ROUNDS = 1024, 3  # plates and rounds of the step `overhead`
CLUSTERS = {"1 x 1": (1, 1), "1 x 2": (1, 2), "2 x 1": (2, 1)}  # workers x threads of each
EMPTY = 1000  # chunks of nothing


@contextlib.contextmanager
def cluster(workers: int, threads: int) -> Iterator[Any]:
    """Workers as processes of this machine, and a client of them."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
            memory_limit=0,
        ) as made,
        Client(made) as client,
    ):
        yield client


def plates(count: int) -> tuple[np.ndarray, datasets.ImageDataset]:
    """So many plates ``(N, 200, 200, 1)`` uint8: each as it is, then turned and mirrored."""
    data = datasets.load_neu()
    turned = []
    for k in range(-(-count // len(data))):
        images = np.rot90(data.images, k % 4, axes=(1, 2))
        turned.append(images[:, :, ::-1] if k >= 4 else images)
    return np.concatenate(turned)[:count], data


def network(data: datasets.ImageDataset) -> Any:
    """The network that fits the plates."""
    return training.load_or_train("neu_gap" if data.masks is None else "steel_gap")


def timed(work: Callable[[], Any]) -> float:
    """Seconds of wall time."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def spent(client: Any) -> float:
    """Seconds of processor time so far, of this process and of a cluster's workers."""
    return time.process_time() + (sum(client.run(time.process_time).values()) if client else 0.0)


def peak(_: Any = None) -> int:
    """The most memory that this process has held, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


# --- the steps -----------------------------------------------------------------------------------


def overhead(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Grad-CAM of the same plates on the disk, the plain call and all other ways by turns."""
    import zarr

    pixels, data = plates(FEW)
    model, chunks = network(data), (128, 200, 200, 1)
    given = zarr.create_array(folder / "plates", data=pixels, chunks=chunks)
    few = zarr.create_array(folder / "few plates", data=pixels[:256], chunks=chunks)
    stores = iter(range(10_000))
    last: dict[str, Any] = {}

    def through(way: str, client: Any, images: Any) -> None:
        out = folder / f"overhead {next(stores)}"
        last[way] = distributed.explain_dataset(
            cam.grad_cam, model, images, out, prepare=distributed.unit_range, client=client
        )

    with contextlib.ExitStack() as stack:
        ways: dict[str, Callable[[Any], Any]] = {
            "plain, 2 threads": lambda images: cam.grad_cam(
                model, distributed.unit_range(images[:])
            ),
            "this process": lambda images: through("this process", None, images),
        }
        clients = {n: stack.enter_context(cluster(*size)) for n, size in CLUSTERS.items()}
        for name, client in clients.items():
            ways[name] = functools.partial(through, name, client)
        for way in ways.values():
            way(few)  # compiles, on every worker
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        processor: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                at = clients.get(name)
                begun = spent(at)
                seconds[name].append(timed(functools.partial(way, given)))
                processor[name].append(spent(at) - begun)
        memory = {n: max(c.run(peak).values()) for n, c in clients.items()}

    def ratio(of: dict[str, list[float]], one: str, other: str) -> float:
        return statistics.median(a / b for a, b in zip(of[one], of[other], strict=True))

    plain = "plain, 2 threads"

    return {
        "images": FEW,
        "rounds": ROUNDS,
        "seconds": {way: statistics.median(s) for way, s in seconds.items()},
        "processor": {way: statistics.median(s) for way, s in processor.items()},
        "over_plain": {way: ratio(seconds, way, plain) for way in seconds},
        "processor_over_plain": {way: ratio(processor, way, plain) for way in seconds},
        "two_workers_over_one": ratio(seconds, "1 x 1", "2 x 1"),
        "terms": {way: done.seconds for way, done in last.items()},
        "memory": memory,
    }


def dispatch(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What Dask, the store and the file system ask for each chunk."""
    chunk_methods.PAUSE = 0.0
    images = np.zeros((8 * EMPTY, 2, 2, 1), np.float32)
    import zarr

    given = zarr.create_array(folder / "nothing", data=images, chunks=(800, 2, 2, 1))
    nothing = functools.partial(_nothing, batch_size=8)
    found = {}
    for name, size in (("this process", None), ("2 x 1", (2, 1))):
        with cluster(*size) if size else contextlib.nullcontext() as client:
            out = folder / f"nothing, {name}"
            done = distributed.explain_dataset(
                nothing, chunk_methods.no_network, given, out, chunk=8, client=client
            )
            found[name] = (done.seconds["total"] - done.seconds["start"]) / EMPTY
            if client is not None:
                work = Work(_no_work, None, "nothing")
                alone = timed(lambda w=work, c=client: list(chunks(w, range(EMPTY), c)))
                found["Dask alone"] = alone / EMPTY
    return {"chunks": EMPTY, "seconds_a_chunk": found}


def _nothing(model: Any, images: np.ndarray, target: Any, batch_size: int) -> np.ndarray:
    return images[..., 0] + 1


def _no_work(shared: Any, task: int) -> int:
    return task


def whole(folder: Path, options: argparse.Namespace, method: Any, name: str) -> dict[str, Any]:
    """All plates from the disk, from nothing running to the last record."""
    import zarr

    pixels, data = plates(options.images)
    given = zarr.create_array(folder / f"{name} plates", data=pixels, chunks=(128, 200, 200, 1))
    model = network(data)
    with contextlib.ExitStack() as stack:
        begun = time.perf_counter()
        client = stack.enter_context(cluster(2, 1))
        started = time.perf_counter() - begun
        done = distributed.explain_dataset(
            method,
            model,
            given,
            folder / name,
            dtype="float16",
            prepare=distributed.unit_range,
            client=client,
        )
        seconds = time.perf_counter() - begun
        memory = max(client.run(peak).values())
    size = sum(p.stat().st_size for p in (folder / name).rglob("*") if p.is_file())
    return {
        "method": name,
        "images": done.images,
        "workers": 2,
        "seconds": seconds,
        "cluster": started,
        "terms": done.seconds,
        "chunk": distributed.maps(folder / name).chunks[0],
        "memory": memory,
        "bytes": size,
        "bytes_in": int(pixels[0].nbytes),
        "empty": done.empty,
        "load": os.getloadavg()[0],
    }


STEPS: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
    "dispatch": dispatch,
    "overhead": overhead,
    "grad_cam": lambda f, o: whole(f, o, cam.grad_cam, "Grad-CAM"),
    "integrated_gradients": lambda f, o: whole(
        f,
        o,
        functools.partial(gradients.integrated_gradients, steps=o.steps),
        f"integrated gradients, {o.steps} steps",
    ),
}


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    import importlib.metadata

    names = ("tensorflow", "keras", "numpy", "dask", "zarr")
    return {
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "data": datasets.load_neu().source,
        **{name: importlib.metadata.version(name) for name in names},
    }


def main() -> None:
    """Run the steps that are asked for, and keep each as soon as it is measured."""
    parser = argparse.ArgumentParser(description="Measure archives of maps.")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=4, help="of integrated gradients")
    parser.add_argument("--only", action="append", choices=STEPS)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    for step in options.only or STEPS:
        folder = Path(tempfile.mkdtemp(prefix="scale ", dir=BUILD))
        try:
            found = STEPS[step](folder, options)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        kept = json.loads(options.out.read_text()) if options.out.exists() else {}
        kept |= {"machine": machine(), step: found | {"load": os.getloadavg()[0]}}
        write_whole(options.out, json.dumps(kept, indent=1) + "\n")
        print(step, json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
