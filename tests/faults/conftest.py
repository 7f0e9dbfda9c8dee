"""A web server on loopback that answers well or badly, on demand."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from xai_utils import storage

PACE = 0.4  # seconds between two pieces of a slow answer


class Site(ThreadingHTTPServer):
    """Serves `files`; the first part of the path says how: /good/name, /truncated/name, ..."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.closing = threading.Event()
        self.gate = threading.Barrier(2)
        self.sent = 0  # bytes, of an answer that is cut

    def url(self, manner: str, name: str) -> str:
        """The URL at which `name` is served in that manner."""
        return f"http://127.0.0.1:{self.server_port}/{manner}/{name}"


class _Answer(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        _, manner, name = self.path.split("/", 2)
        body = self.server.files.get(name, b"")
        with contextlib.suppress(OSError):  # the client gave up: some tests are about that
            getattr(self, f"_{manner}")(body)

    def _head(self, length: int, kind: str = "application/octet-stream") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _good(self, body: bytes) -> None:
        self._head(len(body))
        self.wfile.write(body)

    def _together(self, body: bytes) -> None:
        """Answer only when two clients are asking at the same time."""
        self.server.gate.wait(timeout=30)
        self._slow(body)

    def _truncated(self, body: bytes) -> None:
        self._head(len(body))
        self.wfile.write(body[: len(body) // 2])

    def _cut(self, body: bytes) -> None:
        """The first bytes only, and the length of all."""
        self._head(len(body))
        self.wfile.write(body[: self.server.sent])

    def _shortened(self, body: bytes) -> None:
        """The first bytes only, and a length that agrees with them."""
        self._good(body[: self.server.sent])

    def _short(self, body: bytes) -> None:
        """Half of the file, and a length that agrees with it."""
        self._good(body[: len(body) // 2])

    def _wrong(self, body: bytes) -> None:
        self._good(bytes(byte ^ 1 for byte in body))

    def _long(self, body: bytes) -> None:
        self._good(body + b"more")

    def _empty(self, body: bytes) -> None:
        self._head(0)

    def _page(self, body: bytes) -> None:
        page = b"<!DOCTYPE html><html><body>Please log in to this network.</body></html>"
        self._head(len(page), "text/html")
        self.wfile.write(page)

    def _missing(self, body: bytes) -> None:
        self.send_error(404)

    def _silent(self, body: bytes) -> None:
        """Accept, and never answer."""
        self.server.closing.wait()

    def _trickle(self, body: bytes) -> None:
        """One byte every now and then, for ever: no socket time-out notices that."""
        self._head(len(body))
        for byte in body:
            self.wfile.write(bytes([byte]))
            if self.server.closing.wait(PACE):
                return

    def _crawl(self, body: bytes) -> None:
        """Always moving, but far too slowly."""
        self._head(len(body))
        for start in range(0, len(body), 1024):
            self.wfile.write(body[start : start + 1024])
            if self.server.closing.wait(PACE):
                return

    def _stalled(self, body: bytes) -> None:
        self._head(len(body))
        self.wfile.write(body[: len(body) // 2])
        self.server.closing.wait()

    def _slow(self, body: bytes) -> None:
        """Slow but honest: ten pieces with a pause after each."""
        self._head(len(body))
        step = len(body) // 10 + 1
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            time.sleep(PACE)

    def log_message(self, *args: object) -> None:
        """Stay quiet."""


@pytest.fixture
def site() -> Iterator[Site]:
    """A running server that never outlives its test."""
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def refused() -> str:
    """The address of a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Each test is a process of its own: no mirror, an empty cache, no network seen yet."""
    for variable in ("XAI_DATA_DIR", "XAI_OFFLINE", "XAI_DATA"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "127.0.0.1")
    monkeypatch.setenv("XAI_CACHE_DIR", str(tmp_path / "cache"))
    storage.try_again()
    storage._answered.clear()
    yield
    storage.try_again()
