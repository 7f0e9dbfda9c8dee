"""Execute a notebook by a kernel of the running interpreter; several side by side."""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from nbformat import NotebookNode

CELL_TIMEOUT = 1800  # seconds; longer than any training in a notebook, shorter than a night
DATA_LINE = re.compile(r"^Data: (.+)$", re.MULTILINE)
ANSI = re.compile(r"\x1b\[[0-9;]*m")

Result = TypeVar("Result")


@dataclass(frozen=True)
class Run:
    """One execution of one notebook, with its fresh outputs up to the failure, if there was one."""

    name: str
    notebook: NotebookNode
    seconds: float
    failure: str | None
    told: tuple[str, ...] = ()  # what the code that was run afterwards printed or raised

    @property
    def data(self) -> str:
        """The data that the notebook says it ran on, from its lines `Data: ...`."""
        texts = (
            output.text
            for cell in self.notebook.cells
            for output in cell.get("outputs", [])
            if output.output_type == "stream"
        )
        sources = [source.strip() for text in texts for source in DATA_LINE.findall(text)]
        return "; ".join(dict.fromkeys(sources)) or "does not say"


def execute(
    path: Path, environment: Mapping[str, str] | None = None, afterwards: Sequence[str] = ()
) -> Run:
    """Execute one notebook and wait for it; see `executed`."""
    return run(executed(path, environment, afterwards=afterwards))


async def executed(
    path: Path,
    environment: Mapping[str, str] | None = None,
    on_cell: Callable[[int, int], None] = lambda cell, cells: None,
    afterwards: Sequence[str] = (),
) -> Run:
    """Execute a notebook by the running interpreter, in the notebook's own folder.

    `environment` replaces the process's own; `on_cell` is told which code cell of how many begins.
    A failing cell ends the notebook, not the program: see `Run.failure`. What is to be run
    `afterwards` finds all that the notebook has computed, and may raise: see `Run.told`.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = nbformat.read(path, as_version=4)
    own = len(notebook.cells)
    notebook.cells += [_may_raise(source) for source in afterwards]
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for cell in code:  # so that nothing old is left behind a failing cell
        cell.outputs, cell.execution_count = [], None
    current = 0

    def cell_begins(cell: NotebookNode, cell_index: int) -> None:
        nonlocal current
        current = next(k for k, each in enumerate(code, start=1) if each is cell)
        on_cell(current, len(code))

    client = NotebookClient(
        notebook,
        kernel_manager_class=_kernel_of_this_interpreter(),
        timeout=CELL_TIMEOUT,
        startup_timeout=300,  # a busy machine reads the libraries slowly
        record_timing=False,
        coalesce_streams=True,
        on_cell_execute=cell_begins,
    )
    failure, started = None, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            await client.async_execute(
                cwd=str(path.parent),
                env=_kernel_environment(environment, folder),
                # What a notebook writes to sys.stderr goes into its outputs all the same; here
                # only the messaging library speaks, sometimes, while a kernel is being ended.
                stderr=subprocess.DEVNULL,
            )
        except (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # nbclient takes that for a dead kernel
                raise asyncio.CancelledError from error
            failure = f"{path.name}, cell {current}: {_sentence(error)}"
    told = tuple(_text(cell) for cell in notebook.cells[own:])
    del notebook.cells[own:]
    return Run(path.name, notebook, time.perf_counter() - started, failure, told)


def _may_raise(source: str) -> NotebookNode:
    from nbformat.v4 import new_code_cell

    return new_code_cell(source, metadata={"tags": ["raises-exception"]})


def _text(cell: NotebookNode) -> str:
    """What a cell printed or raised, in one line."""
    said = (o.get("text", "") or f"{o.get('ename')}: {o.get('evalue')}" for o in cell.outputs)
    return " ".join(" ".join(said).split())


def _kernel_of_this_interpreter() -> type:
    """A kernel specification found by name may belong to another environment: use none."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    class ThisInterpreter(AsyncKernelManager):
        kernel_spec = KernelSpec(**get_kernel_dict())
        transport_encryption = "auto"  # others on the same server cannot listen; no warning

    return ThisInterpreter


def threads(number: int) -> dict[str, str]:
    """The environment of a process that computes in so many threads.

    OpenMP's threads wait without turning round, which takes a core from others.
    """
    limits = ["TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
    return dict.fromkeys(limits, str(number)) | {"OMP_WAIT_POLICY": "PASSIVE"}


def _kernel_environment(given: Mapping[str, str] | None, folder: str) -> dict[str, str]:
    """Keep a user's IPython profile, matplotlib settings and list of fonts out of the outputs."""
    environment = dict(os.environ if given is None else given)
    environment.pop("MPLBACKEND", None)
    if not os.path.isabs(os.path.expanduser("~")):  # nobody's home is known, and IPython gives up
        environment["HOME"] = folder
    return environment | {"IPYTHONDIR": folder, "MPLCONFIGDIR": _fonts_listed_here()}


@functools.cache
def _fonts_listed_here() -> str:
    """A folder with a list of this environment's fonts, made once and removed at the end.

    The user's own list may come from another installation whose fonts are gone; and a kernel that
    makes its list itself says so in the notebook when that takes long.
    """
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [sys.executable, "-c", "import matplotlib.font_manager"]
    subprocess.run(
        command, env=os.environ | {"MPLCONFIGDIR": folder}, check=True, stderr=subprocess.DEVNULL
    )
    return folder


def _sentence(error: Exception) -> str:
    name = getattr(error, "ename", None) or type(error).__name__
    text = ANSI.sub("", str(getattr(error, "evalue", None) or error)).strip()
    return f"{name}: {text.splitlines()[0] if text else '(no message)'}"


def run(work: Coroutine[Any, Any, Result], meanwhile: Callable[[], None] = lambda: None) -> Result:
    """Run a coroutine in a thread, call `meanwhile` twice a second, return the result.

    In the main thread nbclient would take Ctrl-C for itself, end one kernel and go on. Here it
    cancels the work: all kernels are ended before `KeyboardInterrupt` goes on its way.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        while True:
            try:
                return future.result(timeout=0.5)
            except TimeoutError:
                if future.done():
                    raise
                meanwhile()
    finally:
        future.cancel()
        asyncio.run_coroutine_threadsafe(_others_end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _others_end() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
