"""The peers' environments, built on demand, and the processes that run in them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from work import BUILD, FOLDER, ROOT, Item

HERE = Path(__file__).resolve().parent
WHERE = BUILD / "bench-env"
REQUIREMENTS = {  # each file with pip's further options
    "tensorflow": [
        ("requirements-tensorflow.txt", []),
        ("requirements-no-deps.txt", ["--no-deps"]),
    ],
    "torch": [("requirements-torch.txt", [])],
}


def interpreter(environment: str) -> Path:
    """The Python of an environment; ``"course"`` is the one that runs this."""
    if environment == "course":
        return Path(sys.executable)
    scripts = "Scripts" if os.name == "nt" else "bin"
    return WHERE / environment / scripts / "python"


def build(environment: str) -> str | None:
    """Make an environment if it is missing or its requirements changed; returns what went wrong.

    Built in place with the standard library's venv and pip; a stamp with the hash of the
    requirements says that it is complete.
    """
    files = REQUIREMENTS[environment]
    texts = "".join((HERE / name).read_text(encoding="utf-8") for name, _ in files)
    stamp = WHERE / environment / ".complete"
    wanted = hashlib.sha256(f"{sys.version}\n{texts}".encode()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return None
    print(f"building the environment of the {environment} peers (once) ...", flush=True)
    python = str(interpreter(environment))
    steps = [[sys.executable, "-m", "venv", "--clear", str(WHERE / environment)]]
    steps += [
        [python, "-m", "pip", "install", "--quiet", *more, "-r", str(HERE / f)] for f, more in files
    ]
    for step in steps:
        done = subprocess.run(step, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            last = [line for line in done.stderr.strip().splitlines() if "WARNING" not in line]
            return f"not installed: {last[-1] if last else step}"
    stamp.write_text(wanted, encoding="utf-8")
    return None


class Worker:
    """A running `worker.py`, or the reason why there is none (``problem``).

    A process that died or took too long is started again when the next order comes.
    """

    def __init__(self, module: str, environment: str = "course", timeout: float = 600) -> None:
        self.module, self.environment, self.timeout = module, environment, timeout
        self.entries: dict[str, list[str]] = {}
        self.problem = None if environment == "course" else build(environment)
        if not self.problem:
            self._start()

    def _start(self) -> None:
        paths = [str(HERE), *([str(ROOT)] if self.environment == "course" else [])]
        FOLDER.mkdir(parents=True, exist_ok=True)
        with (FOLDER / f"{self.module}.log").open("w") as log:
            self.process = subprocess.Popen(
                [str(interpreter(self.environment)), str(HERE / "worker.py"), self.module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(
            target=self._listen, args=(self.process.stdout, self.lines), daemon=True
        ).start()
        hello = self._receive()
        self.problem, self.entries = hello.get("error"), hello.get("ready", self.entries)

    @staticmethod
    def _listen(replies: Any, lines: queue.Queue[str]) -> None:
        for line in replies:
            lines.put(line)
        lines.put("")  # it ended

    def _receive(self) -> dict[str, Any]:
        try:
            line = self.lines.get(timeout=self.timeout)
        except queue.Empty:
            self.process.kill()
            self.process.wait()
            return {"error": f"took more than {self.timeout:.0f} s and was ended"}
        if line:
            return dict(json.loads(line))
        self.process.wait()
        return {"error": f"its process ended (see {FOLDER / self.module}.log)"}

    def entries_for(self, method: str) -> list[str]:
        """The libraries of this process that have the method."""
        return [e for e, methods in self.entries.items() if {method, "*"} & set(methods)]

    def ask(self, do: str, **order: Any) -> dict[str, Any]:
        """Give one order and wait for the answer; an ``"error"`` in it is the peer's."""
        if not self.problem and self.process.poll() is not None:
            self._start()
        if self.problem:
            return {"error": self.problem}
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the empty line that follows says so
            self.process.stdin.write(json.dumps({"do": do, **order}) + "\n")
            self.process.stdin.flush()
        return self._receive()

    def work(self, do: str, entry: str, item: Item, **more: Any) -> dict[str, Any]:
        """Warm, time or save one entry's work on one item."""
        return self.ask(do, entry=entry, item=item.as_json(), **more)

    def close(self) -> None:
        """End the process."""
        if not hasattr(self, "process"):
            return
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
            self.process.wait(timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
