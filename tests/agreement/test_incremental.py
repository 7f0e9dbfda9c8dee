"""Incremental occlusion gives the numbers of plain occlusion, which runs every copy in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from networks import (
    FORMS,
    flat_layers,
    functional,
    gap_layers,
    keras,
    layers,
    reloaded,
    seeded,
    sequential,
)
from xai_utils import _boxes, datasets, models, scores, training
from xai_utils.perturbation import occlusion

RNG = np.random.default_rng(3)
CONV = layers.Conv2D


def head(*, pooled: bool = False) -> list[Any]:
    return [layers.GlobalAveragePooling2D() if pooled else layers.Flatten(), layers.Dense(3)]


def conv(k: Any, s: Any = 1, padding: str = "same", **more: Any) -> Any:
    return CONV(3, k, strides=s, padding=padding, activation="relu", **more)


TRUNKS: dict[str, Any] = {
    "valid": lambda: [conv(3, padding="valid"), layers.MaxPooling2D(), conv(3, padding="valid")],
    "same": lambda: [conv(3), layers.MaxPooling2D(), conv(5), layers.MaxPooling2D(), conv(3)],
    "two in a row": lambda: [conv(3), conv(3), layers.MaxPooling2D(), conv(2), conv(3)],
    "even and oblong": lambda: [conv((2, 4)), conv((4, 1)), layers.MaxPooling2D((1, 2))],
    "stride same": lambda: [conv(3, 2), conv(4, (1, 2)), conv(5, 2)],
    "stride valid": lambda: [conv(3, 2, "valid"), conv(2, 2, "valid"), conv(2)],
    "stride skips cells": lambda: [conv(1, 2), conv(2, 3, "valid"), conv(3)],
    "stride skips cells same": lambda: [conv(2, 3), layers.MaxPooling2D(1, 2), conv(3)],
    "padded max pooling": lambda: [  # of negative numbers: zeros around them would win
        CONV(3, 3, padding="same"), layers.MaxPooling2D(3, 2, padding="same"), conv(3),
    ],
    "overlapping pooling": lambda: [conv(3), layers.MaxPooling2D(3, 1), layers.MaxPooling2D(3, 2)],
    "average pooling": lambda: [conv(3), layers.AveragePooling2D(2), conv(3)],
    "padded average pooling": lambda: [
        conv(3), layers.AveragePooling2D(3, 2, padding="same"), conv(3),
    ],
    "pooling first": lambda: [layers.MaxPooling2D(), layers.MaxPooling2D(), conv(3)],
    "dilated": lambda: [
        conv(3, dilation_rate=2), conv(2, dilation_rate=(1, 3)), conv(3, 1, "valid"),
    ],
    "depthwise": lambda: [conv(3), layers.DepthwiseConv2D(3, 2, padding="same"), conv(1)],
    "normed": lambda: [
        layers.BatchNormalization(), CONV(3, 3), layers.BatchNormalization(), layers.ReLU(),
        layers.MaxPooling2D(), layers.Dropout(0.5), CONV(3, 3, padding="same"),
        layers.LeakyReLU(), layers.Activation("tanh"),
    ],
}  # fmt: skip


def agree(
    model: Any, x: np.ndarray, patch: Any, stride: Any, must: bool = False, **options: Any
) -> None:
    """Both ways within 1e-5 of the map's size: they do the same sums, in another order."""
    options |= {"patch": patch, "stride": stride}
    plain = occlusion(model, x, 1, incremental=False, **options)
    fast = occlusion(model, x, 1, incremental=True if must else None, **options)
    size = np.abs(plain).max()
    assert size > 1e-4
    np.testing.assert_allclose(fast, plain, atol=1e-5 * max(size, 1), err_msg=f"{patch} {stride}")


def random_norms(model: Any) -> Any:
    """Seeded weights, but positive variances."""
    seeded(model)
    model.set_weights(
        [np.abs(w) + 0.5 if "variance" in v.path else w
         for v, w in zip(model.weights, model.get_weights(), strict=True)]
    )  # fmt: skip
    return model


@pytest.mark.parametrize("trunk", TRUNKS)
def test_every_trunk_patch_and_stride(trunk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_boxes, "WORTH", 1.0)  # boxes as long as there are any
    x = RNG.random((2, 19, 16, 2), np.float32)
    model = random_norms(functional([*TRUNKS[trunk](), *head()], x.shape[1:]))
    assert _boxes.plan(model, x.shape[1:], (1, 1)) is not None
    for patch, stride in [(1, 1), ((5, 4), (2, 3)), ((19, 7), (19, 5))]:
        agree(model, x, patch, stride)


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("worth", [0.02, 0.2, 0.6, 1.0])
def test_wherever_the_boxes_end(
    worth: float, pooled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_boxes, "WORTH", worth)
    x = RNG.random((2, 32, 29, 1), np.float32)
    model = seeded(functional([*TRUNKS["same"](), *head(pooled=pooled)], x.shape[1:]))
    for patch, stride in [(3, 3), ((7, 4), (5, 4))]:
        agree(model, x, patch, stride)


@pytest.mark.parametrize("end", ["logits", "dense activation"])
@pytest.mark.parametrize("form", [*FORMS, "reloaded"])
@pytest.mark.parametrize("kind", [flat_layers, gap_layers])
def test_every_form_and_end(
    kind: Any, form: str, end: str, images: np.ndarray, tmp_path: Path
) -> None:
    model = seeded(FORMS.get(form, functional)(kind(end)))
    if form == "reloaded":
        model = reloaded(model, tmp_path)
    agree(model, images, 2, 2, must=True)


@pytest.mark.parametrize("occluder", ["mean", "blur", "inpaint", 0.5])
@pytest.mark.parametrize("score", ["logit", "probability"])
def test_every_occluder_and_score(score: str, occluder: Any, flat: Any, images: np.ndarray) -> None:
    agree(flat, images, 3, 1, must=True, occluder=occluder, score=score)


@pytest.mark.parametrize("batch_size", [1, 5, 36, 50, 72, 500])
def test_every_batch_size(batch_size: int, flat: Any, images: np.ndarray) -> None:
    agree(flat, images, 3, 1, must=True, batch_size=batch_size)  # 36 windows of each image


def test_open_sizes_in_one_model() -> None:
    model = seeded(functional(gap_layers(), (None, None, 1)))
    for size in [(20, 20), (17, 30), (20, 20)]:
        agree(model, RNG.random((2, *size, 1), np.float32), 3, 2, must=True)


def test_the_courses_networks() -> None:
    for model, shape in [
        (models.mnist_cnn(), (28, 28, 1)),
        (models.neu_gap_cnn(size=40), (40, 40, 1)),
    ]:
        x = RNG.random((2, *shape), np.float32)
        seeded(model)
        for patch, stride in [(4, 4), ((7, 5), (6, 5))]:
            agree(model, x, patch, stride, must=True)


@pytest.mark.parametrize("name", ["neu_flat", "neu_gap"])
def test_a_plate_of_each_class(name: str) -> None:
    plates = datasets.load_neu()
    x = plates.take([np.flatnonzero(plates.labels == k)[7] for k in range(6)]).inputs
    model = training.load_or_train(name, plates)
    values = scores.logits(model, x)
    span = values.max() - values.min()
    for patch, stride in [((37, 60), (33, 60)), (95, 80)]:
        options: Any = {"patch": patch, "stride": stride, "occluder": "mean"}
        plain = occlusion(model, x, incremental=False, **options)
        fast = occlusion(model, x, incremental=True, **options)
        assert np.ptp(plain) > 0.01 * span
        np.testing.assert_allclose(fast, plain, atol=1e-4 * span)


# --- what may not be taken for a chain -----------------------------------------------------------


def test_a_skip_connection_is_computed_whole(images: np.ndarray) -> None:
    inputs = keras.Input((8, 8, 1))
    a = CONV(3, 3, padding="same", activation="relu", name="a")(inputs)
    b = CONV(3, 3, padding="same", activation="relu", name="b")(a)
    c = CONV(3, 3, padding="same", name="c")(b)
    model = seeded(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Add()([a, c])))))
    agree(model, images, 2, 2)
    assert _boxes.plan(model, (8, 8, 1), (1, 1)) is None  # a is read twice
    from_image = layers.Concatenate()([CONV(2, 3, padding="same")(inputs), inputs])
    model = seeded(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(from_image))))
    agree(model, images, 2, 2)


def test_what_is_read_by_name_is_computed_whole(images: np.ndarray) -> None:
    class Gate(layers.Layer):
        def call(self, x: Any, gate: Any = None) -> Any:
            return x * keras.ops.mean(gate, axis=(1, 2), keepdims=True)

    inputs = keras.Input((8, 8, 1))
    a = CONV(3, 3, padding="same", activation="relu")(inputs)
    b = CONV(3, 3, padding="same", activation="relu")(a)
    end = layers.Dense(3)(layers.Flatten()(Gate()(b, gate=a)))
    model = seeded(keras.Model(inputs, end))
    agree(model, images, 2, 2)
    assert _boxes.plan(model, (8, 8, 1), (1, 1)) is None


def test_a_chain_before_a_skip_connection_is_used(images: np.ndarray) -> None:
    inputs = keras.Input((8, 8, 1))
    start = CONV(3, 3, padding="same", activation="relu")(inputs)
    a = CONV(3, 3, padding="same", activation="relu")(start)
    c = layers.Add()([a, CONV(3, 1)(a)])
    model = seeded(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(c))))
    found = _boxes.plan(model, (8, 8, 1), (1, 1))
    assert found is not None and len(found.blocks) == 1
    agree(model, images, 2, 2, must=True)


def test_layers_that_mix_places_end_the_chain(images: np.ndarray) -> None:
    class Centred(layers.Conv2D):
        def call(self, x: Any) -> Any:
            return super().call(x - keras.ops.mean(x, axis=(1, 2), keepdims=True))

    def centre(x: Any) -> Any:
        return x - keras.ops.mean(x, axis=(1, 2), keepdims=True)

    for mixing in (
        lambda: Centred(3, 3),
        lambda: CONV(3, 3, activation=centre),
        lambda: layers.Activation(centre),
        lambda: layers.LayerNormalization(axis=(1, 2)),
        lambda: layers.BatchNormalization(axis=1),
        lambda: layers.UpSampling2D(),
    ):
        behind = random_norms(functional([conv(3), mixing(), conv(3), *head()]))
        agree(behind, images, 2, 2, must=True)
        first = random_norms(functional([mixing(), conv(3), *head()]))
        assert _boxes.plan(first, (8, 8, 1), (1, 1)) is None
        agree(first, images, 2, 2)


def test_a_layer_that_stands_twice_in_the_chain(images: np.ndarray) -> None:
    shared = CONV(1, 3, padding="same", activation="relu")
    agree(seeded(sequential([shared, layers.MaxPooling2D(), shared, *head()])), images, 2, 2, True)


def test_new_weights_are_seen(images: np.ndarray) -> None:
    model = seeded(functional(flat_layers()))
    before = occlusion(model, images, 1, patch=2, incremental=True)
    seeded(model, 31)
    agree(model, images, 2, 1, must=True)
    assert not np.allclose(occlusion(model, images, 1, patch=2), before)
