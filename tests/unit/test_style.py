"""Style and types, as `make lint` checks them, so that `make test` is everything."""

from __future__ import annotations

import subprocess
import sys

import pytest

import course

CHECKS = {
    "ruff check": ["ruff", "check", "--no-cache", "."],
    "ruff format": ["ruff", "format", "--no-cache", "--check", "."],
    "mypy": ["mypy", "xai_utils"],
}


@pytest.mark.parametrize("name", CHECKS)
def test_nothing_to_complain_about(name: str) -> None:
    command = [sys.executable, "-m", *CHECKS[name]]
    done = subprocess.run(command, cwd=course.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
