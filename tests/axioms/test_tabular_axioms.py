"""Closed forms and axioms of the explanations of tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from xai_utils import tabular


def table(columns: int = 3, rows: int = 4000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.uniform(-1, 1, (rows, columns)), columns=list("abcdefg")[:columns])


def linear(frame: pd.DataFrame) -> Any:
    return 5 + 3 * frame["a"] - 2 * frame["b"] + 0 * frame["c"]


# --- coefficients --------------------------------------------------------------------------------


def test_exact_sum_is_found_exactly() -> None:
    frame = table()
    found = tabular.coefficients(frame.assign(y=linear(frame)), "y")
    np.testing.assert_allclose(found["coefficient"], [5, 3, -2, 0], atol=1e-12)
    assert found["standard_error"].max() < 1e-12


def test_units_change_coefficients_but_not_standardised_ones() -> None:
    frame = table().assign(y=lambda f: linear(f) + f["c"] ** 2)
    first = tabular.coefficients(frame, "y")
    other = tabular.coefficients(frame.assign(a=1000 * frame["a"] + 7, y=frame["y"] / 10), "y")
    assert other.loc["a", "coefficient"] == pytest.approx(first.loc["a", "coefficient"] / 10_000)
    np.testing.assert_allclose(other["standardised"], first["standardised"])


def test_one_standardised_feature_is_the_correlation() -> None:
    frame = table(2).assign(b=lambda f: f["a"] + f["b"])
    found = tabular.coefficients(frame, "b")
    assert found.loc["a", "standardised"] == pytest.approx(frame["a"].corr(frame["b"]))


def test_intervals_cover_as_often_as_they_say() -> None:
    rng, hits = np.random.default_rng(0), 0
    for _ in range(300):
        frame = pd.DataFrame({"x": rng.normal(size=8)})
        found = tabular.coefficients(
            frame.assign(y=1 + 2 * frame["x"] + rng.normal(size=8)), "y", level=0.8
        )
        hits += found.loc["x", "low"] < 2 < found.loc["x", "high"]
    assert 0.73 < hits / 300 < 0.87  # three standard deviations


def test_huge_offsets_cost_little_precision() -> None:
    frame = table().assign(a=lambda f: f["a"] + 1e6)
    found = tabular.coefficients(frame.assign(y=linear(frame)), "y")
    np.testing.assert_allclose(found["coefficient"].iloc[1:], [3, -2, 0], atol=1e-8)


# --- accumulated local effects -------------------------------------------------------------------


def test_effect_of_a_linear_model_is_its_slope() -> None:
    frame = table()
    for name, slope in {"a": 3, "b": -2, "c": 0}.items():
        edges, effect, _ = tabular.accumulated_local_effects(linear, frame, name)
        np.testing.assert_allclose(effect, slope * (edges - frame[name].mean()), atol=1e-12)


def test_effect_has_mean_zero_over_the_rows() -> None:
    frame = table()
    edges, effect, _ = tabular.accumulated_local_effects(
        lambda f: np.exp(3 * f["a"]) * (1 + f["b"]), frame, "a"
    )
    assert abs(np.interp(frame["a"], edges, effect).mean()) < 1e-12


def test_effect_of_a_product_of_independent_features_vanishes_with_the_others_mean() -> None:
    frame = table(rows=40_000)  # df/da = b, whose mean is zero in every bin
    _, effect, _ = tabular.accumulated_local_effects(lambda f: f["a"] * f["b"], frame, "a")
    assert np.abs(effect).max() < 0.03


def test_effect_of_a_product_of_correlated_features_is_half_a_square() -> None:
    rng = np.random.default_rng(0)  # E[b | a] = r a, so the effect is r a^2 / 2 - r / 2
    a, noise = rng.normal(size=(2, 40_000))
    frame = pd.DataFrame({"a": a, "b": 0.9 * a + np.sqrt(1 - 0.81) * noise})
    edges, effect, _ = tabular.accumulated_local_effects(
        lambda f: f["a"] * f["b"], frame, "a", bins=50
    )
    inner = np.abs(edges) < 2
    np.testing.assert_allclose(effect[inner], (0.45 * (edges**2 - 1))[inner], atol=0.03)


def test_effects_of_additive_models_add_up() -> None:
    frame = table()
    one, other = (lambda f: np.sin(3 * f["a"])), (lambda f: f["b"] ** 2)
    both = tabular.accumulated_local_effects(lambda f: one(f) + other(f), frame, "a")
    alone = tabular.accumulated_local_effects(one, frame, "a")
    np.testing.assert_allclose(both.effect, alone.effect, atol=1e-12)


def test_effect_does_not_ask_where_there_are_no_data() -> None:
    rng = np.random.default_rng(0)
    a = rng.uniform(size=2000)
    frame = pd.DataFrame({"a": a, "b": a + rng.normal(0, 0.02, 2000)})

    def only_near_the_diagonal(f: pd.DataFrame) -> Any:
        assert (f["a"] - f["b"]).abs().max() < 0.2
        return f["a"] + f["b"]

    tabular.accumulated_local_effects(only_near_the_diagonal, frame, "a", bins=20)


# --- sensitivity ---------------------------------------------------------------------------------


def test_derivatives_of_a_linear_and_a_quadratic_model() -> None:
    frame = table()
    found = tabular.sensitivity_local(linear, frame, 5, step=2.0)
    np.testing.assert_allclose(found["derivative"], [3, -2, 0], atol=1e-12)
    np.testing.assert_allclose(found["per_sd"], found["derivative"] * frame.std(), atol=1e-12)
    square = tabular.sensitivity_local(lambda f: f["a"] ** 2, frame, 5)  # central: exact
    assert square.loc["a", "derivative"] == pytest.approx(2 * frame["a"].iloc[5])


def test_elementary_effects_of_a_linear_model_are_slope_times_range() -> None:
    frame = table()
    found = tabular.elementary_effects(linear, frame, paths=20)
    slopes = np.array([3, -2, 0]) * np.ptp(frame.to_numpy(), axis=0)
    np.testing.assert_allclose(found["mean"], slopes, atol=1e-12)
    np.testing.assert_allclose(found["mean_absolute"], np.abs(slopes), atol=1e-12)
    assert found["deviation"].max() < 1e-12


def test_interaction_shows_in_the_deviation_only() -> None:
    frame = pd.DataFrame({"a": [-1.0, 1.0], "b": [-1.0, 1.0]})
    found = tabular.elementary_effects(lambda f: f["a"] * f["b"], frame, paths=4000)
    assert found["mean"].abs().max() < 0.06
    assert found["mean_absolute"].min() > 1
    assert found["deviation"].min() > 1


def test_paths_stay_inside_the_range_and_move_one_feature_at_a_time() -> None:
    frame, seen = table(), []

    def watched(f: pd.DataFrame) -> Any:
        seen.append(f)
        return f["a"]

    tabular.elementary_effects(watched, frame, paths=30)
    points = seen[0].to_numpy()
    assert (points >= frame.min().to_numpy() - 1e-12).all()
    assert (points <= frame.max().to_numpy() + 1e-12).all()
    moved = np.diff(points.reshape(30, 4, 3), axis=1) != 0
    assert (moved.sum(axis=2) == 1).all()
    assert (moved.sum(axis=1) == 1).all()


def test_shares_of_a_linear_model_are_its_variances() -> None:
    found = tabular.sobol_indices(linear, table(), samples=4096)
    np.testing.assert_allclose(found["first"], [9 / 13, 4 / 13, 0], atol=0.02)
    np.testing.assert_allclose(found["total"], [9 / 13, 4 / 13, 0], atol=0.02)


# --- surrogates ----------------------------------------------------------------------------------


def test_a_tree_imitates_a_tree_and_a_constant_is_chance() -> None:
    frame = table()
    said = tabular.surrogate_tree(lambda f: np.where(f["a"] > 0.5, "yes", "no"), frame, depth=1)
    assert said.fidelity > 0.999
    assert said.chance == pytest.approx(0.75, abs=0.03)
    step = tabular.surrogate_tree(lambda f: (f["a"] > 0.5) * 2.5, frame, depth=1)
    assert step.fidelity > 0.99
    assert step.chance == pytest.approx(0, abs=0.01)


def test_fidelity_is_measured_on_rows_that_the_tree_has_not_seen() -> None:
    frame = table()
    by_lot = dict(
        zip(frame["a"], np.random.default_rng(1).integers(2, size=len(frame)), strict=True)
    )
    said = tabular.surrogate_tree(lambda f: f["a"].map(by_lot), frame, depth=40)
    assert abs(said.fidelity - 0.5) < 0.05  # learnt by heart it would be 1
    assert said.tree.get_depth() > 5


def test_deeper_trees_imitate_better() -> None:
    fidelity = [
        tabular.surrogate_tree(lambda f: np.sin(4 * f["a"]), table(), depth=d).fidelity
        for d in (1, 2, 4, 8)
    ]
    assert (np.diff(fidelity) > 0).all()
