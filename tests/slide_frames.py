"""Every slide of a deck in a real browser: does it fit its frame, can it be read?

As a program: `python tests/slide_frames.py [--photos FOLDER] DECKS` opens build/slides/NN.html and
the like, prints what is wrong and ends with status 1 if anything is; `--photos` keeps a picture of
each slide.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import web

FRAME = {"width": 1280, "height": 720}
MEASURE = """([smallest, share]) => {
  const slide = Reveal.getCurrentSlide(), frame = slide.getBoundingClientRect(), found = [];
  const words = e => [...(e.textContent || "").trim()].slice(0, 40).join("");
  const name = e => `<${e.tagName.toLowerCase()}> ${words(e)}`;
  if (slide.scrollHeight > 720 || slide.scrollWidth > 1280)
    found.push(`content of ${slide.scrollWidth} x ${slide.scrollHeight} pixels`);
  const shown = [...slide.querySelectorAll(".frame *")].filter(
    e => !e.closest(".MJX_Assistive_MathML, .MathJax_Preview, script"));
  for (const e of shown) {
    const box = e.getBoundingClientRect(), own = [...e.childNodes].some(
      n => n.nodeType === 3 && n.data.trim());
    if (box.width === 0 || e.closest(".MathJax, .MathJax_Display") && !own) continue;
    if (box.left < frame.left || box.right > frame.right + 1
        || box.top < frame.top || box.bottom > frame.bottom - 16)
      found.push(`${name(e)} reaches out of the slide`);
    const font = parseFloat(getComputedStyle(e).fontSize);
    if (own && font < smallest && !e.closest(".MathJax"))
      found.push(`${name(e)} has a font of ${font} pixels`);
    if (e.tagName === "IMG" && box.width < share * e.naturalWidth)
      found.push(`a figure of ${e.naturalWidth} pixels is shrunk to ${Math.round(box.width)}`);
  }
  const part = [...slide.querySelectorAll("header, .body > *")], box = part.map(
    e => e.getBoundingClientRect());
  const apart = (a, b) => a.right < b.left + 1 || b.right < a.left + 1
    || a.bottom < b.top + 1 || b.bottom < a.top + 1;
  box.forEach((a, i) => box.slice(i + 1).forEach(b => {
    if (!apart(a, b)) found.push(`${name(part[i])} lies over another part`);
  }));
  if (slide.querySelector(".MathJax_Error, .merror")) found.push("a formula could not be set");
  return [...new Set(found)];
}"""
SMALLEST, SHARE = 16, 0.67  # pixels of a font; how far a figure may be shrunk


def show(chrome: Any, url: str) -> Any:
    """A tab with a deck, its formulas set and its first slide shown."""
    tab = chrome.new_page(viewport=FRAME)
    tab.set_default_timeout(60_000)
    tab.goto(url, wait_until="load")
    tab.wait_for_function("window.Reveal && Reveal.isReady()")
    return tab


def faults(tab: Any, photos: Path | None = None) -> dict[int, list[str]]:
    """What is wrong with the slides of a deck, by their numbers; take their photographs."""
    found = {}
    for k in range(tab.evaluate("Reveal.getTotalSlides()")):
        tab.evaluate("k => Reveal.slide(k)", k)
        tab.evaluate(
            "Promise.all([...Reveal.getCurrentSlide().querySelectorAll('img')]"
            ".map(i => i.decode()))"
        )
        if photos:
            tab.screenshot(path=photos / f"{k + 1:02}.png")
        if wrong := tab.evaluate(MEASURE, [SMALLEST, SHARE]):
            found[k + 1] = wrong
    return found


def main() -> int:
    """Measure the decks that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("decks", nargs="+", type=Path)
    parser.add_argument("--photos", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    status = 0
    with web.browser(options.decks[0].parent) as (chrome, root):
        for path in options.decks:
            photos = options.photos / path.stem if options.photos else None
            if photos:
                photos.mkdir(parents=True, exist_ok=True)
            tab = show(chrome, root + path.name)
            found = faults(tab, photos)
            tab.close()
            for number, wrong in found.items():
                print(f"{path.name}, slide {number}:", *wrong, sep="\n    ")
            status |= bool(found)
    return status


if __name__ == "__main__":
    sys.exit(main())
