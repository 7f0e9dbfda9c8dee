"""Partial results of an evaluation: kept whole or not at all, refused if they are of another one.

A result is kept as JSON under the method's name, with the fingerprints of all that it depends on.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__
from ._kept import digest, write_whole

__all__ = ["Folder", "Found", "digest"]

Found = tuple[dict[str, Any], float]  # of each metric: images, value, chance; seconds per image
COLUMNS = ("images", "value", "chance")


class Folder:
    """Where the results of each method lie, with the fingerprints of model, data and metrics."""

    def __init__(self, path: Path, marks: dict[str, str]) -> None:
        self.path, self.marks = path, marks | {"library": __version__}
        path.mkdir(parents=True, exist_ok=True)

    def read(self, name: str, method: Any) -> Found | None:
        """What is kept of a method; None if there is nothing.

        Raises:
            ValueError: it was computed with another model, data set, method, metrics or library,
                or the file is damaged.
        """
        path = self._file(name)
        if not path.exists():
            return None
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            before = dict(kept["fingerprints"])
            values = {m: _arrays(columns) for m, columns in kept["values"].items()}
            seconds = float(kept["seconds"])
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(
                f"{path} is damaged ({error}); delete it to compute it again"
            ) from error
        now = self._marks(name, method)
        other = [mark for mark in now if before.get(mark) != now[mark]]
        if other:
            raise ValueError(
                f"{path} holds results of {name!r} with another {' and '.join(other)}; name "
                f"another folder, or delete the file to compute it again"
            )
        return values, seconds

    def write(self, name: str, method: Any, found: Found) -> None:
        """Keep a result: the file is there whole, or not at all."""
        values, seconds = found
        kept = {
            "fingerprints": self._marks(name, method),
            "seconds": seconds,
            "values": {
                m: dict(zip(COLUMNS, (np.asarray(c).tolist() for c in columns), strict=True))
                for m, columns in values.items()
            },
        }
        write_whole(self._file(name), json.dumps(kept))

    def _marks(self, name: str, method: Any) -> dict[str, str]:
        return self.marks | {"method": digest((name, method))}

    def _file(self, name: str) -> Path:
        """A name that any file system takes, and no other method has."""
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
        return self.path / f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.json"


def _arrays(columns: dict[str, Any]) -> tuple[Any, ...]:
    images, value, chance = (columns[c] for c in COLUMNS)
    if not len(images) == len(value) == len(chance):
        raise ValueError("columns of different lengths")
    return np.asarray(images, np.intp), np.asarray(value, float), np.asarray(chance, float)
