"""Turn each notebook into a talk: a deck of slides with speaker notes that needs no network.

`python site/slides.py` writes build/slides/NN.html for every notebook that has slides, and
index.html; `python site/slides.py 10 11` those that begin so.  `deck.py` says what gets onto a
slide.  reveal.js and MathJax come out of Python packages and lie beside the decks.
"""

from __future__ import annotations

import argparse
import html
import importlib.util
import json
import re
import shutil
import struct
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import deck
import mathjax
from course import ROOT, chosen

TEMPLATES = Path(__file__).resolve().parent / "templates"
WIDE, HIGH = 1168, 500  # pixels for what is on a slide: its width, and its height under a heading
MONO = 0.61, 1.35  # width and height of a character over the size of its font
LARGEST, SMALLEST, ALONE = 24, 18, 22  # pixels of code and outputs; a longer line is wrapped
LITTLE = 5  # so many lines have the slide for themselves, and are ALONE at least
DENSE = 75  # more words, or more than three parts, get a smaller font
CROWDED = 600  # a figure of more pixels in height gets the slide for itself
ENLARGED = 1.7  # no figure is drawn larger than so many times its pixels
UPRIGHT = 1.26  # a figure that is less than so many times as wide as high stands beside its words


def lay_libraries(folder: Path) -> None:
    """Copy what the decks load into their folder."""
    found = importlib.util.find_spec("sphinx_revealjs")  # not imported: it would import Sphinx
    if found is None or found.origin is None:
        raise SystemExit(
            "sphinx-revealjs, which carries reveal.js, is not installed: `make slides`"
        )
    source = Path(found.origin).parent / "_static" / "revealjs"
    target = folder / "reveal"
    target.mkdir(parents=True, exist_ok=True)
    for name in ("dist/reveal.js", "dist/reveal.css", "dist/reset.css", "plugin/notes/notes.js"):
        shutil.copy(source / name, target)
    shutil.copy(source / "LICENSE", target)
    shutil.copy(TEMPLATES / "deck.css", folder)
    mathjax.lay(folder / "mathjax")


def markdown(text: str) -> str:
    """Markdown with formulas as HTML; links go nowhere, for a slide is no page of the site."""
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    return re.sub(r"<a [^>]*>(.*?)</a>", r"\1", markdown2html_mistune(text), flags=re.DOTALL)


def inline(text: str) -> str:
    """Markdown of one line, without the paragraph around it."""
    text = re.sub(r"^(\d+)\.", r"\1\\.", text)  # a number is not the beginning of a list
    return markdown(text).strip().removeprefix("<p>").removesuffix("</p>")


def highlighted(code: str) -> str:
    """Python in colours, which stand in the HTML itself."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    formatter = HtmlFormatter(noclasses=True, nowrap=True, style="friendly")
    return f"<pre>{highlight(code, PythonLexer(), formatter)}</pre>"


def size(text: str, lines: int, high: int) -> int:
    """The largest size of font at which plain text fits, when so many lines share a height."""
    width = max(map(len, text.splitlines()))
    fits = min((WIDE - 46) / width / MONO[0], high / max(lines, 1) / MONO[1])
    return max(ALONE if lines <= LITTLE else SMALLEST, min(LARGEST, int(fits)))


def picture(mime: str, data: str, alt: str) -> str:
    """An <img> that holds its picture."""
    said = html.escape(" ".join(alt.split()), quote=True)
    source = f"data:{mime};base64,{''.join(data.split())}"
    limit = round(ENLARGED * dimensions(data)[0])
    return f'<img src="{source}" alt="{said}" style="max-width: min(100%, {limit}px)">'


def dimensions(data: str) -> tuple[int, int]:
    """Width and height of a PNG, in pixels."""
    wide, high = struct.unpack(">II", b64decode(data[:64])[16:24])
    return wide, high


def drawn(slide: deck.Slide) -> dict[str, Any]:
    """A slide as the template wants it."""
    plain = [content for kind, content in slide.parts if kind in ("code", "output")]
    lines = sum(text.count("\n") + 1 for text in plain)
    side = _kind(slide) == "side"  # there the figure comes first
    if not side and any(k == "picture" and dimensions(c[1])[1] > CROWDED for k, c in slide.parts):
        slide.parts = [part for part in slide.parts if part[0] != "text"]  # the notes have it
    room = HIGH - 60 * (len(slide.parts) - 1)
    parts = []
    for kind, content in sorted(slide.parts, key=lambda part: side and part[0] != "picture"):
        if kind == "picture":
            parts.append({"kind": kind, "html": picture(*content)})
        elif kind in ("code", "output"):
            shown = highlighted(content) if kind == "code" else f"<pre>{html.escape(content)}</pre>"
            parts.append({"kind": kind, "html": shown, "size": size(content, lines, room)})
        else:
            parts.append({"kind": kind, "html": markdown(content)})
    words = sum(len(content.split()) for kind, content in slide.parts if kind in ("text", "list"))
    return {
        "kind": _kind(slide) + (" dense" if len(parts) > 3 or words > DENSE else ""),
        "tag": "h2",
        "title": inline(slide.title),
        "above": inline(slide.above) if slide.above else "",
        "parts": parts,
        "notes": markdown("\n\n".join(map(_unfolded, slide.notes))),
    }


def _kind(slide: deck.Slide) -> str:
    figures = [content[1] for kind, content in slide.parts if kind == "picture"]
    if not figures:
        return "text"
    wide, high = dimensions(figures[0])
    return "side" if len(figures) == 1 and wide < UPRIGHT * high else "figure"


def _unfolded(notes: str) -> str:
    """What a reader unfolds is in the open for the speaker."""
    return re.sub(r"</?details>|</?summary>", "", notes)


def deck_html(title: str, slides: list[deck.Slide]) -> str:
    """The whole deck as one page."""
    from jinja2 import Environment, FileSystemLoader

    pages = [drawn(slide) for slide in slides]
    pages[0] |= {"tag": "h1", "kind": "title"}
    template = Environment(loader=FileSystemLoader(TEMPLATES)).get_template("deck.html")
    # MathJax is told to look for $...$, which is how the notebooks write it.
    dollars = {"tex2jax": {"inlineMath": [["$", "$"]], "processEscapes": True}}
    config = json.dumps(mathjax.CONFIG | dollars | {"skipStartupTypeset": False})
    return template.render(title=title, slides=pages, mathjax=config)


def write(paths: list[Path], folder: Path) -> list[Path]:
    """Write the decks of these notebooks, and a page that lists all decks of the folder."""
    lay_libraries(folder)
    written = []
    for path in paths:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        try:
            slides = deck.slides(cells)
        except ValueError as error:
            raise SystemExit(f"{path.name}: {error}") from None
        if not slides:
            print(f"{path.name} has no slides: no cell is marked by slideshow.slide_type")
            continue
        written.append(folder / f"{path.name[:2]}.html")
        written[-1].write_text(deck_html(slides[0].title, slides), encoding="utf-8")
        print(f"{written[-1]}: {len(slides)} slides")
    list_decks(folder)
    return written


def list_decks(folder: Path) -> None:
    """index.html: every deck by its title."""
    title = re.compile(r"<title>(.*?)</title>")
    links = [
        f'<li><a href="{path.name}">{title.findall(path.read_text("utf-8"))[0]}</a></li>'
        for path in sorted(folder.glob("[0-9][0-9].html"))
    ]
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Slides</title></head>
<body style="font: 1.1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto">
<h1>Slides</h1>
<p>Arrow keys turn the pages, S opens the speaker's view, F fills the screen, Esc shows all slides.
With <code>?print-pdf</code> behind an address the browser prints a deck.</p>
<ul>{"".join(links)}</ul>
</body></html>
"""
    (folder / "index.html").write_text(page, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Write the decks that are asked for."""
    parser = argparse.ArgumentParser(description="Turn notebooks into slides.")
    parser.add_argument("only", nargs="*", help="how the names of the wanted notebooks begin")
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks", metavar="FOLDER")
    parser.add_argument("--build", type=Path, default=ROOT / "build", metavar="FOLDER")
    options = parser.parse_args(arguments)
    folder = options.build.resolve() / "slides"
    if not write(chosen(options.notebooks.resolve(), options.only), folder):
        print("No deck was written.")
        return 1
    print(f"Open {folder / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
