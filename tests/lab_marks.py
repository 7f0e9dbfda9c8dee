"""A course folder of one lab for tests: hand in notebooks, run `nbgrader autograde`, read marks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

import kernels
import labs


@dataclass(frozen=True)
class Course:
    """One lab of the course in a folder of its own, as `make labs` makes it."""

    folder: Path
    lab: str

    @property
    def source(self) -> NotebookNode:
        """The instructor version."""
        return nbformat.read(labs.LABS / f"{self.lab}.ipynb", as_version=4)

    @property
    def released(self) -> NotebookNode:
        """The student copy."""
        path = self.folder / "release" / self.lab / f"{self.lab}.ipynb"
        return nbformat.read(path, as_version=4)

    def hand_in(self, student: str, notebook: NotebookNode | str) -> None:
        """Put a submission where nbgrader collects them; text is written as it is."""
        path = self.folder / "submitted" / student / self.lab / f"{self.lab}.ipynb"
        path.parent.mkdir(parents=True)
        text = notebook if isinstance(notebook, str) else nbformat.writes(notebook)
        path.write_text(text, encoding="utf-8")

    def autograde(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Grade all that was handed in, with the stand-ins for data and one thread a kernel."""
        command = [sys.executable, "-m", "nbgrader", "autograde", self.lab, *options]
        kept = {k: v for k, v in os.environ.items() if k not in ("XAI_DATA_DIR", "XAI_DATA")}
        offline = {"XAI_OFFLINE": "1", "XAI_CACHE_DIR": str(self.folder / "no cache")}
        return subprocess.run(
            command,
            cwd=self.folder,
            env=kept | offline | kernels.threads(1),
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )

    @contextlib.contextmanager
    def gradebook(self) -> Iterator[Any]:
        """The gradebook, closed at the end."""
        from nbgrader.api import Gradebook

        with Gradebook(f"sqlite:///{self.folder / 'gradebook.db'}") as book:
            yield book

    def marks(self, student: str) -> dict[str, float]:
        """The marks of the cells that nbgrader marks itself."""
        with self.gradebook() as book:
            grades = book.find_submission_notebook(self.lab, self.lab, student).grades
            return {g.name: g.auto_score for g in grades if g.auto_score is not None}

    def graded(self, student: str) -> NotebookNode:
        """The submission as it was executed, with its outputs."""
        path = self.folder / "autograded" / student / self.lab / f"{self.lab}.ipynb"
        return nbformat.read(path, as_version=4)


def made(folder: Path, lab: str) -> Course:
    """Make the course folder of one lab."""
    labs.make(folder, [labs.LABS / f"{lab}.ipynb"])
    return Course(folder, lab)


def about(cell: NotebookNode) -> dict[str, Any]:
    """What nbgrader knows of a cell; empty for one that it does not touch."""
    return cell.metadata.get("nbgrader", {})


def points_of(notebook: NotebookNode) -> dict[str, float]:
    """The tests that are marked automatically, with their points."""
    return {
        about(cell)["grade_id"]: about(cell)["points"]
        for cell in notebook.cells
        if about(cell).get("grade") and cell.cell_type == "code"
    }


def named(notebook: NotebookNode, name: str) -> NotebookNode:
    """The cell of that name."""
    return next(cell for cell in notebook.cells if about(cell).get("grade_id") == name)


def replaced(notebook: NotebookNode, cells: dict[str, str]) -> NotebookNode:
    """The notebook with other code in the named cells."""
    for name, code in cells.items():
        named(notebook, name).source = code
    return notebook
