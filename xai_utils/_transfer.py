"""One transfer from one URL into one file: bounded in time and size, whole or not at all.

`storage` decides what is fetched from where; this module only moves bytes. pooch's HTTP downloader
does the talking. It runs in a thread of its own, because no socket time-out covers a name look-up
that hangs or a server that sends one byte every few seconds.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pooch
from tqdm import tqdm

if TYPE_CHECKING:
    from requests import Response

SLOWEST = 16 * 1024  # bytes per second: below it 27 MB would take more than half an hour
CHUNK = 1024  # bytes; a transfer that does not bring one chunk within its time-out has stalled
WINDOWS = 3  # time-outs over which SLOWEST is averaged, so that a short pause is forgiven
STALE = 24 * 3600  # seconds after which a part file belongs to a process that was killed


class CacheError(OSError):
    """The cache cannot be read or written: full disk, read-only folder, no permission."""

    @classmethod
    def about(cls, path: Path, error: OSError, action: str = "write") -> CacheError:
        """The error for `path`, with the cause and the way out in its message."""
        return cls(
            error.errno or 0,
            f"cannot {action} {path}: {error.strerror or error}. Nothing half-written was left "
            "there; free some space, or set XAI_CACHE_DIR to a folder that can be written",
        )


class Unreachable(Exception):
    """The server did not answer at all: no network, no such host, refused, or silent."""


class Broken(Exception):
    """The server answered, but not with the file: an HTTP error, or a stalled transfer."""


class Damaged(ValueError):
    """Bytes came, but they cannot be the file: cut off, empty, too many."""


class PartFile:
    """The target of a transfer: a file beside `target` that gets that name only when published.

    It is opened by the first chunk, so a read-only cache is no obstacle to finding out that there
    is no network. The lock lets the waiting thread give up while the other one is writing.
    """

    def __init__(self, target: Path, limit: int) -> None:
        self.target, self.limit, self.received = target, limit, 0
        self.path = target.with_name(f".{target.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part")
        self._file: IO[bytes] | None = None
        self._lock, self._closed = threading.Lock(), False

    def write(self, chunk: bytes) -> None:
        """Append a chunk (called by the downloader)."""
        with self._lock:
            if self._closed:
                raise Broken("given up")
            self.received += len(chunk)
            if self.received > self.limit:
                raise Damaged(f"more than the expected {self.limit:,} bytes came")
            try:
                self._file = self._file or self._open()
                self._file.write(chunk)
            except OSError as error:
                raise CacheError.about(self.target, error) from error

    def flush(self) -> None:
        """Do nothing: the downloader flushes after every chunk, which would defeat buffering."""

    def _open(self) -> IO[bytes]:
        if self.target.parts[0].startswith("~"):  # not a folder of that name in the current one
            raise FileNotFoundError(errno.ENOENT, "there is no home directory")
        self.target.parent.mkdir(parents=True, exist_ok=True)
        for left_over in self.target.parent.glob(f".{self.target.name}.*.part"):
            if time.time() - left_over.stat().st_mtime > STALE:
                left_over.unlink(missing_ok=True)
        return self.path.open("xb")

    def finish(self) -> None:
        """Bring every byte to the disk and close the file."""
        if self._file is None:
            raise Damaged("the answer is empty")
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise CacheError.about(self.target, error) from error

    def publish(self) -> None:
        """Give the finished file its name in one step, whatever other processes do."""
        try:
            os.replace(self.path, self.target)
        except OSError as error:
            raise CacheError.about(self.target, error) from error

    def discard(self) -> None:
        """Remove what was not published; a transfer still under way fails at its next chunk."""
        with self._lock:
            self._closed = True
            if self._file is not None:
                with contextlib.suppress(OSError):  # a close flushes, and may meet the full disk
                    self._file.close()
                self.path.unlink(missing_ok=True)


def download(url: str, part: PartFile, *, first: float, timeout: float, label: str) -> None:
    """Fill `part` from `url`, with a progress bar when a person is watching a terminal.

    first: seconds until the first chunk must have come (name look-up, connection, redirects and
    headers included); timeout: seconds without a chunk after which the transfer has stalled.
    Raises Unreachable, Broken, Damaged, or CacheError.
    """
    failure: list[Exception] = []
    answers: list[Response] = []
    ended = threading.Event()

    def keep(answer: Response, **_: object) -> None:
        answers.append(answer)

    def transfer() -> None:
        try:
            # the socket waits longer than `_wait` does, which therefore says why it gave up
            pooch.HTTPDownloader(
                chunk_size=CHUNK, timeout=(first, 2 * timeout), hooks={"response": keep}
            )(url=url, output_file=part, pooch=None)
        except Exception as error:
            failure.append(error)
        finally:
            for answer in answers:  # pooch leaves the connection open when it fails
                answer.close()
            ended.set()

    threading.Thread(target=transfer, daemon=True).start()
    with tqdm(
        desc=label,
        unit="B",
        unit_scale=True,
        leave=False,
        disable=not sys.stderr.isatty(),
    ) as bar:
        _wait(ended, part, first, timeout, lambda: bar.update(part.received - bar.n))
    if failure:
        raise _explained(failure[0], part) from failure[0]


def _wait(
    ended: threading.Event,
    part: PartFile,
    first: float,
    timeout: float,
    show: Callable[[], object],
) -> None:
    """Return when the transfer has ended; raise when it takes too long."""
    began = moved = window = time.monotonic()
    seen = mark = 0
    while not ended.wait(min(0.1, first / 10)):
        now = time.monotonic()
        if part.received > seen:
            seen, moved = part.received, now
            show()
        if seen == 0 and now - began > first:
            raise Unreachable(f"no answer within {first:.1f} s")
        if seen and now - moved > timeout:
            raise Broken(f"stalled after {seen:,} bytes: nothing came for {timeout:g} s")
        if seen and now - window > WINDOWS * timeout:
            if seen - mark < SLOWEST * (now - window):
                raise Broken(f"slower than {SLOWEST // 1024} KiB/s after {seen:,} bytes")
            mark, window = seen, now


def _explained(error: Exception, part: PartFile) -> Exception:
    """The failure of a transfer as one of this module's exceptions, with a short reason."""
    from requests import exceptions  # as late as pooch imports it: 0.1 s

    if isinstance(error, CacheError | Damaged | Broken):
        return error
    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return Broken(f"HTTP {error.response.status_code} {error.response.reason}")
    if isinstance(error, exceptions.ChunkedEncodingError | exceptions.ContentDecodingError):
        return Damaged(f"broken off after {part.received:,} bytes")
    if not isinstance(error, OSError | ValueError | HTTPException):
        return error  # a fault of the program, not of the network
    root: BaseException = error
    while root.__context__ is not None:  # requests wraps the cause in three layers of its own
        root = root.__context__
    reason = f"{type(root).__name__}: {root}"
    silent = isinstance(error, exceptions.ConnectionError | exceptions.Timeout)
    return Unreachable(reason) if silent and not part.received else Broken(reason)
