"""The measure that compares fresh figures with stored ones: what passes and what does not."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from figure_similarity import ALIKE, decode, similarity


def smooth(seed: int, sigma: float) -> np.ndarray:
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(200, 200)), sigma)
    return (field - field.min()) / np.ptp(field)


def draw(
    *, plate: int = 4, cmap: str = "magma", noise: float = 0.0, title: str = "scratches 0.98"
) -> np.ndarray:
    """Draw six plates under their maps; the arguments change the fifth."""
    figure = Figure(figsize=(9, 6), dpi=100)
    for k, ax in enumerate(figure.subplots(2, 3).flat):
        last = k == 4
        heat = smooth(20 + k, 20) + (noise * (smooth(99, 0) - 0.5) if last else 0)
        ax.imshow(smooth(plate if last else k, 2), cmap="gray")
        ax.imshow(heat, cmap=cmap if last else "magma", alpha=0.5, vmin=0, vmax=1)
        ax.set_title(title if last else "patches 0.91")
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return decode(base64.b64encode(png.getvalue()).decode())


@pytest.fixture(scope="module")
def stored() -> np.ndarray:
    return draw()


def test_the_same_drawn_again_is_alike(stored: np.ndarray) -> None:
    assert similarity(stored, draw()) == pytest.approx(1)


def test_the_last_digits_of_a_map_do_not_matter(stored: np.ndarray) -> None:
    assert similarity(stored, draw(noise=0.01)) > ALIKE


def test_another_number_in_a_title_is_not_alike(stored: np.ndarray) -> None:
    assert similarity(stored, draw(title="scratches 0.97")) < ALIKE


@pytest.mark.parametrize("cmap", ["inferno", "plasma", "viridis", "magma_r", "jet"])
def test_another_colour_map_in_one_of_six_panels_is_not(stored: np.ndarray, cmap: str) -> None:
    assert similarity(stored, draw(cmap=cmap)) < ALIKE


def test_another_plate_in_one_of_six_panels_is_not(stored: np.ndarray) -> None:
    assert similarity(stored, draw(plate=77)) < ALIKE / 4


def test_another_size_is_not(stored: np.ndarray) -> None:
    assert similarity(stored, stored[:-1]) == 0
