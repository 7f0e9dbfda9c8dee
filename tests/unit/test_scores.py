"""Logits of every kind of model through its own layers, and errors that say what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from networks import (
    ENDS,
    FORMS,
    SHAPE,
    flat_layers,
    functional,
    gap_layers,
    keras,
    layers,
    reloaded,
    seeded,
    sequential,
    tf,
)
from xai_utils import _engine, scores
from xai_utils.cam import hires_cam
from xai_utils.gradients import saliency
from xai_utils.scores import check_images, check_target, logits

RNG = np.random.default_rng(0)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def answer(model: Any, images: np.ndarray) -> np.ndarray:
    return np.asarray(model(images, training=False))


@pytest.fixture(scope="session")
def expected() -> np.ndarray:
    """What each form and end of the flat network must give: Keras's own output before a softmax."""
    images = np.random.default_rng(7).random((5, 8, 8, 1), dtype=np.float32)
    return answer(seeded(functional(flat_layers("logits"))), images)


# --- logits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("form", FORMS)
def test_logits_of_every_form_and_end(
    form: str, end: str, images: np.ndarray, expected: np.ndarray
) -> None:
    model = seeded(FORMS[form](flat_layers(end)))
    result = logits(model, images)
    assert (result.shape, result.dtype) == ((5, 3), np.float32)
    np.testing.assert_allclose(result, expected, atol=1e-6)
    if end != "logits":
        np.testing.assert_allclose(softmax(result), answer(model, images), atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_logits_of_a_saved_and_loaded_model(
    form: str, images: np.ndarray, expected: np.ndarray, tmp_path: Path
) -> None:
    model = reloaded(seeded(FORMS[form](flat_layers("dense activation"))), tmp_path)
    np.testing.assert_allclose(logits(model, images), expected, atol=1e-6)


def test_logits_of_a_sequential_built_by_its_first_call(images: np.ndarray) -> None:
    model = keras.Sequential([layers.Flatten(), layers.Dense(3, activation="softmax")])
    model(images)
    np.testing.assert_allclose(softmax(logits(model, images)), answer(model, images), atol=1e-6)


@pytest.mark.parametrize(
    "activation",
    [tf.nn.softmax, keras.activations.softmax, keras.ops.softmax],
    ids=["tf.nn", "keras.activations", "keras.ops"],
)
def test_softmax_given_as_a_function(activation: Any, images: np.ndarray) -> None:
    model = seeded(functional([layers.Flatten(), layers.Dense(3, activation=activation)]))
    result = logits(model, images)
    np.testing.assert_allclose(softmax(result), answer(model, images), atol=1e-6)
    assert not np.allclose(result.sum(axis=1), 1)


@pytest.mark.parametrize("operation", [keras.activations.softmax, keras.ops.softmax])
def test_softmax_as_an_operation_on_a_tensor(operation: Any, images: np.ndarray) -> None:
    model = seeded(functional([layers.Flatten(), layers.Dense(3), operation]))
    result = logits(model, images)
    np.testing.assert_allclose(softmax(result), answer(model, images), atol=1e-6)
    assert not np.allclose(result.sum(axis=1), 1)


def test_a_single_sigmoid_output(images: np.ndarray) -> None:
    for head in (
        [layers.Dense(1, activation="sigmoid")],
        [layers.Dense(1), layers.Activation("sigmoid")],
    ):
        model = seeded(functional([*gap_layers()[:4], *head]))
        p = answer(model, images)
        np.testing.assert_allclose(logits(model, images), np.log(p / (1 - p)), atol=1e-5)


def test_softmax_of_a_convolution_before_pooling_stays() -> None:
    maps = layers.Conv2D(3, 3, activation="softmax", name="maps")
    model = seeded(functional([maps, layers.GlobalAveragePooling2D()]))
    images = RNG.random((2, *SHAPE), np.float32)
    # The mean of probabilities is this model's score: there is no softmax at the end to leave out.
    np.testing.assert_allclose(logits(model, images), answer(model, images), atol=1e-6)


def test_pooled_convolution_with_a_softmax_behind(images: np.ndarray) -> None:
    parts = [layers.Conv2D(3, 3), layers.GlobalAveragePooling2D()]
    model = seeded(functional([*parts, layers.Softmax()]))
    before = answer(keras.Model(model.inputs[0], model.layers[-2].output), images)
    np.testing.assert_allclose(logits(model, images), before, atol=1e-6)


def test_a_layer_that_stands_at_the_end_and_before(images: np.ndarray) -> None:
    dense, squash = layers.Dense(3, activation="softmax"), layers.Activation("sigmoid")
    shared_dense = functional([layers.Flatten(), layers.Dense(3), dense, dense])
    p = answer(shared_dense, images)
    np.testing.assert_allclose(softmax(logits(shared_dense, images)), p, atol=1e-6)
    shared_squash = functional([layers.Flatten(), layers.Dense(4), squash, layers.Dense(3), squash])
    p = answer(shared_squash, images)
    np.testing.assert_allclose(logits(shared_squash, images), np.log(p / (1 - p)), atol=1e-5)


def test_shared_weights_and_branches(images: np.ndarray) -> None:
    conv = layers.Conv2D(1, 3, padding="same", activation="relu", name="shared")
    inputs = keras.Input(SHAPE)
    both = layers.Concatenate()([conv(inputs), conv(layers.Rescaling(-1.0)(inputs))])
    x = layers.Add()([conv(inputs), layers.Conv2D(1, 1)(both)])
    model = seeded(keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(x))))
    np.testing.assert_allclose(softmax(logits(model, images)), answer(model, images), atol=1e-6)


def test_layers_behave_as_in_inference(images: np.ndarray) -> None:
    parts = [layers.BatchNormalization(), layers.Flatten(), layers.Dropout(0.9), layers.Dense(3)]
    model = functional(parts)
    rng = np.random.default_rng(1)
    model.set_weights([rng.random(w.shape) + 0.5 for w in model.get_weights()])
    np.testing.assert_allclose(logits(model, images), answer(model, images), atol=1e-5)


def test_an_input_with_a_fixed_batch_size(images: np.ndarray) -> None:
    inputs = keras.Input(batch_shape=(2, *SHAPE))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(inputs)))
    assert logits(model, images).shape == (5, 3)


def test_layers_are_listed_in_order_with_what_they_read() -> None:
    known = scores.layers(FORMS["nested at the start"](gap_layers()))
    assert list(known) == ["conv1", "pool1", "conv2", "gap", "logits"]  # not the softmax
    assert known["conv2"] == ("Conv2D", (None, 4, 4, 4), ("pool1",))
    assert known["gap"].reads == ("conv2",)


# --- one compiled function for each model --------------------------------------------------------


def test_more_images_behind_change_no_bit(flat: Any) -> None:
    images = RNG.random((70, *SHAPE), np.float32)
    for method in (logits, saliency):  # 65: the last batch holds one image and 63 copies
        np.testing.assert_array_equal(method(flat, images[:65]), method(flat, images)[:65])


def test_the_order_of_images_changes_rounding_only(flat: Any) -> None:
    images = RNG.random((70, *SHAPE), np.float32)
    order = RNG.permutation(70)
    np.testing.assert_allclose(logits(flat, images[order]), logits(flat, images)[order], atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_batch_sizes_agree(batch_size: int, flat: Any) -> None:
    images = RNG.random((40, *SHAPE), np.float32)
    for method in (saliency, hires_cam):
        result = method(flat, images, 1, batch_size=batch_size)
        np.testing.assert_allclose(result, method(flat, images, 1), atol=1e-5)


def test_a_step_is_traced_once(flat: Any) -> None:
    traced = []

    def step(model: Any, x: Any, target: Any) -> Any:
        traced.append(x.shape)
        return scores.pick(scores.trace(model, x).logits, target, "logit")

    for n in (1, 2, 5, 40, 33):
        images = RNG.random((n, *SHAPE), np.float32)
        for target in (None, 0, 2, RNG.integers(0, 3, n)):
            result = scores.explain(flat, images, target, ("count",), step)
            assert result.shape == (n,)
    assert len(traced) == 1
    scores.explain(flat, images, 0, ("count",), step, score="probability")
    assert len(traced) == 2  # another score is another function


def test_many_models_and_layers_make_tensorflow_say_nothing(
    images: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    logger = tf.get_logger()
    logger.addHandler(caplog.handler)
    try:
        for _ in range(8):
            logits(functional([layers.Flatten(), layers.Dense(3)]), images)
    finally:
        logger.removeHandler(caplog.handler)
    assert caplog.text == ""


def test_models_of_one_architecture_and_name_are_kept_apart(images: np.ndarray) -> None:
    one, two = (seeded(functional(flat_layers(), name="twin"), seed) for seed in (1, 2))
    for model in (one, two, one):
        np.testing.assert_allclose(softmax(logits(model, images)), answer(model, images), atol=1e-6)
    key = ("logits", "logit")
    assert _engine._compiled[one][key_of(one, key)] is not _engine._compiled[two][key_of(two, key)]


def key_of(model: Any, start: tuple[str, ...]) -> Any:
    (key,) = [k for k in _engine._compiled[model] if k[: len(start)] == start]
    return key


def test_a_model_that_takes_the_place_of_a_dead_one(images: np.ndarray) -> None:
    for seed in range(6):  # each may get the address of the one before
        model = seeded(functional([layers.Flatten(), layers.Dense(3)]), seed)
        np.testing.assert_allclose(logits(model, images), answer(model, images), atol=1e-5)
        del model


def test_new_weights_and_new_layers_are_seen(images: np.ndarray) -> None:
    model = seeded(sequential([layers.Flatten(), layers.Dense(3)]))
    first = logits(model, images)
    seeded(model, 5)
    second = logits(model, images)
    assert not np.allclose(first, second)
    np.testing.assert_allclose(second, answer(model, images), atol=1e-6)
    model.add(layers.Dense(4))
    np.testing.assert_allclose(logits(model, images), answer(model, images), atol=1e-6)


# --- errors: the model ---------------------------------------------------------------------------


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.flatten, self.dense = layers.Flatten(), layers.Dense(3, activation="softmax")

    def call(self, x: Any) -> Any:
        return self.dense(self.flatten(x))


def test_subclassed_model(images: np.ndarray) -> None:
    model = Subclassed()
    model(images)
    with pytest.raises(TypeError, match=r"subclassed Subclassed.*keras\.Sequential or the func"):
        logits(model, images)


def test_subclassed_model_at_the_end_of_another(images: np.ndarray) -> None:
    with pytest.raises(TypeError, match="subclassed Subclassed"):  # its softmax would be hidden
        logits(functional([layers.Conv2D(2, 3), Subclassed()]), images)


def test_subclassed_sequential_is_followed(images: np.ndarray) -> None:
    class Head(keras.Sequential):
        pass

    head = Head([keras.Input(SHAPE), layers.Flatten(), layers.Dense(3, activation="softmax")])
    for model in (head, functional([head])):
        np.testing.assert_allclose(softmax(logits(model, images)), answer(model, images), atol=1e-6)
    start = Head([keras.Input(SHAPE), layers.Conv2D(2, 3, name="inside")], name="start")
    model = functional([start, layers.Flatten(name="flatten"), layers.Dense(3, name="logits")])
    assert list(scores.layers(model)) == ["inside", "flatten", "logits"]


def test_sequential_that_is_not_built(images: np.ndarray) -> None:
    model = keras.Sequential([layers.Flatten(), layers.Dense(3)], name="raw")
    with pytest.raises(ValueError, match="model 'raw' is not built: give it an Input layer"):
        logits(model, images)


def test_two_inputs_or_outputs(images: np.ndarray) -> None:
    a, b = keras.Input(SHAPE), keras.Input(SHAPE)
    with pytest.raises(ValueError, match="2 inputs and 1 outputs; expected one of each"):
        logits(keras.Model([a, b], layers.Flatten()(layers.Add()([a, b]))), images)
    flat = layers.Flatten()(a)
    with pytest.raises(ValueError, match="1 inputs and 2 outputs; expected one of each"):
        logits(keras.Model(a, [flat, layers.Dense(3)(flat)]), images)


@pytest.mark.parametrize("model", [None, "model.keras", lambda x: x, layers.Dense])
def test_not_a_model(model: Any, images: np.ndarray) -> None:
    with pytest.raises(TypeError, match="expected a Keras model, got"):
        logits(model, images)


def test_a_model_without_one_row_of_scores(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"gives \(None, 6, 6, 2\); expected scores \(N, classes"):
        logits(functional([layers.Conv2D(2, 3)]), images)


@pytest.mark.parametrize("layer", ["conv1", "conv2", "dense", "logits"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_in_the_weights_names_them(layer: str, value: float, images: np.ndarray) -> None:
    model = seeded(functional(flat_layers()))
    bias = model.get_layer(layer).bias
    bias.assign(np.r_[value, np.asarray(bias)[1:]])
    # ReLU and pooling may swallow the NaN, so the result alone does not show it.
    with pytest.raises(ValueError, match=f"NaN or infinity in the weights .*{layer}/bias"):
        logits(model, images)


def test_infinities_of_both_signs_do_not_cancel(images: np.ndarray) -> None:
    model = seeded(functional(flat_layers()))
    bias = model.get_layer("conv1").bias
    bias.assign(np.r_[np.inf, -np.inf, np.asarray(bias)[2:]])
    with pytest.raises(ValueError, match=r"NaN or infinity in the weights .*conv1/bias"):
        logits(model, images)


def test_finite_weights_whose_sum_is_infinite_are_not_accused(images: np.ndarray) -> None:
    model = seeded(functional(flat_layers()))
    kernel, bias = model.get_layer("logits").weights
    kernel.assign(np.zeros(kernel.shape))
    bias.assign(np.full(bias.shape, 3e38, np.float32))
    assert (logits(model, images) == np.float32(3e38)).all()


def test_overflow_inside_the_model(flat: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="number overflows inside model"):
        logits(flat, images * np.float32(3e38))


# --- errors: images, target, score ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 8, 1), r"shape \(8, 8, 1\); expected \(N, 8, 8, 1\); add the batch axis"),
        ((8, 8), r"shape \(8, 8\); expected \(N, 8, 8, 1\)$"),
        ((1, 1, 8, 8, 1), r"expected \(N, 8, 8, 1\)$"),
        ((), r"shape \(\); expected"),
        ((2, 8, 9, 1), r"shape \(2, 8, 9, 1\); this model expects \(N, 8, 8, 1\)"),
        ((2, 8, 8, 3), r"shape \(2, 8, 8, 3\); this model expects"),
        ((0, 8, 8, 1), r"no images: shape \(0, 8, 8, 1\)"),
    ],
)
def test_wrong_shapes(shape: tuple[int, ...], message: str, flat: Any) -> None:
    with pytest.raises(ValueError, match=message):
        logits(flat, np.zeros(shape, np.float32))


def test_open_axes_are_named_any() -> None:
    model = functional([layers.Conv2D(2, 3), layers.GlobalAveragePooling2D()], (None, None, 1))
    assert logits(model, np.zeros((1, 5, 9, 1), np.float32)).shape == (1, 2)
    with pytest.raises(ValueError, match=r"expects \(N, any, any, 1\)"):
        logits(model, np.zeros((1, 5, 9, 2), np.float32))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool, complex, str, object])
def test_wrong_dtypes(dtype: Any, flat: Any) -> None:
    with pytest.raises(ValueError, match=r"of dtype .*; expected floats in the scale"):
        check_images(flat, np.zeros((2, *SHAPE)).astype(dtype))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_float_becomes_float32(dtype: Any, flat: Any) -> None:
    assert check_images(flat, np.zeros((2, *SHAPE), dtype)).dtype == np.float32


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_images_that_are_not_finite_are_named(value: float, flat: Any, images: np.ndarray) -> None:
    broken = images.astype(np.float64)
    broken[1, 2, 3, 0] = broken[4, 0, 0, 0] = value  # 1e300 is too large for float32
    with pytest.raises(ValueError, match=r"NaN or infinity in images \[1, 4\]"):
        logits(flat, broken)


def test_images_are_not_written_to(flat: Any, images: np.ndarray) -> None:
    images.flags.writeable = False
    logits(flat, images)


@pytest.mark.parametrize("target", [3, -1, [0, 1, 2, 3, 0], [0, 0, 0, 0, -1], 2**40])
def test_target_out_of_range(target: Any) -> None:
    with pytest.raises(ValueError, match="out of range: the model has 3 outputs, so 0 to 2") as e:
        check_target(target, 5, 3)
    wrong = [t for t in np.atleast_1d(target).tolist() if not 0 <= t < 3]
    assert str(wrong) in str(e.value)  # and none that is right


@pytest.mark.parametrize("target", [1.0, [0.0, 1.0, 2.0, 0.0, 1.0], True, "cat", np.array([])])
def test_target_that_is_no_int(target: Any) -> None:
    with pytest.raises(ValueError, match="expected None, an int or an int array"):
        check_target(target, 5, 3)


@pytest.mark.parametrize("target", [[0, 1], [0] * 6, [[0], [1], [2], [0], [1]]])
def test_target_of_wrong_length(target: Any) -> None:
    with pytest.raises(ValueError, match=r"expected one int or \(5,\)"):
        check_target(target, 5, 3)


def test_targets_that_are_right() -> None:
    np.testing.assert_array_equal(check_target(None, 3, 4), [scores.PREDICTED] * 3)
    for target in (2, np.int8(2), np.uint64(2), [2, 2, 2]):
        result = check_target(target, 3, 4)
        np.testing.assert_array_equal(result, [2, 2, 2])
        assert result.dtype == np.int32


def any_step(model: Any, x: Any, target: Any) -> Any:
    return scores.trace(model, x).logits


@pytest.mark.parametrize("score", ["Logit", "softmax", None, 0, ["logit"]])
def test_unknown_score(score: Any, flat: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="score must be 'logit' or 'probability', not"):
        scores.explain(flat, images, 0, ("test",), any_step, score=score)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "32", True])
def test_wrong_batch_size(batch_size: Any, flat: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"batch_size .*; expected a whole number, 1 or more"):
        scores.explain(flat, images, 0, ("test",), any_step, batch_size=batch_size)
