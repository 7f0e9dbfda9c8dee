"""Shapley values: what is asked, sampling, errors, and a quiet wrapper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from xai_utils import _shap_package, scores
from xai_utils.shapley import (
    coalitions,
    deep_shap,
    interventional_value,
    kernel_shap,
    shapley_exact,
    tree_shap,
)

ROWS = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)), columns=["a", "b", "c"])


def linear(frame: pd.DataFrame) -> Any:
    return frame["a"] - 2 * frame["b"]


# --- games ---------------------------------------------------------------------------------------


def test_every_coalition_once() -> None:
    every = coalitions(3)
    assert (every.shape, every.dtype) == ((8, 3), bool)
    assert not every[0].any() and every[-1].all()
    assert len(np.unique(every, axis=0)) == 8


@pytest.mark.parametrize("method", [shapley_exact, kernel_shap])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_each_coalition_is_asked_once(method: Any, n: int) -> None:
    asked = []

    def value(coalition: np.ndarray) -> float:
        assert (coalition.shape, coalition.dtype) == ((n,), bool)
        asked.append(tuple(coalition))
        coalition[:] = True  # whoever is asked may use the mask as they like
        return float(len(asked))

    shares = method(value, n)
    assert (shares.shape, shares.dtype) == ((n,), np.float64)
    assert len(asked) == len(set(asked)) == 2**n


def test_too_many_players_say_what_they_would_cost() -> None:
    for method in (shapley_exact, kernel_shap):
        with pytest.raises(ValueError, match=r"20 players have 1,048,576 .*samples"):
            method(lambda s: 0.0, 20)


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "3"])
def test_players_are_counted(n: Any) -> None:
    for method in (shapley_exact, kernel_shap):
        with pytest.raises(ValueError, match="n_players"):
            method(lambda s: 0.0, n)


@pytest.mark.parametrize("bad", [np.nan, np.inf, [1.0, 2.0], "much", None])
def test_a_value_is_one_finite_number(bad: Any) -> None:
    for method in (shapley_exact, kernel_shap):
        with pytest.raises(ValueError, match=r"coalition \[0, 1\].*one finite number"):
            method(lambda s: bad if s.tolist() == [True, True, False] else 0.0, 3)


# --- sampling ------------------------------------------------------------------------------------


def uneven(s: np.ndarray) -> float:
    return float((s @ np.arange(1, 13)) ** 1.5 + 30 * (s[0] and s[5]))


def test_sampling_repeats_and_closes_in_on_the_exact_shares() -> None:
    exact = shapley_exact(uneven, 12)
    few, many = (
        [np.abs(kernel_shap(uneven, 12, samples=n, seed=k) - exact).max() for k in range(8)]
        for n in (100, 1600)
    )
    assert np.mean(many) < 0.5 * np.mean(few)
    one, again, other = (kernel_shap(uneven, 12, samples=100, seed=k) for k in (0, 0, 1))
    assert (one == again).all() and (one != other).any()
    assert one.sum() == pytest.approx(exact.sum())  # whatever was drawn


def test_sampling_without_bias() -> None:
    exact = shapley_exact(uneven, 12)
    runs = np.stack([kernel_shap(uneven, 12, samples=200, seed=k) for k in range(60)])
    error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    assert (np.abs(runs.mean(axis=0) - exact) < 4 * error + 0.02).all()


def test_samples_are_what_is_asked_at_most() -> None:
    asked: list[Any] = []
    kernel_shap(lambda s: float(asked.append(s) or s.sum()), 30, samples=150)
    assert len(asked) <= 150 + 2
    there = {tuple(s.tolist()) for s in asked}
    assert all(tuple(not player for player in s) in there for s in there)  # with its complement


def test_as_many_samples_as_coalitions_are_all_of_them() -> None:
    value = lambda s: float(s @ [1, 2, 3] + 4 * (s[0] and s[1]))  # noqa: E731
    assert (kernel_shap(value, 3, samples=6) == kernel_shap(value, 3)).all()


def test_too_few_samples() -> None:
    with pytest.raises(ValueError, match="10 samples cannot tell 30 players apart"):
        kernel_shap(lambda s: float(s.sum()), 30, samples=10)
    with pytest.raises(ValueError, match="samples 0"):
        kernel_shap(lambda s: float(s.sum()), 3, samples=0)


# --- the interventional game ---------------------------------------------------------------------


def test_the_value_of_nobody_and_of_all() -> None:
    value = interventional_value(linear, ROWS[:1], ROWS[1:])
    assert value(np.zeros(3, bool)) == pytest.approx(linear(ROWS[1:]).mean())
    assert value(np.ones(3, bool)) == pytest.approx(linear(ROWS[:1]).iloc[0])
    before = ROWS.copy()
    value(np.array([True, False, True]))
    assert before.equals(ROWS)


def test_wrong_rows() -> None:
    with pytest.raises(ValueError, match="row has 2 rows; expected one"):
        interventional_value(linear, ROWS[:2], ROWS)
    with pytest.raises(ValueError, match="same in the same order"):
        interventional_value(linear, ROWS[["b", "a", "c"]][:1], ROWS)
    with pytest.raises(TypeError, match="DataFrame"):
        interventional_value(linear, ROWS.to_numpy()[:1], ROWS)
    with pytest.raises(TypeError, match="predict"):
        interventional_value("model", ROWS[:1], ROWS)
    holes = ROWS.copy()
    holes.iloc[3, 1] = np.nan
    with pytest.raises(ValueError, match="'b' lacks 1 of 40"):
        interventional_value(linear, ROWS[:1], holes)


# --- the package shap ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(8, max_depth=3, random_state=0).fit(ROWS, linear(ROWS) > 0)


def test_trees_are_quiet_and_leave_random_states_alone(
    forest: Any, capfd: Any, recwarn: Any
) -> None:
    np.random.seed(3)
    expected = np.random.default_rng(0), np.random.get_state()[1].copy()
    shares = tree_shap(forest, ROWS[:5], ROWS)
    assert (shares.values.shape, shares.base.shape) == ((5, 3), ())
    assert shares.residual < 1e-6
    assert (np.random.get_state()[1] == expected[1]).all()
    assert capfd.readouterr() == ("", "") and not list(recwarn)


def test_trees_use_the_whole_background(forest: Any) -> None:
    many = pd.concat([ROWS] * 4, ignore_index=True)  # 160 rows; shap would take 100 of them
    np.testing.assert_allclose(
        tree_shap(forest, ROWS[:3], many).values, tree_shap(forest, ROWS[:3], ROWS).values
    )


def test_trees_of_three_classes_and_other_columns(forest: Any) -> None:
    from sklearn.tree import DecisionTreeClassifier

    three = DecisionTreeClassifier(random_state=0).fit(ROWS, np.arange(40) % 3)
    with pytest.raises(ValueError, match="3 classes"):
        tree_shap(three, ROWS[:2], ROWS)
    with pytest.raises(ValueError, match="same in the same order"):
        tree_shap(forest, ROWS[["a"]], ROWS)


def test_shares_that_do_not_sum_up_are_an_error() -> None:
    values, wanted = np.ones((2, 3)), np.array([3.0, 4.0])
    assert _shap_package.shares(values, 0.0, np.array([3.0, 3.0])).residual == 0
    with pytest.raises(ValueError, match=r"miss the model's output by 1 of 4"):
        _shap_package.shares(values, 0.0, wanted)
    with pytest.raises(ValueError, match="miss"):
        _shap_package.shares(values * np.nan, 0.0, wanted)


def test_deep_is_quiet_and_leaves_the_model_alone(
    flat: Any, images: np.ndarray, capfd: Any, recwarn: Any
) -> None:
    nodes = [len(layer._inbound_nodes) for layer in flat.layers]
    before = flat.predict(images, verbose=0)
    capfd.readouterr()
    for _ in range(2):  # TensorFlow warns of the fifth function that is traced
        shares = deep_shap(flat, images[:2], images[2:])
    assert (shares.values.shape, shares.base.shape) == ((2, *images.shape[1:], 3), (3,))
    assert shares.residual < 1e-5
    assert nodes == [len(layer._inbound_nodes) for layer in flat.layers]
    assert (before == flat.predict(images, verbose=0)).all()
    assert capfd.readouterr() == ("", "") and not list(recwarn)


def test_deep_of_some_classes_is_a_part_of_all(flat: Any, images: np.ndarray) -> None:
    whole = deep_shap(flat, images[:2], images[2:])
    some = deep_shap(flat, images[:2], images[2:], classes=[2, 0])
    np.testing.assert_allclose(some.values, whole.values[..., [2, 0]], atol=1e-7)
    np.testing.assert_allclose(some.base, whole.base[[2, 0]], atol=1e-7)
    with pytest.raises(ValueError, match=r"\[3\] out of range: the model has 3"):
        deep_shap(flat, images[:1], images, classes=[3])


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("end", ["logits", "dense activation", "softmax layer", "one output"])
def test_deep_shares_sum_up_however_the_network_ends(
    end: str, score: Any, images: np.ndarray
) -> None:
    from networks import flat_layers, functional, layers, seeded

    parts = flat_layers("logits" if end == "one output" else end)
    if end == "one output":
        parts[-1] = layers.Dense(1, activation="sigmoid", name="logits")
    model = seeded(functional(parts))
    found = deep_shap(model, images[:2], images[2:], score=score)
    z = scores.logits(model, images)
    if score == "probability" and end == "one output":
        z = 1 / (1 + np.exp(-z))
    elif score == "probability":
        z = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.base, z[2:].mean(axis=0), atol=1e-5)
    total = found.base + found.values.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(total, z[:2], atol=1e-4)


def test_deep_scores(flat: Any, images: np.ndarray) -> None:
    shares = deep_shap(flat, images[:1], images[1:], score="probability")
    p = flat.predict(images, verbose=0)
    np.testing.assert_allclose(shares.base, p[1:].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(shares.values.sum(axis=(1, 2, 3))[0], p[0] - shares.base, atol=1e-5)
    with pytest.raises(ValueError, match="score"):
        deep_shap(flat, images[:1], images, score="loss")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected"):
        deep_shap(flat, images[0], images)
    with pytest.raises(ValueError, match="this model expects"):
        deep_shap(flat, images[:1], images[:, :4])
