"""Properties of Shapley values and LIME beyond the axioms: any game, any picture, any table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from drawn import SHAPES, near, often, pictures, seeds, with_weights
from xai_utils import local_surrogates, shapley
from xai_utils.local_surrogates import lime_image, lime_table, superpixels

EXACT = pytest.mark.parametrize("method", [shapley.shapley_exact, shapley.kernel_shap])
worth = st.floats(-1e6, 1e6, allow_subnormal=False)
games = st.integers(2, 5).flatmap(lambda n: hnp.arrays(float, 2**n, elements=worth))


def game(values: np.ndarray, order: Any) -> tuple[Any, int]:
    """The game of these values, its players called in another order; and their number."""
    n = int(np.log2(len(values)))
    code = 1 << np.asarray(order)
    return (lambda coalition: values[int(coalition @ code)]), n


@EXACT
@often(12)
@given(values=games, data=st.data())
def test_who_is_called_first_gets_no_more(method: Any, values: Any, data: Any) -> None:
    n = int(np.log2(len(values)))
    order = data.draw(st.permutations(range(n)))
    plain = method(*game(values, range(n)))
    assert plain.shape == (n,) and np.isfinite(plain).all()
    np.testing.assert_allclose(
        method(*game(values, order)), plain[order], atol=1e-9 * np.abs(values).max(), rtol=0
    )


@often(15)
@given(values=games, seed=seeds, rounds=st.integers(20, 60))
def test_sampled_shares_still_sum_to_the_whole(values: Any, seed: int, rounds: int) -> None:
    value, n = game(values, range(int(np.log2(len(values)))))
    try:
        shares = shapley.kernel_shap(value, n, samples=rounds, seed=seed)
    except ValueError as error:
        assert "cannot tell" in str(error)
        return
    size = np.abs(values).max()
    np.testing.assert_allclose(shares.sum(), values[-1] - values[0], atol=1e-8 * size, rtol=0)
    again = shapley.kernel_shap(value, n, samples=rounds, seed=seed)
    np.testing.assert_array_equal(again, shares)


@often(10)
@given(weights=hnp.arrays(float, 4, elements=st.floats(-9, 9)), seed=seeds)
def test_a_weighted_sum_is_shared_out_by_its_weights(weights: Any, seed: int) -> None:
    table = pd.DataFrame(np.random.default_rng(seed).normal(size=(7, 4)), columns=list("abcd"))
    value = shapley.interventional_value(
        lambda frame: frame.to_numpy() @ weights, table.iloc[[0]], table
    )
    expected = weights * (table.iloc[0] - table.mean()).to_numpy()
    np.testing.assert_allclose(shapley.shapley_exact(value, 4), expected, atol=1e-9)


# --- LIME ----------------------------------------------------------------------------------------


@often(8)
@given(
    size=st.tuples(st.integers(1, 25), st.integers(1, 25), st.sampled_from([1, 3])),
    data=st.data(),
    compactness=st.floats(1e-3, 10),
)
def test_superpixels_are_numbered_without_gaps(size: Any, data: Any, compactness: float) -> None:
    (image,) = data.draw(pictures(size, most=1))
    count = data.draw(st.integers(1, size[0] * size[1]))
    cut = superpixels(image, count, compactness=compactness)
    assert cut.shape == size[:2]
    assert np.unique(cut).tolist() == list(range(cut.max() + 1))


@often(4)
@given(images=pictures(SHAPES["flat"], most=2), seed=seeds, data=st.data(), size=st.integers(1, 40))
def test_lime_paints_patches_of_one_value_the_same_in_any_batch(
    images: Any, seed: int, data: Any, size: int
) -> None:
    model = with_weights("flat", seed)
    cut = data.draw(hnp.arrays(np.int64, SHAPES["flat"][:2], elements=st.integers(0, 3)))
    options: dict[str, Any] = {"segments": cut, "samples": 30, "seed": seed % 1000}
    found = lime_image(model, images, 1, **options)
    assert found.heat.shape == images.shape[:3] and np.isfinite(found.heat).all()
    for n, heat in enumerate(found.heat):
        for k in np.unique(found.segments[n]):
            assert len(np.unique(heat[found.segments[n] == k])) == 1
    again = lime_image(model, images, 1, batch_size=size, **options)
    near(again.heat, found.heat, tolerance=1e-3)  # of scores that are alike to six digits


@often(4)
@given(weights=hnp.arrays(float, 3, elements=st.floats(-9, 9)), seed=st.integers(0, 10_000))
def test_lime_of_a_weighted_sum_is_that_sum(weights: Any, seed: int) -> None:
    table = pd.DataFrame(np.random.default_rng(seed).normal(size=(50, 3)), columns=list("abc"))

    def model(frame: pd.DataFrame) -> Any:
        return frame.to_numpy() @ weights

    found = lime_table(model, table.iloc[[0]], table, samples=300, seed=seed)
    expected = weights * table.std(ddof=0)
    # The ridge shrinks each weight by about 1 / (sum of the neighbours' weights).
    np.testing.assert_allclose(
        found.weights, expected, atol=0.05 * max(1e-9, np.abs(expected).max())
    )


@often(15)
@given(spread=st.floats(0, 1e6), samples=st.integers(1, 10**6), wanted=st.floats(1e-3, 1e6))
def test_more_samples_are_needed_for_less_spread(
    spread: float, samples: int, wanted: float
) -> None:
    few = local_surrogates.samples_needed([spread], samples, wanted)
    assert few >= 1
    assert local_surrogates.samples_needed([spread], samples, wanted / 2) >= few
