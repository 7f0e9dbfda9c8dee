"""Faults that really happen to a run over a dataset, on clusters and disks of this machine.

Each function of `FAULTS` lets one happen and says what became of it; the tests ask whether that is
right, and `benchmarks/scale_faults.py` makes the site's table of it.  Run as a program, this module
is what is interrupted, killed, or put on a small disk.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import chunk_methods
from xai_utils import distributed

HERE = Path(__file__).resolve().parent
N, SIDE, CHUNK = 400, 8, 8
CHUNKS = N // CHUNK
MIDDLE = 25  # the chunk in which an accident happens
MEMORY = "500MB"  # of a worker that runs out of it
PATIENCE = 120  # seconds until a test gives up waiting
MANY, CORRUPT = 10_000, 7_777


class Fault(NamedTuple):
    """What happened, and what became of it.

    Attributes:
        name: the fault.
        said: what the run did or said.
        kept: chunks that were there when the run ended, if it did; None where it went on by itself.
        again: chunks of which the work was done more than once, wholly or in part.
        equal: the final store is byte by byte that of an undisturbed run.
    """

    name: str
    said: str
    kept: int | None
    again: int
    equal: bool


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a store, byte by byte."""
    found = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


def pictures() -> np.ndarray:
    """The images; the first pixel of each is a number of its own."""
    images = np.random.default_rng(7).random((N, SIDE, SIDE, 1), dtype=np.float32)
    images[:, 0, 0, 0] = np.arange(N, dtype=np.float32) / N
    return images


def source(folder: Path) -> Path:
    """The images as a Zarr array on the disk."""
    import zarr

    place = folder / "images"
    if not place.exists():
        zarr.create_array(place, data=pictures(), chunks=(50, SIDE, SIDE, 1))
    return place


def explain(folder: Path, name: str, method: Any = chunk_methods.squares, **options: Any) -> Any:
    """One run over the images, into the store of this name."""
    return distributed.explain_dataset(
        method, chunk_methods.no_network, source(folder), folder / name, chunk=CHUNK, **options
    )


def accident(folder: Path, kind: str, **options: Any) -> Any:
    """The method with an accident in the middle chunk."""
    return functools.partial(
        chunk_methods.accident, kind=kind, folder=str(folder), at=MIDDLE * CHUNK / N, **options
    )


def compared(folder: Path, name: str, method: Any) -> bool:
    """Whether the store equals that of an undisturbed run of the same method, in this process."""
    explain(folder, "undisturbed", method)
    return tree(folder / name) == tree(folder / "undisturbed")


@contextlib.contextmanager
def cluster(**options: Any) -> Iterator[Any]:
    """Two workers of one thread each, as processes of this machine, and a client of them."""
    from distributed import Client, LocalCluster

    settings: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    settings |= {"silence_logs": logging.CRITICAL} | options
    with LocalCluster(**settings) as made, Client(made) as client:
        yield client


def struck(folder: Path, kind: str) -> int:
    """How many processes an accident happened to."""
    return len((folder / kind).read_text().split())


# --- workers -------------------------------------------------------------------------------------


def killed_worker(folder: Path) -> Fault:
    method = accident(folder, "killed")
    with cluster() as client:
        done = explain(folder, "maps", method, client=client)
    again = struck(folder, "killed")
    said = f"went on by itself: {done.images} of {N} images there"
    return Fault(
        "a worker killed (SIGKILL) in the middle of a chunk",
        said,
        None,
        again,
        compared(folder, "maps", method),
    )


def worker_out_of_memory(folder: Path) -> Fault:
    method = accident(folder, "out of memory")
    with cluster(memory_limit=MEMORY) as client:
        done = explain(folder, "maps", method, client=client)
    said = f"went on by itself: {done.images} of {N} images there"
    return Fault(
        "a worker that runs out of memory once; Dask ends it",
        said,
        None,
        struck(folder, "out of memory"),
        compared(folder, "maps", method),
    )


def every_worker_dies(folder: Path) -> Fault:
    """The run gives up at that chunk; once the cause is mended, another call does the rest."""
    import dask.distributed  # first: leaving `set` would take what it adds to the settings away

    method = accident(folder, "killed", always=True)
    said, kept = "nothing", None
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}), cluster() as client:
        try:
            explain(folder, "maps", method, client=client)
        except distributed.WorkersLost as error:
            said, kept = str(error), _at_rest(client, folder / "maps")
        (folder / "mended").touch()
        explain(folder, "maps", method, client=client)
    again = struck(folder, "killed")
    equal = compared(folder, "maps", method)
    return Fault("a chunk at which every worker dies (SIGKILL)", said, kept, again, equal)


def _at_rest(client: Any, store: Path) -> int:
    """Chunks that are there once the workers have finished what they had begun."""
    client.run(_at_rest_here)
    return _records(store)


def _at_rest_here() -> None:
    from xai_utils._chunk_runs import _turn

    with _turn:  # a worker has it while it is at a chunk
        pass


def _records(store: Path) -> int:
    return len(list((store / "records").glob("*.json")))


# --- the scheduler -------------------------------------------------------------------------------


class Deployment:
    """A scheduler and two workers as programs of their own, as on a cluster."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.running: list[subprocess.Popen[bytes]] = []

    def scheduler(self) -> subprocess.Popen[bytes]:
        return self._start(
            "dask_scheduler", "--port", str(self.port), "--host", "127.0.0.1", "--no-dashboard"
        )

    def workers(self) -> subprocess.Popen[bytes]:
        return self._start(
            "dask_worker", self.address, "--nworkers", "2", "--nthreads", "1", "--no-dashboard"
        )

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{program}", *arguments]
        started = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
        self.running.append(started)
        return started

    def end(self) -> None:
        for program in reversed(self.running):
            program.terminate()
        for program in self.running:
            program.wait(timeout=PATIENCE)


def environment() -> dict[str, str]:
    """The environment of a program that finds the library and the methods of the tests."""
    paths = [str(HERE.parent), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(paths)}


def scheduler_restarted(folder: Path) -> Fault:
    from distributed import Client

    place = Deployment()
    first = place.scheduler()
    place.workers()
    try:
        with Client(place.address, timeout=PATIENCE) as client:
            client.wait_for_workers(2, timeout=PATIENCE)

            def strike() -> None:
                _wait_for(lambda: _records(folder / "maps") >= CHUNKS // 3)
                first.kill()  # its workers end, too, as they do on a cluster
                first.wait()
                place.scheduler()
                place.workers()

            accident = threading.Thread(target=strike)
            accident.start()
            done = explain(folder, "maps", client=client)
            accident.join()
    finally:
        place.end()
    said = f"waited for the new one, and went on by itself: {done.images} images there"
    again = done.kept // CHUNK  # given out again, found to be there
    equal = compared(folder, "maps", chunk_methods.squares)
    return Fault("the scheduler killed and started again", said, None, again, equal)


def _wait_for(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not happens():
        if time.monotonic() > end:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.01)


# --- this process --------------------------------------------------------------------------------


def _program(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """This module as a program, in a process group of its own, as a terminal starts one."""
    return subprocess.Popen(
        [sys.executable, str(Path(__file__)), *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def _stopped(folder: Path, how: signal.Signals, on_cluster: bool) -> Fault:
    source(folder)
    with _program("run", str(folder), *(["cluster"] if on_cluster else [])) as program:
        _wait_for(lambda: _records(folder / "maps") >= CHUNKS // 3)
        os.killpg(program.pid, how)
        _, told = program.communicate(timeout=PATIENCE)
    kept = _records(folder / "maps")
    done = explain(folder, "maps")
    last = [line for line in told.splitlines() if line.strip()][-2:]
    said = " ".join(last).replace(str(folder), "...") if how == signal.SIGINT else "nothing"
    again = kept + done.computed // CHUNK - CHUNKS
    equal = compared(folder, "maps", chunk_methods.squares)
    name = "Ctrl-C, on a cluster" if on_cluster else "the process killed (SIGKILL)"
    return Fault(name, said, kept, again, equal)


def interrupted(folder: Path) -> Fault:
    return _stopped(folder, signal.SIGINT, on_cluster=True)


def killed(folder: Path) -> Fault:
    return _stopped(folder, signal.SIGKILL, on_cluster=False)


# --- the disk ------------------------------------------------------------------------------------


def small_disks() -> str:
    """Why this machine lets nobody mount a small disk; empty where it does."""
    try:
        trial = subprocess.run(
            ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError as error:
        return str(error)
    return trial.stderr.strip() if trial.returncode else ""


def full_disk(folder: Path) -> Fault:
    """A tmpfs that is too small, enlarged before the second call."""
    source(folder)
    disk = folder / "disk"
    disk.mkdir()
    script = f"mount -t tmpfs -o size=160k tmpfs '{disk}'; exec \"$@\""
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-ec", script, "sh", sys.executable, __file__, "disk", folder],
        env=environment(), capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    said, kept, computed, copy = json.loads(done.stdout.splitlines()[-1])
    again = kept + computed // CHUNK - CHUNKS
    explain(folder, "undisturbed")
    equal = tree(Path(copy)) == tree(folder / "undisturbed")
    return Fault("a full disk (tmpfs)", said.replace(str(folder), "..."), kept, again, equal)


def _on_disk(folder: Path) -> None:
    """What runs on the small disk."""
    disk = folder / "disk"
    said = ""
    with cluster() as client:
        try:
            explain(folder, "disk/maps", client=client)
        except OSError as error:
            said = f"{type(error).__name__}: {error}"
        kept = _at_rest(client, disk / "maps")
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        done = explain(folder, "disk/maps", client=client)
    shutil.copytree(disk / "maps", folder / "copy")
    print(json.dumps([said, kept, done.computed, str(folder / "copy")]))


# --- the images ----------------------------------------------------------------------------------


def corrupt_image(folder: Path) -> Fault:
    """One file among ten thousand cut short: named, then skipped; all others as without it."""
    from PIL import Image

    pixels = np.random.default_rng(3).integers(0, 256, (MANY, SIDE, SIDE), np.uint8)
    (folder / "files").mkdir()
    for k, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / "files" / f"{k:05d}.png")
    run = functools.partial(
        distributed.explain_dataset,
        functools.partial(chunk_methods.squares, batch_size=50),
        chunk_methods.no_network,
        folder / "files",
        prepare=distributed.unit_range,
        chunk=500,
    )
    run(folder / "undisturbed")
    victim = folder / "files" / f"{CORRUPT:05d}.png"
    victim.write_bytes(victim.read_bytes()[:-30])
    with cluster() as client:
        try:
            run(folder / "maps", client=client)
            said, kept = "nothing", None
        except distributed.BadImages as error:
            said, kept = str(error).partition(";")[0], _at_rest(client, folder / "maps")
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            done = run(folder / "maps", client=client, on_bad="skip")
    found, whole = (distributed.maps(folder / name)[:] for name in ("maps", "undisturbed"))
    equal = np.array_equal(np.delete(found, CORRUPT, 0), np.delete(whole, CORRUPT, 0))
    equal = equal and bool(np.isnan(found[CORRUPT]).all())
    said += f"; then, with on_bad='skip', {len(done.skipped)} of {MANY:,} skipped"
    again = (kept or 0) + done.computed // 500 - MANY // 500
    return Fault(f"one corrupt file among {MANY:,}", said, kept, again, equal)


FAULTS: dict[str, Callable[[Path], Fault]] = {
    "killed_worker": killed_worker,
    "worker_out_of_memory": worker_out_of_memory,
    "every_worker_dies": every_worker_dies,
    "scheduler_restarted": scheduler_restarted,
    "interrupted": interrupted,
    "killed": killed,
    "full_disk": full_disk,
    "corrupt_image": corrupt_image,
}


def main(what: str, folder: str, *on: str) -> None:
    """The run that is stopped from outside, or that of the small disk."""
    # What a shell starts in the background ignores Ctrl-C, and so would all that is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if what == "disk":
        _on_disk(Path(folder))
    elif on:
        with cluster() as client:
            explain(Path(folder), "maps", client=client)
    else:
        explain(Path(folder), "maps")


if __name__ == "__main__":
    main(*sys.argv[1:])
