"""`make slides`: talks out of the notebooks, each slide whole and readable, without the net."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import course
import deck
import slide_frames
import slides
import web

NOTEBOOKS = sorted((course.ROOT / "notebooks").glob("*.ipynb"))
IN_A_BROWSER = ("00", "10")  # the others: python tests/slide_frames.py build/slides/*.html


def text(source: str, kind: str = "") -> dict[str, Any]:
    metadata = {"slideshow": {"slide_type": kind}} if kind else {}
    return {"cell_type": "markdown", "metadata": metadata, "source": source}


def code(source: str, kind: str = "", *outputs: Any, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    cell = text(source, kind) | {"cell_type": "code", "outputs": list(outputs)}
    cell["metadata"] |= {"tags": list(tags)}
    return cell


def figure(alt: str = "a map") -> dict[str, Any]:
    meta = {"image/png": {"alt": alt}}
    return {"output_type": "display_data", "data": {"image/png": "AAAA"}, "metadata": meta}


def printed(words: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": words}


def shown(slide: deck.Slide) -> list[tuple[str, Any]]:
    return [(kind, "picture" if kind == "picture" else part) for kind, part in slide.parts]


# --- what gets onto a slide ----------------------------------------------------------------------


def test_a_figure_stands_under_its_heading_with_the_sentence_after_it() -> None:
    found = deck.slides(
        [
            text("# 01 · Maps\n\nA network looks. It is odd. **Where does it look?**", "slide"),
            text("## The map\n\nHere it comes."),
            code("draw()", "slide", figure()),
            text(
                "**What to see**: the red lies where the long scratch is. More of this.\n\n## Next"
            ),
        ]
    )
    title, map_ = found
    assert shown(title) == [("text", "A network looks."), ("text", "**Where does it look?**")]
    assert (map_.title, map_.above) == ("The map", "")
    assert shown(map_) == [
        ("picture", "picture"),
        ("text", "The red lies where the long scratch is."),
    ]
    assert "Here it comes." in map_.notes
    assert any("More of this." in note for note in map_.notes)


def test_a_formula_comes_with_the_sentence_that_leads_to_it() -> None:
    cell = text("# A\n\n## The idea\n\nLong. It is the mean:\n\n$$\na = b.\n$$\n\nMore.", "slide")
    *_, slide = deck.slides([cell])
    assert shown(slide) == [("text", "It is the mean:"), ("formula", "$$\na = b.\n$$")]


def test_of_a_list_each_items_first_sentence_is_shown() -> None:
    cell = text("# A\n\n## How\n\nLong. Two ways:\n\n1. **This.** By hand.\n2. That. No.", "slide")
    *_, slide = deck.slides([cell])
    assert shown(slide) == [("text", "Two ways:"), ("list", "1. **This.**\n2. That.")]


def test_questions_are_shown_and_answers_are_the_speakers() -> None:
    cell = text(
        "## Questions\n\n1. Why? Say it.\n2. When?\n\n<details><summary>Answers</summary>\n\n"
        "1. Because.\n\n</details>\n\n## Exercises\n\n**1** (easy). Do *this*.\n\n## Summary\n\n"
        "One. Two, et al. say.\n\n**Next**: more.\n\n## Sources\n\n- K. Somebody, *A book*, 2020.",
        "slide",
    )
    questions, summary = deck.slides([text("# A\n\nB."), cell])
    assert shown(questions) == [("list", "1. Why? Say it.\n2. When?")]
    assert "Because." in questions.notes[-1]
    assert shown(summary) == [("list", "- One.\n- Two, et al. say.")]


def test_a_check_shows_what_is_claimed_and_what_came_out() -> None:
    found = deck.slides(
        [
            text("# A\n\n## Check the claim\n\n*Does it add up?* A sum says."),
            code("# NBVAL_CHECK_OUTPUT\nprint(1)", "slide", printed("1\n"), tags=("check",)),
        ]
    )
    assert shown(found[0]) == [("text", "*Does it add up?*"), ("output", "1")]


def test_only_short_code_is_shown() -> None:
    function = "def mean(x):\n    return sum(x) / len(x)"
    long = "\n".join(f"x{k} = {k}" for k in range(deck.LINES))
    assert deck.short(f"{function}\n\n\nmean([1])") == f"{function}\n\n\nmean([1])"
    assert deck.short(f"{long}\n\n\n{function}\n") == function
    assert deck.short(f"{long}\ny = 1") == ""


def test_words_after_a_cell_that_is_not_shown_belong_to_that_cell() -> None:
    cells = [
        text("# A"),
        code("draw()", "slide", figure()),
        code("more()", "", printed("9")),
        text("Nine is a lot, as you can see here above."),
    ]
    assert shown(deck.slides(cells)[0]) == [("picture", "picture")]


def test_a_marked_cell_with_nothing_to_show_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"cell 1 \('Plain words\.'\) is marked 'slide' and has"):
        deck.slides([text("# A\n\nB.", "slide"), text("Plain words.", "slide")])


def test_solutions_are_never_shown() -> None:
    solved = code("print(42)", "slide", printed("42"), tags=("solution",))
    assert deck.slides([text("# A"), solved]) == []


# --- the talks of the course ---------------------------------------------------------------------


def cells(notebook: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return found


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_each_notebook_is_a_talk(notebook: Path) -> None:
    talk = deck.slides(cells(notebook))
    assert 10 <= len(talk) <= 16, f"{len(talk)} slides are no talk of 20 minutes"
    assert talk[0].title.startswith(notebook.name[:2])
    assert talk[-1].title == "Summary"
    assert "Questions" in {slide.title for slide in talk}
    assert sum(slide.has("picture", "output", "formula", "code") for slide in talk) >= 4
    assert all(len(slide.parts) <= 6 for slide in talk)
    words = " ".join(note for slide in talk for note in slide.notes)
    assert len(words.split()) > 300, "the speaker has nothing to say"


@pytest.fixture(scope="module")
def decks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build") / "slides"
    paths = [path for path in NOTEBOOKS if path.name.startswith(IN_A_BROWSER)]
    assert len(slides.write(paths, folder)) == len(IN_A_BROWSER)
    return folder


def test_decks_load_nothing_that_is_not_beside_them(decks: Path) -> None:
    pages = {path.name: web.Page(path) for path in decks.glob("*.html")}
    assert sorted(pages) == ["00.html", "10.html", "index.html"]
    assert web.dead_links(pages) == []
    assert web.foreign(pages) == []
    licence = (decks / "reveal" / "LICENSE").read_text(encoding="utf-8")
    assert "Hakim El Hattab" in licence


def test_figures_keep_their_words(decks: Path) -> None:
    for number in IN_A_BROWSER:
        notebook = next(path for path in NOTEBOOKS if path.name.startswith(number))
        page = web.Page(decks / f"{number}.html")
        words = [" ".join(alt.split()) for alt in page.all("img", "alt")]
        told = [
            " ".join(content[2].split())
            for slide in deck.slides(cells(notebook))
            for kind, content in slide.parts
            if kind == "picture"
        ]
        assert sorted(words) == sorted(told)
        assert all(len(alt) > 20 for alt in words)


@pytest.fixture(scope="module")
def chrome(decks: Path) -> Iterator[Any]:
    with web.browser(decks) as (program, _):
        yield program


@pytest.mark.slow
@pytest.mark.parametrize("number", IN_A_BROWSER)
def test_no_slide_is_larger_than_its_frame(chrome: Any, decks: Path, number: str) -> None:
    tab = slide_frames.show(chrome, (decks / f"{number}.html").as_uri())
    assert tab.evaluate("Reveal.getTotalSlides()") >= 10
    assert slide_frames.faults(tab) == {}
    tab.close()


@pytest.mark.slow
def test_what_does_not_fit_is_found(chrome: Any, decks: Path) -> None:
    page = (decks / "10.html").read_text(encoding="utf-8")
    cut = re.sub(r"(<h2>Questions</h2>)", r"\1<p>" + "Too much to say. " * 200 + "</p>", page)
    (decks / "cut.html").write_text(cut, encoding="utf-8")
    tab = slide_frames.show(chrome, (decks / "cut.html").as_uri())
    (faults,) = slide_frames.faults(tab).values()
    assert any("reaches out of the slide" in fault for fault in faults)
    tab.close()


@pytest.mark.slow
def test_a_deck_opened_as_a_file_sets_formulas_and_shows_the_notes(
    chrome: Any, decks: Path
) -> None:
    asked: list[str] = []
    tab = chrome.new_page(viewport=slide_frames.FRAME)
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((decks / "10.html").as_uri(), wait_until="load")
    tab.wait_for_function("window.Reveal && Reveal.isReady()")
    assert tab.locator(".formula .MathJax").count() > 0
    with tab.expect_popup() as popup:
        tab.keyboard.press("s")
    view = popup.value
    view.wait_for_function("document.querySelector('.speaker-controls-notes .value').innerText")
    said = view.inner_text(".speaker-controls-notes .value")
    assert "A network looks at a steel plate" in said
    assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []
    view.close()
    tab.close()
