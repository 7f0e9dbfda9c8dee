"""The site, built from a tiny notebook: pictures have words, and nothing comes from the net."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import course
import launch
import notebook_rules as rules
import pages as generator
import web

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


def following() -> NotebookNode:
    return new_notebook(cells=[new_markdown_cell("# Next\n\n## Below\n\nText.")])


@pytest.fixture
def without_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference takes longest, and test_whole_site looks at it."""
    monkeypatch.setattr(generator, "public_modules", list)
    monkeypatch.setattr(generator, "floors", dict)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, web.Page]:
    build = tmp_path_factory.mktemp("Kurs für Ärzte, 日本")
    notebooks = build / "notebooks"
    notebooks.mkdir()
    nbformat.write(tiny(), notebooks / "10_tiny.ipynb")
    nbformat.write(following(), notebooks / "11_next.ipynb")
    (notebooks / "12_bad.failed.ipynb").write_text("{}")
    (notebooks / "labs").mkdir()  # with their solutions, so they stay off the pages
    nbformat.write(following(), notebooks / "labs" / "lab1_secret.ipynb")
    first = course.build_site(notebooks, build)
    assert first == build / "site" / "index.html"
    assert {p.name for p in build.iterdir()} == {"notebooks", "site"}
    found = web.pages_of(first.parent)
    assert {"index.html", "notebooks/10_tiny.html", "notebooks/11_next.html"} <= set(found)
    assert not list(first.parent.rglob("*secret*"))
    return found


def test_every_picture_has_its_alternative_text(pages: dict[str, web.Page]) -> None:
    tiny_page = pages["notebooks/10_tiny.html"]
    assert tiny_page.all("img", "alt") == [" ".join(ALT.split()), "A disc."]
    for page in pages.values():
        assert all(a.get("alt") for tag, a in page.tags if tag == "img"), page.path


def test_nothing_is_loaded_from_the_net_and_no_link_is_dead(pages: dict[str, web.Page]) -> None:
    assert web.foreign(pages) == []
    assert web.dead_links(pages) == []
    tiny_page = pages["notebooks/10_tiny.html"]
    assert "11_next.html#below" in tiny_page.all("a", "href")
    text = tiny_page.path.read_text(encoding="utf-8")
    assert "mathjax/MathJax.js" in text
    assert "require.min.js" not in text
    assert "\\sum_k w_k A^k" in text


def test_mathjax_finds_its_parts(pages: dict[str, web.Page]) -> None:
    folder = pages["index.html"].path.parent / "_static" / "mathjax"
    for part in ("MathJax.js", "config/TeX-AMS-MML_HTMLorMML-full.js"):
        assert (folder / part).stat().st_size > 10_000
    assert list((folder / "fonts" / "HTML-CSS" / "STIX-Web" / "woff").glob("*.woff"))


@pytest.mark.usefixtures("without_reference")
def test_a_broken_link_is_fatal_and_the_old_site_stays(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("old")
    broken = new_notebook(cells=[new_markdown_cell("# Broken\n\n[gone](99_gone.ipynb)")])
    nbformat.write(broken, notebooks / "10_broken.ipynb")
    places = ["--notebooks", str(notebooks), "--build", str(tmp_path)]
    assert course.main(["--stored", *places]) == 1
    said = capfd.readouterr()
    assert "could not be built" in said.out
    assert "99_gone.ipynb" in said.err
    assert (tmp_path / "site" / "index.html").read_text() == "old"
    assert {p.name for p in tmp_path.iterdir()} == {".lock", "notebooks", "site"}


LAUNCHERS = ("colab.research.google.com", "mybinder.org", "hub.example.org")


def test_no_launch_button_while_no_repository_is_named(pages: dict[str, web.Page]) -> None:
    assert launch.options({"repository": "", "colab": "https://colab.research.google.com"}) == {}
    links = pages["notebooks/10_tiny.html"].all("a", "href")
    assert not [url for url in links if any(host in url for host in LAUNCHERS)]


@pytest.mark.usefixtures("without_reference")
def test_one_setting_gives_every_launch_button(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    nbformat.write(tiny(), tmp_path / "notebooks" / "10_tiny.ipynb")
    nbformat.write(following(), tmp_path / "notebooks" / "11_next.ipynb")
    settings = [
        "repository=https://github.com/someone/course",
        "jupyterhub=https://hub.example.org",
    ]
    options = [part for each in settings for part in ("-D", f"launch.{each}")]
    first = course.build_site(tmp_path / "notebooks", tmp_path, *options)
    links = web.Page(first.parent / "notebooks" / "10_tiny.html").all("a", "href")
    for host in LAUNCHERS:
        (url,) = [url for url in links if host in url]
        assert "10_tiny.ipynb" in url
        assert "course" in url
    elsewhere = web.Page(first).all("a", "href")
    assert not [url for url in elsewhere if any(host in url for host in LAUNCHERS)]


def test_the_script_ends_with_the_page_to_open(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    draw = (
        "import base64\nfrom IPython.display import Image, display\n"
        f"display(Image(base64.b64decode('{PNG}'), alt='One pixel.'))"
    )
    cells = [new_markdown_cell("# Tiny"), new_code_cell(draw)]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "10_tiny.ipynb")
    places = ["--notebooks", str(tmp_path / "notebooks"), "--build", str(tmp_path / "build")]
    command = [sys.executable, "-c", web.WITHOUT_REFERENCE, *places]
    paths = {"PYTHONPATH": str(course.ROOT / "site")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, env=os.environ | paths
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first = tmp_path / "build" / "site" / "index.html"
    assert done.stdout.splitlines()[-1] == f"Open {first}"
    page = web.Page(first.parent / "notebooks" / "10_tiny.html")
    assert page.all("img", "alt") == ["One pixel."]
    times = web.Page(first.parent / "run-times.html")
    assert "notebooks/10_tiny.html" in times.all("a", "href")
    assert base64.b64decode(PNG) in {p.read_bytes() for p in first.parent.rglob("*.png")}
