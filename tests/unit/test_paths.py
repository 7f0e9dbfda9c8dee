"""SmoothGrad, integrated and expected gradients: shapes, seeds, batches, baselines, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from networks import functional, gap_layers, layers, seeded, zero_classes
from xai_utils import _engine
from xai_utils.gradients import (
    expected_gradients,
    input_x_gradient,
    integrated_gradients,
    quadrature_rule,
    saliency,
    smooth_grad,
)
from xai_utils.scores import logits

REFERENCES = np.random.default_rng(3).random((4, 8, 8, 1), dtype=np.float32)
Method = Callable[..., Any]
METHODS: dict[str, Method] = {
    "input_x_gradient": input_x_gradient,
    "smooth_grad": lambda *a, **k: smooth_grad(*a, samples=5, **k),
    "integrated_gradients": lambda *a, **k: integrated_gradients(*a, steps=5, **k),
    "expected_gradients": lambda *a, **k: expected_gradients(
        *a, references=REFERENCES, samples=5, **k
    ),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@every_method
def test_shape_dtype_and_signs(method: Method, flat: Any, images: np.ndarray) -> None:
    result = method(flat, images)
    assert isinstance(result, np.ndarray)
    assert (result.shape, result.dtype) == (images.shape, np.float32)
    assert result.min() < 0 < result.max()


@every_method
def test_colours_are_kept_apart(method: Method) -> None:
    parts = [layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(3)]
    model = seeded(functional(parts, (8, 8, 3)))
    images = np.random.default_rng(0).random((2, 8, 8, 3), dtype=np.float32)
    if method is METHODS["expected_gradients"]:
        result = expected_gradients(model, images, references=images[::-1], samples=3)
    else:
        result = method(model, images)
    assert result.shape == (2, 8, 8, 3)
    assert np.ptp(result, axis=-1).max() > 1e-3


@every_method
def test_none_is_the_class_predicted_for_the_image_itself(
    method: Method, flat: Any, images: np.ndarray
) -> None:
    predicted = logits(flat, images).argmax(axis=1)
    np.testing.assert_array_equal(method(flat, images), method(flat, images, predicted))


def test_the_predicted_class_does_not_change_on_the_way(flat: Any, images: np.ndarray) -> None:
    # Where the class of the black image is another one, a class chosen anew at every point would
    # mix two classes' gradients.
    predicted = logits(flat, images).argmax(axis=1)
    of_black = logits(flat, np.zeros_like(images[:1])).argmax()
    (n,) = np.flatnonzero(predicted != of_black)[:1]
    assert logits(flat, images[[n]] * 0.1).argmax() == of_black  # so the class changes on the way
    of_predicted = integrated_gradients(flat, images[[n]], predicted[n])
    np.testing.assert_array_equal(integrated_gradients(flat, images[[n]]), of_predicted)


@every_method
def test_a_target_for_each_image(method: Method, flat: Any, images: np.ndarray) -> None:
    target = np.array([0, 1, 2, 1, 0])
    by_class = np.stack([method(flat, images, k) for k in range(3)])
    assert not np.allclose(by_class[0], by_class[1])
    expected = by_class[target, np.arange(5)]
    np.testing.assert_allclose(method(flat, images, target), expected, atol=1e-6)


@every_method
def test_the_probability_is_another_score(method: Method, flat: Any, images: np.ndarray) -> None:
    default = method(flat, images, 1)
    np.testing.assert_array_equal(default, method(flat, images, 1, score="logit"))
    assert not np.allclose(default, method(flat, images, 1, score="probability"))


@every_method
@pytest.mark.parametrize("batch_size", [1, 3, 7, 64, 1000])
def test_batch_size_changes_nothing_but_rounding(
    method: Method, batch_size: int, flat: Any, images: np.ndarray
) -> None:
    result = method(flat, images, 1, batch_size=batch_size)
    np.testing.assert_allclose(result, method(flat, images, 1), atol=1e-5)


@every_method
def test_more_images_behind_change_no_bit(method: Method, flat: Any, images: np.ndarray) -> None:
    alone = method(flat, images[:3], 1, batch_size=3)
    with_more = method(flat, images, 1, batch_size=3)[:3]
    np.testing.assert_array_equal(alone, with_more)


@every_method
def test_traced_once(method: Method, images: np.ndarray) -> None:
    model = seeded(functional(gap_layers()))
    method(model, images, 1)
    known = dict(_engine._compiled[model])
    for count, target in ((1, 0), (4, 2), (5, None), (2, np.array([1, 0]))):
        method(model, images[:count], target)
    # Asking for the predicted class adds the function of the logits, nothing else is traced.
    assert {key[0] for key in set(_engine._compiled[model]) - set(known)} <= {"logits"}
    assert all(_engine._compiled[model][key] is function for key, function in known.items())


def test_images_may_be_of_any_float_type(flat: Any, images: np.ndarray) -> None:
    for method in METHODS.values():
        np.testing.assert_array_equal(method(flat, images.astype(np.float64)), method(flat, images))


# --- SmoothGrad ----------------------------------------------------------------------------------


def test_smooth_grad_repeats_with_its_seed_and_differs_with_another(
    flat: Any, images: np.ndarray
) -> None:
    first = smooth_grad(flat, images, samples=3, seed=5)
    np.testing.assert_array_equal(first, smooth_grad(flat, images, samples=3, seed=5))
    assert not np.allclose(first, smooth_grad(flat, images, samples=3, seed=6))
    two = np.repeat(images[:1], 2, axis=0)
    noise_of_each = smooth_grad(flat, two, 1, samples=1, noise=1.0)
    assert not np.allclose(*noise_of_each)  # equal images, unlike noise


def test_smooth_grad_without_noise_is_saliency(flat: Any, images: np.ndarray) -> None:
    result = smooth_grad(flat, images, samples=4, noise=0.0)
    np.testing.assert_allclose(result, saliency(flat, images), atol=1e-6)


# --- integrated gradients ------------------------------------------------------------------------


def test_the_three_forms_of_a_baseline(flat: Any, images: np.ndarray) -> None:
    as_number = integrated_gradients(flat, images, 0, baseline=0.25)
    as_image = integrated_gradients(flat, images, 0, baseline=np.full((8, 8, 1), 0.25))
    as_batch = integrated_gradients(flat, images, 0, baseline=np.full_like(images, 0.25))
    np.testing.assert_array_equal(as_number, as_image)
    np.testing.assert_array_equal(as_number, as_batch)
    assert not np.allclose(as_number, integrated_gradients(flat, images, 0))
    each = np.arange(5, dtype=np.float32)[:, None, None, None] * np.full_like(images, 0.1)
    mixed = integrated_gradients(flat, images, 0, baseline=each)
    for n in range(5):
        alone = integrated_gradients(flat, images[[n]], 0, baseline=0.1 * n)
        np.testing.assert_allclose(mixed[[n]], alone, atol=1e-6)


def test_a_pixel_that_equals_its_baseline_gets_exactly_nothing(
    flat: Any, images: np.ndarray
) -> None:
    images = images.copy()
    images[:, 2:5, 3] = 0
    assert not integrated_gradients(flat, images)[:, 2:5, 3].any()


@pytest.mark.parametrize("name", ["midpoint", "trapezoid", "gauss-legendre"])
@pytest.mark.parametrize("steps", [2, 3, 10])
def test_quadrature_rules_are_exact_where_they_should_be(name: str, steps: int) -> None:
    points, weights = quadrature_rule(name, steps)
    assert len(points) == len(weights) == steps
    assert points.min() >= 0
    assert points.max() <= 1
    degree = 2 * steps - 1 if name == "gauss-legendre" else 1
    for power in range(degree + 1):
        assert weights @ points**power == pytest.approx(1 / (power + 1), rel=1e-12)
    if name == "trapezoid":
        assert (points[0], points[-1]) == (0, 1)


# --- errors --------------------------------------------------------------------------------------


@every_method
def test_what_is_wrong_with_the_images_or_the_target_is_said(
    method: Method, flat: Any, images: np.ndarray
) -> None:
    with pytest.raises(ValueError, match="add the batch axis"):
        method(flat, images[0])
    with pytest.raises(ValueError, match=r"target \[3\] out of range"):
        method(flat, images, 3)
    with pytest.raises(ValueError, match="dtype uint8"):
        method(flat, (255 * images).astype(np.uint8))
    with pytest.raises(ValueError, match="NaN or infinity in images"):
        method(flat, images * np.nan)
    with pytest.raises(ValueError, match="score must be"):
        method(flat, images, score="loss")
    with pytest.raises(ValueError, match="batch_size 0; expected a whole number"):
        method(flat, images, batch_size=0)


@every_method
def test_a_gradient_that_overflows_is_an_error(method: Method, images: np.ndarray) -> None:
    steep = functional([layers.Flatten(), layers.Dense(1), layers.Dense(1)])
    steep.set_weights([np.full(w.shape, 1e30) for w in steep.get_weights()])
    with pytest.raises(ValueError, match="a number overflows inside model"):
        method(steep, images, 0)


@every_method
def test_a_dead_network_gives_zeros(method: Method, images: np.ndarray) -> None:
    assert not method(zero_classes(seeded(functional(gap_layers()))), images, 0).any()


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (np.zeros((8, 8)), r"baseline of shape \(8, 8\); expected a number, one image \(8, 8, 1\)"),
        (np.zeros((4, 8, 8, 1)), r"or one for each image \(5, 8, 8, 1\)"),
        (np.nan, "NaN or infinity in the baseline"),
        ("black", "expected numbers in the images' scale"),
    ],
)
def test_baselines_that_do_not_fit(
    baseline: Any, message: str, flat: Any, images: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=message):
        integrated_gradients(flat, images, baseline=baseline)


def test_other_wrong_options(flat: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="quadrature 'simpson'; expected 'midpoint'"):
        integrated_gradients(flat, images, quadrature="simpson")
    with pytest.raises(ValueError, match="steps 0; expected a whole number"):
        integrated_gradients(flat, images, steps=0)
    with pytest.raises(ValueError, match="2 or more"):
        integrated_gradients(flat, images, steps=1, quadrature="trapezoid")
    with pytest.raises(ValueError, match=r"samples 2\.5; expected a whole number"):
        smooth_grad(flat, images, samples=2.5)
    with pytest.raises(ValueError, match="noise -1; expected a share"):
        smooth_grad(flat, images, noise=-1)
    with pytest.raises(ValueError, match=r"images of shape \(8, 8, 1\)"):
        expected_gradients(flat, images, references=REFERENCES[0])
