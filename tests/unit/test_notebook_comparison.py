"""The comparison of a fresh execution with the stored notebook, on small notebooks."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import course
import kernels
from notebook_comparison import as_rounded, changed_claims, changed_figures

DRAW = """\
import io
import os
import numpy as np
from IPython.display import Image, display
from matplotlib.figure import Figure
figure = Figure(figsize=(4, 3))
plate = np.random.default_rng(int(os.environ.get("PLATE", 0))).normal(size=(12, 12))
figure.subplots().imshow(plate, cmap=os.environ.get("CMAP", "magma"))
png = io.BytesIO()
figure.savefig(png, format="png")
display(Image(png.getvalue(), alt="Noise."))
"""
SOURCES = (
    DRAW,
    "# NBVAL_CHECK_OUTPUT\nprint('hits', os.environ.get('HITS', 5))",
    "print('not compared', os.environ.get('HITS', 5))",
    "import sys\n# NBVAL_CHECK_OUTPUT\nfor k in range(3):\n    print(k); sys.stdout.flush()\nk",
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook that was executed and stored."""
    path = tmp_path_factory.mktemp("stored") / "10_small.ipynb"
    cells = [new_markdown_cell("# Title"), *map(new_code_cell, SOURCES)]
    nbformat.write(new_notebook(cells=cells), path)
    run = kernels.execute(path)
    assert run.failure is None, run.failure
    course.write(run.notebook, path)
    return path


def again(path: Path, **environment: str) -> NotebookNode:
    import os

    run = kernels.execute(path, {**os.environ, **environment})
    assert run.failure is None, run.failure
    return run.notebook


def figures(path: Path, fresh: NotebookNode) -> list[str]:
    return list(changed_figures(path.name, nbformat.read(path, as_version=4), fresh))


def test_the_same_again_is_the_same(stored: Path, request: pytest.FixtureRequest) -> None:
    fresh = again(stored)
    assert list(changed_claims(request.session, stored, fresh)) == []
    assert figures(stored, fresh) == []


def test_a_changed_claim_is_named_with_its_cell(
    stored: Path, request: pytest.FixtureRequest
) -> None:
    fresh = again(stored, HITS="6", CMAP="viridis")
    (found,) = changed_claims(request.session, stored, fresh)
    assert found.startswith("10_small.ipynb, cell 2: ")
    assert "hits 5" in found
    assert "hits 6" in found
    (found,) = figures(stored, fresh)
    assert found.startswith("10_small.ipynb, cell 1: figure differs, similarity ")


def test_another_plate_is_found(stored: Path) -> None:
    assert len(figures(stored, again(stored, PLATE="1"))) == 1


def test_a_vanished_figure_is_found_and_an_ignored_one_is_not_compared(stored: Path) -> None:
    old = nbformat.read(stored, as_version=4)
    fresh = nbformat.read(stored, as_version=4)
    fresh.cells[1].outputs = []
    assert list(changed_figures("n", old, fresh)) == ["n, cell 1: 0 pictures, stored are 1"]
    old.cells[1].metadata.tags = ["nbval-ignore-output"]
    assert list(changed_figures("n", old, fresh)) == []


def test_a_vanished_claim_is_found(stored: Path, request: pytest.FixtureRequest) -> None:
    fresh = nbformat.read(stored, as_version=4)
    fresh.cells[2].outputs = []
    (found,) = changed_claims(request.session, stored, fresh)
    assert "cell 2" in found


@pytest.mark.parametrize(
    ("new", "same"),
    [
        ("share 0.04 of 12 maps, 51%", True),
        ("share 0.03 of 12 maps, 50%", True),
        ("share  0.05 of 12 maps, 51%", False),
        ("share 0.04 of 13 maps, 51%", False),
        ("share -0.04 of 12 maps, 51%", False),
        ("share 0.04 of 12 maps, 53%", False),
        ("share 0.041 of 12 maps, 51%", False),
        ("mean 0.04 of 12 maps, 51%", False),
        ("share 0.04 of 12 maps", False),
    ],
)
def test_a_rounded_number_may_fall_to_its_other_side(new: str, same: bool) -> None:
    old = "share 0.03 of 12 maps, 51%"
    assert (as_rounded(new, old) == old) == same
