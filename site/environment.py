"""Make .venv from requirements.lock, by the system's Python: nothing else is installed yet.

Two calls at once wait for each other, and a broken-off installation is taken up where it ended.
"""

from __future__ import annotations

import collections
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / ".installed"
INPUTS = ("requirements.lock", "pyproject.toml")
OLDEST, NEWEST = (3, 11), (3, 13)
OLDEST_PIP = (22, 3)


def refusal(version: tuple[int, int], program: str) -> str | None:
    """Say why an interpreter of this version will not do, or None when it will."""
    if OLDEST <= version <= NEWEST:
        return None
    have, oldest, newest = (".".join(map(str, v)) for v in (version, OLDEST, NEWEST))
    return (
        f"{program} is Python {have}; the course needs Python {oldest} to {newest}.\n"
        f"Install one of them, then name it: make PYTHON=python{newest} course"
    )


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until nobody else installs; the system frees the lock when its holder ends."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock
        yield
        return
    try:
        file = path.open("w")
    except OSError as error:
        sys.exit(
            f"{path}: {error.strerror}. The environment is made in the folder of the course, where "
            "you may not write: clone it to a folder of your own."
        )
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("Another process is installing the environment; waiting for it.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_current(stamp: Path, inputs: list[Path]) -> bool:
    """Say whether the environment was finished after the last change of what it is made from."""
    if not stamp.exists():
        return False
    return all(path.stat().st_mtime <= stamp.stat().st_mtime for path in inputs)


def run(command: list[str], label: str) -> None:
    """Run a command, show its last line of progress on a terminal, and all of it when it fails."""
    print(f"{label} ...", flush=True)
    started, last = time.monotonic(), collections.deque[str](maxlen=40)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last.append(line)
            if sys.stdout.isatty() and line.startswith("Collecting"):
                print(f"\r\x1b[K  {line.split()[1][:60]}", end="", flush=True)
    if process.returncode:
        sys.exit(f"\n{''.join(last)}\n{label}: FAILED, the lines above say why. Try again by make.")
    erase = "\r\x1b[K" if sys.stdout.isatty() else ""
    print(f"{erase}  done in {time.monotonic() - started:.0f} s", flush=True)


def install(python: Path) -> None:
    """Install exactly what the lock names, then the course itself so that its source stays live."""
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    run(
        [*pip, "--require-hashes", "-r", "requirements.lock"],
        "Installing into .venv (some minutes; nearly 4 GB)",
    )
    run([*pip, "--no-deps", "--no-build-isolation", "--editable", "."], "Installing the course")


def is_usable(python: Path) -> bool:
    """Say whether the environment's interpreter starts, and it and its pip are ones that will do.

    A pip that is older than those which come with Python 3.11 cannot install this project.
    """
    code = (
        f"import sys, pip; fit = {OLDEST} <= sys.version_info[:2] <= {NEWEST}; "
        f"sys.exit(not fit or tuple(map(int, pip.__version__.split('.')[:2])) < {OLDEST_PIP})"
    )
    try:
        done = subprocess.run([str(python), "-c", code], check=False, stderr=subprocess.DEVNULL)
        return done.returncode == 0
    except OSError:
        return False


def main() -> None:
    """Bring .venv up to date."""
    if reason := refusal(sys.version_info[:2], sys.executable):
        sys.exit(reason)
    python = VENV / ("Scripts" if os.name == "nt" else "bin") / "python"
    with locked(ROOT / ".venv.lock"):
        if is_current(STAMP, [ROOT / name for name in INPUTS]):
            return
        if not is_usable(python):
            command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
            run(command, f"Making .venv with {sys.executable}")
        STAMP.unlink(missing_ok=True)
        install(python)
        STAMP.touch()


if __name__ == "__main__":
    main()
