"""How the shipped networks were trained, and where their weights and cards lie.

Every network has a `Recipe`.  `load_or_train` loads shipped weights, or trains when ``RETRAIN=1``;
``python -m xai_utils train`` trains again with every seed and rewrites weights and cards.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import time
import weakref
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import __version__, storage
from ._feeding import plain_batches, training_batches
from ._quiet import import_tensorflow
from ._recipes import RECIPES, Recipe
from .datasets import DATA, ImageDataset

if TYPE_CHECKING:
    import keras

__all__ = [
    "RECIPES",
    "RUNS",
    "WEIGHTS",
    "Recipe",
    "card",
    "load_or_train",
    "shipped_as",
    "train",
    "train_and_ship",
]

WEIGHTS = DATA / "weights"
RUNS = DATA.parent / "build" / "weights"  # every seed's result; only one seed is shipped
SCORING_BATCH = 32  # how many are scored at once; does not matter to the result
_shipped: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()  # model -> its name


def load_or_train(name: str, dataset: ImageDataset | None = None) -> keras.Model:
    """A trained network of the course: shipped weights, or trained now if ``RETRAIN=1``.

    Args:
        name: a key of `RECIPES`.  With synthetic steel as ``dataset`` a ``neu_...`` name gives
            the network that was trained on synthetic steel, because one that was trained on real
            plates is not expected to work there.
        dataset: the images that the network will see, and is trained on if it is.

    Raises:
        ValueError: unknown name.
        FileNotFoundError: the weights are not in the repository.
        storage.DamagedFile: they are, but not as they should be.
    """
    if name not in RECIPES:
        raise ValueError(f"no network {name!r}; known: {', '.join(RECIPES)}")
    if dataset is not None and dataset.masks is not None and name.startswith("neu_"):
        drawn = "steel_" + name.removeprefix("neu_")
        name = drawn if drawn in RECIPES else "steel_" + name.split("_")[1]
    if os.environ.get("RETRAIN") == "1":
        return train(name, dataset=dataset)[0]
    path = WEIGHTS / f"{name}.weights.h5"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: take it from the repository, or make it with "
            f"'python -m xai_utils train {name}'"
        )
    model = RECIPES[name].build()
    try:
        model.load_weights(path)
    except (ValueError, OSError, LookupError) as error:
        raise storage.DamagedFile(
            f"{path} is damaged: {error}; take it from the repository again, or make it with "
            f"'python -m xai_utils train {name}'"
        ) from error
    _shipped[model] = name
    return model


def shipped_as(model: Any) -> str | None:
    """Under which name a network's weights are shipped; None unless `load_or_train` loaded them."""
    return _shipped.get(model) if hasattr(model, "load_weights") else None


def card(name: str) -> dict[str, Any]:
    """What is known about the training of a network: data, seeds, accuracies, versions."""
    return dict(json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8")))


def train(
    name: str, seed: int = 0, dataset: ImageDataset | None = None, verbose: str | int = "auto"
) -> tuple[keras.Model, dict[str, Any]]:
    """Train one network with one seed; the test part is looked at once, at the end.

    Returns:
        The model, and what a card says of this run.
    """
    import_tensorflow()
    import keras

    recipe = RECIPES[name]
    dataset = recipe.data() if dataset is None else dataset
    keras.utils.set_random_seed(seed)
    model = recipe.build()
    if recipe.start is not None:
        _start_from(recipe.start, seed, model, dataset, verbose)
    for layer in recipe.frozen:
        model.get_layer(layer).trainable = False
    batches = training_batches(dataset.part("train"), recipe, seed)
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(_rate(recipe, len(batches))), loss, metrics=["accuracy"])
    best = keras.callbacks.EarlyStopping(
        "val_loss", patience=recipe.epochs, restore_best_weights=True
    )
    start = time.perf_counter()
    history = model.fit(
        batches,
        epochs=recipe.epochs,
        validation_data=plain_batches(dataset.part("validation"), SCORING_BATCH),
        callbacks=[best] if recipe.best_epoch else [],
        verbose=verbose,
    ).history
    seconds = time.perf_counter() - start
    for layer in recipe.frozen:
        model.get_layer(layer).trainable = True
    losses = history["val_loss"]
    chosen = int(np.argmin(losses)) if recipe.best_epoch else len(losses) - 1
    return model, {
        "seed": seed,
        "epoch": chosen + 1,
        "seconds": round(seconds),
        "train_accuracy": round(_right(model, dataset.part("train")).mean(), 4),
        "validation_accuracy": round(history["val_accuracy"][chosen], 4),
        **_test(model, dataset, "test"),
        **({} if recipe.deployment is None else _test(model, recipe.deployment(), "deployment")),
    }


def _rate(recipe: Recipe, batches: int) -> Any:
    """The learning rate: a number, or a warm-up and a cosine (Loshchilov & Hutter 2017)."""
    from keras.optimizers.schedules import CosineDecay

    if not recipe.warmup:
        return recipe.learning_rate
    return CosineDecay(
        0.0,
        float((recipe.epochs - recipe.warmup) * batches),
        warmup_target=recipe.learning_rate,
        warmup_steps=float(recipe.warmup * batches),
    )


def _test(model: keras.Model, dataset: ImageDataset, where: str) -> dict[str, Any]:
    test = dataset.part("test")
    right = _right(model, test)
    by_class = {
        c: round(float(right[test.labels == k].mean()), 4) for k, c in enumerate(test.class_names)
    }
    overall = round(float(right.mean()), 4)
    return {f"{where}_accuracy": overall, f"{where}_accuracy_by_class": by_class}


def _right(model: keras.Model, part: ImageDataset) -> NDArray[np.bool_]:
    """Which images the network names as their labels do."""
    predicted = model.predict(part.inputs, batch_size=SCORING_BATCH, verbose=0).argmax(axis=1)
    return np.asarray(predicted == part.labels)


def _start_from(
    start: str, seed: int, model: keras.Model, dataset: ImageDataset, verbose: str | int
) -> None:
    """Give ``model`` the weights of another trained network, or only its convolutions.

    The other one is trained now if no run of this seed is at hand.
    """
    recipe = RECIPES[start]
    places = [RUNS / f"{start}-{seed}.weights.h5"]
    if seed == recipe.seeds[0]:
        places.append(WEIGHTS / f"{start}.weights.h5")
    path = next((path for path in places if path.is_file()), None)
    if path is None:
        other = train(start, seed, dataset, verbose)[0]
    else:
        other = recipe.build()
        other.load_weights(path)
    for layer in model.layers:
        if layer.name.startswith("conv") or other.name == model.name:
            layer.set_weights(other.get_layer(layer.name).get_weights())


def train_and_ship(name: str, seeds: Sequence[int] | None = None) -> dict[str, Any]:
    """Train a network with its seeds, ship the first one's weights, and write the card.

    Runs that the card already holds, of other seeds with the same recipe on the same data, stay.
    """
    recipe = RECIPES[name]
    dataset = recipe.data()
    RUNS.mkdir(parents=True, exist_ok=True)
    for seed in recipe.seeds if seeds is None else seeds:
        model, run = train(name, seed, dataset, verbose=2)
        bare = recipe.build()  # a compiled model would save its optimizer, twice the size, too
        bare.set_weights(model.get_weights())
        bare.save_weights(RUNS / f"{name}-{seed}.weights.h5")
        if recipe.ship and seed == recipe.seeds[0]:
            _pack(RUNS / f"{name}-{seed}.weights.h5", WEIGHTS / f"{name}.weights.h5")
        written = _with_run(name, dataset, run, model.count_params())
        part = WEIGHTS / f"{name}.json.part"
        part.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
        os.replace(part, WEIGHTS / f"{name}.json")
    return card(name)


def _pack(saved: Path, shipped: Path) -> None:
    """The same weights, bit for bit, in a file that is an eighth smaller; Keras reads it as it is.

    Written beside its place first, so that a broken-off copy is never taken for the weights.
    """
    import h5py  # type: ignore[import-untyped]

    part = shipped.with_name(f".{shipped.name}.part")
    with h5py.File(saved) as source, h5py.File(part, "w", libver="latest") as target:

        def copy(name: str, found: Any) -> None:
            if isinstance(found, h5py.Dataset):
                smaller = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
                target.create_dataset(name, data=found[()], **(smaller if found.size > 99 else {}))
            else:
                target.require_group(name)
            target[name].attrs.update(found.attrs)

        target.attrs.update(source.attrs)
        source.visititems(copy)
    os.replace(part, shipped)


def _with_run(
    name: str, dataset: ImageDataset, run: dict[str, Any], parameters: int
) -> dict[str, Any]:
    """The card with this run in it, beside the runs that can stand beside it."""
    recipe = RECIPES[name]
    network = getattr(recipe.build, "func", recipe.build).__name__
    digest = hashlib.sha256(dataset.images.tobytes() + "".join(dataset.split).encode())
    about: dict[str, Any] = {
        "network": network,
        "parameters": parameters,
        "data": dataset.name,
        "source": dataset.source,
        "images": {p: int((dataset.split == p).sum()) for p in np.unique(dataset.split).tolist()},
        "sha256_of_images_and_split": digest.hexdigest(),
        "recipe": {
            field.name: value
            for field in dataclasses.fields(recipe)
            if field.name not in ("build", "data", "deployment", "seeds", "ship")
            and (value := getattr(recipe, field.name)) is not None
        },
        "weights_shipped": recipe.ship,
    }
    about = json.loads(json.dumps(about))  # tuples become lists, as they are on file
    try:
        before = card(name)
    except FileNotFoundError:
        before = {}
    comparable = all(before.get(key) == about[key] for key in about if key != "source")
    runs = [r for r in before.get("runs", []) if comparable and r["seed"] != run["seed"]]
    runs = sorted([*runs, run], key=lambda r: int(r["seed"]))
    accuracy = [r["test_accuracy"] for r in runs]
    return about | {
        "test_accuracy_mean": round(float(np.mean(accuracy)), 4),
        "test_accuracy_spread": round(float(np.ptp(accuracy)), 4),
        "runs": runs,
        "versions": {
            "xai_utils": __version__,
            "python": platform.python_version(),
            **{package: version(package) for package in ("tensorflow", "keras", "numpy")},
        },
    }
