"""A model is left exactly as it was found, and is let go when its owner lets it go."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from networks import FORMS, functional, gap_layers, keras, layers, seeded
from xai_utils import _engine, scores
from xai_utils.backprop import deconvnet, deep_lift, guided_backprop, lrp
from xai_utils.cam import cam, grad_cam, hires_cam
from xai_utils.gradients import expected_gradients, integrated_gradients, saliency, smooth_grad
from xai_utils.perturbation import occlusion, rise


def explain_all(model: Any, images: np.ndarray) -> None:
    scores.logits(model, images)
    for method in (cam, grad_cam, hires_cam, saliency, deconvnet, guided_backprop, lrp, deep_lift):
        method(model, images)
    lrp(model, images, rule="gamma")
    smooth_grad(model, images, samples=2)
    integrated_gradients(model, images, steps=2)
    expected_gradients(model, images, references=images, samples=2)
    occlusion(model, images, patch=2)
    rise(model, images, masks=3)
    for method in (grad_cam, saliency):
        method(model, images, score="probability")


def rich_layers(end: str) -> list[Any]:
    """The GAP network with everything that keeps a state of its own."""
    trunk = gap_layers(end)
    trunk[2] = layers.Conv2D(
        4, 3, padding="same", activation="relu", activity_regularizer="l2", name="conv2"
    )
    return [layers.BatchNormalization(name="norm"), *trunk[:4], layers.Dropout(0.5), *trunk[4:]]


def state(model: Any, images: np.ndarray) -> dict[str, Any]:
    everything = list(model._flatten_layers())
    return {
        "predictions": np.asarray(model(images)).tolist(),
        "weights": [w.tolist() for w in model.get_weights()],
        "config": json.dumps(model.get_config(), default=repr, sort_keys=True),
        "layers": [layer.name for layer in everything],
        "nodes": [(len(x._inbound_nodes), len(x._outbound_nodes)) for x in everything],
        "activations": [getattr(x, "activation", None) for x in everything],
        "trainable": [x.trainable for x in everything],
        "variables": [id(v) for v in model.variables],
        "seeds": [np.asarray(v).tolist() for v in model.non_trainable_variables],
        "attributes": [sorted(vars(x)) for x in everything],
    }


@pytest.mark.parametrize(
    ("form", "end"),
    [
        ("sequential", "dense activation"),
        ("functional", "activation layer"),
        ("nested at the start", "softmax layer"),
        ("nested twice", "dense activation"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*zero everywhere")
def test_explaining_changes_nothing(
    form: str, end: str, images: np.ndarray, tmp_path: Path
) -> None:
    parts = gap_layers(end) if "nested" in form else rich_layers(end)
    model = seeded(FORMS[form](parts))
    if "nested" not in form:
        norm = model.get_layer("norm")
        norm.moving_variance.assign(np.abs(norm.moving_variance) + 0.5)
    before = state(model, images)
    explain_all(model, images)
    after = state(model, images)
    assert [key for key in before if before[key] != after[key]] == []
    model.save(tmp_path / "after.keras")
    again = keras.models.load_model(tmp_path / "after.keras")
    np.testing.assert_array_equal(np.asarray(again(images)), before["predictions"])


def test_no_losses_are_left_behind(images: np.ndarray) -> None:
    model = functional(rich_layers("softmax layer"))
    explain_all(model, images)
    assert model.losses == []  # not a tensor of a graph that nobody can read


def test_training_goes_on_afterwards(images: np.ndarray) -> None:
    model = functional(rich_layers("dense activation"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(5) % 3
    model.fit(images, labels, verbose=0)
    first = scores.logits(model, images)
    loss = model.fit(images, labels, verbose=0).history["loss"][0]
    assert np.isfinite(loss)
    assert not np.allclose(scores.logits(model, images), first)


@pytest.mark.parametrize("form", ["sequential", "functional", "nested at the end"])
def test_the_cache_does_not_keep_a_model_alive(form: str, images: np.ndarray) -> None:
    model = seeded(FORMS[form](gap_layers("dense activation")))
    grad_cam(model, images)
    saliency(model, images)
    assert model in _engine._compiled
    cached, alive = len(_engine._compiled), weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None
    assert len(_engine._compiled) < cached
