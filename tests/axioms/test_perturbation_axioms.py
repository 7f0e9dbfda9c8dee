"""What must hold of occlusion and RISE whatever the model: closed forms and identities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from networks import SHAPE, flat_layers, functional, gap_layers, layers, seeded, zero_classes
from xai_utils import models
from xai_utils.perturbation import occlusion, rise, rise_masks

RNG = np.random.default_rng(1)
INCREMENTAL = pytest.mark.parametrize("incremental", [True, False])


def linear_network() -> tuple[Any, np.ndarray]:
    """A convolution without activation and a dense layer, and its weight at each pixel."""
    parts = [layers.Conv2D(2, 3, padding="same"), layers.Flatten(), layers.Dense(3)]
    model = seeded(functional(parts))
    points = np.eye(64, dtype=np.float32).reshape(64, *SHAPE)
    weights = np.asarray(model(points)) - np.asarray(model(np.zeros((1, *SHAPE), np.float32)))
    return model, weights.T.reshape(3, 8, 8)


def close(actual: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    """Equal up to rounding, and not because both are zero."""
    size = np.abs(expected).max()
    assert size > 1e-3
    np.testing.assert_allclose(actual, expected, atol=tolerance * max(size, 1), rtol=0)


# --- occlusion -----------------------------------------------------------------------------------


@INCREMENTAL
@pytest.mark.parametrize("baseline", [0.0, 0.25])
def test_single_pixels_of_a_linear_network(
    baseline: float, incremental: bool, images: np.ndarray
) -> None:
    # f(x) - f(x without pixel p) = w[p] (x[p] - b)
    model, weights = linear_network()
    result = occlusion(model, images, 1, patch=1, occluder=baseline, incremental=incremental)
    close(result, weights[1] * (images[..., 0] - baseline))


@INCREMENTAL
def test_patches_that_tile_a_linear_network(incremental: bool, images: np.ndarray) -> None:
    # Each pixel of a tile gets the tile's sum of w x, so the map's mean over tiles is complete.
    model, weights = linear_network()
    result = occlusion(model, images, 2, patch=(2, 4), stride=(2, 4), incremental=incremental)
    shares = (weights[2] * images[..., 0]).reshape(5, 4, 2, 2, 4).sum(axis=(2, 4))
    close(result, shares.repeat(2, axis=1).repeat(4, axis=2))
    black = np.asarray(model(np.zeros_like(images)))[:, 2]
    close(result.sum(axis=(1, 2)) / 8, np.asarray(model(images))[:, 2] - black)


@INCREMENTAL
def test_overlapping_patches_of_a_linear_network(incremental: bool, images: np.ndarray) -> None:
    model, weights = linear_network()
    result = occlusion(model, images, 0, patch=3, stride=2, incremental=incremental)
    shares = weights[0] * images[..., 0]
    for p in [(0, 0), (2, 3), (4, 4), (7, 7), (5, 6)]:
        starts = [[s for s in (0, 2, 4, 5) if s <= place < s + 3] for place in p]
        sums = [
            shares[:, t : t + 3, k : k + 3].sum(axis=(1, 2)) for t in starts[0] for k in starts[1]
        ]
        close(result[:, *p], np.mean(sums, axis=0))


def test_a_patch_as_large_as_the_image(flat: Any, images: np.ndarray) -> None:
    fall = np.asarray(scores_of(flat, images) - scores_of(flat, np.zeros_like(images)))[:, 1]
    close(occlusion(flat, images, 1, patch=8), np.broadcast_to(fall[:, None, None], (5, 8, 8)))


def scores_of(model: Any, x: np.ndarray) -> np.ndarray:
    from xai_utils.scores import logits

    return logits(model, x)


def test_covering_what_looks_the_same_changes_nothing(flat: Any) -> None:
    constant = np.full((2, *SHAPE), 0.4, np.float32)
    for occluder in (0.4, "mean", "blur", constant):
        for choice in (True, False):
            result = occlusion(flat, constant, 0, patch=3, occluder=occluder, incremental=choice)
            np.testing.assert_allclose(result, 0, atol=1e-5)
    assert np.abs(occlusion(flat, constant, 0, patch=3)).max() > 0.01


@INCREMENTAL
@pytest.mark.parametrize("batch_size", [7, None])
def test_black_on_black_is_zero_to_the_last_bit(batch_size: int | None, incremental: bool) -> None:
    model = seeded(models.mnist_cnn())  # large enough for another batch to round another way
    x = RNG.random((3, 28, 28, 1), np.float32) + 0.1
    x[:, :, 14:] = 0
    for occluder in ("black", x * 0):
        options: Any = {"occluder": occluder, "incremental": incremental, "batch_size": batch_size}
        result = occlusion(model, x, 0, patch=7, **options)
        assert np.abs(result[:, :, :14]).min() > 0
        assert not result[:, :, 21:].any()


def test_a_dead_network_gives_exact_zeros(images: np.ndarray) -> None:
    model = zero_classes(seeded(functional(gap_layers())))
    for choice in (True, False):
        assert not occlusion(model, images, 1, patch=3, incremental=choice).any()
    assert not rise(model, images, 1, masks=10).any()


def test_pixels_that_the_network_never_reads_get_nothing() -> None:
    weights = np.zeros((6, 6, 1, 3), np.float32)
    weights[2:4, 2:4] = 1
    parts = [layers.Conv2D(3, 6, strides=2, name="middle"), layers.Flatten(), layers.Dense(3)]
    model = seeded(functional(parts))
    model.get_layer("middle").set_weights([weights, np.zeros(3)])
    x = RNG.random((2, *SHAPE), np.float32)
    result = occlusion(model, x, 0, patch=1)
    seen = np.zeros(SHAPE[:2], bool)
    seen[2:6, 2:6] = True  # the windows start at 0 and 2, and read cells 2 and 3 of theirs
    np.testing.assert_allclose(result[:, ~seen], 0, atol=1e-6)
    assert np.abs(result[:, seen]).min() > 1e-6


def test_occlusion_is_linear_in_the_score(flat: Any, images: np.ndarray) -> None:
    mix = np.array([2.0, -1.0, 0.5], np.float32)
    mixed = occlusion(lambda x: scores_of(flat, x) @ mix[:, None], images, 0, patch=3)
    by_class = np.stack([occlusion(flat, images, k, patch=3) for k in range(3)])
    close(mixed, np.tensordot(mix, by_class, axes=1))


def test_the_map_turns_with_a_callable_that_does_not_care() -> None:
    def symmetric(x: np.ndarray) -> np.ndarray:
        return np.stack([(x**2).sum(axis=(1, 2, 3)), x.max(axis=(1, 2, 3))], axis=1)

    x = RNG.random((3, 8, 8, 1), np.float32)
    turned = np.rot90(x, axes=(1, 2))
    for patch, stride in ((3, 3), (4, 4), (2, 1)):
        options = {"patch": patch, "stride": stride}
        if (8 - patch) % stride == 0:  # else the moved last window is on one side only
            expected = np.rot90(occlusion(symmetric, x, 1, **options), axes=(1, 2))
            close(occlusion(symmetric, turned, 1, **options), expected)


# --- RISE ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.3, 0.5])
def test_the_mean_mask_is_keep_everywhere(keep: float) -> None:
    masks = rise_masks((12, 10), (4, 3), 0, 20_000, keep=keep)
    np.testing.assert_allclose(masks.mean(axis=0), keep, atol=0.015)


def test_rise_of_a_constant_score_is_the_mean_mask_times_it() -> None:
    x = RNG.random((2, 8, 8, 1), np.float32)
    result = rise(lambda x: np.full((len(x), 1), 3.0), x, 0, masks=200, cell=2)
    expected = 3 * rise_masks((8, 8), (2, 2), 0, 200).mean(axis=0) / 0.5
    np.testing.assert_allclose(result, np.stack([expected] * 2), atol=1e-5)


def test_rise_of_a_linear_score_tends_to_its_closed_form() -> None:
    # E[S[p]] = sum_q w[q] x[q] E[M[q] M[p]] / keep, and M is a mean of independent cells:
    # E[M[q] M[p]] = keep^2 + keep (1 - keep) E_shift[sum_cells a[q, cell] a[p, cell]].
    x, w = RNG.random((1, 8, 8, 1), np.float32), RNG.normal(size=(8, 8))
    keep, cell, grid = 0.4, 4, 2
    overlap = np.zeros((64, 64))
    axis = np.zeros((cell, 8, grid))  # by shift: each pixel's share of each cell
    for shift in range(cell):
        place = ((np.arange(8) + shift + 0.5) * grid / ((grid + 1) * cell) - 0.5).clip(0, grid - 1)
        for k in range(grid):
            axis[shift, :, k] = np.interp(place, np.arange(grid), np.eye(grid)[k])
    for i in range(cell):
        for j in range(cell):
            share = np.einsum("ya,xb->yxab", axis[i], axis[j]).reshape(64, -1)
            overlap += share @ share.T / cell**2
    product = keep**2 + keep * (1 - keep) * overlap
    expected = (product @ (w * x[0, ..., 0]).ravel() / keep).reshape(8, 8)

    def linear(x: np.ndarray) -> np.ndarray:
        return (x[..., 0] * w).sum(axis=(1, 2))[:, None]

    errors = []
    for masks in (200, 3200, 51_200):
        maps = rise(linear, x, 0, masks=masks, cell=cell, keep=keep, batch_size=1024)
        errors.append(np.sqrt(np.mean((maps[0] - expected) ** 2)))
    assert errors[2] < 0.02 * np.ptp(expected)
    assert errors[2] < errors[1] / 2 < errors[0] / 4  # sixteen times the masks, a quarter expected


def test_without_masking_rise_is_the_score_everywhere(flat: Any, images: np.ndarray) -> None:
    expected = scores_of(flat, images)[:, 2]
    result = rise(flat, images, 2, masks=3, keep=1.0)
    close(result, np.broadcast_to(expected[:, None, None], (5, 8, 8)))


def test_networks_that_compute_the_same_get_the_same_map(images: np.ndarray) -> None:
    one, other = (seeded(functional(flat_layers("logits"))) for _ in range(2))
    order, scale = [2, 0, 1], np.array([0.5, 3.0, 2.0])  # maps in another order and scale
    kernel, bias = one.get_layer("conv1").get_weights()
    other.get_layer("conv1").set_weights([kernel[..., order] * scale, bias[order] * scale])
    kernel, bias = one.get_layer("conv2").get_weights()
    other.get_layer("conv2").set_weights([kernel[:, :, order] / scale[:, None], bias])
    close(occlusion(other, images, 1, patch=3), occlusion(one, images, 1, patch=3))
    close(rise(other, images, 1, masks=30), rise(one, images, 1, masks=30))
