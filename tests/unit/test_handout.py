"""`make handout`: what students open, under version control, and nothing that holds solutions."""

from __future__ import annotations

from pathlib import Path

import handout


def test_it_has_the_notebooks_and_no_labs(tmp_path: Path) -> None:
    folder = tmp_path / "a folder" / "handout"
    assert handout.make(folder)
    names = handout.git(folder, "ls-files").splitlines()
    notebooks = sorted(path.name for path in (handout.ROOT / "notebooks").glob("*.ipynb"))
    assert names == [*notebooks, "LICENSE"]
    assert handout.git(folder, "branch", "--show-current").strip() == "main"


def test_only_a_change_is_committed(tmp_path: Path) -> None:
    source, folder = tmp_path / "course", tmp_path / "handout"
    (source / "notebooks").mkdir(parents=True)
    first, second = (source / "notebooks" / f"0{k}.ipynb" for k in (1, 2))
    for path in (first, second):
        path.write_text("{}")
    assert handout.make(folder, source)
    assert not handout.make(folder, source)
    first.unlink()
    second.write_text('{"new": 1}')
    assert handout.make(folder, source)
    assert handout.git(folder, "ls-files").split() == ["02.ipynb"]
    assert handout.git(folder, "rev-list", "--count", "main").strip() == "2"
