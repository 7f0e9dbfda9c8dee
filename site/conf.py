"""Sphinx configuration: the executed notebooks as web pages that need nothing from the net."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # the hooks beside this file, and xai_utils

import mathjax  # noqa: E402

project = "Look inside your models"
author = "the authors of the course"
html_title = project
language = "en"

# Where the notebooks can be opened in the browser; no buttons while `repository` is empty.
# `jupyterhub` is the address of a hub with nbgitpuller; empty for none.
launch = {
    "repository": "",  # https://github.com/OWNER/NAME
    "branch": "main",
    "colab": "https://colab.research.google.com",
    "binder": "https://mybinder.org",
    "jupyterhub": "",
}

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.bibtex",
    "docstrings",
    "launch",
    "notebook_pages",
    "page_html",
    "terms",
]
exclude_patterns = ["**/.*", "**/*.failed.ipynb", "_parts/*"]
templates_path = ["templates"]

html_theme = "sphinx_book_theme"
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "navbar_persistent": [],  # the side bar has the search already
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_static_path = ["static"]
html_css_files = ["course.css"]
html_favicon = "static/icon.svg"
html_context = {"default_mode": "auto"}  # light or dark as the reader's system has it
html_use_index = False  # the reference is in order, and the search finds the rest
html_domain_indices = False
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False

nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # no live widgets, so nothing from a CDN
myst_enable_extensions = ["attrs_block", "colon_fence", "dollarmath", "amsmath", "html_image"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": True}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 72
python_use_unqualified_type_names = True
add_module_names = False
default_role = "py:obj"
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # it would write np.str_ as text, where the underscore is a link
# Two classes are called Method; where a bare name could mean either, the first one is linked.
suppress_warnings = ["ref.python"]

bibtex_bibfiles = [str(HERE / "references.bib")]
bibtex_default_style = "unsrt"
bibtex_reference_style = "author_year"
bibtex_cite_id = "{key}"

# MathJax 2 comes out of a Python package; setup() copies it beside the pages.
myst_update_mathjax = False
mathjax_path = "mathjax/MathJax.js"
mathjax2_config = mathjax.CONFIG


def copy_mathjax(app: Any, error: Exception | None) -> None:
    """Lay MathJax where `mathjax_path` points."""
    if error is None:
        mathjax.lay(Path(app.outdir, "_static", "mathjax"))


def setup(app: Any) -> dict[str, bool]:
    """Connect the hook; the signature is Sphinx's."""
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
