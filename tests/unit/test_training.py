"""Training on tiny networks, and the shipped weights on the data that their cards name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xai_utils import training
from xai_utils.datasets import ImageDataset, load_mnist, load_neu, load_steel
from xai_utils.training import Recipe


def spots(n: int = 64) -> ImageDataset:
    """8 x 8 pictures, bright at the top or at the bottom."""
    labels = np.arange(n, dtype=np.int64) % 2
    images = np.random.default_rng(0).integers(0, 90, (n, 8, 8, 1)).astype(np.uint8)
    for i, k in enumerate(labels):
        images[i, 4 * k : 4 * k + 4] += 120
    split = np.array(["train", "train", "validation", "test"])[np.arange(n) // 2 % 4]
    names = tuple(map(str, range(n)))
    sheets = np.arange(n)
    return ImageDataset(
        "spots", images, labels, ("top", "bottom"), names, split, sheets, "here", ""
    )


def tiny() -> object:
    import keras
    from keras import layers

    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(3, 3, padding="same", activation="relu", name="conv1")(inputs)
    x = layers.Flatten()(x)
    x = layers.Dense(2, name="logits")(x)
    return keras.Model(inputs, layers.Softmax()(x))


@pytest.fixture
def recipes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Known recipes replaced by the given ones; weights and cards go to a temporary folder."""
    monkeypatch.setattr(training, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(training, "RUNS", tmp_path / "runs")
    (tmp_path / "weights").mkdir()

    def use(**named: Recipe) -> None:
        monkeypatch.setattr(training, "RECIPES", named)

    return use


def test_a_seed_repeats_and_another_one_differs(recipes: Callable[..., None]) -> None:
    recipes(tiny=Recipe(tiny, spots, epochs=2, jitter=(0.1, 0.08)))  # type: ignore[arg-type]
    first, again, other = (training.train("tiny", seed, verbose=0)[0] for seed in (0, 0, 1))
    for a, b, c in zip(first.weights, again.weights, other.weights, strict=True):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)


def test_training_learns_and_the_card_says_so(recipes: Callable[..., None]) -> None:
    recipes(tiny=Recipe(tiny, spots, 12, 3e-2, warmup=2, best_epoch=True, seeds=(0, 1)))  # type: ignore[arg-type]
    card = training.train_and_ship("tiny")
    assert card == training.card("tiny")
    assert [run["seed"] for run in card["runs"]] == [0, 1]
    accuracies = [run["test_accuracy"] for run in card["runs"]]
    assert card["test_accuracy_mean"] == pytest.approx(np.mean(accuracies), abs=1e-4)
    assert min(accuracies) > 0.9
    assert min(run["train_accuracy"] for run in card["runs"]) > 0.9
    assert card["images"] == {"test": 16, "train": 32, "validation": 16}
    loaded = training.load_or_train("tiny")
    kept = training.RECIPES["tiny"].build()
    kept.load_weights(training.RUNS / "tiny-0.weights.h5")  # the first seed is the shipped one
    assert all(np.array_equal(a, b) for a, b in zip(loaded.weights, kept.weights, strict=True))


def test_runs_of_other_seeds_stay_in_the_card_while_the_recipe_is_the_same(
    recipes: Callable[..., None],
) -> None:
    recipes(tiny=Recipe(tiny, spots, epochs=1, seeds=(0, 1)))  # type: ignore[arg-type]
    training.train_and_ship("tiny", [0])
    card = training.train_and_ship("tiny", [1])
    assert [run["seed"] for run in card["runs"]] == [0, 1]
    recipes(tiny=Recipe(tiny, spots, epochs=2, seeds=(0, 1)))  # type: ignore[arg-type]
    card = training.train_and_ship("tiny", [1])
    assert [run["seed"] for run in card["runs"]] == [1]


def test_best_epoch_is_the_one_with_the_lowest_validation_loss(
    recipes: Callable[..., None],
) -> None:
    # At this rate the loss blows up after a first good epoch.
    recipes(wild=Recipe(tiny, spots, epochs=6, learning_rate=3.0, best_epoch=True))  # type: ignore[arg-type]
    model, run = training.train("wild", verbose=0)
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    part = spots().part("validation")
    accuracy = model.evaluate(part.inputs, part.labels, verbose=0)[1]
    assert accuracy == pytest.approx(run["validation_accuracy"], abs=1e-3)
    assert 1 <= run["epoch"] <= 6


def test_start_copies_convolutions_and_frozen_ones_stay(recipes: Callable[..., None]) -> None:
    recipes(
        a=Recipe(tiny, spots, epochs=1),  # type: ignore[arg-type]
        b=Recipe(tiny, spots, epochs=2, start="a", frozen=("conv1",)),  # type: ignore[arg-type]
    )
    alone = training.train("b", verbose=0)[0]  # no run of "a" is at hand, so it is trained first
    training.train_and_ship("a")
    a, b = training.load_or_train("a"), training.train("b", verbose=0)[0]
    assert np.array_equal(a.get_layer("conv1").kernel, b.get_layer("conv1").kernel)
    assert np.array_equal(a.get_layer("conv1").kernel, alone.get_layer("conv1").kernel)
    assert not np.array_equal(a.get_layer("logits").kernel, b.get_layer("logits").kernel)
    assert b.get_layer("conv1").trainable


def test_unknown_network_and_missing_weights(recipes: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="neu_flat"):
        training.load_or_train("vgg")
    recipes(tiny=Recipe(tiny, spots, epochs=1))  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match="python -m xai_utils train tiny"):
        training.load_or_train("tiny")


def accuracy(name: str, data: ImageDataset) -> float:
    test = data.part("test")
    model = training.load_or_train(name, data)
    predicted = model.predict(test.inputs, batch_size=64, verbose=0).argmax(axis=1)
    return float((predicted == test.labels).mean())


@pytest.mark.skipif("XAI_DATA_DIR" not in os.environ, reason="XAI_DATA_DIR is not set")
@pytest.mark.parametrize(
    ("name", "load", "least"),
    [
        ("neu_flat", load_neu, 0.9),
        ("neu_gap", load_neu, 0.9),
        ("neu_flat_article", lambda: load_neu(split="random"), 0.85),
        ("mnist", load_mnist, 0.985),
    ],
)
def test_shipped_weights_score_what_their_card_says(
    name: str, load: Callable[[], ImageDataset], least: float
) -> None:
    scored = accuracy(name, load())
    assert scored == pytest.approx(training.card(name)["runs"][0]["test_accuracy"], abs=0.0034)
    assert scored > least


def test_synthetic_steel_gets_its_own_weights() -> None:
    steel = load_steel()
    for name in ("neu_flat", "neu_gap"):
        scored = accuracy(name, steel)
        card = training.card(name.replace("neu", "steel"))
        assert scored == pytest.approx(card["runs"][0]["test_accuracy"], abs=0.0034)
        assert scored >= (0.95 if name == "neu_flat" else 0.9)


def test_digits_whose_labels_say_nothing() -> None:
    true, shuffled = (training.RECIPES[n].data() for n in ("mnist_few", "mnist_shuffled"))
    assert np.array_equal(true.images, shuffled.images)
    for part, n in (("train", 1000), ("validation", 500), ("test", 1000)):
        a, b = true.part(part).labels, shuffled.part(part).labels
        assert np.bincount(a).tolist() == np.bincount(b).tolist() == [n // 10] * 10
        same = float((a == b).mean())
        assert same < 0.15 if part == "train" else same == 1
    mnist = load_mnist()
    if len(mnist) == 5000:  # the embedded digits: those that are learned are not tested on
        held_out = set(mnist.part("test").names)
        assert held_out.isdisjoint(true.part("train").names)
        assert held_out == set(true.part("test").names)


def test_shuffled_labels_are_known_by_heart_and_good_for_nothing() -> None:
    right = {}
    for name in ("mnist_few", "mnist_shuffled"):
        data, model = training.RECIPES[name].data(), training.load_or_train(name)
        for part in ("train", "test"):
            found = model.predict(data.part(part).inputs, batch_size=64, verbose=0).argmax(axis=1)
            right[name, part] = float((found == data.part(part).labels).mean())
        run = training.card(name)["runs"][0]
        assert right[name, "train"] == pytest.approx(run["train_accuracy"], abs=0.002)
        assert right[name, "test"] == pytest.approx(run["test_accuracy"], abs=0.002)
    assert right["mnist_few", "train"] > 0.98 and right["mnist_few", "test"] > 0.9
    assert right["mnist_shuffled", "train"] > 0.98 and right["mnist_shuffled", "test"] < 0.15
