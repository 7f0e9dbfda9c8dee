"""Axioms of the gradient methods: completeness, sensitivity, linearity, symmetry, invariance."""

from __future__ import annotations

from collections.abc import Callable
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
)
from xai_utils.gradients import (
    expected_gradients,
    input_x_gradient,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from xai_utils.scores import logits

CLASSES = range(3)
REFERENCES = np.random.default_rng(3).random((4, *SHAPE), dtype=np.float32)
METHODS: dict[str, Callable[..., Any]] = {
    "input_x_gradient": input_x_gradient,
    "smooth_grad": lambda *a: smooth_grad(*a, samples=5),
    "integrated_gradients": lambda *a: integrated_gradients(*a, baseline=0.2, steps=5),
    "expected_gradients": lambda *a: expected_gradients(*a, references=REFERENCES, samples=5),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


# --- completeness --------------------------------------------------------------------------------


@pytest.mark.parametrize("quadrature", ["midpoint", "trapezoid", "gauss-legendre"])
@pytest.mark.parametrize("baseline", [0.0, 0.7, "images"])
def test_integrated_gradients_sum_to_the_difference(
    quadrature: Any, baseline: Any, flat: Any, images: np.ndarray
) -> None:
    start = np.full_like(images, baseline) if baseline != "images" else images[::-1]
    result, residual = integrated_gradients(
        flat, images, 1, baseline=start, steps=512, quadrature=quadrature, return_residual=True
    )
    difference = (logits(flat, images) - logits(flat, start))[:, 1]
    moving = np.abs(difference) > 0.01  # the middle image is its own baseline
    assert moving.sum() >= 4
    close(result.sum(axis=(1, 2, 3)), difference, 5e-3)
    np.testing.assert_allclose(residual, result.sum(axis=(1, 2, 3)) - difference, atol=1e-5)


def test_the_residual_tells_how_wrong_few_steps_are(flat: Any, images: np.ndarray) -> None:
    def worst(steps: int) -> float:
        return float(
            np.abs(
                integrated_gradients(flat, images, 1, steps=steps, return_residual=True)[1]
            ).max()
        )

    assert worst(1) > 5 * worst(256)
    assert worst(1) > 1e-3


def test_the_residual_is_of_the_score_that_is_explained(flat: Any, images: np.ndarray) -> None:
    result, residual = integrated_gradients(
        flat, images, 1, steps=512, score="probability", return_residual=True
    )
    z = logits(flat, np.concatenate([images, np.zeros_like(images)])).astype(np.float64)
    p = np.exp(z)[:, 1] / np.exp(z).sum(axis=1)
    close(result.sum(axis=(1, 2, 3)), p[:5] - p[5:], 5e-3)
    np.testing.assert_allclose(residual, result.sum(axis=(1, 2, 3)) - (p[:5] - p[5:]), atol=1e-5)


def test_expected_gradients_sum_to_the_difference_from_the_mean(
    flat: Any, images: np.ndarray
) -> None:
    result = expected_gradients(flat, images, 1, references=REFERENCES, samples=4000)
    difference = logits(flat, images)[:, 1] - logits(flat, REFERENCES)[:, 1].mean()
    assert np.abs(difference).max() > 0.25
    close(result.sum(axis=(1, 2, 3)), difference, 0.05)  # two standard errors of the draws


def test_input_x_gradient_sums_to_the_logit_without_biases(images: np.ndarray) -> None:
    model = seeded(functional(flat_layers()))
    for layer in model.layers:
        if layer.weights:
            layer.bias.assign(np.zeros(layer.bias.shape))
    sums = [input_x_gradient(model, images, c).sum(axis=(1, 2, 3)) for c in CLASSES]
    close(np.stack(sums, axis=1), logits(model, images))


# --- closed forms --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def linear() -> tuple[Any, np.ndarray]:
    model = seeded(functional([layers.Flatten(), layers.Dense(3, name="logits")]))
    return model, model.get_layer("logits").get_weights()[0][:, 2].reshape(SHAPE)


def test_linear_model(linear: tuple[Any, np.ndarray], images: np.ndarray) -> None:
    model, w = linear
    close(input_x_gradient(model, images, 2), w * images)
    close(smooth_grad(model, images, 2, samples=3, noise=2.0), np.tile(w, (5, 1, 1, 1)))
    for steps in (1, 4):
        by_path = integrated_gradients(model, images, 2, baseline=0.3, steps=steps)
        close(by_path, w * (images - np.float32(0.3)))
    by_data = expected_gradients(model, images, 2, references=REFERENCES, samples=4)
    close(by_data, w * (images - REFERENCES.mean(axis=0)))  # four draws: each reference once


def test_one_hidden_unit_that_saturates() -> None:
    # f(x) = 1 - relu(1 - x): beyond 1 its gradient is 0, though f rose from 0 to 1 on the way.
    unit = layers.Dense(1, activation="relu", name="unit")
    model = functional([layers.Flatten(), unit, layers.Dense(1, name="logits")], (1, 1, 1))
    unit.set_weights([np.array([[-1.0]]), np.array([1.0])])
    model.get_layer("logits").set_weights([np.array([[-1.0]]), np.array([1.0])])
    x = np.full((1, 1, 1, 1), 2.0, np.float32)
    assert saliency(model, x, 0).item() == 0  # sensitivity: broken by the gradient ...
    assert input_x_gradient(model, x, 0).item() == 0
    by_path, residual = integrated_gradients(model, x, 0, steps=64, return_residual=True)
    assert by_path.item() == pytest.approx(1)  # ... and kept by integrated gradients
    assert residual.item() == pytest.approx(0, abs=1e-6)
    # Half of the way lies before the kink: an odd number of midpoints misses by half a step.
    odd, residual = integrated_gradients(
        model, x, 0, steps=5, quadrature="midpoint", return_residual=True
    )
    assert odd.item() in (pytest.approx(2 * 2 / 5), pytest.approx(2 * 3 / 5))
    assert residual.item() == pytest.approx(odd.item() - 1)


def test_smooth_grad_at_a_kink_tends_to_the_probability_of_its_upper_side() -> None:
    # f(x) = relu(x - 1/2) at x = 1/2: df is 0 or 1, so the mean is P(e > 0) = 1/2.
    unit = layers.Dense(1, activation="relu", name="unit")
    model = functional([layers.Flatten(), unit, layers.Dense(1, name="logits")], (1, 2, 1))
    unit.set_weights([np.array([[1.0], [0.0]]), np.array([-0.5])])
    model.get_layer("logits").set_weights([np.array([[1.0]]), np.array([0.0])])
    x = np.array([0.5, 0.0], np.float32).reshape(1, 1, 2, 1)
    result = smooth_grad(model, x, 0, samples=4000, noise=1.0)  # sigma = 1 x (0.5 - 0)
    np.testing.assert_allclose(result.reshape(2), [0.5, 0.0], atol=0.03)
    x = np.array([1.0, 0.0], np.float32).reshape(1, 1, 2, 1)  # P(e > -1/2), sigma = 1/2: 0.841
    result = smooth_grad(model, x, 0, samples=4000, noise=0.5)
    np.testing.assert_allclose(result.reshape(2), [0.841, 0.0], atol=0.02)


# --- linearity, symmetry, invariance -------------------------------------------------------------


@every_method
def test_linear_in_the_score(method: Any, flat: Any, images: np.ndarray) -> None:
    weights = np.array([2.0, -1.0, 0.5], np.float32)
    mixed_score = layers.Dense(1, use_bias=False, name="mixed")
    mixed = keras.Model(flat.inputs[0], mixed_score(flat.get_layer("logits").output))
    mixed_score.set_weights([weights[:, None]])
    by_class = np.stack([method(flat, images, c) for c in CLASSES])
    close(method(mixed, images, 0), np.tensordot(weights, by_class, axes=1))


@every_method
def test_the_function_counts_not_its_implementation(method: Any, images: np.ndarray) -> None:
    one, other = same_function()
    for target in CLASSES:
        close(method(other, images, target), method(one, images, target))


@pytest.mark.parametrize("method", [input_x_gradient, integrated_gradients])
def test_mirrored_pixels_share_alike(method: Any, images: np.ndarray) -> None:
    model = seeded(functional(gap_layers()))
    for name in ("conv1", "conv2"):  # kernels that are their own mirror image, left to right
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([(kernel + kernel[:, ::-1]) / 2, bias])
    close(method(model, images[:, :, ::-1], 0), method(model, images, 0)[:, :, ::-1])


@every_method
def test_pixels_that_the_network_never_reads_get_nothing(method: Any) -> None:
    parts = [layers.Cropping2D(2), layers.Conv2D(3, 3, activation="relu"), *gap_layers()[3:]]
    model = seeded(functional(parts))
    result = method(model, np.random.default_rng(0).random((2, *SHAPE), np.float32), 1)
    inside = np.zeros(SHAPE[:2], bool)
    inside[2:-2, 2:-2] = True
    assert not result[:, ~inside].any()
    assert np.abs(result[:, inside]).max() > 1e-3
