"""What a notebook needs to become a page: words for its pictures, links for its sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from citations import link_sources


def prepare(app: Any, docname: str, source: list[str]) -> None:
    """Change a notebook on its way to MyST-NB (`source-read`)."""
    if Path(app.env.doc2path(docname)).suffix != ".ipynb":
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        carry_alternative_text(cell)
        link_cited(cell, "../" * docname.count("/"))
    source[0] = json.dumps(notebook)


def carry_alternative_text(cell: dict[str, Any]) -> None:
    """Hand each picture's alternative text to MyST-NB, which reads the cell's metadata only."""
    for output in cell.get("outputs", []):
        for mime, values in output.get("metadata", {}).items():
            if mime.startswith("image/") and values.get("alt"):
                image = cell["metadata"].setdefault("mystnb", {}).setdefault("image", {})
                image["alt"] = " ".join(values["alt"].split())


def link_cited(cell: dict[str, Any], root: str) -> None:
    """Link the titles of a notebook's list of sources to the bibliography."""
    text = "".join(cell["source"])
    before, heading, sources = text.partition("## Sources\n")
    if cell["cell_type"] == "markdown" and heading:
        linked = link_sources(
            sources, lambda words, key: f'<a href="{root}bibliography.html#{key}">{words}</a>'
        )
        cell["source"] = before + heading + linked


def setup(app: Any) -> dict[str, bool]:
    """Connect the hook; the signature is Sphinx's."""
    app.connect("source-read", prepare)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
