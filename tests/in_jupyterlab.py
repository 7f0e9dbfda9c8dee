"""JupyterLab as a reader has it: a server on loopback, a folder of its own, a real browser."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat

import web

START = 300  # seconds until the server must have answered
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Cells that are scrolled away stay in the page.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}


@contextmanager
def jupyterlab(folder: Path) -> Iterator[tuple[str, str]]:
    """A JupyterLab of its own, its address and its token; nothing of the user's is used."""
    home, files = folder / "home", folder / "files"
    files.mkdir()
    for name, values in SETTINGS.items():
        path = home / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    own = {
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "IPYTHONDIR": "ipython",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }
    environment = {**os.environ, **{name: str(home / part) for name, part in own.items()}}
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", "--ServerApp.open_browser=False"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={files}"]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=files)
        try:
            yield _address(server, home), token
        finally:
            server.terminate()  # it shuts its kernels down
            try:
                server.wait(timeout=30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _address(server: subprocess.Popen[bytes], home: Path) -> str:
    """Where the server says that it listens, as soon as it says so."""
    known = home / "runtime" / f"jpserver-{server.pid}.json"
    end = time.monotonic() + START
    while time.monotonic() < end and server.poll() is None:
        try:
            return str(json.loads(known.read_text())["url"])
        except (OSError, ValueError):  # not there yet, or half-written
            time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start:\n{(home / 'log').read_text()[-3000:]}")


@contextmanager
def opened(folder: Path, cells: Sequence[str]) -> Iterator[tuple[Any, Path, list[str]]]:
    """A notebook of these cells in a tab of JupyterLab, its kernel idle.

    Yields the tab, the notebook's file, and a list that fills with the errors of the page and the
    addresses on other hosts that it asked for (and did not get).
    """
    from playwright.sync_api import sync_playwright

    program, trouble = web.chromium(), list[str]()
    with jupyterlab(folder) as (root, token), sync_playwright() as play:
        path = folder / "files" / "cells.ipynb"
        notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
        notebook.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        nbformat.write(notebook, path)
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        chrome = play.chromium.launch(executable_path=program, args=options)
        tab = chrome.new_page(viewport={"width": 1280, "height": 1600}, color_scheme="light")
        tab.set_default_timeout(240_000)
        tab.on("pageerror", lambda error: trouble.append(str(error)))
        host = urlsplit(root).netloc

        def only_here(route: Any) -> None:
            if urlsplit(route.request.url).netloc == host:
                route.continue_()
            else:
                trouble.append(route.request.url)
                route.abort()

        tab.route("http*://**", only_here)
        tab.goto(f"{root}lab/tree/cells.ipynb?token={token}")
        # Not the round indicator: it is idle before there is a kernel, too.
        tab.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        yield tab, path, trouble
        chrome.close()


def run_all(tab: Any, count: int) -> None:
    """Run all `count` cells and wait until the kernel has numbered the last one."""
    tab.get_by_role("menuitem", name="Run", exact=True).click()
    tab.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    tab.locator(".jp-Notebook .jp-InputPrompt", has_text=f"[{count}]:").wait_for()
