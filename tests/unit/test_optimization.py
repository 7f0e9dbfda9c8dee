"""Activation maximisation: shapes, every form of a model, seeds and batches, errors that help."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from networks import (
    CLASSES,
    ENDS,
    FORMS,
    close,
    flat_layers,
    functional,
    gap_layers,
    keras,
    layers,
    reloaded,
    seeded,
    sequential,
    tf,
    trunk_layers,
)
from xai_utils import _engine, scores
from xai_utils._regularisers import Canvas
from xai_utils.optimization import Maximum, activation_maximization, total_variation

FEW: dict[str, Any] = {"steps": 4, "step_size": 0.1}
UNITS: list[dict[str, Any]] = [{"layer": "conv2", "channel": [0, 3]}, {"target": [0, 2]}]
OFF, AWAKE = 2, [1, 2, 3]  # a map of conv2 that noise does not reach, units of dense that it does
every_unit = pytest.mark.parametrize("unit", UNITS, ids=["channel", "class"])
EVERYTHING: dict[str, Any] = {"jitter": 2, "zoom": 0.1, "total_variation": 0.2, "fourier": 0.5}


def value(model: Any, images: np.ndarray, unit: dict[str, Any]) -> np.ndarray:
    """The activation of each image's unit, by Keras's own models."""
    if "target" in unit:
        return scores.logits(model, images)[np.arange(len(images)), unit["target"]]
    maps = keras.Model(model.input, model.get_layer(unit["layer"]).output)(images).numpy()
    return maps.mean(axis=(1, 2))[np.arange(len(images)), unit["channel"]]


@every_unit
def test_images_and_how_far_they_got(unit: dict[str, Any], flat: Any) -> None:
    found = activation_maximization(flat, **unit, **FEW)
    assert isinstance(found, Maximum)
    assert (found.images.shape, found.images.dtype) == ((2, 8, 8, 1), np.float32)
    assert (found.before.shape, found.after.shape, found.history.shape) == ((2,), (2,), (2, 4))
    close(found.after, value(flat, found.images, unit))
    np.testing.assert_allclose(found.history[:, 0], found.before, rtol=1e-5)
    assert (found.after > found.before).all()


def test_before_is_the_activation_of_the_start(flat: Any, images: np.ndarray) -> None:
    unit = {"target": [0, 1, 2, 0, 1]}
    found = activation_maximization(flat, **unit, start=images, **FEW, **EVERYTHING)
    close(found.before, value(flat, images, unit))
    close(found.after, value(flat, found.images, unit))
    assert np.abs(found.history[:, 0] - found.before).max() > 1e-3  # seen from a moved view


def test_one_unit_from_many_starts_and_many_units_from_one(flat: Any, images: np.ndarray) -> None:
    many = activation_maximization(flat, target=1, start=images, **FEW)
    alone = activation_maximization(flat, target=1, start=images[3], **FEW)
    assert (many.images.shape, alone.images.shape) == ((5, 8, 8, 1), (1, 8, 8, 1))
    close(many.images[3], alone.images[0])
    both = activation_maximization(flat, target=[1, 2], start=images[3], **FEW)
    close(both.images[0], alone.images[0])


@pytest.mark.parametrize("place", ["mean", "centre"])
def test_mean_of_the_map_or_its_centre(place: Any, flat: Any) -> None:
    found = activation_maximization(flat, layer="conv1", channel=2, place=place, noise=0.3, **FEW)
    maps = keras.Model(flat.input, flat.get_layer("conv1").output)(found.images).numpy()
    expected = maps[0, :, :, 2].mean() if place == "mean" else maps[0, 4, 4, 2]
    close(found.after, np.array([expected]))


def test_the_centre_moves_only_what_it_sees(flat: Any) -> None:
    start = np.full((8, 8, 1), 0.5, np.float32)
    found = activation_maximization(
        flat, layer="conv1", channel=0, place="centre", start=start, **FEW
    )
    moved = np.abs(found.images[0] - start)[..., 0] > 0
    assert moved.any() and not np.delete(np.delete(moved, [3, 4, 5], 0), [3, 4, 5], 1).any()


def test_before_the_activation_a_unit_that_is_off_wakes_up(flat: Any) -> None:
    unit: dict[str, Any] = {"layer": "conv2", "channel": OFF, "steps": 12}
    found = activation_maximization(flat, **unit, pre_activation=True)
    conv = flat.get_layer("conv2")
    pooled = keras.Model(flat.input, flat.get_layer("pool1").output)(found.images)
    linear = tf.nn.conv2d(pooled, conv.kernel, 1, "SAME") + conv.bias
    close(found.after, linear.numpy()[..., OFF].mean(axis=(1, 2)))
    assert found.after > found.before
    with pytest.warns(UserWarning, match="ask for pre_activation=True"):
        assert activation_maximization(flat, **unit).after == 0


def test_a_dense_layer_has_units(flat: Any) -> None:
    found = activation_maximization(flat, layer="dense", channel=AWAKE, noise=0.4, **FEW)
    dense = keras.Model(flat.input, flat.get_layer("dense").output)(found.images).numpy()
    close(found.after, dense[np.arange(len(AWAKE)), AWAKE])


# --- every form of a model -----------------------------------------------------------------------


@every_unit
@pytest.mark.parametrize("form", [*FORMS, "reloaded"])
def test_every_form(unit: dict[str, Any], form: str, flat: Any, tmp_path: Path) -> None:
    parts = flat_layers()
    model = seeded(FORMS.get(form, sequential)(parts))
    if form == "reloaded":
        model = reloaded(model, tmp_path)
    found = activation_maximization(model, **unit, **FEW, **EVERYTHING)
    expected = activation_maximization(flat, **unit, **FEW, **EVERYTHING)
    close(found.images, expected.images, 1e-4)
    close(found.after, expected.after, 1e-4)


@pytest.mark.parametrize("end", ENDS)
def test_a_class_is_its_logit_whatever_the_end(end: str, flat: Any) -> None:
    model = seeded(functional(flat_layers(end)))
    found = activation_maximization(model, target=[0, 1, 2], **FEW)
    close(found.after, np.diag(scores.logits(flat, found.images)))


def test_the_probability_when_asked_for(flat: Any) -> None:
    found = activation_maximization(flat, target=1, score="probability", **FEW)
    close(found.after, flat(found.images).numpy()[:, 1])
    other = activation_maximization(flat, target=1, **FEW)
    assert np.abs(found.images - other.images).max() > 0.01


def test_mixed_precision() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = seeded(functional(flat_layers()))
    finally:
        keras.config.set_dtype_policy(before)
    found = activation_maximization(model, layer="conv2", channel=[0, 1], **FEW)
    assert found.images.dtype == found.after.dtype == np.float32
    assert (found.after > found.before).all()


def test_the_model_is_left_as_it_was(flat: Any) -> None:
    weights, names = [w.copy() for w in flat.get_weights()], [x.name for x in flat.layers]
    activation_maximization(flat, target=0, **FEW)
    assert names == [x.name for x in flat.layers]
    for old, new in zip(weights, flat.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


# --- seeds and batches ---------------------------------------------------------------------------


def test_seeded(flat: Any) -> None:
    first, again, other = (
        activation_maximization(flat, target=[0, 0], seed=s, **FEW, **EVERYTHING).images
        for s in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01
    assert np.abs(first[0] - first[1]).max() > 0.01  # the same class from two starts


@every_unit
@pytest.mark.parametrize("batch_size", [1, 2, 3, 7])
def test_an_image_does_not_depend_on_its_batch(
    unit: dict[str, Any], batch_size: int, flat: Any
) -> None:
    name = "target" if "target" in unit else "channel"
    five = unit | {name: [0, 1, 1, 0, 1]}
    options = FEW | EVERYTHING | {"octaves": 2}
    expected = activation_maximization(flat, **five, **options)
    found = activation_maximization(flat, **five, batch_size=batch_size, **options)
    close(found.images, expected.images, 1e-4)
    for field in ("before", "after", "history"):
        close(getattr(found, field), getattr(expected, field), 1e-4)
    fewer = activation_maximization(flat, **(five | {name: [0, 1]}), **options)
    close(fewer.images, expected.images[:2], 1e-4)


def test_batches_have_one_shape_and_nothing_is_traced_again(monkeypatch: Any) -> None:
    model = seeded(functional(flat_layers()))
    shapes: list[int] = []
    original = scores.compiled

    def recorded(*args: Any) -> Any:
        function = original(*args)

        def call(*tensors: Any) -> Any:
            shapes.append(len(tensors[1]))
            return function(*tensors)

        return call

    monkeypatch.setattr(scores, "compiled", recorded)
    activation_maximization(model, target=[0, 1, 2, 0, 1], batch_size=2, **FEW, **EVERYTHING)
    assert set(shapes) == {2}
    assert len(shapes) == 3 * (4 + 2)
    made = len(_engine._compiled[model])
    activation_maximization(
        model, target=[2, 1, 0], steps=7, step_size=0.2, seed=5, noise=0.2, octaves=3,
        jitter=1, zoom=0.2, total_variation=0.4, fourier=1.0, batch_size=3,
    )  # fmt: skip
    assert len(_engine._compiled[model]) == made


def test_what_was_started_from_is_not_kept(flat: Any, images: np.ndarray) -> None:
    activation_maximization(flat, target=0, start=images, **FEW)
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Canvas)]


# --- size and range ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 8), 8, (12, 20)])
def test_a_layer_with_places_takes_any_size(size: Any, flat: Any) -> None:
    found = activation_maximization(flat, layer="conv2", channel=1, size=size, **FEW)
    assert found.images.shape[1:3] == (size if isinstance(size, tuple) else (size, size))


def test_a_network_that_pools_globally_takes_any_size(gap: Any) -> None:
    assert activation_maximization(gap, target=1, size=16, **FEW).images.shape == (1, 16, 16, 1)


def test_a_network_that_flattens_does_not(flat: Any) -> None:
    with pytest.raises(ValueError, match=r"cannot take images of size \(16, 16\)"):
        activation_maximization(flat, target=1, size=16, **FEW)


def test_a_model_with_open_sides_wants_a_size() -> None:
    model = seeded(functional(gap_layers(), (None, None, 1)))
    with pytest.raises(ValueError, match=r"takes images of any size; give size=\(H, W\)"):
        activation_maximization(model, target=0, **FEW)
    assert activation_maximization(model, target=0, size=9, **FEW).images.shape == (1, 9, 9, 1)
    start = np.zeros((7, 6, 1), np.float32)
    assert activation_maximization(model, target=0, start=start, **FEW).images.shape[1:3] == (7, 6)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_the_range_bounds_the_images(low: float, high: float, flat: Any) -> None:
    found = activation_maximization(
        flat, target=0, value_range=(low, high), steps=10, step_size=0.3, noise=0.5
    )
    assert found.images.min() == low and found.images.max() == high


def test_a_range_for_each_channel() -> None:
    model = seeded(functional(gap_layers(), (8, 8, 3)))
    low, high = np.array([-2.0, 0.0, 10.0]), np.array([-1.0, 5.0, 11.0])
    found = activation_maximization(
        model, target=1, value_range=(low, high), steps=10, step_size=0.5, noise=1.0
    )
    np.testing.assert_allclose(found.images.min(axis=(0, 1, 2)), low, atol=1e-6)
    np.testing.assert_allclose(found.images.max(axis=(0, 1, 2)), high, atol=1e-6)


def test_without_bounds_it_leaves_the_range(flat: Any) -> None:
    found = activation_maximization(flat, target=0, bounded=False, steps=20, step_size=0.3)
    assert found.images.min() < 0 and found.images.max() > 1


def test_total_variation_by_hand() -> None:
    image = np.array([[0.0, 1.0], [3.0, 3.0]], np.float32).reshape(1, 2, 2, 1)
    assert total_variation(image).tolist() == [(3 + 2 + 1 + 0) / 4]
    assert total_variation(np.ones((3, 4, 5, 2), np.float32)).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match=r"images of shape \(4, 4\); expected \(N, H, W, C\)"):
        total_variation(np.ones((4, 4)))


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"layer": "conv1"},
        {"channel": 0},
        {"layer": "conv1", "channel": 0, "target": 0},
        {"channel": 0, "target": 0},
        {"layer": "conv1", "target": 0},
    ],
)
def test_either_a_channel_or_a_class(given: dict[str, Any], flat: Any) -> None:
    with pytest.raises(ValueError, match="expected layer and channel, or target alone"):
        activation_maximization(flat, **given)


def test_unknown_layer_lists_layers_and_near_names(flat: Any) -> None:
    with pytest.raises(ValueError, match="no layer 'conv_2' with channels") as error:
        activation_maximization(flat, layer="conv_2", channel=0)
    assert "did you mean 'conv2'" in str(error.value)
    assert str(error.value).endswith("channels: conv1, pool1, conv2, flatten, dense, logits")


def test_the_softmax_is_not_a_layer_to_ask_for(flat: Any) -> None:
    with pytest.raises(ValueError, match="no layer 'softmax' with channels"):
        activation_maximization(flat, layer="softmax", channel=0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"layer": "conv2", "channel": 4}, r"channel \[4\] out of range: layer 'conv2' has 4 chan"),
        ({"layer": "conv2", "channel": [0, -1]}, r"channel \[-1\] out of range"),
        ({"layer": "conv2", "channel": [0.5]}, r"channel \[0.5\]; expected a whole number"),
        ({"layer": "conv2", "channel": []}, r"channel \[\]; expected a whole number"),
        ({"layer": "conv2", "channel": [[1]]}, r"channel \[\[1\]\]; expected a whole number"),
        ({"target": CLASSES}, r"target \[3\] out of range: model '.*' has 3 classes, so 0 to 2"),
        ({"target": "cat"}, "target 'cat'; expected a whole number"),
        ({"layer": "conv2", "channel": 0, "place": "corner"}, "place 'corner'; expected 'mean'"),
        ({"layer": "conv2", "channel": 0, "score": "probability"}, "'conv2' is a layer, leave sco"),
        ({"target": 0, "pre_activation": True}, "pre_activation=True with a class"),
        ({"layer": "pool1", "channel": 0, "pre_activation": True}, "'pool1', a MaxPooling2D, has"),
        ({"target": 0, "score": "loss"}, "score 'loss'; expected 'logit'"),
        ({"target": 0, "steps": 0}, "steps 0; expected a whole number, 1 or more"),
        ({"target": 0, "steps": 2.5}, "steps 2.5; expected a whole number"),
        ({"target": 0, "step_size": 0}, "step_size 0; expected a share of the range above 0"),
        ({"target": 0, "step_size": np.nan}, "step_size nan; expected"),
        ({"target": 0, "noise": -0.1}, "noise -0.1; expected"),
        ({"target": 0, "jitter": 8}, "jitter 8; expected whole pixels, 0 to 7"),
        ({"target": 0, "jitter": 0.5}, "jitter 0.5; expected whole pixels"),
        ({"target": 0, "zoom": 1.0}, "zoom 1.0; expected"),
        ({"target": 0, "total_variation": -1}, "total_variation -1; expected a weight"),
        ({"target": 0, "fourier": np.inf}, "fourier inf; expected a power"),
        ({"target": 0, "octaves": 0}, "octaves 0; expected a whole number"),
        ({"target": 0, "octaves": 4}, "octaves 4; expected at most one a step"),
        ({"target": 0, "steps": 1, "octaves": 2}, "octaves 2; expected at most one a step"),
        ({"target": 0, "batch_size": 0}, "batch_size 0; expected a whole number"),
        ({"target": 0, "value_range": (1.0, 0.0)}, "value_range .*; expected the darkest"),
        ({"target": 0, "value_range": 1.0}, "value_range 1.0; expected the darkest"),
        ({"target": 0, "value_range": ([0, 0], [1, 1])}, "value_range .*; expected the darkest"),
        ({"target": 0, "size": 0}, "size 0; expected"),
        ({"target": 0, "size": (8, 8, 1)}, r"size \(8, 8, 1\); expected"),
        ({"target": 0, "start": np.zeros((2, 8))}, r"start of shape \(2, 8\); expected \(N, H, W"),
        ({"target": 0, "start": np.zeros((8, 8, 1), int)}, "start: expected finite floats"),
        ({"target": 0, "start": np.full((8, 8, 1), np.nan)}, "start: expected finite floats"),
        ({"target": [0, 1], "start": np.zeros((3, 8, 8, 1))}, "one or one for each image"),
    ],
)
def test_errors_say_what_was_expected(given: dict[str, Any], message: str, flat: Any) -> None:
    with pytest.raises(ValueError, match=message):
        activation_maximization(flat, **given)


def test_a_model_that_does_not_take_images() -> None:
    model = functional([layers.Dense(3, name="dense")], (4,))
    with pytest.raises(ValueError, match=r"takes \(None, 4\); expected images"):
        activation_maximization(model, target=0)
    with pytest.raises(TypeError, match="expected a Keras model, got function"):
        activation_maximization(lambda x: x, target=0)  # type: ignore[arg-type]


def test_broken_weights_are_named() -> None:
    model = seeded(functional(flat_layers()))
    kernel, bias = model.get_layer("conv1").get_weights()
    model.get_layer("conv1").set_weights([kernel * np.nan, bias])
    with pytest.raises(ValueError, match="NaN or infinity in the weights"):
        activation_maximization(model, target=0)


def test_a_unit_that_is_off_is_announced_where_it_was_asked_for() -> None:
    model = seeded(functional(flat_layers()))
    kernel, bias = model.get_layer("conv1").get_weights()
    bias[2] = -100
    model.get_layer("conv1").set_weights([kernel, bias])
    with pytest.warns(UserWarning, match=r"zero at every step for 1 of 3 .*'conv1' 2") as caught:
        found = activation_maximization(model, layer="conv1", channel=range(3), noise=0.3, **FEW)
    assert caught[0].filename == __file__
    assert found.before[2] == found.after[2] == 0


def test_no_warning_otherwise(flat: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        activation_maximization(flat, layer="conv1", channel=range(3), noise=0.3, **FEW)


def test_a_layer_applied_twice_is_taken_at_its_first_application() -> None:
    shared = layers.Conv2D(1, 3, padding="same", name="shared")
    parts = [shared, shared, layers.Flatten(), layers.Dense(3)]
    model = seeded(functional(parts))
    found = activation_maximization(model, layer="shared", channel=0, **FEW)
    close(found.after, shared(found.images).numpy().mean(axis=(1, 2, 3)))


def test_trunk_alone_ends_in_maps_and_has_no_class() -> None:
    model = seeded(functional(trunk_layers()))
    with pytest.raises(ValueError, match=r"expected scores \(N, classes\)"):
        activation_maximization(model, target=0)
    assert activation_maximization(model, layer="conv2", channel=0, **FEW).after > 0
