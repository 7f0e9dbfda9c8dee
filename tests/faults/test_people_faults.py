"""What people do to the course: twice at once, broken off, on a full disk, in odd places."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import course
import environment
import web

SCRIPT = Path(course.__file__)


def store(path: Path, *sources: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    return path


def places(root: Path) -> list[str]:
    return ["--notebooks", str(root / "notebooks"), "--build", str(root / "build")]


def started(root: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *places(root), *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # What a shell starts in the background ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def made(root: Path, *options: str) -> str:
    with started(root, *options) as process:
        out, error = process.communicate(timeout=300)
    assert process.returncode == 0, out + error
    return out


@pytest.fixture
def in_a_room_of_its_own() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program behind mounts of its own: a small disk, a folder that may not be written."""
    unshare = ["unshare", "-Urm", "sh", "-ec"]
    try:
        trial = subprocess.run([*unshare, "mount -t tmpfs tmpfs /mnt"], capture_output=True)
        problem = trial.stderr.decode() if trial.returncode else ""
    except OSError as error:
        problem = str(error)
    if problem:
        pytest.skip(f"NOT TESTED: full and read-only disks need unshare -Urm: {problem.strip()}")

    def run(prepare: str, *command: str) -> subprocess.CompletedProcess[str]:
        script = [*unshare, f'{prepare}; exec "$@"', "sh", *command]
        return subprocess.run(script, capture_output=True, text=True, timeout=300, check=False)

    return run


@pytest.mark.fault(
    "People",
    "`make course` is broken off (Ctrl-C), and called again",
    sees="“stopped”; the next call says “1 of 2 notebooks were finished when the last run broke "
    "off” and executes the others",
    kept="all notebooks that were finished; after a change of notebook, library, data or settings "
    "they are executed again",
    guard=("site/unfinished.py", "or not result.exists()", "or True"),
)
def test_a_run_that_was_broken_off_is_taken_up(tmp_path: Path) -> None:
    store(tmp_path / "notebooks" / "00_first.ipynb", "print('Data: cache')")
    count = "from pathlib import Path; log = Path('log'); log.open('a').write('x')"
    store(tmp_path / "notebooks" / "00_first.ipynb", count, "print('Data: cache')")
    gate = "import os, time; os.path.exists('gate') or (open('waits', 'w'), time.sleep(300))"
    store(tmp_path / "notebooks" / "10_second.ipynb", gate)
    log, waits = (tmp_path / "notebooks" / name for name in ("log", "waits"))
    with started(tmp_path, "--no-site", "--at-once", "1") as process:
        while not waits.exists():
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[1] == "\nstopped\n"
    (tmp_path / "notebooks" / "gate").touch()
    said = made(tmp_path, "--no-site")
    assert "1 of 2 notebooks were finished when the last run broke off" in said
    assert "[1/1] 10_second.ipynb" in said
    assert log.read_text() == "x"
    assert not (tmp_path / "build" / "unfinished.json").exists()
    times = (tmp_path / "build" / "times.json").read_text()
    assert "00_first" in times and "10_second" in times
    assert "finished when" not in made(tmp_path, "--no-site")  # a whole run executes everything
    assert log.read_text() == "xx"


def test_what_has_changed_since_is_executed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unfinished import Unfinished

    path = store(tmp_path / "notebooks" / "00_first.ipynb", "x = 1")
    (tmp_path / "build").mkdir()
    result = course.Run(path.name, nbformat.read(path, as_version=4), 1.0, None)
    course.write(result.notebook, tmp_path / "build" / path.name)
    Unfinished(tmp_path / "build").note(path, result)
    assert Unfinished(tmp_path / "build").done(path, tmp_path / "build") is not None
    monkeypatch.setenv("XAI_DATA", "real")
    assert Unfinished(tmp_path / "build").done(path, tmp_path / "build") is None
    monkeypatch.undo()
    store(path, "x = 2")
    assert Unfinished(tmp_path / "build").done(path, tmp_path / "build") is None
    (tmp_path / "build" / "unfinished.json").write_text('{"00_first.ipynb": {"of')
    assert Unfinished(tmp_path / "build").known == {}


@pytest.mark.fault(
    "People",
    "The disk is full in the middle of the site",
    sees="“No space left on device”, and “The site could not be built: see the lines above. The "
    "old pages stay.”",
    kept="the old pages, whole; nothing half-built stays beside them",
    guard=(
        "site/course.py",
        "except subprocess.CalledProcessError:\n            print(",
        "except EOFError:\n            print(",
    ),
)
def test_a_full_disk_leaves_the_old_pages(tmp_path: Path, in_a_room_of_its_own) -> None:
    store(tmp_path / "notebooks" / "00_tiny.ipynb", "1")
    (tmp_path / "build").mkdir()
    prepare = (
        f"mount -t tmpfs -o size=4m tmpfs '{tmp_path}/build'; mkdir '{tmp_path}/build/site';"
        f"echo old > '{tmp_path}/build/site/index.html'"
    )
    after = "import os, sys; print(sorted(os.listdir(sys.argv[1])), open(sys.argv[2]).read())"
    build = tmp_path / "build"
    command = (
        f'"{sys.executable}" -c "$PROGRAM" --stored --notebooks "{tmp_path}/notebooks"'
        f' --build "{build}"; echo "status $?";'
        f' "{sys.executable}" -c "$AFTER" "{build}" "{build}/site/index.html"'
    )
    done = in_a_room_of_its_own(
        prepare,
        "env",
        f"PROGRAM={web.WITHOUT_REFERENCE}",
        f"PYTHONPATH={SCRIPT.parent}",
        f"AFTER={after}",
        "sh",
        "-c",
        command,
    )
    assert "status 1" in done.stdout, done.stdout + done.stderr
    assert "The site could not be built: see the lines above. The old pages stay." in done.stdout
    assert "No space left on device" in done.stderr  # the lines above
    assert done.stdout.splitlines()[-2] == "['.lock', 'site'] old"


@pytest.mark.fault(
    "People",
    "No right to write in the checkout",
    sees="“…/build: Read-only file system. What was in … before stays. … get the right to write; "
    "or name another folder: … --build FOLDER”",
    kept="everything; nothing was begun",
    guard=(
        "site/course.py",
        "    except OSError as error:  # a full",
        "    except EOFError as error:  # a full",
    ),
)
def test_a_checkout_that_may_not_be_written(tmp_path: Path, in_a_room_of_its_own) -> None:
    store(tmp_path / "course" / "notebooks" / "00_tiny.ipynb", "1")
    where = str(tmp_path / "course")
    prepare = f"mount --bind '{where}' '{where}'; mount -o remount,ro,bind '{where}'"
    command = [sys.executable, str(SCRIPT), *places(Path(where))]
    done = in_a_room_of_its_own(prepare, *command)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{where}/build: Read-only file system. What was in")
    assert "--build FOLDER" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.fault(
    "People",
    "No right to write in the checkout, and nothing installed yet",
    sees="“….venv.lock: Read-only file system. The environment is made in the folder of the "
    "course, where you may not write: clone it to a folder of your own.”",
    kept="everything; nothing was begun",
    guard=(
        "site/environment.py",
        '        file = path.open("w")\n    except OSError',
        '        file = path.open("w")\n    except EOFError',
    ),
)
def test_an_environment_that_may_not_be_made(tmp_path: Path, in_a_room_of_its_own) -> None:
    script = tmp_path / "site" / "environment.py"
    script.parent.mkdir()
    shutil.copy(environment.__file__, script)
    prepare = f"mount --bind '{tmp_path}' '{tmp_path}'; mount -o remount,ro,bind '{tmp_path}'"
    done = in_a_room_of_its_own(prepare, sys.executable, str(script))
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path}/.venv.lock: Read-only file system. The env")
    assert "clone it to a folder of your own" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.fault(
    "People",
    "A path with spaces and letters from elsewhere (`Kurs für Ärzte, 日本`)",
    sees="nothing unusual: notebooks run, pages are made",
    kept="everything",
    guard=(
        "site/kernels.py",
        "cwd=str(path.parent),",
        "cwd=str(path.parent.as_posix().encode('ascii')),",
    ),
)
def test_a_path_with_spaces_and_letters_from_elsewhere(tmp_path: Path) -> None:
    root = tmp_path / "Kurs für Ärzte, 日本"
    store(root / "notebooks" / "00_tiny.ipynb", "print('Data: cache'); open('Maß', 'w').close()")
    assert "00_tiny.ipynb" in made(root, "--no-site")
    assert (root / "build" / "notebooks" / "00_tiny.ipynb").exists()
    assert (root / "notebooks" / "Maß").exists()


@pytest.mark.fault(
    "People",
    "An environment whose pip is too old, or missing",
    sees="“Making .venv with …”: the environment is made anew",
    kept="the checkout; of the old environment nothing",
    guard=(
        "site/environment.py",
        " or tuple(map(int, pip.__version__.split('.')[:2])) < {OLDEST_PIP}",
        "",
    ),
)
def test_an_old_pip_will_not_do(tmp_path: Path) -> None:
    (tmp_path / "pip.py").write_text("__version__ = '21.0.1'")
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    assert not environment.is_usable(program)
    (tmp_path / "pip.py").write_text("raise ImportError('no pip')")
    assert not environment.is_usable(program)
    (tmp_path / "pip.py").write_text("__version__ = '26.0'")
    assert environment.is_usable(program)


@pytest.mark.fault(
    "People",
    "Python 3.10, or any that is older or newer than the course knows",
    sees="“… is Python 3.10; the course needs Python 3.11 to 3.13. Install one of them, then name "
    "it: make PYTHON=python3.13 course”",
    kept="everything; nothing was begun",
    guard=(
        "site/environment.py",
        "    if reason := refusal(",
        "    if reason := None and refusal(",
    ),
)
def test_a_real_old_python_is_refused(tmp_path: Path) -> None:
    old = next((found for k in (10, 9, 8) if (found := _python(f"3.{k}"))), None)
    if old is None:
        pytest.skip("no Python older than 3.11 here, so none was refused for real")
    script = tmp_path / "site" / "environment.py"
    script.parent.mkdir()
    shutil.copy(environment.__file__, script)
    done = subprocess.run([old, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "; the course needs Python 3.11 to 3.13." in done.stderr
    assert "make PYTHON=python3.13 course" in done.stderr
    assert not (tmp_path / ".venv").exists()


def _python(version: str) -> str | None:
    """A Python of that version that starts."""
    places = [
        f"python{version}",
        *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")),
    ]
    for name in places:
        try:
            code = "import sys; print('%d.%d' % sys.version_info[:2])"
            done = subprocess.run([name, "-c", code], capture_output=True, text=True, check=False)
        except OSError:
            continue
        if done.stdout.strip() == version:
            return name
    return None
