"""A class on one server: JupyterHub for accounts of one machine, without containers or systemd.

The lecturer's guide says how to set it up.  All lies in one folder, /srv/xai or XAI_CLASS:

    course/     this repository with its environment: root writes, everybody reads but the labs
    data/       the mirror that `make mirror` fills: root writes, everybody reads
    handout/    the notebooks as `make handout` commits them: nbgitpuller hands them out
    exchange/   nbgrader's exchange
    labs/       course folder and gradebook of nbgrader: the lecturer's alone
    hub/        what the hub remembers: root's alone; hub/local.py has the settings of this server

Enforced by Linux: the memory of each process (`mem_limit`), processes and threads of each student
(`process_limit`), the size of each file (`file_limit`); when all memory is used up, a student's
process is ended and not the hub.  Enforced by the hub: how many servers run at once.  Not enforced:
the sum of several kernels of one student (idle ones are ended), processor time (students' processes
give way to the hub's and share the rest), and disk space (set quotas on /home).
"""

from __future__ import annotations

import os
import pwd
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyterhub.spawner import LocalProcessSpawner
from jupyterhub.traitlets import ByteSpecification
from traitlets import Integer

COURSE = Path(__file__).resolve().parents[1]
CLASS = Path(os.environ.get("XAI_CLASS", "/srv/xai"))
DATA, LABS, HUB = CLASS / "data", CLASS / "labs", CLASS / "hub"
GENTLE = 5  # niceness of students' processes
THRIFT = {"TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1"}  # TensorFlow gives back memory after a call

sys.path.append(str(COURSE / "site"))
import kernels  # noqa: E402

if TYPE_CHECKING:

    def get_config() -> Any:
        """The configuration; JupyterHub defines this function before it reads this file."""


class ClassSpawner(LocalProcessSpawner):
    """Starts a student's server as that student, within limits that all its kernels inherit."""

    threads = Integer(1, help="Threads in which one kernel computes.").tag(config=True)
    process_limit = Integer(512, help="Processes and threads of one student.").tag(config=True)
    file_limit = ByteSpecification("2G", help="Size of one file.").tag(config=True)

    def make_preexec_fn(self, name: str) -> Callable[[], None]:
        """What happens between fork and exec: limits first, then the change to the user."""
        become = super().make_preexec_fn(name)
        limits = {
            resource.RLIMIT_DATA: self.mem_limit or resource.RLIM_INFINITY,
            resource.RLIMIT_NPROC: self.process_limit,
            resource.RLIMIT_FSIZE: self.file_limit,
            resource.RLIMIT_CORE: 0,
        }

        def begin() -> None:
            for limit, value in limits.items():
                resource.setrlimit(limit, (value, value))
            Path("/proc/self/oom_score_adj").write_text("500")  # the first to go, before the hub
            os.nice(GENTLE)
            os.umask(0o077)
            become()

        return begin

    def get_env(self) -> dict[str, str]:
        """The hub's environment for a server, what saves memory, and the setting for threads."""
        return super().get_env() | THRIFT | kernels.threads(self.threads)


def close_home(spawner: LocalProcessSpawner) -> None:
    """Close the user's home to others: on many systems `useradd` leaves it open."""
    Path(pwd.getpwnam(spawner.user.name).pw_dir).chmod(0o700)


def reasons() -> Iterator[str]:
    """What would keep students out of what they need, or let them into what is not theirs."""
    for what in (Path(sys.executable).resolve(), Path(sys.prefix), COURSE):
        for folder in what.parents:
            if not folder.stat().st_mode & 0o001:
                yield f"students cannot reach {what}: {folder} is closed to them. Move it, or: "
                yield f"    chmod o+x {folder}"
    for folder in (LABS, HUB, COURSE / "notebooks" / "labs", COURSE / "tests", COURSE / ".git"):
        if folder.exists() and folder.stat().st_mode & 0o007:
            yield f"{folder} is open to students: it holds marks, solutions or keys. Close it: "
            yield f"    chmod o-rwx {folder}"


if found := list(reasons()):
    sys.exit("\n".join(["This class would not be safe, or not work:", *found]))

c = get_config()

# --- who ---------------------------------------------------------------------------------------

c.JupyterHub.authenticator_class = "pam"  # names and passwords of this machine
c.LocalAuthenticator.allowed_groups = {"xai"}  # usermod -aG xai NAME
c.JupyterHub.bind_url = "http://127.0.0.1:8000"  # hub/local.py opens it to others, with TLS

# --- what each of them gets --------------------------------------------------------------------

c.JupyterHub.spawner_class = ClassSpawner
c.ClassSpawner.mem_limit = "3G"  # of each process
c.ClassSpawner.mem_guarantee = "1.6G"  # what a student at work takes; benchmarks/class.py
c.ClassSpawner.pre_spawn_hook = close_home
c.ClassSpawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.ClassSpawner.default_url = "/lab"
c.ClassSpawner.start_timeout = c.ClassSpawner.http_timeout = 180  # a lecture begins: all at once
c.ClassSpawner.args = [
    "--KernelManager.transport_encryption=required",  # others on this machine cannot listen
    "--MappingKernelManager.kernel_info_timeout=180",
    "--MappingKernelManager.cull_idle_timeout=3600",
    "--MappingKernelManager.cull_connected=True",  # a forgotten tab does not hold its kernel
    "--ServerApp.shutdown_no_activity_timeout=7200",
]
c.ClassSpawner.environment = {
    "PATH": os.pathsep.join([str(Path(sys.prefix, "bin")), "/usr/local/bin", "/usr/bin", "/bin"]),
    "JUPYTER_CONFIG_PATH": str(COURSE / "binder" / "jupyter"),  # where nbgrader's exchange lies
    "XAI_CLASS": str(CLASS),
    # One copy for all; and two hundred do not download at once what is not there.
    **({"XAI_DATA_DIR": str(DATA), "XAI_OFFLINE": "1"} if DATA.is_dir() else {}),
}

# --- what the hub remembers --------------------------------------------------------------------

HUB.mkdir(mode=0o700, exist_ok=True)
c.JupyterHub.db_url = f"sqlite:///{HUB / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(HUB / "cookie_secret")
# Node's proxy where it is installed; else the environment's own, which has no TLS.
proxy = shutil.which("configurable-http-proxy") or f"{sys.prefix}/bin/configurable-http-proxy"
c.ConfigurableHTTPProxy.command = [proxy]
c.ConfigurableHTTPProxy.pid_file = str(HUB / "proxy.pid")

if (HUB / "local.py").exists():
    load_subconfig(str(HUB / "local.py"))  # noqa: F821  (JupyterHub's, like get_config)

# --- how many at once: as many as have what a student takes --------------------------------------

memory = 0.9 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
share = ByteSpecification().validate(None, c.ClassSpawner.mem_guarantee)
c.JupyterHub.active_server_limit = max(1, int(memory / share))
c.JupyterHub.concurrent_spawn_limit = 2 * (os.cpu_count() or 1)
