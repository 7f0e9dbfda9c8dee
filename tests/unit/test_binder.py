"""`binder/`: what a Binder or JupyterHub image is built from is what was resolved and tested."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
BINDER = ROOT / "binder"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
KNOWN = {"requirements.txt", "runtime.txt", "postBuild"}  # repo2docker reads no other of ours
FOR_A_HUB = {"jupyterhub_config.py", "jupyter"}  # tests/hub runs them


def test_nothing_else_lies_there() -> None:
    assert {path.name for path in BINDER.iterdir()} == KNOWN | FOR_A_HUB


def test_packages_are_those_of_the_lock() -> None:
    lines = (BINDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line and not line.startswith("#"))
    option, path = line.split()
    assert option == "-r"  # repo2docker then copies the whole repository first
    assert (BINDER / path).resolve() == ROOT / "requirements.lock"


def test_python_is_one_that_the_course_supports() -> None:
    found = re.fullmatch(r"python-(3\.\d+)\n", (BINDER / "runtime.txt").read_text(encoding="utf-8"))
    assert found
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{found[1]}.0")


def test_the_course_itself_is_installed_as_everywhere() -> None:
    script = BINDER / "postBuild"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    ours = re.search(r"\[\*pip, (\"--no-deps\".*?)\]", (ROOT / "site/environment.py").read_text())
    assert ours
    options = re.findall(r'"([^"]+)"', ours[1])
    assert " ".join(options) in script.read_text(encoding="utf-8")
