"""What a class takes of one server: memory, start and time of kernels; writes data/class.json.

``python benchmarks/class.py [--only STEP ...]``: a quarter of an hour on two cores.  Every kernel
runs as the hub starts it (`binder/jupyterhub_config.py`): one thread, the same limit of memory.
Memory is read from Linux twice a second, of kernels with all their processes: the resident set
(RSS) counts a page in each process that has it, the proportional set (PSS) divides it among them.
So the sum of PSS is what the machine needs, and the sum of RSS what it would need if each student
had an environment of their own.

start: a kernel with more and more of the library.  notebooks: each to its end.  together: notebook
11 in several kernels at once.  settings: one notebook with and without what lowers memory.
past: a kernel that wants more than its limit, beside others.  server: JupyterLab's own process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
from work import ROOT

from xai_utils._kept import write_whole

sys.path[:0] = [str(ROOT / "site"), str(ROOT / "tests")]
import kernels  # noqa: E402

RESULT = ROOT / "data" / "class.json"
THRIFT = {"TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1"}  # as the hub's configuration has it
CONFIGURATION = ROOT / "binder" / "jupyterhub_config.py"
SUBJECT = "11_grad_cam.ipynb"
TOGETHER = (1, 2, 4, 8)
PACE = 0.5  # seconds between two looks
STARTS = {
    "nothing": "pass",
    "xai_utils": "import xai_utils",
    "every module of xai_utils": "import importlib, pkgutil, xai_utils\n"
    "for each in pkgutil.iter_modules(xai_utils.__path__):\n"
    "    if each.name != '__main__':\n"
    "        importlib.import_module(f'xai_utils.{each.name}')",
    "xai_utils, with Matplotlib": "from xai_utils import plots\nplots.style('')",
    "xai_utils, with TensorFlow and a network": "from xai_utils import training\n"
    "training.load_or_train('neu_gap')",
    "all that the library may ever import": "import xai_utils._quiet as quiet\n"
    "quiet.import_tensorflow()\nimport cv2, lime.lime_image, matplotlib.pyplot, mlxtend.data, "
    "pandas, SALib, scipy.stats, shap, skimage.segmentation, sklearn.ensemble",
}
GREEDY = {
    "NumPy": "import numpy as np\nkept = np.ones((8, 1024, 1024, 128), 'float32')",
    "TensorFlow": "from xai_utils._quiet import import_tensorflow\nimport_tensorflow()\n"
    "import tensorflow as tf\nkept = tf.ones((8, 1024, 1024, 128))",
    "bit by bit": "kept = []\nwhile True:\n    kept.append(bytearray(2**20))",
}
LIVES = "kept = None\nprint('lives')"


def limit() -> int:
    """The memory in bytes that the hub allows a process."""
    (found,) = re.findall(r'mem_limit = "(\d+)G"', CONFIGURATION.read_text(encoding="utf-8"))
    return int(found) * 1024**3


# --- one measurement, in a process of its own ----------------------------------------------------


class Watch:
    """Looks at all processes below this one until it is closed; keeps the most that it has seen."""

    def __init__(self) -> None:
        self.most = dict.fromkeys(("pss", "rss", "private", "data"), 0)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.thread.join()

    def _look(self) -> None:
        while not self.ended.wait(PACE):
            seen = [m for p in psutil.Process().children(recursive=True) if (m := memory(p.pid))]
            for name in ("pss", "rss", "private"):
                self.most[name] = max(self.most[name], sum(each[name] for each in seen))
            self.most["data"] = max([self.most["data"], *(each["data"] for each in seen)])


def memory(process: int) -> dict[str, int]:
    """Bytes of one process now; empty when it has ended.  `data` is what the limit counts."""
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return {}

    def kilobytes(text: str, *names: str) -> int:
        return sum(
            int(value) for name in names for value in re.findall(rf"^{name}:\s+(\d+)", text, re.M)
        )

    return {
        "pss": 1024 * kilobytes(rollup, "Pss"),
        "rss": 1024 * kilobytes(rollup, "Rss"),
        "private": 1024 * kilobytes(rollup, "Private_Clean", "Private_Dirty"),
        "data": 1024 * kilobytes(status, "VmData"),
    }


def run_here(paths: list[Path], wish: str = "") -> dict[str, Any]:
    """Execute notebooks side by side; say when each began its second cell and when it ended.

    At its end each says that it lives; the first one before that asks for too much, if so wished.
    """
    second: dict[int, float] = {}
    begun = time.perf_counter()

    async def one(number: int, path: Path) -> kernels.Run:
        def on_cell(cell: int, cells: int) -> None:
            if cell == 2:
                second[number] = time.perf_counter() - begun

        greedy = [GREEDY[wish]] if wish and number == 0 else []
        return await kernels.executed(path, os.environ, on_cell, afterwards=[*greedy, LIVES])

    async def all_of_them() -> list[kernels.Run]:
        return list(await asyncio.gather(*(one(k, path) for k, path in enumerate(paths))))

    with Watch() as watch:
        runs = kernels.run(all_of_them())
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return watch.most | {
        "seconds": [run.seconds for run in runs],
        "second_cell": [second.get(k) for k in range(len(paths))],
        "failures": [run.failure for run in runs],
        "told": [run.told for run in runs],
        "processor": spent.ru_utime + spent.ru_stime,
    }


def measured(paths: list[Path], wish: str = "", **settings: str) -> dict[str, Any]:
    """`run_here` in a process of its own, as the hub would start it but for what `settings` say."""

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit(), limit()))
        Path("/proc/self/oom_score_adj").write_text("500")

    plain = {k: v for k, v in os.environ.items() if not re.search("_THREADS|OMP_|MALLOC_", k)}
    environment = plain | kernels.threads(1) | THRIFT | {"CUDA_VISIBLE_DEVICES": "-1"} | settings
    environment = {k: v for k, v in environment.items() if v}  # an empty setting takes one away
    command = [sys.executable, __file__, "--wish", wish, "--here", *map(str, paths)]
    done = subprocess.run(
        command, env=environment, preexec_fn=bound, stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


@contextlib.contextmanager
def notebook(*cells: str) -> Iterator[Path]:
    """A notebook of these cells in a folder that vanishes."""
    import nbformat

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cells.ipynb")
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        nbformat.write(made, path)
        yield path


# --- the steps -----------------------------------------------------------------------------------


def start() -> dict[str, Any]:
    """Seconds until a kernel has imported something, and its memory then."""
    found = {}
    for name, code in STARTS.items():
        with notebook(code, "import time\ntime.sleep(2)") as path:
            run = measured([path])
        found[name] = {"seconds": run["second_cell"][0]} | _memory(run) | _failed(run)
    return found


def notebooks() -> dict[str, Any]:
    """Every notebook of the course, two side by side."""
    found = {}
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    with ThreadPoolExecutor(2) as pool:
        for path, run in zip(paths, pool.map(lambda path: measured([path]), paths), strict=True):
            found[path.name] = _figures(run)
            keep("notebooks", found)
            print(path.name, found[path.name], file=sys.stderr, flush=True)
    return found


def together() -> dict[str, Any]:
    """The same notebook in so many kernels at once."""
    found = {}
    for number in TOGETHER:
        run = measured([ROOT / "notebooks" / SUBJECT] * number)
        found[str(number)] = _figures(run) | {"first": min(run["seconds"])}
        print(number, found[str(number)], file=sys.stderr, flush=True)
    return found


def settings() -> dict[str, Any]:
    """Two kernels at once with the hub's settings, and with one of them changed."""
    path, number = ROOT / "notebooks" / SUBJECT, 2
    unset = dict.fromkeys(kernels.threads(1), "")
    ways: dict[str, dict[str, str]] = {
        "as the hub starts them": {},
        "threads as the libraries choose": unset,
        "without TF_ONEDNN_USE_SYSTEM_ALLOCATOR=1": dict.fromkeys(THRIFT, ""),
    }
    return {way: _figures(measured([path] * number, **given)) for way, given in ways.items()}


def past() -> dict[str, Any]:
    """What is said of a kernel that wants more than it may have; two others count on beside it."""
    found = {}
    other = "import time\ntime.sleep(15)"
    for name in GREEDY:
        with notebook("pass") as greedy, notebook(other) as one, notebook(other) as two:
            (said, *own), *others = measured([greedy, one, two], name)["told"]
        found[name] = {"said": said, "afterwards": [" ".join(told) for told in (own, *others)]}
    return found


def server() -> dict[str, Any]:
    """JupyterLab's server of a student, without any kernel; two of them, because they share."""
    import in_jupyterlab

    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        began = time.perf_counter()
        with in_jupyterlab.jupyterlab(Path(one)):
            seconds = time.perf_counter() - began
            with in_jupyterlab.jupyterlab(Path(two)):
                time.sleep(3)
                seen = [memory(p.pid) for p in psutil.Process().children(recursive=True)]
    each = {k: sum(m[k] for m in seen if m) / 2 for k in ("pss", "rss", "private")}
    return {"seconds": seconds} | each


def _memory(run: dict[str, Any]) -> dict[str, Any]:
    return {name: run[name] for name in ("pss", "rss", "private", "data")}


def _failed(run: dict[str, Any]) -> dict[str, Any]:
    failures = [failure for failure in run["failures"] if failure]
    return {"failures": failures} if failures else {}


def _figures(run: dict[str, Any]) -> dict[str, Any]:
    last = {"seconds": max(run["seconds"]), "processor": run["processor"]}
    return last | _memory(run) | _failed(run)


STEPS: dict[str, Callable[[], dict[str, Any]]] = {
    "start": start,
    "server": server,
    "past": past,
    "together": together,
    "settings": settings,
    "notebooks": notebooks,
}


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    import importlib.metadata

    names = ("tensorflow", "keras", "numpy", "jupyterlab")
    return {
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "limit": limit(),
        **{name: importlib.metadata.version(name) for name in names},
    }


def keep(step: str, found: dict[str, Any]) -> None:
    """Write down what a step has found, with the load of the machine at its end."""
    kept = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    load = kept.get("load", {}) | {step: round(os.getloadavg()[0], 1)}
    kept |= {"machine": machine(), "load": load, step: found}
    write_whole(RESULT, json.dumps(kept, indent=1) + "\n")


def main() -> None:
    """Run the steps that are asked for, and keep each as soon as it is measured."""
    parser = argparse.ArgumentParser(description="Measure what a class takes of one server.")
    parser.add_argument("--only", action="append", choices=STEPS)
    parser.add_argument("--here", nargs="+", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--wish", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(run_here(options.here, options.wish)))
        return
    for step in options.only or STEPS:
        found = STEPS[step]()
        keep(step, found)
        print(step, json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
