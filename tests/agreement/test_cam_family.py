"""Grad-CAM++, LayerCAM, Guided Grad-CAM and many layers: by hand, and by NumPy in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpy_network as nn
import numpy_rules
from networks import (
    ENDS,
    FORMS,
    FOUR,
    SHAPE,
    functional,
    gap_layers,
    layers,
    reloaded,
    seeded,
    two_filters,
)
from xai_utils import scores
from xai_utils.cam import (
    cam,
    combine_layers,
    grad_cam_layers,
    grad_cam_plus_plus,
    guided_grad_cam,
    layer_cam,
)

CLASSES = range(3)
zeros_are_fine = pytest.mark.filterwarnings("ignore:.*zero everywhere")

# --- by hand: a 2x2 image and two filters --------------------------------------------------------
#
#   image     A1 = relu(x)   A2 = relu(3 - x)
#   1  2      1  2           2  1
#   4  5      4  5           0  0               sums: 12 and 3

A1, A2 = np.array([[1, 2], [4, 5]]), np.array([[2, 1], [0, 0]])


@pytest.fixture(scope="module")
def pooled() -> Any:
    """Logits 2 mean(A1) + mean(A2) and -mean(A1) + 3 mean(A2); g = (1/2, 1/4) and (-1/4, 3/4)."""
    model = two_filters([layers.GlobalAveragePooling2D(), layers.Dense(2, name="logits")])
    model.get_layer("logits").set_weights([np.array([[2.0, -1.0], [1.0, 3.0]]), np.zeros(2)])
    return model


@pytest.fixture(scope="module")
def flattened() -> Any:
    """One logit, whose gradient is 1 0 / 0 -1 for A1 and 0 4 / 0 0 for A2."""
    model = two_filters([layers.Flatten(), layers.Dense(1, name="logits")])
    gradient = np.array([[[1.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [-1.0, 0.0]]])
    model.get_layer("logits").set_weights([gradient.reshape(8, 1), np.array([0.5])])
    return model


def test_by_hand_grad_cam_plus_plus(pooled: Any, flattened: Any) -> None:
    # class 0: alpha = 1 / (2 + 12/2) = 1/8 and 1 / (2 + 3/4) = 4/11; w = 4 alpha g = 1/4 and 4/11
    expected = A1 / 4 + 4 * A2 / 11
    np.testing.assert_allclose(grad_cam_plus_plus(pooled, FOUR, 0)[0], expected, rtol=1e-6)
    # class 1: the first gradient is negative, so w = 0; alpha = 1 / (2 + 9/4) = 4/17, w = 12/17
    result = grad_cam_plus_plus(pooled, FOUR, 1)[0]
    np.testing.assert_allclose(result, 12 * A2 / 17, rtol=1e-6)
    # flattened: alpha = 1 / (2 + 12) at g = 1, and 1 / (2 + 3 * 4) at g = 4; -1 and 0 add nothing
    expected = A1 / 14 + 4 * A2 / 14
    np.testing.assert_allclose(grad_cam_plus_plus(flattened, FOUR)[0], expected, rtol=1e-6)


def test_by_hand_layer_cam(pooled: Any, flattened: Any) -> None:
    np.testing.assert_array_equal(layer_cam(pooled, FOUR, 0)[0], A1 / 2 + A2 / 4)
    np.testing.assert_array_equal(layer_cam(pooled, FOUR, 1)[0], 3 * A2 / 4)
    np.testing.assert_array_equal(layer_cam(flattened, FOUR), [[[1, 4], [0, 0]]])


def test_by_hand_guided_grad_cam(pooled: Any) -> None:
    # class 1: Grad-CAM is 1.25 0.25 / 0 0.  On its way back -1/4 is cut at A1's ReLU and 3/4 goes
    # through A2's where A2 is active, that is above, times the filter -1.
    expected = [[-0.75 * 1.25, -0.75 * 0.25], [0, 0]]
    np.testing.assert_array_equal(guided_grad_cam(pooled, FOUR, 1)[0, ..., 0], expected)
    # class 0: Grad-CAM is 1 1.25 / 2 2.5; the signal 1/2 - 1/4 above, 1/2 below.
    expected = [[0.25, 0.3125], [1, 1.25]]
    np.testing.assert_array_equal(guided_grad_cam(pooled, FOUR, 0)[0, ..., 0], expected)


def test_by_hand_many_layers_and_their_combination() -> None:
    # a = relu(x), b = the mean of each row of a; z = b above - b below.
    a, b = layers.Conv2D(1, 1, activation="relu", name="a"), layers.Conv2D(1, (1, 2), name="b")
    model = functional([a, b, layers.Flatten(), layers.Dense(1, name="z")], (2, 2, 1))
    a.set_weights([np.ones((1, 1, 1, 1)), np.zeros(1)])
    b.set_weights([np.full((1, 2, 1, 1), 0.5), np.zeros(1)])
    model.get_layer("z").set_weights([np.array([[3.0], [-1.0]]), np.zeros(1)])
    maps = grad_cam_layers(model, FOUR)
    # dz/db = 3, -1: alpha 1, map b = 1.5 / 4.5.  dz/da = 1.5 1.5 / -0.5 -0.5: alpha 0.5, map a / 2
    np.testing.assert_array_equal(maps["a"], [[[0.5, 1], [2, 2.5]]])
    np.testing.assert_array_equal(maps["b"], [[[1.5], [4.5]]])
    # scaled: 0.2 0.4 / 0.8 1 and 1/3 / 1, the second twice as wide
    expected = [[(0.2 + 1 / 3) / 2, (0.4 + 1 / 3) / 2], [0.9, 1]]
    np.testing.assert_allclose(combine_layers(maps, (2, 2))[0], expected, rtol=1e-6)


def test_by_hand_cam_of_a_convolution_behind_the_pooling() -> None:
    last = layers.Conv2D(2, 1, name="classes")
    head = [layers.GlobalAveragePooling2D(keepdims=True), last, layers.Reshape((2,))]
    model = two_filters([*head, layers.Softmax()])
    last.set_weights([np.array([[2.0, -1.0], [1.0, 3.0]]).reshape(1, 1, 2, 2), np.zeros(2)])
    np.testing.assert_array_equal(cam(model, FOUR, 0)[0], 2 * A1 + A2)
    np.testing.assert_array_equal(cam(model, FOUR, 1)[0], 3 * A2 - A1)


def test_by_hand_cam_without_a_layer_behind_the_pooling() -> None:
    model = two_filters([layers.GlobalAveragePooling2D(), layers.Softmax()])
    np.testing.assert_array_equal(cam(model, FOUR, 0)[0], A1)
    np.testing.assert_array_equal(cam(model, FOUR, 1)[0], A2)
    np.testing.assert_array_equal(cam(model, FOUR)[0], A1)  # means 3 and 0.75
    np.testing.assert_array_equal(scores.logits(model, FOUR), [[3, 0.75]])


# --- by NumPy ------------------------------------------------------------------------------------


def one_hot(target: int, n: int) -> np.ndarray:
    return np.tile(np.eye(3)[target], (n, 1))


def plus_plus(A: np.ndarray, g: np.ndarray, logit: np.ndarray) -> np.ndarray:
    """The paper's formula, map by map, with Y = exp(logit) and its three derivatives written out.

    Divided by Y at the end, which the library leaves out.
    """
    result = np.zeros(A.shape[:3])
    for n, k in np.ndindex(A.shape[0], A.shape[3]):
        Y = np.exp(logit[n])
        first, second, third = (Y * g[n, :, :, k] ** d for d in (1, 2, 3))
        denominator = 2 * second + A[n, :, :, k].sum() * third
        alpha = np.divide(second, denominator, out=np.zeros_like(Y * first), where=second != 0)
        weight = (alpha * np.maximum(first, 0)).sum()
        result[n] += weight * A[n, :, :, k] / Y
    return np.maximum(result, 0)


@zeros_are_fine
@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2"])
@pytest.mark.parametrize("target", CLASSES)
@pytest.mark.parametrize("name", ["flat", "gap"])
def test_numpy_maps(
    name: str, target: int, layer: str, images: np.ndarray, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(name)
    run = nn.forward(model, images)
    g = nn.backward(model, run, one_hot(target, len(images)))[layer]
    A = getattr(run, layer)
    expected = {
        grad_cam_plus_plus: plus_plus(A, g, run.logits[:, target]),
        layer_cam: np.maximum((np.maximum(g, 0) * A).sum(axis=-1), 0),
    }
    for method, maps in expected.items():
        result = method(model, images, target, layer=layer)
        np.testing.assert_allclose(result, maps, atol=1e-6, err_msg=method.__name__)
        assert maps.max() > 1e-2


@zeros_are_fine
@pytest.mark.parametrize("target", CLASSES)
@pytest.mark.parametrize("name", ["flat", "gap"])
def test_numpy_many_layers(
    name: str, target: int, images: np.ndarray, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(name)
    run = nn.forward(model, images)
    gradients = nn.backward(model, run, one_hot(target, len(images)))
    maps = grad_cam_layers(model, images, target, layers=["conv1", "pool1", "conv2"])
    for layer, result in maps.items():
        alpha = gradients[layer].mean(axis=(1, 2), keepdims=True)
        expected = np.maximum((alpha * getattr(run, layer)).sum(axis=-1), 0)
        np.testing.assert_allclose(result, expected, atol=1e-6, err_msg=layer)


@zeros_are_fine
@pytest.mark.parametrize("target", CLASSES)
@pytest.mark.parametrize("name", ["flat", "gap"])
def test_numpy_guided_grad_cam(
    name: str, target: int, images: np.ndarray, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(name)
    run = nn.forward(model, images)
    g = nn.backward(model, run, one_hot(target, len(images)))["conv2"]
    heat = np.maximum((g.mean(axis=(1, 2), keepdims=True) * run.conv2).sum(axis=-1), 0)
    # Bilinear from 4 to 8: pixel p lies at p / 2 - 1/4, held within the first and the last cell.
    places = ((np.arange(8) + 0.5) / 2 - 0.5).clip(0, 3)
    weight = np.maximum(1 - np.abs(places[:, None] - np.arange(4)), 0)  # (8, 4)
    large = np.einsum("pi,nij,qj->npq", weight, heat, weight)
    fine = numpy_rules.signal(model, images, target, guided=True)
    expected = fine * large[..., None]
    np.testing.assert_allclose(guided_grad_cam(model, images, target), expected, atol=1e-6)


# --- Grad-CAM++: derivatives of exp(logit) by differences ----------------------------------------


@pytest.mark.parametrize("target", CLASSES)
def test_alpha_from_second_and_third_differences(target: int, gap: Any, images: np.ndarray) -> None:
    # On this network the logit is linear in the maps, so no kink lies within a step.
    maps = nn.forward(gap, images[:1]).conv2
    step = 0.2 * np.eye(maps.size).reshape(maps.size, *maps.shape[1:])

    def Y(k: int) -> np.ndarray:
        return np.exp(nn.head(gap, maps + k * step)[1][:, target]).reshape(maps.shape)

    first = (Y(1) - Y(-1)) / 0.4
    second = (Y(1) - 2 * Y(0) + Y(-1)) / 0.2**2
    third = (Y(2) - 2 * Y(1) + 2 * Y(-1) - Y(-2)) / (2 * 0.2**3)
    alpha = second / (2 * second + maps.sum(axis=(1, 2), keepdims=True) * third)
    weights = (alpha * np.maximum(first, 0)).sum(axis=(1, 2), keepdims=True)
    expected = np.maximum((weights * maps).sum(axis=-1), 0) / Y(0).flat[0]
    result = grad_cam_plus_plus(gap, images[:1], target)
    np.testing.assert_allclose(result, expected, atol=1e-3 * expected.max())
    assert expected.max() > 1e-3


# --- every form of a model -----------------------------------------------------------------------


@zeros_are_fine
@pytest.mark.parametrize("end", [*ENDS])
@pytest.mark.parametrize("form", [*FORMS, "reloaded"])
def test_every_form_and_end_gives_the_same_numbers(
    form: str, end: str, images: np.ndarray, tmp_path: Path
) -> None:
    plain = seeded(functional(gap_layers("logits")))
    run = nn.forward(plain, np.random.default_rng(7).random((5, *SHAPE), dtype=np.float32))
    g = nn.backward(plain, run, one_hot(0, len(images)))
    model = seeded(FORMS.get(form, functional)(gap_layers(end)))
    model = reloaded(model, tmp_path) if form == "reloaded" else model
    expected = {
        grad_cam_plus_plus: plus_plus(run.conv2, g["conv2"], run.logits[:, 0]),
        layer_cam: (np.maximum(g["conv2"], 0) * run.conv2).sum(axis=-1),
    }
    for method, maps in expected.items():
        np.testing.assert_allclose(method(model, images, 0), maps, atol=2e-6)
    both = grad_cam_layers(model, images, 0)
    assert list(both) == ["conv1", "conv2"]
    for layer, result in both.items():
        alpha = g[layer].mean(axis=(1, 2), keepdims=True)
        maps = np.maximum((alpha * getattr(run, layer)).sum(axis=-1), 0)
        np.testing.assert_allclose(result, maps, atol=2e-6, err_msg=layer)
    result = guided_grad_cam(model, images, 0)
    np.testing.assert_allclose(result, guided_grad_cam(plain, images, 0), atol=2e-6)
