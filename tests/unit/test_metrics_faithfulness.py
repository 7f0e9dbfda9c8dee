"""Curves of a score while pixels go: hand-computed on a network that adds pixels up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from networks import functional, keras, layers
from xai_utils import _fills, metrics, scores
from xai_utils.metrics import Curve, removal_curve

HEAT = np.array([[[4.0, 3.0], [2.0, 1.0]]])
IMAGE = np.array([[[[8.0], [4.0]], [[2.0], [1.0]]]], np.float32)


@pytest.fixture(scope="module")
def adder() -> Any:
    """Logit 0 is the sum of a 2x2 picture, logit 1 is 10."""
    model = functional([layers.Flatten(), layers.Dense(2, name="logits")], (2, 2, 1))
    model.set_weights([np.array([[1.0, 0.0]] * 4), np.array([0.0, 10.0])])
    return model


def values(curve: Curve) -> list[float]:
    return curve.values[0].tolist()


def test_the_highest_go_first(adder: Any) -> None:
    curve = removal_curve(adder, IMAGE, HEAT, steps=4)
    assert values(curve) == [15, 7, 3, 1, 0]
    assert curve.shares.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert curve.kept[0].tolist() == [True, False, False, False, False]  # 10 wins from there
    assert curve.values.dtype == np.float32
    assert curve.area[0] == pytest.approx((7.5 + 7 + 3 + 1 + 0) / 4)
    assert curve.drop[0] == pytest.approx((0 + 8 + 12 + 14 + 15) / 5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"least_first": True}, [15, 14, 12, 8, 0]),
        ({"insert": True}, [0, 8, 12, 14, 15]),
        ({"insert": True, "least_first": True}, [0, 1, 3, 7, 15]),
        ({"fill": 1.0}, [15, 8, 5, 4, 4]),
        ({"fill": "mean"}, [15, 10.75, 10.5, 12.25, 15]),
        ({"fill": 2 * IMAGE[0]}, [15, 23, 27, 29, 30]),
        ({"fill": IMAGE}, [15, 15, 15, 15, 15]),
        ({"target": 1}, [10, 10, 10, 10, 10]),
        ({"steps": (0.0, 0.5)}, [15, 3]),
        ({"steps": 2}, [15, 3, 0]),
    ],
    ids=str,
)
def test_other_orders_and_fills(adder: Any, options: dict[str, Any], expected: list[int]) -> None:
    assert values(removal_curve(adder, IMAGE, HEAT, **{"steps": 4} | options)) == expected


def test_area_is_a_mean_height_over_uneven_shares_too(adder: Any) -> None:
    curve = removal_curve(adder, IMAGE, HEAT, steps=(0.25, 0.5, 1.0))
    assert curve.area[0] == pytest.approx((0.25 * (7 + 3) / 2 + 0.5 * (3 + 0) / 2) / 0.75)


def test_probability(adder: Any) -> None:
    curve = removal_curve(adder, IMAGE, HEAT, steps=4, score="probability")
    expected = 1 / (1 + np.exp(10 - np.array([15, 7, 3, 1, 0])))
    np.testing.assert_allclose(curve.values[0], expected, rtol=1e-5)


def test_the_class_is_that_of_the_untouched_image(adder: Any) -> None:
    np.testing.assert_array_equal(
        removal_curve(adder, IMAGE, HEAT).values, removal_curve(adder, IMAGE, HEAT, 0).values
    )


def test_deletion_and_insertion_are_areas(adder: Any) -> None:
    assert metrics.deletion(adder, IMAGE, HEAT, steps=4)[0] == pytest.approx(18.5 / 4)
    found = metrics.insertion(adder, IMAGE, HEAT, steps=4, fill=0.0)[0]
    assert found == pytest.approx((8 + 12 + 14 + 7.5) / 4)
    blurred = metrics.insertion(adder, IMAGE, HEAT, steps=4)[0]  # a blur keeps about the sum
    assert found < blurred < 20


def test_a_blurred_start_is_blurred(gap: Any, images: np.ndarray) -> None:
    import cv2

    flat = np.stack([cv2.GaussianBlur(i, (0, 0), 5.0)[..., None] for i in images])
    heat = images[..., 0]
    curve = removal_curve(gap, images, heat, 1, fill="blur", insert=True, steps=3)
    expected = [scores.logits(gap, x)[:, 1] for x in (flat, images)]
    np.testing.assert_allclose(curve.values[:, [0, -1]].T, expected, atol=1e-5)


# --- order ---------------------------------------------------------------------------------------


def test_equal_values_go_in_random_order_that_a_seed_repeats(gap: Any, images: np.ndarray) -> None:
    flat = np.zeros(images.shape[:3])
    one, same, other = (
        removal_curve(gap, images, flat, 0, steps=4, seed=s).values for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other)[:, 1:-1].max() > 1e-3
    rows = np.arange(64.0).reshape(1, 8, 8).repeat(5, axis=0)
    assert np.abs(one - removal_curve(gap, images, -rows, 0, steps=4).values).max() > 1e-3


def test_only_the_order_of_the_heat_counts(gap: Any, images: np.ndarray) -> None:
    heat = np.random.default_rng(0).normal(size=images.shape[:3])
    one = removal_curve(gap, images, heat, 0)
    np.testing.assert_array_equal(one.values, removal_curve(gap, images, 100 * heat, 0).values)
    np.testing.assert_array_equal(one.values, removal_curve(gap, images, np.exp(heat), 0).values)


@pytest.mark.parametrize("fill", [0.0, "mean", "blur", "linear"])
def test_an_image_does_not_depend_on_those_behind_it(
    fill: Any, gap: Any, images: np.ndarray
) -> None:
    heat = images[..., 0]
    whole = removal_curve(gap, images, heat, fill=fill, steps=4)
    part = removal_curve(gap, images[:2], heat[:2], fill=fill, steps=4, batch_size=3)
    np.testing.assert_allclose(whole.values[:2], part.values, atol=1e-5)


def test_nothing_is_traced_twice(adder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    removal_curve(adder, IMAGE, HEAT)
    calls: list[Any] = []
    monkeypatch.setattr(scores, "trace", lambda *a: calls.append(a))
    removal_curve(adder, IMAGE.repeat(9, axis=0), HEAT.repeat(9, axis=0), 1, steps=7)
    assert not calls


def test_nothing_given_is_changed(adder: Any) -> None:
    image, heat = IMAGE.copy(), HEAT.copy()
    removal_curve(adder, image, heat)
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(heat, HEAT)


def test_pixel_flipping_compares_with_random_and_edges(gap: Any, images: np.ndarray) -> None:
    heat = np.random.default_rng(3).random(images.shape[:3])
    curves = metrics.pixel_flipping(gap, images, heat, 2, steps=5)
    assert list(curves) == ["map", "random", "edges"]
    for name, order in (("map", heat), ("edges", metrics.sobel_edges(images))):
        own = removal_curve(gap, images, order, 2, steps=5)
        np.testing.assert_array_equal(curves[name].values, own.values)
    ends = [c.values[:, [0, -1]] for c in curves.values()]
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-5)
    twice = metrics.pixel_flipping(gap, images[[0, 0]], heat[[0, 0]], 2, steps=5)["random"]
    assert not np.allclose(*twice.values)  # another order for every image


# --- ROAD ----------------------------------------------------------------------------------------


def impute(image: np.ndarray, missing: np.ndarray, noise: float = 0.0) -> np.ndarray:
    return _fills.noisy_linear_imputation(
        image.astype(np.float32), missing, noise, np.random.default_rng(0)
    )


def test_one_missing_pixel_is_the_weighted_mean_of_its_neighbours() -> None:
    image = np.arange(9.0).reshape(3, 3, 1) ** 2
    missing = np.zeros((3, 3), bool)
    missing[1, 1] = True
    direct, diagonal = image[[0, 1, 1, 2], [1, 0, 2, 1]].sum(), image[::2, ::2].sum()
    assert impute(image, missing)[1, 1, 0] == pytest.approx(direct / 6 + diagonal / 12)
    missing = np.zeros((3, 3), bool)
    missing[0, 0] = True  # two direct neighbours and a diagonal one: 2/5, 2/5, 1/5
    assert impute(image, missing)[0, 0, 0] == pytest.approx(0.4 * 1 + 0.4 * 9 + 0.2 * 16)


def test_a_plane_is_restored_and_the_rest_left_alone() -> None:
    row, column = np.mgrid[:9, :7]
    plane = np.stack([2.0 * row + column, 5 - row], axis=-1)
    missing = np.zeros((9, 7), bool)
    missing[2:6, 2:5] = True
    np.testing.assert_allclose(
        impute(np.where(missing[..., None], 99, plane), missing), plane, atol=1e-4
    )
    noisy = impute(plane, missing, noise=0.5)
    np.testing.assert_array_equal(noisy[~missing], plane[~missing])
    assert 0.2 < (noisy - plane)[missing].std() < 0.8


def test_all_or_nothing_missing() -> None:
    image = np.random.default_rng(1).random((4, 4, 2)).astype(np.float32)
    everything = np.ones((4, 4), bool)
    np.testing.assert_array_equal(impute(image, ~everything, noise=1.0), image)
    mean = image.mean(axis=(0, 1))
    np.testing.assert_allclose(impute(image, everything), mean * np.ones((4, 4, 2)), atol=1e-6)


def test_noise_is_drawn_anew_for_every_image_and_step_and_again_for_a_seed() -> None:
    x, gone = np.full((2, 4, 4, 1), 0.5, np.float32), np.eye(4, dtype=bool)
    filled = [_fills.filler("linear", x, 0.1, s)(n, k, gone) for s, n, k in np.ndindex(2, 2, 2)]
    again = _fills.filler("linear", x, 0.1, 0)(0, 0, gone)
    np.testing.assert_array_equal(filled[0], again)
    assert len({f.tobytes() for f in filled}) == 8


def test_road_is_a_removal_curve_with_linear_fill(gap: Any, images: np.ndarray) -> None:
    heat = images[..., 0]
    curve = metrics.road(gap, images, heat, 1)
    assert curve.shares.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9]
    gone = heat[0] >= np.sort(heat[0].ravel())[-6]  # a tenth of 64, rounded
    rng = np.random.default_rng([0, 0, 0])
    filled = _fills.noisy_linear_imputation(images[0], gone, 0.01, rng)
    expected = scores.logits(gap, filled[None])[0, 1]
    assert curve.values[0, 0] == pytest.approx(expected, abs=1e-5)
    last = metrics.road(gap, images, heat, 1, least_first=True)
    assert np.abs(last.values - curve.values).max() > 1e-3


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fill": "black"}, "fill 'black'; expected 'mean', 'blur', 'linear', a number or"),
        ({"fill": np.zeros((3, 3))}, r"shape \(3, 3\); expected"),
        ({"fill": np.nan}, "NaN or infinity in the fill"),
        ({"fill": "linear", "noise": -1.0}, "noise -1.0"),
        ({"steps": 0}, "steps 0; expected a whole number"),
        ({"steps": (0.5, 0.2)}, "ascending within"),
        ({"steps": (0.5, 1.2)}, "ascending within"),
        ({"steps": (0.5,)}, "ascending within"),
        ({"target": 2}, "target .* out of range"),
        ({"score": "odds"}, "score must be"),
        ({"batch_size": 0}, "batch_size 0"),
    ],
    ids=str,
)
def test_errors(adder: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        removal_curve(adder, IMAGE, HEAT, **options)


def test_heat_errors(adder: Any) -> None:
    with pytest.raises(ValueError, match=r"heat of shape \(1, 3, 3\) for images .*resize_heatmap"):
        removal_curve(adder, IMAGE, np.ones((1, 3, 3)))
    with pytest.raises(ValueError, match=r"add the batch axis: heat\[None\]"):
        removal_curve(adder, IMAGE, HEAT[0])
    with pytest.raises(ValueError, match="NaN"):
        removal_curve(adder, IMAGE, np.where(HEAT == 2, np.nan, HEAT))


def test_a_model_that_overflows_is_named() -> None:
    model = keras.Sequential(
        [keras.Input((2, 2, 1)), layers.Flatten(), layers.Dense(2)], name="big"
    )
    model.set_weights([np.full((4, 2), 3e38), np.zeros(2)])
    with pytest.raises(ValueError, match=r"removal_curve: .*'big'"):
        removal_curve(model, IMAGE, HEAT, 0)
