"""Readers of files answer soundly or refuse in their own words, whatever was broken in the file."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import often
from fuzz import readers


@pytest.mark.parametrize("target", readers.TARGETS)
def test_sound_files_and_those_that_once_broke_a_reader(target: str) -> None:
    for data in [*readers.seeds(target), *readers.found(target), b"", b"\0" * 64]:
        readers.TARGETS[target](data)


@pytest.mark.parametrize("target", readers.TARGETS)
@often(12)
@given(data=st.data())
def test_a_file_that_is_cut_off_or_has_wrong_bytes(target: str, data: Any) -> None:
    body = bytearray(data.draw(st.sampled_from(readers.seeds(target))))
    place = st.integers(0, len(body) - 1)
    for at, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=4)):
        body[at] = value
    readers.TARGETS[target](bytes(body[: data.draw(st.integers(0, len(body)) | st.none())]))
