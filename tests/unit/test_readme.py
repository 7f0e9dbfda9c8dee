"""The landing page: its picture is a real result, its links resolve, its table is complete."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat

import badges
import poster
import scores_pages

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_picture_is_the_first_notebooks_own() -> None:
    stored = poster.first_picture(ROOT / "notebooks" / "00_start_here.ipynb")
    assert poster.POSTER.read_bytes() == stored, "run `make store`"
    assert "](site/poster.png)" in README


def test_links_resolve() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(targets) > 5
    missing = [t for t in targets if "://" not in t and not (ROOT / t).exists()]
    assert missing == []


def test_table_lists_every_notebook_by_its_title() -> None:
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        title = nbformat.read(path, as_version=4).cells[0].source.splitlines()[0]
        number, name = title.removeprefix("# ").split(" · ")
        assert f"| {number} | [{name}](notebooks/{path.name}) |" in README


def test_the_lesson_is_the_scoreboards() -> None:
    assert f"> {scores_pages.sentence()}\n" in README


def test_badges_say_what_is_there() -> None:
    assert f"\n{badges.line()}\n" in README, "run `python site/badges.py`, which prints the line"
    for name, fact in badges.facts().items():
        stored = (badges.FOLDER / f"{name}.svg").read_text(encoding="utf-8")
        assert stored == badges.svg(*fact), "run `python site/badges.py`"
    assert {f"{name}.svg" for name in badges.facts()} == {p.name for p in badges.FOLDER.iterdir()}


def test_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = re.findall(r"^make ([a-z]+)|`make ([a-z]+)`", README, re.MULTILINE)
    assert len(named) >= 4
    for target in map("".join, named):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
