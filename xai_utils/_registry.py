"""What the course knows of its files: the registry, and a mirror's list of hashes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_utils._settings import cache_folder

DATA = Path(__file__).resolve().parent.parent / "data"
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """One line of the registry. sha256 None: a container that is known by its contents.

    bytes: the size, exact where sha256 is given; max_bytes: no download may be larger than this.
    """

    name: str
    sha256: str | None
    bytes: int
    urls: tuple[str, ...]
    licence: str
    what: str
    max_bytes: int

    @property
    def remedy(self) -> str:
        """How to get the file by hand."""
        place = f"save it as {cache_folder() / self.name}, or as {self.name} in a folder that "
        place += "XAI_DATA_DIR names"
        if not self.urls:
            return f"To get it: no public URL is known ({self.what}); {place}."
        return f"To get it: download {self.urls[0]} ({self.bytes / 1e6:.1f} MB) and {place}."


def load_registry(path: Path | None = None) -> dict[str, Entry]:
    """Read a registry: file name -> `Entry`; `data/registry.json` of this repository by default.

    Raises:
        ValueError: the file is no registry; it says which entry is wrong.
        OSError: it cannot be read.
    """
    path = path or DATA / "registry.json"
    try:
        lines = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON in UTF-8: {error}") from error
    if not isinstance(lines, dict):
        raise ValueError(f"{path} holds a {type(lines).__name__}; expected file name -> entry")
    return {name: _entry(name, line, path) for name, line in lines.items()}


def _entry(name: str, line: Any, path: Path) -> Entry:
    wrong = f"{path}: the entry {name[:80]!r} is wrong"
    try:
        entry = Entry(
            name=name,
            sha256=line["sha256"],
            bytes=line["bytes"],
            urls=tuple(line["urls"]),
            licence=line["licence"],
            what=line["what"],
            max_bytes=line.get("max_bytes", line["bytes"]),
        )
    except KeyError as error:
        raise ValueError(f"{wrong}: it lacks {error}") from error
    except (TypeError, AttributeError) as error:
        raise ValueError(f"{wrong}: {error}") from error
    texts = (entry.licence, entry.what, *entry.urls)
    sizes = (entry.bytes, entry.max_bytes)
    if not all(isinstance(text, str) for text in texts) or isinstance(line["urls"], str):
        raise ValueError(f"{wrong}: licence, what and each of the urls are texts")
    if not all(type(size) is int for size in sizes) or not 0 <= entry.bytes <= entry.max_bytes:
        raise ValueError(
            f"{wrong}: bytes and max_bytes are {sizes}; expected whole numbers in order"
        )
    if entry.sha256 is not None and not SHA256.fullmatch(str(entry.sha256)):
        raise ValueError(
            f"{wrong}: sha256 is {entry.sha256!r}; expected 64 digits of 0-9, a-f, or null"
        )
    return entry


def read_sums(path: Path) -> dict[str, str]:
    """SHA256SUMS as `sha256sum` writes it: name -> hash; empty when there is no such file.

    Raises:
        ValueError: a line that is not a hash and a name, or a file that is no text; it is named.
    """
    if not path.exists():
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is no text in UTF-8: {error}") from error
    sums = {}
    for line in filter(str.strip, lines):
        digest, _, rest = line.strip().partition(" ")
        name = rest.strip().removeprefix("*").removeprefix("./")
        if not SHA256.fullmatch(digest.lower()) or not name:
            raise ValueError(f"{path.name} has a line that is not 'hash  name': {line[:80]!r}")
        sums[name] = digest.lower()
    return sums
