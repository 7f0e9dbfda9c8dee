"""What must hold of the CAM family whatever the network, and on the real ImageNet architectures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from networks import close, functional, gap_layers, keras, layers, seeded
from xai_utils import storage
from xai_utils._squeezenet import squeezenet
from xai_utils.cam import (
    cam,
    default_layer,
    grad_cam,
    grad_cam_layers,
    grad_cam_plus_plus,
    guided_grad_cam,
    hires_cam,
    importance_mask,
    layer_cam,
)
from xai_utils.scores import logits

CLASSES = range(3)
zeros_are_fine = pytest.mark.filterwarnings("ignore:.*zero everywhere")

# --- closed forms on a network that pools --------------------------------------------------------


def maps_and_weights(gap: Any, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    maps = keras.Model(gap.inputs[0], gap.get_layer("conv2").output)(images)
    return np.asarray(maps, np.float64), np.asarray(gap.get_layer("logits").kernel, np.float64)


@pytest.mark.parametrize("target", CLASSES)
def test_layer_cam_adds_up_the_maps_with_positive_weights(
    target: int, gap: Any, images: np.ndarray
) -> None:
    A, w = maps_and_weights(gap, images)
    close(16 * layer_cam(gap, images, target), A @ np.maximum(w[:, target], 0))


@pytest.mark.parametrize("target", CLASSES)
def test_grad_cam_plus_plus_divides_each_weight_by_what_its_map_adds(
    target: int, gap: Any, images: np.ndarray
) -> None:
    # g = w / 16 everywhere, so alpha = 1 / (2 + w mean A): a map that fires much counts less.
    A, w = maps_and_weights(gap, images)
    weights = np.maximum(w[:, target], 0) / (2 + w[:, target] * A.mean(axis=(1, 2)))
    close(grad_cam_plus_plus(gap, images, target), np.einsum("nijk,nk->nij", A, weights))


@zeros_are_fine
@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2"])
def test_layer_cam_is_never_below_hires_cam(layer: str, flat: Any, images: np.ndarray) -> None:
    # After a ReLU, A >= 0 and so ReLU(g) A >= g A at every place.
    for target in CLASSES:
        more = layer_cam(flat, images, target, layer=layer)
        less = np.maximum(hires_cam(flat, images, target, layer=layer), 0)
        assert (more >= less - 1e-6).all()
        assert (more > less + 1e-3).any()


@pytest.mark.parametrize("method", [grad_cam_plus_plus, layer_cam, guided_grad_cam])
def test_a_constant_added_to_all_logits_is_not_seen(method: Any, images: np.ndarray) -> None:
    # For Grad-CAM++ it multiplies Y = exp(logit); the factor is left out, 200 does not overflow.
    model = seeded(functional(gap_layers()))
    before = method(model, images, 1)
    bias = model.get_layer("logits").bias
    bias.assign(bias + 200.0)
    close(method(model, images, 1), before)


def test_permuting_the_places_of_a_gap_network_permutes_its_maps(images: np.ndarray) -> None:
    convolutions = [layers.Conv2D(4, 1, activation="relu"), layers.Conv2D(5, 1, activation="relu")]
    model = seeded(functional([*convolutions, *gap_layers()[3:]]), seed=3)
    turned = np.rot90(images, axes=(1, 2))
    for method in (grad_cam_plus_plus, layer_cam, guided_grad_cam):
        close(method(model, turned, 1), np.rot90(method(model, images, 1), axes=(1, 2)))


@zeros_are_fine
def test_guided_grad_cam_is_zero_where_grad_cam_is(flat: Any, images: np.ndarray) -> None:
    for target in CLASSES:
        heat = grad_cam(flat, images, target, layer="conv1")  # the size of the image: no blur
        fine = guided_grad_cam(flat, images, target, layer="conv1")
        assert not fine[heat == 0].any()
        assert (heat == 0).any() and fine.any()


def test_masks_grow_with_their_share() -> None:
    heat = np.random.default_rng(0).integers(0, 9, (3, 12, 12))  # many equal values
    smaller = importance_mask(heat, 0.1)
    for keep in (0.2, 0.5, 0.8):
        larger = importance_mask(heat, keep)
        assert (larger >= smaller).all() and larger.sum() > smaller.sum()
        smaller = larger


# --- the networks of ImageNet --------------------------------------------------------------------

ARCHITECTURES = {  # the tensor that global average pooling reads
    "ResNet50": "conv5_block3_out",
    "InceptionV3": "mixed10",
    "Xception": "block14_sepconv2_act",
    "MobileNetV2": "out_relu",
    "MobileNet": "conv_pw_13_relu",
}


def check_cam(model: Any, x: np.ndarray, classes: list[int]) -> None:
    """ReLU(CAM) = h w Grad-CAM, and softmax(mean of each class's map + its bias) = the output."""
    probabilities = np.asarray(model(x))  # by Keras
    many, targets = np.repeat(x, len(classes), axis=0), np.tile(classes, len(x))
    m, heat = cam(model, many, targets), grad_cam(model, many, targets)
    size = np.abs(m).max()
    close(heat * m[0].size / size, np.maximum(m, 0) / size, 1e-4)
    head = [layer for layer in model.layers if layer.weights][-1]
    z = (m.mean(axis=(1, 2)) + np.asarray(head.bias)[targets]).reshape(len(x), -1)
    ratios = np.log(probabilities[:, classes])
    close(z - z[:, :1], ratios - ratios[:, :1], 1e-4)


@zeros_are_fine
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_cam_is_read_off_an_architecture_with_random_weights(name: str) -> None:
    keras.utils.set_random_seed(1)
    model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3), classes=7)
    for w in model.weights:  # biases and statistics that are not zero and one
        if len(w.shape) == 1:
            w.assign(w + np.random.default_rng(len(w.path)).uniform(0, 0.2, w.shape))
    assert default_layer(model) == ARCHITECTURES[name]
    x = np.random.default_rng(2).normal(size=(1, 96, 96, 3)).astype(np.float32)
    check_cam(model, x, [0, 3, 5])


@zeros_are_fine
def test_cam_of_squeezenet_is_its_last_map() -> None:
    model = squeezenet(7)
    for w in model.weights:
        if len(w.shape) == 1:
            w.assign(np.random.default_rng(0).uniform(0, 0.2, w.shape))
    x = np.random.default_rng(2).normal(size=(1, 224, 224, 3)).astype(np.float32)
    target = np.array([int(logits(model, x).argmax())])
    m = cam(model, x, target)
    close(m.mean(axis=(1, 2)), logits(model, x)[:, target[0]])
    close(169 * grad_cam(model, x, target), m)
    assert m.shape == (1, 13, 13)


def test_vgg16_gives_thirteen_maps_from_one_pass() -> None:
    keras.utils.set_random_seed(0)  # with other weights ReLU may leave a map of 2 x 2 empty
    model = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), classes=7)
    x = np.random.default_rng(2).normal(size=(1, 32, 32, 3)).astype(np.float32)
    maps = grad_cam_layers(model, x, 3)
    assert [m.shape[1] for m in maps.values()] == [32] * 2 + [16] * 2 + [8] * 3 + [4] * 3 + [2] * 3
    assert next(iter(maps)) == "block1_conv1"
    assert default_layer(model) == list(maps)[-1] == "block5_conv3"
    for layer in ("block1_conv2", "block3_conv1", "block5_conv3"):
        expected = grad_cam(model, x, 3, layer=layer)
        close(maps[layer] / expected.max(), expected / expected.max())


@zeros_are_fine
@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v1"])
def test_cam_is_read_off_trained_weights(name: str) -> None:
    try:
        path = storage.fetch(f"imagenet/{name}_8bit.weights.h5").path
    except storage.Unavailable:
        pytest.skip("the weights are not at hand")
    kind = {"mobilenet_v2": "MobileNetV2", "mobilenet_v1": "MobileNet"}[name]
    model = getattr(keras.applications, kind)(weights=str(path))
    x = np.random.default_rng(0).uniform(-1, 1, (1, 224, 224, 3)).astype(np.float32)
    check_cam(model, x, [*np.argsort(-logits(model, x)[0])[:3]])
    fine = guided_grad_cam(model, x)
    assert fine.shape == x.shape and np.isfinite(fine).all() and fine.any()
