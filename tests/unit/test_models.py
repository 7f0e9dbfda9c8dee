"""The course's networks are the ones that the articles describe."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from networks import keras
from xai_utils.models import mnist_cnn, neu_cnn, neu_gap_cnn

TRUNK = ["image", "conv1", "pool1", "conv2", "pool2", "conv3", "pool3", "conv4"]


@pytest.fixture(scope="module")
def neu() -> Any:
    return neu_cnn()


@pytest.fixture(scope="module")
def neu_gap() -> Any:
    return neu_gap_cnn()


@pytest.fixture(scope="module")
def mnist() -> Any:
    return mnist_cnn()


def test_parameter_counts_of_the_articles(neu: Any, neu_gap: Any, mnist: Any) -> None:
    assert neu.count_params() == 682_950
    assert neu_gap.count_params() == 93_062
    # 3x3x1x32 + 32, 3x3x32x64 + 64, 7x7x64x10 + 10
    assert mnist.count_params() == 320 + 18_496 + 31_370


def test_most_parameters_of_the_flat_network_lie_behind_flatten(neu: Any) -> None:
    assert neu.get_layer("dense").count_params() == 12 * 12 * 64 * 64 + 64


def test_layer_names(neu: Any, neu_gap: Any, mnist: Any) -> None:
    flat_head = ["pool4", "flatten", "dense", "logits", "softmax"]
    assert [layer.name for layer in neu.layers] == TRUNK + flat_head
    assert [layer.name for layer in neu_gap.layers] == [*TRUNK, "gap", "logits", "softmax"]
    mnist_trunk = ["image", "conv1", "pool1", "conv2", "pool2"]
    assert [layer.name for layer in mnist.layers] == [*mnist_trunk, "flatten", "logits", "softmax"]


def test_convolutions_are_3x3_same_with_relu(neu: Any, neu_gap: Any, mnist: Any) -> None:
    for model, maps in ((neu, (32, 64, 64, 64)), (neu_gap, (32, 64, 64, 64)), (mnist, (32, 64))):
        convolutions = [layer for layer in model.layers if layer.name.startswith("conv")]
        assert tuple(c.filters for c in convolutions) == maps
        for c in convolutions:
            assert (c.kernel_size, c.padding) == ((3, 3), "same")
            assert c.activation is keras.activations.relu
        pools = [layer for layer in model.layers if layer.name.startswith("pool")]
        assert all(pool.pool_size == (2, 2) for pool in pools)


def test_conv4_is_25_by_25_by_64(neu: Any, neu_gap: Any) -> None:
    assert neu.get_layer("conv4").output.shape == (None, 25, 25, 64)
    assert neu_gap.get_layer("conv4").output.shape == (None, 25, 25, 64)


@pytest.mark.parametrize("build", [neu_cnn, neu_gap_cnn])
def test_another_size_and_number_of_classes(build: Any) -> None:
    model = build(n_classes=4, size=32)
    assert model.inputs[0].shape == (None, 32, 32, 1)
    assert model.outputs[0].shape == (None, 4)


def test_gap_network_takes_images_of_any_size() -> None:
    model = neu_gap_cnn(size=None)
    assert model.count_params() == 93_062
    for size in (16, 24):
        assert model(np.zeros((1, size, size, 1), np.float32)).shape == (1, 6)


def test_output_is_a_distribution_made_by_a_softmax_layer(mnist: Any) -> None:
    for model in (neu_cnn(size=16), neu_gap_cnn(size=16), mnist):
        images = np.random.default_rng(0).random((3, *model.inputs[0].shape[1:]), np.float32)
        assert isinstance(model.layers[-1], keras.layers.Softmax)
        assert model.get_layer("logits").activation is keras.activations.linear
        np.testing.assert_allclose(np.asarray(model(images)).sum(axis=1), 1, atol=1e-6)
