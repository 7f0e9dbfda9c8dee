"""The guide's tables on a class on one server: what was measured, computed right."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import class_pages

ROOT = Path(__file__).resolve().parents[2]
COURSE = type("Course", (), {"titles": {"11_grad_cam": "Grad-CAM"}})()
RUN = {"seconds": 30.0, "processor": 20.0, "pss": 9e8, "rss": 1.1e9, "private": 7e8, "data": 1e9}
MEASURED: dict[str, Any] = {
    "machine": {"cores": 2},
    "server": {"seconds": 4.0, "pss": 1e8, "rss": 2e8, "private": 9e7},
    "notebooks": {"11_grad_cam.ipynb": RUN | {"pss": 2e9}},
    "together": {
        "1": RUN | {"first": 30.0},
        "8": RUN | {"first": 90.0, "seconds": 120.0, "processor": 160.0, "pss": 6.5e9},
    },
}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(class_pages, "MEASURED", tmp_path / "class.json")
    return lambda measured: (tmp_path / "class.json").write_text(json.dumps(measured))


def test_two_hundred_by_hand(write: Any) -> None:
    write(MEASURED)
    said = class_pages.machine(COURSE)
    # one more kernel: (6.5 - 0.9) / 7 = 0.8 GB; 200 x (0.1 + 0.8) + 4 = 184
    assert "200 x (100 + 800) MB + 4 GB = **184 GB**" in said
    assert ": 424 GB" in said  # 200 x (0.1 + 2) + 4
    rows = [line for line in said.splitlines() if line.startswith("| 2") or "(25%)" in line]
    assert rows[0] == "| 20 (10%) | 50 s | 25 s | 20 s | 20 s |"  # 20 x 20 s on 8, 16, ... cores
    assert rows[-1] == "| 200 (100%) | 500 s | 250 s | 125 s | 62 s |"


def test_what_was_not_measured_is_named(write: Any) -> None:
    write(MEASURED)
    course = type("Course", (), {"titles": {"11_grad_cam": "Grad-CAM", "12_gallery": "Gallery"}})()
    assert class_pages.notebooks(course).endswith("Not measured yet: Gallery.")


def test_eight_together(write: Any) -> None:
    write(MEASURED)
    said = class_pages.together(COURSE)
    assert "| 8 | 90 | 120 | 20 | 6,500 | 1,100 |" in said
    assert (
        "One kernel more takes 800 MB" in said
        and "20 processor seconds alone, 20 each with 8 at once" in said
    )


def test_who_dies_is_not_hidden(write: Any) -> None:
    write({"past": {"bit by bit": {"said": "MemoryError: ", "afterwards": ["", "lives", ""]}}})
    row = class_pages.past(COURSE).splitlines()[-1]
    assert row == "| bit by bit | `MemoryError` | **dies** | lives, **dies** |"


def test_without_measurements_the_guide_says_so(write: Any) -> None:
    for name in ("start", "notebooks", "together", "settings", "past", "machine"):
        assert getattr(class_pages, name)(COURSE) == class_pages.MISSING


def test_what_is_measured_is_what_the_hub_starts() -> None:
    sys.path.append(str(ROOT / "benchmarks"))
    try:
        import importlib

        measure = importlib.import_module("class")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    assert measure.limit() == 3 * 1024**3
    ((name, value),) = measure.THRIFT.items()
    assert f'THRIFT = {{"{name}": "{value}"}}' in measure.CONFIGURATION.read_text(encoding="utf-8")
