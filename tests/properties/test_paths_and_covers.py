"""Properties of what methods are made of: rules of quadrature, baselines, masks, covers, curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import SHAPES, near, often, pictures, seeds, shares, stacks, with_weights
from xai_utils import cam, gradients, metrics, perturbation, scores
from xai_utils._paths import baselines, quadrature_rule

RULES = ("midpoint", "trapezoid", "gauss-legendre")
GREY = SHAPES["gap"]
one_map = stacks((2, 8, 8))
sizes = st.tuples(st.integers(1, 30), st.integers(1, 30))


# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
@often(10)
@given(steps=st.integers(2, 200), slope=st.floats(-5, 5), height=st.floats(-5, 5))
def test_a_quadrature_is_a_mean_and_exact_for_lines(
    name: str, steps: int, slope: float, height: float
) -> None:
    points, weights = quadrature_rule(name, steps)
    assert points.shape == weights.shape == (steps,)
    assert points.min() >= 0 and points.max() <= 1 and weights.min() > 0
    np.testing.assert_allclose(weights.sum(), 1, atol=1e-12)
    np.testing.assert_allclose(weights @ (slope * points + height), slope / 2 + height, atol=1e-11)
    np.testing.assert_allclose(np.sort(1 - points), np.sort(points), atol=1e-12)


@often(10)
@given(images=pictures(GREY), value=shares)
def test_a_baseline_is_the_same_as_number_image_or_images(images: Any, value: float) -> None:
    for given_ in (value, np.full(GREY, value), np.full(images.shape, value)):
        found = baselines(given_, images)
        assert (found.shape, found.dtype) == (images.shape, np.float32)
        assert (found == np.float32(value)).all()


@pytest.mark.parametrize("name", RULES)
@often(5)
@given(images=pictures(GREY), seed=seeds, start=shares, steps=st.integers(2, 9))
def test_the_residual_is_what_the_shares_lack(
    name: Any, images: Any, seed: int, start: float, steps: int
) -> None:
    model = with_weights("gap", seed)
    images[..., 0, :] = np.float32(start)  # a column that equals its baseline
    total, residual = gradients.integrated_gradients(
        *(model, images, 1),
        baseline=start, steps=steps, quadrature=name, return_residual=True,
    )  # fmt: skip
    ends = [scores.logits(model, x)[:, 1] for x in (images, np.full_like(images, start))]
    near(total.sum(axis=(1, 2, 3)), ends[0] - ends[1] + residual, *ends)
    assert not total[..., 0, :].any()


# --- covers and masks ----------------------------------------------------------------------------


@often(10)
@given(
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    cell=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    cut=st.integers(0, 9),
    seed=seeds,
    keep=st.floats(0.01, 1),
)
def test_masks_are_shares_and_the_same_whoever_asks(
    size: Any, cell: Any, cut: int, seed: int, keep: float
) -> None:
    cell = tuple(map(min, cell, size))
    masks = perturbation.rise_masks(size, cell, 0, 9, keep=keep, seed=seed)
    assert (masks.shape, masks.dtype) == ((9, *size), np.float32)
    assert masks.min() >= 0 and masks.max() <= 1 + 1e-6
    parts = [
        perturbation.rise_masks(size, cell, a, b, keep=keep, seed=seed)
        for a, b in ((0, cut), (cut, 9))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), masks)
    if keep == 1:
        np.testing.assert_allclose(masks, 1, atol=1e-6)


@often(12)
@given(
    images=pictures(GREY, most=2),
    seed=seeds,
    patch=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    part=st.tuples(shares, shares),
    occluder=st.sampled_from(["black", "mean", "blur", 0.3]),
)
def test_occlusion_is_the_same_by_any_way(
    images: Any, seed: int, patch: Any, part: Any, occluder: Any
) -> None:
    model = with_weights("gap", seed)
    stride = tuple(max(1, round(p * share)) for p, share in zip(patch, part, strict=True))
    options: dict[str, Any] = {"patch": patch, "stride": stride, "occluder": occluder}
    heat = perturbation.occlusion(model, images, 2, **options)
    assert heat.shape == images.shape[:3] and np.isfinite(heat).all()
    size = scores.logits(model, images)
    near(perturbation.occlusion(model, images, 2, incremental=False, **options), heat, size)

    def asked(x: Any) -> Any:
        return scores.logits(model, np.asarray(x, np.float32))

    near(perturbation.occlusion(asked, images, 2, **options), heat, size)


@often(8)
@given(value=shares, seed=seeds, patch=st.integers(1, 8))
def test_a_cover_that_changes_nothing_costs_nothing(value: float, seed: int, patch: int) -> None:
    images = np.full((2, *GREY), value, np.float32)
    heat = perturbation.occlusion(
        with_weights("gap", seed), images, 0, patch=patch, occluder=float(np.float32(value))
    )
    assert not heat.any()


# --- maps of features ----------------------------------------------------------------------------


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@often(12)
@given(
    heat=one_map, size=st.tuples(st.integers(1, 30), st.integers(1, 30)), factor=st.floats(-9, 9)
)
def test_enlarging_invents_nothing(interpolation: str, heat: Any, size: Any, factor: float) -> None:
    large = cam.resize_heatmap(heat, size, interpolation=interpolation)
    assert (large.shape, large.dtype) == ((2, *size), np.float32)
    for was, now in zip(heat, large, strict=True):
        assert was.min() - 1e-5 <= now.min() and now.max() <= was.max() + 1e-5
    np.testing.assert_array_equal(
        cam.resize_heatmap(heat, (8, 8), interpolation=interpolation), heat
    )
    scaled = cam.resize_heatmap(factor * heat, size, interpolation=interpolation)
    near(scaled, factor * large)
    np.testing.assert_array_equal(
        cam.resize_heatmap(heat[0], size, interpolation=interpolation), large[0]
    )
    if interpolation == "bilinear":
        turned = cam.resize_heatmap(heat[:, :, ::-1], size)
        near(turned, large[:, :, ::-1])


@often(20)
@given(heat=one_map, keep=st.floats(1e-3, 1))
@pytest.mark.filterwarnings("ignore:importance_mask")
def test_a_mask_keeps_the_same_number_whatever_the_scale(heat: Any, keep: float) -> None:
    mask = cam.importance_mask(heat, keep)
    assert (mask.sum(axis=(1, 2)) == max(1, round(keep * 64))).all()
    for values, kept in zip(heat, mask, strict=True):
        assert kept.all() or values[kept].min() >= values[~kept].max()
    np.testing.assert_array_equal(cam.importance_mask(np.sinh(heat), keep), mask)
    np.testing.assert_array_equal(cam.importance_mask(heat[1], keep), mask[1])


@often(12)
@given(first=one_map, second=stacks((2, 3, 5)), factor=st.floats(1e-3, 1e3))
def test_layers_have_the_same_say_in_any_unit(first: Any, second: Any, factor: float) -> None:
    both = cam.combine_layers({"a": first, "b": second}, (9, 11))
    assert both.shape == (2, 9, 11) and np.abs(both).max() <= 1 + 1e-5
    near(cam.combine_layers({"a": factor * first, "b": second}, (9, 11)), both)


# --- curves --------------------------------------------------------------------------------------


@often(10)
@given(
    images=pictures(GREY, most=2),
    seed=seeds,
    data=st.data(),
    fill=st.sampled_from([0.0, "mean", "blur"]),
    insert=st.booleans(),
    size=st.integers(1, 9),
)
def test_a_curve_runs_from_the_image_to_what_fills_it(
    images: Any, seed: int, data: Any, fill: Any, insert: bool, size: int
) -> None:
    model = with_weights("gap", seed)
    heat = data.draw(stacks(images.shape[:3]))
    options: dict[str, Any] = {"fill": fill, "insert": insert}
    curve = metrics.removal_curve(model, images, heat, 1, steps=4, **options)
    assert curve.values.shape == curve.kept.shape == (len(images), 5)
    whole = scores.logits(model, images)
    near(curve.values[:, -1 if insert else 0], whole[:, 1], whole)
    assert np.isfinite(curve.area).all() and np.isfinite(curve.drop).all()
    low, high = curve.values.min(axis=1), curve.values.max(axis=1)
    assert (curve.area >= low - 1e-5).all() and (curve.area <= high + 1e-5).all()
    bent = metrics.removal_curve(model, images, np.sinh(heat), 1, steps=4, **options)
    near(bent.values, curve.values)
    again = metrics.removal_curve(model, images, heat, 1, steps=4, batch_size=size, **options)
    near(again.values, curve.values)
