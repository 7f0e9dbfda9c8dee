"""The path methods by NumPy in float64, in loops over images and samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numpy_network as nn
from networks import FORMS, flat_layers, functional, reloaded, seeded
from xai_utils.gradients import (
    expected_gradients,
    input_x_gradient,
    integrated_gradients,
    smooth_grad,
)

CLASSES = range(3)
REFERENCES = np.random.default_rng(3).random((3, 8, 8, 1), dtype=np.float32)


@pytest.fixture(scope="module", params=["flat", "gap"])
def network(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def gradient(model: Any, x: np.ndarray, target: int) -> np.ndarray:
    """df(x) of one image."""
    run = nn.forward(model, x[None])
    return nn.backward(model, run, np.eye(3)[[target]])["image"][0]


@pytest.mark.parametrize("target", CLASSES)
def test_input_x_gradient(target: int, network: Any, images: np.ndarray) -> None:
    expected = [x * gradient(network, x, target) for x in images.astype(np.float64)]
    np.testing.assert_allclose(input_x_gradient(network, images, target), expected, atol=1e-6)


@pytest.mark.parametrize("target", CLASSES)
def test_integrated_gradients_by_the_midpoints(
    target: int, network: Any, images: np.ndarray
) -> None:
    start = images[::-1].astype(np.float64) * 0.5
    expected = []
    for x, b in zip(images.astype(np.float64), start, strict=True):
        total = np.zeros_like(x)
        for k in range(7):
            total += gradient(network, b + (k + 0.5) / 7 * (x - b), target)
        expected.append((x - b) * total / 7)
    result = integrated_gradients(network, images, target, baseline=start, steps=7)
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("quadrature", ["trapezoid", "gauss-legendre"])
def test_integrated_gradients_by_other_rules(
    quadrature: Any, network: Any, images: np.ndarray
) -> None:
    five = {
        "trapezoid": ([0, 0.25, 0.5, 0.75, 1], [1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8]),
        # Abramowitz & Stegun 1964, table 25.4, n = 5, moved from [-1, 1] to [0, 1]
        "gauss-legendre": (
            (
                np.array(
                    [
                        -0.906179845938664,
                        -0.538469310105683,
                        0,
                        0.538469310105683,
                        0.906179845938664,
                    ]
                )
                + 1
            )
            / 2,
            np.array(
                [
                    0.236926885056189,
                    0.478628670499366,
                    0.568888888888889,
                    0.478628670499366,
                    0.236926885056189,
                ]
            )
            / 2,
        ),
    }[quadrature]
    expected = [
        x * sum(w * gradient(network, a * x, 1) for a, w in zip(*five, strict=True))
        for x in images.astype(np.float64)
    ]
    result = integrated_gradients(network, images, 1, steps=5, quadrature=quadrature)
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_smooth_grad(network: Any, images: np.ndarray) -> None:
    expected = []
    stream = np.random.default_rng(9)  # the documented noise: image after image, copy after copy
    for x in images:
        total = np.zeros(x.shape)
        for _ in range(4):
            e = stream.standard_normal(x.shape, np.float32)
            total += gradient(network, x + 0.2 * (x.max() - x.min()) * e, 2)
        expected.append(total / 4)
    result = smooth_grad(network, images, 2, samples=4, noise=0.2, seed=9)
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_expected_gradients_by_all_pairs(network: Any, images: np.ndarray) -> None:
    # The double mean over references and the way, by many points on each way.
    expected = []
    for x in images[:2].astype(np.float64):
        ways = [
            (x - b)
            * np.mean(
                [gradient(network, b + a * (x - b), 0) for a in (np.arange(40) + 0.5) / 40], axis=0
            )
            for b in REFERENCES.astype(np.float64)
        ]
        expected.append(np.mean(ways, axis=0))
    result = expected_gradients(network, images[:2], 0, references=REFERENCES, samples=6000)
    assert np.abs(expected).max() > 0.02
    np.testing.assert_allclose(result, expected, atol=0.05 * np.abs(expected).max())


@pytest.mark.parametrize("end", ["logits", "dense activation", "softmax layer"])
@pytest.mark.parametrize("form", [*FORMS, "reloaded"])
def test_every_form_and_end_gives_the_same_numbers(
    form: str, end: str, flat: Any, images: np.ndarray, tmp_path: Path
) -> None:
    model = seeded(FORMS.get(form, functional)(flat_layers(end)))
    if form == "reloaded":
        model = reloaded(model, tmp_path)
    for method, options in (
        (input_x_gradient, {}),
        (smooth_grad, {"samples": 3}),
        (integrated_gradients, {"steps": 3}),
        (expected_gradients, {"references": REFERENCES, "samples": 3}),
    ):
        expected = method(flat, images, 0, **options)  # the functional one with a softmax layer
        result = method(model, images, 0, **options)
        np.testing.assert_allclose(result, expected, atol=2e-6, err_msg=method.__name__)
