"""`make` itself: which Python it takes, when it installs, what it lists."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import course
import environment

MAKEFILE = course.ROOT / "Makefile"


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make on a copy of the Makefile, so that the real .venv is not touched."""
    (folder / "Makefile").write_text(MAKEFILE.read_text())
    for name in environment.INPUTS:
        (folder / name).open("a").close()  # unlike touch, leaves the time of a present file
    # `make test` tells the makes below it that they are not the first, and they say so.
    alone = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=alone | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def stub(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (2, 7)])
def test_an_unfit_python_is_refused_with_what_to_do(version: tuple[int, int]) -> None:
    text = environment.refusal(version, "/usr/bin/python3")
    assert text is not None
    assert f"is Python {version[0]}.{version[1]}; the course needs Python 3.11 to 3.13" in text
    assert "make PYTHON=" in text


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_a_fit_python_is_taken(version: tuple[int, int]) -> None:
    assert environment.refusal(version, "python3") is None


def test_the_project_and_make_agree_on_the_versions() -> None:
    project = (course.ROOT / "pyproject.toml").read_text()
    assert 'requires-python = ">=3.11,<3.14"' in project
    assert (environment.OLDEST, environment.NEWEST) == ((3, 11), (3, 13))
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in MAKEFILE.read_text()


def test_help_comes_first_and_lists_every_target(tmp_path: Path) -> None:
    done = make(tmp_path)
    assert done.returncode == 0, done.stderr
    listed = re.findall(r"^make (\w+) +\S", done.stdout, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE.read_text(), re.MULTILINE)
    assert phony is not None
    assert listed == phony[1].split()


def test_make_refuses_when_no_python_fits(tmp_path: Path) -> None:
    done = make(tmp_path, "course", "PYTHON=")
    assert done.returncode != 0
    assert "No Python 3.11, 3.12 or 3.13 found" in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_make_passes_over_a_python_that_does_not_fit(tmp_path: Path) -> None:
    folder = tmp_path / "with spaces"
    stub(folder / "bin" / "python3", "exit 1")  # too old
    stub(folder / "bin" / "python3.13", "exit 1")  # a shim without a Python behind it
    stub(folder / "bin" / "python3.12", 'case "$1" in -c) exit 0;; *) echo "chosen 3.12";; esac')
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    done = make(folder, ".venv/.installed", PATH=path)
    assert "chosen 3.12" in done.stdout, done.stdout + done.stderr


def test_an_installed_environment_is_used_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "with spaces"
    stub(folder / ".venv" / "bin" / "python", 'echo "ran $*"')
    make(folder, "help")
    time.sleep(0.01)
    (folder / ".venv" / ".installed").touch()
    done = make(folder, "course")
    assert done.stdout == "ran site/course.py\n", done.stdout + done.stderr


def test_setting_up_installs_and_executes_nothing(tmp_path: Path) -> None:
    python = tmp_path / "with spaces" / "bin" / "python3"
    stub(python, 'case "$1" in -c) exit 0;; *) echo "installs by $1";; esac')
    stub(tmp_path / ".venv" / "bin" / "python", 'echo "ran $*"')
    done = make(tmp_path, "setup", f"PYTHON={python}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "installs by site/environment.py"
    assert lines[1:] == ["Set up. To use it in this terminal: source .venv/bin/activate"]


def test_the_stamp_is_older_than_a_changed_lock(tmp_path: Path) -> None:
    lock, stamp = tmp_path / "requirements.lock", tmp_path / ".installed"
    lock.touch()
    assert not environment.is_current(stamp, [lock])
    stamp.touch()
    assert environment.is_current(stamp, [lock])
    os.utime(lock, (time.time() + 9, time.time() + 9))
    assert not environment.is_current(stamp, [lock])


def test_a_failing_step_shows_why_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"no such hash[\s\S]*Installing: FAILED"):
        environment.run([sys.executable, "-c", "print('no such hash'); exit(2)"], "Installing")
    assert capsys.readouterr().out == "Installing ...\n"


@pytest.mark.fault(
    "People",
    "Two installations at once",
    sees="“Another process is installing the environment; waiting for it.”",
    kept="one whole environment",
    guard=(
        "site/environment.py",
        "flush=True)\n            fcntl.flock(file, fcntl.LOCK_EX)",
        "flush=True)",
    ),
)
def test_two_installations_wait_for_each_other(tmp_path: Path) -> None:
    order = []

    def other() -> None:
        with environment.locked(tmp_path / "lock"):
            order.append("second")

    thread = threading.Thread(target=other)
    with environment.locked(tmp_path / "lock"):
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join(timeout=10)
    assert order == ["first", "second"]


def test_a_python_that_is_gone_is_not_usable(tmp_path: Path) -> None:
    has_pip = importlib.util.find_spec("pip") is not None  # uv makes environments without
    assert environment.is_usable(Path(sys.executable)) == has_pip
    assert not environment.is_usable(tmp_path / "bin" / "python")
