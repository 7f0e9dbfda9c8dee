"""What must hold of every metric, and on networks whose truth is known by construction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xai_utils import backprop, cam, ground_truth, metrics, scores
from xai_utils.gradients import input_x_gradient, integrated_gradients, saliency
from xai_utils.metrics import METRICS, chance, gain_over_chance
from xai_utils.perturbation import occlusion

SIDE = 16
MAPS = hnp.arrays(np.int64, (2, 5, 6), elements=st.integers(-3, 3))  # few values: many ties
MASKS = hnp.arrays(bool, (2, 5, 6))
ORDER_ONLY = ["pointing_game", "auc_inside"]


# --- every metric --------------------------------------------------------------------------------


@given(maps=MAPS, masks=MASKS, scale=st.floats(1e-3, 1e3))
@pytest.mark.parametrize("name", METRICS)
def test_the_scale_of_the_heat_does_not_matter(
    name: str, maps: np.ndarray, masks: np.ndarray, scale: float
) -> None:
    one, other = METRICS[name](maps, masks), METRICS[name](scale * maps, masks)
    np.testing.assert_allclose(one, other, atol=1e-12)
    assert np.isnan(one).all() or (np.nanmin(one) >= 0 and np.nanmax(one) <= 1)


@given(masks=MASKS, value=st.floats(1e-3, 1e3), tolerance=st.floats(0, 3))
@pytest.mark.parametrize("name", METRICS)
def test_a_map_that_is_the_same_everywhere_scores_chance(
    name: str, masks: np.ndarray, value: float, tolerance: float
) -> None:
    kind = {"tolerance": tolerance} if name == "pointing_game" else {}
    found = METRICS[name](np.full(masks.shape, value), masks, **kind)
    np.testing.assert_allclose(found, chance(name, masks, tolerance=tolerance), atol=1e-12)


@given(maps=MAPS, masks=MASKS)
@pytest.mark.parametrize("name", ORDER_ONLY)
def test_only_the_order_of_the_values_counts(
    name: str, maps: np.ndarray, masks: np.ndarray
) -> None:
    bent = np.sinh(maps)  # keeps the order and zero
    np.testing.assert_array_equal(METRICS[name](maps, masks), METRICS[name](bent, masks))


@given(maps=MAPS, masks=MASKS)
def test_auc_of_the_negative_map_is_one_minus(maps: np.ndarray, masks: np.ndarray) -> None:
    np.testing.assert_allclose(
        metrics.auc_inside(maps, masks), 1 - metrics.auc_inside(-maps, masks), atol=1e-12
    )


@pytest.mark.parametrize("name", METRICS)
def test_random_maps_score_chance_on_average(name: str) -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((10, 10), bool)
    mask[1:5, 2:8] = True
    masks = np.broadcast_to(mask, (4000, 10, 10))
    kind = {"tolerance": 2} if name == "pointing_game" else {}
    found = METRICS[name](rng.random(masks.shape), masks, **kind)
    gain = gain_over_chance(found, chance(name, masks, tolerance=2))
    assert abs(gain.mean()) < 4 * gain.std() / len(gain) ** 0.5


@given(maps=MAPS)
def test_complexity_does_not_see_scale_sign_or_place(maps: np.ndarray) -> None:
    turned = -7.5 * maps[:, ::-1]
    for measure in (metrics.sparseness, metrics.entropy):
        np.testing.assert_allclose(measure(maps), measure(turned), atol=1e-9)


@given(maps=hnp.arrays(np.int64, (2, 9), elements=st.integers(1, 9)))
def test_a_map_that_is_poured_together_is_sparser(maps: np.ndarray) -> None:
    together = maps.copy()
    together[:, 0], together[:, 1] = maps[:, :2].sum(axis=1), 0
    assert (metrics.sparseness(together) >= metrics.sparseness(maps) - 1e-12).all()
    assert (metrics.entropy(together) <= metrics.entropy(maps) + 1e-12).all()


# --- a network of which each class reads one quadrant --------------------------------------------


@pytest.fixture(scope="module")
def quadrants() -> tuple[Any, np.ndarray, np.ndarray]:
    """The network, the truth of each image's class, and the images."""
    model, masks = ground_truth.quadrant_network(SIDE)
    images = np.random.default_rng(0).random((8, SIDE, SIDE, 1), dtype=np.float32)
    return model, masks[np.arange(8) % 4], images


CLASS = np.arange(8) % 4


@pytest.mark.parametrize("channels", [1, 3])
def test_no_bit_of_a_logit_depends_on_the_other_quadrants(channels: int) -> None:
    model, masks = ground_truth.quadrant_network(SIDE, channels, seed=4)
    rng = np.random.default_rng(1)
    one, other = rng.random((2, 4, SIDE, SIDE, channels), dtype=np.float32)
    mixed = np.where(masks[..., None], one, other)  # image q: own inside quadrant q only
    own, after = scores.logits(model, one), scores.logits(model, mixed)
    np.testing.assert_array_equal(np.diag(own), np.diag(after))
    assert (own != after)[~np.eye(4, dtype=bool)].all()
    assert masks.sum() == SIDE**2 and (masks.sum(axis=0) == 1).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_every_pixel_of_a_quadrant_counts(channels: int) -> None:
    model, masks = ground_truth.quadrant_network(6, channels)
    image = np.random.default_rng(2).random((1, 6, 6, channels), dtype=np.float32)
    copies = np.repeat(image, 36, axis=0)
    before = scores.logits(model, copies)  # in a batch of the same shape: equal to the last bit
    copies[np.arange(36), np.arange(36) // 6, np.arange(36) % 6] += 0.5
    moved = scores.logits(model, copies) != before
    np.testing.assert_array_equal(moved.T.reshape(4, 6, 6), masks)


def integrated(model: Any, x: np.ndarray, target: Any) -> np.ndarray:
    return integrated_gradients(model, x, target, steps=4)[..., 0]


def hires(model: Any, x: np.ndarray, target: Any) -> np.ndarray:
    return cam.hires_cam(model, x, target, layer="conv")


FINDS = {
    "saliency": lambda m, x, t: np.abs(saliency(m, x, t))[..., 0],
    "input x gradient": lambda m, x, t: input_x_gradient(m, x, t)[..., 0],
    "integrated gradients": integrated,
    "deep_lift": lambda m, x, t: backprop.deep_lift(m, x, t)[..., 0],
    "occlusion": lambda m, x, t: occlusion(m, x, t, patch=1),
    "hires_cam": hires,
}


@pytest.mark.parametrize("name", FINDS)
@pytest.mark.parametrize("metric", METRICS)
def test_who_tells_where_scores_at_the_top(name: str, metric: str, quadrants: Any) -> None:
    model, masks, x = quadrants
    heat = FINDS[name](model, x, CLASS)
    if metric in ("auc_inside", "relevance_rank_accuracy"):
        # They ask for the whole of the quadrant, and the cells at its inner border have no weight:
        # where a map is made of cells, 49 of 64 are all that can be found.
        assert METRICS[metric](np.abs(heat), masks).min() > 49 / 64
    else:
        assert METRICS[metric](heat, masks).min() > 1 - 1e-4


def test_edges_and_other_classes_score_what_they_must(quadrants: Any) -> None:
    model, masks, x = quadrants
    wrong = integrated(model, x, (CLASS + 1) % 4)
    assert metrics.energy_inside(wrong, masks).max() == 0
    edges = metrics.energy_inside(metrics.sobel_edges(x), masks)
    assert abs((edges - chance("energy_inside", masks)).mean()) < 0.05


def test_grad_cam_averages_the_place_away(quadrants: Any) -> None:
    model, masks, x = quadrants
    found = metrics.energy_inside(cam.grad_cam(model, x, CLASS, layer="conv"), masks)
    assert abs((found - chance("energy_inside", masks)).mean()) < 0.1


def test_faithful_orders_beat_random_ones_and_unfaithful_ones_lose(quadrants: Any) -> None:
    model, masks, x = quadrants
    for heat, better in ((masks * 1.0, True), (1.0 - masks, False)):
        curves = metrics.pixel_flipping(model, x, heat, CLASS, steps=8)
        gain = curves["map"].drop - curves["random"].drop
        assert (gain > 0).all() if better else (gain < 0).all()
        put = [
            metrics.insertion(model, x, h, CLASS, fill=0.0) for h in (heat, np.zeros(x.shape[:3]))
        ]
        assert (put[0] > put[1]).all() if better else (put[0] < put[1]).all()
    outside = metrics.removal_curve(model, x, 1.0 - masks, CLASS, steps=4)
    np.testing.assert_allclose(outside.values[:, :4], outside.values[:, :1].repeat(4, 1), rtol=1e-5)


def test_road_tells_the_quadrant_too(quadrants: Any) -> None:
    model, masks, x = quadrants
    first = metrics.road(model, x, masks * 1.0, CLASS, shares=(0.0, 0.25), noise=0.0)
    last = metrics.road(
        model, x, masks * 1.0, CLASS, shares=(0.0, 0.5), noise=0.0, least_first=True
    )
    assert np.abs(np.diff(first.values)).mean() > 1e-2
    np.testing.assert_allclose(np.diff(last.values), 0, atol=1e-5)


@pytest.mark.parametrize("order", ["cascading", "independent"])
def test_lost_weights_show_in_a_faithful_map(order: Any, quadrants: Any) -> None:
    model, _, x = quadrants
    trained = integrated(model, x, CLASS)
    alike = {
        name: metrics.rank_correlation(trained, integrated(m, x, CLASS), absolute=True).mean()
        for name, m in metrics.randomise_weights(model, order)
    }
    assert list(alike) == ["logits", "conv"]
    assert alike["logits"] < 0.5
    edges = metrics.sobel_edges(x)  # and a map of the picture cannot notice
    assert metrics.rank_correlation(edges, metrics.sobel_edges(x)).min() == 1


# --- a network that counts -----------------------------------------------------------------------


def test_it_counts_every_bright_pixel_of_eight_bits() -> None:
    model = ground_truth.bright_counter(SIDE)
    levels = np.arange(256, dtype=np.uint8).reshape(1, SIDE, SIDE, 1)
    images = np.concatenate([levels, levels // 2, np.full_like(levels, 128), levels * 0 + 127])
    x = images.astype(np.float32) / np.float32(255)
    truth = ground_truth.bright_mask(x)
    assert truth.sum(axis=(1, 2)).tolist() == [128, 0, 256, 0]
    np.testing.assert_allclose(scores.logits(model, x)[:, 0], [128, 0, 256, 0], atol=0.05)
    np.testing.assert_allclose(scores.logits(model, x)[:, 1], 128)


def test_saliency_sees_nothing_and_integrated_gradients_everything() -> None:
    model = ground_truth.bright_counter(SIDE)
    levels = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 1))
    x = levels.astype(np.float32) / np.float32(255)
    truth = ground_truth.bright_mask(x)
    assert not saliency(model, x, 0).any()
    heat = integrated_gradients(model, x, 0, steps=2000)[..., 0]
    assert metrics.energy_inside(heat, truth).min() > 1 - 1e-6
    assert metrics.auc_inside(heat, truth).min() > 0.99
    one_each = occlusion(model, x, 0, patch=1)
    np.testing.assert_allclose(one_each, truth, atol=0.05)


def test_errors_of_the_builders() -> None:
    for size in (5, 4, 7):
        with pytest.raises(ValueError, match=f"size {size}; expected an even"):
            ground_truth.quadrant_network(size)
    with pytest.raises(ValueError, match=r"expected grey ones \(N, H, W, 1\)"):
        ground_truth.bright_mask(np.zeros((2, 4, 4, 3)))
