"""Each committed notebook is executed once per data source; all tests look at that execution."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nbformat
import pytest

import course
import exercise_rules
import kernels

NOTEBOOKS = sorted((course.ROOT / "notebooks").glob("*.ipynb"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every test that asks for a `notebook` each of them, by name."""
    if "notebook" in metafunc.fixturenames:
        names = [path.stem for path in NOTEBOOKS]
        metafunc.parametrize("notebook", NOTEBOOKS, ids=names, scope="session")


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], kernels.Run]:
    """Execute a notebook as on a machine without network, mirror and cache.

    Where real data are at hand, a developer waits for those only, and `.ci/run` for both.
    """
    if os.environ.get("XAI_DATA_DIR") and os.environ.get("XAI_TEST") != "both":
        pytest.skip("executed on the real data only: XAI_TEST=both takes the embedded data, too")
    ours = {"XAI_OFFLINE": "1", "XAI_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}

    @cache
    def execute(notebook: Path) -> kernels.Run:
        environment = _without("XAI_DATA_DIR", "XAI_DATA", "RETRAIN") | ours
        return kernels.execute(notebook, environment, _wrong_answers_to(notebook))

    return execute


@pytest.fixture(scope="session")
def real() -> Callable[[Path], kernels.Run]:
    """Execute a notebook on the real data only."""
    if not os.environ.get("XAI_DATA_DIR"):
        pytest.skip("XAI_DATA_DIR is not set: the stored outputs are NOT compared with real data")

    @cache
    def execute(notebook: Path) -> kernels.Run:
        environment = _without("RETRAIN") | {"XAI_DATA": "real"}
        return kernels.execute(notebook, environment, _wrong_answers_to(notebook))

    return execute


def _wrong_answers_to(path: Path) -> list[str]:
    """The wrong answers are given in the kernel that has just executed the notebook."""
    wrong = exercise_rules.wrong_answers(path.stem)
    return exercise_rules.attempts(nbformat.read(path, as_version=4), wrong)


def _without(*names: str) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in names}
