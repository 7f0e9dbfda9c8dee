"""What the property tests draw: pictures, maps, and tiny networks by the seed of their weights.

The networks are built once and only their weights are drawn: what TensorFlow has compiled for one
example then serves all others.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

# `make test` draws each property's few examples, `make fuzz` twenty times as many.
TIMES = {"test": 1, "fuzz": 20}[settings.get_current_profile_name()]
SHAPES = {"gap": (8, 8, 1), "flat": (7, 5, 3)}  # grey and square; in colour, and of odd sides
CLASSES = 3
Maps = dict[str, np.ndarray]
Explain = Callable[..., Any]


def often(examples: int) -> settings:
    """So many examples in `make test`, and twenty times as many in `make fuzz`."""
    return settings(max_examples=examples * TIMES)


# --- networks ------------------------------------------------------------------------------------


@functools.cache
def network(name: str) -> Any:
    """The network of that name; its weights are whoever's drew them last."""
    import networks

    parts = networks.gap_layers() if name == "gap" else networks.flat_layers()
    return networks.functional(parts, SHAPES[name], name=name)


def with_weights(name: str, seed: int) -> Any:
    """The network with random weights, and random biases that are not zero."""
    import networks

    return networks.seeded(network(name), seed)


def mirrored(model: Any) -> None:
    """Turn every kernel of a network left to right."""
    for layer in model.layers:
        values = layer.get_weights()
        if values and values[0].ndim == 4:
            layer.set_weights([values[0][:, ::-1], *values[1:]])


def last_layer(model: Any, kernel: np.ndarray, bias: np.ndarray) -> None:
    """Give the layer of the logits these weights."""
    model.get_layer("logits").set_weights([kernel, bias])


# --- pictures and maps ---------------------------------------------------------------------------

seeds = st.integers(0, 2**32 - 1)
finite32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1)


def _picture(kind: str, seed: int, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.random(shape, np.float32)
    if kind == "flat":
        return np.full(shape, noise.flat[0])
    if kind == "one pixel":
        alone = np.zeros(shape, np.float32)
        alone.flat[int(rng.integers(alone.size))] = 1
        return alone
    if kind == "two values":
        return np.round(noise)
    return noise * {"black": 0, "faint": 1e-6, "noise": 1}[kind]


KINDS = ("noise", "two values", "one pixel", "faint", "flat", "black")


def pictures(
    shape: tuple[int, ...], most: int = 4, kinds: tuple[str, ...] = KINDS
) -> st.SearchStrategy[np.ndarray]:
    """One to `most` pictures ``(n, *shape)`` in [0, 1], of all kinds together."""
    one = st.tuples(st.sampled_from(kinds), seeds)
    many = st.lists(one, min_size=1, max_size=most)
    return many.map(lambda drawn: np.stack([_picture(*p, shape) for p in drawn]))


def maps(least: int = 1, most: int = 9) -> st.SearchStrategy[np.ndarray]:
    """One map ``(H, W)`` of any numbers that a float32 can hold."""
    sides = st.tuples(*[st.integers(least, most)] * 2)
    return hnp.arrays(np.float32, sides, elements=finite32)


def stacks(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Maps of one shape with many ties, signed."""
    return hnp.arrays(np.float64, shape, elements=st.integers(-4, 4).map(float))


# --- methods -------------------------------------------------------------------------------------


@functools.cache
def methods() -> dict[str, Explain]:
    """Every method of a network, cheaply: ``(model, images, target, batch_size=) -> maps``."""
    from xai_utils import backprop, cam, gradients, perturbation

    few = functools.partial
    found: dict[str, Explain] = {
        "saliency": gradients.saliency,
        "input_x_gradient": gradients.input_x_gradient,
        "smooth_grad": few(gradients.smooth_grad, samples=4),
        "integrated_gradients": few(gradients.integrated_gradients, steps=5, baseline=0.2),
        "expected_gradients": _expected_gradients,
        "deconvnet": backprop.deconvnet,
        "guided_backprop": backprop.guided_backprop,
        "deep_lift": few(backprop.deep_lift, baseline=0.2),
        "deep_taylor": backprop.deep_taylor,
        "cam": cam.cam,
        "grad_cam": cam.grad_cam,
        "grad_cam_layers": _of_both_layers,
        "grad_cam_plus_plus": cam.grad_cam_plus_plus,
        "layer_cam": cam.layer_cam,
        "hires_cam": cam.hires_cam,
        "guided_grad_cam": cam.guided_grad_cam,
        "occlusion": few(perturbation.occlusion, patch=2, stride=2),
        "occlusion anew": few(perturbation.occlusion, patch=(3, 2), incremental=False),
        "occlusion by a blur": few(perturbation.occlusion, patch=4, occluder="blur"),
        "rise": few(perturbation.rise, masks=12, cell=2),
    }
    for rule in ("epsilon", "alpha-beta", "gamma"):
        found[f"lrp {rule}"] = few(backprop.lrp, rule=rule)
    return {name: _quiet(method) for name, method in found.items()}


def _expected_gradients(model: Any, images: Any, target: Any, **options: Any) -> Any:
    from xai_utils import gradients

    references = np.linspace(0, 1, 3, dtype=np.float32)[:, None, None, None]
    references = np.broadcast_to(references, (3, *images.shape[1:]))  # the same when mirrored
    return gradients.expected_gradients(
        model, images, target, references=references, samples=4, **options
    )


def _of_both_layers(model: Any, images: Any, target: Any, **options: Any) -> Any:
    from xai_utils import cam

    both = cam.grad_cam_layers(model, images, target, **options)
    return np.concatenate([m.reshape(len(images), -1) for m in both.values()], axis=1)


def _quiet(method: Explain) -> Explain:
    """The method without its warning that a map is zero everywhere, which here is no news."""

    def explain(*arguments: Any, **options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*zero everywhere")
            return method(*arguments, **options)

    return explain


def near(found: Any, expected: Any, *also: Any, tolerance: float = 2e-5) -> None:
    """Equal up to the rounding of float32, measured by the largest number that took part."""
    found, expected = np.asarray(found), np.asarray(expected)
    size = max(float(np.abs(part).max(initial=0)) for part in (found, expected, *also))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * size + 1e-12)
