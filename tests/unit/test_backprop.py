"""Backward rules: shapes, errors, what is traced, batches, colours, models left alone."""

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
    seeded,
    zero_classes,
)
from xai_utils import _reverse
from xai_utils.backprop import (
    deconvnet,
    deep_lift,
    deep_taylor,
    guided_backprop,
    lrp,
    lrp_by_layer,
)
from xai_utils.scores import logits

METHODS = [deconvnet, guided_backprop, lrp, deep_taylor, deep_lift]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:.*zero everywhere")
def test_shape_target_and_batches(method: Any, flat: Any, images: np.ndarray) -> None:
    result = method(flat, images)
    assert (result.shape, result.dtype) == (images.shape, np.float32)
    predicted = logits(flat, images).argmax(axis=1)
    np.testing.assert_array_equal(method(flat, images, predicted), result)
    assert not np.allclose(method(flat, images, (predicted + 1) % 3), result)
    for size in (1, 3, 64):
        other = method(flat, images, batch_size=size)
        np.testing.assert_allclose(other, result, atol=1e-5 * np.abs(result).max())


@pytest.mark.filterwarnings("ignore:.*zero everywhere")
def test_traced_once(monkeypatch: pytest.MonkeyPatch, images: np.ndarray) -> None:
    model, traced, forward = seeded(functional(gap_layers())), [], _reverse.forward

    def counted(model: Any, x: Any) -> Any:
        traced.append(x.shape)
        return forward(model, x)

    monkeypatch.setattr(_reverse, "forward", counted)
    for method in (deconvnet, guided_backprop, lrp, deep_lift):
        for target in (None, 0, [1, 2]):
            method(model, images if target != [1, 2] else images[:2], target)
    for baseline in (0.5, images):
        deep_lift(model, images, baseline=baseline)
    assert len(traced) == 4
    lrp(model, images, rule="0")
    assert len(traced) == 5  # another rule is another function


def test_colours(images: np.ndarray) -> None:
    model = seeded(functional(flat_layers(), (8, 8, 3)))
    x = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    for method in (deconvnet, guided_backprop, lrp, deep_lift):
        result = method(model, x, 1)
        assert result.shape == x.shape
        assert np.ptp(result, axis=-1).max() > 1e-3


def test_rules_by_layer(flat: Any, images: np.ndarray) -> None:
    all_named = dict.fromkeys(("conv1", "conv2", "dense", "logits"), "gamma")
    expected = lrp(flat, images, 0, rule="gamma")
    np.testing.assert_allclose(lrp(flat, images, 0, rule=all_named), expected, atol=1e-6)
    none = lrp(flat, images, 0, rule={})
    np.testing.assert_array_equal(none, lrp(flat, images, 0, rule="epsilon"))
    assert np.abs(lrp(flat, images, 0, rule={"conv2": "gamma"}) - none).max() > 1e-3


def test_a_shared_layer(images: np.ndarray) -> None:
    shared = layers.Conv2D(1, 3, padding="same", activation="relu", name="shared")
    model = seeded(functional([shared, shared, layers.Flatten(), layers.Dense(3, name="logits")]))
    run = lrp_by_layer(model, images, 0, rule="0")
    absorbed = sum(run.bias.values()) + sum(run.unplaced.values())
    np.testing.assert_allclose(run.image.sum(axis=(1, 2, 3)) + absorbed, run.logit, atol=1e-5)


def test_mixed_precision(images: np.ndarray) -> None:
    policy = keras.mixed_precision.dtype_policy()
    try:
        keras.mixed_precision.set_dtype_policy("mixed_float16")
        half = seeded(functional(gap_layers("logits")))
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    full = seeded(functional(gap_layers("logits")))
    for method in (guided_backprop, lrp, deep_lift):
        expected = method(full, images, 0)
        result = method(half, images, 0)
        np.testing.assert_allclose(result, expected, atol=0.05 * np.abs(expected).max())


def test_the_model_is_left_alone(images: np.ndarray) -> None:
    model = seeded(functional(gap_layers("dense activation")))
    before = [vars(layer).copy() for layer in model.layers]
    weights, outputs = model.get_weights(), np.asarray(model(images))
    for method in METHODS:
        method(model, images, 0)
    for layer, attributes in zip(model.layers, before, strict=True):
        assert vars(layer).keys() == attributes.keys()
        assert getattr(layer, "activation", None) is attributes.get("activation")
    for new, old in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(new, old)
    np.testing.assert_array_equal(np.asarray(model(images)), outputs)
    assert not any(len(layer._outbound_nodes) > 1 for layer in model.layers)


@pytest.mark.parametrize("method", METHODS)
def test_a_dead_network_gives_zeros_and_says_so(method: Any, images: np.ndarray) -> None:
    model = zero_classes(seeded(functional(gap_layers())))
    with pytest.warns(UserWarning, match="zero everywhere for 5 of 5 images") as caught:
        result = method(model, images, 0)
    assert not result.any()
    assert caught[0].filename == __file__ or method is deep_taylor


def behind(front: list[Any]) -> tuple[Any, Any]:
    """A network that begins with layers of its own, and the one behind them, of equal weights."""
    first = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")
    parts = [layers.ZeroPadding2D(1), first, *flat_layers()]
    whole = seeded(functional([*front, *parts]))
    return whole, functional(parts)


@pytest.mark.parametrize(("factor", "shift"), [(2.0, -1.0), (-0.5, 0.25)])
@pytest.mark.parametrize(
    "options",
    [{"rule": r} for r in ("epsilon", "gamma", "z+", "flat", "w2")]
    + [{"rule": "z+", "input_rule": r} for r in ("flat", "w2", "zB")],
    ids=str,
)
def test_relevance_passes_a_rescaling_as_it_is(
    options: dict[str, str], factor: float, shift: float, images: np.ndarray
) -> None:
    whole, after = behind([layers.Rescaling(factor, offset=shift)])
    ends = sorted((shift, factor + shift))
    limits = {"low": ends[0], "high": ends[1]} if "zB" in options.values() else {}
    expected = lrp(after, images * factor + shift, 1, **options, **limits)  # type: ignore[arg-type]
    assert np.abs(expected).max() > 1e-3
    close(lrp(whole, images, 1, **options), expected)  # type: ignore[arg-type]


def test_a_normalization_is_a_rescaling_of_each_channel(images: np.ndarray) -> None:
    mean, variance = [0.2] * SHAPE[-1], [0.04] * SHAPE[-1]
    whole, after = behind([layers.Normalization(mean=mean, variance=variance)])
    moved = (images - 0.2) / 0.2
    close(lrp(whole, images, 1), lrp(after, moved, 1))
    close(guided_backprop(whole, images, 1), guided_backprop(after, moved, 1) / 0.2)
    shares = deep_lift(whole, images, 1, baseline=0.5)
    close(shares, deep_lift(after, moved, 1, baseline=(0.5 - 0.2) / 0.2))
    rise = logits(whole, images) - logits(whole, np.full_like(images, 0.5))
    close(shares.sum(axis=(1, 2, 3)), rise[:, 1])


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (lambda: layers.LeakyReLU(name="odd"), r"'odd' \(LeakyReLU\).*Supported"),
        (lambda: layers.ReLU(negative_slope=0.1, name="odd"), "'odd'.*negative slope"),
        (lambda: layers.Conv2D(2, 3, activation="tanh", name="odd"), "'odd'.*activation 'tanh'"),
        (lambda: layers.Conv2D(2, 3, activation="sigmoid", name="odd"), "'odd'.*'sigmoid'"),
        (lambda: layers.Activation("softmax", name="odd"), "'odd'.*'softmax'"),
        (lambda: layers.BatchNormalization(axis=1, name="odd"), "'odd'.*axis 1"),
        (lambda: layers.SeparableConv2D(2, 3, name="odd"), r"'odd' \(SeparableConv2D\)"),
    ],
)
def test_an_unsupported_layer_is_named(layer: Any, says: str, images: np.ndarray) -> None:
    model = functional([layer(), layers.Flatten(), layers.Dense(3)])
    for method in (guided_backprop, lrp, deep_lift):
        with pytest.raises(TypeError, match=says):
            method(model, images)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rule": "beta"}, "rule 'beta'; expected one of 0, epsilon"),
        ({"rule": "zB"}, "'zB' is an input_rule"),
        ({"rule": {"conv2": "zB"}}, "'zB' is an input_rule"),
        ({"rule": {"pool1": "0"}}, "no layer 'pool1'.*conv1, conv2, dense, logits"),
        ({"input_rule": "zb"}, "input_rule 'zb'"),
        ({"epsilon": 0.0}, "epsilon 0.0; expected more than 0"),
        ({"epsilon": np.nan}, "epsilon nan"),
        ({"alpha": 1.5}, "expected alpha - beta = 1"),
        ({"alpha": 0.5, "beta": -0.5}, "beta >= 0"),
        ({"gamma": -1.0}, "gamma -1.0; expected 0 or more"),
        ({"input_rule": "zB", "high": 0.5}, "images from .* the zB rule needs"),
        ({"input_rule": "zB", "low": [0, 0]}, r"low \[0, 0\]; expected a number"),
        ({"batch_size": 0}, "batch_size 0"),
    ],
)
def test_options_are_checked(
    options: dict[str, Any], says: str, flat: Any, images: np.ndarray
) -> None:
    for method in (lrp, lrp_by_layer):
        with pytest.raises(ValueError, match=says):
            method(flat, images, **options)


def test_input_is_checked(flat: Any, images: np.ndarray) -> None:
    for method in METHODS:
        with pytest.raises(ValueError, match="add the batch axis"):
            method(flat, images[0])
        with pytest.raises(ValueError, match=r"target \[3\] out of range"):
            method(flat, images, 3)
    with pytest.raises(ValueError, match="baseline of shape"):
        deep_lift(flat, images, baseline=np.zeros(3))
    pools = functional([layers.AveragePooling2D(2), layers.Flatten(), layers.Dense(3)], SHAPE)
    with pytest.raises(ValueError, match="reads the image itself"):
        lrp(pools, images, input_rule="flat")
