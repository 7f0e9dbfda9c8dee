"""A run over a dataset, on real clusters of this machine, through everything that befalls one."""

from __future__ import annotations

import asyncio
import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import chunk_faults
import chunk_methods
from chunk_faults import CHUNK, CHUNKS, FAULTS, N, accident, cluster, explain, pictures, tree
from networks import functional, gap_layers, seeded
from xai_utils import distributed
from xai_utils.cam import grad_cam
from xai_utils.datasets import ImageDataset
from xai_utils.evaluation import Method, evaluate
from xai_utils.gradients import saliency, smooth_grad

EXPECTED = {  # what it says; chunks that are there when it ends; chunks done twice
    "killed_worker": (r"went on by itself: 400 of 400 images there", None, 1),
    "worker_out_of_memory": (r"went on by itself: 400 of 400 images there", None, 1),
    "every_worker_dies": (r"images 200 to 207 died one after the other", (0, CHUNKS), 4),
    "scheduler_restarted": (r"went on by itself: 400 images there", None, None),
    "interrupted": (r"KeyboardInterrupt \d+ of 50 chunks are kept in .*; call again", (9, 49), 0),
    "killed": (r"nothing", (9, 49), 0),
    "full_disk": (r"OSError: .*No space left on device", (1, 49), 0),
    "corrupt_image": (
        r"1 image\(s\) cannot be explained: 07777\.png \(OSError.*1 of 10,000 skipped",
        (0, 19),
        0,
    ),
}


@pytest.mark.fault(
    "Data: runs over a whole dataset",
    "Ctrl-C, the process killed, the disk full, a picture damaged; on a cluster: a worker or the "
    "scheduler dies, or workers have too little memory",
    sees="where it can go on, it does so by itself; else the error, and: … of 50 chunks are kept "
    "in …; call again",
    kept="every chunk that was finished; the next call computes the others, and the maps are byte "
    "by byte those of an undisturbed run",
    guard=(
        "xai_utils/_chunk_runs.py",
        "        lost = _is_loss(error)",
        "        lost = False",
    ),
)
@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_lost_and_nothing_done_twice(tmp_path: Path, name: str) -> None:
    if name == "full_disk" and (problem := chunk_faults.small_disks()):
        pytest.skip(f"NOT TESTED: a full disk needs unshare -Urm: {problem}")
    found = FAULTS[name](tmp_path)
    said, kept, again = EXPECTED[name]
    assert re.search(said, found.said), found
    assert found.equal, found
    if kept is not None:
        assert found.kept is not None and kept[0] <= found.kept <= kept[1], found
    if again is not None:
        assert found.again == again, found


@pytest.fixture(scope="module")
def four() -> Iterator[Any]:
    with cluster(n_workers=1, memory_limit=0) as client:
        yield client


@pytest.mark.slow
def test_every_bit_is_the_same_for_one_two_and_four_workers(four: Any, tmp_path: Path) -> None:
    model = seeded(functional(gap_layers()))
    images = np.random.default_rng(11).random((90, 8, 8, 1), dtype=np.float32)
    method = functools.partial(grad_cam, batch_size=4)
    plain = method(model, images)
    distributed.explain_dataset(method, model, images, tmp_path / "here", chunk=8)
    for workers in (1, 2, 4):
        four.cluster.scale(workers)
        four.wait_for_workers(workers, timeout=chunk_faults.PATIENCE)
        out = tmp_path / str(workers)
        distributed.explain_dataset(method, model, images, out, chunk=8, client=four)
        np.testing.assert_array_equal(distributed.maps(out)[:], plain)
        assert tree(out) == tree(tmp_path / "here")
    threads = set(four.run(_threads).values())
    wanted = int(os.environ.get("TF_NUM_INTRAOP_THREADS", 1))  # who has set it, has it
    assert threads <= {None, wanted}, "one thread of TensorFlow for each thread of a worker"


def _threads() -> int | None:
    import sys

    tf = sys.modules.get("tensorflow")
    if tf is None:  # a worker that came last may have had no chunk
        return None
    told = os.environ.get("TF_NUM_INTRAOP_THREADS")  # what the tests share the cores by
    return int(told or tf.config.threading.get_intra_op_parallelism_threads())


def test_images_in_memory_survive_the_worker_that_has_them(tmp_path: Path) -> None:
    method = accident(tmp_path, "killed")
    run = functools.partial(distributed.explain_dataset, method, chunk_methods.no_network)
    with cluster() as client:
        done = run(pictures(), tmp_path / "maps", chunk=CHUNK, client=client)
    assert done.computed + done.kept == N and chunk_faults.struck(tmp_path, "killed") == 1
    run(pictures(), tmp_path / "undisturbed", chunk=CHUNK)
    assert tree(tmp_path / "maps") == tree(tmp_path / "undisturbed")


@pytest.fixture(scope="module")
def threads() -> Iterator[Any]:
    """A cluster of threads in this process: quick to start."""
    with cluster(processes=False) as client:
        yield client


@pytest.mark.fault(
    "Data: runs over a whole dataset",
    "A method finds no memory for a chunk, this time only",
    sees="nothing; after the fifth time `MemoryError`",
    kept="all chunks",
    guard=(
        "xai_utils/_chunk_runs.py",
        "elif not (deadly or isinstance(error, MemoryError)) or",
        "elif not deadly or",
    ),
)
def test_a_chunk_without_memory_is_tried_again(threads: Any, tmp_path: Path) -> None:
    explain(tmp_path, "maps", accident(tmp_path, "no memory"), client=threads)
    assert chunk_faults.struck(tmp_path, "no memory") == 1
    with pytest.raises(MemoryError):
        always = accident(tmp_path, "no memory", always=True)
        explain(tmp_path, "never", always, client=threads)
    assert chunk_faults.struck(tmp_path, "no memory") == 1 + 5


@pytest.mark.fault(
    "Data: runs over a whole dataset",
    "A mistake in your own method, met in the middle of a dataset",
    sees="your error, and below it: … of 50 chunks are kept in …; call again",
    kept="every chunk that was finished",
    guard=(
        "xai_utils/distributed.py",
        "            error.add_note(f",
        "            str(f",
    ),
)
def test_an_error_of_the_method_ends_the_run_and_keeps_the_rest(
    threads: Any, tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError) as told:
        explain(tmp_path, "maps", accident(tmp_path, "a mistake", always=True), client=threads)
    assert re.fullmatch(r"\d+ of 50 chunks are kept in .*; call again\.", told.value.__notes__[0])
    (tmp_path / "mended").touch()
    method = accident(tmp_path, "a mistake", always=True)
    done = explain(tmp_path, "maps", method, client=threads)
    assert done.kept > 0 and done.kept + done.computed == N


@pytest.mark.fault(
    "Data: runs over a whole dataset",
    "A file of the kept maps has other bytes than were written",
    sees="nothing; `damaged` counts it",
    kept="the other chunks; this one is computed again",
    guard=(
        "xai_utils/_chunk_job.py",
        " or not store.sound(record):",
        ":",
    ),
)
def test_a_second_call_checks_on_the_cluster(threads: Any, tmp_path: Path) -> None:
    explain(tmp_path, "maps")
    whole = tree(tmp_path / "maps")
    (tmp_path / "maps/c/3/0/0").write_bytes(b"no")
    done = explain(tmp_path, "maps", client=threads)
    assert (done.kept, done.damaged, done.computed) == (N - CHUNK, 1, CHUNK)
    assert tree(tmp_path / "maps") == whole


def test_the_dashboard_has_the_chunks_under_one_name(threads: Any, tmp_path: Path) -> None:
    explain(tmp_path, "maps", client=threads)
    assert "explain_dataset" in threads.cluster.scheduler.task_prefixes


def test_a_client_that_others_wait_for_is_refused(threads: Any, tmp_path: Path) -> None:
    from distributed import Client

    async def ask() -> None:
        async with Client(threads.scheduler.address, asynchronous=True) as waiting:
            with pytest.raises(TypeError, match="not asynchronous"):
                explain(tmp_path, "maps", client=waiting)

    asyncio.run(ask())


# --- the scoreboard on a cluster -----------------------------------------------------------------


def test_an_evaluation_has_the_same_values_on_a_cluster(threads: Any, tmp_path: Path) -> None:
    model = seeded(functional(gap_layers()))
    masks = np.zeros((12, 8, 8), bool)
    masks[:, :4, :4] = True
    data = ImageDataset(
        name="Squares",
        images=np.random.default_rng(3).integers(0, 256, (12, 8, 8, 1), np.uint8),
        labels=np.array([0, 1, 2] * 4),
        class_names=("a", "b", "c"),
        names=tuple(map(str, range(12))),
        split=np.full(12, "test"),
        sheets=np.arange(12) % 8,
        source="a test",
        about="",
        masks=masks,
    )
    methods = {
        "Grad-CAM": Method(grad_cam),
        "saliency": Method(saliency, "absolute"),
        "smoothed": Method(saliency, "absolute", smooth=1.0),
        "SmoothGrad": Method(functools.partial(smooth_grad, samples=3), seeded=True, images=7),
    }
    run = functools.partial(evaluate, methods, model, data, chunk=5, return_values=True)
    board, values = run()
    on_cluster, theirs = run(client=threads, folder=tmp_path)
    columns = [c for c in board.columns if c != "seconds"]
    pd.testing.assert_frame_equal(on_cluster[columns], board[columns])
    pd.testing.assert_frame_equal(theirs, values)
    assert (on_cluster["seconds"] > 0).all()
    again, _ = run(folder=tmp_path)  # what a cluster has measured is kept for everybody
    pd.testing.assert_frame_equal(again, on_cluster)
