"""Make a course folder of nbgrader from the labs: student copies, gradebook, marking guide.

`python site/labs.py` writes it to build/labs; name another folder for a course that is being
taught, because `make clean` removes build and the gradebook with it.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
LABS = ROOT / "notebooks" / "labs"
CONFIGURATION = """\
import sys
from pathlib import Path

sys.path.append({site!r})
import grading

grading.configure(get_config(), Path(__file__).resolve().parent)
"""


def make(folder: Path, labs: list[Path]) -> None:
    """Write the course folder; a gradebook that is there is brought up to date, never removed."""
    folder.mkdir(parents=True, exist_ok=True)
    text = CONFIGURATION.format(site=str(Path(__file__).parent))
    (folder / "nbgrader_config.py").write_text(text, encoding="utf-8")
    for path in labs:
        source = folder / "source" / path.stem
        source.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, source)
        release(folder, path.stem)
    text = "\n".join(line for path in labs for line in marking(path))
    (folder / "marking.md").write_text(text + "\n", encoding="utf-8")


def release(folder: Path, lab: str) -> None:
    """Strip one lab of solutions and hidden tests into release/, and note its cells and points."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

    import grading

    settings = Config()
    grading.configure(settings, folder)
    course = CourseDirectory(config=settings, assignment_id=lab)
    GenerateAssignment(coursedir=course, config=settings, force=True).start()


def marking(path: Path) -> Iterator[str]:
    """The answers that a person marks: question, points, model answer and rubric."""
    import nbformat

    cells = nbformat.read(path, as_version=4).cells
    yield f"# {_title(cells[0])}\n"
    for before, cell in itertools.pairwise(cells):
        about = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "markdown" and about.get("grade"):
            yield f"## {about['grade_id']}, {about['points']} points\n"
            yield f"{before.source}\n\n---\n\n{cell.source}\n"


def _title(cell: NotebookNode) -> str:
    return cell.source.splitlines()[0].removeprefix("# ")


def main(arguments: list[str] | None = None) -> int:
    """Make the course folder; return the exit status."""
    parser = argparse.ArgumentParser(description="Make student copies of the labs.")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "labs")
    folder = parser.parse_args(arguments).folder.resolve()
    labs = sorted(LABS.glob("*.ipynb"))
    make(folder, labs)
    print(f"{len(labs)} labs: student copies in {folder / 'release'}")
    print(f"Put submissions into {folder}/submitted/NAME/LAB/LAB.ipynb, then, in {folder}:")
    print(f"    nbgrader autograde LAB    (LAB is one of: {', '.join(p.stem for p in labs)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
