"""MathJax 2 out of a Python package, for whatever shows formulas without the net."""

from __future__ import annotations

import importlib.resources
import shutil
from pathlib import Path
from typing import Any

# It would ask for two fonts that are not there: a blank one, and one for script letters in what a
# screen reader gets.
NO_FONT = {"src": "local('serif')"}
CONFIG: dict[str, Any] = {
    "config": ["TeX-AMS-MML_HTMLorMML-full.js"],
    "HTML-CSS": {
        "availableFonts": [],
        "imageFont": None,
        "webFont": "STIX-Web",
        "styles": {"@font-face": NO_FONT},
    },
    "NativeMML": {"styles": {"@font-face /*4*/": NO_FONT}},
    "showMathMenu": False,
    "messageStyle": "none",
}


def lay(target: Path) -> None:
    """Copy MathJax into a folder, without the other languages of its menu."""
    static = importlib.resources.files("jupyter_server_mathjax") / "static"
    with importlib.resources.as_file(static) as folder:
        ignored = shutil.ignore_patterns("localization")
        shutil.copytree(folder, target, ignore=ignored, dirs_exist_ok=True)
