"""The whole site, from the stored notebooks: what every page holds, and what a browser makes of it.

The notebooks are not executed here; tests/notebooks does that.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import citations
import course
import pages as generator
import web

NOTEBOOKS = sorted((course.ROOT / "notebooks").glob("*.ipynb"))
# One of each kind of page, for what need not be looked at on every page.
KINDS = ("index.html", "methods.html", "api/cam.html", "data.html", "networks.html", "search.html")
NETWORK_CARDS = sorted((course.ROOT / "data" / "weights").glob("*.json"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("whole")
    runs = {path.name: {"seconds": 12.3, "data": "cache"} for path in NOTEBOOKS}
    times = {"cores": 2, "at_once": 2, "python": "3.11.7", "notebooks": runs}
    (build / "times.json").write_text(json.dumps(times))
    return course.build_site(course.ROOT / "notebooks", build).parent


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, web.Page]:
    return web.pages_of(site)


# --- what the pages hold -------------------------------------------------------------------------


def test_every_notebook_module_and_card_has_its_place(pages: dict[str, web.Page]) -> None:
    first = pages["index.html"]
    for path in NOTEBOOKS:
        assert f"notebooks/{path.stem}.html" in pages
        assert f"notebooks/{path.stem}.html" in first.all("a", "href")
    modules = generator.public_modules()
    assert len(modules) > 20
    assert {f"api/{name}.html" for name in modules} <= set(pages)
    assert list(generator.floors()) == list(generator.FLOORS), "a module stands on no floor"
    listed = [m for group in generator.floors().values() for m in group]
    assert sorted(listed) == modules
    assert {path.stem for path in NETWORK_CARDS} <= set(pages["networks.html"].text.split())
    assert "12.3" in pages["run-times.html"].text
    for path in NOTEBOOKS:
        assert "Executed in 12 s" in pages[f"notebooks/{path.stem}.html"].text


def test_every_public_name_is_in_the_reference(pages: dict[str, web.Page]) -> None:
    import importlib

    for name in generator.public_modules():
        module = importlib.import_module(f"xai_utils.{name}")
        for public in getattr(module, "__all__", []):
            value = getattr(module, public)
            if callable(value) and getattr(value, "__doc__", None):
                assert f"xai_utils.{name}.{public}" in pages[f"api/{name}.html"].anchors


def test_the_map_has_every_method_with_its_article(pages: dict[str, web.Page]) -> None:
    page = pages["methods.html"]
    with (course.ROOT / "data" / "methods.tsv").open(newline="") as file:
        methods = list(csv.DictReader(file, delimiter="\t"))
    links = page.all("a", "href")
    for method in methods:
        assert method["method"] in page.text
        work = citations.named(method["article"])
        assert work, f"methods.tsv: {method['article']} is not in references.bib"
        assert f"bibliography.html#{work.key}" in links
        if method["call"].startswith("xai_utils."):
            module = method["call"].split(".")[1]
            assert f"api/{module}.html#{method['call']}" in links, method["call"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_cites_is_in_the_bibliography(path: Path) -> None:
    """A source that begins with an author's initial is a work; each between semicolons is one."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = "".join(cells[-1]["source"]).partition("## Sources\n")[2]
    for line in sources.splitlines():
        if not web.INITIAL.match(line):
            continue
        linked = citations.link_sources(line, lambda words, key: f"<{key}>")
        for part, done in zip(line.split(";"), linked.split(";"), strict=True):
            assert part != done or not web.YEAR.search(part), f"not in references.bib: {part}"


def test_docstrings_cite_what_is_in_the_bibliography(pages: dict[str, web.Page]) -> None:
    for name in generator.public_modules():
        left = web.MENTION.findall(pages[f"api/{name}.html"].text)
        assert not left, f"api/{name}: {left} not in references.bib"
    assert "../bibliography.html#selvaraju2017" in pages["api/cam.html"].all("a", "href")


def test_glossary_terms_are_linked_once_where_they_are_used(pages: dict[str, web.Page]) -> None:
    page = pages["notebooks/10_class_activation_maps.html"]
    terms = [h for h in page.all("a", "href") if "glossary.html#term-" in h]
    assert "../glossary.html#term-softmax" in terms
    assert "../glossary.html#term-chance" in terms
    assert len(terms) == len(set(terms)) > 5


def test_nothing_dead_nothing_foreign_nothing_without_words(pages: dict[str, web.Page]) -> None:
    assert web.dead_links(pages) == []
    assert web.foreign(pages) == []
    silent = [
        f"{name}: {a.get('src')}"
        for name, page in pages.items()
        for tag, a in page.tags
        if tag == "img" and not (a.get("alt") or "").strip()
    ]
    assert silent == []
    assert sum(len(page.all("img", "alt")) for page in pages.values()) > 80


# --- what a browser makes of them ----------------------------------------------------------------


@pytest.fixture(scope="module")
def visits(site: Path, pages: dict[str, web.Page]) -> dict[str, web.Visit]:
    found = {}
    with web.browser(site) as (chrome, root):
        for name in pages:
            closely = name in KINDS or "10_class" in name
            found[name] = web.visit(chrome, root, name, closely=closely)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("what", ["foreign", "failed", "errors", "violations"])
def test_a_browser_has_nothing_to_complain_about(visits: dict[str, web.Visit], what: str) -> None:
    """Requests to other hosts, missing files, script errors, and WCAG A and AA by axe-core."""
    assert {name: getattr(v, what) for name, v in visits.items() if getattr(v, what)} == {}


@pytest.mark.slow
def test_pages_are_light_and_fit_a_phone(visits: dict[str, web.Visit]) -> None:
    heavy = {name: round(v.megabytes, 2) for name, v in visits.items() if v.megabytes >= 3}
    assert heavy == {}
    assert all(v.megabytes > 0.3 for v in visits.values()), "nothing was weighed"
    wide = {name: v.phone_width for name, v in visits.items() if v.phone_width > 390}
    assert wide == {}
    assert {name: v.cut for name, v in visits.items() if v.cut} == {}


@pytest.fixture(scope="module")
def chrome(site: Path) -> Iterator[tuple[Any, str]]:
    with web.browser(site) as opened:
        yield opened


@pytest.mark.slow
def test_search_finds_a_method(chrome: tuple[Any, str]) -> None:
    tab = web.opened(chrome[0], chrome[1] + "search.html?q=occlusion")
    tab.wait_for_selector("#search-results li a")
    found = tab.eval_on_selector_all("#search-results li a", "all => all.map(a => a.href)")
    assert any("08_occlusion" in url for url in found)
    tab.close()


@pytest.mark.slow
def test_formulas_are_set_and_the_dark_is_dark(chrome: tuple[Any, str]) -> None:
    tab = web.opened(chrome[0], chrome[1] + "notebooks/10_class_activation_maps.html")
    assert tab.locator(".MathJax").count() > 3
    paper = "getComputedStyle(document.body).backgroundColor"
    light = tab.evaluate(paper)
    tab.emulate_media(color_scheme="dark")
    tab.reload()
    assert tab.evaluate(paper) != light
    # A colour bar must mean the same in the dark.
    assert tab.evaluate("getComputedStyle(document.querySelector('article img')).filter") == "none"
    tab.close()
