"""Many chunks of work, one after the other in this process or on a Dask cluster.

What can go wrong on a cluster is dealt with here.  A worker that dies: Dask gives its chunk to
another one.  A scheduler that dies: once the client has found it again, what was not finished is
given out anew.  An error of the work itself ends the run; what was kept by then is kept.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import time
import uuid
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ._map_store import EXTRA
from ._quiet import import_tensorflow, quiet_stderr

ATTEMPTS = 5  # to give out one chunk, each after a scheduler or a sent image was lost
SUSPICIONS = 2  # Dask also blames a chunk that only waited at a worker when that died
AHEAD = 2  # chunks sent to a cluster for each of its threads, where they carry images


class WorkersLost(RuntimeError):
    """Several workers died at one chunk, so the next one would, too."""


class SchedulerLost(ConnectionError):
    """The cluster's scheduler is gone and did not come back."""


class Work(NamedTuple):
    """What `chunks` runs: ``function(shared, task)`` for each task.

    Attributes:
        name: of the tasks on Dask's dashboard.
        heavy: tasks carry images, so only a few are on the way at once.
    """

    function: Callable[[Any, Any], Any]
    shared: Any
    name: str
    heavy: bool = False


def chunks(work: Work, tasks: Iterable[Any], client: Any = None) -> Iterator[Any]:
    """The result of each task: in order in this process, as they come from a cluster.

    Raises:
        WorkersLost, SchedulerLost: see there.
        Exception: what the function raises.
    """
    if client is None:
        return (work.function(work.shared, task) for task in tasks)
    return _on_cluster(work, tasks, client)


def check_client(client: Any) -> None:
    """Refuse what is no Dask client, or one that waits for others (``asynchronous=True``).

    Raises:
        ImportError: without Dask; it says how to get it.
        TypeError: no client.
    """
    if client is None:
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(EXTRA) from error
    if not isinstance(client, Client) or client.asynchronous:
        raise TypeError(
            f"client of type {type(client).__name__}; expected a dask.distributed.Client that is "
            f"not asynchronous"
        )


# --- on a worker ---------------------------------------------------------------------------------

_turn = threading.Lock()  # one chunk at a time: TensorFlow shares it out to the worker's threads


@dataclass(frozen=True)
class Sent:
    """What all tasks share, packed, so that TensorFlow is set up before a model is unpacked."""

    key: str
    packed: bytes = field(compare=False, repr=False)
    keras: bool = field(compare=False)


def _packed(shared: Any) -> Sent:
    from distributed.protocol import pickle as transport  # Dask's own way from process to process

    packed = transport.dumps(shared)
    return Sent(uuid.uuid4().hex, packed, b"keras." in packed)  # the module of a model's class


@functools.lru_cache(maxsize=2)
def _unpacked(sent: Sent) -> Any:
    from distributed.protocol import pickle as transport

    return transport.loads(sent.packed)


def _same(sent: Sent) -> Sent:
    return sent


def _at_worker(function: Callable[[Any, Any], Any], sent: Sent, task: Any) -> Any:
    with _turn:
        if sent.keras:
            _start_tensorflow()
        return function(_unpacked(sent), task)


def _start_tensorflow() -> None:
    """As many threads for TensorFlow as the worker has, unless somebody has said otherwise."""
    if "tensorflow" in sys.modules:
        return
    with quiet_stderr():
        import_tensorflow()
        import tensorflow as tf
        from distributed import get_worker
    if "TF_NUM_INTRAOP_THREADS" in os.environ:
        return
    tf.config.threading.set_intra_op_parallelism_threads(get_worker().state.nthreads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


# --- at the client -------------------------------------------------------------------------------


def _on_cluster(work: Work, tasks: Iterable[Any], client: Any) -> Iterator[Any]:
    run = _ClusterRun(work, client)
    todo = iter(tasks)
    try:
        while True:
            for task in todo:
                run.give(task)
                if work.heavy and len(run.given) >= run.enough():
                    break
            if not run.given:
                return
            yield run.result()
    finally:
        run.give_up()


class _ClusterRun:
    """Tasks that were given to a cluster, and what becomes of them."""

    def __init__(self, work: Work, client: Any) -> None:
        from distributed import as_completed

        self.work, self.client = work, client
        self.sent, self.held = _packed(work.shared), None
        self.given: dict[Any, tuple[Any, int]] = {}  # future: task, how often it was given
        self.finished = as_completed()
        self.threads = 1
        self.kept: list[Any] = []  # so that Dask's dashboard shows how much is done

    def enough(self) -> int:
        """How many tasks on the way keep every thread busy."""
        with contextlib.suppress(OSError):  # while the scheduler is away it is as it was
            self.threads = max(1, sum(self.client.nthreads().values()))
        return AHEAD * self.threads

    def give(self, task: Any, attempt: int = 1) -> None:
        """Give a task to the cluster."""
        import dask

        name = f"{self.work.name}-{uuid.uuid4().hex}"
        if self.held is None or self.held.status in ("cancelled", "lost"):
            # A task, not scattered data: whoever loses it gets it made anew by the scheduler.
            key = f"{self.work.name}-job-{uuid.uuid4().hex}"
            self.held = self.client.submit(_same, self.sent, key=key, pure=False)
        # Images go within the task, so the scheduler has them for whoever does it in the end.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}):
            future = self.client.submit(
                _at_worker, self.work.function, self.held, task, key=name, pure=False
            )
        self.given[future] = (task, attempt)
        self.finished.add(future)

    def result(self) -> Any:
        """The next result; what the cluster has lost is given out again before."""
        while True:
            future = next(self.finished)
            task, attempt = self.given.pop(future)
            try:
                found = future.result()
            except (Exception, CancelledError) as error:
                self.give_again(task, attempt, error)
            else:
                if not self.work.heavy:  # its task, with its images, would be kept as well
                    self.kept.append(future)
                return found

    def give_again(self, task: Any, attempt: int, error: BaseException) -> None:
        """Give a task out anew if it was the cluster that failed; raise if it was the work."""
        from distributed.scheduler import KilledWorker

        deadly = isinstance(error, KilledWorker)
        if deadly and attempt >= SUSPICIONS:
            raise WorkersLost(
                f"the workers that computed {_where(task)} died one after the other, killed or "
                f"out of memory: give each more memory, or make the chunks smaller"
            ) from error
        lost = _is_loss(error)
        if lost:
            self.wait_for_scheduler()
            if attempt >= ATTEMPTS:
                raise SchedulerLost(f"{_where(task)} was lost {attempt} times") from error
        elif not (deadly or isinstance(error, MemoryError)) or attempt >= ATTEMPTS:
            raise error
        self.give(task, attempt + 1)

    def wait_for_scheduler(self) -> None:
        """Wait as long as the client itself tries to find its scheduler again.

        Raises:
            SchedulerLost: it gave up.
        """
        while self.client.status == "connecting":
            time.sleep(0.1)
        if self.client.status != "running":
            raise SchedulerLost(
                f"the scheduler is gone and the client has given up (it is "
                f"{self.client.status!r}); start a cluster and call again"
            )

    def give_up(self) -> None:
        """Take back what nobody has begun; what is being computed is finished, and kept."""
        left = list(self.given)
        self.given.clear()
        if left and self.client.status == "running":
            self.client.cancel(left, force=True)


def _is_loss(error: BaseException) -> bool:
    """Whether an error says that the cluster lost something, and not that the work failed."""
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError

    return isinstance(error, FutureCancelledError | CommClosedError | CancelledError)


def _where(task: Any) -> str:
    start, stop = getattr(task, "start", None), getattr(task, "stop", None)
    return "a chunk" if start is None or stop is None else f"images {start} to {stop - 1}"
