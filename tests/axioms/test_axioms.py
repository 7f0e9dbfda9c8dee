"""What must hold of an explanation whatever the network: identities that follow by definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from networks import (
    SHAPE,
    close,
    flat_layers,
    functional,
    gap_layers,
    keras,
    layers,
    same_function,
    seeded,
    trunk_layers,
)
from xai_utils.cam import cam, grad_cam, hires_cam
from xai_utils.gradients import saliency
from xai_utils.scores import logits

PLACES = 4 * 4  # of the last feature maps of the GAP network
CLASSES = range(3)


# --- CAM, Grad-CAM and HiResCAM on a network that pools ------------------------------------------


@pytest.mark.parametrize("target", CLASSES)
def test_grad_cam_is_the_positive_part_of_cam(target: int, gap: Any, images: np.ndarray) -> None:
    # d logit / dA[i, j, k] = w[k, c] / (h w), the same at every place.
    expected = np.maximum(cam(gap, images, target), 0)
    close(grad_cam(gap, images, target) * PLACES, expected)


@pytest.mark.parametrize("target", CLASSES)
def test_hires_cam_is_cam(target: int, gap: Any, images: np.ndarray) -> None:
    close(hires_cam(gap, images, target) * PLACES, cam(gap, images, target))


def test_mean_of_cam_and_bias_are_the_logit(gap: Any, images: np.ndarray) -> None:
    bias = np.asarray(gap.get_layer("logits").bias)
    means = [cam(gap, images, c).mean(axis=(1, 2)) + bias[c] for c in CLASSES]
    assert np.abs(bias).min() > 0.01
    close(np.stack(means, axis=1), logits(gap, images))


def test_sum_of_hires_cam_and_bias_are_the_logit_where_the_head_is_linear(
    images: np.ndarray,
) -> None:
    parts = [*trunk_layers(), layers.Flatten(), layers.Dense(3, name="logits")]
    model = seeded(functional(parts))
    bias = np.asarray(model.get_layer("logits").bias)
    sums = [hires_cam(model, images, c).sum(axis=(1, 2)) + bias[c] for c in CLASSES]
    close(np.stack(sums, axis=1), logits(model, images))
    # Grad-CAM has no such sum: the mean of the gradient throws the place away.
    grad_sums = [grad_cam(model, images, c).sum(axis=(1, 2)) + bias[c] for c in CLASSES]
    assert np.abs(np.stack(grad_sums, axis=1) - logits(model, images)).max() > 0.1


def test_hires_cam_and_grad_cam_differ_on_a_network_that_flattens(
    flat: Any, images: np.ndarray
) -> None:
    difference = np.maximum(hires_cam(flat, images, 0), 0) - grad_cam(flat, images, 0)
    assert np.abs(difference).max() > 0.1 * grad_cam(flat, images, 0).max()


def test_permuting_the_places_of_a_gap_network_permutes_its_map(images: np.ndarray) -> None:
    # 1x1 convolutions and a mean know no places: CAM must follow the pixels wherever they go.
    convolutions = [layers.Conv2D(4, 1, activation="relu"), layers.Conv2D(5, 1, activation="relu")]
    model = seeded(functional([*convolutions, *gap_layers()[3:]]), seed=3)
    turned = np.rot90(images, axes=(1, 2))
    for method in (cam, grad_cam, hires_cam):
        close(method(model, turned, 1), np.rot90(method(model, images, 1), axes=(1, 2)))


# --- saliency ------------------------------------------------------------------------------------


def test_saliency_is_linear_in_the_score(flat: Any, images: np.ndarray) -> None:
    weights = np.array([2.0, -1.0, 0.5], np.float32)
    mixed_score = layers.Dense(1, use_bias=False, name="mixed")
    mixed = keras.Model(flat.inputs[0], mixed_score(flat.get_layer("logits").output))
    mixed_score.set_weights([weights[:, None]])
    by_class = np.stack([saliency(flat, images, c) for c in CLASSES])
    close(saliency(mixed, images, 0), np.tensordot(weights, by_class, axes=1))


def test_probability_gradient_vanishes_as_logits_grow_and_the_logits_does_not(
    images: np.ndarray,
) -> None:
    model = seeded(functional(flat_layers()))
    dense = model.get_layer("logits")
    weights = dense.get_weights()
    of_logit, of_probability = [], []
    for scale in (1, 10, 100, 1000):
        dense.set_weights([scale * w for w in weights])  # the same classes, ever more certain
        of_logit.append(np.abs(saliency(model, images)).max() / scale)
        of_probability.append(np.abs(saliency(model, images, score="probability")).max())
    np.testing.assert_allclose(of_logit, of_logit[0], rtol=1e-5)
    assert of_logit[0] > 0.1
    assert of_probability[0] > 1e-2
    assert of_probability[-1] < 1e-6


@pytest.mark.parametrize("method", [saliency, cam, hires_cam])
def test_the_logits_map_does_not_see_a_constant_added_to_all_logits(
    method: Any, images: np.ndarray
) -> None:
    model = seeded(functional(gap_layers()))
    before = method(model, images, 1)
    bias = model.get_layer("logits").bias
    bias.assign(bias + 3.0)
    close(method(model, images, 1), before)


def test_saliency_depends_on_the_function_not_on_its_implementation(images: np.ndarray) -> None:
    one, other = same_function()
    close(logits(other, images), logits(one, images))
    assert other.count_params() != one.count_params()
    for target in CLASSES:
        close(saliency(other, images, target), saliency(one, images, target))


def test_pixels_of_equal_role_and_value_get_equal_saliency(images: np.ndarray) -> None:
    model = seeded(functional(gap_layers()))
    for name in ("conv1", "conv2"):  # kernels that are their own mirror image, left to right
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([(kernel + kernel[:, ::-1]) / 2, bias])
    mirrored = images[:, :, ::-1]
    close(saliency(model, mirrored, 0), saliency(model, images, 0)[:, :, ::-1])
    symmetric = (images + mirrored) / 2
    result = saliency(model, symmetric, 0)
    close(result, result[:, :, ::-1])
    assert np.abs(result - result[:, ::-1]).max() > 1e-3  # top and bottom are no mirror images


def test_pixels_that_the_network_never_reads_get_nothing() -> None:
    parts = [layers.Cropping2D(2), layers.Conv2D(3, 3, activation="relu"), *gap_layers()[3:]]
    model = seeded(functional(parts))
    result = saliency(model, np.random.default_rng(0).random((2, *SHAPE), np.float32), 1)
    inside = np.zeros(SHAPE[:2], bool)
    inside[2:-2, 2:-2] = True
    assert not result[:, ~inside].any()
    assert np.abs(result[:, inside]).max() > 1e-3
