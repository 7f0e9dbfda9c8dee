"""What all suites share: no graphics processor, and small networks whose weights are known."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from kernels import threads

# The same examples every time in `make test`; new ones in `make fuzz`, which sets the variable.
settings.register_profile("test", derandomize=True, deadline=None)
settings.register_profile("fuzz", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):  # the cores are shared out
    os.environ.update(threads(max(1, (os.cpu_count() or 1) // int(workers))))


# What takes minutes begins first, so that no core waits for it at the end.
LONG = ("tests/site/", "tests/labs/", "tests/notebooks/", "tests/hub/", "tests/faults/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long work first, the rest as it was."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file's tests on one worker, which has its fixtures; of notebooks and labs, each one's.

    By the marker `xdist_group` this cannot be said: pytest 9.2 does not see what xdist 3.8 makes
    of it.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFixture(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            several = file.startswith(("tests/notebooks/", "tests/labs/"))
            one = re.search(r"\[((?:\d\d|lab\d)_\w+)", test) if several else None
            return one[1] if one else file

    config.option.loadscopereorder = False  # which puts files of few tests, the long ones, last
    return ByFixture(config, log)


@pytest.fixture
def nothing_at_hand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No mirror, an empty cache, no network."""
    monkeypatch.delenv("XAI_DATA_DIR", raising=False)
    monkeypatch.delenv("XAI_DATA", raising=False)
    monkeypatch.setenv("XAI_OFFLINE", "1")
    monkeypatch.setenv("XAI_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def images() -> np.ndarray:
    """Five seeded 8x8 grey images in [0, 1]."""
    return np.random.default_rng(7).random((5, 8, 8, 1), dtype=np.float32)


@pytest.fixture(scope="session")
def flat() -> Any:
    """A seeded network that flattens, with biases that are not zero.  Nobody changes it."""
    from networks import flat_layers, functional, seeded

    return seeded(functional(flat_layers()))


@pytest.fixture(scope="session")
def gap() -> Any:
    """The same with global average pooling, which CAM needs.  Nobody changes it."""
    from networks import functional, gap_layers, seeded

    return seeded(functional(gap_layers()))
