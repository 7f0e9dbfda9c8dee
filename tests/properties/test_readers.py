"""Readers of files answer soundly or refuse in their own words, whatever was broken in the file."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import often
from fuzz import readers
from xai_utils import _readers


@pytest.mark.fault(
    "Data: downloads and archives",
    "A photo, a zip or npz archive, the registry, `SHA256SUMS`, names of classes or a store of "
    "maps with wrong bytes anywhere, or cut off anywhere",
    sees="what is still sound, or a `ValueError` that names the file",
    kept="nothing of it is unpacked",
    guard=("xai_utils/_registry.py", "if not isinstance(lines, dict):", "if False:"),
)
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


@pytest.mark.fault(
    "Data: downloads and archives",
    "An npz archive of digits that unpacks to far more than is expected",
    sees="`ValueError`: array … of mnist.npz has 68,157,568 bytes",
    kept="nothing is unpacked",
    guard=("xai_utils/_readers.py", "if info.file_size > storage.LARGEST:", "if False:"),
)
def test_an_array_that_is_too_large_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", bytes(65 * 2**20 + 128))
    with pytest.raises(ValueError, match=r"array 'x_train' of mnist\.npz has 68,157,568 bytes"):
        _readers.check_mnist(path)
