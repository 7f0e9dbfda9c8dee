"""The README's badges: small pictures of facts that are read from the repository itself.

``python site/badges.py`` writes them anew; a test refuses any that no longer says what is there.
"""

from __future__ import annotations

import csv
import html
import json
import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "site" / "badges"
GREEN, BLUE = "#1a6e3c", "#1f5fa8"  # white on either: contrast above 4.5
LETTER, PAD, HEIGHT = 6.6, 8, 20  # of the 11 px type, in pixels


def facts() -> dict[str, tuple[str, str, str]]:
    """Of each badge: what it is about, what it says, and its colour."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        python = tomllib.load(file)["project"]["requires-python"]
    first, end = (int(n) for n in re.findall(r"3\.(\d+)", python))
    versions = " | ".join(f"3.{n}" for n in range(first, end))
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    stored = sum(map(_executed, notebooks))
    with (ROOT / "data" / "figures.tsv").open(encoding="utf-8") as file:
        wanted = {row["figure"].split("-")[0] for row in csv.DictReader(file, delimiter="\t")}
    made = wanted & {tag for path in notebooks for tag in _figures(path)}
    return {
        "python": ("python", versions, BLUE),
        "notebooks": ("notebooks stored executed", f"{stored} of {len(notebooks)}", GREEN),
        "figures": ("figures of the articles", f"{len(made)} of {len(wanted)}", GREEN),
        "licence": ("licence", "MIT, text CC BY 4.0", BLUE),
    }


def _cells(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8"))["cells"])


def _executed(path: Path) -> bool:
    """Whether it holds outputs, and no error among them."""
    kinds = {o["output_type"] for cell in _cells(path) for o in cell.get("outputs", [])}
    return bool(kinds) and "error" not in kinds


def _figures(path: Path) -> list[str]:
    tags = [tag for cell in _cells(path) for tag in cell["metadata"].get("tags", [])]
    return [tag.removeprefix("figure:") for tag in tags if tag.startswith("figure:")]


def svg(about: str, says: str, colour: str) -> str:
    """Two words side by side, the second on a colour."""
    left, right = (round(len(text) * LETTER) + 2 * PAD for text in (about, says))
    words = [(left / 2, about), (left + right / 2, says)]
    texts = "".join(f'<text x="{x:g}" y="14">{html.escape(text)}</text>' for x, text in words)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{HEIGHT}" '
        f'role="img" aria-label="{html.escape(f"{about}: {says}")}">'
        f'<clipPath id="r"><rect width="{left + right}" height="{HEIGHT}" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="{HEIGHT}" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="{HEIGHT}" fill="{colour}"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" '
        f'font-size="11">{texts}</g></svg>\n'
    )


def line() -> str:
    """The README's line of badges."""
    parts = [f"![{about}: {says}](site/badges/{n}.svg)" for n, (about, says, _) in facts().items()]
    return " ".join(parts)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, fact in facts().items():
        (FOLDER / f"{name}.svg").write_text(svg(*fact), encoding="utf-8")
    print(line())
