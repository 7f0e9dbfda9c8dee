"""Take up an execution that was broken off: what it had finished is not executed again.

While the course is executed, build/unfinished.json holds the notebooks that have succeeded, each
with a fingerprint of all that its outputs depend on: the notebook, the library, the data of the
project, the lock, and the settings.  When all have succeeded the file goes, so that the next call
executes everything.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from kernels import Run

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = ("XAI_DATA_DIR", "XAI_DATA", "XAI_CACHE_DIR", "XAI_OFFLINE", "RETRAIN")


class Unfinished:
    """The record of an execution that has not come to its end."""

    def __init__(self, build: Path) -> None:
        self.path, self.common = build / "unfinished.json", _common()
        try:
            self.known = dict(json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError):  # none, or one that was not written to its end
            self.known = {}

    def done(self, notebook: Path, folder: Path) -> Run | None:
        """What the execution that was broken off made of a notebook, if nothing has changed."""
        import nbformat

        found, result = self.known.get(notebook.name), folder / notebook.name
        if found is None or found["of"] != self._fingerprint(notebook) or not result.exists():
            return None
        return Run(notebook.name, nbformat.read(result, as_version=4), found["seconds"], None)

    def note(self, notebook: Path, run: Run) -> None:
        """Remember a success, whole or not at all; a failure is to be tried again."""
        if run.failure:
            return
        self.known[run.name] = {"of": self._fingerprint(notebook), "seconds": run.seconds}
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.known, indent=1), encoding="utf-8")
        part.replace(self.path)

    def close(self) -> None:
        """All have succeeded."""
        self.path.unlink(missing_ok=True)

    def _fingerprint(self, notebook: Path) -> str:
        return hashlib.sha256(self.common + notebook.read_bytes()).hexdigest()


def _common() -> bytes:
    """What the outputs of all notebooks depend on, in 32 bytes."""
    digest = hashlib.sha256(repr([os.environ.get(name) for name in SETTINGS]).encode())
    files = [ROOT / "requirements.lock", *(ROOT / "xai_utils").glob("*.py")]
    files += [path for path in (ROOT / "data").rglob("*") if path.is_file()]
    for path in sorted(files):
        if "__pycache__" not in path.parts:
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.digest()
