"""Synthetic steel: exact truth, seeded, and no cue outside the defect."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from xai_utils.simulate import (
    CLASS_NAMES,
    LEAST_SHARE,
    MOST_BOXES,
    SMALLEST,
    VISIBLE,
    SyntheticSteel,
    class_index,
    draw_plate,
    mask_boxes,
    synthetic_steel,
)

SHORTCUTS = ("stamp", "brightness", "border")


@pytest.fixture(scope="module")
def steel() -> SyntheticSteel:
    return synthetic_steel(20, seed=3)


@pytest.fixture(scope="module")
def many() -> SyntheticSteel:
    return synthetic_steel(100, seed=0)


def test_shapes_and_types(steel: SyntheticSteel) -> None:
    assert steel.images.shape == steel.masks.shape == (120, 200, 200)
    assert (steel.images.dtype, steel.labels.dtype, steel.masks.dtype) == (np.uint8, np.int64, bool)
    np.testing.assert_array_equal(steel.labels, np.repeat(np.arange(6), 20))
    assert len(steel.boxes) == 120 and steel.shortcut_masks is None
    for boxes in steel.boxes:
        assert boxes.dtype == np.int64 and boxes.ndim == 2 and boxes.shape[1] == 4


def test_the_same_seed_gives_the_same_bits(steel: SyntheticSteel) -> None:
    again = synthetic_steel(20, seed=3)
    np.testing.assert_array_equal(again.images, steel.images)
    np.testing.assert_array_equal(again.masks, steel.masks)
    for a, b in zip(again.boxes, steel.boxes, strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_seed_and_another_plate_give_another_picture(steel: SyntheticSteel) -> None:
    other = synthetic_steel(2, seed=4)
    assert (other.images[0] != steel.images[0]).mean() > 0.5
    assert len({image.tobytes() for image in steel.images}) == 120


def test_a_plate_does_not_depend_on_how_many_are_drawn(steel: SyntheticSteel) -> None:
    few = synthetic_steel(3, seed=3)
    first = np.flatnonzero(np.arange(120) % 20 < 3)
    np.testing.assert_array_equal(few.images, steel.images[first])
    np.testing.assert_array_equal(few.masks, steel.masks[first])


def test_a_plate_can_be_drawn_alone(steel: SyntheticSteel) -> None:
    for label, k in ((0, 0), (3, 7), (5, 19)):
        plate = draw_plate(CLASS_NAMES[label], 6 * k + label, seed=3)
        np.testing.assert_array_equal(plate.image, steel.images[20 * label + k])


@pytest.mark.parametrize("size", [SMALLEST, 200])
@pytest.mark.parametrize("name", CLASS_NAMES)
def test_the_mask_holds_exactly_the_changed_pixels(name: str, size: int) -> None:
    for index in range(10):
        plate = draw_plate(name, index, seed=1, size=size)
        change = np.abs(plate.image.astype(int) - plate.flawless)
        assert (change[~plate.mask] == 0).all()
        assert (change[plate.mask] >= VISIBLE).all()
        assert LEAST_SHARE <= plate.mask.mean() < 0.6


def test_the_ground_does_not_know_the_class() -> None:
    for index in range(5):
        plates = [draw_plate(label, index) for label in range(6)]
        for plate in plates[1:]:
            np.testing.assert_array_equal(plate.flawless, plates[0].flawless)
        assert len({plate.mask.tobytes() for plate in plates}) == 6


def test_defects_have_the_sign_and_the_direction_of_their_class() -> None:
    def change(name: str) -> np.ndarray:
        plates = [draw_plate(name, i, seed=2) for i in range(25)]
        return np.array([(p.image.astype(float) - p.flawless)[p.mask].mean() for p in plates])

    def tall(name: str) -> float:
        masks = np.array([draw_plate(name, i, seed=2).mask for i in range(25)])
        across = (masks[:, :, 1:] != masks[:, :, :-1]).sum()
        return float(across / (masks[:, 1:] != masks[:, :-1]).sum())

    assert (change("scratches") > 0).all()
    for name in set(CLASS_NAMES) - {"scratches"}:
        assert (change(name) < 0).all(), name
    assert tall("inclusion") > 2 and tall("scratches") > 1.5  # along the strip
    assert tall("crazing") < 0.8 and tall("rolled-in_scale") < 0.8  # across it


def test_boxes_cover_the_mask_tightly(steel: SyntheticSteel) -> None:
    for mask, boxes in zip(steel.masks, steel.boxes, strict=True):
        assert 1 <= len(boxes) <= MOST_BOXES
        left = mask.copy()
        for x0, y0, x1, y1 in boxes:
            assert 0 <= x0 < x1 <= 200 and 0 <= y0 < y1 <= 200
            inside = mask[y0:y1, x0:x1]
            assert inside[0].any() and inside[-1].any()
            assert inside[:, 0].any() and inside[:, -1].any()
            left[y0:y1, x0:x1] = False
        assert not left.any()


def test_boxes_of_a_known_mask() -> None:
    mask = np.zeros((200, 200), bool)
    mask[10:20, 30:50] = True
    mask[22:24, 40:45] = True  # two rows away: the same defect
    mask[100:150, 160:200] = True
    assert sorted(mask_boxes(mask).tolist()) == [[30, 10, 50, 24], [160, 100, 200, 150]]
    assert mask_boxes(np.zeros((200, 200), bool)).shape == (0, 4)


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_a_shortcut_changes_nothing_but_its_own_pixels(
    steel: SyntheticSteel, shortcut: Any
) -> None:
    marked = synthetic_steel(20, seed=3, shortcut=shortcut, shortcut_class=2, elsewhere_rate=0.5)
    planted = marked.shortcut_masks
    assert planted is not None and planted.dtype == bool
    np.testing.assert_array_equal(marked.images[~planted], steel.images[~planted])
    np.testing.assert_array_equal(marked.masks, steel.masks)
    changed = (marked.images != steel.images) & planted
    bears = planted.any(axis=(1, 2))
    assert changed.sum() > 0.8 * planted.sum()
    assert bears[marked.labels == 2].all() and 30 < bears[marked.labels != 2].sum() < 70


def test_each_shortcut_lies_where_it_should() -> None:
    for shortcut, low, high in (("stamp", 0.002, 0.02), ("border", 0.07, 0.09)):
        planted = synthetic_steel(2, shortcut=shortcut, elsewhere_rate=1.0).shortcut_masks  # type: ignore[arg-type]
        assert planted is not None
        share = planted.mean(axis=(1, 2))
        assert (share > low).all() and (share < high).all(), shortcut
        assert not planted[:, 50:150, 50:150].any()
        if shortcut == "stamp":
            assert not planted[:, 50:].any() and not planted[:, :, :150].any()
    light = synthetic_steel(2, shortcut="brightness", elsewhere_rate=1.0)
    plain = synthetic_steel(2)
    assert light.shortcut_masks is not None and light.shortcut_masks.all()
    expected = np.minimum(plain.images.astype(int) + 40, 255)
    np.testing.assert_array_equal(light.images, expected)


def test_rates_are_kept_and_nested() -> None:
    def bears(there: float, elsewhere: float) -> np.ndarray:
        planted = synthetic_steel(
            30,
            size=SMALLEST,
            shortcut="border",
            shortcut_class="patches",
            shortcut_rate=there,
            elsewhere_rate=elsewhere,
        ).shortcut_masks
        assert planted is not None
        return np.asarray(planted.any(axis=(1, 2)).reshape(6, 30))

    patches, others = CLASS_NAMES.index("patches"), [0, 1, 3, 4, 5]
    full, most = bears(1, 0), bears(0.7, 0.2)
    assert full[patches].all() and not full[others].any()
    assert 0.45 < most[patches].mean() < 0.95  # 30 draws at 0.7: three standard errors
    assert 0.1 < most[others].mean() < 0.3  # 150 draws at 0.2
    assert (most <= bears(0.9, 0.4)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_per_class": 0}, "n_per_class is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"size": SMALLEST - 1}, f"size is {SMALLEST - 1}"),
        ({"shortcut": "sticker"}, r"'sticker'.*stamp.*brightness.*border"),
        ({"shortcut": "stamp", "shortcut_class": "rust"}, "'rust'.*crazing.*scratches"),
        ({"shortcut": "stamp", "shortcut_class": 6}, "class is 6"),
        ({"shortcut": "stamp", "shortcut_class": -1}, "class is -1"),
        ({"shortcut": "stamp", "shortcut_rate": 1.1}, "shortcut_rate is 1.1"),
        ({"shortcut": "stamp", "elsewhere_rate": -0.1}, "elsewhere_rate is -0.1"),
        ({"shortcut": "stamp", "shortcut_rate": float("nan")}, "shortcut_rate is nan"),
    ],
)
def test_bad_input_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        synthetic_steel(**{"n_per_class": 1, **options})


def test_a_class_is_known_by_name_or_index() -> None:
    assert [class_index(name) for name in CLASS_NAMES] == list(range(6))
    assert class_index(np.int64(4)) == 4
    with pytest.raises(ValueError, match=r"class is 2\.5"):
        class_index(2.5)  # type: ignore[arg-type]


def test_the_course_set_is_drawn_in_time() -> None:
    def seconds() -> float:
        start = time.process_time()
        synthetic_steel(5)
        return time.process_time() - start

    # Processor time, and the best of five, so that a busy machine does not fail the test.
    assert 60 * min(seconds() for _ in range(5)) < 20


def split(steel: SyntheticSteel) -> np.ndarray:
    """True for the plates to learn from: three quarters of each class."""
    within = np.arange(len(steel.labels)) % (len(steel.labels) // 6)
    return np.asarray(within >= len(steel.labels) // 24)


@pytest.mark.parametrize("pool", [4, 1])
def test_a_linear_model_cannot_read_the_pixels(many: SyntheticSteel, pool: int) -> None:
    from sklearn.linear_model import RidgeClassifier

    small = many.images.reshape(-1, 200 // pool, pool, 200 // pool, pool).mean(axis=(2, 4))
    pixels, train = small.reshape(len(small), -1).astype(np.float32), split(many)
    for strength in (1e5, 1e7) if pool > 1 else (1e7,):
        model = RidgeClassifier(alpha=strength).fit(pixels[train], many.labels[train])
        assert model.score(pixels[~train], many.labels[~train]) < 0.6


def test_mean_and_contrast_do_not_give_the_class_away(many: SyntheticSteel) -> None:
    from sklearn.ensemble import RandomForestClassifier

    pixels, train = many.images.reshape(len(many.images), -1), split(many)
    both = np.stack([pixels.mean(axis=1), pixels.std(axis=1)], axis=1)
    forest = RandomForestClassifier(100, min_samples_leaf=3, random_state=0)
    forest.fit(both[train], many.labels[train])
    assert forest.score(both[~train], many.labels[~train]) < 0.6
