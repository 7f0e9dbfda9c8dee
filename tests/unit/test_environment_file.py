"""`environment.yml`, `pyproject.toml` and `requirements.lock` say the same."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import environment

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_conda_environment_equals_the_project() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, by_pip = environment["dependencies"]
    assert conda == ["python" + PROJECT["requires-python"], "pip"]
    assert by_pip["pip"] == [*PROJECT["dependencies"], "-e .[scale]"]


def test_lock_satisfies_the_project() -> None:
    locked = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", LOCK, re.MULTILINE))
    extras = PROJECT["optional-dependencies"]
    held = [line for extra in ("dev", "site", "labs", "scale", "hub") for line in extras[extra]]
    for line in [*PROJECT["dependencies"], *held]:
        wanted = Requirement(line)
        name = canonicalize_name(wanted.name)
        assert name in locked, f"{name} is not in the lock: run `make lock`"
        assert wanted.specifier.contains(locked[name]), line


def test_lock_has_hashes_and_no_address() -> None:
    packages = re.findall(r"^[a-z0-9._-]+==.*?(?=^\S|\Z)", LOCK, re.MULTILINE | re.DOTALL)
    assert len(packages) > 150
    assert all("--hash=sha256:" in package for package in packages)
    assert not re.search(r"https?://|file:|--index-url|--find-links", LOCK)


def test_the_matrix_has_every_python_and_what_the_lock_holds() -> None:
    source = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    said = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("PYTHONS", "EXTRAS")
    }
    versions = range(environment.OLDEST[1], environment.NEWEST[1] + 1)
    assert said["PYTHONS"] == tuple(f"3.{minor}" for minor in versions)
    locked = re.findall(r"--extra (\w+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert sorted(said["EXTRAS"]) == sorted(locked)
