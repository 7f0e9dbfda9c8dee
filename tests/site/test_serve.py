"""`make serve`: the site on this machine only, and a sentence where that cannot be."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import serve


def test_pages_are_served_on_loopback(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("the first page")
    with serve.server(tmp_path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert server.server_address[0] == "127.0.0.1"
        root = f"http://127.0.0.1:{server.server_port}/"
        with urllib.request.urlopen(root, timeout=10) as answer:
            assert answer.read() == b"the first page"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(root + "gone.html", timeout=10)
        server.shutdown()


def test_without_a_site_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "PAGES", tmp_path)
    with pytest.raises(SystemExit, match="There is no site yet: run `make course`"):
        serve.main("0")


def test_a_port_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "PAGES", tmp_path)
    (tmp_path / "index.html").touch()
    with pytest.raises(SystemExit, match="PORT=many is no port"):
        serve.main("many")
    with serve.server(tmp_path) as taken, pytest.raises(SystemExit, match="cannot be used"):
        serve.main(str(taken.server_port))
