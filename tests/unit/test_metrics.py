"""Scores of hand-made maps whose score is known."""

from __future__ import annotations

import numpy as np
import pytest

from xai_utils.metrics import bootstrap_interval, box_mask, energy_inside

MASK = np.zeros((1, 4, 4), bool)
MASK[0, :2, :2] = True  # a quarter of the picture


def test_box_mask_is_half_open_and_a_union() -> None:
    mask = box_mask([[0, 0, 2, 1], [1, 0, 3, 2]], (3, 4))
    assert mask.tolist() == [
        [True, True, True, False],
        [False, True, True, False],
        [False, False, False, False],
    ]
    assert not box_mask(np.empty((0, 4)), (3, 4)).any()


@pytest.mark.parametrize(
    ("heat", "expected"),
    [
        (MASK.astype(float), 1.0),
        (1 - MASK.astype(float), 0.0),
        (np.ones((1, 4, 4)), 0.25),
        (np.pad(np.ones((1, 1, 1)), ((0, 0), (1, 2), (1, 2))), 1.0),
        (np.where(MASK, 3.0, 1.0), 0.5),
        (np.where(MASK, 1.0, -5.0), 1.0),  # negative evidence does not count
    ],
    ids=["perfect", "inverted", "uniform", "one pixel", "three to one", "negative outside"],
)
def test_energy_inside_of_known_maps(heat: np.ndarray, expected: float) -> None:
    assert energy_inside(heat, MASK)[0] == pytest.approx(expected)
    assert energy_inside(1000 * heat, MASK)[0] == pytest.approx(expected)  # no matter the scale


def test_energy_of_a_map_without_positive_values_is_nan() -> None:
    assert np.isnan(
        energy_inside(np.stack([np.zeros((4, 4)), -np.ones((4, 4))]), MASK[[0, 0]])
    ).all()


def test_errors() -> None:
    with pytest.raises(ValueError, match="resize_heatmap"):
        energy_inside(np.ones((1, 2, 2)), MASK)
    with pytest.raises(ValueError, match="NaN"):
        energy_inside(np.full((1, 4, 4), np.nan), MASK)


def test_bootstrap_interval_covers_the_mean_of_normal_numbers() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for k in range(200):
        low, high = bootstrap_interval(rng.normal(1.0, 2.0, 60), seed=k, draws=400)
        covered += low < 1.0 < high
        assert high - low == pytest.approx(2 * 1.96 * 2 / 60**0.5, rel=0.5)
    assert 0.90 < covered / 200 < 0.98


def test_values_that_repeat_within_groups_add_no_certainty() -> None:
    values = np.random.default_rng(1).normal(size=40)
    once = bootstrap_interval(values)
    assert bootstrap_interval(np.repeat(values, 9), np.repeat(np.arange(40), 9)) == pytest.approx(
        once
    )
    blind = bootstrap_interval(np.repeat(values, 9))
    assert blind[1] - blind[0] < 0.5 * (once[1] - once[0])


def test_bootstrap_errors() -> None:
    with pytest.raises(ValueError, match="NaN"):
        bootstrap_interval([1.0, np.nan])
    with pytest.raises(ValueError, match="groups"):
        bootstrap_interval([1.0, 2.0], [0])
