"""What must hold of deconvnet, guided backpropagation, LRP and DeepLIFT by definition."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from networks import SHAPE, flat_layers, functional, gap_layers, keras, layers, seeded
from xai_utils.backprop import deep_lift, deep_taylor, lrp, lrp_by_layer
from xai_utils.gradients import input_x_gradient, integrated_gradients
from xai_utils.scores import logits

pytestmark = pytest.mark.filterwarnings("ignore:.*zero everywhere")


def close(actual: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    """Equal up to rounding, and not because both are zero."""
    size = np.abs(expected).max()
    assert size > 1e-3
    np.testing.assert_allclose(actual, expected, atol=tolerance * max(size, 1), rtol=0)


def total(heat: np.ndarray) -> np.ndarray:
    return heat.sum(axis=(1, 2, 3), dtype=np.float64)


def sound(model: Any) -> Any:
    """Variances that are positive in every normalisation of a seeded model."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_variance.assign(np.abs(layer.moving_variance) + 0.5)
    return model


def skipping(bias: bool = True) -> Any:
    """Two branches that meet, normalisations alone and behind a convolution, every pooling."""

    def conv(x: Any, filters: int, **named: Any) -> Any:
        return layers.Conv2D(filters, 3, padding="same", use_bias=bias, **named)(x)

    x = inputs = keras.Input(SHAPE)
    x = layers.ReLU(max_value=6.0)(conv(x, 4, name="conv1"))
    if bias:
        x = layers.BatchNormalization(name="norm1")(x)
    y = conv(x, 4, name="conv2")
    if bias:
        y = layers.BatchNormalization(name="norm2")(y)
    x = layers.Activation("relu")(layers.Add(name="add")([x, y, x]))
    x = layers.Concatenate()([layers.MaxPooling2D()(x), layers.AveragePooling2D(2)(x)])
    x = conv(layers.Dropout(0.5)(layers.Cropping2D(1)(x)), 5, activation="relu", name="conv3")
    x = layers.Dense(3, use_bias=bias, name="logits")(layers.GlobalAveragePooling2D()(x))
    return sound(seeded(keras.Model(inputs, layers.Softmax()(x)), seed=3))


@pytest.fixture(scope="module")
def skip() -> Any:
    return skipping()


@pytest.fixture(scope="module")
def unbiased() -> dict[str, Any]:
    """Networks without biases."""
    models = {"skip": skipping(bias=False)}
    for kind, parts in (("flat", flat_layers()), ("gap", gap_layers())):
        model = models[kind] = seeded(functional(parts))
        for layer in model.layers:
            if layer.weights:
                layer.bias.assign(0 * layer.bias)
    return models


NETWORKS = ["flat", "gap", "skip"]

# --- conservation --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("rule", ["0", "epsilon", "alpha-beta", "gamma", "z+", "flat"])
def test_image_and_what_is_absorbed_are_the_logit(
    rule: str, name: str, images: np.ndarray, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(name)
    for input_rule in (None, "zB"):
        run = lrp_by_layer(model, images, 1, rule=rule, input_rule=input_rule, epsilon=0.1)
        close(run.logit, logits(model, images)[:, 1])
        absorbed = sum(run.bias.values()) + sum(run.unplaced.values())
        close(total(run.image) + absorbed, run.logit, 1e-4)
        if rule in ("0", "epsilon", "gamma"):
            assert max(np.abs(v).max() for v in run.bias.values()) > 1e-3
        at_epsilon = max(np.abs(v).max() for v in run.unplaced.values())
        assert (at_epsilon > 1e-3) or rule != "epsilon"
    close(run.relevance["logits"], run.logit)
    close(run.image, lrp(model, images, 1, rule=rule, input_rule="zB", epsilon=0.1))


def test_each_layer_hands_on_what_it_gets_less_what_it_absorbs(
    flat: Any, images: np.ndarray
) -> None:
    run = lrp_by_layer(flat, images, 1, rule="epsilon", epsilon=0.1)
    names = list(run.relevance)
    assert names == ["conv1", "pool1", "conv2", "flatten", "dense", "logits"]
    for before, name in itertools.pairwise(names):
        absorbed = run.bias[name] + run.unplaced[name]
        close(run.relevance[before], run.relevance[name] - absorbed)


@pytest.mark.parametrize("name", NETWORKS)
def test_without_biases_lrp_0_is_input_x_gradient_and_sums_to_the_logit(
    name: str, unbiased: dict[str, Any], images: np.ndarray
) -> None:
    model = unbiased[name]
    for target in range(3):
        result = lrp(model, images, target, rule="0")
        close(total(result), logits(model, images)[:, target])
        close(result, input_x_gradient(model, images, target), 1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_lrp_0_is_input_x_gradient_with_biases_too(
    name: str, images: np.ndarray, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(name)
    close(lrp(model, images, 2, rule="0"), input_x_gradient(model, images, 2), 1e-4)


@pytest.mark.parametrize("name", ["flat", "gap"])
def test_alpha_beta_without_biases_conserves(
    name: str, unbiased: dict[str, Any], images: np.ndarray
) -> None:
    # But for units that nothing speaks for, or nothing against: their part is accounted for.
    for alpha, beta in ((1, 0), (2, 1), (3, 2)):
        options: dict[str, Any] = {"rule": "alpha-beta", "alpha": alpha, "beta": beta}
        run = lrp_by_layer(unbiased[name], images, 1, **options)
        assert max(np.abs(v).max() for v in run.bias.values()) == 0
        close(total(run.image) + sum(run.unplaced.values()), run.logit, 1e-4)


@pytest.mark.parametrize("name", ["flat", "gap"])
def test_deep_taylor_has_the_logits_sign_and_its_sum(
    name: str, unbiased: dict[str, Any], images: np.ndarray
) -> None:
    model, values = unbiased[name], logits(unbiased[name], images)
    target = values.argmax(axis=1)
    result, logit = deep_taylor(model, images), values.max(axis=1)
    assert (result * np.sign(logit)[:, None, None, None] >= 0).all()
    close(total(result), logits(model, images)[np.arange(5), target], 1e-4)


# --- limits --------------------------------------------------------------------------------------


def test_small_epsilon_and_small_gamma_are_rule_0(flat: Any, images: np.ndarray) -> None:
    expected = lrp(flat, images, 1, rule="0")
    close(lrp(flat, images, 1, rule="gamma", gamma=0.0), expected, 1e-4)
    off = [
        np.abs(lrp(flat, images, 1, rule="epsilon", epsilon=e) - expected).max()
        for e in (1e-1, 1e-3, 1e-6)
    ]
    assert off[0] > off[1] > off[2]
    assert off[2] < 1e-3 < off[0]


def test_large_gamma_is_alpha_1_beta_0(gap: Any, images: np.ndarray) -> None:
    positive = images[logits(gap, images)[:, 1] > 0]
    expected = lrp(gap, positive, 1, rule="alpha-beta", alpha=1.0, beta=0.0)
    close(lrp(gap, positive, 1, rule="gamma", gamma=1e6), expected, 1e-4)
    assert np.abs(lrp(gap, positive, 1, rule="gamma") - expected).max() > 1e-2


# --- completeness and sensitivity ----------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_deep_lift_is_complete(
    name: str, images: np.ndarray, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(name)
    others = np.random.default_rng(1).normal(0, 1, images.shape).astype(np.float32)
    for baseline in (0.0, 0.4, others[0], others):
        start = np.broadcast_to(np.float32(baseline), images.shape)
        rise = logits(model, images)[:, 2] - logits(model, start)[:, 2]
        close(total(deep_lift(model, images, 2, baseline=baseline)), rise)


def test_one_pixel_that_differs_gets_all_of_the_difference(skip: Any, images: np.ndarray) -> None:
    changed = images.copy()
    changed[:, 3, 4] += 0.7
    rise = logits(skip, changed)[:, 1] - logits(skip, images)[:, 1]
    result = deep_lift(skip, changed, 1, baseline=images)
    close(result[:, 3, 4, 0], rise)
    result[:, 3, 4] = 0
    assert not result.any()


def test_a_linear_network_gets_weight_times_input(images: np.ndarray) -> None:
    model = seeded(functional([layers.Flatten(), layers.Dense(3, name="logits")]))
    weights = model.get_weights()[0][:, 1].reshape(1, *SHAPE)
    close(lrp(model, images, 1, rule="0"), weights * images)
    close(deep_lift(model, images, 1, baseline=0.3), weights * (images - 0.3))


# --- implementation invariance -------------------------------------------------------------------

AT = np.array([3, 1], np.float32).reshape(1, 1, 2, 1)


def chain(*weights: Any) -> Any:
    """Dense layers with ReLU, the last one without, from (kernel, bias) each."""
    widths = [len(bias) for _, bias in weights]
    parts = [layers.Dense(n, activation="relu") for n in widths[:-1]]
    model = functional([layers.Flatten(), *parts, layers.Dense(widths[-1])], (1, 2, 1))
    model.set_weights([np.array(w, np.float32) for pair in weights for w in pair])
    return model


def test_two_networks_of_the_same_function() -> None:
    end = ([[1]], [0])
    # f = ReLU(ReLU(x1) - 1 - ReLU(x2)),  g = ReLU(ReLU(x1 - 1) - ReLU(x2))
    f = chain(([[1, 0], [0, 1]], [0, 0]), ([[1], [-1]], [-1]), end)
    g = chain(([[1, 0], [0, 1]], [-1, 0]), ([[1], [-1]], [0]), end)
    points = np.random.default_rng(0).uniform(0, 4, (50, 1, 2, 1)).astype(np.float32)
    close(logits(f, points), logits(g, points))
    for model, by_deep_lift in ((f, (1.5, -0.5)), (g, (2, -1))):
        ig = integrated_gradients(model, AT, 0, steps=2000)
        np.testing.assert_allclose(ig.ravel(), (1.5, -0.5), atol=2e-3)
        result = deep_lift(model, AT, 0)
        np.testing.assert_allclose(result.ravel(), by_deep_lift, atol=1e-6)


def rewritten() -> tuple[Any, Any, Any]:
    """A network; the same with its last layer split in two; the same with units that cancel."""
    w1, b1 = np.array([[1.0, -2.0, 0.5], [0.5, 3.0, -1.0]]), np.array([0.2, 0.3, 0.1])
    w2, b2 = np.array([[2.0], [1.0], [-3.0]]), np.array([0.4])
    mix = np.array([[1.0, 2.0, 0.5], [-1.0, 1.0, 0.3], [2.0, -0.5, 1.0]])
    plain = chain((w1, b1), (w2, b2))
    first, between, last = layers.Dense(3, activation="relu"), layers.Dense(3), layers.Dense(1)
    split = functional([layers.Flatten(), first, between, last], (1, 2, 1))
    split.set_weights([w1, b1, mix, np.zeros(3), np.linalg.solve(mix, w2), b2])
    twice = np.concatenate([w1, w1[:, :1], w1[:, :1]], axis=1)
    cancel = chain(
        (twice, np.concatenate([b1, b1[:1], b1[:1]])), (np.concatenate([w2, [[5.0], [-5.0]]]), b2)
    )
    return plain, split, cancel


def test_rewrites_separate_alpha_beta_and_gamma_only() -> None:
    plain, *others = rewritten()
    for other in others:
        close(logits(other, AT), logits(plain, AT))
        close(lrp(other, AT, 0, rule="0"), lrp(plain, AT, 0, rule="0"), 1e-4)
        close(deep_lift(other, AT, 0), deep_lift(plain, AT, 0), 1e-4)
        for rule in ("alpha-beta", "gamma"):
            change = lrp(other, AT, 0, rule=rule) - lrp(plain, AT, 0, rule=rule)
            assert np.abs(change).max() > 0.1, rule
