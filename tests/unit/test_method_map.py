"""The map of methods names notebooks and functions that exist, all of them, and says what it is."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xai_utils import method_map, scoreboard

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
METHODS = method_map.read()
HEADER = "\t".join(method_map.Method._fields)
GOOD = "after\tgradients\tsaliency\tSimonyan 2014\t07_saliency\txai_utils.gradients.saliency\t"


def named(call: str) -> Any:
    module, _, name = call.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.method)
def test_its_notebook_is_there_or_marked_as_coming(method: method_map.Method) -> None:
    there = (NOTEBOOKS / f"{method.notebook}.ipynb").exists()
    assert there or method.state == "coming", f"mark {method.notebook} as coming in methods.tsv"
    assert not (there and method.state), f"{method.notebook} is there: strike 'coming'"


@pytest.mark.parametrize("call", sorted({m.call for m in METHODS if m.call}))
def test_what_is_to_be_called_exists(call: str) -> None:
    assert callable(named(call))


JUDGING = {  # all methods
    "12_gallery",
    "16_are_explanations_right",
    "17_the_network_that_cheats",
    "18_find_the_fault",
    "19_a_million_images",
}


def test_a_missing_function_would_be_found() -> None:
    with pytest.raises(AttributeError):
        named("xai_utils.cam.no_such_method")


def test_every_notebook_on_methods_is_on_the_map() -> None:
    there = {path.stem for path in NOTEBOOKS.glob("*.ipynb")} - {"00_start_here"}
    assert there <= {m.notebook for m in METHODS} | JUDGING


def test_no_method_stands_there_twice() -> None:
    names = [m.method for m in METHODS]
    assert sorted(set(names)) == sorted(names)
    assert {m.when for m in METHODS} == set(method_map.WHEN)


def test_every_article_has_its_year() -> None:
    assert [m.method for m in METHODS if not re.fullmatch(r".+ (18|19|20)\d\d", m.article)] == []


def test_the_table_links_what_is_there() -> None:
    lines = method_map.as_table("notebooks/").splitlines()
    assert len(lines) == len(METHODS) + 2
    assert {line.count("|") for line in lines} == {6}
    for line, m in zip(lines[2:], METHODS, strict=True):
        assert m.method in line and m.article in line
        assert (f"](notebooks/{m.notebook}.ipynb)" in line) == (not m.state)


def test_the_drawing_shows_every_method_inside_its_frame_and_the_words_tell_all() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    fig = method_map.draw()
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    (ax,) = fig.axes
    shown = {text.get_text(): text for text in ax.texts}
    for m in METHODS:
        box = shown[m.method].get_window_extent()
        assert box.x0 >= 0 and box.x1 <= fig.bbox.width
        assert box.y0 >= 0 and box.y1 <= fig.bbox.height
        width = method_map.WIDTH * fig.dpi
        column = int(box.x0 // ((method_map.WIDTH + method_map.GAP) * fig.dpi))
        start = column * (method_map.WIDTH + method_map.GAP) * fig.dpi
        assert box.x1 < start + width - 0.35 * fig.dpi, f"{m.method} runs into its number"
        assert f"{m.method} ({m.number})" in method_map.alternative_text()
    numbers = [text.get_text() for text in ax.texts if text.get_text().isdigit()]
    assert sorted(numbers) == sorted(m.number for m in METHODS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("when\tmethod\n", r"begins with \['when', 'method'\]; expected"),
        (f"{HEADER}\n{GOOD}\nafter\tgradients\n", "line 3"),
        (f"{HEADER}\n{GOOD.replace('after', 'later')}\n", "line 2.*when one of before, in, after"),
        (f"{HEADER}\n{GOOD}soon\n", "state empty or 'coming'"),
        (f"{HEADER}\n{GOOD.replace('saliency', '', 1)}\n", "line 2"),
    ],
)
def test_a_broken_table_is_named(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "methods.tsv").write_text(text, encoding="utf-8")
    monkeypatch.setattr(method_map, "DATA", tmp_path)
    with pytest.raises(ValueError, match=message):
        method_map.read()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("saliency", "saliency"),
        ("LIME", "LIME on a picture"),
        ("CAM", "class activation maps"),
        ("LRP, gamma", "LRP and its rules"),
        ("integrated gradients, smoothed", "integrated gradients"),
    ],
)
def test_a_short_name_finds_its_line(name: str, line: str) -> None:
    assert method_map.taught(name).method == line


def test_every_method_of_the_scoreboard_is_taught_somewhere() -> None:
    from networks import functional, gap_layers

    references = np.zeros((2, 8, 8, 1), np.float32)
    methods = scoreboard.course_methods(functional(gap_layers()), references)
    for name, method in methods.items():
        if not method.control:
            assert method_map.taught(name).when in ("in", "after")


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ValueError, match=r"no method 'Sobel edges' in methods.tsv; there are \["):
        method_map.taught("Sobel edges")
