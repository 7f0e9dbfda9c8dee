"""The four axioms on games that hypothesis makes up, and the closed forms that follow from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xai_utils.shapley import interventional_value, kernel_shap, shapley_exact

METHODS = pytest.mark.parametrize("method", [shapley_exact, kernel_shap])
numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
values = st.integers(1, 6).flatmap(lambda n: arrays(float, 2**n, elements=numbers))


def of(v: np.ndarray) -> Any:
    """The game whose coalitions, read as binary codes, are worth ``v``."""
    return lambda coalition: v[int(coalition @ (1 << np.arange(players(v))))]


def players(v: np.ndarray) -> int:
    return int(math.log2(len(v)))


def near(found: Any, expected: Any, *games: np.ndarray) -> None:
    scale = max(np.abs(v).max() for v in games)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * scale)


@METHODS
@given(v=values)
def test_efficiency(method: Any, v: np.ndarray) -> None:
    near(method(of(v), players(v)).sum(), v[-1] - v[0], v)


@METHODS
@given(data=st.data())
def test_symmetry(method: Any, data: Any) -> None:
    v = data.draw(values.filter(lambda v: len(v) > 2))
    i, j = data.draw(st.permutations(range(players(v))))[:2]
    for code in range(len(v)):  # with i but not j counts as much as with j but not i
        if code >> i & 1 and not code >> j & 1:
            v[code] = v[code - 2**i + 2**j]
    shares = method(of(v), players(v))
    near(shares[i], shares[j], v)


@METHODS
@given(data=st.data(), always=numbers)
def test_dummy(method: Any, data: Any, always: float) -> None:
    v = data.draw(values)
    i = data.draw(st.integers(0, players(v) - 1))
    for code in range(len(v)):  # i adds the same to every coalition
        if code >> i & 1:
            v[code] = v[code - 2**i] + always
    near(method(of(v), players(v))[i], always, v, np.array([always]))


@METHODS
@given(data=st.data(), factor=st.floats(-10, 10))
def test_linearity(method: Any, data: Any, factor: float) -> None:
    v = data.draw(values)
    w = data.draw(arrays(float, len(v), elements=numbers))
    n = players(v)
    both = method(of(factor * v + w), n)
    near(both, factor * method(of(v), n) + method(of(w), n), 10 * v, w)


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
