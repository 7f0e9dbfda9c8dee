"""Prototypes and criticisms: known cases, an independent implementation, wrong input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xai_utils import prototypes
from xai_utils.prototypes import median_gamma, prototypes_and_criticisms, rbf_kernel


def table(n: int = 40, d: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def clusters(sizes: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Groups far apart on a line, shuffled, and the group of each row."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return 20.0 * group[:, None] + rng.normal(size=(len(group), 2)), group


# --- against the definition, written out with the whole matrix ------------------------------------


def naive(
    x: np.ndarray, m: int, c: int, gamma: float, regularised: bool
) -> tuple[list[int], list[int], list[float]]:
    from sklearn.metrics.pairwise import rbf_kernel as sklearn_kernel

    kernel = sklearn_kernel(x, gamma=gamma)

    def discrepancy(s: list[int]) -> float:
        return float(
            kernel.mean() - 2 * kernel[:, s].mean() + kernel[np.ix_(s, s)].mean()
        )  # MMD^2 of all rows and s

    def criticism(s: list[int]) -> float:
        witness = kernel.mean(axis=1) - kernel[:, chosen].mean(axis=1)
        total = float(np.abs(witness[s]).sum())
        return total + (np.linalg.slogdet(kernel[np.ix_(s, s)])[1] if regularised else 0.0)

    chosen: list[int] = []
    values = []
    for _ in range(m):
        free = [u for u in range(len(x)) if u not in chosen]
        chosen.append(min(free, key=lambda u: discrepancy([*chosen, u])))
        values.append(float(kernel.mean() - discrepancy(chosen)))
    critics: list[int] = []
    for _ in range(c):
        free = [u for u in range(len(x)) if u not in chosen + critics]
        critics.append(max(free, key=lambda u: criticism([*critics, u])))
    return chosen, critics, values


@pytest.mark.parametrize("regularised", [True, False])
@pytest.mark.parametrize("gamma", [0.05, 0.4, 3.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_equal_to_the_definition(seed: int, gamma: float, regularised: bool) -> None:
    x = table(seed=seed) + 100  # an offset changes nothing
    expected = naive(x, 7, 5, gamma, regularised)
    found = prototypes_and_criticisms(x, 7, 5, gamma=gamma, regularised=regularised)
    assert found.prototypes.tolist() == expected[0]
    assert found.criticisms.tolist() == expected[1]
    np.testing.assert_allclose(found.objective, expected[2], atol=1e-12)


def test_the_kernel_is_that_of_scikit_learn() -> None:
    from sklearn.metrics.pairwise import rbf_kernel as sklearn_kernel

    a, b = table(8) + 1e4, table(5, seed=1) + 1e4
    np.testing.assert_allclose(rbf_kernel(a, b, 0.7), sklearn_kernel(a, b, gamma=0.7), rtol=1e-6)


def test_a_large_offset_does_not_round_the_distance_away() -> None:
    a, b = table(8), table(5, seed=1)
    exact = np.exp(-0.7 * ((a[:, None] - b) ** 2).sum(axis=2))
    np.testing.assert_allclose(rbf_kernel(a + 1e7, b + 1e7, 0.7), exact, rtol=1e-5)


def test_the_default_gamma_is_one_over_the_median_squared_distance() -> None:
    x = np.array([[0.0], [1.0], [3.0]])  # squared distances 1, 4, 9
    assert median_gamma(x) == pytest.approx(1 / 4)
    a = prototypes_and_criticisms(x, 2, 1)
    b = prototypes_and_criticisms(x, 2, 1, gamma=1 / 4)
    np.testing.assert_array_equal(a.objective, b.objective)


def test_equal_rows_do_not_count_for_the_default_gamma() -> None:
    x = np.repeat([[0.0], [1.0], [3.0]], 50, axis=0)
    assert median_gamma(x) == pytest.approx(1 / 4)


def test_the_default_gamma_knows_no_unit() -> None:
    for scale in (1e-9, 1e9):
        assert median_gamma(scale * table()) * scale**2 == pytest.approx(median_gamma(table()))


# --- known cases ----------------------------------------------------------------------------------


def test_clusters_far_apart_get_one_prototype_each() -> None:
    x, group = clusters((30, 30, 30, 30))
    found = prototypes_and_criticisms(x, 4, 0, gamma=0.2)
    assert sorted(group[found.prototypes]) == [0, 1, 2, 3]


def test_a_larger_cluster_comes_first_and_gets_more() -> None:
    x, group = clusters((60, 20))
    found = prototypes_and_criticisms(x, 4, 0, gamma=0.2)
    assert group[found.prototypes[0]] == 0
    assert (group[found.prototypes] == 0).sum() == 3


def test_the_first_prototype_is_where_the_rows_are_densest() -> None:
    x = np.array([[0.0], [1.0], [2.0], [3.0], [9.0]])
    kernel = np.exp(-0.5 * (x - x.T) ** 2)
    assert prototypes_and_criticisms(x, 1, 0, gamma=0.5).prototypes == kernel.mean(0).argmax()


def test_a_cluster_without_prototype_is_criticised() -> None:
    x, group = clusters((40, 40, 16))
    found = prototypes_and_criticisms(x, 2, 1, gamma=0.02)
    assert sorted(group[found.prototypes]) == [0, 1]
    assert group[found.criticisms[0]] == 2


def test_where_prototypes_are_too_many_counts_as_much_as_where_they_are_too_few() -> None:
    x = np.array([[0.0], [0.1], [10.0], [20.0], [30.0]])
    found = prototypes_and_criticisms(x, 1, 1, gamma=1.0, regularised=False)
    # f(0.1) is about 2/5 - 1, f of the lonely rows 1/5
    assert sorted([*found.prototypes, *found.criticisms]) == [0, 1]


def test_no_row_is_criticised_a_second_time_before_all_others() -> None:
    x = np.concatenate([table(30), np.full((20, 3), 8.0)])
    found = prototypes_and_criticisms(x, 1, 30, gamma=1.0)
    assert found.prototypes[0] == 30  # of twenty equal rows the first
    twins = found.criticisms >= 30  # beside one of them the determinant of another is zero
    assert twins.sum() == 1
    found = prototypes_and_criticisms(x, 1, 25, gamma=1.0, regularised=False)
    assert (found.criticisms >= 30).sum() == 19


def test_a_duplicate_is_no_second_prototype() -> None:
    x = np.array([[0.0], [0.0], [50.0]])
    found = prototypes_and_criticisms(x, 2, 0, gamma=1.0)
    assert found.prototypes.tolist() == [0, 2]
    # J(0) = 2 * 2/3 - 1, J(0, 2) = (2/3 + 1/3) - 2/4
    np.testing.assert_allclose(found.objective, [1 / 3, 1 / 2])


def test_all_rows_reach_the_mean_of_the_kernel() -> None:
    x = table(12)
    found = prototypes_and_criticisms(x, 12, 0, gamma=0.5)
    assert sorted(found.prototypes) == list(range(12))
    assert found.objective[-1] == pytest.approx(rbf_kernel(x, x, 0.5).mean())


def test_every_row_can_be_chosen_even_among_equals() -> None:
    found = prototypes_and_criticisms(np.ones((5, 2)), 2, 3, gamma=1.0)
    assert sorted([*found.prototypes, *found.criticisms]) == [0, 1, 2, 3, 4]


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = table(50)
    whole = prototypes_and_criticisms(x, 5, 5)
    monkeypatch.setattr(prototypes, "_BLOCK", 7)
    blocks = prototypes_and_criticisms(x, 5, 5)
    assert whole.prototypes.tolist() == blocks.prototypes.tolist()
    assert whole.criticisms.tolist() == blocks.criticisms.tolist()
    np.testing.assert_allclose(whole.objective, blocks.objective)


def test_a_large_table_is_never_a_square_in_memory() -> None:
    import tracemalloc

    x = table(3000, 2)  # its kernel matrix would have 72 MB
    tracemalloc.start()
    prototypes_and_criticisms(x, 3, 3, gamma=1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 36e6


def test_the_same_twice_with_types_and_shapes_and_without_a_trace() -> None:
    x = table()
    before = x.copy()
    a, b = prototypes_and_criticisms(x, 4, 3), prototypes_and_criticisms(x.tolist(), 4, 3)
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [v.shape for v in a] == [(4,), (3,), (4,)]
    assert [v.dtype.kind for v in a] == ["i", "i", "f"]
    assert not set(a.prototypes) & set(a.criticisms)
    np.testing.assert_array_equal(x, before)


# --- wrong input ----------------------------------------------------------------------------------


def with_a_hole(value: float) -> np.ndarray:
    x = table()
    x[3, 1] = value
    return x


@pytest.mark.parametrize(
    ("features", "counts", "options", "message"),
    [
        (table(), (41, 0), {}, "41 prototypes and 0 criticisms were asked of 40 rows"),
        (table(), (30, 11), {}, "30 prototypes and 11 criticisms"),
        (table(), (0, 3), {}, "n_prototypes is 0; expected a whole number, 1 or more"),
        (table(), (2, -1), {}, "n_criticisms is -1"),
        (table(), (2.0, 1), {}, "n_prototypes is 2.0"),
        (table(), (True, 1), {}, "n_prototypes is True"),
        (table()[0], (1, 1), {}, r"shape \(3,\); expected \(n, d\)"),
        (table().reshape(4, 10, 3), (1, 1), {}, r"shape \(4, 10, 3\).*reshape"),
        (np.empty((0, 3)), (1, 0), {}, r"shape \(0, 3\)"),
        (with_a_hole(np.nan), (2, 1), {}, "1 values are NaN or infinite.*row 3, column 1"),
        (with_a_hole(np.inf), (2, 1), {}, "row 3, column 1"),
        (np.full((9, 2), 0.1), (2, 1), {}, "all 9 rows are equal"),
        (table(), (2, 1), {"gamma": 0.0}, "gamma is 0.0; expected a positive number"),
        (table(), (2, 1), {"gamma": -1}, "gamma is -1"),
        (table(), (2, 1), {"gamma": np.nan}, "gamma is nan"),
    ],
)
def test_wrong_input_is_named(
    features: Any, counts: tuple[Any, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        prototypes_and_criticisms(features, *counts, **options)


def test_tables_of_different_width_have_no_kernel() -> None:
    with pytest.raises(ValueError, match="tables of 3 and 2 columns"):
        rbf_kernel(table(), table(d=2), 1.0)
