"""Saliency: shape, dtype, sign, and which score is explained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from networks import functional, layers, seeded
from xai_utils.gradients import saliency
from xai_utils.scores import logits


def test_shape_and_dtype_are_those_of_the_images(flat: Any, images: np.ndarray) -> None:
    result = saliency(flat, images)
    assert isinstance(result, np.ndarray)
    assert (result.shape, result.dtype) == ((5, 8, 8, 1), np.float32)
    assert saliency(flat, images.astype(np.float64)).dtype == np.float32


def test_signs_are_kept(flat: Any, images: np.ndarray) -> None:
    result = saliency(flat, images)
    assert result.min() < 0 < result.max()


def test_colours_are_kept_apart() -> None:
    parts = [layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(3)]
    model = seeded(functional(parts, (8, 8, 3)))
    result = saliency(model, np.random.default_rng(0).random((2, 8, 8, 3)))
    assert result.shape == (2, 8, 8, 3)
    assert np.ptp(result, axis=-1).max() > 1e-3


def test_none_is_the_predicted_class(flat: Any, images: np.ndarray) -> None:
    predicted = logits(flat, images).argmax(axis=1)
    np.testing.assert_array_equal(saliency(flat, images), saliency(flat, images, predicted))


def test_a_target_for_each_image(flat: Any, images: np.ndarray) -> None:
    target = np.array([0, 1, 2, 1, 0])
    assert not np.allclose(saliency(flat, images, 0), saliency(flat, images, 1))
    by_class = np.stack([saliency(flat, images, k) for k in range(3)])
    np.testing.assert_array_equal(saliency(flat, images, target), by_class[target, np.arange(5)])


def test_the_logit_is_the_default_score(flat: Any, images: np.ndarray) -> None:
    default = saliency(flat, images, 1)
    np.testing.assert_array_equal(default, saliency(flat, images, 1, score="logit"))
    assert not np.allclose(default, saliency(flat, images, 1, score="probability"))


def test_a_network_without_convolution_has_a_saliency(images: np.ndarray) -> None:
    model = seeded(functional([layers.Flatten(), layers.Dense(3, name="logits")]))
    weights = model.get_layer("logits").get_weights()[0]
    expected = np.broadcast_to(weights[:, 2].reshape(1, 8, 8, 1), images.shape)
    np.testing.assert_allclose(saliency(model, images, 2), expected, atol=1e-6)


def test_images_are_checked(flat: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="add the batch axis"):
        saliency(flat, images[0])
    with pytest.raises(ValueError, match=r"target \[3\] out of range"):
        saliency(flat, images, 3)
