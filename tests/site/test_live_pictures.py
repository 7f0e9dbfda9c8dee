"""Live pictures where they live: JupyterLab, a kernel, and a browser with pen and keys."""

from __future__ import annotations

import importlib.resources
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

import in_jupyterlab
import notebook_rules
import web

pytestmark = pytest.mark.slow

CELLS = [
    """
import numpy as np
from xai_utils import cam, datasets, live, training
mnist, neu = datasets.load_mnist(), datasets.load_neu()
digits, plates = mnist.part("test"), neu.part("test")
model, gap = training.load_or_train("mnist", mnist), training.load_or_train("neu_gap", neu)
two = digits.inputs[np.flatnonzero(digits.labels == 2)[0]]
plate = plates.inputs[0]
live.draw_a_digit(model, {"A two": two}, class_names=mnist.class_names)
""",
    "live.walk_the_path(model, two, steps=8)",
    "live.move_a_patch(gap, plate, class_names=neu.class_names)",
    "live.blend_classes(gap, plate, class_names=neu.class_names)",
]
DRAW, WALK, PATCH, BLEND = range(4)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path, list[str]]]:
    with in_jupyterlab.opened(
        tmp_path_factory.mktemp("lab"), [cell.strip() for cell in CELLS]
    ) as found:
        tab, path, trouble = found
        in_jupyterlab.run_all(tab, len(CELLS))
        for number in range(4):
            settled(tab, number)
        yield tab, path, trouble


def picture(tab: Any, number: int) -> Any:
    return tab.locator(".jp-Notebook .jp-CodeCell").nth(number).locator(".xai-live")


def settled(tab: Any, number: int) -> Any:
    """Picture `number`, once it has its answer and asks for no other."""
    found = picture(tab, number).and_(tab.locator("[data-answer][data-waiting=false]"))
    found.wait_for()
    return found


def words(tab: Any, number: int) -> str:
    return settled(tab, number).locator(".words").inner_text()


def after(tab: Any, number: int, change: Any) -> str:
    """What picture `number` says when it has answered the change."""
    before = int(settled(tab, number).get_attribute("data-answer"))
    change()
    tab.wait_for_function(
        "([cell, before]) => { const live = document.querySelectorAll('.jp-Notebook .jp-CodeCell')"
        "[cell].querySelector('.xai-live'); return Number(live.dataset.answer) > before"
        " && live.dataset.waiting === 'false'; }",
        arg=[number, before],
    )
    return words(tab, number)


def stroke(tab: Any, canvas: Any, *points: tuple[float, float]) -> None:
    """Draw through points given in shares of the canvas."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    tab.mouse.move(*places[0])
    tab.mouse.down()
    for place in places[1:]:
        tab.mouse.move(*place, steps=12)
    tab.mouse.up()


def pixels(canvas: Any) -> str:
    return str(canvas.evaluate("canvas => canvas.toDataURL()"))


def test_a_stroke_changes_the_prediction_and_every_map(seen: tuple[Any, Path, list[str]]) -> None:
    tab, _, _ = seen
    live = settled(tab, DRAW)
    assert words(tab, DRAW).startswith("Read as 2")
    maps = live.locator("figure > canvas[role=img]")
    assert maps.count() == 4
    empty = after(tab, DRAW, live.get_by_role("button", name="Clear").click)
    assert empty.startswith("An empty page")
    before = [pixels(maps.nth(k)) for k in range(4)]
    page = live.locator("canvas.page")
    read = after(tab, DRAW, lambda: stroke(tab, page, (0.55, 0.18), (0.48, 0.82)))
    assert read.startswith("Read as 1")
    assert all(pixels(maps.nth(k)) != before[k] for k in range(4))
    one = live.locator(".bars li").nth(1).inner_text().split()
    assert one[0] == "1" and float(one[1]) > 0.5
    assert int(live.get_attribute("data-milliseconds")) > 0


def test_strokes_do_not_queue_up(seen: tuple[Any, Path, list[str]]) -> None:
    """A long scribble is many movements of the pen, and far fewer questions to the kernel."""
    tab, _, _ = seen
    live = settled(tab, DRAW)
    live.evaluate(
        "node => { node.moves = 0; node.querySelector('.page')"
        ".addEventListener('pointermove', () => { node.moves += 1 }) }"
    )
    first = int(live.get_attribute("data-answer"))
    zigzag = [(0.2 + 0.6 * (k % 2), 0.2 + 0.05 * k) for k in range(12)]
    after(tab, DRAW, lambda: stroke(tab, live.locator("canvas.page"), *zigzag))
    asked = int(live.get_attribute("data-answer")) - first
    assert 1 <= asked < live.evaluate("node => node.moves") / 2


def test_all_of_it_works_by_keyboard(seen: tuple[Any, Path, list[str]]) -> None:
    tab, _, _ = seen
    live = settled(tab, DRAW)
    for name, wanted in (("A two", "Read as 2"), ("Clear", "An empty page")):
        live.get_by_role("button", name=name).focus()
        assert after(tab, DRAW, lambda: tab.keyboard.press("Enter")).startswith(wanted)
    live.locator("canvas.page").focus()
    for _ in range(8):
        tab.keyboard.press("ArrowUp")
    tab.keyboard.press("Space")

    def down() -> None:
        for _ in range(16):
            tab.keyboard.press("ArrowDown")

    assert after(tab, DRAW, down).startswith("Read as 1")
    tick = live.get_by_label("size and place as in MNIST")
    tick.focus()
    after(tab, DRAW, lambda: tab.keyboard.press("Space"))
    assert tick.is_checked()
    choice = live.get_by_label("explain")
    after(tab, DRAW, lambda: choice.select_option("7"))
    assert "why 7?" in live.locator("figcaption").nth(1).inner_text()


def test_a_slider_walks_the_path(seen: tuple[Any, Path, list[str]]) -> None:
    tab, _, _ = seen
    slider = settled(tab, WALK).get_by_label("step")
    slider.focus()
    assert words(tab, WALK).startswith("Step 4 of 8")
    assert after(tab, WALK, lambda: tab.keyboard.press("End")).startswith("Step 8 of 8")
    assert after(tab, WALK, lambda: tab.keyboard.press("ArrowLeft")).startswith("Step 7 of 8")


def test_a_patch_follows_the_pointer_and_the_sliders(seen: tuple[Any, Path, list[str]]) -> None:
    tab, _, _ = seen
    live = settled(tab, PATCH)
    assert words(tab, PATCH).startswith("Patch at row 100, column 100")
    canvas = live.locator("figure > canvas[role=img]")
    moved = after(tab, PATCH, lambda: stroke(tab, canvas, (0.5, 0.5), (0.25, 0.75)))
    place = [int(n) for n in re.findall(r"row (\d+), column (\d+)", moved)[0]]
    assert place == pytest.approx([150, 50], abs=3)
    live.get_by_label("row").focus()
    assert f"row {place[0] + 1}, " in after(tab, PATCH, lambda: tab.keyboard.press("ArrowRight"))


def test_classes_are_blended(seen: tuple[Any, Path, list[str]]) -> None:
    tab, _, _ = seen
    live = settled(tab, BLEND)
    middle = live.locator("figure > canvas[role=img]").nth(1)
    before = pixels(middle)
    live.get_by_label("from a to b").focus()
    after(tab, BLEND, lambda: tab.keyboard.press("Home"))
    assert pixels(middle) == pixels(live.locator("figure > canvas[role=img]").nth(0)) != before


def test_what_cannot_be_done_is_said_in_the_picture(seen: tuple[Any, Path, list[str]]) -> None:
    tab, _, _ = seen
    live = settled(tab, PATCH)
    side = live.get_by_label("side")
    said = after(
        tab,
        PATCH,
        lambda: side.evaluate(
            "node => { node.min = 0; node.value = 0; node.dispatchEvent(new Event('input')) }"
        ),
    )
    assert said.startswith("This did not work: ValueError: side 0; expected a whole number")
    after(tab, PATCH, lambda: tab.keyboard.press("Tab") or side.fill("30"))
    assert words(tab, PATCH).startswith("Patch at row")


def test_nobody_is_shut_out(seen: tuple[Any, Path, list[str]]) -> None:
    """Each canvas has words, each control a label; axe-core finds nothing."""
    tab, _, trouble = seen
    for number in range(4):
        for canvas in settled(tab, number).locator("canvas:not([aria-hidden])").all():
            assert len(canvas.get_attribute("aria-label") or "") > 10
    tab.evaluate((importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text())
    found = tab.evaluate(
        "how => axe.run('.xai-live', how)", {"runOnly": web.WCAG, "resultTypes": ["violations"]}
    )["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found] == []
    assert trouble == []


def test_the_notebook_keeps_the_figure_and_no_widget(seen: tuple[Any, Path, list[str]]) -> None:
    tab, path, _ = seen
    tab.get_by_role("menuitem", name="File", exact=True).click()
    tab.get_by_role("menuitem", name=re.compile(r"^Save Notebook(?! As)")).click()
    end = time.monotonic() + 60
    while not (saved := nbformat.read(path, as_version=4)).cells[-1].get("outputs"):
        assert time.monotonic() < end, "the notebook was not saved"
        tab.wait_for_timeout(100)
    assert "widgets" not in saved.metadata
    stored = notebook_rules.normalise(saved)
    for cell in stored.cells:
        (data,) = [output.data for output in cell.outputs if "data" in output]
        assert sorted(data) == ["image/png", "text/plain"]
        ((_, _, alternative),) = notebook_rules.pictures(cell)
        assert len(alternative) > 100
