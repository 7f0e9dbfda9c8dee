"""Sphinx configuration: the executed notebooks as web pages that need nothing from the net."""

from __future__ import annotations

import importlib.resources
import json
import shutil
from pathlib import Path
from typing import Any

project = "Look inside your models"
author = "the authors of the course"
extensions = ["myst_nb"]
exclude_patterns = ["**/.*", "**/*.failed.ipynb"]
html_theme = "sphinx_book_theme"
html_title = project
html_theme_options = {"use_download_button": False, "use_fullscreen_button": False}
html_copy_source = False
html_show_sourcelink = False

nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # no live widgets, so nothing from a CDN
myst_enable_extensions = ["dollarmath", "amsmath", "html_image"]
myst_heading_anchors = 3

# MathJax 2 comes out of a Python package; setup() copies it beside the pages.
myst_update_mathjax = False
mathjax_path = "mathjax/MathJax.js"
mathjax2_config = {
    "config": ["TeX-AMS-MML_HTMLorMML-full.js"],
    "HTML-CSS": {"availableFonts": [], "imageFont": None, "webFont": "STIX-Web"},
}


def carry_alternative_text(app: Any, docname: str, source: list[str]) -> None:
    """Hand each picture's alternative text to MyST-NB, which reads the cell's metadata only."""
    if Path(app.env.doc2path(docname)).suffix != ".ipynb":
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            for mime, values in output.get("metadata", {}).items():
                if mime.startswith("image/") and values.get("alt"):
                    image = cell["metadata"].setdefault("mystnb", {}).setdefault("image", {})
                    image["alt"] = " ".join(values["alt"].split())
    source[0] = json.dumps(notebook)


def copy_mathjax(app: Any, error: Exception | None) -> None:
    """Lay MathJax where `mathjax_path` points, without the other languages of its menu."""
    if error is None:
        static = importlib.resources.files("jupyter_server_mathjax") / "static"
        with importlib.resources.as_file(static) as folder:
            shutil.copytree(
                folder,
                Path(app.outdir, "_static", "mathjax"),
                ignore=shutil.ignore_patterns("localization"),
                dirs_exist_ok=True,
            )


def setup(app: Any) -> dict[str, bool]:
    """Connect the hooks; the signature is Sphinx's."""
    app.connect("source-read", carry_alternative_text)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
