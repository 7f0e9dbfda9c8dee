"""The site, built from a tiny notebook: pictures have words, and nothing comes from the net."""

from __future__ import annotations

import base64
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import course
import notebook_rules as rules

PNG = (  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="4"/></svg>'
ALT = 'A plate "scratches_249": 61 % of the map\nlies inside the box.'


def tiny() -> NotebookNode:
    def shown(mime: str, data: str, alt: str) -> NotebookNode:
        return new_output("display_data", data={mime: data}, metadata={mime: {"alt": alt}})

    return rules.normalise(
        new_notebook(
            cells=[
                new_markdown_cell("# Tiny\n\n$a^2$ and\n\n$$\\sum_k w_k A^k$$"),
                new_code_cell("draw()", outputs=[shown("image/png", PNG, ALT)], execution_count=1),
                new_code_cell("draw()", outputs=[shown("image/svg+xml", SVG, "A disc.")]),
                new_markdown_cell(
                    "## Questions\n\n<details><summary>Answer</summary>$b$</details>\n\n"
                    "[next](11_next.ipynb#below), [here](#questions)"
                ),
                new_code_cell("1", metadata={"tags": ["solution", "hide-input"]}),
            ]
        )
    )


class Page(HTMLParser):
    """Collects what a page shows, loads and links to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str, attribute: str) -> list[str]:
        return [a[attribute] or "" for t, a in self.tags if t == tag and attribute in a]

    @property
    def anchors(self) -> set[str]:
        return {a["id"] or "" for _, a in self.tags if "id" in a}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    build = tmp_path_factory.mktemp("build with spaces")
    notebooks = build / "notebooks"
    notebooks.mkdir()
    nbformat.write(tiny(), notebooks / "10_tiny.ipynb")
    following = new_notebook(cells=[new_markdown_cell("# Next\n\n## Below\n\nText.")])
    nbformat.write(following, notebooks / "11_next.ipynb")
    (notebooks / "12_bad.failed.ipynb").write_text("{}")
    first = course.build_site(notebooks, build)
    assert first == build / "site" / "index.html"
    assert {p.name for p in build.iterdir()} == {"notebooks", "site"}
    found = {
        p.relative_to(first.parent).as_posix(): Page(p) for p in first.parent.glob("**/*.html")
    }
    assert {"index.html", "notebooks/10_tiny.html", "notebooks/11_next.html"} <= set(found)
    return {name: page for name, page in found.items() if not name.startswith("_static/")}


def test_every_picture_has_its_alternative_text(pages: dict[str, Page]) -> None:
    tiny_page = pages["notebooks/10_tiny.html"]
    assert tiny_page.all("img", "alt") == [" ".join(ALT.split()), "A disc."]
    for page in pages.values():
        assert all(a.get("alt") for tag, a in page.tags if tag == "img"), page.path


def test_nothing_is_loaded_from_the_net(pages: dict[str, Page]) -> None:
    for page in pages.values():
        loaded = [*page.all("script", "src"), *page.all("link", "href"), *page.all("img", "src")]
        assert loaded
        assert not [url for url in loaded if urlsplit(url).scheme or url.startswith("//")]
    text = pages["notebooks/10_tiny.html"].path.read_text(encoding="utf-8")
    assert "mathjax/MathJax.js" in text
    assert "require.min.js" not in text
    assert "\\sum_k w_k A^k" in text


def test_every_link_inside_resolves(pages: dict[str, Page]) -> None:
    by_path = {page.path.resolve(): page for page in pages.values()}
    checked = 0
    for page in pages.values():
        urls = [*page.all("a", "href"), *page.all("img", "src"), *page.all("script", "src")]
        for url in [*urls, *page.all("link", "href")]:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            assert target.exists(), f"{page.path.name}: {url}"
            if parts.fragment and target in by_path:
                assert unquote(parts.fragment) in by_path[target].anchors, f"{page.path}: {url}"
            checked += 1
    assert checked > 20


def test_mathjax_finds_its_parts(pages: dict[str, Page]) -> None:
    folder = pages["index.html"].path.parent / "_static" / "mathjax"
    for part in ("MathJax.js", "config/TeX-AMS-MML_HTMLorMML-full.js"):
        assert (folder / part).stat().st_size > 10_000
    assert list((folder / "fonts" / "HTML-CSS" / "STIX-Web" / "woff").glob("*.woff"))


def test_a_broken_link_is_fatal_and_the_old_site_stays(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("old")
    broken = new_notebook(cells=[new_markdown_cell("# Broken\n\n[gone](99_gone.ipynb)")])
    nbformat.write(broken, notebooks / "10_broken.ipynb")
    with pytest.raises(subprocess.CalledProcessError):
        course.build_site(notebooks, tmp_path)
    assert "99_gone.ipynb" in capfd.readouterr().err
    assert (tmp_path / "site" / "index.html").read_text() == "old"
    assert {p.name for p in tmp_path.iterdir()} == {"notebooks", "site"}


def test_the_script_ends_with_the_page_to_open(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    draw = (
        "import base64\nfrom IPython.display import Image, display\n"
        f"display(Image(base64.b64decode('{PNG}'), alt='One pixel.'))"
    )
    cells = [new_markdown_cell("# Tiny"), new_code_cell(draw)]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "10_tiny.ipynb")
    places = ["--notebooks", str(tmp_path / "notebooks"), "--build", str(tmp_path / "build")]
    command = [sys.executable, course.__file__, *places]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    first = tmp_path / "build" / "site" / "index.html"
    assert done.stdout.splitlines()[-1] == f"Open {first}"
    page = Page(first.parent / "notebooks" / "10_tiny.html")
    assert page.all("img", "alt") == ["One pixel."]
    assert base64.b64decode(PNG) in {p.read_bytes() for p in first.parent.rglob("*.png")}
