"""Deconvnet, guided backpropagation, LRP and DeepLIFT by another way: by hand and by NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpy_rules as nr
from networks import (
    FORMS,
    SHAPE,
    flat_layers,
    functional,
    gap_layers,
    keras,
    layers,
    reloaded,
    seeded,
)
from xai_utils.backprop import deconvnet, deep_lift, deep_taylor, guided_backprop, lrp

pytestmark = pytest.mark.filterwarnings("ignore:.*zero everywhere")

NUMBERS: dict[str, Any] = {
    "epsilon": nr.EPSILON,
    "alpha": nr.ALPHA,
    "beta": nr.BETA,
    "gamma": nr.GAMMA,
    "low": nr.LOW,
    "high": nr.HIGH,
}


def same(actual: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    size = np.abs(expected).max()
    assert size > 1e-4
    np.testing.assert_allclose(actual, expected, atol=tolerance * max(size, 0.1), rtol=0)


@pytest.fixture(scope="module", params=["flat", "gap"])
def network(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def signed(images: np.ndarray) -> np.ndarray:
    """Images with values on both sides of zero, within the limits that zB is told."""
    return (1.5 * images - 0.4).astype(np.float32)


# --- by hand: three neurons ----------------------------------------------------------------------
#
#   x = (1, 2)   z1 = 2 x1 - x2 + 1 = 1    h1 = 1
#                z2 = x1 + x2 - 1   = 2    h2 = 2    f = 3 h1 - h2 + 1 = 2
#
# From f: h1 contributes 3, h2 -2, the bias 1, together 2.

POINT = np.array([1, 2], np.float32).reshape(1, 1, 2, 1)


@pytest.fixture(scope="module")
def three_neurons() -> Any:
    parts = [layers.Flatten(), layers.Dense(2, activation="relu", name="h"), layers.Dense(1)]
    model = functional(parts, (1, 2, 1))
    weights = [[[2, 1], [-1, 1]], [1, -1], [[3], [-1]], [1]]
    model.set_weights([np.array(w, np.float32) for w in weights])
    return model


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # R(h) = (3, -2).  h1: 2/1 * 3, -2/1 * 3;  h2: 1/2 * -2, 2/2 * -2.
        ({"rule": "0"}, (6 - 1, -6 - 2)),
        # epsilon 1.  R(h) = 2 (3, -2) / 3 = (2, -4/3).  h1: (2, -2) / 2 * 2; h2: (1, 2) / 3 * -4/3.
        ({"rule": "epsilon", "epsilon": 1.0}, (2 - 4 / 9, -2 - 8 / 9)),
        # z+ = 3 + 1, z- = -2.  R(h1) = 2*2*3/4 = 3, R(h2) = -1*2 = -2.
        # h1: z+ = 2 + 1, z- = -2: (2*3*2/3, -3);  h2: z+ = 3, z- = -1 (the bias): 2*-2*(1, 2)/3.
        ({"rule": "alpha-beta"}, (4 - 4 / 3, -3 - 8 / 3)),
        # gamma 1: f: 6 - 2 + 2 = 6: R(h) = (2, -2/3).  h1: 4 - 2 + 2 = 4: 2 (4, -2) / 4.
        # h2: 2 + 4 - 1 = 5: -2/3 (2, 4) / 5.
        ({"rule": "gamma", "gamma": 1.0}, (2 - 4 / 15, -1 - 8 / 15)),
        # R(h) = (2, 0); h1: all of it to x1.
        ({"rule": "z+"}, (2, 0)),
        # R(h) = (3, -2) by "0", then halves; then squares: h1 (4, 1)/5, h2 (1, 1)/2.
        ({"rule": "0", "input_rule": "flat"}, (0.5, 0.5)),
        ({"rule": "0", "input_rule": "w2"}, (2.4 - 1, 0.6 - 1)),
        # low 0, high 3: h1: 2*1 and -2 + 3 = 1: 3 (2, 1)/3;  h2: (1, 2)/3 * -2.
        ({"rule": "0", "input_rule": "zB", "high": 3.0}, (2 - 2 / 3, 1 - 4 / 3)),
    ],
)
def test_by_hand(options: dict[str, Any], expected: Any, three_neurons: Any) -> None:
    result = lrp(three_neurons, POINT, 0, **options).ravel()
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_by_hand_of_a_negative_logit(three_neurons: Any) -> None:
    # At (0, 3): z = (-2, 2), h = (0, 2), f = -2 + 1 = -1.  gamma 1: the negative part counts
    # double, -4 + 1 = -3: R(h2) = -4/-3 * -1, all of it to x2 but for the bias: 2*3 - 1 = 5.
    result = lrp(three_neurons, POINT * 0 + [[[0], [3]]], 0, rule="gamma", gamma=1.0).ravel()
    np.testing.assert_allclose(result, [0, -4 / 3 * 6 / 5], atol=1e-6)


def test_by_hand_signals(three_neurons: Any) -> None:
    # From f: (3, -1); the negative one is cut; h1 hands 3 (2, -1) on, alive or dead in a deconvnet.
    for point, guided in ((POINT, (6, -3)), (POINT * [[[0], [2]]], (0, 0))):
        np.testing.assert_allclose(guided_backprop(three_neurons, point, 0).ravel(), guided)
        np.testing.assert_allclose(deconvnet(three_neurons, point, 0).ravel(), (6, -3))


def test_by_hand_deep_lift(three_neurons: Any) -> None:
    # From 0: z goes from (1, -1) to (1, 2), h from (1, 0) to (1, 2).  h1 does not change: its
    # derivative 1 hands on 3 (2, -1).  h2: slope 2/3, hands on -2/3 (1, 1).  Times x = (1, 2).
    result = deep_lift(three_neurons, POINT, 0).ravel()
    np.testing.assert_allclose(result, (6 - 2 / 3, -6 - 4 / 3), atol=1e-6)


@pytest.mark.parametrize(
    ("image", "baseline", "expected"),
    [
        ([3, 1, 0, 0], [0, 0, 2, 0], [1, 0, 0, 0]),  # 2 -> 3: the rise goes to the image's winner
        ([1, 0, 0, 0], [0, 0, 2, 0], [0, 0, -1, 0]),  # 2 -> 1: the fall to the baseline's
        ([2, 2, 1, 0], [0, 0, 0, 0], [2, 0, 0, 0]),  # among equals to the first
    ],
)
def test_by_hand_maximum(image: list[int], baseline: list[int], expected: list[int]) -> None:
    model = functional([layers.MaxPooling2D(), layers.Flatten(), layers.Dense(1)], (2, 2, 1))
    model.set_weights([np.ones((1, 1)), np.zeros(1)])
    x, b = (np.array(v, np.float32).reshape(1, 2, 2, 1) for v in (image, baseline))
    np.testing.assert_array_equal(deep_lift(model, x, 0, baseline=b).ravel(), expected)
    winner = np.eye(4)[np.argmax(image)]
    np.testing.assert_array_equal(guided_backprop(model, x, 0).ravel(), winner)
    np.testing.assert_array_equal(lrp(model, x, 0, rule="0").ravel(), winner * max(image))


def test_a_silent_unit_that_flat_gave_a_share(three_neurons: Any) -> None:
    # x = (1, 4): z = (-1, 4), h = (0, 4), f = -4 + 1 = -3, and flat gives R(h) = (-1.5, -1.5).
    # epsilon 1.  h1: (2, -4) / -2 * -1.5 = (1.5, -3);  h2: (1, 4) / 5 * -1.5 = (-0.3, -1.2).
    image = np.array([1, 4], np.float32).reshape(1, 1, 2, 1)
    rule = {three_neurons.layers[-1].name: "flat"}
    result = lrp(three_neurons, image, 0, rule=rule, epsilon=1.0)
    np.testing.assert_allclose(result.ravel(), (1.2, -4.2), rtol=1e-5)


# --- by NumPy ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["0", "epsilon", "alpha-beta", "gamma", "z+", "flat", "w2"])
def test_numpy_lrp(rule: str, network: Any, signed: np.ndarray) -> None:
    for target in (0, 2):
        expected = nr.lrp(network, signed, target, rule, None)
        # A unit near zero magnifies rounding under "0".
        same(lrp(network, signed, target, rule=rule, **NUMBERS), expected, 1e-4)


@pytest.mark.parametrize("input_rule", ["zB", "w2", "flat", "0"])
def test_numpy_input_rules(input_rule: str, network: Any, signed: np.ndarray) -> None:
    expected = nr.lrp(network, signed, 1, "gamma", input_rule)
    same(lrp(network, signed, 1, rule="gamma", input_rule=input_rule, **NUMBERS), expected, 1e-4)


def test_numpy_deep_taylor(network: Any, signed: np.ndarray) -> None:
    expected = nr.lrp(network, signed, 1, "z+", "zB")
    same(deep_taylor(network, signed, 1, low=nr.LOW, high=nr.HIGH), expected)


def test_numpy_signals(network: Any, signed: np.ndarray) -> None:
    for target in range(3):
        same(deconvnet(network, signed, target), nr.signal(network, signed, target, guided=False))
        expected = nr.signal(network, signed, target, guided=True)
        same(guided_backprop(network, signed, target), expected)


def test_numpy_deep_lift(network: Any, signed: np.ndarray) -> None:
    others = np.random.default_rng(3).normal(0.2, 1, signed.shape).astype(np.float32)
    for target in range(3):
        expected = nr.deep_lift(network, signed, target, others)
        same(deep_lift(network, signed, target, baseline=others), expected, 1e-4)


# --- every form of a model -----------------------------------------------------------------------

METHODS: dict[str, Any] = {
    "deconvnet": deconvnet,
    "guided_backprop": guided_backprop,
    "lrp": lambda *a: lrp(*a, rule="alpha-beta", input_rule="zB", low=nr.LOW, high=nr.HIGH),
    "deep_lift": lambda *a: deep_lift(*a, baseline=0.3),
}


@pytest.fixture(scope="module")
def from_numpy() -> dict[str, np.ndarray]:
    images = np.random.default_rng(7).random((5, *SHAPE), dtype=np.float32)
    model = seeded(functional(gap_layers()))
    return {
        "deconvnet": nr.signal(model, images, 0, guided=False),
        "guided_backprop": nr.signal(model, images, 0, guided=True),
        "lrp": nr.lrp(model, images, 0, "alpha-beta", "zB"),
        "deep_lift": nr.deep_lift(model, images, 0, np.full_like(images, 0.3)),
    }


@pytest.mark.parametrize(
    ("form", "end"),
    [
        ("sequential", "dense activation"),
        ("functional", "activation layer"),
        ("nested at the start", "logits"),
        ("nested at the end", "dense activation"),
        ("nested twice", "softmax layer"),
        ("reloaded", "softmax layer"),
    ],
)
def test_every_form_and_end_gives_the_same_numbers(
    form: str,
    end: str,
    images: np.ndarray,
    from_numpy: dict[str, np.ndarray],
    tmp_path: Path,
) -> None:
    assert form in [*FORMS, "reloaded"]
    model = seeded(FORMS.get(form, functional)(gap_layers(end)))
    model = reloaded(model, tmp_path) if form == "reloaded" else model
    for name, method in METHODS.items():
        np.testing.assert_allclose(
            method(model, images, 0), from_numpy[name], atol=1e-5, err_msg=name
        )


# --- the same network in other layers ------------------------------------------------------------


def randomised(norm: Any, seed: int) -> None:
    rng, channels = np.random.default_rng(seed), norm.gamma.shape[0]
    values = [rng.normal(1, 0.3, channels), rng.normal(0, 0.3, channels)]
    norm.set_weights([*values, rng.normal(0, 0.3, channels), rng.uniform(0.5, 2, channels)])


def normalised() -> tuple[Any, Any]:
    """A network with batch normalisation, and one with it multiplied into the weights by hand."""
    parts = [
        layers.Conv2D(3, 3, use_bias=False, name="conv"),
        layers.BatchNormalization(name="norm1"),
        layers.ReLU(),
        layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise"),
        layers.BatchNormalization(name="norm2"),
        layers.Activation("relu"),
        layers.Flatten(),
        layers.Dense(4, name="dense"),
        layers.BatchNormalization(name="norm3"),
        layers.Dense(3, name="logits"),
    ]
    one = seeded(functional(parts))
    other = functional(
        [
            layers.Conv2D(3, 3, activation="relu", name="conv"),
            layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="depthwise"),
            layers.Flatten(),
            layers.Dense(4, name="dense"),
            layers.Dense(3, name="logits"),
        ]
    )
    for k, name in enumerate(("conv", "depthwise", "dense"), start=1):
        norm = one.get_layer(f"norm{k}")
        randomised(norm, k)
        gamma, beta, mean, variance = norm.get_weights()
        factor = gamma / np.sqrt(variance + norm.epsilon)
        kernel, *bias = one.get_layer(name).get_weights()
        wide = factor.reshape(kernel.shape[-2:]) if name == "depthwise" else factor
        shift = beta + factor * ((bias[0] if bias else 0) - mean)
        other.get_layer(name).set_weights([kernel * wide, shift])
    other.get_layer("logits").set_weights(one.get_layer("logits").get_weights())
    return one, other


@pytest.mark.parametrize("rule", ["epsilon", "alpha-beta", "gamma", "z+", "w2"])
def test_batch_normalisation_is_folded(rule: str, signed: np.ndarray) -> None:
    one, other = normalised()
    expected = lrp(other, signed, 1, rule=rule, **NUMBERS)
    same(lrp(one, signed, 1, rule=rule, **NUMBERS), expected, 1e-4)
    expected = lrp(other, signed, 1, rule={"dense": rule})  # a layer's name stays its own
    same(lrp(one, signed, 1, rule={"dense": rule}), expected, 1e-4)


def test_batch_normalisation_in_the_other_methods(signed: np.ndarray) -> None:
    one, other = normalised()
    for method in (deconvnet, guided_backprop, deep_lift):
        same(method(one, signed, 1), method(other, signed, 1))


def test_padding_by_a_layer_of_its_own_is_the_convolutions_own(signed: np.ndarray) -> None:
    own = seeded(functional([layers.Conv2D(3, 3, padding="same"), layers.Flatten(), *ends()]))
    padded = [layers.ZeroPadding2D(1), layers.Conv2D(3, 3), layers.Flatten(), *ends()]
    other = seeded(functional(padded))
    for rule in ("zB", "flat", "w2", "alpha-beta"):
        expected = lrp(own, signed, 1, input_rule=rule, **NUMBERS)
        same(lrp(other, signed, 1, input_rule=rule, **NUMBERS), expected)


def ends() -> list[Any]:
    return [layers.Dense(3, name="logits")]


def test_limits_of_each_channel(images: np.ndarray) -> None:
    # With equal low and high in every channel as one number; another low in one channel counts.
    model = seeded(functional(flat_layers(), (8, 8, 3)))
    x = np.repeat(images, 3, axis=-1)
    one = deep_taylor(model, x, 0, low=-1.0, high=2.0)
    same(deep_taylor(model, x, 0, low=[-1, -1, -1], high=[2, 2, 2]), one, 1e-7)
    assert np.abs(deep_taylor(model, x, 0, low=[-1, -3, -1], high=2.0) - one).max() > 1e-3
    assert isinstance(model, keras.Model)
