"""Crops of one sheet are found where they were cut, and a split keeps them on one side."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from xai_utils.overlaps import (
    Overlap,
    common_region,
    components,
    correlation,
    find_overlaps,
    split_by_component,
)

SIZE = 64


def sheet(seed: int, size: int = 4 * SIZE) -> np.ndarray:
    """Texture of several scales with some noise: what steel looks like from far away."""
    rng = np.random.default_rng(seed)
    field = sum(s * gaussian_filter(rng.normal(size=(size, size)), s) for s in (1, 3, 8))
    field = 128 + 25 * field / field.std() + rng.normal(0, 3, (size, size))
    return field.clip(0, 255).round().astype(np.uint8)


def crop(picture: np.ndarray, y: int, x: int, size: int = SIZE) -> np.ndarray:
    return picture[y : y + size, x : x + size]


def found(images: list[np.ndarray], labels: list[int] | None = None) -> list[Overlap]:
    classes = np.zeros(len(images), np.int64) if labels is None else np.array(labels, np.int64)
    return find_overlaps(np.stack(images), classes)


# --- finding -------------------------------------------------------------------------------------

OFFSETS = [(0, 0), (0, 32), (-32, 0), (20, 14), (-8, 26), (17, -5), (-31, -9), (3, 1), (40, -10)]


@pytest.mark.parametrize(("dy", "dx"), OFFSETS)
def test_a_crop_is_found_at_its_offset(dy: int, dx: int) -> None:
    picture = sheet(1)
    noise = [crop(sheet(seed), 5, 9) for seed in (2, 3)]
    images = [noise[0], crop(picture, 90, 80), noise[1], crop(picture, 90 + dy, 80 + dx)]
    (overlap,) = found(images)
    assert (overlap.a, overlap.b, overlap.dy, overlap.dx) == (1, 3, dy, dx)
    assert overlap.correlation == pytest.approx(1)
    assert overlap.difference == 0
    assert overlap.share == (SIZE - abs(dy)) * (SIZE - abs(dx)) / SIZE**2


@pytest.mark.parametrize(("dy", "dx"), [(12, 20), (-7, 33)])
def test_a_noisy_crop_is_found_too(dy: int, dx: int) -> None:
    picture = sheet(1)
    noise = np.random.default_rng(0).integers(-2, 3, (SIZE, SIZE))
    noisy = (crop(picture, 90 + dy, 80 + dx) + noise).clip(0, 255).astype(np.uint8)
    (overlap,) = found([crop(picture, 90, 80), noisy])
    assert (overlap.dy, overlap.dx) == (dy, dx)
    assert 0.9 < overlap.correlation < 1
    assert overlap.difference == pytest.approx(1.2, abs=0.1)  # the mean of |-2|, |-1|, 0, 1, 2


def test_a_chain_of_crops_is_found_link_by_link() -> None:
    picture = sheet(4)
    places = [(0, 0), (0, 30), (28, 60), (56, 60)]
    overlaps = found([crop(picture, y, x) for y, x in places])
    links = {(o.a, o.b): (o.dy, o.dx) for o in overlaps}
    for a, b in pairwise(range(4)):
        assert links[a, b] == (places[b][0] - places[a][0], places[b][1] - places[a][1])
    assert (0, 3) not in links
    assert not components(4, [(o.a, o.b) for o in overlaps]).any()


def test_no_pairs_among_independent_pictures() -> None:
    rng = np.random.default_rng(0)
    textures = [crop(sheet(seed, 2 * SIZE), 3, 3) for seed in range(30)]
    white = list(rng.integers(0, 256, (30, SIZE, SIZE), dtype=np.uint8))
    even = [np.full((SIZE, SIZE), grey, np.uint8) for grey in (90, 90, 200)]
    assert found([*textures, *white, *even]) == []


def test_an_overlap_of_less_than_a_tenth_does_not_count() -> None:
    picture = sheet(5, 400)
    shares = [0.13, 0.11, 0.09, 0.07]
    pairs = [[crop(picture, 0, 0, 200), crop(picture, 0, 200 - int(200 * s), 200)] for s in shares]
    assert [len(found(pair)) for pair in pairs] == [1, 1, 0, 0]


def test_the_same_place_in_another_light_does_not_count() -> None:
    picture = sheet(6)
    other = (crop(picture, 20, 10) * 0.8 + 40).astype(np.uint8)
    assert correlation(crop(picture, 20, 10), other) > 0.99
    assert found([crop(picture, 0, 0), other]) == []


def test_a_faint_texture_under_noise_does_not_count() -> None:
    # Little contrast: the mean difference is small wherever one looks, the correlation is not high.
    faint = sheet(8) / 25 * 3 + 100
    noise = np.random.default_rng(0).normal(0, 2, (2, SIZE, SIZE))
    a, b = (crop(faint, 0, 0) + noise[0]).astype(np.uint8), crop(faint, 10, 20) + noise[1]
    in_a, in_b = common_region(a, b.astype(np.uint8), 10, 20)
    assert 0.6 < correlation(in_a, in_b) < 0.9
    assert np.abs(in_a.astype(float) - in_b).mean() < 3
    assert found([a, b.astype(np.uint8)]) == []


def test_an_overlap_across_classes_is_found() -> None:
    picture = sheet(7)
    (overlap,) = found([crop(picture, 0, 0), crop(picture, 10, 20)], [0, 4])
    assert (overlap.dy, overlap.dx) == (10, 20)


def test_more_images_than_one_block_of_work() -> None:
    rng = np.random.default_rng(1)
    images = list(rng.integers(0, 256, (300, 16, 16), dtype=np.uint8))
    images[299] = np.roll(images[3], -4, axis=1)  # 12 of 16 columns are the same
    images[299][:, 12:] = 128
    (overlap,) = found(images)
    assert (overlap.a, overlap.b, overlap.dy, overlap.dx) == (3, 299, 0, 4)


@pytest.mark.parametrize("shape", [(2, 15, 16), (2, 16, 15), (2, 16, 16, 1), (16, 16)])
def test_images_of_wrong_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, H, W\) with even H and W"):
        find_overlaps(np.zeros(shape, np.uint8), np.zeros(shape[0], np.int64))


# --- the common region ---------------------------------------------------------------------------


@pytest.mark.parametrize(("dy", "dx"), [(0, 0), (3, 2), (-3, 2), (3, -2), (-3, -2), (0, 5)])
def test_common_region_shows_the_same_place(dy: int, dx: int) -> None:
    picture = np.arange(400).reshape(20, 20)
    a, b = picture[6:14, 6:16], picture[6 + dy : 14 + dy, 6 + dx : 16 + dx]
    in_a, in_b = common_region(a, b, dy, dx)
    assert in_a.shape == (8 - abs(dy), 10 - abs(dx))
    np.testing.assert_array_equal(in_a, in_b)


def test_common_region_gives_views() -> None:
    a, b = np.zeros((8, 8)), np.zeros((8, 8))
    in_a, in_b = common_region(a, b, 2, -3)
    in_a += 1
    in_b += 2
    assert a.sum() == 6 * 5
    assert a[2:, :5].all()
    assert b.sum() == 2 * 6 * 5
    assert b[:6, 3:].all()


@pytest.mark.parametrize(("dy", "dx"), [(8, 0), (-8, 0), (11, 0), (-11, 0), (0, 9), (0, -9)])
def test_common_region_of_images_that_do_not_meet_is_empty(dy: int, dx: int) -> None:
    in_a, in_b = common_region(np.zeros((8, 8)), np.zeros((8, 8)), dy, dx)
    assert in_a.shape == in_b.shape
    assert in_a.size == 0


def test_correlation() -> None:
    a = np.random.default_rng(0).integers(0, 256, (9, 7), dtype=np.uint8)
    b = np.random.default_rng(1).integers(0, 256, (9, 7), dtype=np.uint8)
    assert correlation(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=1e-6)
    assert correlation(a, 255 - a) == pytest.approx(-1)
    assert correlation(a, np.full_like(a, 7)) == 0


# --- components and splits -----------------------------------------------------------------------


def test_components_are_numbered_by_their_first_image() -> None:
    pairs = [(5, 1), (1, 3), (4, 6)]
    np.testing.assert_array_equal(components(8, pairs), [0, 1, 2, 1, 3, 1, 3, 4])
    np.testing.assert_array_equal(components(3, []), [0, 1, 2])


def sheets(sizes_by_class: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and components: for each class the sizes of its components, shuffled together."""
    labels, component = [], []
    for k, sizes in enumerate(sizes_by_class):
        for size in sizes:
            labels += [k] * size
            component += [max(component, default=-1) + 1] * size
    order = np.random.default_rng(0).permutation(len(labels))
    return np.array(labels)[order], np.array(component)[order]


SHEETS = sheets([[7, 5, 4, 1, 1, 1, 1], [10, 3, 3, 2, 2], [1] * 20])


def parts_of_components(split: np.ndarray, component: np.ndarray) -> list[set[str]]:
    return [set(split[component == c].tolist()) for c in np.unique(component)]


@pytest.mark.parametrize("seed", range(20))
def test_exact_counts_and_nothing_across(seed: int) -> None:
    labels, component = SHEETS
    counts = {"test": 5, "validation": 3}
    split = split_by_component(labels, component, counts, seed=seed)
    for k in range(3):
        for part, count in {**counts, "train": 12}.items():
            assert ((labels == k) & (split == part)).sum() == count
    assert all(len(parts) == 1 for parts in parts_of_components(split, component))


def test_a_split_repeats_with_its_seed_and_changes_with_it() -> None:
    splits = [split_by_component(*SHEETS, {"test": 5}, seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(splits[0], splits[1])
    assert (splits[0] != splits[2]).any()


def test_components_of_several_classes_go_to_the_rest() -> None:
    labels = np.array([0, 1, 0, 0, 1, 1])
    component = np.array([0, 0, 1, 2, 3, 4])
    for seed in range(10):  # the mixed component has two images, too
        split = split_by_component(labels, component, {"test": 2}, seed=seed)
        assert split.tolist() == ["train"] * 2 + ["test"] * 4


def test_names_of_parts_may_be_long() -> None:
    labels, component = SHEETS
    name = "validation of the second run"
    split = split_by_component(labels, component, {name: 3}, rest="everything else that is left")
    assert set(split.tolist()) == {name, "everything else that is left"}


@pytest.mark.parametrize("count", [1, 4, 9, 11])
def test_counts_that_components_cannot_make(count: int) -> None:
    labels, component = sheets([[5, 3, 2]])
    with pytest.raises(ValueError, match=f"class 0: .* exactly {count} images for 'test'"):
        split_by_component(labels, component, {"test": count})


@pytest.mark.parametrize("count", [2, 3, 5, 7, 8, 10])
def test_every_count_that_components_can_make(count: int) -> None:
    labels, component = sheets([[5, 3, 2]])
    for seed in range(6):
        split: Any = split_by_component(labels, component, {"test": count}, seed=seed)
        assert (split == "test").sum() == count
