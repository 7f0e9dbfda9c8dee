"""What a fresh execution of a notebook says differently from the stored one.

Text is compared by nbval's own rules: the cells that it would check under `--nbval-lax`, its
cleaning of streams, its comparison. nbval itself would execute the notebook once more and throw
the fresh pictures away, so only its judgement is used here, on the execution that there is.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from nbval.plugin import IPyNbFile, coalesce_streams

import notebook_rules as rules
from figure_similarity import ALIKE, decode, similarity

NUMBER = re.compile(r"-?\d+(?:\.\d+)?%?")
IGNORED = re.compile(r"^\s*#\s*NBVAL_IGNORE_OUTPUT\s*$", re.MULTILINE)


def changed_claims(session: pytest.Session, stored: Path, fresh: NotebookNode) -> Iterator[str]:
    """Yield what nbval finds different in the cells that are marked for comparison."""
    judge = IPyNbFile.from_parent(session, path=stored)
    judge.compare_outputs = False  # as --nbval-lax: marked cells only
    executed = [cell for cell in fresh.cells if cell.cell_type == "code"]
    for item, cell in zip(judge.collect(), executed, strict=True):
        if not item.options["check"]:
            continue
        new, old = (
            coalesce_streams(copy.deepcopy(side.outputs)) or [] for side in (cell, item.cell)
        )
        for output, before in zip(new, old, strict=False):
            if "text" in output and "text" in before:
                output["text"] = as_rounded(output["text"], before["text"])
        if not item.compare_outputs(new, old):
            difference = rules.ANSI.sub("", "\n".join(item.comparison_traceback))
            yield f"{stored.name}, cell {item.cell_num + 1}: {difference}"


def as_rounded(new: str, old: str) -> str:
    """The new text, with the old one's number wherever both differ by one last digit at most.

    Processors add in different orders, so a value near the middle between two rounded ones may be
    printed as either.  Whole numbers are counts and must be equal, except percentages.
    """
    if NUMBER.sub("#", new).split() != NUMBER.sub("#", old).split():
        return new
    stored = iter(NUMBER.findall(old))

    def near(match: re.Match[str]) -> str:
        before, now = next(stored), match.group()
        decimals = len(now.rstrip("%").partition(".")[2])
        rounded = decimals > 0 or now.endswith("%")
        step = abs(float(now.rstrip("%")) - float(before.rstrip("%"))) * 10**decimals
        return before if rounded and step < 1.5 else now

    mended = NUMBER.sub(near, new)
    return old if mended.split() == old.split() else mended


def changed_figures(name: str, stored: NotebookNode, fresh: NotebookNode) -> Iterator[str]:
    """Yield the figures that do not look like the stored ones, those of ignored cells left out."""
    pairs: list[tuple[Any, Any]] = [
        (old, new)
        for old, new in zip(stored.cells, fresh.cells, strict=True)
        if old.cell_type == "code"
    ]
    for number, (old, new) in enumerate(pairs, start=1):
        if is_ignored(old):
            continue
        before, after = rules.pictures(old), rules.pictures(new)
        if len(before) != len(after):
            yield f"{name}, cell {number}: {len(after)} pictures, stored are {len(before)}"
            continue
        for (mime, data, _), (_, fresh_data, _) in zip(before, after, strict=True):
            if mime != "image/png":
                continue
            first, second = decode(data), decode(fresh_data)
            if (found := similarity(first, second)) < ALIKE:
                sizes = "" if first.shape == second.shape else f" {second.shape}, {first.shape}"
                yield f"{name}, cell {number}: figure differs, similarity {found:.3f}{sizes}"


def is_ignored(cell: NotebookNode) -> bool:
    """Say whether a cell's pictures change from run to run, such as one that shows times."""
    tagged = "nbval-ignore-output" in cell.metadata.get("tags", [])
    return tagged or bool(IGNORED.search(cell.source))
