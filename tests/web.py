"""Built pages as a parser and as a browser sees them."""

from __future__ import annotations

import importlib.resources
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import serve

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
INITIAL = re.compile(r"- (?:[A-Z]\.[- ]?)+\w")  # a source that begins with an author
YEAR = re.compile(r"\b(?:18|19|20)\d\d\b")
MENTION = re.compile(r"[A-Z]\w+(?: et al\.?| & [A-Z]\w+) \(?(?:19|20)\d\d\b")  # uncited
# What `make course` runs, but for the reference, which takes longest; site/ is on PYTHONPATH.
WITHOUT_REFERENCE = """
import sys, pages
pages.public_modules, pages.floors = list, dict
import course
sys.exit(course.main())
"""
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


class Page(HTMLParser):
    """Collects what a page shows, loads and links to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str, attribute: str) -> list[str]:
        return [a[attribute] or "" for t, a in self.tags if t == tag and attribute in a]

    @cached_property
    def anchors(self) -> set[str]:
        return {a["id"] or "" for _, a in self.tags if "id" in a}

    @property
    def loaded(self) -> list[str]:
        """The addresses of what the browser fetches with the page."""
        links = [a["href"] or "" for t, a in self.tags if t == "link" and "href" in a]
        return [*self.all("script", "src"), *self.all("img", "src"), *links]

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def pages_of(site: Path) -> dict[str, Page]:
    """Every page of a site, by its path."""
    found = {path.relative_to(site).as_posix(): Page(path) for path in sorted(site.rglob("*.html"))}
    return {name: page for name, page in found.items() if not name.startswith("_static/")}


def dead_links(pages: dict[str, Page]) -> list[str]:
    """Links and files that a site's pages name and that are not there."""
    by_path = {page.path.resolve(): page for page in pages.values()}
    dead = []
    for name, page in pages.items():
        for url in [*page.all("a", "href"), *page.loaded]:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            other = by_path.get(target.resolve())
            missing = parts.fragment and other and unquote(parts.fragment) not in other.anchors
            if not target.exists() or missing:
                dead.append(f"{name}: {url}")
    return dead


def foreign(pages: dict[str, Page]) -> list[str]:
    """What pages would load from another host."""
    return [
        f"{name}: {url}"
        for name, page in pages.items()
        for url in page.loaded
        if urlsplit(url).netloc or urlsplit(url).scheme not in ("", "data")
    ]


@dataclass
class Visit:
    """What a browser met on one page."""

    megabytes: float = 0.0
    foreign: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    phone_width: int = 0
    cut: list[str] = field(default_factory=list)  # formulas of which a phone shows a part only


def chromium() -> str:
    """The path of a Chromium; without one the test is skipped, and says how to get it."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    for found in (os.environ.get("XAI_CHROMIUM"), *map(shutil.which, names)):
        if found and Path(found).exists():
            return found
    pytest.skip(
        "no Chromium here, so the pages are NOT opened in a browser: install it"
        " (apt-get install chromium), or name one by XAI_CHROMIUM"
    )


@contextmanager
def browser(site: Path) -> Iterator[tuple[Any, str]]:
    """A headless Chromium, and the address at which it finds the site on this machine."""
    from playwright.sync_api import sync_playwright

    program = chromium()
    with serve.server(site) as server, sync_playwright() as play:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        chrome = play.chromium.launch(executable_path=program, args=options)
        yield chrome, f"http://127.0.0.1:{server.server_port}/"
        chrome.close()
        server.shutdown()


def opened(chrome: Any, url: str) -> Any:
    """A tab with a page on a desk, its formulas set."""
    tab = chrome.new_page(viewport=DESK, color_scheme="light")
    tab.set_default_timeout(180_000)
    load(tab, url)
    return tab


def load(tab: Any, url: str) -> None:
    """Go to a page and wait for its formulas."""
    tab.goto(url, wait_until="load")
    tab.evaluate("window.MathJax ? new Promise(done => MathJax.Hub.Queue(done)) : null")


# A colour on its way from light to dark belongs to neither theme.
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"


def visit(chrome: Any, root: str, name: str, *, closely: bool = True) -> Visit:
    """Open a page, note what it loads and says, have axe-core judge it, then hold it upright.

    `closely`: also in the dark, and the code.  Its colours are the same on all pages, and judging a
    notebook's thousands of words takes longer than all the rest.
    """
    seen = Visit()
    tab = chrome.new_page(viewport=DESK, color_scheme="light")
    tab.set_default_timeout(180_000)
    tab.on("request", lambda r: _note(seen.foreign, r.url, r.url.startswith((root, "data:"))))
    tab.on("response", lambda r: _weigh(seen, r))
    tab.on("requestfailed", lambda r: seen.failed.append(r.url))
    tab.on("pageerror", lambda e: seen.errors.append(str(e)))
    tab.on("console", lambda m: _note(seen.errors, m.text, m.type != "error"))
    load(tab, root + name)
    tab.evaluate((importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text())
    tab.add_style_tag(content=STILL)
    for theme in ("light", "dark") if closely else ("light",):
        tab.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        seen.violations += [f"{theme}: {v}" for v in _violations(tab, closely)]
    tab.set_viewport_size(PHONE)
    seen.phone_width = tab.evaluate("document.documentElement.scrollWidth")
    seen.cut = tab.evaluate(CUT)
    tab.close()
    return seen


# A long formula may be wider than a phone, if it can be moved.
CUT = """() => [...document.querySelectorAll(".math")]
    .filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX == "hidden")
    .map(e => e.textContent.slice(0, 60))"""


def _violations(tab: Any, code: bool) -> list[str]:
    # Nothing is fetched a second time (preload), and what passed is not listed.
    options = {"runOnly": WCAG, "preload": False, "resultTypes": ["violations"]}
    where = {"exclude": [] if code else [".highlight pre"]}
    found = tab.evaluate("([where, how]) => axe.run(where, how)", [where, options])["violations"]
    return [f"{v['id']} ({len(v['nodes'])}): {v['nodes'][0]['html'][:200]}" for v in found]


def _note(notes: list[str], text: str, fine: bool) -> None:
    if not fine:
        notes.append(text)


def _weigh(seen: Visit, response: Any) -> None:
    seen.megabytes += int(response.headers.get("content-length", 0)) / 1e6
    if response.status >= 400:
        seen.failed.append(f"{response.status} {response.url}")
