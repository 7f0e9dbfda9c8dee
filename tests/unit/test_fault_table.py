"""The table of faults says what the tests cause, no more and no less."""

from __future__ import annotations

from pathlib import Path

import pytest

import fault_table

TEST = """
import pytest

@pytest.mark.fault("Part", "{fault}", sees="a message", kept="all", guard=("Makefile", {guard}))
def test_it():
    pass
"""


def test_the_table_is_what_the_tests_say() -> None:
    rows = fault_table.rows()
    assert fault_table.TABLE.read_text(encoding="utf-8") == fault_table.markdown(rows), (
        "tests/faults/README.md is old: python tests/fault_table.py"
    )
    assert len({row.fault for row in rows}) == len(rows), "a fault is promised twice"
    for row in rows:
        words = (row.part, row.fault, row.sees, row.kept)
        assert all(text.strip() and "|" not in text for text in words), row


def test_a_guard_that_is_not_there_once_is_told(tmp_path: Path) -> None:
    specimen = tmp_path / "test_specimen.py"
    specimen.write_text(TEST.format(fault="f", guard="'no such line', ''"))
    with pytest.raises(ValueError, match=r"test_it: the guard 'no such line' is 0 times"):
        fault_table.rows(tmp_path)
    specimen.write_text(TEST.format(fault="f", guard="'make', 'remake'"))
    with pytest.raises(ValueError, match="it must be there once"):
        fault_table.rows(tmp_path)
    specimen.write_text(TEST.format(fault="f", guard="'rm -rf build', 'true'"))
    (row,) = fault_table.rows(tmp_path)
    assert (row.fault, row.test.rpartition("::")[2]) == ("f", "test_it")
