"""Make every figure of the articles, and one page that shows them all.

`python site/gallery.py` writes build/figures: the files of each figure (see `xai_utils.figures`),
`index.html`, which stands alone, and `gallery.md` with the same for the course's site, which leaves
out what may not be published.
"""

from __future__ import annotations

import argparse
import html
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from kernels import threads

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 560  # pixels of a preview, so that a page of fifty stays small
PRIVATE = "do not publish"  # what a caption says of a photograph without a licence
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
       color: #1a1a1a; background: #fff; }
figure { margin: 3rem 0; } img { max-width: 100%; height: auto; background: #fff; }
dl { display: grid; grid-template-columns: 11rem 1fr; gap: .2rem 1rem; font-size: .9rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
nav a { margin-right: .6rem; white-space: nowrap; } a { color: #00507f; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .5rem; } }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #161616; }
  a { color: #7cc4f5; } }
"""


class Shown(NamedTuple):
    """One picture: its file's name, its caption line by line, whether there is an SVG of it."""

    name: str
    caption: dict[str, str]
    vector: bool

    @property
    def private(self) -> bool:
        """Whether a photograph in it may be looked at, but not be published."""
        return PRIVATE in self.caption["Licence"]


def shown_in(folder: Path, wanted: Iterable[str]) -> list[Shown]:
    """The pictures that a folder holds of these figures, in their order.

    Raises `FileNotFoundError` naming every figure that has no file or no caption.
    """
    found, missing = [], []
    for figure in wanted:
        parts = sorted(
            [p for p in folder.glob(f"{figure}-*.png") if p.stem.partition("-")[2].isdigit()],
            key=lambda p: int(p.stem.partition("-")[2]),
        )
        for png in [folder / f"{figure}.png", *parts]:
            text = png.with_suffix(".txt")
            if not (png.is_file() and text.is_file()):
                missing.append(png.stem)
                continue
            lines = [line.partition(": ") for line in text.read_text("utf-8").splitlines()]
            vector = png.with_suffix(".svg").exists()
            found.append(Shown(png.stem, {key: value for key, _, value in lines}, vector))
    if missing:
        raise FileNotFoundError(f"{len(missing)} figures have no file: {', '.join(missing)}")
    return found


def preview(png: Path, folder: Path) -> tuple[int, int]:
    """Write a small picture of a figure for a page; return its width and height."""
    from PIL import Image

    with Image.open(png) as picture:
        small = picture.convert("RGB")
        small.thumbnail((WIDTH, 10 * WIDTH), Image.Resampling.LANCZOS)
        folder.mkdir(exist_ok=True)
        small.save(folder / f"{png.stem}.jpg", quality=85, subsampling=0, optimize=True)
    return small.size


def as_html(pictures: list[Shown], sizes: dict[str, tuple[int, int]]) -> str:
    """One page with all figures and captions, which loads nothing from elsewhere."""
    parts = []
    for one in pictures:
        words, (width, height) = html.escape(one.caption["In words"]), sizes[one.name]
        rows = "".join(
            f"<dt>{html.escape(key)}</dt><dd>{html.escape(text)}</dd>"
            for key, text in one.caption.items()
            if key not in ("Figure", "What", "In words")
        )
        files = f'<a href="{one.name}.png">{one.name}.png, 300 dpi</a>'
        files += f', <a href="{one.name}.svg">{one.name}.svg</a>' if one.vector else ""
        parts.append(
            f'<figure id="{one.name}"><h2>{one.name} · {html.escape(one.caption["What"])}</h2>'
            f'<a href="{one.name}.png"><img src="small/{one.name}.jpg" width="{width}" '
            f'height="{height}" loading="lazy" alt="{words}"></a>'
            f"<figcaption><dl>{rows}<dt>Files</dt><dd>{files}</dd></dl></figcaption></figure>"
        )
    links = " ".join(f'<a href="#{one.name}">{one.name}</a>' for one in pictures)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>The articles' figures</title><style>{STYLE}</style></head><body>"
        f"<h1>The articles' figures</h1><nav>{links}</nav>{''.join(parts)}</body></html>\n"
    )


def as_markdown(pictures: list[Shown]) -> str:
    """The same as a page of the site, beside which the folder `small` lies.

    A picture that may not be published is left out; its words stay.
    """
    parts = [
        "# The articles' figures\n\n"
        "Each is made by the cell of a notebook that is tagged with its name. `make figures` makes "
        "all of them in 300 dpi, `python -m xai_utils figure C2` makes one.\n"
    ]
    for one in pictures:
        notebook = one.caption["Figure"].partition("notebook ")[2]
        told = [
            f"- **{key}**: {_plain(one.caption[key])}"
            for key in (*("Fault in the original", "Network", "Weights", "Data"), "Stand-in")
        ]
        words = _plain(one.caption["In words"])
        parts.append(
            f"## {one.name} · {_plain(one.caption['What'])}\n\n"
            + (
                f"*The photograph may not be published. In words*: {words}\n\n"
                if one.private
                else f"![{words}](small/{one.name}.jpg)\n\n"
            )
            + "\n".join(told)
            + f"\n- [The notebook](notebooks/{notebook}.ipynb)\n"
        )
    return "\n".join(parts)


def _plain(text: str) -> str:
    """Text in which no sign means anything to Markdown."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>$#|~" else sign for sign in text)


def write_gallery(folder: Path, wanted: Iterable[str]) -> Path:
    """Write both pages; raise `FileNotFoundError` where a figure has no file."""
    pictures = shown_in(folder, wanted)
    sizes = {one.name: preview(folder / f"{one.name}.png", folder / "small") for one in pictures}
    (folder / "gallery.md").write_text(as_markdown(pictures), encoding="utf-8")
    page = folder / "index.html"
    page.write_text(as_html(pictures, sizes), encoding="utf-8")
    return page


def main(arguments: list[str] | None = None) -> int:
    """Make all figures and both pages; return the exit status."""
    from xai_utils import figures

    parser = argparse.ArgumentParser(description="Make every figure of the articles.")
    cores = os.cpu_count() or 1
    parser.add_argument(
        "--at-once", type=int, default=min(2, cores), metavar="N", help="notebooks side by side"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "figures", metavar="FOLDER")
    options = parser.parse_args(arguments)
    os.environ.update(threads(max(1, cores // options.at_once)))
    try:
        wanted = figures.ids()
        made = {path.stem for path in figures.draw(wanted, options.out, at_once=options.at_once)}
        for old in options.out.glob("*.*"):  # a figure that is gone must not be taken for made
            if old.suffix in (".png", ".svg", ".txt") and old.stem not in made:
                old.unlink()
        print(f"Open {write_gallery(options.out.resolve(), wanted)}")
    except (ValueError, RuntimeError, OSError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nstopped")
