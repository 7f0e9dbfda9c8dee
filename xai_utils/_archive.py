"""Reading named, hashed members of a zip archive without trusting the archive.

Only what the manifest names is taken; each member must have the size and SHA-256 that the manifest
states. Names in the archive never become paths on the disk: the manifest's names do, and those are
checked too.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from xai_utils._transfer import CacheError

LARGEST = 64 * 2**20  # bytes of one member, where the manifest states no size


@dataclass(frozen=True)
class Member:
    """What a manifest says of one file: its SHA-256, its size, its other path in the archive."""

    sha256: str
    bytes: int | None = None
    origin: str | None = None


Manifest = Mapping[str, str] | Mapping[str, Member]


def read_members(archive: Path, wanted: Manifest) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of every wanted file of a zip archive, checked, in the wanted order.

    wanted: name -> SHA-256, or name -> `Member`. A member may lie under its name or its `origin`
    path, and one folder above all members, as GitHub's archives have it, is passed over. Other
    members are ignored. Memory: one member. Raises ValueError when the file is no zip archive, or
    a member is missing, twice there, a link, of another size or hash; nothing else is raised for
    bad content.
    """
    manifest = _manifest(wanted)
    try:
        with zipfile.ZipFile(archive) as container:
            for name, info in _located(container, manifest).items():
                yield name, _content(container, info, name, manifest[name])
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise ValueError(f"{Path(archive).name} is not a sound zip archive: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place before the file's beginning
            raise
        raise ValueError(f"{Path(archive).name} is not a sound zip archive: {error}") from error


def extract(archive: Path, wanted: Manifest, target: Path) -> None:
    """Unpack the wanted files of a zip archive into the folder `target`, all of them or none.

    Written into a folder beside `target` that is renamed at the end. A `target` that already holds
    every wanted file is left as it is; one that holds anything else is never touched. Raises
    ValueError (see `read_members`), FileExistsError, CacheError.
    """
    archive.stat()  # a missing archive is its own error, not one of the target
    if _whole(target, wanted):
        return
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target} exists and is not what would be unpacked: remove it first")
    scratch = target.with_name(f".{target.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part")
    try:
        scratch.mkdir(parents=True)
        for name, content in read_members(archive, wanted):
            path = scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        os.replace(scratch, target)
    except OSError as error:
        if not _whole(target, wanted):  # else another process was first
            raise CacheError.about(target, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _manifest(wanted: Manifest) -> dict[str, Member]:
    """The manifest with one kind of value, its names proven to stay below any folder."""
    for name in wanted:
        parts = name.split("/")
        if any(part in ("", ".", "..") for part in parts) or set(name) & set("\\:\0"):
            raise ValueError(f"unsafe name in the manifest: {name!r}; expected a path like 'a/b.c'")
    return {
        name: value if isinstance(value, Member) else Member(value)
        for name, value in wanted.items()
    }


def _located(
    container: zipfile.ZipFile, manifest: Mapping[str, Member]
) -> dict[str, zipfile.ZipInfo]:
    """The archive's entry of every wanted name, or a ValueError that names the missing ones."""
    entries: dict[str, list[zipfile.ZipInfo]] = {}
    for info in container.infolist():
        entries.setdefault(info.filename, []).append(info)
    tops = {PurePosixPath(path).parts[:1] for path in entries}
    folder = f"{tops.pop()[0]}/" if len(tops) == 1 and () not in tops else ""
    found: dict[str, zipfile.ZipInfo] = {}
    for name, member in manifest.items():
        paths = [path for path in (name, member.origin) if path]
        hits = [path for path in paths + [folder + path for path in paths] if path in entries]
        if hits and len(entries[hits[0]]) > 1:
            raise ValueError(f"{hits[0]} is {len(entries[hits[0]])} times in the archive")
        if hits:
            found[name] = entries[hits[0]][0]
    if missing := [name for name in manifest if name not in found]:
        some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise ValueError(f"{len(missing)} of {len(manifest)} files are not in the archive: {some}")
    return found


def _content(container: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, member: Member) -> bytes:
    """The bytes of one entry, with kind, size and hash as the manifest says."""
    if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
        raise ValueError(f"{name} is a folder or a link in the archive, not a file")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is packed by method {info.compress_type}: expected deflate")
    limit = LARGEST if member.bytes is None else member.bytes
    if info.file_size > limit:
        raise ValueError(f"{name} has {info.file_size:,} bytes, more than {limit:,}")
    if member.bytes is not None and info.file_size < member.bytes:
        raise ValueError(f"{name} has {info.file_size:,} bytes, expected {member.bytes:,}")
    with container.open(info) as stream:
        content = stream.read(limit + 1)  # the header may lie: never more than the manifest says
    if len(content) > limit or hashlib.sha256(content).hexdigest() != member.sha256:
        raise ValueError(f"{name} has another SHA-256 than the manifest says")
    return content


def _whole(folder: Path, wanted: Manifest) -> bool:
    """Whether the folder holds every wanted file with its hash."""
    if not folder.is_dir():
        return False
    for name, member in _manifest(wanted).items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != member.sha256:
            return False
    return True
