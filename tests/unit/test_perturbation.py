"""Occlusion and RISE: shapes, windows, occluders, callables, batches, traces, errors."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from networks import FORMS, SHAPE, flat_layers, functional, layers, seeded, tf
from xai_utils import _engine, _occluders, perturbation, scores
from xai_utils.perturbation import occlusion, rise, rise_masks

RNG = np.random.default_rng(0)


def by_loops(
    f: Any, x: np.ndarray, target: int, patch: Any, stride: Any, cover: np.ndarray
) -> np.ndarray:
    """Occlusion of one image, window by window and pixel by pixel, in plain sight."""
    height, width = x.shape[:2]
    total, count = np.zeros((height, width)), np.zeros((height, width))
    tops = {min(t, height - patch[0]) for t in range(0, height, stride[0])}
    lefts = {min(k, width - patch[1]) for k in range(0, width, stride[1])}
    for top in sorted(tops):
        for left in sorted(lefts):
            changed = x.copy()
            for i in range(top, top + patch[0]):
                for j in range(left, left + patch[1]):
                    changed[i, j] = cover[i, j]
            fall = f(x[None])[0, target] - f(changed[None])[0, target]
            for i in range(top, top + patch[0]):
                for j in range(left, left + patch[1]):
                    total[i, j] += fall
                    count[i, j] += 1
    assert count.min() > 0
    return total / count


def wavy(x: np.ndarray) -> np.ndarray:
    """A callable without a network: two scores that no pixel enters linearly."""
    flat = x.reshape(len(x), -1).astype(np.float64)
    weights = np.cos(np.arange(flat.shape[1]))
    return np.stack([np.sin(flat @ weights), (flat**2) @ weights], axis=1)


# --- windows -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "patch", "stride"),
    [
        ((7, 9), (3, 2), (2, 2)),
        ((7, 9), (1, 1), (1, 1)),
        ((7, 9), (7, 9), (3, 4)),
        ((7, 9), (5, 4), (3, 4)),
        ((7, 9), (7, 2), (1, 1)),
        ((6, 6), (2, 2), (2, 2)),
    ],
)
def test_against_plain_loops(size: Any, patch: Any, stride: Any) -> None:
    x = RNG.random((2, *size, 2), np.float32)
    result = occlusion(wavy, x, 1, patch=patch, stride=stride, occluder=0.3)
    assert (result.shape, result.dtype) == ((2, *size), np.float32)
    for n in range(2):
        expected = by_loops(wavy, x[n], 1, patch, stride, np.full((*size, 2), 0.3))
        np.testing.assert_allclose(result[n], expected, atol=1e-5)


def test_every_pixel_is_covered_whatever_the_sizes() -> None:
    for size in range(1, 24):
        for patch in range(1, size + 1):
            for stride in range(1, patch + 1):
                starts = perturbation._starts(size, patch, stride)
                assert (starts >= 0).all() and starts[-1] + patch == size
                assert len({*starts.tolist()}) == len(starts)
                assert perturbation._covers(starts, patch, size).sum(axis=0).min() >= 1


def test_one_number_stands_for_both_sides_and_half_the_patch_is_the_stride() -> None:
    x = RNG.random((1, 9, 8, 1), np.float32)
    expected = occlusion(wavy, x, 0, patch=(4, 4), stride=(2, 2))
    np.testing.assert_array_equal(occlusion(wavy, x, 0, patch=4, stride=2), expected)
    np.testing.assert_array_equal(occlusion(wavy, x, 0, patch=4), expected)
    np.testing.assert_array_equal(
        occlusion(wavy, x, 0, patch=np.int64(1)), occlusion(wavy, x, 0, patch=1, stride=1)
    )


def test_images_are_not_written_to(flat: Any, images: np.ndarray) -> None:
    images.flags.writeable = False
    before = images.copy()
    for choice in (True, False):
        occlusion(flat, images, patch=2, occluder="mean", incremental=choice)
    occlusion(wavy, images, patch=2)
    rise(flat, images, masks=3)
    np.testing.assert_array_equal(images, before)


# --- occluders -----------------------------------------------------------------------------------


def colour() -> np.ndarray:
    """Two smooth pictures: noise of nine pixels, enlarged; the same whichever tests ran before."""
    rng = np.random.default_rng(104)
    return np.stack([cv2.resize(rng.random((3, 3, 3), np.float32), (16, 16)) for _ in range(2)])


def steps_of(image: np.ndarray) -> np.ndarray:
    return np.rint((image - image.min()) * 255 / np.ptp(image)).astype(np.uint8)


def test_black_mean_and_blur_by_loops() -> None:
    x = colour()
    covers = {
        "black": np.zeros_like(x),
        "mean": np.stack([np.ones((16, 16, 1)) * image.mean(axis=(0, 1)) for image in x]),
        "blur": np.stack([cv2.GaussianBlur(image, (0, 0), 2.5) for image in x]),
    }
    maps = {}
    for name, cover in covers.items():
        maps[name] = occlusion(wavy, x, 1, patch=(5, 4), stride=4, occluder=name)
        for n in range(2):
            expected = by_loops(wavy, x[n], 1, (5, 4), (4, 4), cover[n])
            np.testing.assert_allclose(maps[name][n], expected, atol=1e-4)
        given = occlusion(wavy, x, 1, patch=(5, 4), stride=4, occluder=cover.astype(np.float32))
        np.testing.assert_allclose(maps[name], given, atol=1e-4)
    assert np.abs(maps["black"] - maps["mean"]).max() > 0.1
    assert np.abs(maps["blur"] - maps["mean"]).max() > 0.01


@pytest.mark.parametrize("channels", [1, 3])
def test_inpainting_is_opencvs_of_the_whole_image(channels: int) -> None:
    x = np.stack([cv2.resize(RNG.random((9, 9, 3), np.float32), (60, 50))])[..., :channels] * 4 - 1
    fill = _occluders.filler("inpaint", x, (12, 7))
    for top, left in [(0, 0), (20, 30), (38, 53), (0, 53), (17, 1)]:
        hole = np.zeros((50, 60), np.uint8)
        hole[top : top + 12, left : left + 7] = 1
        whole = cv2.inpaint(steps_of(x[0]), hole, 3, cv2.INPAINT_TELEA).reshape(x[0].shape)
        expected = whole[hole > 0].reshape(12, 7, channels) * (np.ptp(x) / 255) + x.min()
        np.testing.assert_allclose(fill(0, top, left), expected, atol=1e-5)


def test_inpainting_looks_at_the_border_only_and_guesses_a_smooth_picture() -> None:
    x = np.broadcast_to(np.linspace(0, 1, 40, dtype=np.float32)[None, :, None], (1, 40, 40, 1))
    spoilt = x.copy()
    spoilt[0, 10:16, 10:16] = 0
    fills = [_occluders.filler("inpaint", image, (6, 6))(0, 10, 10) for image in (x, spoilt)]
    np.testing.assert_array_equal(*fills)
    assert np.abs(fills[0] - x[0, 10:16, 10:16]).max() < 0.06


def test_a_constant_image_is_in_painted_with_itself() -> None:
    x = np.full((1, 8, 8, 1), 0.7, np.float32)
    np.testing.assert_allclose(occlusion(wavy, x, 0, patch=3, occluder="inpaint"), 0, atol=1e-6)


# --- any callable, any model ---------------------------------------------------------------------


def test_a_keras_model_and_the_same_model_as_a_callable(flat: Any, images: np.ndarray) -> None:
    def black_box(x: np.ndarray) -> np.ndarray:
        return scores.logits(flat, x)

    for method, options in ((occlusion, {"patch": 3}), (rise, {"masks": 20})):
        expected = method(flat, images, **options)
        np.testing.assert_allclose(method(black_box, images, **options), expected, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_map(form: str, flat: Any, images: np.ndarray) -> None:
    model = seeded(FORMS[form](flat_layers("dense activation")))
    for method, options in ((occlusion, {"patch": 3}), (rise, {"masks": 20})):
        expected = method(flat, images, 1, **options)
        assert np.ptp(expected) > 0.01
        np.testing.assert_allclose(method(model, images, 1, **options), expected, atol=1e-5)


def test_none_is_the_class_of_the_untouched_image(gap: Any, images: np.ndarray) -> None:
    predicted = scores.logits(gap, images).argmax(axis=1)
    assert len({*predicted.tolist()}) > 1
    for method, options in ((occlusion, {"patch": 6}), (rise, {"masks": 20})):
        by_class = np.stack([method(gap, images, k, **options) for k in range(3)])
        expected = by_class[predicted, np.arange(5)]
        np.testing.assert_array_equal(method(gap, images, **options), expected)
        np.testing.assert_array_equal(method(gap, images, predicted, **options), expected)


def test_probability_is_that_of_the_model(flat: Any, images: np.ndarray) -> None:
    def probabilities(x: np.ndarray) -> np.ndarray:
        return np.asarray(flat(x))

    for method, options in ((occlusion, {"patch": 3}), (rise, {"masks": 20})):
        result = method(flat, images, 1, score="probability", **options)
        np.testing.assert_allclose(result, method(probabilities, images, 1, **options), atol=1e-6)
        assert np.abs(result - method(flat, images, 1, **options)).max() > 0.01


def test_probability_of_a_single_output() -> None:
    parts = [layers.Conv2D(2, 3, activation="relu"), layers.Flatten()]
    model = seeded(functional([*parts, layers.Dense(1, activation="sigmoid")]))
    x = RNG.random((2, *SHAPE), np.float32)
    expected = occlusion(lambda x: np.asarray(model(x)), x, 0, patch=2)
    for choice in (True, False):
        result = occlusion(model, x, 0, patch=2, score="probability", incremental=choice)
        np.testing.assert_allclose(result, expected, atol=1e-6)


# --- batches, traces, memory ---------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
@pytest.mark.parametrize("incremental", [True, False])
def test_batch_sizes_agree(
    batch_size: int, incremental: bool, flat: Any, images: np.ndarray
) -> None:
    expected = occlusion(flat, images, patch=3, incremental=incremental)
    result = occlusion(flat, images, patch=3, batch_size=batch_size, incremental=incremental)
    np.testing.assert_allclose(result, expected, atol=1e-5)
    expected = rise(flat, images, masks=9)
    result = rise(flat, images, masks=9, batch_size=batch_size)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_nothing_is_traced_for_other_images_targets_or_windows(
    flat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = seeded(functional(flat_layers()))
    traced = []
    trace = scores.trace
    monkeypatch.setattr(scores, "trace", lambda *args: traced.append(1) or trace(*args))
    for incremental in (True, False):
        counts = []
        for n, target, occluder, stride in [
            (1, None, "black", 1), (2, 0, "mean", 2), (5, None, "blur", 2),
            (40, np.arange(40) % 3, 0.5, 3), (3, 1, "inpaint", 3),
        ]:  # fmt: skip
            x = RNG.random((n, *SHAPE), np.float32)
            occlusion(
                model, x, target, patch=3, stride=stride, occluder=occluder, incremental=incremental
            )
            rise(model, x, target, masks=n, keep=0.3)
            counts.append(len(traced))
        assert counts[0] > 0
        assert {*counts} == {counts[0]}
    # All scores; the layers' geometry; the clean maps; the boxes.
    assert counts[0] == 4


def test_batches_have_one_shape_and_no_more_rows_than_asked() -> None:
    shapes = []

    def counted(x: np.ndarray) -> np.ndarray:
        shapes.append(x.shape)
        return wavy(x)

    x = RNG.random((3, 8, 8, 1), np.float32)
    occlusion(counted, x, patch=3, stride=1, batch_size=50)
    assert shapes == [(3, 8, 8, 1)] + 3 * [(50, 8, 8, 1)]  # 3 images, 108 windows
    shapes.clear()
    rise(counted, x, masks=33, batch_size=50)
    assert shapes == [(3, 8, 8, 1)] + 2 * [(50, 8, 8, 1)]


def test_incremental_batches_have_one_shape(images: np.ndarray) -> None:
    model = seeded(functional(flat_layers()))
    x = np.concatenate([images, images])
    for batch_size in (7, 36, 80, 1000):
        occlusion(model, x, patch=3, stride=1, batch_size=batch_size)
    keys = [key for key in _engine._compiled[model] if key[0] == "occluded"]
    assert len(keys) == 1


# --- RISE ----------------------------------------------------------------------------------------


def test_masks_do_not_depend_on_who_asks() -> None:
    every = rise_masks((9, 11), (3, 4), 0, 30, seed=4)
    assert (every.shape, every.dtype) == ((30, 9, 11), np.float32)
    assert every.min() >= 0 and every.max() <= 1
    for first, last in [(0, 1), (7, 8), (3, 30)]:
        part = rise_masks((9, 11), (3, 4), first, last, seed=4)
        np.testing.assert_array_equal(part, every[first:last])
    assert not np.array_equal(every, rise_masks((9, 11), (3, 4), 0, 30, seed=5))


def test_a_mask_is_a_grid_enlarged_by_opencv_and_cut_out() -> None:
    size, cell, draws = (9, 11), (3, 4), 3 * 3 + 2
    u = np.random.default_rng(np.random.PCG64(2)).random((20, draws))
    for mask, numbers in zip(rise_masks(size, cell, 0, 20, keep=0.4, seed=2), u, strict=True):
        grid = (numbers[:9] < 0.4).astype(np.float32).reshape(3, 3)
        large = cv2.resize(grid, (4 * 4, 4 * 3), interpolation=cv2.INTER_LINEAR)
        top, left = int(numbers[9] * 3), int(numbers[10] * 4)
        np.testing.assert_allclose(mask, large[top : top + 9, left : left + 11], atol=1e-6)


def test_rise_repeats_by_seed(flat: Any, images: np.ndarray) -> None:
    first = rise(flat, images, masks=40, seed=1)
    assert (first.shape, first.dtype) == ((5, 8, 8), np.float32)
    np.testing.assert_array_equal(rise(flat, images, masks=40, seed=1), first)
    assert not np.allclose(rise(flat, images, masks=40, seed=2), first)


def test_rise_by_its_formula() -> None:
    x = RNG.random((2, 9, 11, 1), np.float32)
    result = rise(wavy, x, 0, masks=50, cell=(3, 4), keep=0.4, seed=3)
    masks = rise_masks((9, 11), (3, 4), 0, 50, keep=0.4, seed=3)
    for n in range(2):
        expected = sum(wavy((x[n] * m[..., None])[None])[0, 0] * m for m in masks) / (0.4 * 50)
        np.testing.assert_allclose(result[n], expected, atol=1e-5)


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sides", [0, -1, 2.0, "4", None, True, (2,), (2, 2, 2), (2, 0), (2, 1.5)])
def test_sides_that_are_no_pixels(sides: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"patch .*; expected pixels, 1 or more"):
        occlusion(wavy, images, patch=sides)
    if sides is not None:
        with pytest.raises(ValueError, match=r"stride .*; expected pixels, 1 or more"):
            occlusion(wavy, images, patch=4, stride=sides)
        with pytest.raises(ValueError, match=r"cell .*; expected pixels, 1 or more"):
            rise(wavy, images, cell=sides)


def test_sides_that_are_too_large(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"patch \(2, 9\) is larger than the image \(8, 8\)"):
        occlusion(wavy, images, patch=(2, 9))
    with pytest.raises(ValueError, match=r"stride 4 is larger than the patch \(3, 3\): it skips"):
        occlusion(wavy, images, patch=3, stride=4)
    with pytest.raises(ValueError, match=r"cell 9 is larger than the image \(8, 8\)"):
        rise(wavy, images, cell=9)


@pytest.mark.parametrize(
    ("occluder", "message"),
    [
        ("white", "occluder 'white'; expected 'black', 'mean', 'blur', 'inpaint', a number"),
        (None, "expected 'black'"),
        (True, "expected 'black'"),
        (np.zeros((8, 8)), r"shape \(8, 8\); expected .*\(8, 8, 1\), or \(5, 8, 8, 1\)"),
        (np.zeros((4, 8, 8, 1)), r"shape \(4, 8, 8, 1\); expected"),
        (np.nan, "NaN or infinity in the occluder"),
        (np.full((8, 8, 1), np.inf), "NaN or infinity in the occluder"),
    ],
)
def test_wrong_occluders(occluder: Any, message: str, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=message):
        occlusion(wavy, images, patch=3, occluder=occluder)


def test_what_cannot_be_in_painted(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="from what the patch leaves"):
        occlusion(wavy, images, patch=8, occluder="inpaint")
    with pytest.raises(ValueError, match="OpenCV paints 1 or 3 channels"):
        occlusion(wavy, np.tile(images, 2), patch=3, occluder="inpaint")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x, r"gives float32 of shape \(5, 8, 8, 1\) for 5 images; expected numbers \(5,"),
        (lambda x: x.mean(axis=(1, 2, 3)), r"shape \(5,\) for 5 images"),
        (lambda x: np.zeros((1, 3)), r"shape \(1, 3\) for 5 images"),
        (lambda x: np.full((len(x), 2), "cat"), "expected numbers"),
        (lambda x: None, "expected numbers"),
        (lambda x: np.full((len(x), 2), np.nan), "NaN or infinity in the scores that"),
        (lambda x: np.zeros((len(x), 2 + (len(x) > 5))), r"shape \(64, 3\) for 64 images"),
    ],
)
def test_wrong_callables(answer: Any, message: str, images: np.ndarray) -> None:
    for method, options in ((occlusion, {"patch": 2}), (rise, {})):
        with pytest.raises(ValueError, match=message):
            method(answer, images, **options)


@pytest.mark.parametrize("method", [occlusion, rise])
def test_wrong_input(method: Any, flat: Any, images: np.ndarray) -> None:
    options = {"patch": 2} if method is occlusion else {"masks": 2}
    for model in (flat, wavy):
        with pytest.raises(ValueError, match="add the batch axis"):
            method(model, images[0], **options)
        with pytest.raises(ValueError, match="expected floats"):
            method(model, images.astype(np.uint8), **options)
        with pytest.raises(ValueError, match="NaN or infinity in"):
            method(model, images * np.nan, **options)
        with pytest.raises(ValueError, match=r"target \[3\] out of range"):
            method(model, images, 3, **options)
        with pytest.raises(ValueError, match="batch_size 0; expected"):
            method(model, images, batch_size=0, **options)
        with pytest.raises(ValueError, match="score"):
            method(model, images, score="softmax", **options)
    with pytest.raises(ValueError, match="with a callable"):
        method(wavy, images, score="probability", **options)
    with pytest.raises(ValueError, match=r"no images|not empty"):
        method(wavy, images[:0], **options)
    with pytest.raises(TypeError, match="expected a Keras model or a callable, got str"):
        method("model.keras", images, **options)


@pytest.mark.parametrize("method", [occlusion, rise])
def test_models_that_are_not_sound(method: Any, images: np.ndarray) -> None:
    options = {"patch": 2} if method is occlusion else {"masks": 2}
    model = seeded(functional(flat_layers()))
    with pytest.raises(ValueError, match="number overflows inside model"):
        method(model, images * np.float32(3e38), **options)
    model.get_layer("conv1").bias.assign([np.nan, 0, 0])
    with pytest.raises(ValueError, match="NaN or infinity in the weights"):
        method(model, images, **options)


@pytest.mark.parametrize("value", [0, 1.5, -0.1, np.nan, "half", None])
def test_wrong_keep(value: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"keep .*; expected a probability"):
        rise(wavy, images, keep=value)


@pytest.mark.parametrize("value", [0, -3, 2.5, None])
def test_wrong_number_of_masks(value: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"masks .*; expected a whole number"):
        rise(wavy, images, masks=value)


def test_incremental_in_vain(flat: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="incremental=True: 'wavy' does not begin"):
        occlusion(wavy, images, patch=2, incremental=True)
    with pytest.raises(ValueError, match=r"or a patch of .* changes nearly all"):
        occlusion(flat, images, patch=8, incremental=True)
    with pytest.raises(ValueError, match="incremental 'yes'; expected None, True or False"):
        occlusion(flat, images, patch=2, incremental="yes")


def test_tensorflow_says_nothing(
    flat: Any, images: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    logger = tf.get_logger()
    logger.addHandler(caplog.handler)
    try:
        for patch in range(1, 6):
            occlusion(flat, images, patch=patch)
    finally:
        logger.removeHandler(caplog.handler)
    assert caplog.text == ""
