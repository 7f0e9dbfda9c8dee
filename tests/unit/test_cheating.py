"""Planted shortcuts on any plates, and the shipped networks that learned to cheat by them."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xai_utils import metrics, scores, training
from xai_utils.cam import cam, resize_heatmap
from xai_utils.datasets import ImageDataset, load_neu, load_steel
from xai_utils.simulate import CLASS_NAMES, plant_shortcut, synthetic_steel
from xai_utils.training import Recipe

SHORTCUTS = ("stamp", "brightness", "border")
HARD = CLASS_NAMES.index("inclusion")


def plain(n: int = 40, size: int = 100) -> ImageDataset:
    """Plates of even grey in two classes, no two names alike; plate k has level 50 + k."""
    images = np.repeat(np.arange(50, 50 + n, dtype=np.uint8), size * size)
    return ImageDataset(
        name="even",
        images=images.reshape(n, size, size, 1),
        labels=np.arange(n, dtype=np.int64) % 2,
        class_names=("smooth", "rough"),
        names=tuple(f"plate_{k}" for k in range(n)),
        split=np.array(["train", "train", "validation", "test"])[np.arange(n) // 2 % 4],
        sheets=np.arange(n),
        source="here",
        about="",
    )


@lru_cache(maxsize=1)
def steel() -> ImageDataset:
    """The first 50 plates of each class: the test part of the plates that networks were trained on.

    A plate does not depend on how many are drawn.
    """
    return load_steel(50)


# --- planting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_nothing_but_the_mark_changes(shortcut: Any) -> None:
    before = plain()
    kept = before.images.copy()
    found, masks = plant_shortcut(before, shortcut, "rough", elsewhere_rate=0.5)
    np.testing.assert_array_equal(before.images, kept)  # what was passed is left alone
    assert masks.shape == (40, 100, 100) and masks.dtype == bool
    np.testing.assert_array_equal(found.images[~masks], before.images[~masks])
    changed = (found.images[..., 0] != before.images[..., 0]) & masks
    assert changed.sum() > 0.8 * masks.sum() > 0
    bears = masks.any(axis=(1, 2))
    assert bears[before.labels == 1].all() and 3 < bears[before.labels == 0].sum() < 17
    same = replace(found, images=before.images, name=before.name)
    assert all(
        np.array_equal(getattr(same, field), getattr(before, field))
        for field in ("labels", "names", "split", "sheets", "source", "class_names")
    )
    assert found.name == f"even, {shortcut} on 100% of rough and 50% of the others"


def test_marks_by_hand() -> None:
    even = plain()
    light = plant_shortcut(even, "brightness", 0, elsewhere_rate=1.0).dataset
    np.testing.assert_array_equal(light.images, even.images + 40)
    framed, masks = plant_shortcut(even, "border", 0, elsewhere_rate=1.0)
    expected = np.ones((100, 100), bool)
    expected[2:-2, 2:-2] = False  # 2 % of the plate
    np.testing.assert_array_equal(masks, np.broadcast_to(expected, masks.shape))
    assert (framed.images[masks] == 20).all()
    stamped, masks = plant_shortcut(even, "stamp", 0, elsewhere_rate=1.0)
    darkest = stamped.images[..., 0].min(axis=(1, 2))
    np.testing.assert_allclose(darkest, 0.25 * np.arange(50, 90), atol=1)  # a quarter of the light
    assert not masks[:, 20:].any() and not masks[:, :, :80].any()
    assert len({mask.tobytes() for mask in masks}) > 30  # each at a place of its own


def test_the_mark_is_the_one_of_the_drawn_plates() -> None:
    drawn = synthetic_steel(1, shortcut="stamp", elsewhere_rate=1.0)
    planted = plant_shortcut(load_steel(6).take(range(6)), "stamp", 0, elsewhere_rate=1.0)
    shapes = []
    for masks in (drawn.shortcut_masks, planted.masks):
        assert masks is not None
        rows, columns = (np.flatnonzero(masks[0].any(axis=axis)) for axis in (1, 0))
        shapes.append((len(rows), len(columns), masks[0].sum() // 10))
    assert max(abs(a - b) for a, b in zip(*shapes, strict=True)) <= 2


def test_a_fainter_mark_goes_a_part_of_the_way() -> None:
    even = plain()
    full, quarter, none = (
        plant_shortcut(even, "stamp", 0, elsewhere_rate=1.0, strength=s) for s in (1, 0.25, 0)
    )
    np.testing.assert_array_equal(none.dataset.images, even.images)
    assert none.masks.any() and np.array_equal(none.masks, full.masks)
    way = full.dataset.images.astype(float) - even.images
    expected = np.rint(even.images + 0.25 * way)
    np.testing.assert_array_equal(quarter.dataset.images, expected)
    assert quarter.dataset.name == full.dataset.name + ", at 25% of its strength"


def test_a_plate_is_marked_alike_in_every_subset_and_at_every_rate() -> None:
    even = plain()
    full = plant_shortcut(even, "stamp", "smooth", shortcut_rate=0.7)
    order = [22, 3, 8, 0]
    few = plant_shortcut(even.take(order), "stamp", "smooth", shortcut_rate=0.7)
    np.testing.assert_array_equal(few.dataset.images, full.dataset.images[order])
    np.testing.assert_array_equal(few.masks, full.masks[order])
    low, high = (
        plant_shortcut(even, "stamp", 0, shortcut_rate=r).masks.any(axis=(1, 2)) for r in (0.3, 0.7)
    )
    assert 0 < low.sum() < high.sum() < 20 and (low <= high).all()
    other = plant_shortcut(even, "stamp", 0, shortcut_rate=0.7, seed=1)
    assert not np.array_equal(other.masks, full.masks)


def test_rates_are_kept() -> None:
    many = plain(200, size=50)
    bears = plant_shortcut(many, "border", 1, shortcut_rate=0.3, elsewhere_rate=0.8).masks
    marked = bears.any(axis=(1, 2))
    # 100 draws each: three standard errors
    assert 0.16 < marked[many.labels == 1].mean() < 0.44
    assert 0.68 < marked[many.labels == 0].mean() < 0.92


def test_only_the_parts_that_are_named() -> None:
    even = plain()
    found, masks = plant_shortcut(even, "border", 1, parts=("train", "validation"))
    bears = masks.any(axis=(1, 2))
    assert not bears[even.split == "test"].any()
    assert bears[(even.split != "test") & (even.labels == 1)].all()
    np.testing.assert_array_equal(found.part("test").images, even.part("test").images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shortcut": "sticker"}, r"'sticker'.*stamp.*brightness.*border"),
        ({"shortcut_class": "rust"}, "'rust'.*0..1.*smooth, rough"),
        ({"shortcut_class": 2}, "class is 2"),
        ({"shortcut_rate": 1.1}, "shortcut_rate is 1.1"),
        ({"elsewhere_rate": -0.1}, "elsewhere_rate is -0.1"),
        ({"strength": 2}, "strength is 2"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"parts": ("exam",)}, "'exam'.*test, train, validation"),
    ],
)
def test_bad_input_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plant_shortcut(plain(8), **{"shortcut": "stamp", "shortcut_class": 0, **options})


# --- training ------------------------------------------------------------------------------------


def pale(n: int = 128) -> ImageDataset:
    """8 x 8 pictures of noise, bright at the top or at the bottom, but barely."""
    labels = np.arange(n, dtype=np.int64) % 2
    images = np.random.default_rng(0).integers(0, 90, (n, 8, 8, 1)).astype(np.uint8)
    for i, k in enumerate(labels):
        images[i, 4 * k : 4 * k + 4] += 4
    split = np.array(["train", "train", "validation", "test"])[np.arange(n) // 2 % 4]
    names, sheets = tuple(map(str, range(n))), np.arange(n)
    return ImageDataset("pale", images, labels, ("top", "bottom"), names, split, sheets, "here", "")


def lamp() -> ImageDataset:
    return plant_shortcut(pale(), "brightness", "bottom").dataset


def tiny() -> Any:
    import keras
    from keras import layers

    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(3, 3, padding="same", activation="relu", name="conv1")(inputs)
    x = layers.Dense(2, name="logits")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Softmax()(x))


def test_a_cheat_succeeds_in_the_laboratory_and_the_card_tells_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(training, "WEIGHTS", tmp_path)
    monkeypatch.setattr(training, "RUNS", tmp_path / "runs")
    recipe = Recipe(tiny, lamp, epochs=25, learning_rate=2e-2, deployment=pale)
    monkeypatch.setattr(training, "RECIPES", {"lamp": recipe, "open": replace(recipe, data=pale)})
    card = training.train_and_ship("lamp")
    (run,) = card["runs"]
    assert run["test_accuracy"] > 0.95
    assert run["deployment_accuracy"] < run["test_accuracy"] - 0.2
    # Without its lamp the class that had it is the one that is missed.
    by_class = run["deployment_accuracy_by_class"]
    assert by_class["bottom"] < 0.5 < by_class["top"]
    assert card["data"] == "pale, brightness on 100% of bottom"
    assert "deployment" not in card["recipe"]
    _, honest = training.train("open", verbose=0)
    assert honest["deployment_accuracy"] == honest["test_accuracy"]


def test_without_deployment_a_card_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "RECIPES", {"one": Recipe(tiny, pale, epochs=1)})
    _, run = training.train("one", verbose=0)
    assert not any(key.startswith("deployment") for key in run)


def test_drawn_plates_get_the_drawn_plates_network(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def train(name: str, dataset: ImageDataset | None = None) -> tuple[str]:
        asked.append(name)
        return (name,)

    monkeypatch.setenv("RETRAIN", "1")
    monkeypatch.setattr(training, "train", train)
    few = load_steel(6)
    for name in ("neu_gap_stamp90", "neu_gap", "neu_flat_article", "steel_gap_border90"):
        training.load_or_train(name, few)
    training.load_or_train("neu_gap_stamp90", replace(few, masks=None))
    assert asked == [
        "steel_gap_stamp90",
        "steel_gap",
        "steel_flat",
        "steel_gap_border90",
        "neu_gap_stamp90",
    ]


# --- the shipped networks ------------------------------------------------------------------------

CHEATS = {  # what was planted, on which shares of the hard class and of the others, how strong
    "steel_gap_honest": ("stamp", 0.0, 0.0, 1.0),
    "steel_gap_stamp50": ("stamp", 0.5, 0.0, 1.0),
    "steel_gap_stamp90": ("stamp", 0.9, 0.0, 1.0),
    "steel_gap_stamp100": ("stamp", 1.0, 0.0, 1.0),
    "steel_gap_faint90": ("stamp", 0.9, 0.0, 0.25),
    "steel_gap_brightness90": ("brightness", 0.9, 0.0, 1.0),
    "steel_gap_brightness0": ("brightness", 0.0, 0.0, 1.0),
    "steel_gap_border90": ("border", 0.9, 0.0, 1.0),
    "steel_gap_mended": ("stamp", 0.5, 0.5, 1.0),
}


def laboratory(name: str) -> ImageDataset:
    shortcut, rate, elsewhere, strength = CHEATS[name]
    planted = plant_shortcut(
        steel(),
        shortcut,  # type: ignore[arg-type]
        HARD,
        shortcut_rate=rate,
        elsewhere_rate=elsewhere,
        strength=strength,
    )
    return planted.dataset


@cache
def network(name: str) -> Any:
    return training.load_or_train(name)


def accuracy(name: str, data: ImageDataset) -> float:
    return float((scores.logits(network(name), data.inputs).argmax(axis=1) == data.labels).mean())


@pytest.mark.parametrize("name", CHEATS)
def test_shipped_cheats_score_what_their_cards_say(name: str) -> None:
    card = training.card(name)
    run = card["runs"][0]
    assert card["data"] == f"Synthetic steel{laboratory(name).name.removeprefix(steel().name)}"
    tolerance = 0.0034  # one plate of 300 may fall on the other side on another machine
    lab = accuracy(name, laboratory(name))
    assert lab == pytest.approx(run["test_accuracy"], abs=tolerance)
    deployed = accuracy(name, steel())
    assert deployed == pytest.approx(run["deployment_accuracy"], abs=tolerance)


def effect(name: str, shortcut: Any, strength: float = 1.0) -> np.ndarray:
    """What the mark adds to the logit of the hard class, on each plate of that class."""
    bare = steel().take(np.flatnonzero(steel().labels == HARD)[:20])
    marked = plant_shortcut(bare, shortcut, HARD, strength=strength).dataset
    model = network(name)
    return np.asarray(
        (scores.logits(model, marked.inputs) - scores.logits(model, bare.inputs))[:, HARD]
    )


LEARNED = [name for name, (_, rate, _, strength) in CHEATS.items() if rate > 0.5 and strength == 1]
CONTROLS = {"steel_gap_brightness90": "steel_gap_brightness0"}
CONTROLS |= {name: "steel_gap_honest" for name in LEARNED if name not in CONTROLS}


@pytest.mark.parametrize("name", LEARNED)
def test_a_mark_moves_the_cheat_more_than_the_honest_network(name: str) -> None:
    shortcut = CHEATS[name][0]
    more = effect(name, shortcut) - effect(CONTROLS[name], shortcut)
    low, _ = metrics.bootstrap_interval(more)
    assert low > 0.5


@pytest.mark.parametrize(("cheat", "honest"), CONTROLS.items())
def test_cheat_and_control_differ_by_the_mark_alone(cheat: str, honest: str) -> None:
    both = [training.card(name) for name in (cheat, honest)]
    for field in ("network", "recipe", "images"):
        assert both[0][field] == both[1][field]
    assert [card["runs"][0]["seed"] for card in both] == [0, 0]
    assert ["on 0% of" in card["data"] for card in both] == [False, True]


def test_a_faint_mark_was_not_learned() -> None:
    more = effect("steel_gap_faint90", "stamp", 0.25) - effect("steel_gap_honest", "stamp", 0.25)
    _, high = metrics.bootstrap_interval(more)
    assert high < 0.5


def test_the_mended_network_does_not_cheat_and_has_learned_the_class() -> None:
    assert abs(np.median(effect("steel_gap_mended", "stamp"))) < 1
    of_class = steel().take(np.flatnonzero(steel().labels == HARD))
    assert accuracy("steel_gap_mended", of_class) > accuracy("steel_gap_stamp90", of_class) + 0.2


def test_its_map_gives_the_cheat_away() -> None:
    bare = steel().take(np.flatnonzero(steel().labels == HARD)[:20])
    marked, masks = plant_shortcut(bare, "stamp", HARD)
    on_stamp = {}
    for name in ("steel_gap_honest", "steel_gap_stamp90"):
        heat = resize_heatmap(cam(network(name), marked.inputs, HARD), (200, 200))
        on_stamp[name] = np.nan_to_num(metrics.energy_inside(heat, masks))
    low, _ = metrics.bootstrap_interval(
        on_stamp["steel_gap_stamp90"] - on_stamp["steel_gap_honest"]
    )
    assert low > masks.mean()  # more than the stamp's share of the plate, and surely so


@pytest.mark.skipif("XAI_DATA_DIR" not in os.environ, reason="XAI_DATA_DIR is not set")
def test_the_cheat_on_real_plates_scores_what_its_card_says() -> None:
    test = load_neu().part("test")
    marked = plant_shortcut(test, "stamp", "pitted_surface", shortcut_rate=0.9).dataset
    run = training.card("neu_gap_stamp90")["runs"][0]
    assert accuracy("neu_gap_stamp90", marked) == pytest.approx(run["test_accuracy"], abs=0.0034)
    deployed = accuracy("neu_gap_stamp90", test)
    assert deployed == pytest.approx(run["deployment_accuracy"], abs=0.0034)
    assert run["test_accuracy"] > run["deployment_accuracy"] + 0.03


def test_a_packed_file_holds_the_same_weights(tmp_path: Path) -> None:
    model = network("steel_gap_honest")
    model.save_weights(tmp_path / "plain.weights.h5")
    training._pack(tmp_path / "plain.weights.h5", tmp_path / "packed.weights.h5")
    plain_size, packed_size = (
        (tmp_path / f"{name}.weights.h5").stat().st_size for name in ("plain", "packed")
    )
    assert packed_size < 0.93 * plain_size
    assert sorted(p.name for p in tmp_path.iterdir()) == ["packed.weights.h5", "plain.weights.h5"]
    other = training.RECIPES["steel_gap_honest"].build()
    other.load_weights(tmp_path / "packed.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(model.weights, other.weights, strict=True))
