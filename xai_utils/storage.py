"""Where a file comes from, and that it is the right one.

The lowest floor of the library. `data/registry.json` lists every file that the course may use; a
file is looked for in the mirror (`XAI_DATA_DIR`), in the user's cache (`XAI_CACHE_DIR`, or the
place that the system has for caches), and at its pinned URLs, and is handed out only when its
SHA-256 or its content is right. What to do without the file is the caller's decision.

Environment: XAI_DATA_DIR, XAI_CACHE_DIR (folders), XAI_OFFLINE=1 (never ask the network),
XAI_DATA=real (a damaged file is an error wherever it is found; read by `real_only`).
"""

from __future__ import annotations

import math
import struct
import time
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pooch

from xai_utils._archive import LARGEST, Manifest, Member, extract, read_members
from xai_utils._registry import DATA, Entry, load_registry, read_sums
from xai_utils._settings import cache_folder, mirror_folder, offline, real_only
from xai_utils._transfer import Broken, CacheError, PartFile, Unreachable, download

__all__ = [
    "DATA",
    "LARGEST",
    "CacheError",
    "DamagedFile",
    "Entry",
    "Located",
    "Manifest",
    "Member",
    "Unavailable",
    "cache_folder",
    "check_file",
    "extract",
    "fetch",
    "load_registry",
    "mirror_folder",
    "offline",
    "read_members",
    "read_sums",
    "real_only",
    "try_again",
]

CONTENT_ERRORS = (  # what readers raise at bytes that are not what they expect
    *(ValueError, LookupError, OSError, EOFError, TypeError, ArithmeticError, SyntaxError),
    *(RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error, struct.error),
    tokenize.TokenError,  # of an array's header
)

Verify = Callable[[Path], object]

_silent: set[str] = set()  # hosts that did not answer in this process
_answered: set[str] = set()  # hosts that did


class DamagedFile(RuntimeError):
    """A file was found, but it is not the one that the registry means."""


class Unavailable(RuntimeError):
    """A file was found nowhere. `name`, `tried` (place: reason) and `remedy` say it in parts."""

    def __init__(self, name: str, tried: list[str], remedy: str) -> None:
        self.name, self.tried, self.remedy = name, tuple(tried), remedy
        super().__init__("\n  - ".join([f"{name}: found nowhere", *tried]) + f"\n{remedy}")

    def instead(self, stand_in: str) -> str:
        """Say in one line what is used instead, or raise this under ``XAI_DATA=real``."""
        if real_only():
            raise self
        print(
            f"{self.name}: not at hand; using {stand_in}. For the real data set XAI_DATA_DIR to "
            f"a folder that holds it, or let this machine reach the network."
        )
        return f"embedded default: {stand_in}"


@dataclass(frozen=True)
class Located:
    """A file that was found right. source: "mirror (XAI_DATA_DIR)", "cache" or "download"."""

    path: Path
    source: str


def fetch(
    name: str,
    *,
    verify: Verify | None = None,
    timeout: float = 10.0,
    registry: Mapping[str, Entry] | None = None,
) -> Located:
    """Find a file of the registry, so that a caller never sees one that is not the right one.

    Look-up order: mirror, cache, URLs. A damaged file in the mirror is an error; in the cache it is
    fetched again; from a URL it is refused with a warning and the next URL is asked.

    verify: content check of a container, obligatory where the registry states no SHA-256; raises
    ValueError when the content is wrong. timeout: seconds within which some URL must have sent its
    first bytes, and seconds without a byte after which a transfer has stalled; a slow connection
    may take as long as it needs above 16 KiB/s. registry: another one than `load_registry()`.

    Raises Unavailable, DamagedFile, CacheError; ValueError for a name that is not in the registry
    or a wrong setting.
    """
    registry = load_registry() if registry is None else registry
    if name not in registry:
        raise ValueError(f"{name!r} is not in the registry; it lists {', '.join(sorted(registry))}")
    entry = registry[name]
    if entry.sha256 is None and verify is None:
        raise ValueError(f"{name} is known by its contents only: pass verify=, a check of them")
    if not (timeout > 0 and math.isfinite(timeout)):
        raise ValueError(f"timeout must be a positive number of seconds, got {timeout!r}")
    no_network, strict = (
        offline(),
        real_only(),
    )  # a wrong setting is an error on every path

    tried: list[str] = []
    located = _from_mirror(entry, verify, tried) or _from_cache(entry, verify, strict, tried)
    if no_network:
        tried.append("URLs: not asked, because XAI_OFFLINE=1")
    elif located is None:
        located = _from_urls(entry, verify, strict, timeout, tried)
    if located is None:
        raise Unavailable(name, tried, entry.remedy)
    return located


def try_again() -> None:
    """Forget which hosts did not answer: the next `fetch` asks the network again."""
    _silent.clear()


def check_file(path: Path, entry: Entry, verify: Verify | None, sums: str | None = None) -> None:
    """Raise ValueError, with the reason, when a file is not what registry and sums say.

    verify: see `fetch`. sums: the SHA-256 that a mirror's list states for it.
    """
    if entry.sha256 is not None and path.stat().st_size != entry.bytes:
        raise ValueError(f"it has {path.stat().st_size:,} bytes, expected {entry.bytes:,}")
    stated = {"SHA256SUMS": sums, "the registry": entry.sha256}
    digest = pooch.file_hash(str(path), alg="sha256") if any(stated.values()) else None
    for who, expected in stated.items():
        if expected is not None and digest != expected:
            raise ValueError(f"its SHA-256 is not the one that {who} states ({expected[:12]}...)")
    if verify is not None:
        try:
            verify(path)
        except CONTENT_ERRORS as error:
            raise ValueError(f"its content is wrong: {error}") from error


def _from_mirror(entry: Entry, verify: Verify | None, tried: list[str]) -> Located | None:
    """The file in the mirror; None when the mirror has none; damage is never passed over."""
    folder = mirror_folder()
    if folder is None:
        tried.append("mirror: XAI_DATA_DIR is not set")
        return None
    path = folder / entry.name
    try:
        if path.exists():
            check_file(path, entry, verify, read_sums(folder / "SHA256SUMS").get(entry.name))
            return Located(path, "mirror (XAI_DATA_DIR)")
    except (ValueError, OSError) as error:
        advice = "copy the file into the mirror again, or unset XAI_DATA_DIR"
        raise DamagedFile(f"{path} in the mirror is damaged: {error}; {advice}") from error
    tried.append(f"mirror: no {entry.name} in {folder}")
    return None


def _from_cache(
    entry: Entry, verify: Verify | None, strict: bool, tried: list[str]
) -> Located | None:
    """The file in the cache; None when there is none, or a damaged one."""
    path = cache_folder() / entry.name
    try:
        if not path.is_file():
            tried.append(f"cache: no such file in {cache_folder()}")
            return None
        check_file(path, entry, verify)
    except OSError as error:
        raise CacheError.about(path, error, "read") from error
    except ValueError as error:
        _report(f"{path} in the cache is damaged: {error}", strict)
        tried.append(f"cache: {path} is damaged: {error}")
        return None
    return Located(path, "cache")


def _from_urls(
    entry: Entry, verify: Verify | None, strict: bool, timeout: float, tried: list[str]
) -> Located | None:
    """The file from the first URL that sends it whole, put into the cache; None if none does."""
    urls = _askable(entry, tried)
    left = 0.8 * timeout  # for the first bytes of all URLs together, with a reserve for clean-up
    for index, url in enumerate(urls):
        part = PartFile(cache_folder() / entry.name, entry.max_bytes)
        began = time.monotonic()
        try:
            _receive(url, part, max(left, 0.1 * timeout) / (len(urls) - index), timeout)
            check_file(part.path, entry, verify)
            part.publish()
            return Located(part.target, "download")
        except (Unreachable, Broken) as error:
            tried.append(f"{url}: {error}")
        except ValueError as error:
            tried.append(f"{url}: damaged: {error}")
            _report(f"{url} sent a damaged {entry.name}: {error}", strict)
        finally:
            part.discard()
        if not part.received:
            left -= time.monotonic() - began
    return None


def _askable(entry: Entry, tried: list[str]) -> list[str]:
    """The URLs worth asking: without any answer so far, one silent host means no network."""
    if not entry.urls:
        tried.append("URLs: none is known")
    no_network = bool(_silent) and not _answered
    urls = [url for url in entry.urls if not no_network and urlsplit(url).netloc not in _silent]
    if len(urls) < len(entry.urls):
        tried.append(
            f"URLs: {len(entry.urls) - len(urls)} not asked, because there was no connection "
            "earlier; xai_utils.storage.try_again() lets the next call ask"
        )
    return urls


def _receive(url: str, part: PartFile, first: float, timeout: float) -> None:
    """Download into the part file, and remember whether the host answered."""
    host = urlsplit(url).netloc
    try:
        download(url, part, first=first, timeout=timeout, label=part.target.name)
    except Unreachable:
        _silent.add(host)
        raise
    except (Broken, ValueError):
        _answered.add(host)
        raise
    _answered.add(host)
    part.finish()


def _report(damage: str, strict: bool) -> None:
    """Damage outside of the mirror: an error if XAI_DATA=real, else a warning."""
    if strict:
        raise DamagedFile(f"{damage}; XAI_DATA=real accepts no damaged file")
    warnings.warn(f"{damage}; it is not used", UserWarning, stacklevel=5)
