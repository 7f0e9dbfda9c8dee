"""Execute the notebooks of the course in order, each once, and turn them into web pages.

`python site/course.py` writes the executed notebooks to build/notebooks and the pages to
build/site; `python site/course.py 10 11 --no-site` executes the notebooks that begin so, no more.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
CELL_TIMEOUT = 1800  # seconds; longer than any training in a notebook, shorter than a night
DATA_LINE = re.compile(r"^Data: (.+)$", re.MULTILINE)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Run:
    """One execution of one notebook, with its fresh outputs up to the failure, if there was one."""

    name: str
    notebook: NotebookNode
    seconds: float
    failure: str | None

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
    path: Path,
    environment: Mapping[str, str] | None = None,
    on_cell: Callable[[int, int], None] = lambda cell, cells: None,
) -> Run:
    """Execute a notebook by the running interpreter, in the notebook's own folder.

    `environment` replaces the process's own; `on_cell` is told which code cell of how many begins.
    A failing cell ends the notebook, not the program: see `Run.failure`.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = nbformat.read(path, as_version=4)
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
            client.execute(
                cwd=str(path.parent),
                env=_kernel_environment(environment, folder),
                # What a notebook writes to sys.stderr goes into its outputs all the same; here
                # only the messaging library speaks, sometimes, while a kernel is being ended.
                stderr=subprocess.DEVNULL,
            )
        except (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError) as error:
            failure = f"{path.name}, cell {current}: {_sentence(error)}"
    return Run(path.name, notebook, time.perf_counter() - started, failure)


def _kernel_of_this_interpreter() -> type:
    """A kernel specification found by name may belong to another environment: use none."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    class ThisInterpreter(AsyncKernelManager):
        kernel_spec = KernelSpec(**get_kernel_dict())
        transport_encryption = "auto"  # others on the same server cannot listen; no warning

    return ThisInterpreter


def _kernel_environment(given: Mapping[str, str] | None, folder: str) -> dict[str, str]:
    """Keep a user's IPython profile, matplotlib settings and list of fonts out of the outputs."""
    environment = dict(os.environ if given is None else given)
    environment.pop("MPLBACKEND", None)
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


class Progress:
    """Says what is at work: one living line on a terminal, a plain line now and then elsewhere."""

    def __init__(self, label: str) -> None:
        self.label, self.step, self.started = label, "kernel starts", time.monotonic()
        self.living = sys.stdout.isatty()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Progress:
        self._print()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self.living:
            print("\r\x1b[K", end="", flush=True)

    def cell(self, cell: int, cells: int) -> None:
        """Take note of the cell that begins."""
        self.step = f"cell {cell} of {cells}"

    def _tick(self) -> None:
        while not self._over.wait(0.5 if self.living else 10):
            self._print()

    def _print(self) -> None:
        line = f"{self.label}: {self.step}, {time.monotonic() - self.started:.0f} s"
        print(
            f"\r\x1b[K{line}" if self.living else line, end="" if self.living else "\n", flush=True
        )


@contextlib.contextmanager
def locked(build: Path) -> Iterator[None]:
    """Hold the build folder alone; refuse when another process has it.

    The system lets go of the lock when the process ends, however it ends.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no such lock
        yield
        return
    build.mkdir(parents=True, exist_ok=True)
    with (build / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise SystemExit(
                f"{build} is in use by process {file.read().strip() or '?'}, which executes the"
                " course at this moment. Wait until it has finished, or stop it; then try again."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook whole or not at all."""
    import nbformat

    part = path.with_name(f".{path.name}.part")
    try:
        nbformat.write(notebook, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def keep(run: Run, folder: Path) -> Path:
    """Store the executed notebook; one that failed gets a name of its own, and its old result goes.

    So that nobody takes yesterday's success for today's.
    """
    good, failed = folder / run.name, folder / f"{Path(run.name).stem}.failed.ipynb"
    chosen, other = (failed, good) if run.failure else (good, failed)
    write(run.notebook, chosen)
    other.unlink(missing_ok=True)
    return chosen


def execute_all(paths: list[Path], folder: Path) -> list[Run]:
    """Execute notebooks one after the other and say how each went."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = []
    for k, path in enumerate(paths, start=1):
        label = f"[{k}/{len(paths)}] {path.name}"
        with Progress(label) as progress:
            run = execute(path, on_cell=progress.cell)
        stored = keep(run, folder)
        if run.failure:
            print(f"{label}: FAILED after {run.seconds:.1f} s\n    {run.failure}\n    see {stored}")
        else:
            print(f"{label}: {run.seconds:.1f} s, data: {run.data}")
        runs.append(run)
    return runs


def build_site(notebooks: Path, build: Path) -> Path:
    """Turn the executed notebooks in a folder into web pages; return the first page.

    Warnings are errors. The pages replace the old ones only when they are complete.
    Raises `subprocess.CalledProcessError` when Sphinx finds a fault, which it has printed.
    """
    with tempfile.TemporaryDirectory(dir=build, prefix=".site-") as folder:
        source, pages = Path(folder, "source"), Path(folder, "pages")
        ignored = shutil.ignore_patterns(".*", "*.failed.ipynb")
        shutil.copytree(notebooks, source / "notebooks", ignore=ignored)
        shutil.copy(ROOT / "site" / "index.md", source)
        command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
        places = ["-c", ROOT / "site", "-d", Path(folder, "doctrees"), source, pages]
        subprocess.run([*command, *places], check=True, cwd=ROOT)
        shutil.rmtree(build / "site", ignore_errors=True)
        pages.rename(build / "site")
    return build / "site" / "index.html"


def chosen(folder: Path, beginnings: list[str]) -> list[Path]:
    """Return the notebooks of a folder in order, or those that begin in one of the given ways."""
    paths = sorted(folder.glob("*.ipynb"))
    for beginning in beginnings:
        if not any(path.name.startswith(beginning) for path in paths):
            names = ", ".join(path.stem for path in paths) or "none"
            raise SystemExit(
                f"no notebook in {folder} begins with {beginning!r}; there are: {names}"
            )
    return [p for p in paths if not beginnings or p.name.startswith(tuple(beginnings))]


def parse(arguments: list[str] | None) -> Any:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Execute the course and build its site.")
    parser.add_argument("only", nargs="*", help="how the names of the wanted notebooks begin")
    parser.add_argument("--no-site", action="store_true", help="execute only")
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks", metavar="FOLDER")
    parser.add_argument("--build", type=Path, default=ROOT / "build", metavar="FOLDER")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Execute the course, build the site, return the exit status."""
    options = parse(arguments)
    build = options.build.resolve()
    with locked(build):
        paths, folder = chosen(options.notebooks.resolve(), options.only), build / "notebooks"
        if not options.only:  # what is no longer part of the course leaves the pages too
            for old in set(folder.glob("*.ipynb")) - {folder / path.name for path in paths}:
                old.unlink()
        runs = execute_all(paths, folder)
        print(f"{len(runs)} notebooks in {sum(run.seconds for run in runs):.0f} s: {folder}")
        failures = [run.failure for run in runs if run.failure]
        if failures:
            print(f"{len(failures)} FAILED, so no site is built:", *failures, sep="\n    ")
            return 1
        if not options.no_site:
            try:
                print(f"Open {build_site(folder, build)}")
            except subprocess.CalledProcessError:
                print("The site could not be built: see the lines above.")
                return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nstopped")
