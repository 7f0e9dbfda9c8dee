"""Execute the notebooks of the course in order, each once, and turn them into web pages.

`python site/course.py` writes the executed notebooks to build/notebooks and the pages to
build/site; `python site/course.py 10 11 --no-site` executes the notebooks that begin so, no more;
`python site/course.py --stored` makes the pages of the outputs that are stored, and executes none.
An execution of all that was broken off is taken up where it ended, unless `--afresh` is given.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pages
from kernels import Run, executed, run, threads
from unfinished import Unfinished

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
CORES = os.cpu_count() or 1
CLEAR = "\r\x1b[K"  # to the line's beginning, and wipe it


class Progress:
    """Says what is at work: one living line on a terminal, a plain line now and then elsewhere."""

    def __init__(self) -> None:
        self.steps: dict[str, tuple[str, float]] = {}
        self.living, self.said = sys.stdout.isatty(), time.monotonic()

    def begin(self, label: str) -> Callable[[int, int], None]:
        """Note that something begins; return what is told its cells."""
        started = time.monotonic()
        self.steps[label] = ("kernel starts", started)
        if not self.living:
            print(f"{label}: kernel starts, 0 s", flush=True)

        def on_cell(cell: int, cells: int) -> None:
            self.steps[label] = (f"cell {cell} of {cells}", started)

        return on_cell

    def end(self, label: str, result: str) -> None:
        """Say how it went."""
        del self.steps[label]
        print(f"{CLEAR if self.living else ''}{label}: {result}", flush=True)

    def tick(self) -> None:
        """Say where all stand, on a terminal always, elsewhere every ten seconds."""
        now = time.monotonic()
        lines = [
            f"{label}: {step}, {now - start:.0f} s" for label, (step, start) in self.steps.items()
        ]
        if self.living:
            width = shutil.get_terminal_size().columns - 1
            print(CLEAR + " · ".join(lines)[:width], end="", flush=True)
        elif now - self.said > 10:
            print(*lines, sep="\n", flush=True)
            self.said = now


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


def execute_all(
    paths: list[Path],
    folder: Path,
    at_once: int,
    done: Callable[[Path, Run], None] = lambda path, run: None,
) -> list[Run]:
    """Execute notebooks, so many side by side, say how each went, and tell `done`.

    The cores are shared out among them: two notebooks with one thread each are done sooner than
    one after the other with two threads, because much of a notebook is Python.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | threads(max(1, CORES // max(1, min(at_once, len(paths)))))
    free, progress = asyncio.Semaphore(at_once), Progress()

    async def one(number: int, path: Path) -> Run:
        label = f"[{number}/{len(paths)}] {path.name}"
        async with free:
            run = await executed(path, environment, progress.begin(label))
        stored = keep(run, folder)
        done(path, run)
        if run.failure:
            result = f"FAILED after {run.seconds:.1f} s\n    {run.failure}\n    see {stored}"
        else:
            result = f"{run.seconds:.1f} s, data: {run.data}"
        progress.end(label, result)
        return run

    async def all_of_them() -> list[Run]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(k, path)) for k, path in enumerate(paths, start=1)]
        return [task.result() for task in tasks]

    return run(all_of_them(), progress.tick)


def note_times(build: Path, runs: list[Run], at_once: int) -> None:
    """Write down how long each notebook took; those that were not executed now keep their time."""
    path = build / "times.json"
    known = json.loads(path.read_text(encoding="utf-8"))["notebooks"] if path.exists() else {}
    fresh = {
        run.name: {"seconds": round(run.seconds, 1), "data": run.data}
        for run in runs
        if not run.failure
    }
    machine = {"cores": CORES, "at_once": at_once, "python": platform.python_version()}
    path.write_text(json.dumps(machine | {"notebooks": known | fresh}, indent=1), encoding="utf-8")


def build_site(notebooks: Path, build: Path, *options: str) -> Path:
    """Turn the executed notebooks in a folder into web pages; return the first page.

    `options` are Sphinx's own.  Warnings are errors. The pages replace the old ones only when they
    are complete.
    Raises `subprocess.CalledProcessError` when Sphinx finds a fault, which it has printed.
    """
    with tempfile.TemporaryDirectory(dir=build, prefix=".site-") as folder:
        source, html = Path(folder, "source"), Path(folder, "pages")
        ignored = shutil.ignore_patterns(".*", "*.failed.ipynb", "labs")  # labs hold solutions
        shutil.copytree(notebooks, source / "notebooks", ignore=ignored)
        pages.write(source, build)
        command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
        places = ["-c", ROOT / "site", "-d", Path(folder, "doctrees"), source, html]
        subprocess.run([*command, *options, *places], check=True, cwd=ROOT)
        shutil.rmtree(build / "site", ignore_errors=True)
        html.rename(build / "site")
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
    parser.add_argument(
        "--at-once", type=int, default=min(2, CORES), metavar="N", help="notebooks side by side"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--no-site", action="store_true", help="execute only")
    what.add_argument("--stored", action="store_true", help="execute nothing: stored outputs")
    parser.add_argument(
        "--afresh",
        action="store_true",
        help="execute again what a run that was broken off has done",
    )
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks", metavar="FOLDER")
    parser.add_argument("--build", type=Path, default=ROOT / "build", metavar="FOLDER")
    return parser.parse_args(arguments)


def execute_chosen(options: Any, build: Path) -> list[str]:
    """Execute what was asked for, into the build folder; return what failed."""
    paths, folder = chosen(options.notebooks.resolve(), options.only), build / "notebooks"
    if not options.only:  # what is no longer part of the course leaves the pages too
        for old in set(folder.glob("*.ipynb")) - {folder / path.name for path in paths}:
            old.unlink()
    record, started = Unfinished(build), time.monotonic()
    again = bool(options.only) or options.afresh
    kept = [run for path in paths if not again and (run := record.done(path, folder))]
    if kept:
        print(f"{len(kept)} of {len(paths)} notebooks were finished when the last run broke off.")
    left = [path for path in paths if path.name not in {run.name for run in kept}]
    runs = execute_all(left, folder, options.at_once, record.note)
    note_times(build, kept + runs, options.at_once)
    print(f"{len(runs)} notebooks in {time.monotonic() - started:.0f} s: {folder}")
    failures = [run.failure for run in runs if run.failure]
    if not (failures or options.only):
        record.close()
    return failures


def main(arguments: list[str] | None = None) -> int:
    """Execute the course, build the site, return the exit status."""
    options = parse(arguments)
    build = options.build.resolve()
    try:
        with locked(build):
            return _made(options, build)
    except OSError as error:  # a full disk, a folder that may not be written
        print(_disk_trouble(error, build))
        return 1


def _disk_trouble(error: OSError, build: Path) -> str:
    """What stood in the way of writing, what stays, and what to do."""
    why = f"{error.filename or build}: {error.strerror}"
    if isinstance(error, shutil.Error):  # of a whole folder: the first of its files
        _, target, why = error.args[0][0]
        why = f"{target}: {why}"
    return (
        f"{why}. What was in {build} before stays. Free some space there, or get the right to "
        "write; or name another folder: .venv/bin/python site/course.py --build FOLDER"
    )


def _made(options: Any, build: Path) -> int:
    if not options.stored and (failures := execute_chosen(options, build)):
        print(f"{len(failures)} FAILED, so no site is built:", *failures, sep="\n    ")
        return 1
    if not options.no_site:
        source = options.notebooks.resolve() if options.stored else build / "notebooks"
        try:
            print(f"Open {build_site(source, build)}")
        except subprocess.CalledProcessError:
            print("The site could not be built: see the lines above. The old pages stay.")
            return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nstopped")
