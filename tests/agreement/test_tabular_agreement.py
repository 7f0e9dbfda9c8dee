"""The same numbers as scikit-learn, as textbook formulas written differently, as closed forms."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xai_utils import datasets, tabular


@pytest.fixture(scope="module")
def houses() -> datasets.Table:
    return datasets.simulated_houses(300)


def test_coefficients_agree_with_scikit_learn(houses: datasets.Table) -> None:
    from sklearn.linear_model import LinearRegression

    x, y = houses.frame.drop(columns="price"), houses.frame["price"]
    model = LinearRegression().fit(x, y)
    found = tabular.coefficients(houses.frame, "price")["coefficient"]
    np.testing.assert_allclose(found, [model.intercept_, *model.coef_], rtol=1e-9)


def test_standard_errors_agree_with_the_textbook(houses: datasets.Table) -> None:
    from scipy import stats

    x = np.column_stack([np.ones(300), houses.frame.drop(columns="price").to_numpy(np.float64)])
    y = houses.frame["price"].to_numpy(np.float64)
    normal = np.linalg.inv(x.T @ x)
    residual = y - x @ normal @ x.T @ y
    error = np.sqrt(np.diag(normal) * (residual @ residual) / (300 - 6))
    found = tabular.coefficients(houses.frame, "price", level=0.9)
    np.testing.assert_allclose(found["standard_error"], error, rtol=1e-8)
    t = stats.t(300 - 6).isf(0.05)
    np.testing.assert_allclose(found["high"] - found["low"], 2 * t * error, rtol=1e-8)


def test_one_feature_agrees_with_scipy(houses: datasets.Table) -> None:
    from scipy import stats

    pair = houses.frame[["square_metres", "price"]]
    line = stats.linregress(pair["square_metres"], pair["price"])
    found = tabular.coefficients(pair, "price")
    np.testing.assert_allclose(found["coefficient"], [line.intercept, line.slope], rtol=1e-9)
    np.testing.assert_allclose(
        found["standard_error"], [line.intercept_stderr, line.stderr], rtol=1e-9
    )


def test_effect_agrees_with_a_loop_over_rows_and_bins() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.gamma(2, size=(301, 2)).round(1), columns=["a", "b"])

    def model(f: pd.DataFrame) -> Any:
        return f["a"] ** 2 * np.log1p(f["b"])

    edges, effect, counts = tabular.accumulated_local_effects(model, frame, "a", bins=9)
    total, expected = 0.0, [0.0]
    for k, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = [
            row for row in frame.itertuples() if low < row.a <= high or (k == 0 and row.a == low)
        ]
        assert len(inside) == counts[k]
        total += sum((high**2 - low**2) * np.log1p(row.b) for row in inside) / len(inside)
        expected.append(total)
    np.testing.assert_allclose(effect - effect[0], expected, rtol=1e-10)


def test_partial_dependence_of_an_additive_model_is_the_effect_up_to_a_constant() -> None:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.inspection import partial_dependence

    class Additive(RegressorMixin, BaseEstimator):  # type: ignore[misc]
        def fit(self, x: Any, y: Any) -> Additive:
            self.fitted_ = True
            return self

        def predict(self, frame: pd.DataFrame) -> Any:
            return np.sin(frame["a"].to_numpy()) + frame["b"].to_numpy() ** 2

    rng = np.random.default_rng(0)
    a = rng.normal(size=500)
    frame = pd.DataFrame({"a": a, "b": a + 0.1 * rng.normal(size=500)})
    model = Additive().fit(frame, a)
    edges, effect, _ = tabular.accumulated_local_effects(model, frame, "a")
    known = partial_dependence(model, frame, ["a"], custom_values={"a": edges}, kind="average")
    gap = known["average"][0] - effect
    assert np.ptp(gap) < 1e-10


def test_where_partial_dependence_is_wrong_the_effect_is_right() -> None:
    """Apley & Zhu's argument: a tree extrapolates into the corners that hold no data.

    With y = a + b^2 and b close to a, the true effect of a is its slope of 1.
    """
    from sklearn.inspection import partial_dependence
    from sklearn.tree import DecisionTreeRegressor

    off = {"ale": [], "pdp": []}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        u = rng.uniform(size=200)
        frame = pd.DataFrame(u[:, None] + rng.normal(0, 0.05, (200, 2)), columns=["a", "b"])
        y = frame["a"] + frame["b"] ** 2 + rng.normal(0, 0.1, 200)
        tree = DecisionTreeRegressor(max_leaf_nodes=100, random_state=0).fit(frame, y)
        edges, effect, _ = tabular.accumulated_local_effects(tree, frame, "b", bins=10)
        known = partial_dependence(tree, frame, ["b"], custom_values={"b": edges}, kind="average")
        truth = edges**2
        for name, curve in {"ale": effect, "pdp": known["average"][0]}.items():
            difference = curve - truth
            off[name].append(np.std(difference))
    assert np.mean(off["ale"]) < 0.75 * np.mean(off["pdp"])


def test_sobol_indices_of_the_ishigami_function() -> None:
    """f = sin a + 7 sin^2 b + 0.1 c^4 sin a on [-pi, pi]^3 (Ishigami & Homma 1990)."""
    grid = (np.arange(10_000) + 0.5) / 10_000 * 2 * np.pi - np.pi
    frame = pd.DataFrame({"a": grid, "b": grid, "c": grid})

    def ishigami(f: pd.DataFrame) -> Any:
        return np.sin(f["a"]) + 7 * np.sin(f["b"]) ** 2 + 0.1 * f["c"] ** 4 * np.sin(f["a"])

    pi4 = 0.1 * np.pi**4
    alone_a, alone_b = 0.5 * (1 + pi4 / 5) ** 2, 7**2 / 8
    together = pi4**2 * (1 / 18 - 1 / 50)
    variance = alone_a + alone_b + together
    found = tabular.sobol_indices(ishigami, frame, samples=4096)
    first, total = [alone_a, alone_b, 0], [alone_a + together, alone_b, together]
    np.testing.assert_allclose(found["first"], np.array(first) / variance, atol=0.02)
    np.testing.assert_allclose(found["total"], np.array(total) / variance, atol=0.02)
