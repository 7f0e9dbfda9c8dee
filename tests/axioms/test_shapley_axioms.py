"""The four axioms on random games, and the closed forms that follow from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xai_utils.shapley import interventional_value, kernel_shap, shapley_exact

METHODS = [shapley_exact, kernel_shap]
SEEDS = range(40)


def game(seed: int, n: int | None = None) -> tuple[Any, int, np.ndarray]:
    """A random game as a function, its number of players, and its values by binary code."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7)) if n is None else n
    v = rng.normal(size=2**n) * 10.0 ** rng.integers(-3, 4)
    return of(v), n, v


def of(v: np.ndarray) -> Any:
    n = int(math.log2(len(v)))
    return lambda coalition: v[int(coalition @ (1 << np.arange(n)))]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", SEEDS)
def test_efficiency(method: Any, seed: int) -> None:
    value, n, v = game(seed)
    assert method(value, n).sum() == pytest.approx(v[-1] - v[0], abs=1e-9 * np.abs(v).max())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", SEEDS)
def test_symmetry(method: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    i, j = rng.choice(n, 2, replace=False)
    v = rng.normal(size=2**n)
    for code in range(2**n):  # with i but not j counts as much as with j but not i
        if code >> i & 1 and not code >> j & 1:
            v[code] = v[code - 2**i + 2**j]
    shares = method(of(v), n)
    assert shares[i] == pytest.approx(shares[j], abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", SEEDS)
def test_dummy(method: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    i, always = int(rng.integers(n)), rng.normal()
    v = rng.normal(size=2**n)
    for code in range(2**n):  # i adds the same to every coalition
        if code >> i & 1:
            v[code] = v[code - 2**i] + always
    assert method(of(v), n)[i] == pytest.approx(always, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", SEEDS)
def test_additivity(method: Any, seed: int) -> None:
    one, n, v = game(seed)
    two, _, w = game(seed + 1000, n)
    both = method(of(2 * v + w), n)
    scale = max(np.abs(v).max(), np.abs(w).max())
    np.testing.assert_allclose(both, 2 * method(one, n) + method(two, n), atol=1e-8 * scale)


def test_games_whose_shares_are_known() -> None:
    # A glove game: one left glove, two right ones; a pair is worth 1 (Shapley: 2/3, 1/6, 1/6).
    gloves = shapley_exact(lambda s: float(s[0] and s[1:].any()), 3)
    np.testing.assert_allclose(gloves, [2 / 3, 1 / 6, 1 / 6])
    # A runway for planes of lengths 1, 3, 4: each metre is paid by those who need it.
    runway = shapley_exact(lambda s: max(np.array([1, 3, 4]) * s), 3)
    np.testing.assert_allclose(runway, [1 / 3, 1 / 3 + 1, 1 / 3 + 1 + 1])
    # Unanimity among some: they share, the others get nothing.
    some = np.array([True, False, True, True, False])
    unanimous = shapley_exact(lambda s: float(s[some].all()), 5)
    np.testing.assert_allclose(unanimous, some / 3)


@pytest.mark.parametrize("seed", range(10))
def test_a_weighted_sum_gives_weight_times_distance_from_the_mean(seed: int) -> None:
    rng = np.random.default_rng(seed)
    w = rng.normal(size=5)
    rows = pd.DataFrame(rng.normal(size=(30, 5)) @ rng.normal(size=(5, 5)), columns=list("abcde"))
    value = interventional_value(lambda frame: frame.to_numpy() @ w + 3, rows[:1], rows[5:])
    expected = w * (rows.iloc[0] - rows[5:].mean()).to_numpy()
    np.testing.assert_allclose(shapley_exact(value, 5), expected, atol=1e-12)
    np.testing.assert_allclose(kernel_shap(value, 5), expected, atol=1e-12)


def test_a_feature_that_the_model_does_not_read_gets_nothing() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=50)
    rows = pd.DataFrame({"a": a, "copy of a": a + 0.01 * rng.normal(size=50)})
    value = interventional_value(lambda frame: frame["a"] ** 2, rows[:1], rows)
    assert shapley_exact(value, 2)[1] == 0


def test_a_product_is_shared_by_halves_of_both_orders() -> None:
    # f = x y, background (0, 0) and (2, 4): v(x) = x mean y, v(y) = y mean x.
    background = pd.DataFrame({"x": [0.0, 2.0], "y": [0.0, 4.0]})
    row = pd.DataFrame({"x": [3.0], "y": [5.0]})
    value = interventional_value(lambda frame: frame["x"] * frame["y"], row, background)
    nobody, x, y, both = (0 + 8) / 2, 3 * 2, 5 * 1, 15
    expected = [(x - nobody + both - y) / 2, (y - nobody + both - x) / 2]
    np.testing.assert_allclose(shapley_exact(value, 2), expected)
