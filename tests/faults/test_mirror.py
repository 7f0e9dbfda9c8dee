"""`make mirror`: the right files in one folder, whatever is damaged, missing or broken off."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import warnings
from pathlib import Path

import pytest

from xai_utils import storage
from xai_utils.__main__ import main
from xai_utils._mirror import collect

REAL = os.environ.get("XAI_DATA_DIR")
FILES = {"a.bin": b"first" * 999, "deep/b.bin": b"second" * 999}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("XAI_DATA_DIR", "XAI_DATA", "XAI_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XAI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    storage.try_again()


def registry(site, manner: str = "good") -> dict[str, storage.Entry]:
    site.files |= FILES
    return {
        name: storage.Entry(
            name=name,
            sha256=hashlib.sha256(body).hexdigest(),
            bytes=len(body),
            urls=(site.url(manner, name),),
            licence="none",
            what="a test",
            max_bytes=len(body),
        )
        for name, body in FILES.items()
    }


def files_in(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_what_was_collected_serves_as_a_mirror(site, tmp_path: Path, monkeypatch, capsys) -> None:
    book, folder = registry(site), tmp_path / "mirror"
    assert collect(folder, registry=book) == []
    assert files_in(folder) == ["SHA256SUMS", *sorted(FILES)]
    for line in (folder / "SHA256SUMS").read_text().splitlines():  # as `sha256sum -c` reads it
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    said = capsys.readouterr().out
    assert "a.bin: 0.0 MB, from download" in said
    assert f"2 of 2 files, 0.0 MB, in {folder}" in said
    assert f"export XAI_DATA_DIR={folder}" in said

    monkeypatch.setenv("XAI_DATA_DIR", str(folder))
    monkeypatch.setenv("XAI_OFFLINE", "1")
    found = storage.fetch("deep/b.bin", registry=book)
    assert (found.source, found.path) == ("mirror (XAI_DATA_DIR)", folder / "deep/b.bin")


def test_a_second_run_takes_up_where_the_first_stopped(site, tmp_path: Path, capsys) -> None:
    book, folder = registry(site), tmp_path / "mirror"
    collect(folder, ["a.*"], registry=book)
    assert files_in(folder) == ["SHA256SUMS", "a.bin"]
    shutil.rmtree(tmp_path / "cache")
    site.asked.clear()
    assert collect(folder, registry=book) == []
    assert site.asked == ["/good/deep/b.bin"]
    assert "a.bin: 0.0 MB, already there" in capsys.readouterr().out
    assert len((folder / "SHA256SUMS").read_text().splitlines()) == 2


def test_a_damaged_file_is_replaced(site, tmp_path: Path, capsys) -> None:
    book, folder = registry(site), tmp_path / "mirror"
    collect(folder, registry=book)
    (folder / "a.bin").write_bytes(FILES["a.bin"][:-1] + b"!")
    assert collect(folder, registry=book) == []
    assert (folder / "a.bin").read_bytes() == FILES["a.bin"]
    assert "a.bin is damaged: its SHA-256 is not the one that SHA256SUMS" in capsys.readouterr().out


def test_a_damaged_file_that_nobody_has_is_told_and_stays_refused(
    site, tmp_path: Path, monkeypatch, capsys
) -> None:
    """Also where the registry states no hash: the list of sums remembers what was right."""
    book, folder = registry(site), tmp_path / "mirror"
    collect(folder, registry=book)
    shutil.rmtree(tmp_path / "cache")
    (folder / "a.bin").write_bytes(b"rotten")
    gone = {n: dataclasses.replace(entry, urls=()) for n, entry in book.items()}
    assert collect(folder, registry=gone) == ["a.bin"]
    assert "1 could not be got" in capsys.readouterr().out
    monkeypatch.setenv("XAI_DATA_DIR", str(folder))
    with pytest.raises(storage.DamagedFile):
        storage.fetch("a.bin", registry=gone)


@pytest.mark.parametrize("manner", ["truncated", "wrong", "page", "missing", "empty"])
def test_what_a_bad_server_sends_never_gets_in(site, tmp_path: Path, capsys, manner: str) -> None:
    book, folder = registry(site, manner), tmp_path / "mirror"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a download is damaged
        assert collect(folder, registry=book) == list(FILES)
    assert files_in(folder) == ["SHA256SUMS"]
    said = capsys.readouterr().out
    assert "MISSING a.bin\n" in said
    assert f"download {site.url(manner, 'a.bin')}" in said


def test_damage_in_the_source_is_told_and_the_rest_is_collected(
    site, tmp_path: Path, monkeypatch, capsys
) -> None:
    book, source = registry(site), tmp_path / "source"
    source.mkdir()
    (source / "a.bin").write_bytes(b"rotten")
    monkeypatch.setenv("XAI_DATA_DIR", str(source))
    assert collect(tmp_path / "mirror", registry=book) == ["a.bin"]
    assert files_in(tmp_path / "mirror") == ["SHA256SUMS", "deep/b.bin"]
    assert f"{source / 'a.bin'} in the mirror is damaged" in capsys.readouterr().out


def test_a_folder_is_not_copied_onto_itself(site, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XAI_DATA_DIR", str(tmp_path))
    with pytest.raises(ValueError, match="is the folder that XAI_DATA_DIR names"):
        collect(tmp_path, registry=registry(site))


def test_no_file_of_that_name(site, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file of the registry is called 'c\.\*'; it lists a"):
        collect(tmp_path, ["c.*"], registry=registry(site))


def test_the_command_ends_with_status_1_when_something_is_missing(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("XAI_OFFLINE", "1")
    with pytest.raises(SystemExit) as end:
        main(["mirror", str(tmp_path / "m"), "tables/*", "mnist.npz", "imagenet/vgg16*"])
    assert end.value.code == 1
    said = capsys.readouterr().out
    assert "0 of 5 files" in said
    assert "Keras's cache: no vgg16" in said
    with pytest.raises(SystemExit, match="error: no file of the registry is called 'x'"):
        main(["mirror", str(tmp_path / "m"), "x"])


def test_the_courses_own_files_are_collected(tmp_path: Path, monkeypatch, capsys) -> None:
    """A few real ones, of each way to be known: by a hash, by arrays, by a network's file."""
    if not REAL:
        pytest.skip("XAI_DATA_DIR is not set: no real file is collected")
    monkeypatch.setenv("XAI_DATA_DIR", REAL)
    monkeypatch.setenv("XAI_OFFLINE", "1")
    main(["mirror", str(tmp_path), "photos/goldfish.jpg", "mnist.npz", "imagenet/*index.json"])
    assert "3 of 3 files" in capsys.readouterr().out
    (tmp_path / "mnist.npz").write_bytes(b"PK rotten")
    main(["mirror", str(tmp_path), "mnist.npz"])
    assert "is damaged" in capsys.readouterr().out
    monkeypatch.setenv("XAI_DATA_DIR", str(tmp_path))
    from xai_utils import datasets

    assert datasets.load_mnist().source == "mirror (XAI_DATA_DIR)"
