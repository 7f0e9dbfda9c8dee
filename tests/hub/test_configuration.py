"""The hub's configuration refuses to start where the class would not be safe, or not work."""

from __future__ import annotations

import runpy
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jupyterhub", reason="not installed: jupyterhub (make setup)")
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[2]
CLOSED = ("labs", "hub", "course/notebooks/labs", "course/tests", "course/.git")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A class in a folder that students reach, with nothing open that should not be.

    Not pytest's own folder, because that is closed to others.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        monkeypatch.setenv("XAI_CLASS", name)
        monkeypatch.setattr(sys, "executable", "/bin/sh")  # reached by everybody
        monkeypatch.setattr(sys, "prefix", "/usr")
        for part in ("binder", "site"):
            shutil.copytree(ROOT / part, folder / "course" / part)
        for part in CLOSED:
            (folder / part).mkdir(parents=True)
            (folder / part).chmod(0o700)
        yield folder


def configured(place: Path) -> Config:
    """What the hub would be told."""
    config = Config()
    given: dict[str, Any] = {"get_config": lambda: config, "load_subconfig": lambda path: None}
    runpy.run_path(str(place / "course" / "binder" / "jupyterhub_config.py"), given)
    return config


def test_a_closed_class_starts(place: Path) -> None:
    config = configured(place)
    assert config.ClassSpawner.mem_limit == "3G"
    assert "XAI_DATA_DIR" not in config.ClassSpawner.environment
    (place / "data").mkdir()
    environment = configured(place).ClassSpawner.environment
    assert environment["XAI_DATA_DIR"] == str(place / "data") and environment["XAI_OFFLINE"] == "1"


@pytest.mark.fault(
    "A class on one server",
    "The hub is started while the gradebook or the labs' solutions are open to students",
    sees="… is open to students: it holds marks, solutions or keys. Close it: chmod o-rwx …",
    kept="the hub does not start",
    guard=("binder/jupyterhub_config.py", "if found := list(reasons()):", "if found := []:"),
)
def test_an_open_gradebook_is_refused(place: Path) -> None:
    for part in CLOSED:
        (place / part).chmod(0o755)
        with pytest.raises(SystemExit, match=f"{part} is open to students") as refusal:
            configured(place)
        assert f"chmod o-rwx {place / part}" in str(refusal.value)
        (place / part).chmod(0o700)


@pytest.mark.fault(
    "A class on one server",
    "The hub is started by an interpreter that lies in somebody's private home",
    sees="students cannot reach …: … is closed to them. Move it, or: chmod o+x …",
    kept="the hub does not start; else every student's server would fail to",
    guard=("binder/jupyterhub_config.py", "if not folder.stat().st_mode & 0o001:", "if False:"),
)
def test_an_interpreter_out_of_reach_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = place / "home"
    (home / "bin").mkdir(parents=True)
    home.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(home / "bin" / "python"))
    with pytest.raises(SystemExit, match=f"students cannot reach .*: {home} is closed to them"):
        configured(place)
