"""What the labs add to nbgrader: order in a submission before it runs, limits while it does.

`configure` is called by the `nbgrader_config.py` of a course folder.  Without it nbgrader
gives up a whole submission for one cell that hangs, and the whole run for one old cell format.
"""

from __future__ import annotations

import copy
import os
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient.exceptions import CellControlSignal
from nbclient.util import run_sync
from nbconvert.preprocessors import ClearMetadataPreprocessor, ClearOutputPreprocessor
from nbformat import NotebookNode
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    IgnorePattern,
    LimitOutput,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)
from nbgrader.preprocessors.execute import Execute
from nbgrader.utils import is_locked
from traitlets import Integer, Unicode

# `ulimit` in the shell that becomes the kernel: address space (KiB), one process's computing time
# (s), size of one file (512 bytes).  Children inherit them.
START = 'ulimit -v {memory}; ulimit -t {seconds}; ulimit -f {blocks}; exec "$@"'


def rebuilt(released: NotebookNode, submitted: NotebookNode) -> NotebookNode:
    """The submitted notebook with every graded cell once, in its place, under its own name.

    Deleted cells come back as they were handed out, so a deleted test fails rather than vanishes.
    Of copies the last one counts and the others become plain cells.  A student's own cells stay
    behind the graded cell that they follow.  What cells say of themselves (points, locks) is not
    believed: all metadata are the released ones.
    """
    wanted = {c.metadata.nbgrader.grade_id: c for c in released.cells if "nbgrader" in c.metadata}
    theirs = {name: cell for cell in submitted.cells if (name := _name(cell)) in wanted}
    own: dict[str, list[NotebookNode]] = {name: [] for name in ["", *wanted]}
    place = ""
    for cell in submitted.cells:
        name = _name(cell)
        if theirs.get(name) is cell:
            place = name
        else:
            cell.metadata.pop("nbgrader", None)
            own[place].append(cell)
    result = copy.copy(submitted)
    result.cells = own[""]
    for name, original in wanted.items():
        cell = copy.deepcopy(original)
        if name in theirs and cell.metadata.nbgrader.solution:
            cell.source = theirs[name].source
            if cell.cell_type == "markdown" and "attachments" in theirs[name]:  # pasted pictures
                cell.attachments = theirs[name].attachments
        result.cells += [cell, *own[name]]
    return result


def _name(cell: NotebookNode) -> str:
    """The name under which a cell is graded, or nothing."""
    about = cell.metadata.get("nbgrader")
    name = about.get("grade_id") if isinstance(about, dict) else None
    return name if isinstance(name, str) else ""


class Restore(NbGraderPreprocessor):
    """Put a submission in order before it is executed; see `rebuilt`."""

    released = Unicode(help="The folder of the student copies.").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Rebuild the notebook after the student copy of its lab."""
        lab, name = resources["nbgrader"]["assignment"], resources["nbgrader"]["notebook"]
        path = Path(self.released, lab, f"{name}.ipynb")
        return rebuilt(nbformat.read(path, as_version=4), nb), resources


class Limits(Execute):
    """Execute a submission within bounds of time, memory and output.

    A cell that exceeds `timeout` is interrupted and fails, and the next one runs.  Where the kernel
    does not let itself be interrupted, has died, or has used up `seconds`, it is ended: the cells
    that remain fail, those before keep what they have earned.
    """

    timeout = Integer(120, help="Seconds for one cell.").tag(config=True)
    seconds = Integer(900, help="Seconds for one notebook.").tag(config=True)
    memory = Integer(12_000, help="Address space of a process in MB; see the guide.").tag(
        config=True
    )
    file_size = Integer(100, help="Largest file that may be written, in MB.").tag(config=True)
    characters = Integer(1_000_000, help="Text that is kept of one notebook.").tag(config=True)

    def __init__(self, **settings: Any) -> None:
        if not sys.platform.startswith("linux"):
            raise SystemExit("Grading needs Linux: elsewhere a kernel's memory cannot be bounded.")
        super().__init__(**settings)
        self.kernel_manager_class = self._bounded_kernel()
        self.timeout_func = self._seconds_for

    def _bounded_kernel(self) -> type:
        """A kernel of this interpreter, started by a shell that sets its limits."""
        start = START.format(
            memory=self.memory * 1000**2 // 1024,
            seconds=2 * self.seconds,
            blocks=self.file_size * 1000**2 // 512,
        )
        spec = get_kernel_dict()
        spec["argv"] = ["/bin/sh", "-c", start, "sh", *spec["argv"]]

        class Bounded(AsyncKernelManager):
            kernel_spec = KernelSpec(**spec)
            transport_encryption = "auto"

        return Bounded

    def _seconds_for(self, cell: NotebookNode) -> int:
        """A slow start on a busy machine costs nobody marks: `timeout` begins with their code."""
        return max(1, int(min(self.timeout if self.theirs else self.seconds, self._left())))

    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def preprocess(
        self, nb: NotebookNode, resources: Any = None, km: Any = None
    ) -> tuple[NotebookNode, Any]:
        """Execute the notebook; a kernel that ends early is no error."""
        self.deadline = time.monotonic() + self.seconds
        self.ended, self.said, self.theirs = "", 0, False
        return super().preprocess(nb, resources, km)

    def preprocess_cell(
        self, cell: NotebookNode, resources: Any, index: int
    ) -> tuple[NotebookNode, Any]:
        """Execute one cell, or say why it was not executed."""
        if cell.cell_type != "code":
            return cell, resources
        self.theirs |= not is_locked(cell)
        if not self.ended and self._left() <= 0:
            self._end_kernel(f"the notebook took longer than {self.seconds} s")
        if not self.ended:
            try:
                return super().preprocess_cell(cell, resources, index)
            except (CellControlSignal, RuntimeError) as error:  # hangs, or has died
                said = str(error).strip().splitlines()
                self._end_kernel(said[0] if said else type(error).__name__)
        cell.outputs = [*cell.get("outputs", []), self._not_executed()]
        return cell, resources

    def _end_kernel(self, reason: str) -> None:
        self.log.warning("The kernel is ended: %s", reason)
        self.ended = reason
        if self.km is not None and self.km.has_kernel:
            run_sync(self.km.shutdown_kernel)(now=True)

    def _not_executed(self) -> NotebookNode:
        text = f"The kernel was ended: {self.ended}"
        return nbformat.v4.new_output("error", ename="Ended", evalue=text, traceback=[text])

    def process_message(self, msg: Any, cell: NotebookNode, cell_index: int) -> Any:
        """Keep what a cell says, until it has said too much."""
        if msg["msg_type"] in ("stream", "display_data", "update_display_data"):
            self.said += len(str(msg["content"]))
            if self.said > self.characters:
                return None
        return super().process_message(msg, cell, cell_index)


def configure(c: Any, folder: Path) -> None:
    """Set nbgrader up for the labs in a course folder; `c` is its configuration."""
    programs = sysconfig.get_path("scripts")  # nbgrader calls alembic by its name
    os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])
    c.CourseDirectory.root = str(folder)
    c.CourseDirectory.course_id = "labs"
    c.Restore.released = str(folder / "release")
    c.Limits.shutdown_kernel = "immediate"
    c.Limits.startup_timeout = 300
    c.Limits.iopub_timeout = 20  # what was printed in a loop takes time to arrive
    c.IgnorePattern.enabled = True  # nbgrader takes any warning on stderr for a failed test
    c.IgnorePattern.pattern = r"(?s).*"
    c.Autograde.sanitize_preprocessors = [
        ClearOutputPreprocessor,
        Restore,
        OverwriteKernelspec,
        OverwriteCells,  # puts the hidden tests back
        CheckCellMetadata,
    ]
    c.Autograde.autograde_preprocessors = [
        Limits,
        IgnorePattern,
        ClearMetadataPreprocessor,
        LimitOutput,
        SaveAutoGrades,
        AssignLatePenalties,
        CheckCellMetadata,
    ]
