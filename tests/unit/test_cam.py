"""Class activation maps: shapes, which layer, errors that help, maps that are zero, enlarging."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from networks import (
    SHAPE,
    flat_layers,
    functional,
    gap_layers,
    keras,
    layers,
    seeded,
    trunk_layers,
    zero_classes,
)
from xai_utils import scores
from xai_utils.cam import (
    cam,
    default_layer,
    grad_cam,
    grad_cam_plus_plus,
    hires_cam,
    layer_cam,
    resize_heatmap,
)

GRADIENT_METHODS = [grad_cam, hires_cam, grad_cam_plus_plus, layer_cam]
METHODS = [cam, *GRADIENT_METHODS]
RNG = np.random.default_rng(0)
SPIKE = np.pad(np.ones((1, 1), np.float32), 2)


@pytest.mark.parametrize("method", METHODS)
def test_a_map_has_the_size_of_the_layer(method: Any, gap: Any, images: np.ndarray) -> None:
    result = method(gap, images)
    assert isinstance(result, np.ndarray)
    assert (result.shape, result.dtype) == ((5, 4, 4), np.float32)


@pytest.mark.parametrize("method", GRADIENT_METHODS)
@pytest.mark.parametrize(("layer", "size"), [("conv1", 8), ("pool1", 4), ("conv2", 4)])
def test_any_layer_with_places(
    method: Any, layer: str, size: int, flat: Any, images: np.ndarray
) -> None:
    assert method(flat, images, layer=layer).shape == (5, size, size)


@pytest.mark.filterwarnings("ignore:.*zero everywhere")
def test_which_methods_drop_negative_evidence(gap: Any, images: np.ndarray) -> None:
    for method in (grad_cam, grad_cam_plus_plus, layer_cam):
        assert min(method(gap, images, k).min() for k in range(3)) == 0
    assert hires_cam(gap, images, 0).min() < 0
    assert cam(gap, images, 0).min() < 0


@pytest.mark.parametrize("method", METHODS)
def test_none_is_the_predicted_class(method: Any, gap: Any, images: np.ndarray) -> None:
    predicted = scores.logits(gap, images).argmax(axis=1)
    np.testing.assert_array_equal(method(gap, images), method(gap, images, predicted))


@pytest.mark.parametrize("method", METHODS)
def test_a_target_for_each_image(method: Any, gap: Any, images: np.ndarray) -> None:
    target = np.array([2, 0, 1, 1, 0])
    by_class = np.stack([method(gap, images, k) for k in range(3)])
    np.testing.assert_array_equal(method(gap, images, target), by_class[target, np.arange(5)])


# --- which layer ---------------------------------------------------------------------------------


def test_default_layer_is_what_gap_reads_or_the_last_convolution(gap: Any, flat: Any) -> None:
    assert default_layer(gap) == "conv2"
    assert default_layer(flat) == "conv2"
    pooled = [*trunk_layers(), layers.MaxPooling2D(name="late"), *gap_layers()[3:]]
    assert default_layer(functional(pooled)) == "late"


def test_default_layer_skips_what_only_passes_on(images: np.ndarray) -> None:
    parts = [*trunk_layers(), layers.Dropout(0.5, name="dropout"), *gap_layers()[3:]]
    model = seeded(functional(parts))
    assert scores.layers(model)["dropout"].reads == ("conv2",)
    assert default_layer(model) == "conv2"
    np.testing.assert_array_equal(
        hires_cam(model, images), hires_cam(model, images, layer="dropout")
    )


def test_default_layer_skips_convolutions_with_one_place() -> None:
    parts = [*trunk_layers(), layers.Conv2D(6, 4, name="one_place"), *flat_layers()[3:]]
    assert default_layer(functional(parts)) == "conv2"


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_unknown_layer_lists_layers_and_near_names(
    method: Any, flat: Any, images: np.ndarray
) -> None:
    with pytest.raises(ValueError, match="no layer 'conv_2'") as error:
        method(flat, images, layer="conv_2")
    assert "did you mean 'conv2'" in str(error.value)
    assert str(error.value).endswith("Layers with maps: conv1, pool1, conv2")


@pytest.mark.parametrize("layer", [6, -1, ("conv2",)])
def test_a_layer_is_named_not_numbered(layer: Any, flat: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"no layer .* Layers with maps: conv1, pool1, conv2"):
        grad_cam(flat, images, layer=layer)


@pytest.mark.parametrize("method", GRADIENT_METHODS)
@pytest.mark.parametrize("layer", ["flatten", "dense", "logits"])
def test_layer_without_places(method: Any, layer: str, flat: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=f"{layer}.*without spatial axes; .*conv1, pool1, conv2"):
        method(flat, images, layer=layer)


@pytest.mark.parametrize("method", GRADIENT_METHODS)
@pytest.mark.parametrize("layer", [None, "dense"])
@pytest.mark.parametrize(
    "head", [layers.Flatten, layers.GlobalAveragePooling2D], ids=["flatten", "pooled image"]
)
def test_model_without_convolution(
    method: Any, layer: str | None, head: Any, images: np.ndarray
) -> None:
    model = functional([head(name="head"), layers.Dense(3, name="dense")])
    with pytest.raises(ValueError, match=r"no convolution with spatial output.*head, dense"):
        method(model, images, layer=layer)


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_layer_applied_twice_has_no_single_map(method: Any, images: np.ndarray) -> None:
    shared = layers.Conv2D(1, 3, padding="same", name="shared")
    model = functional([shared, shared, layers.Flatten(), layers.Dense(3)])
    with pytest.raises(ValueError, match="'shared' is applied 2 times"):
        method(model, images, layer="shared")


# --- CAM needs its head --------------------------------------------------------------------------


def test_cam_refuses_a_network_that_flattens(flat: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"ends in Dense and Dense; CAM needs.*grad_cam"):
        cam(flat, images)


def test_cam_refuses_two_dense_layers_behind_gap(images: np.ndarray) -> None:
    parts = [*gap_layers()[:4], layers.Dense(5), *gap_layers()[4:]]
    with pytest.raises(ValueError, match="ends in Dense and Dense; CAM needs"):
        cam(functional(parts), images)


def test_pooling_that_keeps_its_axes_changes_nothing(gap: Any, images: np.ndarray) -> None:
    pooling = layers.GlobalAveragePooling2D(keepdims=True)
    parts = [*trunk_layers(), pooling, layers.Flatten(), layers.Dense(3)]
    np.testing.assert_array_equal(cam(seeded(functional(parts)), images, 1), cam(gap, images, 1))


def test_cam_looks_past_dropout(gap: Any, images: np.ndarray) -> None:
    parts = gap_layers()
    model = seeded(functional([*parts[:4], layers.Dropout(0.5), *parts[4:]]))
    np.testing.assert_array_equal(cam(model, images, 1), cam(gap, images, 1))


@pytest.mark.parametrize("method", METHODS)
def test_mixed_precision(method: Any, images: np.ndarray) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = seeded(functional(gap_layers()))
    finally:
        keras.config.set_dtype_policy(before)
    exact = method(seeded(functional(gap_layers())), images, 0)
    result = method(model, images, 0)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, exact, atol=0.05 * np.abs(exact).max())


# --- maps that are zero --------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_zero_map_is_announced_where_it_was_asked_for(method: Any, images: np.ndarray) -> None:
    model = zero_classes(seeded(functional(gap_layers())))
    with pytest.warns(UserWarning, match="zero everywhere for 5 of 5 images") as caught:
        result = method(model, images, 0)
    assert not result.any()
    assert caught[0].filename == __file__


def test_a_zero_map_among_others_is_counted(images: np.ndarray) -> None:
    gap = functional(gap_layers())
    gap.set_weights([np.abs(w) for w in gap.get_weights()])
    gap.get_layer("conv1").bias.assign(np.zeros(3))
    gap.get_layer("conv2").bias.assign(np.full(4, -0.01))
    images[3] = 0  # a black image: no map fires
    with pytest.warns(UserWarning, match=r"1 of 5 images \(first: number 3\)"):
        result = grad_cam(gap, images, 0)
    assert not result[3].any()
    assert result[[0, 1, 2, 4]].any(axis=(1, 2)).all()


def test_no_warning_without_a_zero_map(gap: Any, images: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hires_cam(gap, images)
        cam(gap, images)


# --- enlarging -----------------------------------------------------------------------------------


def test_one_map_or_a_batch() -> None:
    maps = RNG.normal(size=(3, 4, 5))
    batch = resize_heatmap(maps, (16, 25))
    assert (batch.shape, batch.dtype) == ((3, 16, 25), np.float32)
    for one, large in zip(maps, batch, strict=True):
        np.testing.assert_array_equal(resize_heatmap(one, (16, 25)), large)


def test_bilinear_stays_in_range_and_cubic_does_not() -> None:
    bilinear = resize_heatmap(SPIKE, (40, 40))
    assert bilinear.min() == 0
    assert 0.5 < bilinear.max() <= 1
    assert ((bilinear > 0) & (bilinear < 1)).mean() > 0.1  # it interpolates
    assert resize_heatmap(SPIKE, (40, 40), interpolation="cubic").min() < -0.01


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "cubic"])
@pytest.mark.parametrize("size", [(40, 40), (7, 13), (3, 2)])
def test_a_constant_stays_constant(interpolation: str, size: tuple[int, int]) -> None:
    large = resize_heatmap(np.full((2, 5, 5), -1.5), size, interpolation=interpolation)
    assert large.shape == (2, *size)
    np.testing.assert_allclose(large, -1.5, atol=1e-6)


def test_nearest_repeats_each_cell() -> None:
    maps = RNG.normal(size=(3, 4)).astype(np.float32)
    expected = maps.repeat(5, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(resize_heatmap(maps, (15, 8), interpolation="nearest"), expected)


def test_the_same_size_changes_nothing() -> None:
    maps = RNG.normal(size=(2, 6, 7)).astype(np.float32)
    np.testing.assert_array_equal(resize_heatmap(maps, (6, 7)), maps)


@pytest.mark.parametrize("size", [8, (8,), (0, 8), (8, -1), (8.5, 8), (8, 8, 1)])
def test_wrong_sizes(size: Any) -> None:
    with pytest.raises(ValueError, match=r"expected \(H, W\) in whole pixels"):
        resize_heatmap(SPIKE, size)


@pytest.mark.parametrize("shape", [(4,), (2, 4, 4, 1), (0, 4, 4)])
def test_wrong_maps(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, h, w\) or \(h, w\)"):
        resize_heatmap(np.zeros(shape), SHAPE[:2])


def test_unknown_interpolation() -> None:
    with pytest.raises(ValueError, match=r"'lanczos'.*bilinear, nearest, cubic"):
        resize_heatmap(SPIKE, (8, 8), interpolation="lanczos")
