"""Scores of hand-made maps whose score is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xai_utils import metrics
from xai_utils.metrics import (
    METRICS,
    bootstrap_interval,
    box_mask,
    chance,
    energy_inside,
    gain_over_chance,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)

MASK = np.zeros((1, 4, 4), bool)
MASK[0, :2, :2] = True  # a quarter of the picture


def spot(row: int, column: int, size: int = 4) -> np.ndarray:
    heat = np.zeros((1, size, size))
    heat[0, row, column] = 1.0
    return heat


KNOWN = {  # maps, and what they score in the order of METRICS
    "perfect": (MASK * 1.0, (1, 1, 1, 1, 1)),
    "inverted": (1.0 - MASK, (0, 0, 0, 0, 0)),
    "uniform": (np.ones((1, 4, 4)), (0.25, 0.25, 0.25, 0.25, 0.5)),
    # Of the 4 highest pixels 1 is the spot; 3 are drawn from the other 15, of which 3 lie inside.
    # Of the 4 x 12 pairs the spot wins 12, and 36 are ties.
    "one pixel inside": (spot(0, 1), (1, 1, 1, (1 + 3 * 3 / 15) / 4, (12 + 18) / 48)),
    "one pixel outside": (spot(3, 3), (0, 0, 0, 3 * 4 / 15 / 4, (0 + 44 / 2) / 48)),
    "signed": (np.where(MASK, 1.0, -1 / 3), (1, 1, 0.5, 1, 1)),
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1000.0])
def test_known_maps(name: str, scale: float) -> None:
    heat, expected = KNOWN[name]
    found = [metric(scale * heat, MASK) for metric in METRICS.values()]
    assert all((f.shape, f.dtype) == ((1,), np.float64) for f in found)
    assert [f[0] for f in found] == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_map_that_says_nothing_is_nan_and_counts_as_chance(metric: Any) -> None:
    found = metric(np.zeros((1, 4, 4)), MASK)
    assert np.isnan(found[0])
    assert gain_over_chance(found, chance(metric, MASK))[0] == 0


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_nothing_to_find_and_nothing_else(metric: Any) -> None:
    masks = np.stack([np.zeros((4, 4), bool), np.ones((4, 4), bool)])
    heat = np.random.default_rng(0).random((2, 4, 4))
    found, expected = metric(heat, masks), chance(metric, masks)
    whole = np.nan if metric is METRICS["auc_inside"] else 1.0
    np.testing.assert_array_equal(np.isnan(expected), np.isnan([np.nan, whole]))
    np.testing.assert_allclose(found, [np.nan, whole])
    np.testing.assert_allclose(gain_over_chance(found, expected), [np.nan, whole - whole])


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_no_metric_takes_nan_or_infinity(metric: Any, bad: float) -> None:
    heat = np.ones((1, 4, 4))
    heat[0, 2, 1] = bad
    with pytest.raises(ValueError, match="NaN or infinity in the heat"):
        metric(heat, MASK)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("shape", [(1, 2, 2), (2, 4, 4), (4, 4)])
def test_no_metric_takes_another_size(metric: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected"):
        metric(np.ones(shape), MASK)


# --- the pointing game ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "tolerance", "expected"),
    [((0, 4), 0, 0), ((0, 4), 2.9, 0), ((0, 4), 3, 1), ((3, 3), 2.8, 0), ((3, 3), 2.9, 1)],
)
def test_tolerance_is_a_distance_in_pixels(
    place: tuple[int, int], tolerance: float, expected: float
) -> None:
    mask = np.zeros((1, 8, 8), bool)
    mask[0, :2, :2] = True
    assert pointing_game(spot(*place, size=8), mask, tolerance=tolerance)[0] == expected


def test_tolerance_raises_chance_as_well() -> None:
    mask = spot(3, 3, size=8) > 0
    assert chance(pointing_game, mask)[0] == 1 / 64
    assert chance("pointing_game", mask, tolerance=1)[0] == 5 / 64  # a cross
    assert chance("pointing_game", mask, tolerance=1.5)[0] == 9 / 64
    assert pointing_game(np.ones((1, 8, 8)), mask, tolerance=1)[0] == 5 / 64


def test_two_equal_peaks_count_half_each() -> None:
    assert pointing_game(spot(0, 0) + spot(3, 3), MASK)[0] == 0.5


def test_the_highest_of_negative_values_is_no_peak() -> None:
    assert np.isnan(pointing_game(-1 - spot(3, 3), MASK)[0])


# --- relevance with channels ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pool", "inside", "outside"),
    [
        ("sum,pos", 1, 0),
        ("sum,abs", 1, 1),
        ("l1-norm", 7, 1),
        ("max-norm", 4, 1),
        ("l2-norm", 5, 1),
        ("l2-norm-sq", 25, 1),
    ],
)
def test_pools(pool: Any, inside: float, outside: float) -> None:
    maps = np.zeros((1, 4, 4, 2))
    maps[0, 0, 0] = [4, -3]
    maps[0, 3, 3] = [-1, 0]
    expected = inside / (inside + outside)
    assert relevance_mass_accuracy(maps, MASK, pool=pool)[0] == pytest.approx(expected)


def test_one_channel_is_the_same_with_its_axis_and_without() -> None:
    maps = np.random.default_rng(1).normal(size=(1, 4, 4))
    for metric in (relevance_mass_accuracy, relevance_rank_accuracy):
        np.testing.assert_array_equal(metric(maps, MASK), metric(maps[..., None], MASK))
    positive = relevance_mass_accuracy(maps, MASK, pool="sum,pos")
    np.testing.assert_array_equal(positive, energy_inside(maps, MASK))


def test_wrong_pools() -> None:
    with pytest.raises(ValueError, match="pool 'mean'; expected one of 'sum,pos'"):
        relevance_mass_accuracy(np.ones((1, 4, 4)), MASK, pool="mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="or with C"):
        relevance_rank_accuracy(np.ones((4, 4)), MASK)


# --- chance and gain -----------------------------------------------------------------------------


def test_chance_takes_names_and_functions_and_nothing_else() -> None:
    assert chance(energy_inside, MASK)[0] == chance("energy_inside", MASK)[0] == 0.25
    assert chance("auc_inside", MASK)[0] == 0.5
    with pytest.raises(ValueError, match=r"'iou'; there are pointing_game, energy_inside"):
        chance("iou", MASK)
    with pytest.raises(ValueError, match="tolerance -1"):
        chance("pointing_game", MASK, tolerance=-1)
    with pytest.raises(ValueError, match=r"masks of shape \(4, 4\)"):
        chance("auc_inside", MASK[0])


def test_the_blob_is_centred_and_even() -> None:
    blob = metrics.centred_blob((2, 5, 8))
    assert blob.shape == (2, 5, 8)
    np.testing.assert_allclose(blob, blob[:, ::-1, ::-1])
    assert blob.argmax(axis=1).tolist() == [[2] * 8] * 2
    inner = np.zeros((1, 8, 8), bool)
    inner[0, 2:6, 2:6] = True
    assert energy_inside(metrics.centred_blob((1, 8, 8)), inner)[0] > 0.25


# --- one line under a figure ---------------------------------------------------------------------


def test_one_line_for_many_images() -> None:
    masks = MASK.repeat(20, axis=0)
    heat = np.where(masks, 3.0, 1.0)
    heat[4] = 0
    line = metrics.is_it_right(heat, masks, what="Ours", groups=np.arange(20) // 2)
    assert line.startswith(
        "Is it right? Ours: energy inside 0.49, chance 0.25, gain +0.24 (95 %: +0.2"
    )
    assert "20 images), above chance; 1 of 20 maps say nothing and count as chance" in line
    assert line.endswith("controls: a centred blob +0.00")
    below = metrics.is_it_right(1.0 - masks, masks, what="Ours", metric="pointing_game")
    assert "pointing game 0.00, chance 0.25, gain -0.25 (95 %: -0.25 to -0.25" in below
    assert "below chance" in below
    assert "not told from chance" in metrics.is_it_right(np.ones((20, 4, 4)), masks, what="Flat")


def test_one_line_for_few_images_has_no_interval() -> None:
    pictures = np.zeros((2, 4, 4, 1))
    pictures[:, :2, :2] = np.eye(2)[..., None]
    pair = metrics.is_it_right(
        np.concatenate([MASK, 1.0 - MASK]), MASK[[0, 0]], what="Ours", images=pictures
    )
    assert "gain +0.25 (2 images: -0.25 to +0.75); controls: a centred blob" in pair
    assert ", edges +" in pair
    assert "(one image)" in metrics.is_it_right(MASK, MASK, what="Ours")
    with pytest.raises(ValueError, match="every mask is empty"):
        metrics.is_it_right(MASK, MASK & False, what="Ours")


def test_one_line_for_sums() -> None:
    maps = np.array([[[1.0, 2.0]], [[4.0, -1.0]]])
    assert metrics.is_it_complete(maps[:1], [2.9], what="IG") == (
        "Is it right? IG: sum 3.00 for 2.90, residual +0.10 (3.45%)"
    )
    assert metrics.is_it_complete(maps, [3.01, 3.2], what="IG") == (
        "Is it right? IG: 2 images, sum 3.00 for 3.10, largest residual -0.20 (6.44%)"
    )
    with pytest.raises(ValueError, match=r"expected \(N, ...\) and \(N,\)"):
        metrics.is_it_complete(maps, [3.0], what="IG")
    with pytest.raises(ValueError, match="NaN"):
        metrics.is_it_complete(maps, [3.0, np.nan], what="IG")


# --- energy inside and the bootstrap -------------------------------------------------------------


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
