"""Importing is cheap, and no module reaches for a floor above its own."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import xai_utils

PACKAGE = Path(xai_utils.__file__).parent
MODULES = sorted(module.name for module in pkgutil.iter_modules([str(PACKAGE)]))

# From the ground up; a module may import its own floor and those below.
FLOORS = [
    {"_quiet", "_kept", "_suggestions", "exercises"},
    {"storage", "_archive", "_registry", "_settings", "_transfer"},
    {
        *("datasets", "_readers", "_tables", "_photos", "_production"),
        *("simulate", "overlaps", "_steel", "_shortcuts"),
    },
    {
        *("models", "ground_truth", "training", "_feeding", "_recipes"),
        *("imagenet", "_imagenet_files", "_networks", "_squeezenet"),
    },
    {"scores", "_engine", "_graph", "_stand_ins"},
    {
        *("gradients", "_paths", "backprop", "_relevance", "_reverse", "_rules", "_rescale"),
        "_rule_settings",
        *("cam", "_cam_layers", "_cam_maps", "_cam_runs"),
        *("perturbation", "_black_box", "_incremental", "_boxes", "_occluders", "prototypes"),
        *("optimization", "_regularisers", "_units"),
        *("tabular", "_frames", "_sensitivity", "shapley", "_shap_package"),
        *("local_surrogates", "_lime_package"),
    },
    {
        *("plots", "_alt_text", "_colours", "_drawing", "_layout", "method_map"),
        "_colour_vision",
        *("distributed", "_chunk_job", "_chunk_runs", "_dataset_job"),
        *("_image_loading", "_image_sources", "_map_store"),
        *("metrics", "_localisation", "_faithfulness", "_fills", "_robustness", "_sanity", "_gain"),
    },
    {  # what asks methods and metrics together
        *("evaluation", "_evaluation_store", "_evaluation_table", "_evaluation_terms"),
        *("_evaluation_parts", "_evaluation_views"),
        *("live", "_live_frame", "_live_steps", "_live_views", "_live_widget"),
        *("scoreboard", "_course_maps", "_course_metrics", "_course_sums", "_saliency_cards"),
    },
    {  # what the command line does
        *("figures", "_captions", "_mirror"),
        *("own_images", "_own_models", "_own_checks", "_fitting"),
    },
    {"__main__"},
]
GROUND = FLOORS[0]
SCORES, METHODS, TOP = FLOORS[4:7]
LATE = ["tensorflow", "keras", "shap", "lime", "matplotlib.pyplot", "cv2"]


def floor_of(module: str) -> int:
    found = [k for k, floor in enumerate(FLOORS) if module in floor]
    assert found, f"xai_utils/{module}.py stands on no floor: add it to FLOORS"
    return found[0]


def imports_of(source: str) -> set[str]:
    """The modules of the package that a source imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            parts = [alias.name.split(".") for alias in node.names]
            found |= {name[1] for name in parts if name[0] == "xai_utils" and len(name) > 1}
        elif isinstance(node, ast.ImportFrom):
            name = (node.module or "").split(".")
            if node.level == 0 and name[0] != "xai_utils":
                continue
            inside = [part for part in (name if node.level else name[1:]) if part]
            found |= {inside[0]} if inside else {alias.name for alias in node.names}
    return found & {*MODULES}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from . import scores", {"scores"}),
        ("from .scores import trace", {"scores"}),
        ("import xai_utils.cam", {"cam"}),
        ("from xai_utils import cam, plots", {"cam", "plots"}),
        ("def f():\n    from xai_utils.plots import Panel", {"plots"}),
        ("import numpy, keras.models\nfrom keras import models", set()),
    ],
)
def test_the_reader_of_imports(source: str, expected: set[str]) -> None:
    assert imports_of(source) == expected


@pytest.mark.parametrize("module", MODULES)
def test_no_import_runs_upward(module: str) -> None:
    imported = imports_of((PACKAGE / f"{module}.py").read_text())
    above = {other for other in imported if floor_of(other) > floor_of(module)}
    assert not above, f"{module} imports from a floor above its own: {sorted(above)}"


@pytest.mark.parametrize("module", [m for m in MODULES if m in METHODS | SCORES])
def test_a_method_never_loads_data_trains_or_plots(module: str) -> None:
    imported = imports_of((PACKAGE / f"{module}.py").read_text())
    assert imported <= METHODS | SCORES | GROUND


@pytest.mark.parametrize("module", [m for m in MODULES if m in TOP])
def test_a_plot_never_computes_an_explanation(module: str) -> None:
    imported = imports_of((PACKAGE / f"{module}.py").read_text())
    assert not imported & METHODS


def test_importing_everything_loads_nothing_heavy() -> None:
    names = ", ".join(
        ["xai_utils", *(f"xai_utils.{module}" for module in MODULES if module != "__main__")]
    )
    code = f"import sys, {names}; print(*(m for m in {LATE!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
