"""A class on one server: two students at a real JupyterHub, with real accounts, by its own doors.

The hub runs as `binder/jupyterhub_config.py` has it, in a place that was set up by the commands of
the lecturer's guide; see `in_jupyterhub`.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import handout
import in_jupyterhub
from hub_student import Kernel, Student

NOTEBOOKS = {"ada": "00_start_here.ipynb", "bob": "02_linear_regression_coefficients.ipynb"}
LAB = in_jupyterhub.LAB


@pytest.fixture(scope="module")
def hub() -> Iterator[in_jupyterhub.Hub]:
    if reason := in_jupyterhub.missing():
        pytest.skip(reason)
    with in_jupyterhub.running() as running:
        yield running


def both(work: Callable[[Student], Any], students: list[Student]) -> list[Any]:
    """Ada and bob at the same time, as in a class."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, students))


@pytest.fixture(scope="module")
def students(hub: in_jupyterhub.Hub) -> list[Student]:
    """Ada and bob, logged in, each with a server."""
    pair = [hub.student("ada"), hub.student("bob")]

    def arrive(student: Student) -> None:
        assert student.log_in().status_code == 302
        student.start()

    both(arrive, pair)
    return pair


@pytest.fixture(scope="module")
def handed_out(students: list[Student]) -> list[Student]:
    """They have clicked on the link, which clones the notebooks into their homes."""
    link = handout.link(in_jupyterhub.CLASS / "handout")

    def click(student: Student) -> None:
        page = student.session.get(student.url + link, timeout=60)
        assert page.ok and page.url.startswith(f"{student.url}/user/{student.name}/git-pull?"), page
        # what that page then asks for:
        pulled = student.server("GET", "git-pull/api?" + link.partition("?")[2])
        assert '"phase": "finished"' in pulled.text, pulled.text

    both(click, students)
    return students


@pytest.fixture(scope="module")
def kernels(students: list[Student]) -> list[Kernel]:
    return both(Student.kernel, students)


def test_link_gives_the_notebooks_and_no_solutions(handed_out: list[Student]) -> None:
    for student in handed_out:
        names = {entry["name"] for entry in student.opened("course")}
        assert names == {path.name for path in _notebooks()} | {"LICENSE"}


def _notebooks() -> list[Path]:
    return sorted((in_jupyterhub.ROOT / "notebooks").glob("*.ipynb"))


def test_each_runs_a_notebook(handed_out: list[Student]) -> None:
    def run(student: Student) -> None:
        notebook = student.opened(f"course/{NOTEBOOKS[student.name]}")
        kernel, answers = student.kernel("course"), []
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code" and cell["source"].strip():
                answers.append(kernel.run("".join(cell["source"])))
                assert not answers[-1].error, answers[-1]
        assert "Data: " in "".join(answer.text for answer in answers)
        assert sum(answer.pictures for answer in answers) >= 2
        student.server("DELETE", f"api/kernels/{kernel.identity}").raise_for_status()

    both(run, handed_out)


def test_kernels_have_what_is_shared_and_give_way(kernels: list[Kernel]) -> None:
    for kernel in kernels:
        said = kernel.run(
            "import os, xai_utils\n"
            "names = 'OMP_NUM_THREADS', 'TF_ONEDNN_USE_SYSTEM_ALLOCATOR'\n"
            "print(xai_utils.__file__, *(os.environ[name] for name in names), os.nice(0),\n"
            "      open('/proc/self/oom_score_adj').read())"
        )
        where = f"{in_jupyterhub.CLASS}/course/xai_utils/__init__.py"
        assert said.text.split() == [where, "1", "1", str(os.nice(0) + 5), "500"]


@pytest.mark.fault(
    "A class on one server",
    "A student tries to read another's files, on a system that leaves new homes open",
    sees="`PermissionError` in a notebook; 403 from the other's address in the browser",
    kept="the other's files and running programs, unseen",
    guard=("binder/jupyterhub_config.py", "pw_dir).chmod(0o700)", "pw_dir).stat()"),
)
def test_neither_reads_the_other(
    hub: in_jupyterhub.Hub, students: list[Student], kernels: list[Kernel]
) -> None:
    ada, bob = students
    ada.saved("mine.txt", "nobody else's")
    assert ada.opened("mine.txt") == "nobody else's"
    (server,) = hub.run("ada", "pgrep", "-f", "-u", "ada", "jupyterhub.singleuser").stdout.split()
    secrets = f"/proc/{server}/environ"  # the server's token is in it
    for what in ("os.listdir('/home/ada')", "open('/home/ada/mine.txt')", f"open('{secrets}')"):
        answer = kernels[1].run(f"import os\n{what}")
        assert answer.error.startswith("PermissionError: [Errno 13] Permission denied"), what
    for path in ("api/contents/mine.txt", "files/mine.txt", "api/kernels", "lab"):
        assert ada.server("GET", path).status_code == 200, path
        assert bob.server("GET", path, of="ada").status_code == 403, path
    assert bob.hub("GET", "users/ada").status_code == 404


@pytest.mark.fault(
    "A class on one server",
    "A student looks for the gradebook, the solutions, or what others have handed in",
    sees="`PermissionError` for each",
    kept="marks, solutions and submissions, unseen; the course's files, unchanged",
    guard=("binder/jupyterhub_config.py", "            become()", "            del become"),
)
def test_neither_reads_what_is_the_lecturers(
    hub: in_jupyterhub.Hub, handed_in: list[Student], kernels: list[Kernel]
) -> None:
    assert hub.path(f"{in_jupyterhub.CLASS}/labs/gradebook.db").exists()
    top = in_jupyterhub.CLASS
    closed = [
        f"open('{top}/labs/gradebook.db')",
        f"open('{top}/course/notebooks/labs/{LAB}.ipynb')",
        f"open('{top}/hub/jupyterhub.sqlite')",
        f"os.listdir('{top}/exchange/labs/inbound')",
        f"open('{top}/course/xai_utils/__init__.py', 'a')",
        f"os.mkdir('{top}/course/notebooks/new')",
        f"os.rename('{top}/exchange/labs', '{top}/exchange/gone')",
    ]
    for kernel in kernels:
        for what in closed:
            answer = kernel.run(f"import os\n{what}")
            assert re.match(r"PermissionError: \[Errno 13?\]", answer.error), (what, answer)


@pytest.fixture(scope="module")
def handed_in(hub: in_jupyterhub.Hub, students: list[Student]) -> list[Student]:
    """Each has fetched the lab, changed it, and handed it in, as the list of assignments does."""
    end = time.monotonic() + 60
    while not hub.path(f"{in_jupyterhub.CLASS}/released").exists():
        log = hub.path(f"{in_jupyterhub.CLASS}/lecturer.log").read_text()
        assert time.monotonic() < end, log
        time.sleep(0.2)

    def work(student: Student) -> None:
        lab = {"assignment_id": LAB, "course_id": "labs"}
        for action in ("fetch", "submit"):
            answer = student.server("POST", f"assignments/{action}", data=lab)
            assert answer.ok and answer.json()["success"], answer.text

    both(work, students)
    return students


def test_labs_are_handed_in_and_collected(hub: in_jupyterhub.Hub, handed_in: list[Student]) -> None:
    done = hub.run("lecturer", sys.executable, "-m", "nbgrader", "collect", LAB)
    assert done.returncode == 0, done.stderr
    for student in handed_in:
        collected = hub.path(f"{in_jupyterhub.CLASS}/labs/submitted/{student.name}/{LAB}")
        assert (collected / f"{LAB}.ipynb").exists(), done.stderr


@pytest.mark.fault(
    "A class on one server",
    "A notebook wants more memory than a student may have",
    sees="`MemoryError` in the cell: Unable to allocate 8.00 GiB for an array …",
    kept="its kernel with all variables, and everybody else's",
    guard=("binder/jupyterhub_config.py", 'mem_limit = "3G"', "mem_limit = None"),
)
def test_too_much_memory_is_refused_to_one_alone(kernels: list[Kernel]) -> None:
    greedy, other = kernels
    for kernel, number in ((greedy, 42), (other, 43)):
        assert not kernel.run(f"kept = {number}").error
    wish = greedy.run("import numpy as np\nmuch = np.empty((1024, 1024, 1024), 'float64')")
    assert wish.error == (
        "MemoryError: Unable to allocate 8.00 GiB for an array with shape "
        "(1024, 1024, 1024) and data type float64"
    )
    assert greedy.run("print(kept)").text == "42\n" and other.run("print(kept)").text == "43\n"


@pytest.mark.fault(
    "A class on one server",
    "A program that starts processes without end",
    sees="`BlockingIOError`: [Errno 11] Resource temporarily unavailable",
    kept="the kernel, and everybody else's processes",
    guard=("binder/jupyterhub_config.py", "RLIMIT_NPROC: self.process_limit,", "RLIMIT_CORE: 0,"),
)
def test_processes_without_end_stop_at_the_limit(kernels: list[Kernel]) -> None:
    greedy, other = kernels
    said = greedy.run(
        "import subprocess\n"
        "started = []\n"
        "try:\n"
        "    while len(started) < 600:\n"
        "        started.append(subprocess.Popen(['sleep', '100']))\n"
        "finally:\n"
        "    for process in started:\n"
        "        process.kill()\n"
        "        process.wait()"
    )
    assert said.error == "BlockingIOError: [Errno 11] Resource temporarily unavailable"
    assert other.run("import subprocess\nprint(subprocess.call('true'))").text == "0\n"
    assert greedy.run("print(1)").text == "1\n"


@pytest.mark.fault(
    "A class on one server",
    "More students than the server has memory for",
    sees="429: Active user limit exceeded. Try again in a few minutes.",
    kept="the servers that run",
    guard=("binder/jupyterhub_config.py", "c.JupyterHub.active_server_limit =", "at_once ="),
)
def test_one_more_than_the_machine_holds_is_told_to_wait(
    hub: in_jupyterhub.Hub, students: list[Student], kernels: list[Kernel]
) -> None:
    lecturer = hub.student("lecturer")
    assert lecturer.log_in().status_code == 302
    refused = lecturer.hub("POST", "users/lecturer/server")
    assert refused.status_code == 429, refused.text
    assert "Active user limit exceeded. Try again in a few minutes." in refused.text
    assert all(kernel.run("print(1)").text == "1\n" for kernel in kernels)


@pytest.mark.fault(
    "A class on one server",
    "Somebody with an account on the machine who is not in the class; a wrong password",
    sees="the login form again: Invalid username or password",
    kept="nothing is started",
    guard=("binder/jupyterhub_config.py", 'allowed_groups = {"xai"}', "allow_all = True"),
)
def test_others_are_not_let_in(hub: in_jupyterhub.Hub) -> None:
    eve, stranger = hub.student("eve"), hub.student("ada")
    stranger.password = "not ada's"
    for somebody in (eve, stranger):
        answer = somebody.log_in()
        assert answer.status_code == 403 and "Invalid username or password" in answer.text
