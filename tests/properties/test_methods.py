"""What must hold of every method on any weights and any picture: drawn by hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import drawn
from drawn import CLASSES, KINDS, SHAPES, methods, near, often, pictures, seeds, with_weights
from xai_utils import scores

METHODS = (
    *("saliency", "input_x_gradient", "smooth_grad", "integrated_gradients", "expected_gradients"),
    *("deconvnet", "guided_backprop", "deep_lift", "deep_taylor"),
    *("lrp epsilon", "lrp alpha-beta", "lrp gamma"),
    *("cam", "grad_cam", "grad_cam_layers", "grad_cam_plus_plus", "layer_cam", "hires_cam"),
    *("guided_grad_cam", "occlusion", "occlusion anew", "occlusion by a blur", "rise"),
)
LINEAR = (  # in the explained score
    *("saliency", "input_x_gradient", "smooth_grad", "integrated_gradients", "expected_gradients"),
    *("deep_lift", "cam", "hires_cam", "occlusion", "occlusion anew", "rise"),
)
# RISE and SmoothGrad draw in the image's order.  Of equal maxima the first is taken, which is
# another one in the mirror: a deconvnet meets them among zeros, DeepLIFT in a flat baseline.
HANDED = ("smooth_grad", "rise", "deconvnet", "deep_lift")
# A way that comes by a picture all but flat: its maxima differ by rounding, which picks the winner.
PATHS = ("integrated_gradients", "expected_gradients", "deep_lift")
COVERING = ("occlusion", "rise")  # differences and means of scores, and rounded as those are
IN_FEATURES = {"cam": (4, 4), "grad_cam": (4, 4), "layer_cam": (4, 4), "hires_cam": (4, 4)}
IN_FEATURES["grad_cam_plus_plus"] = (4, 4)
targets = st.integers(0, CLASSES - 1)


def network_for(method: str) -> str:
    """One network a method, each half of them: compiling is what costs time."""
    return "gap" if "cam" in method or METHODS.index(method) % 2 else "flat"


def shape_of(method: str, images: np.ndarray) -> tuple[int, ...]:
    if method == "grad_cam_layers":
        return (len(images), 8 * 8 + 4 * 4)
    if method in IN_FEATURES:
        return (len(images), *IN_FEATURES[method])
    return images.shape[: 3 if method.startswith(("occlusion", "rise")) else 4]


def test_every_method_is_drawn() -> None:
    assert set(METHODS) == set(methods()) > set(LINEAR) | set(HANDED)


@pytest.mark.parametrize("method", METHODS)
@often(5)
@given(data=st.data(), seed=seeds, size=st.integers(1, 6))
def test_a_map_is_finite_and_the_same_in_any_batch(
    method: str, data: Any, seed: int, size: int
) -> None:
    name = network_for(method)
    model = with_weights(name, seed)
    kinds = tuple(kind for kind in KINDS if kind != "faint" or method not in PATHS)
    images = data.draw(pictures(SHAPES[name], kinds=kinds))
    target = data.draw(
        st.none() | targets | st.lists(targets, min_size=len(images), max_size=len(images))
    )
    before = images.copy(), [w.copy() for w in model.get_weights()]
    explain = methods()[method]
    heat = explain(model, images, target)
    assert (heat.shape, heat.dtype) == (shape_of(method, images), np.float32)
    assert np.isfinite(heat).all()
    if target is None:  # in batches of another size two equal scores may change places
        target = [int(explained(model, image)) for image in images]
        heat = explain(model, images, target)
    size_of_scores = scores.logits(model, images) if method.startswith(COVERING) else 0
    near(explain(model, images, target, batch_size=size), heat, size_of_scores)
    if method != "smooth_grad":  # whose noise is drawn image after image
        classes = np.broadcast_to(target, len(images))
        alone = [explain(model, x[None], int(c))[0] for x, c in zip(images, classes, strict=True)]
        near(np.stack(alone), heat, size_of_scores)
    np.testing.assert_array_equal(images, before[0])
    for now, then in zip(model.get_weights(), before[1], strict=True):
        np.testing.assert_array_equal(now, then)


def explained(model: Any, image: np.ndarray) -> Any:
    return scores.logits(model, image[None])[0].argmax()


@pytest.mark.parametrize("method", LINEAR)
@often(4)
@given(data=st.data(), seed=seeds, factor=st.floats(-3, 3), target=targets)
def test_the_map_of_a_sum_of_scores_is_the_sum_of_their_maps(
    method: str, data: Any, seed: int, factor: float, target: int
) -> None:
    name = network_for(method)
    model = with_weights(name, seed)
    images = data.draw(pictures(SHAPES[name], most=2))
    one = model.get_layer("logits").get_weights()
    rng = np.random.default_rng(seed)
    other = [rng.normal(size=w.shape) for w in one]
    found, sizes = [], [np.zeros(1)]
    for share, part in ((1, 0), (0, 1), (1, factor)):
        drawn.last_layer(model, *(share * a + part * b for a, b in zip(one, other, strict=True)))
        found.append(methods()[method](model, images, target))
        sizes += [scores.logits(model, images)] * method.startswith(COVERING)
    parts = found[0], factor * found[1]
    near(found[2], sum(parts), *parts, *sizes, tolerance=1e-4)


@pytest.mark.parametrize("method", [m for m in METHODS if m not in HANDED])
@often(4)
@given(images=pictures(SHAPES["gap"], most=2, kinds=("noise",)), seed=seeds, target=targets)
def test_a_mirrored_network_gives_the_mirrored_map_of_a_mirrored_picture(
    method: str, images: np.ndarray, seed: int, target: int
) -> None:
    model, explain = with_weights("gap", seed), methods()[method]
    heat = explain(model, images, target)
    drawn.mirrored(model)
    reflected = explain(model, images[:, :, ::-1], target)
    if method == "grad_cam_layers":
        split = [
            m.reshape(len(images), *s)
            for m, s in zip(np.split(heat, [64], axis=1), ((8, 8), (4, 4)), strict=True)
        ]
        heat = np.concatenate([m[:, :, ::-1].reshape(len(images), -1) for m in split], axis=1)
    else:
        heat = heat[:, :, ::-1]
    sizes = scores.logits(model, images) if method.startswith(COVERING) else 0
    near(reflected, heat, sizes)
