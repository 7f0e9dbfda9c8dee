"""The real VGG16, InceptionV3 and ResNet50, on random weights: layers, logits, the map's tensor.

Untrained, none of the three has a bias, so each is a homogeneous function of the picture: gradient
times input sums to the logit.  That holds only if logits are read behind the last layer and before
the softmax, and if every layer on the way is passed backwards as it should.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from networks import close, keras, layers, tf
from xai_utils import cam, imagenet, scores
from xai_utils.gradients import input_x_gradient


class Real(NamedTuple):
    model: Any
    images: np.ndarray
    logits: np.ndarray


EXPECTED = {  # size of the picture, layer that maps are read from, its output, parameters
    "VGG16": (224, "block5_conv3", (14, 14, 512), 138_357_544),
    "InceptionV3": (299, "mixed10", (8, 8, 2048), 23_851_784),
    "ResNet50": (224, "conv5_block3_out", (7, 7, 2048), 25_636_712),
}


@pytest.fixture(scope="module", params=EXPECTED)
def real(request: pytest.FixtureRequest) -> tuple[str, Real]:
    keras.utils.set_random_seed(0)
    architecture = imagenet._ARCHITECTURES[request.param]
    model = architecture.build()
    photo = np.random.default_rng(0).integers(0, 256, (1, architecture.size, architecture.size, 3))
    images = architecture.scaling.apply(photo.astype(np.uint8))
    images /= np.abs(scores.logits(model, images)).max()  # logits from -1 to 1: see above
    return request.param, Real(model, images, scores.logits(model, images))


def test_layers_and_shapes(real: tuple[str, Real]) -> None:
    name, (model, images, logits) = real
    size, layer, shape, parameters = EXPECTED[name]
    assert imagenet._ARCHITECTURES[name].size == size
    assert images.shape == (1, size, size, 3)
    assert logits.shape == (1, 1000)
    assert model.count_params() == parameters
    assert imagenet.cam_layer(model) == cam.default_layer(model) == layer
    assert scores.layers(model)[layer].shape == (None, *shape)


def test_softmax_of_the_logits_is_what_the_model_says(real: tuple[str, Real]) -> None:
    _, (model, images, logits) = real
    said = np.asarray(model(images, training=False))
    np.testing.assert_allclose(tf.nn.softmax(logits), said, atol=2e-6)
    assert np.ptp(logits) > 1


def test_gradient_times_input_sums_to_the_logit(real: tuple[str, Real]) -> None:
    _, (model, images, logits) = real
    shares = input_x_gradient(model, images)
    assert shares.shape == images.shape
    close(shares.sum(axis=(1, 2, 3), dtype=np.float64), logits.max(axis=1), 1e-3)


def test_the_map_s_tensor_leads_to_the_logits(real: tuple[str, Real]) -> None:
    """From the named layer on, pooling and the last layer by hand give the logits."""
    name, (model, images, logits) = real
    if name == "VGG16":
        pytest.skip("VGG16 has no global average pooling")
    maps = keras.Model(model.input, model.get_layer(EXPECTED[name][1]).output)(images)
    dense = model.layers[-1]
    assert isinstance(dense, layers.Dense)
    kernel, bias = (np.asarray(w, np.float64) for w in dense.get_weights())
    by_hand = np.asarray(maps, np.float64).mean(axis=(1, 2)) @ kernel + bias
    close(logits, by_hand, 1e-4)
