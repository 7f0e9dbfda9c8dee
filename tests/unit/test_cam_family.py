"""Many layers in one pass, their combination, masks, the heads that CAM reads, Guided Grad-CAM."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from networks import (
    flat_layers,
    functional,
    gap_layers,
    keras,
    layers,
    reloaded,
    seeded,
    sequential,
    trunk_layers,
    zero_classes,
)
from xai_utils import _engine, scores
from xai_utils.cam import (
    cam,
    combine_layers,
    default_layer,
    grad_cam,
    grad_cam_layers,
    grad_cam_plus_plus,
    guided_grad_cam,
    importance_mask,
    layer_cam,
    resize_heatmap,
)

RNG = np.random.default_rng(0)
zeros_are_fine = pytest.mark.filterwarnings("ignore:.*zero everywhere")

# --- many layers in one pass ---------------------------------------------------------------------


def test_every_convolution_by_default_in_the_order_of_computation(
    flat: Any, images: np.ndarray
) -> None:
    maps = grad_cam_layers(flat, images)
    assert list(maps) == ["conv1", "conv2"]
    assert [m.shape for m in maps.values()] == [(5, 8, 8), (5, 4, 4)]
    assert {m.dtype for m in maps.values()} == {np.dtype(np.float32)}


@zeros_are_fine
@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("name", ["flat", "gap"])
def test_each_map_is_that_of_grad_cam(
    name: str, score: Any, images: np.ndarray, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(name)
    target = np.array([2, 0, 1, 1, 0])
    maps = grad_cam_layers(model, images, target, layers=["pool1", "conv2", "conv1"], score=score)
    assert list(maps) == ["pool1", "conv2", "conv1"]  # as asked, not as computed
    for layer, m in maps.items():
        expected = grad_cam(model, images, target, layer=layer, score=score)
        np.testing.assert_allclose(m, expected, rtol=1e-5, atol=1e-9)
    assert max(m.max() for m in maps.values()) > 0


def operations(model: Any, method: str) -> list[str]:
    (function,) = (f for key, f in _engine._compiled[model].items() if key[0] == method)
    return [operation.type for operation in function.graph.get_operations()]


def test_one_forward_and_one_backward_pass_whatever_the_number_of_layers(
    images: np.ndarray,
) -> None:
    third = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv3")
    model = seeded(functional([*trunk_layers(), third, *flat_layers()[3:]]))
    assert len(grad_cam_layers(model, images)) == 3
    found = operations(model, "grad_cam_layers")
    assert found.count("Conv2D") == 3
    assert found.count("Conv2DBackpropInput") == 2  # none for the image, which nobody asks about
    assert found.count("MaxPool") == found.count("MaxPoolGrad") == 1


def test_nothing_is_compiled_again_for_other_images_and_targets(images: np.ndarray) -> None:
    model = seeded(functional(flat_layers()))
    for n, target in ((5, None), (3, 1), (1, np.array([2]))):
        grad_cam_layers(model, images[:n], target)
    (function,) = (f for key, f in _engine._compiled[model].items() if "conv1" in key)
    assert function.inputs[0].shape[0] is None


@zeros_are_fine
@pytest.mark.parametrize(
    "method", [grad_cam_plus_plus, layer_cam, guided_grad_cam, cam, grad_cam_layers]
)
def test_an_image_does_not_see_its_batch(method: Any, gap: Any, images: np.ndarray) -> None:
    def stacked(*args: Any, **named: Any) -> np.ndarray:
        result = method(*args, **named)
        return result["conv1"] if isinstance(result, dict) else result

    whole = stacked(gap, images)
    for batch_size in (1, 2, 3, 64):
        result = stacked(gap, images, batch_size=batch_size)
        np.testing.assert_allclose(result, whole, rtol=1e-5, atol=1e-7)
    alone = np.concatenate([stacked(gap, image[None]) for image in images])
    np.testing.assert_allclose(alone, whole, rtol=1e-5, atol=1e-7)
    assert np.abs(whole[0] - whole[1]).max() > 1e-3


def test_images_of_any_size() -> None:
    model = seeded(functional(gap_layers(), (None, None, 1)))
    for h, w in ((8, 8), (12, 6)):
        maps = grad_cam_layers(model, RNG.random((2, h, w, 1), np.float32), 0)
        assert [m.shape for m in maps.values()] == [(2, h, w), (2, h // 2, w // 2)]


def test_convolutions_with_one_place_are_left_out(images: np.ndarray) -> None:
    parts = [*trunk_layers(), layers.Conv2D(6, 4, name="one_place"), *flat_layers()[3:]]
    assert list(grad_cam_layers(seeded(functional(parts)), images, 0)) == ["conv1", "conv2"]


def test_a_layer_named_twice_is_read_once(flat: Any, images: np.ndarray) -> None:
    maps = grad_cam_layers(flat, images, 0, layers=["conv2", "conv1", "conv2"])
    assert list(maps) == ["conv2", "conv1"]


@pytest.mark.parametrize("given", ["conv1", [], ()])
def test_layers_are_a_list_of_names(given: Any, flat: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected a list of layer names, such as \['conv2'\]"):
        grad_cam_layers(flat, images, layers=given)


def test_layers_without_maps_are_refused(flat: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"no layer 'conv_2'.*did you mean 'conv2'"):
        grad_cam_layers(flat, images, layers=["conv1", "conv_2"])
    with pytest.raises(ValueError, match=r"'dense' has output.*without spatial axes"):
        grad_cam_layers(flat, images, layers=["conv1", "dense"])
    model = functional([layers.Flatten(name="head"), layers.Dense(3, name="dense")])
    with pytest.raises(ValueError, match=r"no convolution with spatial output.*head, dense"):
        grad_cam_layers(model, images)


@zeros_are_fine
def test_a_layer_that_is_applied_twice_is_refused(images: np.ndarray) -> None:
    shared = layers.Conv2D(1, 3, padding="same", name="shared")
    model = functional([shared, shared, *flat_layers()])
    with pytest.raises(ValueError, match=r"'shared' is applied 2 times.*name the layers"):
        grad_cam_layers(model, images)
    assert list(grad_cam_layers(model, images, layers=["conv2"])) == ["conv2"]


def test_wrong_input_is_refused(flat: Any, images: np.ndarray) -> None:
    for method in (grad_cam_layers, grad_cam_plus_plus, layer_cam, guided_grad_cam):
        with pytest.raises(ValueError, match=r"image\[None\]"):
            method(flat, images[0])
        with pytest.raises(ValueError, match=r"target \[3\] out of range"):
            method(flat, images, 3)
        with pytest.raises(ValueError, match="batch_size"):
            method(flat, images, batch_size=0)


def test_zeros_at_many_layers_make_one_warning(images: np.ndarray) -> None:
    model = zero_classes(seeded(functional(flat_layers())))
    with pytest.warns(UserWarning, match=r"zero everywhere at 'conv1' \(5\), 'conv2' \(5\);") as w:
        maps = grad_cam_layers(model, images, 0)
    assert len(w) == 1
    assert w[0].filename == __file__
    assert not any(m.any() for m in maps.values())


def test_explaining_leaves_the_model_as_it_was(images: np.ndarray, tmp_path: Path) -> None:
    model = seeded(functional(gap_layers()))
    before, config = np.asarray(model(images)), str(model.get_config())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for method in (grad_cam_layers, grad_cam_plus_plus, layer_cam, guided_grad_cam, cam):
            method(model, images)
    assert str(model.get_config()) == config
    np.testing.assert_array_equal(np.asarray(model(images)), before)
    np.testing.assert_array_equal(np.asarray(reloaded(model, tmp_path)(images)), before)


# --- Guided Grad-CAM -----------------------------------------------------------------------------


def test_guided_grad_cam_has_the_shape_of_the_image(flat: Any, images: np.ndarray) -> None:
    result = guided_grad_cam(flat, images)
    assert (result.shape, result.dtype) == (images.shape, np.float32)
    assert result.min() < 0 < result.max()


def test_guided_grad_cam_reads_the_layer_that_is_named(flat: Any, images: np.ndarray) -> None:
    coarse, fine = (guided_grad_cam(flat, images, 0, layer=name) for name in ("conv2", "conv1"))
    assert np.abs(coarse - fine).max() > 0.01 * np.abs(fine).max()
    np.testing.assert_array_equal(guided_grad_cam(flat, images, 0), coarse)


def test_guided_grad_cam_announces_zeros_once(images: np.ndarray) -> None:
    model = zero_classes(seeded(functional(gap_layers())))
    with pytest.warns(UserWarning, match="zero everywhere for 5 of 5 images") as caught:
        assert not guided_grad_cam(model, images, 0).any()
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_guided_grad_cam_names_a_layer_without_a_rule(images: np.ndarray) -> None:
    parts = [*trunk_layers(), layers.Softmax(name="odd"), *gap_layers()[3:]]
    with pytest.raises(TypeError, match="'odd'"):
        guided_grad_cam(seeded(functional(parts)), images)


# --- the heads that CAM reads --------------------------------------------------------------------


def mobile_layers(end: str = "softmax") -> list[Any]:
    """The end of MobileNet: what was pooled goes through a 1x1 convolution and a reshape."""
    return [
        *trunk_layers(),
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Dropout(0.5),
        layers.Conv2D(3, 1, activation="softmax" if end == "in the layer" else None, name="logits"),
        layers.Reshape((3,)),
        *([layers.Activation("softmax")] if end == "softmax" else []),
    ]


@pytest.mark.parametrize("form", ["functional", "sequential", "reloaded"])
@pytest.mark.parametrize("end", ["softmax", "logits"])
def test_a_convolution_behind_the_pooling_is_a_dense_layer(
    end: str, form: str, gap: Any, images: np.ndarray, tmp_path: Path
) -> None:
    model = seeded((sequential if form == "sequential" else functional)(mobile_layers(end)))
    model = reloaded(model, tmp_path) if form == "reloaded" else model
    np.testing.assert_allclose(
        scores.logits(model, images), scores.logits(gap, images), rtol=1e-5, atol=1e-6
    )
    for target in (None, 0, 1, 2):
        expected = cam(gap, images, target)
        np.testing.assert_allclose(cam(model, images, target), expected, rtol=1e-5, atol=1e-6)
    assert default_layer(model) == "conv2"


def test_a_last_convolution_with_one_map_a_class_is_its_cam(images: np.ndarray) -> None:
    parts = [*trunk_layers(), layers.Conv2D(3, 1, activation="relu", name="classes")]
    model = seeded(functional([*parts, layers.GlobalAveragePooling2D(), layers.Softmax()]))
    maps = np.asarray(keras.Model(model.inputs[0], model.get_layer("classes").output)(images))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for target in range(3):
            np.testing.assert_allclose(cam(model, images, target), maps[..., target], atol=1e-6)
    predicted = maps.mean(axis=(1, 2)).argmax(axis=1)
    np.testing.assert_allclose(cam(model, images), maps[np.arange(5), ..., predicted], atol=1e-6)
    assert len(set(predicted)) > 1


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (layers.Dense(3, activation="relu", name="logits"), "'logits' with activation 'relu'"),
        (layers.Dense(3, activation="tanh", name="logits"), "'logits' with activation 'tanh'"),
    ],
)
def test_cam_refuses_a_last_layer_that_is_not_linear(
    last: Any, message: str, images: np.ndarray
) -> None:
    model = functional([*trunk_layers(), layers.GlobalAveragePooling2D(), last])
    with pytest.raises(ValueError, match=f"{message}.*grad_cam"):
        cam(model, images)


@pytest.mark.parametrize("options", [{"kernel_size": 1, "groups": 2}, {"kernel_size": 3}])
def test_cam_refuses_a_convolution_without_one_weight_for_each_map(
    options: dict[str, Any], images: np.ndarray
) -> None:
    pooling = layers.GlobalAveragePooling2D(keepdims=True)
    last = layers.Conv2D(4, padding="same", name="logits", **options)
    model = functional([*trunk_layers(), pooling, last, layers.Reshape((4,))])
    with pytest.raises(ValueError, match=r"'logits' has a kernel \(.*one weight for each map"):
        cam(model, images)


def test_cam_refuses_a_layer_between_pooling_and_weights(images: np.ndarray) -> None:
    between = layers.BatchNormalization(name="between")
    parts = [*trunk_layers(), layers.GlobalAveragePooling2D(), between, layers.Dense(3)]
    with pytest.raises(ValueError, match="ends in BatchNormalization and Dense; CAM needs"):
        cam(functional(parts), images)


# --- combination ---------------------------------------------------------------------------------


def test_combination_by_its_formula() -> None:
    maps = {
        "a": RNG.random((3, 2, 5)),
        "b": 1000 * RNG.random((3, 6, 4)),
        "c": RNG.random((3, 9, 9)),
    }
    result = combine_layers(maps, (12, 10))
    expected = np.zeros((3, 12, 10))
    for m in maps.values():
        for n in range(3):
            expected[n] += resize_heatmap(m[n] / m[n].max(), (12, 10)) / 3
    np.testing.assert_allclose(result, expected, atol=1e-6)
    assert (result.dtype, result.shape) == (np.float32, (3, 12, 10))
    assert result.min() >= 0 and result.max() <= 1


def test_no_layer_outweighs_another_and_no_image_sees_another() -> None:
    maps = {"a": RNG.random((3, 4, 4)), "b": RNG.random((3, 8, 8))}
    result = combine_layers(maps, (8, 8))
    louder = {"a": maps["a"] * np.array([1e6, 1, 1e-6])[:, None, None], "b": maps["b"]}
    np.testing.assert_allclose(combine_layers(louder, (8, 8)), result, atol=1e-5)
    alone = combine_layers({name: m[1:2] for name, m in maps.items()}, (8, 8))
    np.testing.assert_array_equal(alone[0], result[1])


def test_a_map_of_zeros_counts_as_a_layer() -> None:
    one = RNG.random((2, 4, 4)).astype(np.float32)
    both = combine_layers({"a": one, "zero": np.zeros((2, 8, 8))}, (4, 4))
    np.testing.assert_allclose(both, combine_layers({"a": one}, (4, 4)) / 2, atol=1e-7)


def test_negative_evidence_stays_negative() -> None:
    one = np.array([[[-4.0, 2.0]]])
    np.testing.assert_allclose(combine_layers({"a": one}, (1, 2)), [[[-1, 0.5]]])


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ({}, "expected"),
        ({"a": np.ones((4, 4))}, r"'a' of shape \(4, 4\); expected \(N, h, w\)"),
        ({"a": np.ones((2, 4, 4)), "b": np.ones((3, 4, 4))}, "with one N"),
        ({"a": np.ones((0, 4, 4))}, "not empty"),
        ({"a": np.ones((2, 4, 4)), "b": np.full((2, 4, 4), np.nan)}, "NaN or infinity in map 'b'"),
    ],
)
def test_maps_that_cannot_be_combined(maps: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        combine_layers(maps, (8, 8))


# --- masks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.01, 0.2, 0.5, 0.999, 1, 1 / 3])
def test_a_mask_keeps_exactly_the_share(keep: float) -> None:
    heat = RNG.normal(size=(4, 13, 7))
    mask = importance_mask(heat, keep)
    assert mask.dtype == bool
    assert mask.sum(axis=(1, 2)).tolist() == [max(1, round(keep * 91))] * 4
    for h, m in zip(heat, mask, strict=True):
        assert m.all() or h[m].min() > h[~m].max()
        np.testing.assert_array_equal(importance_mask(h, keep), m)


def test_a_mask_keeps_at_least_one_pixel() -> None:
    assert importance_mask(RNG.random((3, 3)), 0.001).sum() == 1


def test_a_fifth_by_default() -> None:
    assert importance_mask(RNG.random((2, 10, 10))).sum(axis=(1, 2)).tolist() == [20, 20]


def test_equal_values_come_in_reading_order() -> None:
    heat = np.array([[0, 5, 5], [7, 5, 0], [5, 0, 0]])
    expected = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0]], bool)
    np.testing.assert_array_equal(importance_mask(heat, 1 / 3), expected)


def test_a_mask_filled_up_with_nothing_says_so() -> None:
    heat = np.zeros((3, 10, 10))
    heat[0, 5] = 1  # ten pixels stand out; twenty are kept
    heat[1] = RNG.random((10, 10))
    with pytest.warns(UserWarning, match=r"2 of 3 masks \(first: number 0\).*20 pixels") as caught:
        mask = importance_mask(heat)
    assert caught[0].filename == __file__
    assert mask[0, 5].all() and mask[0, 0].all() and mask[0].sum() == 20
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importance_mask(heat[:1], 0.1)
        importance_mask(heat, 1)


@pytest.mark.parametrize("keep", [0, -0.1, 1.01, np.nan])
def test_a_share_that_is_none(keep: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        importance_mask(np.ones((4, 4)), keep)


@pytest.mark.parametrize("shape", [(4,), (2, 4, 4, 1), (0, 4, 4)])
def test_a_mask_wants_maps(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, H, W\) or \(H, W\)"):
        importance_mask(np.zeros(shape))


def test_a_mask_of_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        importance_mask(np.array([[1.0, np.nan]]))
