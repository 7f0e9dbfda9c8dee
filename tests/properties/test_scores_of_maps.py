"""Properties of the numbers that judge a map, on any map and any truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from drawn import finite32, often, pictures, seeds, stacks
from xai_utils import metrics
from xai_utils.metrics import METRICS

SHAPE = (2, 7, 8)
heats = hnp.arrays(np.float32, SHAPE, elements=finite32) | stacks(SHAPE)
truths = hnp.arrays(bool, SHAPE)


@pytest.mark.parametrize("name", METRICS)
@often(10)
@given(heat=heats, masks=truths)
def test_a_score_lies_between_0_and_1_or_says_nothing(name: str, heat: Any, masks: Any) -> None:
    score = METRICS[name](heat, masks)
    assert (score.shape, score.dtype) == ((2,), np.float64)
    said = score[~np.isnan(score)]
    assert ((said >= 0) & (said <= 1 + 1e-12)).all()
    turned = METRICS[name](heat[:, ::-1, ::-1], masks[:, ::-1, ::-1])
    np.testing.assert_allclose(turned, score, atol=1e-9)
    alone = [METRICS[name](h[None], m[None])[0] for h, m in zip(heat, masks, strict=True)]
    np.testing.assert_allclose(alone, score, atol=1e-12)
    gain = metrics.gain_over_chance(score, metrics.chance(name, masks))
    assert (np.isnan(gain) | (np.abs(gain) <= 1 + 1e-12)).all()


@often(15)
@given(heat=heats, masks=truths)
def test_the_auc_of_the_negative_map_is_the_rest(heat: Any, masks: Any) -> None:
    total = metrics.auc_inside(heat, masks) + metrics.auc_inside(-heat, masks)
    np.testing.assert_allclose(total[~np.isnan(total)], 1, atol=1e-12)


@often(15)
@given(heat=heats, masks=truths)
def test_a_map_of_positive_values_has_one_share_by_both_names(heat: Any, masks: Any) -> None:
    one = metrics.energy_inside(heat, masks)
    other = metrics.relevance_mass_accuracy(heat, masks, pool="sum,pos")
    np.testing.assert_array_equal(one, other)


@often(20)
@given(heat=heats, factor=st.floats(1e-3, 1e3), seed=seeds)
def test_how_short_an_answer_is_hangs_on_no_scale_and_no_order(
    heat: Any, factor: float, seed: int
) -> None:
    heat = heat.astype(np.float64)
    d = heat[0].size
    for measure, most in ((metrics.sparseness, 1 - 1 / d), (metrics.entropy, np.log(d))):
        found = measure(heat)
        said = found[~np.isnan(found)]
        assert ((said >= -1e-9) & (said <= most + 1e-9)).all()
        np.testing.assert_allclose(measure(factor * heat), found, atol=1e-6)
        np.testing.assert_allclose(measure(-heat), found, atol=1e-12)
        shuffled = np.random.default_rng(seed).permuted(heat.reshape(2, -1), axis=1)
        np.testing.assert_allclose(measure(shuffled), found, atol=1e-9)


@often(20)
@given(a=heats, b=heats)
def test_a_rank_correlation_is_one(a: Any, b: Any) -> None:
    found = metrics.rank_correlation(a, b)
    assert (np.isnan(found) | (np.abs(found) <= 1 + 1e-12)).all()
    np.testing.assert_allclose(metrics.rank_correlation(b, a), found, atol=1e-12)
    np.testing.assert_allclose(metrics.rank_correlation(-a.astype(float), b), -found, atol=1e-12)
    itself = metrics.rank_correlation(a, a)
    np.testing.assert_allclose(itself[~np.isnan(itself)], 1, atol=1e-12)


@often(15)
@given(a=heats, b=heats, factor=st.floats(1e-3, 1e3))
def test_a_likeness_of_structure_is_one(a: Any, b: Any, factor: float) -> None:
    found = metrics.ssim(a, b)
    assert (np.abs(found) <= 1 + 1e-9).all()
    np.testing.assert_allclose(metrics.ssim(b, a), found, atol=1e-9)
    np.testing.assert_allclose(metrics.ssim(a, a), 1, atol=1e-9)
    np.testing.assert_allclose(metrics.ssim(factor * a.astype(float), b), found, atol=1e-6)


@often(10)
@given(images=pictures((6, 9, 3)))
def test_edges_know_no_direction_and_no_colour(images: Any) -> None:
    edges = metrics.sobel_edges(images)
    assert edges.shape == images.shape[:3] and edges.min() >= 0
    np.testing.assert_allclose(
        metrics.sobel_edges(images[:, :, ::-1])[:, :, ::-1], edges, atol=1e-12
    )
    np.testing.assert_allclose(metrics.sobel_edges(images[..., ::-1]), edges, atol=1e-7)


@often(10)
@given(
    values=hnp.arrays(np.float64, st.integers(1, 12), elements=st.floats(-1e6, 1e6)),
    level=st.floats(0.01, 0.99),
    seed=seeds,
    data=st.data(),
)
def test_an_interval_of_means_lies_within_the_values(
    values: Any, level: float, seed: int, data: Any
) -> None:
    groups = data.draw(st.none() | hnp.arrays(np.int64, values.shape, elements=st.integers(0, 3)))
    low, high = metrics.bootstrap_interval(values, groups, level=level, draws=50, seed=seed)
    slack = 1e-9 * max(1, np.abs(values).max())
    assert values.min() - slack <= low <= high <= values.max() + slack


@often(10)
@given(
    boxes=st.lists(st.tuples(*[st.integers(0, 9)] * 4), max_size=4),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_a_mask_has_the_pixels_of_its_boxes(boxes: Any, size: Any) -> None:
    mask = metrics.box_mask(boxes, size)
    rows, columns = np.indices(size)
    inside = np.zeros(size, bool)
    for x0, y0, x1, y1 in boxes:
        inside |= (x0 <= columns) & (columns < x1) & (y0 <= rows) & (rows < y1)
    np.testing.assert_array_equal(mask, inside)


@often(10)
@given(heat=heats, masks=truths.filter(lambda m: m.any()), name=st.sampled_from(sorted(METRICS)))
def test_a_verdict_is_one_line(heat: Any, masks: Any, name: str) -> None:
    if name == "auc_inside" and np.isnan(metrics.chance(name, masks)).all():
        return  # there is nothing but truth: no AUC
    said = metrics.is_it_right(heat, masks, what="a map", metric=name)
    assert said.startswith("Is it right? a map: ") and "\n" not in said and "nan" not in said
    sums = np.asarray(heat, np.float64).sum(axis=(1, 2))
    said = metrics.is_it_complete(heat, sums, what="a map")
    assert "\n" not in said and "nan" not in said
