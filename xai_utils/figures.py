"""The articles' figures on demand, out of the cells of the notebooks that define them.

A cell tagged ``figure:C2`` shows figure C2.  `draw` runs the cells of that notebook up to it, and
writes what it shows as files for print, each with its caption.  What each figure is, on what it
rests and what was wrong in the original stands in ``data/figures.tsv``, one line a file.
"""

from __future__ import annotations

import ast
import concurrent.futures
import contextlib
import csv
import io
import json
import math
import multiprocessing
import os
import signal
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from . import plots, storage
from ._captions import Entry, caption
from ._colour_vision import faults, two_signs
from ._drawing import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Entry", "Place", "draw", "ids", "places", "read"]

NOTEBOOKS = storage.DATA.parent / "notebooks"
TAG = "figure:"
SIGNS = "in grey the two signs of a map look alike: the words say where each lies"
DPI = 300
PLOT = 10_000  # a figure with fewer pixels of pictures in it is a plot, and is written as SVG, too


class Place(NamedTuple):
    """The cell that shows a figure: ``cell`` counts from 0 over all cells of the notebook."""

    file: str
    notebook: Path
    cell: int


def read() -> dict[str, Entry]:
    """What is known of each figure, by the name of its file: ``C2``, and ``C2-2`` for its second.

    Raises:
        ValueError: a line that is incomplete, or that stands there twice; it is named.
    """
    with (storage.DATA / "figures.tsv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if tuple(lines[0]) != Entry._fields:
        raise ValueError(f"figures.tsv begins with {lines[0]}; expected {list(Entry._fields)}")
    found: dict[str, Entry] = {}
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(Entry._fields) or not all(line[:2]) or line[0] in found:
            raise ValueError(
                f"figures.tsv, line {number}: {line}; expected {', '.join(Entry._fields)}, "
                f"the first two not empty, each figure once"
            )
        found[line[0]] = Entry(*line)
    return found


def ids() -> list[str]:
    """The figures of the articles: ``A0``, ``A1``, ..., ``E10``."""
    return list(dict.fromkeys(entry.id for entry in read().values()))


def places(folder: Path = NOTEBOOKS) -> dict[str, list[Place]]:
    """Where each figure is shown, by id, in reading order: the first is ``C2``, then ``C2-2``."""
    found: dict[str, list[Place]] = {}
    for path in sorted(folder.glob("*.ipynb")):
        for number, cell in enumerate(_cells(path)):
            for tag in cell["metadata"].get("tags", []):
                if tag.startswith(TAG):
                    name = tag.removeprefix(TAG)
                    of_one = found.setdefault(name, [])
                    part = f"-{len(of_one) + 1}" if of_one else ""
                    of_one.append(Place(name + part, path, number))
    return found


def draw(
    wanted: Iterable[str],
    folder: Path,
    *,
    at_once: int = 1,
    notebooks: Path = NOTEBOOKS,
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Make figures by their ids: ``C2.png`` (300 dpi), ``C2.svg`` of a plot, ``C2.txt``, ...

    Of every notebook that shows one of them the cells up to the last wanted figure are run, in a
    process of their own.  Photographs that the articles show and whose licence is not stated are
    used where ``XAI_DATA_DIR`` has them: such figures are for the reader's own eyes.

    Args:
        wanted: ids as in `ids`.
        folder: where the files go; it is made.
        at_once: notebooks side by side.
        notebooks: where the notebooks are.
        say: is told what is at work, and what in a figure cannot be read in grey.

    Returns:
        The PNG files.

    Raises:
        ValueError: an unknown id, or one that no cell shows.
        RuntimeError: a cell failed; says which.
    """
    known, where, wanted = ids(), places(notebooks), list(dict.fromkeys(wanted))
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"no figure {', '.join(unknown)}; known: {', '.join(known)}")
    if missing := [name for name in wanted if name not in where]:
        raise ValueError(
            f"no cell of the notebooks is tagged {', '.join(TAG + name for name in missing)}"
        )
    work: dict[Path, list[Place]] = {}
    for place in (place for name in wanted for place in where[name]):
        work.setdefault(place.notebook, []).append(place)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    spawn = multiprocessing.get_context("spawn")
    made: list[Path] = []
    with concurrent.futures.ProcessPoolExecutor(
        at_once, spawn, _end_on_interrupt, max_tasks_per_child=1
    ) as pool:
        jobs = {pool.submit(_draw_notebook, some, folder): path for path, some in work.items()}
        for path, some in work.items():
            say(f"{path.name}: {', '.join(dict.fromkeys(place.file for place in some))}")
        try:
            for job in concurrent.futures.as_completed(jobs):
                files, remarks = job.result()
                made += files
                for line in remarks:
                    say(line)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return sorted(made)


def _end_on_interrupt() -> None:
    """Ctrl-C ends a notebook's process without a word; the first process says it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _cells(notebook: Path) -> list[Any]:
    found: list[Any] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return found


def _draw_notebook(wanted: Sequence[Place], folder: Path) -> tuple[list[Path], list[str]]:
    """Run one notebook up to the last of these figures; return the files, and what was remarked."""
    import matplotlib

    matplotlib.rcdefaults()  # not the settings of whoever runs this
    matplotlib.use("agg")
    entries, notebook = read(), wanted[0].notebook
    by_cell: dict[int, list[Place]] = {}
    for place in wanted:
        by_cell.setdefault(place.cell, []).append(place)
    swap = dict(_photos(entries[place.file] for place in wanted if place.file in entries))
    made, remarks = [], []
    for ran in _run(notebook, max(by_cell), swap):
        for place in by_cell.get(ran.cell, []):
            where = f"{notebook.name}, cell {ran.cell} ({place.file})"
            if place.file not in entries:
                raise RuntimeError(f"{where}: data/figures.tsv has no line for it")
            if len(ran.shown) != 1:
                raise RuntimeError(f"{where} shows {len(ran.shown)} figures, expected one")
            fig, words = ran.shown[0]
            unread = faults(fig)
            told = [*unread, *([SIGNS] if two_signs(fig) else [])]
            text = caption(
                entries[place.file], notebook.stem, ran.namespace, ran.sources, words, told
            )
            made.append(_save(fig, words, text, folder, place.file))
            remarks += [f"{place.file}, to be read in grey: {fault}" for fault in unread]
    return made, remarks


class _Ran(NamedTuple):
    """What is known after a cell: what it showed, all names, and the code that was run so far."""

    cell: int
    shown: list[tuple[Figure, str]]
    namespace: dict[str, Any]
    sources: list[str]


def _run(notebook: Path, last: int, swap: dict[str, str]) -> Iterator[_Ran]:
    """Run the code cells of a notebook up to one of them, one after the other, in one namespace."""
    module = types.ModuleType("__main__")
    sources: list[str] = []
    with contextlib.chdir(notebook.parent):
        for number, cell in enumerate(_cells(notebook)[: last + 1]):
            if cell["cell_type"] != "code":
                continue
            shown: list[tuple[Figure, str]] = []
            sources.append("".join(cell["source"]))
            try:
                tree = _Swap(swap).visit(ast.parse(sources[-1]))
                code = compile(tree, f"{notebook.name}, cell {number}", "exec")
                with plots.shown_to(_into(shown)), contextlib.redirect_stdout(io.StringIO()):
                    exec(code, vars(module))
            except Exception as error:
                where = f"{notebook.name}, cell {number}"
                raise RuntimeError(f"{where}: {type(error).__name__}: {error}") from error
            yield _Ran(number, shown, vars(module), sources)


def _into(shown: list[tuple[Figure, str]]) -> plots.Receiver:
    return lambda fig, words: shown.append((fig, words))


class _Swap(ast.NodeTransformer):
    """Write another text wherever the code has a certain one, such as another photo's name."""

    def __init__(self, swap: dict[str, str]) -> None:
        self.swap = swap

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        """Replace a text that is asked for."""
        if isinstance(node.value, str) and node.value in self.swap:
            return ast.copy_location(ast.Constant(self.swap[node.value]), node)
        return node


def _photos(entries: Iterable[Entry]) -> Iterator[tuple[str, str]]:
    """The photograph that the notebook shows, and the article's where the mirror has it."""
    mirror = storage.mirror_folder()
    for entry in entries:
        if entry.photo and mirror is not None:
            articles, ours = entry.photo.split("=")
            found = sorted((mirror / "photos").glob(f"{articles}.*"))
            if found:
                yield ours, str(found[0].resolve())


def _save(fig: Figure, words: str, text: str, folder: Path, name: str) -> Path:
    """Write a figure's files, each whole or not at all; remove what an earlier run left of it."""
    from matplotlib import rc_context

    pixels = sum(math.prod(drawn.get_size()) for ax in fig.axes for drawn in ax.images)
    formats = ["png", *(["svg"] if pixels < PLOT else [])]
    (folder / f"{name}.svg").unlink(missing_ok=True)
    with rc_context(STYLE):  # a package's own drawing may have changed the settings
        for form in formats:
            data = io.BytesIO()
            about = {"Description": words} if form == "png" else {"Date": None, "Title": words}
            fig.savefig(
                data, format=form, dpi=DPI, bbox_inches="tight", pad_inches=0.05, metadata=about
            )
            _write(folder / f"{name}.{form}", data.getvalue())
    _write(folder / f"{name}.txt", text.encode())
    return folder / f"{name}.png"


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
