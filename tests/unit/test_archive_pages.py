"""The tables of the page on archives say what the files say, and compute what they should."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import archive_pages

RUN = {
    "method": "Grad-CAM",
    "images": 1000,
    "workers": 2,
    "seconds": 70.0,
    "cluster": 10.0,
    "terms": {"start": 20.0, "read": 1.0, "compute": 10.0, "write": 2.0},
    "chunk": 100,
    "memory": 1_200_000_000,
    "bytes": 1_000_000,
    "bytes_in": 40_000,
    "load": 1.5,
}
DISPATCH = {"chunks": 1000, "seconds_a_chunk": {"Dask alone": 0.013}}


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def write(**steps: Any) -> None:
        (tmp_path / "scale.json").write_text(json.dumps({"machine": {"cores": 2}} | steps))

    monkeypatch.setattr(archive_pages, "MEASURED", tmp_path / "scale.json")
    monkeypatch.setattr(archive_pages, "FAULTS", tmp_path / "scale_faults.json")
    return write


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split("|")]


def test_a_million_by_hand(measured: Any) -> None:
    measured(grad_cam=RUN, dispatch=DISPATCH)
    row = cells(archive_pages.million(None).splitlines()[-1])  # type: ignore[arg-type]
    # a chunk takes 0.1 + 1 + 0.2 = 1.3 s, and there are 10,000; the start takes 30 s
    assert row[:3] == ["Grad-CAM", "3.6 h", "1.8 h"]  # 13,030 s and 6,530 s
    assert row[4:6] == ["2.7 min", "2.7 min"]  # 100 workers: 160 s; from there on 10,000 x 0.013 s
    assert row[6:] == ["100", "315"]  # 100 x (40,000 + 1,000) bytes each 0.013 s


def test_ten_thousand_plates(measured: Any) -> None:
    measured(grad_cam=RUN)
    table = archive_pages.whole(None)  # type: ignore[arg-type]
    found = {cells(line)[0]: cells(line)[-1] for line in table.splitlines()[2:]}
    assert found["start to end, seconds"] == "70"
    assert found["start $s$: cluster, TensorFlow, first look, seconds"] == "30"
    assert found["explaining an image $c$, milliseconds"] == "10.0"
    assert found["most memory of a worker, MB"] == "1,200"


def test_what_is_not_measured_says_so(measured: Any) -> None:
    for make in (archive_pages.overhead, archive_pages.whole, archive_pages.million):
        assert "has not been measured" in make(None)  # type: ignore[arg-type]
    assert "scale_faults.py" in archive_pages.faults(None)  # type: ignore[arg-type]


def test_a_fault_that_changed_the_archive_is_shown(measured: Any) -> None:
    fault = {"name": "a", "said": "x | <b>", "kept": None, "again": 1, "equal": False}
    told = {"images": 400, "chunks": 50, "faults": [fault]}
    archive_pages.FAULTS.write_text(json.dumps(told))
    line = archive_pages.faults(None).splitlines()[-1]  # type: ignore[arg-type]
    assert line == r"| a | x \| &lt;b> | - | 1 | **differs** |"


def test_what_the_site_ships_was_measured_and_nothing_went_wrong() -> None:
    measured = json.loads((archive_pages.ROOT / "data/scale.json").read_text())
    assert {"overhead", "dispatch", "grad_cam", "integrated_gradients"} <= measured.keys()
    assert measured["grad_cam"]["images"] == measured["integrated_gradients"]["images"] == 10_000
    told = json.loads((archive_pages.ROOT / "data/scale_faults.json").read_text())
    assert len(told["faults"]) >= 8 and all(fault["equal"] for fault in told["faults"])
    assert not re.search(r"(?<!\w)/\w+/\w+", json.dumps(told)), "a path of one machine"
