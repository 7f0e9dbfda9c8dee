"""What a committed notebook must look like: `normalise` makes diffs small, `problems` refuses.

As a program: `python tests/notebook_rules.py [--fix] [--from FOLDER] FILES` prints what is wrong
and ends with status 1 if anything is; `--fix` first normalises the files in place and writes their
exercises' stubs from the solutions, `--from` takes the freshly executed notebooks of the same names
out of FOLDER.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

import exercise_rules

MAX_BYTES = 1_500_000
SECTIONS = (
    "What you will be able to do",
    "Check the claim",
    "Where it breaks",
    "Questions",
    "Exercises",
    "Summary",
    "Sources",
)
EXEMPT = {"00_start_here": {"where it breaks", "exercises"}}
CHECK_MARK = re.compile(r"^\s*#\s*NBVAL_CHECK_OUTPUT\s*$", re.MULTILINE)
CELL_METADATA = {"tags", "jupyter", "mystnb", "slideshow"}
PICTURE_METADATA = {"alt", "width", "height"}
WIDGET = "application/vnd.jupyter.widget-"  # of no use without the kernel that it belongs to
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}

# An address is not a path: what follows a letter, a dot, a colon, a slash or "<" is left alone.
_START = r"(?<![\w.:/<~-])"
PATH = re.compile(
    rf"{_START}/(?:home|tmp|root|Users)\b|{_START}/(?:[\w.-]+/)+[\w.-]*\w|\b[A-Za-z]:\\\w|file://"
)
BASE64 = re.compile(r"base64,[A-Za-z0-9+/=\s]+")
ANSI = re.compile(r"\x1b\[[0-9;]*m")
WARNING = re.compile(r"\b\w*Warning:|\bWARNING\b|^[WE]0000 ", re.MULTILINE)
PROGRESS = re.compile(r"\r|\d(?:it/s|s/it|ms/step|s/step)|━|█|\d%\|")
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
MARKDOWN_PICTURE = re.compile(r"!\[\s*\]\(")
HTML_PICTURE = re.compile(r"<img\b(?![^>]*\balt\s*=\s*[\"'][^\"'>])[^>]*>", re.IGNORECASE)
FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$", re.MULTILINE)


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Return a copy that depends on what the notebook says, not on who ran it, when and where.

    Cell ids come from the cell's content, so that an inserted cell leaves its neighbours alone.
    """
    result = copy.deepcopy(notebook)
    result.nbformat, result.nbformat_minor = 4, 5
    result.metadata = nbformat.from_dict(copy.deepcopy(NOTEBOOK_METADATA))
    seen: dict[str, int] = {}
    for cell in result.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        cell.metadata = _cell_metadata(cell.metadata)
        if cell.cell_type == "code":
            cell.outputs = _outputs(cell)
    return result


def _cell_metadata(metadata: NotebookNode) -> NotebookNode:
    kept = {key: value for key, value in metadata.items() if key in CELL_METADATA and value}
    if "jupyter" in kept:
        folded = kept.pop("jupyter").get("source_hidden")
        kept |= {"jupyter": {"source_hidden": True}} if folded else {}
    return nbformat.from_dict(kept)


def _outputs(cell: NotebookNode) -> list[NotebookNode]:
    """Join neighbouring pieces of one stream and keep of the metadata what a picture needs."""
    joined: list[NotebookNode] = []
    for output in cell.outputs:
        last = joined[-1] if joined else NotebookNode()
        if output.output_type == "stream" and last.get("name") == output.name:
            last.text += output.text
            continue
        if "data" in output:  # a live picture is stored as the figure beside it
            for mime in [mime for mime in output.data if mime.startswith(WIDGET)]:
                del output.data[mime]
        if "metadata" in output:
            output.metadata = nbformat.from_dict(
                {
                    mime: kept
                    for mime, values in output.metadata.items()
                    if isinstance(values, dict)
                    and (kept := {k: v for k, v in values.items() if k in PICTURE_METADATA})
                }
            )
        if output.output_type == "execute_result":
            output.execution_count = cell.execution_count
        joined.append(output)
    return joined


def pictures(cell: NotebookNode) -> list[tuple[str, str, str]]:
    """Return the pictures among a cell's outputs as (MIME type, data, alternative text)."""
    return [
        (mime, data, str(output.get("metadata", {}).get(mime, {}).get("alt", "")).strip())
        for output in cell.get("outputs", [])
        for mime, data in output.get("data", {}).items()
        if mime.startswith("image/")
    ]


def texts(cell: NotebookNode) -> list[str]:
    """Return every text among a cell's outputs, colours and embedded pictures taken out."""
    found: list[Any] = []
    for output in cell.get("outputs", []):
        found.append(output.get("text", ""))
        found += [v for k, v in output.get("data", {}).items() if not k.startswith("image/")]
    found += [alternative for _, _, alternative in pictures(cell)]
    return [BASE64.sub("", ANSI.sub("", text)) for text in found if isinstance(text, str) and text]


def problems(notebook: NotebookNode, path: Path) -> list[str]:
    """Return what is wrong with a stored notebook, one sentence per fault; empty when it is fine.

    `path` gives the name only: `00_start_here` needs fewer sections than the others.
    """
    found = [*_whole(notebook), *_sections(notebook, path.stem)]
    found += exercise_rules.problems(notebook, path.stem)
    number, section = 0, ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            section = ([text for _, text in headings(cell.source, 2)] or [section])[-1]
            found += [f"text {_opening(cell)}: {fault}" for fault in _markdown(cell)]
        elif cell.cell_type == "code":
            number += 1
            faults = [
                *_count(cell, number),
                *_output_texts(cell),
                *_figures(cell),
                *_claims(cell, section),
                *_solution(cell),
            ]
            found += [f"cell {number} {_opening(cell)}: {fault}" for fault in faults]
    return found


def _opening(cell: NotebookNode) -> str:
    line = next(iter(cell.source.strip().splitlines()), "")
    return f"({line[:40]!r})"


def headings(source: str, level: int | None = None) -> list[tuple[int, str]]:
    """Return (level, text) of the headings of a Markdown cell, those in code fences left out."""
    found = [(len(m[1]), m[2]) for m in HEADING.finditer(FENCED.sub("", source))]
    return [(depth, text) for depth, text in found if level in (None, depth)]


def _whole(notebook: NotebookNode) -> Iterator[str]:
    size = len(nbformat.writes(notebook).encode())
    if size > MAX_BYTES:
        yield f"the file has {size / 1e6:.2f} MB, at most {MAX_BYTES / 1e6:.1f} MB are allowed"
    if normalise(notebook) != notebook:
        yield "not normalised: run `python tests/notebook_rules.py --fix` on it"


def _sections(notebook: NotebookNode, name: str) -> Iterator[str]:
    markdown = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown" or not first.source.startswith("# "):
        yield "the first cell does not open with the title (`# ...`)"
    titles = [text.lower() for source in markdown for _, text in headings(source, 2)]
    wanted = [s for s in SECTIONS if s.lower() not in EXEMPT.get(name, set())]
    yield from (f"section `## {s}` is missing" for s in wanted if s.lower() not in titles)
    places = [titles.index(s.lower()) for s in SECTIONS if s.lower() in titles]
    if places != sorted(places):
        yield f"the sections are not in the order {', '.join(SECTIONS)}"


def _markdown(cell: NotebookNode) -> Iterator[str]:
    if MARKDOWN_PICTURE.search(cell.source) or HTML_PICTURE.search(cell.source):
        yield "a picture has no alternative text"
    if "solution" in cell.metadata.get("tags", []) and "<details" not in cell.source:
        yield "the solution is not folded into <details>"


def _count(cell: NotebookNode, number: int) -> Iterator[str]:
    if not cell.source.strip():
        yield "the cell is empty"
    if cell.execution_count is None:
        yield "the cell was not executed"
    elif cell.execution_count != number:
        yield f"executed as number {cell.execution_count}, not in reading order"


def _output_texts(cell: NotebookNode) -> Iterator[str]:
    for output in cell.outputs:
        if output.output_type == "error":
            yield f"the output is an error: {output.ename}"
        if output.get("name") == "stderr":
            yield f"something was written to stderr: {output.text.strip()[:60]!r}"
    for text in texts(cell):
        for pattern, what in ((WARNING, "a warning"), (PROGRESS, "a progress bar")):
            if pattern.search(text):
                yield f"{what} is in the output"
        if match := ADDRESS.search(text):
            yield f"a memory address, which changes from run to run, is in the output: {match[0]}"
    for text in (*texts(cell), cell.source):
        if match := PATH.search(text):
            yield f"a path of one machine: {match[0]!r}"


def _figures(cell: NotebookNode) -> Iterator[str]:
    shown = pictures(cell)
    tagged = any(tag.startswith("figure:") for tag in cell.metadata.get("tags", []))
    if not shown and (tagged or "plots.show(" in cell.source):
        yield "a figure was expected, there is no picture in the output"
    if not all(alternative for _, _, alternative in shown):
        yield "a picture has no alternative text"
    if len(shown) > 1:
        # MyST-NB takes the alternative text from the cell, so there is room for one.
        yield f"{len(shown)} pictures in one cell; one figure per cell"


def _claims(cell: NotebookNode, section: str) -> Iterator[str]:
    claim = section.lower() == "check the claim"
    if claim and not CHECK_MARK.search(cell.source):
        yield "a cell under `Check the claim` lacks `# NBVAL_CHECK_OUTPUT`"
    if "check" in cell.metadata.get("tags", []) and not any(t.strip() for t in texts(cell)):
        yield "a cell tagged `check` has no text output"
    elif claim and not any(text.strip() for text in texts(cell)):
        yield "a cell under `Check the claim` has no text output"


def _solution(cell: NotebookNode) -> Iterator[str]:
    tags = set(cell.metadata.get("tags", []))
    hidden = cell.metadata.get("jupyter", {}).get("source_hidden", False)
    if "solution" in tags and not (hidden or tags & {"hide-input", "hide-cell"}):
        yield "the solution is not folded: tag it `hide-input` or hide its source"


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        nbformat.write(notebook, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def fix(path: Path, source: Path) -> None:
    """Write stubs, normalise the notebook `source` into `path`; no change leaves the file alone."""
    notebook = nbformat.read(source, as_version=4)
    exercise_rules.generate(notebook)
    notebook = normalise(notebook)
    if not path.exists() or notebook != nbformat.read(path, as_version=4):
        write(notebook, path)


def main(arguments: list[str] | None = None) -> int:
    """Check (and with `--fix` normalise) the given notebooks; return the exit status."""
    parser = argparse.ArgumentParser(description="Check stored notebooks.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--fix", action="store_true", help="normalise the files in place first")
    parser.add_argument("--from", dest="folder", type=Path, help="take executed notebooks here")
    options = parser.parse_args(arguments)
    faulty = 0
    for path in options.files:
        if options.fix or options.folder:
            fix(path, options.folder / path.name if options.folder else path)
        found = problems(nbformat.read(path, as_version=4), path)
        faulty += bool(found)
        for fault in found:
            print(f"{path}: {fault}")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
