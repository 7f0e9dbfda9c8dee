"""The matrix: the course on every Python that it names, and at both ends of its ranges.

`make matrix` runs all sessions; `make matrix SESSION=newest` one of them.  Words behind `--` name
the tests.  uv makes the environments: they share their files with its cache.

The stored notebooks are compared number by number where XAI_DATA_DIR names the real data;
elsewhere they run on the embedded data, and what they check themselves must hold.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path

import nox
from nox.command import CommandFailed

ROOT = Path(__file__).resolve().parent
PYTHONS = ("3.11", "3.12", "3.13")
OLDEST, NEWEST = PYTHONS[0], PYTHONS[-1]
EXTRAS = ("dev", "hub", "labs", "scale", "site")
METHODS = (
    *("tests/unit", "tests/axioms", "tests/agreement", "tests/properties", "tests/faults"),
    # Of the sources and of the lock: they say the same everywhere, and `make test` asks them.
    *("--deselect=tests/unit/test_style.py", "--deselect=tests/unit/test_supply_chain.py"),
)
CLAIMS = "it_says" if os.environ.get("XAI_DATA_DIR") else "embedded_data"
NOTEBOOKS = ("tests/notebooks/test_executed.py", "-k", CLAIMS)

nox.options.default_venv_backend = "uv"
nox.options.envdir = "build/matrix"
nox.options.stop_on_first_error = False
sys.path.insert(0, str(ROOT / "site"))
from kernels import threads  # noqa: E402


def pyenv_versions() -> str:
    """The Pythons of the matrix that pyenv keeps: it shows one of them only, unless it is told."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = [sorted(path.name for path in kept.glob(f"{python}.*")) for python in PYTHONS]
    return ":".join(max(names, key=len) for names in found if names)


os.environ.setdefault("PYENV_VERSION", pyenv_versions())


def checked(session: nox.Session, *suites: tuple[str, ...], **environment: str) -> None:
    """The suites one after the other, or the tests that were named; all of them, if one fails."""
    session.env.update({"CUDA_VISIBLE_DEVICES": "-1"} | threads(os.cpu_count() or 1) | environment)
    failed = False
    for tests in [tuple(session.posargs)] if session.posargs else suites:
        try:
            session.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
        except CommandFailed:
            failed = True
    if failed:
        session.error("tests failed: see above")


def installed(session: nox.Session, requirements: Path) -> None:
    """These packages and no others, and the course as it lies here."""
    session.install("--no-deps", "--requirement", str(requirements))
    session.install("--no-deps", "--no-build-isolation", "--editable", ".")


def resolved(session: nox.Session, how: str) -> Path:
    """What the stated ranges give, without the lock."""
    file = Path(session.create_tmp(), f"{how}.txt")
    session.run_install(
        *("uv", "pip", "compile", "--quiet", "--no-header", "--upgrade", f"--resolution={how}"),
        *("--python-version", str(session.python), "pyproject.toml", "--output-file", str(file)),
        *(word for extra in EXTRAS for word in ("--extra", extra)),
    )
    return file


def unreached(resolution: Path) -> list[str]:
    """The lower ends of stated ranges that no resolution reaches, and so no test."""
    found = dict(re.findall(r"^([a-z0-9.-]+)==([^\s;]+)", resolution.read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    stated = [*project["dependencies"], *(line for extra in EXTRAS for line in extras[extra])]
    names = [re.match(r"([A-Za-z0-9.-]+)>=([0-9.]+)", line) for line in stated]
    lowest = {match[1].lower(): match[2] for match in names if match}
    return [
        f"{name}: the range begins at {low}, the lowest that fits is {found[name]}"
        for name, low in lowest.items()
        if re.sub(r"(\.0)+$", "", found[name]) != re.sub(r"(\.0)+$", "", low)
    ]


@nox.session(python=PYTHONS)
def locked(session: nox.Session) -> None:
    """The versions of the lock, on each Python."""
    installed(session, ROOT / "requirements.lock")
    checked(session, METHODS, NOTEBOOKS)


@nox.session(python=NEWEST)
def newest(session: nox.Session) -> None:
    """The newest versions that the ranges allow, on the newest Python."""
    installed(session, resolved(session, "highest"))
    checked(session, METHODS, NOTEBOOKS)


@nox.session(python=OLDEST)
def lowest(session: nox.Session) -> None:
    """The lowest versions that the ranges name, on the oldest Python."""
    resolution = resolved(session, "lowest-direct")
    if wide := unreached(resolution):
        session.error("narrow the ranges in pyproject.toml:\n" + "\n".join(wide))
    installed(session, resolution)
    checked(session, METHODS, NOTEBOOKS)


@nox.session(python=OLDEST)
@nox.parametrize("count", [1, 2])
def cores(session: nox.Session, count: int) -> None:
    """The notebooks with one thread and with two: the same digits."""
    installed(session, ROOT / "requirements.lock")
    checked(session, NOTEBOOKS, **threads(count))


@nox.session(python=OLDEST)
def twice(session: nox.Session) -> None:
    """The notebooks executed twice on this machine: the same, byte for byte."""
    installed(session, ROOT / "requirements.lock")
    session.run("python", "tests/tools/twice.py", *session.posargs)
