"""Properties of what is said of tables: effects, coefficients, surrogates, prototypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from drawn import often, pictures, seeds
from xai_utils import optimization, overlaps, prototypes, simulate, tabular

numbers = st.floats(-1e4, 1e4, allow_subnormal=False)
weights = hnp.arrays(float, 3, elements=st.floats(-9, 9, allow_subnormal=False))


def table(seed: int, rows: int) -> pd.DataFrame:
    """Two columns of any numbers, and one of few."""
    rng = np.random.default_rng(seed)
    columns = {"a": rng.normal(size=rows), "b": rng.lognormal(0, 2, rows)}
    return pd.DataFrame(columns | {"c": rng.integers(0, 3, rows).astype(float)})


@often(12)
@given(w=weights, seed=seeds, rows=st.integers(2, 60), bins=st.integers(1, 70))
def test_the_effect_of_a_weighted_sum_is_a_line(w: Any, seed: int, rows: int, bins: int) -> None:
    frame = table(seed, rows)
    found = tabular.accumulated_local_effects(
        lambda rows: rows.to_numpy() @ w, frame, "b", bins=bins
    )
    assert len(found.edges) == len(found.effect) == len(found.counts) + 1
    assert found.counts.sum() == rows and found.counts.min() >= 1
    scale = 1e-9 * (1 + np.abs(w).max() * frame["b"].max())
    expected = w[1] * (found.edges - frame["b"].mean())
    np.testing.assert_allclose(found.effect, expected, atol=scale)


@often(12)
@given(w=weights, constant=st.floats(-9, 9), seed=seeds, rows=st.integers(8, 60))
def test_the_coefficients_of_a_weighted_sum_are_its_weights(
    w: Any, constant: float, seed: int, rows: int
) -> None:
    frame = table(seed, rows)
    assume(frame["c"].nunique() > 1)
    y = frame.to_numpy() @ w + constant
    assume(np.ptp(y) > 1e-6)
    found = tabular.coefficients(frame.assign(y=y), "y")
    size = np.abs(w).max() * np.abs(frame.to_numpy()).max() + abs(constant)
    np.testing.assert_allclose(found["coefficient"], [constant, *w], atol=1e-8 * size)
    assert (found["low"] <= found["high"]).all()


@often(10)
@given(seed=seeds, rows=st.integers(4, 40), depth=st.integers(1, 5), held_out=st.floats(0.1, 0.7))
def test_a_surrogate_is_measured_by_finite_numbers(
    seed: int, rows: int, depth: int, held_out: float
) -> None:
    frame = table(seed, rows)

    def label(rows: pd.DataFrame) -> Any:
        return (rows["a"] > 0).to_numpy()

    assume(label(frame).any() and not label(frame).all())
    found = tabular.surrogate_tree(label, frame, depth=depth, held_out=held_out, seed=seed % 1000)
    assert 0 <= found.fidelity <= 1 and 0 <= found.chance <= 1

    def jump(rows: pd.DataFrame) -> Any:
        return np.where(rows["a"] > 0, 1.5, 0.0)

    try:
        found = tabular.surrogate_tree(
            jump, frame, depth=depth, held_out=held_out, seed=seed % 1000
        )
    except ValueError as error:
        assert "of all" in str(error)
        return
    assert np.isfinite([found.fidelity, found.chance]).all()
    assert found.fidelity <= 1 and found.chance <= 1


@often(12)
@given(
    x=hnp.arrays(float, st.tuples(st.integers(3, 15), st.integers(1, 4)), elements=numbers),
    data=st.data(),
)
def test_prototypes_and_criticisms_are_different_rows(x: Any, data: Any) -> None:
    several = data.draw(st.integers(1, len(x)))
    critics = data.draw(st.integers(0, len(x) - several))
    try:
        found = prototypes.prototypes_and_criticisms(x, several, critics)
    except ValueError as error:
        assert "equal" in str(error)
        return
    chosen = [*found.prototypes, *found.criticisms]
    assert len(set(chosen)) == several + critics and set(chosen) <= set(range(len(x)))
    assert np.isfinite(found.objective).all() and len(found.objective) == several
    kernel = prototypes.rbf_kernel(x, x, prototypes.median_gamma(x))
    assert ((kernel >= 0) & (kernel <= 1 + 1e-9)).all()
    np.testing.assert_allclose(kernel, kernel.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(kernel), 1, atol=1e-6)


@often(12)
@given(mask=hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_boxes_hold_their_mask_and_are_as_small_as_can_be(mask: Any) -> None:
    boxes = simulate.mask_boxes(mask)
    inside = np.zeros_like(mask)
    for x0, y0, x1, y1 in boxes:
        inside[y0:y1, x0:x1] = True
        part = mask[y0:y1, x0:x1]
        assert part[0].any() and part[-1].any() and part[:, 0].any() and part[:, -1].any()
    assert (inside | ~mask).all()


@often(12)
@given(n=st.integers(1, 12), data=st.data())
def test_components_are_what_hangs_together(n: int, data: Any) -> None:
    one = st.integers(0, n - 1)
    pairs = data.draw(st.lists(st.tuples(one, one), max_size=12))
    found = overlaps.components(n, pairs)
    assert all(found[a] == found[b] for a, b in pairs)
    reached = {frozenset({k}) for k in range(n)}
    for a, b in pairs:
        joined = frozenset().union(*(group for group in reached if {a, b} & group))
        reached = {group for group in reached if not group & joined} | {joined}
    assert len(set(found.tolist())) == len(reached)


@often(10)
@given(images=pictures((6, 5, 3)), shift=st.floats(-1, 1))
def test_the_variation_of_a_picture_hangs_on_no_mirror_and_no_shade(
    images: Any, shift: float
) -> None:
    found = optimization.total_variation(images)
    assert found.shape == (len(images),) and (found >= 0).all()
    np.testing.assert_allclose(optimization.total_variation(images[:, ::-1]), found, rtol=1e-4)
    moved = optimization.total_variation(images + np.float32(shift))
    np.testing.assert_allclose(moved, found, rtol=1e-3, atol=1e-3)


def test_a_surrogate_is_not_measured_where_the_model_says_one_thing() -> None:
    frame = pd.DataFrame({"a": [0.0, 1, 2, 3]})
    with pytest.raises(ValueError, match=r"says 1\.5 of all 1 held-out rows.*another seed"):
        tabular.surrogate_tree(
            lambda rows: np.where(rows["a"] > 1, 1.5, 0.0), frame, depth=1, held_out=0.25
        )
