"""What the course does where a user has no home directory, or a disk that is full."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import course
from xai_utils import storage

ROOT = Path(storage.__file__).resolve().parents[1]
BODY = random.Random(0).randbytes(3000)
HOMES = ["unknown", "missing", "read-only"]


def without_home(kind: str, folder: Path) -> list[str]:
    """The beginning of a command that is run by somebody whose home is of this kind."""
    elsewhere = ("XAI_CACHE_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR")
    variables = ["env", *(f"--unset={name}" for name in elsewhere)]
    if kind == "missing":
        return [*variables, "HOME=/dev/null/home"]
    if kind == "unknown":  # as in a container that gives everybody a number, and no account
        start = ["unshare", "-U", "--map-user=12345", *variables, "--unset=HOME"]
    else:
        (folder / "home").mkdir()
        mount = f"mount -t tmpfs -o ro tmpfs '{folder / 'home'}'; exec \"$@\""
        start = ["unshare", "-Urm", "sh", "-ec", mount, "sh", *variables, f"HOME={folder}/home"]
    trial = subprocess.run([*start, "true"], capture_output=True, text=True, check=False)
    if trial.returncode:
        pytest.skip(f"NOT TESTED: {kind} home needs unshare: {trial.stderr.strip()}")
    return start


def run(command: list[str], folder: Path, **options: str) -> subprocess.CompletedProcess[str]:
    here = folder / "here"
    here.mkdir()
    done = subprocess.run(
        command, cwd=here, env=os.environ | {"PYTHONPATH": str(ROOT)} | options,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert list(here.iterdir()) == [], "no folder of the name ~ in the current one"
    return done


FETCH = textwrap.dedent(
    """
    import json, sys
    from dataclasses import replace
    from xai_utils import _imagenet_files, storage
    line = json.loads(sys.argv[1])
    entry = storage.Entry(**line | {"urls": tuple(line["urls"])})
    for urls in ((), entry.urls):
        try:
            storage.fetch(entry.name, registry={entry.name: replace(entry, urls=urls)})
        except (storage.Unavailable, storage.CacheError) as error:
            print(type(error).__name__, "|", error)
    print(_imagenet_files.keras_folder())
    """
)


@pytest.mark.fault(
    "Data: disks and folders",
    "No home directory: the user has none, it does not exist, or it can only be read",
    sees="`CacheError`: cannot write …; … set XAI_CACHE_DIR to a folder that can be "
    "written; without a network the course goes on with its stand-in",
    kept="no folder of the name `~` appears anywhere",
    guard=(
        "xai_utils/_settings.py",
        "    except RuntimeError:  # a user",
        "    except ZeroDivisionError:  # a user",
    ),
)
@pytest.mark.parametrize("kind", HOMES)
def test_a_download_without_a_home_says_where_it_may_go(site, tmp_path: Path, kind: str) -> None:
    site.files["file.bin"] = BODY
    entry = {
        "name": "file.bin", "sha256": hashlib.sha256(BODY).hexdigest(), "bytes": len(BODY),
        "urls": [site.url("good", "file.bin")], "licence": "none", "what": "a test",
        "max_bytes": len(BODY),
    }  # fmt: skip
    start = without_home(kind, tmp_path)
    done = run([*start, sys.executable, "-c", FETCH, json.dumps(entry)], tmp_path)
    assert done.returncode == 0, done.stderr
    nowhere, cannot, *_ = (line for line in done.stdout.splitlines() if " | " in line)
    assert nowhere.startswith("Unavailable | file.bin: found nowhere")
    assert cannot.startswith("CacheError | ")
    assert "set XAI_CACHE_DIR to a folder that can be written" in cannot
    assert done.stdout.splitlines()[-1].endswith(".keras/models")


NOTEBOOK = [
    "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.savefig('/dev/null', format='png')",
    "from xai_utils import datasets; print('Data:', datasets.load_mnist().source)",
]


@pytest.mark.fault(
    "Data: disks and folders",
    "`make course` without a home directory",
    sees="nothing: the notebooks are executed, their figures are drawn",
    kept="kernels, IPython and matplotlib write into folders of their own that go away",
    guard=("site/kernels.py", '        environment["HOME"] = folder\n', "        pass\n"),
)
@pytest.mark.parametrize("kind", HOMES)
def test_the_course_is_executed_without_a_home(tmp_path: Path, kind: str) -> None:
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in NOTEBOOK])
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook, tmp_path / "notebooks" / "00_one.ipynb")
    places = ["--notebooks", str(tmp_path / "notebooks"), "--build", str(tmp_path / "build")]
    command = [sys.executable, course.__file__, *places, "--no-site"]
    done = run([*without_home(kind, tmp_path), *command], tmp_path, XAI_OFFLINE="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "data: embedded default: the 5,000 MNIST digits" in done.stdout
    assert done.stderr == ""


SAVE = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from types import SimpleNamespace
    import numpy as np
    from xai_utils._networks import Prediction
    from xai_utils.own_images import Explanation
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    best = (Prediction(0, "cat", 0.9),)
    network = SimpleNamespace(title="a network", classes=("cat", "dog"))
    found = Explanation(network, "photo", noise, "", 0, 1.0, 0.9, best, {}, {})
    folder = Path(sys.argv[1])
    (folder / "a.png").write_bytes(b"old")
    try:
        found.save(folder / "a.png")
    except OSError as error:
        print(error.strerror)
    print({path.name: path.read_bytes()[:3].decode() for path in folder.iterdir()})
    """
)


@pytest.mark.fault(
    "Data: disks and folders",
    "The disk is full when a figure is written",
    sees="`OSError`: No space left on device",
    kept="the figure of the same name that was there before; nothing half-written",
    guard=("xai_utils/own_images.py", 'part = path.with_name(f".{path.name}.part")', "part = path"),
)
def test_a_figure_on_a_full_disk_leaves_the_old_one(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=64k tmpfs '{disk}'; exec \"$@\""
    start = ["unshare", "-Urm", "sh", "-ec", mount, "sh"]
    trial = subprocess.run([*start, "true"], capture_output=True, text=True, check=False)
    if trial.returncode:
        pytest.skip(f"NOT TESTED: a full disk needs unshare -Urm: {trial.stderr.strip()}")
    done = run([*start, sys.executable, "-c", SAVE, str(disk)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["No space left on device", "{'a.png': 'old'}"]
