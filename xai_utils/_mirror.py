"""Collect the files that the course may use into one folder, for a room without internet.

`XAI_DATA_DIR` then names that folder.  A file comes from where `storage` finds it (the present
mirror, the user's caches, its pinned address) and is checked before and after it is copied.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path

import pooch

from . import _imagenet_files, _readers, storage
from .storage import Entry, Located, Verify

SUMS = "SHA256SUMS"
CONTENTS: dict[str, Verify] = {"neu-det.zip": _readers.check_neu, "mnist.npz": _readers.check_mnist}


def collect(
    folder: Path, only: Sequence[str] = (), registry: Mapping[str, Entry] | None = None
) -> list[str]:
    """Bring the registry's files into a folder, with their SHA256SUMS; say what happens.

    What lies there already and is right is left alone, so a broken-off run can be taken up again.

    Args:
        folder: made when it does not exist.
        only: patterns of names, such as ``tables/*``; empty for all files.
        registry: another one than `storage.load_registry()`.

    Returns:
        The names that could not be got.

    Raises:
        ValueError: a pattern fits no file, or the folder is the one that XAI_DATA_DIR names.
        OSError: the folder cannot be written; nothing half-written keeps a file's name.
    """
    entries = _chosen(storage.load_registry() if registry is None else registry, only)
    _not_itself(folder)
    folder.mkdir(parents=True, exist_ok=True)
    sums = _sums_of(folder)
    missing: list[Entry] = []
    for entry in entries:
        try:
            how = _bring(entry, folder, sums)
        except (storage.Unavailable, storage.DamagedFile) as error:
            missing.append(entry)
            print(f"MISSING {entry.name}\n    " + _why(error).replace("\n", "\n    "), flush=True)
            continue
        finally:
            _write_sums(folder, sums)
        size = (folder / entry.name).stat().st_size
        print(f"{entry.name}: {size / 1e6:.1f} MB, {how}", flush=True)
    _say_the_end(folder, entries, missing)
    return [entry.name for entry in missing]


def _chosen(registry: Mapping[str, Entry], only: Sequence[str]) -> list[Entry]:
    for pattern in only:
        if not any(fnmatch(name, pattern) for name in registry):
            raise ValueError(
                f"no file of the registry is called {pattern!r}; it lists "
                f"{', '.join(sorted(registry))}"
            )
    return [e for n, e in registry.items() if not only or any(fnmatch(n, p) for p in only)]


def _not_itself(folder: Path) -> None:
    source = storage.mirror_folder()
    if source is not None and source.resolve() == folder.resolve():
        raise ValueError(
            f"{folder} is the folder that XAI_DATA_DIR names, so its files would be copied onto "
            "themselves: name another folder, or unset XAI_DATA_DIR"
        )


def _bring(entry: Entry, folder: Path, sums: dict[str, str]) -> str:
    """Have the right file in its place and its hash among the sums; say where it came from."""
    target = folder / entry.name
    if target.exists():
        try:
            storage.check_file(target, entry, _content(entry), sums.get(entry.name))
            sums.setdefault(entry.name, pooch.file_hash(str(target), alg="sha256"))
            return "already there"
        except ValueError as error:
            print(f"{target} is damaged: {error}", flush=True)
    found = _locate(entry)
    _copy(found.path, target)
    sums[entry.name] = pooch.file_hash(str(target), alg="sha256")
    if sums[entry.name] != pooch.file_hash(str(found.path), alg="sha256"):
        target.unlink()
        raise storage.DamagedFile(
            f"{target} is not what was copied from {found.path}: is the disk sound?"
        )
    return f"from {found.source}"


def _locate(entry: Entry) -> Located:
    """The file, checked; ImageNet's networks may lie in Keras's own cache, too."""
    if entry.name.startswith(_imagenet_files.FOLDER):
        return _imagenet_files.find(entry.name, [Path(entry.name).name], download=True)[1]
    return storage.fetch(entry.name, verify=_content(entry), registry={entry.name: entry})


def _content(entry: Entry) -> Verify | None:
    """How a file without a stated SHA-256 is known."""
    if entry.sha256 is not None:
        return None
    return CONTENTS.get(entry.name) or _imagenet_files.check_of(entry)


def _copy(source: Path, target: Path) -> None:
    """Copy a file whole or not at all."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _sums_of(folder: Path) -> dict[str, str]:
    """The hashes that an earlier run has written down, of files that are still there."""
    sums = storage.read_sums(folder / SUMS)
    return {name: digest for name, digest in sums.items() if (folder / name).is_file()}


def _write_sums(folder: Path, sums: Mapping[str, str]) -> None:
    part = folder / f".{SUMS}.{os.getpid()}.part"
    lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
    part.write_text("".join(lines), encoding="utf-8")
    part.replace(folder / SUMS)


def _why(error: Exception) -> str:
    if isinstance(error, storage.Unavailable):
        return "\n".join([*error.tried, error.remedy])
    return str(error)


def _say_the_end(folder: Path, entries: Sequence[Entry], missing: Sequence[Entry]) -> None:
    there = [folder / entry.name for entry in entries if entry not in missing]
    size = sum(path.stat().st_size for path in there) / 1e6
    print(f"\n{len(there)} of {len(entries)} files, {size:.1f} MB, in {folder.resolve()}")
    if missing:
        lost = sum(entry.bytes for entry in missing) / 1e6
        print(
            f"{len(missing)} could not be got ({lost:.1f} MB): {', '.join(e.name for e in missing)}"
            "\nPut them under these names into the folder, and run this again: they are checked. "
            "Without them the course runs on its stand-ins and says so."
        )
    print(f"Every machine that reads the folder: export XAI_DATA_DIR={folder.resolve()}")
