"""LIME's wrapper: repeatable, quiet, grey images, spread over seeds, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from xai_utils.local_surrogates import lime_image, lime_table, samples_needed, superpixels

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(200, 3)) * [1, 10, 0.1], columns=["a", "b", "c"])
ROW = X[:1]
GREY = RNG.random((2, 12, 12, 1)).astype(np.float32)
QUARTERS = np.add.outer(2 * (np.arange(12) > 5), np.arange(12) > 5)


def curved(frame: pd.DataFrame) -> Any:
    return frame["a"] ** 2 + 0.1 * frame["b"]


def halves(images: np.ndarray) -> np.ndarray:
    """Two scores: the mean of the left half, and of the right one."""
    return np.stack([images[:, :, :6].mean(axis=(1, 2, 3)), images[:, :, 6:].mean((1, 2, 3))], 1)


# --- tables --------------------------------------------------------------------------------------


def test_tables_repeat_and_stay_quiet(capfd: Any, recwarn: Any) -> None:
    np.random.seed(3)
    state = np.random.get_state()[1].copy()
    one, again, other = (lime_table(curved, ROW, X, samples=200, seed=k) for k in (0, 0, 1))
    assert one.weights.equals(again.weights) and not one.weights.equals(other.weights)
    assert list(one.weights.index) == ["a", "b", "c"] and one.spread.isna().all()
    assert 0 < one.r2 < 1
    assert (np.random.get_state()[1] == state).all()
    assert capfd.readouterr() == ("", "") and not list(recwarn)


@pytest.mark.parametrize("discretise", [False, True])
def test_seeds_are_averaged(discretise: bool) -> None:
    how: dict[str, Any] = {"samples": 100, "discretise": discretise}
    alone = np.stack([lime_table(curved, ROW, X, seed=k, **how).weights for k in (4, 5, 6)])
    three = lime_table(curved, ROW, X, seed=4, seeds=3, **how)
    np.testing.assert_allclose(three.weights, alone.mean(axis=0))
    np.testing.assert_allclose(three.spread, alone.std(axis=0, ddof=1))
    assert (alone.std(axis=0) > 0).all()


def test_around_the_row_or_the_data() -> None:
    far = ROW.assign(a=3.0)
    near = lime_table(curved, far, X, kernel_width=0.5).weights["a"]
    assert near == pytest.approx(6 * X["a"].std(ddof=0), rel=0.1)  # d a^2 / da = 2 a
    asked: list[Any] = []
    lime_table(lambda f: asked.append(f) or curved(f), far, X, samples=500, around="background")
    assert abs(asked[0]["a"].mean()) < 0.3  # nowhere near 3


def test_categorical_columns_are_the_same_or_not() -> None:
    codes = X.assign(kind=RNG.integers(0, 3, len(X)))
    f = lambda frame: 5.0 * (frame["kind"] == 2)  # noqa: E731
    found = lime_table(f, codes[:1].assign(kind=2), codes, categorical=["kind"])
    assert found.weights["kind"] == pytest.approx(5, abs=0.05)


def test_wrong_tables() -> None:
    for wrong in (X[:2], X[["b", "a", "c"]][:1]):
        with pytest.raises(ValueError, match="expected one row with the columns"):
            lime_table(curved, wrong, X)
    with pytest.raises(TypeError, match="DataFrame"):
        lime_table(curved, ROW, X.to_numpy())
    with pytest.raises(ValueError, match="same value in every row of 'c'"):
        lime_table(curved, ROW, X.assign(c=1.0))
    with pytest.raises(ValueError, match="around"):
        lime_table(curved, ROW, X, around="mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="categorical 'd'"):
        lime_table(curved, ROW, X, categorical=["d"])
    for name in ("samples", "seeds"):
        with pytest.raises(ValueError, match=name):
            lime_table(curved, ROW, X, **{name: 0})
    for width in (0, -1.0, np.nan, "wide"):
        with pytest.raises(ValueError, match="width"):
            lime_table(curved, ROW, X, kernel_width=width)  # type: ignore[arg-type]


def test_samples_needed() -> None:
    assert samples_needed([0.1, 0.2], 1000, 0.05) == 16_000  # four times as narrow: 16 times
    assert samples_needed([0.0], 1000, 0.05) == 1
    with pytest.raises(ValueError, match="several seeds"):
        samples_needed([np.nan], 1000, 0.05)
    with pytest.raises(ValueError, match="wanted"):
        samples_needed([0.1], 1000, 0.0)


# --- images --------------------------------------------------------------------------------------


def test_superpixels_are_numbered_repeat_and_follow_the_picture() -> None:
    picture = np.zeros((20, 30, 1))
    picture[:, 13:] = 1
    cut = superpixels(picture, 6)
    assert cut.shape == (20, 30) and (np.unique(cut) == np.arange(cut.max() + 1)).all()
    assert (cut == superpixels(picture, 6)).all()
    assert not set(cut[:, :13].ravel()) & set(cut[:, 13:].ravel())  # none crosses the edge
    for wrong in (picture[..., 0], picture * np.nan):
        with pytest.raises(ValueError, match="expected"):
            superpixels(wrong)
    with pytest.raises(ValueError, match="patches"):
        superpixels(picture, 601)


def test_grey_images_repeat_and_stay_quiet(capfd: Any, recwarn: Any) -> None:
    options = {"segments": QUARTERS, "hide": 0.0, "samples": 64}
    one, again = (lime_image(halves, GREY, 0, **options) for _ in range(2))
    assert (one.heat == again.heat).all() and one.heat.shape == (2, 12, 12)
    assert one.heat.dtype == np.float32 and np.isnan(one.spread).all()
    assert (one.segments == QUARTERS).all()
    assert capfd.readouterr() == ("", "") and not list(recwarn)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_score_that_is_a_sum_over_segments(channels: int) -> None:
    x = np.repeat(GREY, channels, axis=-1)
    found = lime_image(halves, x, [0, 1], segments=QUARTERS, hide=0.0, samples=2000)
    sums = np.stack([x[:, k == QUARTERS].mean(axis=-1).sum(axis=1) / 72 for k in range(4)], 1)
    for n, target in enumerate((0, 1)):  # each loses what its quarter adds to its half's mean
        for k in range(4):
            expected = sums[n, k] if k % 2 == target else 0
            assert found.heat[n][k == QUARTERS] == pytest.approx(expected, abs=5e-3)
    assert (found.r2 > 0.99).all()


def test_segments_of_any_numbers() -> None:
    plain = lime_image(halves, GREY, 0, segments=QUARTERS, hide=0.0, samples=64)
    odd = lime_image(halves, GREY, 0, segments=QUARTERS * 10 + 7, hide=0.0, samples=64)
    assert (plain.heat == odd.heat).all()


def test_seeds_of_images_and_predicted_classes() -> None:
    three = lime_image(halves, GREY, segments=QUARTERS, samples=32, seeds=3)
    alone = [lime_image(halves, GREY, segments=QUARTERS, samples=32, seed=k) for k in range(3)]
    np.testing.assert_allclose(three.heat, np.mean([a.heat for a in alone], axis=0), atol=1e-6)
    assert (three.spread > 0).any()
    predicted = halves(GREY).argmax(axis=1)
    named = lime_image(halves, GREY, predicted, segments=QUARTERS, samples=32)
    assert (named.heat == alone[0].heat).all()


def test_wrong_images() -> None:
    with pytest.raises(ValueError, match="2 channels"):
        lime_image(halves, np.repeat(GREY, 2, axis=-1))
    with pytest.raises(ValueError, match="segments"):
        lime_image(halves, GREY, segments=QUARTERS[:3])
    with pytest.raises(ValueError, match="segments"):
        lime_image(halves, GREY, segments=np.stack([QUARTERS] * 3))
    with pytest.raises(ValueError, match="whole numbers"):
        lime_image(halves, GREY, segments=QUARTERS * 0.5)
    with pytest.raises(ValueError, match="width"):
        lime_image(halves, GREY, segments=QUARTERS, kernel_width=0)
    with pytest.raises(ValueError, match="expected"):
        lime_image(halves, GREY[0])
    with pytest.raises(TypeError, match="callable"):
        lime_image("network", GREY)  # type: ignore[arg-type]
