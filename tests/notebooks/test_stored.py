"""The committed notebooks as they are stored."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import nbformat
import numpy as np

import course
import exercise_rules
import kernels
import notebook_rules as rules
from figure_similarity import ALIKE, decode, similarity


def stored_figures(notebook: Path) -> list[np.ndarray]:
    """Return the pixels of every PNG that a notebook shows."""
    cells = nbformat.read(notebook, as_version=4).cells
    shown = [picture for cell in cells for picture in rules.pictures(cell)]
    return [decode(data) for mime, data, _ in shown if mime == "image/png"]


def test_there_is_a_course() -> None:
    """Without notebooks all other tests here would pass by having nothing to look at."""
    assert (course.ROOT / "notebooks" / "00_start_here.ipynb").exists()


def test_the_rules_hold(notebook: Path) -> None:
    found = rules.problems(nbformat.read(notebook, as_version=4), notebook)
    assert not found, f"{notebook.name}:\n" + "\n".join(found)


def test_each_exercise_has_wrong_answers(notebook: Path) -> None:
    stored = nbformat.read(notebook, as_version=4)
    found = exercise_rules.wrong_problems(stored, exercise_rules.wrong_answers(notebook.stem))
    assert not found, f"{notebook.name}:\n" + "\n".join(found)


def test_it_was_executed_on_real_data(notebook: Path) -> None:
    data = kernels.Run(notebook.name, nbformat.read(notebook, as_version=4), 0.0, None).data
    assert data != "does not say", f"{notebook.name} prints no line `Data: <source>`"
    assert "embedded" not in data, f"{notebook.name} was stored from {data}"


def test_a_wrong_colour_map_or_picture_would_be_found(notebook: Path) -> None:
    figures = stored_figures(notebook)
    for picture in figures:
        if np.ptp(picture.astype(int), axis=-1).max() > 60:  # it has colours
            assert similarity(picture, picture[..., ::-1]) < ALIKE
    for first, second in pairwise(figures):
        height, width = np.minimum(first.shape, second.shape)[:2]
        assert similarity(first[:height, :width], second[:height, :width]) < ALIKE
