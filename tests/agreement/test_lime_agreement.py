"""LIME against closed forms and against its twenty lines written anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from xai_utils.local_surrogates import lime_image, lime_table

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(500, 4)) * [1, 5, 0.2, 3] + [0, 9, 1, -2], columns=list("abcd"))
SLOPE = np.array([0.5, -0.1, 2.0, 0.0])


def linear(frame: pd.DataFrame) -> Any:
    return frame.to_numpy() @ SLOPE + 7


def curved(frame: pd.DataFrame) -> Any:
    z = frame.to_numpy()
    return np.sin(z[:, 0]) + z[:, 1] * z[:, 2] / 5 + z[:, 3] ** 2 / 10


@pytest.mark.parametrize("around", ["row", "background"])
def test_a_weighted_sum_gives_slope_times_deviation(around: Any) -> None:
    for seed in range(3):
        found = lime_table(linear, X[3:4], X, samples=5000, around=around, seed=seed)
        sigma = X.std(ddof=0)
        np.testing.assert_allclose(found.weights, SLOPE * sigma, atol=1e-3)
        assert found.r2 > 0.9999
        assert found.prediction == pytest.approx(linear(X[3:4])[0], abs=5e-3)


def test_quarters_do_not() -> None:
    found = lime_table(linear, X[3:4], X, samples=5000, discretise=True)
    assert np.abs(found.weights - SLOPE * X.std(ddof=0)).max() > 0.1


@pytest.mark.parametrize("width", [0.4, 1.5, 5.0])
@pytest.mark.parametrize("around", ["row", "background"])
def test_twenty_lines(width: float, around: Any) -> None:
    x, train = X.iloc[7].to_numpy(), X.to_numpy()
    mean, sd = train.mean(axis=0), train.std(axis=0)
    normal = np.random.RandomState(11).normal(0, 1, 300 * 4).reshape(300, 4)
    z = normal * sd + (x if around == "row" else mean)
    z[0] = x
    distance = np.linalg.norm((z - x) / sd, axis=1)
    near = np.sqrt(np.exp(-(distance**2) / width**2))
    y = curved(pd.DataFrame(z, columns=X.columns))
    a = np.column_stack([np.ones(300), (z - mean) / sd])
    # Ridge that does not shrink the intercept, by its normal equations.
    penalty = np.diag([0.0, 1, 1, 1, 1])
    expected = np.linalg.solve((a.T * near) @ a + penalty, (a.T * near) @ y)[1:]
    found = lime_table(curved, X[7:8], X, samples=300, kernel_width=width, around=around, seed=11)
    np.testing.assert_allclose(found.weights, expected, atol=1e-8)


def test_twenty_lines_for_images() -> None:
    image = RNG.random((1, 8, 8, 1)).astype(np.float32)
    cut = np.add.outer(2 * (np.arange(8) > 3), np.arange(8) > 3)

    def model(images: np.ndarray) -> np.ndarray:
        return np.stack([images[:, :4].max(axis=(1, 2, 3)), images.std(axis=(1, 2, 3))], axis=1)

    state = np.random.RandomState(5)
    state.randint(0, 1000)  # lime draws a seed for its segmentation first
    z = state.randint(0, 2, 100 * 4).reshape(100, 4)
    z[0] = 1
    mean = np.array([image[0][cut == k].mean() for k in range(4)])
    hidden = np.where(z[:, cut, None] == 1, image, mean[cut][None, ..., None]).astype(np.float32)
    share = np.where(z.any(axis=1), np.sqrt(z.mean(axis=1)), 0)  # cosine with all ones
    near = np.sqrt(np.exp(-((1 - share) ** 2) / 0.25**2))
    fit = Ridge(1).fit(z, model(hidden)[:, 1], sample_weight=near)
    found = lime_image(model, image, 1, segments=cut, samples=100, seed=5)
    np.testing.assert_allclose(found.heat[0], fit.coef_[cut], atol=1e-5)
    assert found.r2[0] == pytest.approx(fit.score(z, model(hidden)[:, 1], sample_weight=near))


def test_spread_falls_as_the_root_of_the_samples() -> None:
    few, many = (lime_table(curved, X[:1], X, samples=n, seeds=20).spread for n in (250, 4000))
    assert 2.5 < (few / many).median() < 6.5  # 4, but for the ridge and 20 seeds
