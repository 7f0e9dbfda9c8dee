"""The same numbers by another way: by hand, by NumPy, by split models, by finite differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import numpy_network as nn
from networks import (
    FORMS,
    FOUR,
    SHAPE,
    flat_layers,
    functional,
    gap_layers,
    keras,
    layers,
    reloaded,
    seeded,
    tf,
    two_filters,
)
from xai_utils import scores
from xai_utils.cam import cam, grad_cam, hires_cam, resize_heatmap
from xai_utils.gradients import saliency

CLASSES = range(3)
METHODS = {"cam": cam, "grad_cam": grad_cam, "hires_cam": hires_cam, "saliency": saliency}


def one_hot(target: int, n: int) -> np.ndarray:
    return np.tile(np.eye(3)[target], (n, 1))


# --- by hand: a 2x2 image and two filters --------------------------------------------------------
#
#   image     A1 = relu(x)   A2 = relu(3 - x)
#   1  2      1  2           2  1
#   4  5      4  5           0  0               means: 3 and 0.75


@pytest.fixture(scope="module")
def pooled() -> Any:
    """Logits 2 mean(A1) + mean(A2) + 0.5 and -mean(A1) + 3 mean(A2) - 0.5."""
    model = two_filters([layers.GlobalAveragePooling2D(), layers.Dense(2, name="logits")])
    weights = [np.array([[2.0, -1.0], [1.0, 3.0]]), np.array([0.5, -0.5])]
    model.get_layer("logits").set_weights(weights)
    return model


def test_by_hand_logits(pooled: Any) -> None:
    # 2 * 3 + 0.75 + 0.5 = 7.25 and -3 + 3 * 0.75 - 0.5 = -1.25
    np.testing.assert_array_equal(scores.logits(pooled, FOUR), [[7.25, -1.25]])


def test_by_hand_cam(pooled: Any) -> None:
    # 2 A1 + A2, and -A1 + 3 A2
    np.testing.assert_array_equal(cam(pooled, FOUR, 0), [[[4, 5], [8, 10]]])
    np.testing.assert_array_equal(cam(pooled, FOUR, 1), [[[5, 1], [-4, -5]]])


def test_by_hand_grad_cam(pooled: Any) -> None:
    # alpha = w / 4, then ReLU
    np.testing.assert_array_equal(grad_cam(pooled, FOUR, 0), [[[1, 1.25], [2, 2.5]]])
    np.testing.assert_array_equal(grad_cam(pooled, FOUR, 1), [[[1.25, 0.25], [0, 0]]])


def test_by_hand_hires_cam(pooled: Any) -> None:
    np.testing.assert_array_equal(hires_cam(pooled, FOUR, 1), [[[1.25, 0.25], [-1, -1.25]]])


def test_by_hand_saliency(pooled: Any) -> None:
    # dA1/dx = 1 everywhere; dA2/dx = -1 where x < 3, else 0; each place counts a quarter.
    # class 0: (2 - 1) / 4 above, 2 / 4 below; class 1: (-1 - 3) / 4 above, -1 / 4 below.
    class_0, class_1 = (saliency(pooled, FOUR, c)[..., 0] for c in (0, 1))
    np.testing.assert_array_equal(class_0, [[[0.25, 0.25], [0.5, 0.5]]])
    np.testing.assert_array_equal(class_1, [[[-1, -1], [-0.25, -0.25]]])


def test_by_hand_probability() -> None:
    # One output z = mean(A1) - 3 = 0, so p = 1/2 and dp/dx = p (1 - p) dz/dx = 1/4 * 1/4.
    head = [layers.GlobalAveragePooling2D(), layers.Dense(1, activation="sigmoid", name="p")]
    model = two_filters(head)
    model.get_layer("p").set_weights([np.array([[1.0], [0.0]]), np.array([-3.0])])
    result = saliency(model, FOUR, 0, score="probability")[..., 0]
    np.testing.assert_allclose(result, np.full((1, 2, 2), 1 / 16), atol=1e-7)


def test_by_hand_a_network_that_flattens() -> None:
    # The logit's gradient:  for A1:  1  0   for A2:  0  4
    #                                 0 -1            0  0
    # Grad-CAM: alpha = 0 and 1, so the map is A2.  HiResCAM: place by place, 1*1, 4*1, -1*5.
    model = two_filters([layers.Flatten(), layers.Dense(1, name="logits")])
    gradient = np.array([[[1.0, 0.0], [0.0, 4.0]], [[0.0, 0.0], [-1.0, 0.0]]])
    model.get_layer("logits").set_weights([gradient.reshape(8, 1), np.array([0.5])])
    np.testing.assert_array_equal(grad_cam(model, FOUR), [[[2, 1], [0, 0]]])
    np.testing.assert_array_equal(hires_cam(model, FOUR), [[[1, 4], [0, -5]]])
    np.testing.assert_array_equal(scores.logits(model, FOUR), [[0.5]])  # their sum + bias


# --- by NumPy ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["flat", "gap"])
def network(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_numpy_logits(network: Any, images: np.ndarray) -> None:
    result = scores.logits(network, images)
    np.testing.assert_allclose(result, nn.forward(network, images).logits, atol=1e-6)


@pytest.mark.parametrize("target", CLASSES)
def test_numpy_saliency(target: int, network: Any, images: np.ndarray) -> None:
    run = nn.forward(network, images)
    expected = nn.backward(network, run, one_hot(target, len(images)))["image"]
    np.testing.assert_allclose(saliency(network, images, target), expected, atol=1e-6)


@pytest.mark.parametrize("target", CLASSES)
def test_numpy_saliency_of_the_probability(target: int, network: Any, images: np.ndarray) -> None:
    run = nn.forward(network, images)
    p = np.exp(run.logits) / np.exp(run.logits).sum(axis=1, keepdims=True)
    of_logits = p[:, [target]] * (one_hot(target, len(images)) - p)  # dp_c / dz_k
    expected = nn.backward(network, run, of_logits)["image"]
    result = saliency(network, images, target, score="probability")
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2"])
@pytest.mark.parametrize("target", CLASSES)
@pytest.mark.filterwarnings("ignore:.*zero everywhere")
def test_numpy_maps(target: int, layer: str, network: Any, images: np.ndarray) -> None:
    run = nn.forward(network, images)
    gradient = nn.backward(network, run, one_hot(target, len(images)))[layer]
    activation = getattr(run, layer)
    grad = np.zeros(activation.shape[:3])
    for n in range(len(images)):
        for k in range(activation.shape[-1]):
            grad[n] += gradient[n, :, :, k].mean() * activation[n, :, :, k]
    result = grad_cam(network, images, target, layer=layer)
    np.testing.assert_allclose(result, grad.clip(min=0), atol=1e-6)
    hires = np.einsum("nijk,nijk->nij", gradient, activation)
    np.testing.assert_allclose(hires_cam(network, images, target, layer=layer), hires, atol=1e-6)


def test_numpy_cam_from_saved_weights(gap: Any, images: np.ndarray, tmp_path: Path) -> None:
    gap.save(tmp_path / "saved.keras")
    loaded = keras.models.load_model(tmp_path / "saved.keras")
    kernel = nn.weights_of(loaded)["logits"][0]
    conv2 = nn.forward(loaded, images).conv2
    for target in CLASSES:
        expected = sum(kernel[k, target] * conv2[..., k] for k in range(4))
        np.testing.assert_allclose(cam(gap, images, target), expected, atol=1e-6)


# --- by finite differences -----------------------------------------------------------------------


def differences(function: Any, x: np.ndarray, step: float) -> np.ndarray:
    """Central differences of `function: (N, ...) -> (N,)` at one point, place by place."""
    shifts = step * np.eye(x.size).reshape(x.size, *x.shape)
    values = function(np.concatenate([x + shifts, x - shifts]))
    return ((values[: x.size] - values[x.size :]) / (2 * step)).reshape(x.shape)


@pytest.mark.parametrize("target", CLASSES)
def test_saliency_by_differences(target: int, network: Any, images: np.ndarray) -> None:
    def logit(x: np.ndarray) -> np.ndarray:
        return nn.forward(network, x).logits[:, target]

    expected = differences(logit, images[0].astype(np.float64), 1e-6)
    np.testing.assert_allclose(saliency(network, images[:1], target)[0], expected, atol=1e-6)


def test_saliency_by_differences_of_the_model_itself(images: np.ndarray) -> None:
    # A smooth network: in float32 a small step would measure rounding, a large one a kink.
    parts = [layers.Conv2D(3, 3, activation="tanh"), layers.Flatten(), layers.Dense(3)]
    model = seeded(functional(parts))

    def logit(x: np.ndarray) -> np.ndarray:
        return np.asarray(model(x.astype(np.float32)), np.float64)[:, 1]

    expected = differences(logit, images[0].astype(np.float64), 1e-2)
    np.testing.assert_allclose(saliency(model, images[:1], 1)[0], expected, atol=1e-3)
    assert np.abs(expected).max() > 0.1


@pytest.mark.parametrize("target", CLASSES)
def test_gradient_of_the_maps_by_differences(target: int, network: Any, images: np.ndarray) -> None:
    activation, gradient = scores.gradient_at(
        network, "conv2", tf.constant(images[:1]), tf.constant([target]), "logit"
    )
    maps = nn.forward(network, images[:1]).conv2
    np.testing.assert_allclose(np.asarray(activation), maps, atol=1e-6)
    expected = differences(lambda a: nn.head(network, a)[1][:, target], maps[0], 1e-6)
    np.testing.assert_allclose(np.asarray(gradient)[0], expected, atol=1e-6)


# --- by splitting the model ----------------------------------------------------------------------


def split_maps(model: Any, layer: str, images: np.ndarray, target: int) -> tuple[Any, Any]:
    """Activation and gradient by two Keras models, base and head, as many tutorials do it."""
    at = [part.name for part in model.layers].index(layer)
    base = keras.Model(model.inputs[0], model.layers[at].output)
    x = head_input = keras.Input(base.outputs[0].shape[1:])
    for part in model.layers[at + 1 :]:
        x = part(x)
    head = keras.Model(head_input, x)
    maps = tf.convert_to_tensor(base(images))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        score = head(maps)[:, target]
    return maps.numpy(), tape.gradient(score, maps).numpy()


@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2"])
@pytest.mark.parametrize("kind", [flat_layers, gap_layers])
@pytest.mark.filterwarnings("ignore:.*zero everywhere")
def test_maps_of_a_split_model(kind: Any, layer: str, images: np.ndarray) -> None:
    model = seeded(functional(kind("logits")))
    maps, gradient = split_maps(model, layer, images, 2)
    alpha = gradient.mean(axis=(1, 2), keepdims=True)
    expected = np.maximum((alpha * maps).sum(axis=-1), 0)
    np.testing.assert_allclose(grad_cam(model, images, 2, layer=layer), expected, atol=1e-6)
    expected = (gradient * maps).sum(axis=-1)
    np.testing.assert_allclose(hires_cam(model, images, 2, layer=layer), expected, atol=1e-6)


def test_probability_maps_of_a_split_model(images: np.ndarray) -> None:
    model = seeded(functional(flat_layers("softmax layer")))
    maps, gradient = split_maps(model, "conv2", images, 2)
    expected = (gradient * maps).sum(axis=-1)
    result = hires_cam(model, images, 2, score="probability")
    np.testing.assert_allclose(result, expected, atol=1e-6)


# --- every form of a model -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def from_numpy() -> dict[str, np.ndarray]:
    """The GAP network's maps of class 0, from NumPy."""
    images = np.random.default_rng(7).random((5, *SHAPE), dtype=np.float32)
    model = seeded(functional(gap_layers()))
    run = nn.forward(model, images)
    gradients = nn.backward(model, run, one_hot(0, len(images)))
    hires = (gradients["conv2"] * run.conv2).sum(axis=-1)
    return {
        "cam": 16 * hires,
        "grad_cam": hires.clip(min=0),
        "hires_cam": hires,
        "saliency": gradients["image"],
    }


@pytest.mark.parametrize("end", ["logits", "dense activation", "softmax layer"])
@pytest.mark.parametrize("form", [*FORMS, "reloaded"])
def test_every_form_and_end_gives_the_same_numbers(
    form: str,
    end: str,
    images: np.ndarray,
    from_numpy: dict[str, np.ndarray],
    tmp_path: Path,
) -> None:
    model = seeded(FORMS.get(form, functional)(gap_layers(end)))
    if form == "reloaded":
        model = reloaded(model, tmp_path)
    for name, method in METHODS.items():
        result = method(model, images, 0)
        np.testing.assert_allclose(result, from_numpy[name], atol=2e-6, err_msg=name)


# --- enlarging -----------------------------------------------------------------------------------

MAPS = np.random.default_rng(2).normal(size=(2, 5, 7)).astype(np.float32)


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_bilinear_as_scipy_does_it(factor: int) -> None:
    expected = ndimage.zoom(
        MAPS, (1, factor, factor), order=1, grid_mode=True, mode="nearest", prefilter=False
    )
    result = resize_heatmap(MAPS, (5 * factor, 7 * factor))
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize("size", [(200, 200), (16, 9), (5, 30)])
def test_bilinear_by_its_formula(size: tuple[int, int]) -> None:
    # Pixel p of n lies at (p + 1/2) m / n - 1/2 among m cells, held within the first and the last.
    expected = MAPS.astype(np.float64)
    for axis, n in enumerate(size, start=1):
        m = expected.shape[axis]
        places = (np.arange(n) + 0.5) * m / n - 0.5
        expected = np.apply_along_axis(
            lambda line, places=places, m=m: np.interp(places, np.arange(m), line), axis, expected
        )
    np.testing.assert_allclose(resize_heatmap(MAPS, size), expected, atol=1e-5)
