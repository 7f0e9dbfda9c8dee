"""A real JupyterHub with real accounts, in namespaces of Linux that leave nothing behind.

The namespaces have a file system of their own where it matters: `/etc`, `/home` and `/srv` are
copies that vanish, so that `useradd` and the commands of the lecturer's guide can be run as they
stand.  When the first process ends, so do all others.  It needs root.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from hub_student import Student

ROOT = Path(__file__).resolve().parents[1]
CLASS = Path("/srv/xai")
START = 120  # seconds until the hub must have answered
LAB = "lab1_coefficients"
NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]

# $1: the repository; $2: the mirror of the data, or nothing; then folders that all must reach.
STAGE = """
set -e
course=$1 data=$2; shift 2
mount -t tmpfs -o mode=755 none /mnt
mkdir /mnt/kept
n=0
for path in "$course" "$@" ${data:+"$data"}; do  # held, wherever they lie
    n=$((n + 1)); mkdir /mnt/kept/$n; mount --rbind "$path" /mnt/kept/$n
done
for path in "$@"; do  # a private home on the way is replaced by an open one with this alone in it
    closed=$path
    while [ "$closed" != / ]; do
        closed=$(dirname "$closed")
        case $(stat -c %A "$closed") in
            *x|*t) ;;
            *) mount -t tmpfs -o mode=755 none "$closed" ;;
        esac
    done
done
n=1
for path in "$@"; do n=$((n + 1)); mkdir -p "$path"; mount --rbind /mnt/kept/$n "$path"; done
copy() {  # what is written into $2 does not reach $1
    mkdir -p "/mnt/$3/new" "/mnt/$3/work" "$2"
    mount -t overlay -o "lowerdir=$1,upperdir=/mnt/$3/new,workdir=/mnt/$3/work" none "$2"
}
copy /etc /etc etc
mount -t tmpfs -o mode=755 none /home
mount -t tmpfs -o mode=755 none /srv
copy /mnt/kept/1 /srv/xai/course course
if [ -n "$data" ]; then
    mkdir /srv/xai/data; mount --bind /mnt/kept/$((n + 1)) /srv/xai/data
fi
"""

# As the lecturer's guide has it, but for the accounts' names and for one lab instead of all.
CLASSROOM = """
cd /srv/xai/course
groupadd xai
for name in ada bob eve lecturer; do
    useradd -m -s /bin/bash "$name"
    echo "$name:$name's" | chpasswd
done
for name in ada bob lecturer; do usermod -aG xai "$name"; done
chgrp lecturer notebooks/labs
for closed in notebooks/labs tests .git; do
    [ ! -e $closed ] || chmod o-rwx $closed
done
"$PYTHON" -m compileall -q xai_utils
mkdir -m 1777 /srv/xai/exchange
install -d -m 700 -o lecturer /srv/xai/labs
git config --system --add safe.directory /srv/xai/handout/.git
"$PYTHON" site/handout.py /srv/xai/handout
as_lecturer() {
    where=/srv/xai/course/binder/jupyter
    runuser -u lecturer -- env HOME=/home/lecturer JUPYTER_CONFIG_PATH=$where "$PYTHON" "$@"
}
(
    as_lecturer -c "
import sys; sys.path.append('site')
import labs; labs.make(labs.Path('/srv/xai/labs'), [labs.LABS / '$LAB.ipynb'])"
    as_lecturer -m nbgrader release_assignment "$LAB" && touch /srv/xai/released
) >/srv/xai/lecturer.log 2>&1 &
mkdir -m 700 /srv/xai/hub
printf %s "$LOCAL" >/srv/xai/hub/local.py
exec "$PYTHON" -m jupyterhub -f binder/jupyterhub_config.py
"""

LOCAL = """
c.JupyterHub.bind_url = "http://127.0.0.1:{}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{}"
c.ClassSpawner.mem_guarantee = {}
"""


def missing() -> str:
    """Why no JupyterHub can run here; empty if one can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "a JupyterHub for real accounts needs Linux and root"
    programs = ("unshare", "nsenter", "useradd", "chpasswd", "runuser", "git")
    absent = [name for name in programs if not shutil.which(name)]
    packages = ("jupyterhub", "configurable_http_proxy", "nbgitpuller", "nbgrader", "websocket")
    absent += [name for name in packages if not importlib.util.find_spec(name)]
    if absent:
        return f"not installed: {', '.join(absent)} (make setup; apt-get install passwd util-linux)"
    tried = subprocess.run(
        [*NAMESPACES, "sh", "-c", STAGE, "sh", str(ROOT), ""], capture_output=True, text=True
    )
    return f"no namespaces here: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass
class Hub:
    """A running hub: its address, and the process whose namespaces it lives in."""

    url: str
    pid: int

    def path(self, path: str) -> Path:
        """A file as the hub's processes see it, for root outside."""
        return Path(f"/proc/{self.pid}/root", path.lstrip("/"))

    def run(self, user: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a user who has logged in to the machine itself."""
        enter = ["nsenter", "--mount", "--pid", "--target", str(self.pid), "runuser", "-u", user]
        home = ["env", f"HOME=/home/{user}", f"JUPYTER_CONFIG_PATH={CLASS}/course/binder/jupyter"]
        return subprocess.run(
            [*enter, "--", *home, *command], capture_output=True, text=True, cwd="/", timeout=120
        )

    def student(self, name: str) -> Student:
        """Somebody who logs in with the password of the account."""
        return Student(self.url, name, f"{name}'s")


@contextlib.contextmanager
def running() -> Iterator[Hub]:
    """A hub for ada, bob and a lecturer; eve has an account, but is not in the class."""
    data = os.environ.get("XAI_DATA_DIR", "")
    ports, memory = free_ports(3), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("XAI_", "JUPYTER"))}
    environment = kept | {
        "PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(CLASS / "course"), *packages_apart()]),
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",  # as `sudo` has it: without the environment's
        "LAB": LAB,
        "LOCAL": LOCAL.format(*ports, memory // 3),  # of nine tenths of it: enough for two
        "NO_PROXY": "127.0.0.1",
    }
    reached = dict.fromkeys(str(Path(p)) for p in (sys.base_prefix, sys.prefix))
    command = [*NAMESPACES, "sh", "-c", STAGE + CLASSROOM, "sh", str(ROOT), data, *reached]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd="/")
        try:
            url = f"http://127.0.0.1:{ports[0]}"
            _wait(process, url, log)
            yield Hub(
                url, int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
            )
        finally:
            process.kill()  # and with it, by --kill-child, all that runs in its namespaces
            process.wait()


def packages_apart() -> list[str]:
    """Folders of packages that this interpreter was told of by PYTHONPATH, but for the course."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [path for path in given if path and Path(path).resolve() != ROOT]


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _wait(process: subprocess.Popen[Any], url: str, log: Any) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{url}/hub/api/", timeout=5).ok:
                return
        time.sleep(0.2)
    log.seek(0)
    raise AssertionError(f"JupyterHub did not start:\n{log.read()[-4000:]}")
