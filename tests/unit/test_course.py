"""`make course`: what it says, what it leaves behind, and what it does when a notebook fails."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import course
import kernels

SCRIPT = Path(course.__file__)


def store(path: Path, *sources: str) -> Path:
    """Write a notebook of code cells, with an old output that must not survive."""
    old = nbformat.v4.new_output("stream", text="old output\n")
    cells = [new_code_cell(source, outputs=[old], execution_count=7) for source in sources]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Title"), *cells]), path)
    return path


def run_script(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    places = ["--notebooks", str(root / "notebooks"), "--build", str(root / "build")]
    command = [sys.executable, str(SCRIPT), *places, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def test_each_notebook_says_its_time_and_its_data(tmp_path: Path) -> None:
    root = tmp_path / "a folder with spaces"
    store(root / "notebooks" / "00_one.ipynb", "x = 1", "print('Data: cache')")
    store(root / "notebooks" / "10_two.ipynb", "print(open('00_one.ipynb').read()[:1])")
    store(root / "build" / "notebooks" / "05_gone.ipynb", "x")
    done = run_script(root, "--no-site")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "[1/2] 00_one.ipynb: kernel starts, 0 s"
    # A slow machine says more in between.
    one, two = sorted(line for line in lines if ", data: " in line)
    assert one.startswith("[1/2] 00_one.ipynb: ")
    assert one.endswith(" s, data: cache")
    assert two.endswith(" s, data: does not say")
    assert str(root / "build" / "notebooks") in lines[-1]
    kept = sorted(p.name for p in (root / "build" / "notebooks").iterdir())
    assert kept == ["00_one.ipynb", "10_two.ipynb"]
    times = json.loads((root / "build" / "times.json").read_text())
    assert times["cores"] == os.cpu_count()
    assert set(times["notebooks"]) == set(kept)
    assert times["notebooks"]["00_one.ipynb"]["data"] == "cache"
    assert 0 < times["notebooks"]["00_one.ipynb"]["seconds"] < 600
    fresh = nbformat.read(root / "build" / "notebooks" / "00_one.ipynb", as_version=4)
    assert [cell.get("execution_count") for cell in fresh.cells] == [None, 1, 2]
    assert fresh.cells[1].outputs == []


def test_a_failing_notebook_names_itself_the_cell_and_the_error(tmp_path: Path) -> None:
    bad = tmp_path / "notebooks" / "00_bad.ipynb"
    store(bad, "print('partial')", "{}['plate']", "print('never')")
    store(tmp_path / "notebooks" / "10_good.ipynb", "print('Data: cache')")
    store(tmp_path / "build" / "notebooks" / "00_bad.ipynb", "yesterday = 1")
    done = run_script(tmp_path)
    assert done.returncode == 1
    assert "00_bad.ipynb, cell 2: KeyError: 'plate'" in done.stdout
    assert "10_good.ipynb: " in done.stdout
    kept = sorted(p.name for p in (tmp_path / "build" / "notebooks").iterdir())
    assert kept == ["00_bad.failed.ipynb", "10_good.ipynb"]
    partial = nbformat.read(tmp_path / "build" / "notebooks" / kept[0], as_version=4)
    assert partial.cells[1].outputs[0].text == "partial\n"
    assert partial.cells[3].outputs == []
    store(bad, "x = 1")
    assert run_script(tmp_path, "--no-site", "00").returncode == 0
    kept = sorted(p.name for p in (tmp_path / "build" / "notebooks").iterdir())
    assert kept == ["00_bad.ipynb", "10_good.ipynb"]


def test_a_kernel_that_dies_is_a_failure_of_that_cell(tmp_path: Path) -> None:
    run = kernels.execute(store(tmp_path / "n.ipynb", "x = 1", "import os; os._exit(3)"))
    assert run.failure is not None
    assert run.failure.startswith("n.ipynb, cell 2: DeadKernelError")


def test_what_runs_afterwards_finds_what_was_computed_and_leaves_no_trace(tmp_path: Path) -> None:
    path = store(tmp_path / "n.ipynb", "x = 1")
    run = kernels.execute(path, None, ["print(x + 1)", "x / 0", "print(x)\nprint(3)"])
    assert run.failure is None
    assert run.told == ("2", "ZeroDivisionError: division by zero", "1 3")
    assert len(run.notebook.cells) == 2
    broken = kernels.execute(store(tmp_path / "b.ipynb", "x"), None, ["print(1)"])
    assert broken.failure is not None and broken.told == ("",)


def test_only_some_notebooks(tmp_path: Path) -> None:
    store(tmp_path / "notebooks" / "00_one.ipynb", "x = 1")
    store(tmp_path / "notebooks" / "10_two.ipynb", "x = 1")
    store(tmp_path / "build" / "notebooks" / "00_one.ipynb", "kept = 1")
    done = run_script(tmp_path, "--no-site", "10")
    assert "[1/1] 10_two.ipynb" in done.stdout
    assert (tmp_path / "build" / "notebooks" / "00_one.ipynb").exists()
    unknown = run_script(tmp_path, "--no-site", "99")
    assert unknown.returncode == 1
    assert "begins with '99'; there are: 00_one, 10_two" in unknown.stderr


def test_the_kernel_is_this_interpreter_whatever_is_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    other = {"argv": ["/bin/false"], "display_name": "Other", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(other))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    cell = "import os, sys; print(sys.executable, os.environ['MPLBACKEND'], sep='\\n')"
    run = kernels.execute(store(tmp_path / "n.ipynb", cell))
    assert run.failure is None
    interpreter, backend = run.notebook.cells[1].outputs[0].text.splitlines()
    assert interpreter == sys.executable
    assert "inline" in backend


def test_the_environment_reaches_the_notebook(tmp_path: Path) -> None:
    environment = {**os.environ, "XAI_OFFLINE": "1"}
    cell = "import os; print('Data:', os.environ['XAI_OFFLINE'])"
    assert kernels.execute(store(tmp_path / "n.ipynb", cell), environment).data == "1"


@pytest.mark.fault(
    "People",
    "`make course` twice at once",
    sees="the second ends at once: “… is in use by process 4242, which executes the course at this "
    "moment. Wait until it has finished, or stop it; then try again.”",
    kept="all that the first one does",
    guard=("site/course.py", "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass"),
)
def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    store(tmp_path / "notebooks" / "00_slow.ipynb", "import time; time.sleep(8)")
    places = ["--notebooks", str(tmp_path / "notebooks"), "--build", str(tmp_path / "build")]
    command = [sys.executable, str(SCRIPT), *places, "--no-site"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        first.stdout.readline()
        second = run_script(tmp_path, "--no-site")
        assert first.poll() is None, "the first run ended before the second was tried"
        assert second.returncode == 1
        assert f"in use by process {first.pid}" in second.stderr
        first.communicate(timeout=600)
    assert first.returncode == 0
    with course.locked(tmp_path / "build"):
        pass  # free again


def test_the_first_line_comes_at_once(tmp_path: Path) -> None:
    store(tmp_path / "notebooks" / "00_one.ipynb", "x = 1")
    places = ["--notebooks", str(tmp_path / "notebooks"), "--build", str(tmp_path / "build")]
    started = time.monotonic()
    command = [sys.executable, str(SCRIPT), *places, "--no-site"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "00_one.ipynb" in process.stdout.readline()
        assert time.monotonic() - started < 5
        process.communicate(timeout=600)


def test_a_terminal_gets_one_living_line(tmp_path: Path) -> None:
    store(tmp_path / "notebooks" / "00_one.ipynb", "import time; time.sleep(1.5)")
    places = ["--notebooks", str(tmp_path / "notebooks"), "--build", str(tmp_path / "build")]
    terminal, slave = pty.openpty()
    command = [sys.executable, str(SCRIPT), *places, "--no-site"]
    with subprocess.Popen(command, stdout=slave) as process:
        process.wait(timeout=600)
    os.close(slave)
    written = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert "\r\x1b[K[1/1] 00_one.ipynb: cell 1 of 1, " in written


def test_a_users_matplotlib_settings_and_list_of_fonts_stay_out(tmp_path: Path) -> None:
    users = tmp_path / "settings"  # matplotlib also reads the folder that a notebook lies in
    users.mkdir()
    (users / "matplotlibrc").write_text("figure.dpi: 33")
    path = store(
        tmp_path / "00_one.ipynb",
        "import matplotlib as m; m.rcParams['figure.dpi'], m.get_cachedir()",
    )
    run = kernels.execute(path, os.environ | {"MPLCONFIGDIR": str(users)})
    shown = run.notebook.cells[1].outputs[0]["data"]["text/plain"]
    assert shown.startswith("(100.0, ")
    assert str(users) not in shown


def test_two_notebooks_run_side_by_side_with_a_share_of_the_cores(tmp_path: Path) -> None:
    meet = """
import os, pathlib, time
pathlib.Path("{mine}").touch()
while not pathlib.Path("{other}").exists():
    time.sleep(0.1)
print("Data:", os.environ["OMP_NUM_THREADS"])
"""
    store(tmp_path / "notebooks" / "00_one.ipynb", meet.format(mine="1", other="2"))
    store(tmp_path / "notebooks" / "10_two.ipynb", meet.format(mine="2", other="1"))
    done = run_script(tmp_path, "--no-site", "--at-once", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    share = max(1, (os.cpu_count() or 1) // 2)
    assert done.stdout.count(f"data: {share}\n") == 2


def test_a_notebook_alone_has_all_cores(tmp_path: Path) -> None:
    cell = 'import os; print("Data:", os.environ["OMP_NUM_THREADS"])'
    store(tmp_path / "notebooks" / "00_alone.ipynb", cell)
    done = run_script(tmp_path, "--no-site", "--at-once", "2")
    assert f"data: {os.cpu_count()}\n" in done.stdout


def heeds_ctrl_c() -> None:
    """What a shell starts in the background ignores it, and so would all that is started here."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_the_kernels_and_what_was_built_stays(tmp_path: Path) -> None:
    sleep = "import os; open('pid', 'w').write(str(os.getpid())); import time; time.sleep(500)"
    store(tmp_path / "notebooks" / "00_sleeps.ipynb", sleep)
    store(tmp_path / "notebooks" / "10_after.ipynb", "x = 1")
    store(tmp_path / "build" / "notebooks" / "00_sleeps.ipynb", "yesterday = 1")
    places = ["--notebooks", str(tmp_path / "notebooks"), "--build", str(tmp_path / "build")]
    command = [sys.executable, str(SCRIPT), *places, "--no-site", "--at-once", "1"]
    pid = tmp_path / "notebooks" / "pid"
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heeds_ctrl_c
    ) as process:
        while not (pid.exists() and pid.read_text()):
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=300)
    assert process.returncode == 1
    assert error.decode() == "\nstopped\n"
    assert b"10_after" not in out
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    kept = nbformat.read(tmp_path / "build" / "notebooks" / "00_sleeps.ipynb", as_version=4)
    assert kept.cells[1].source == "yesterday = 1"
