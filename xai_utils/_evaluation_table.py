"""What an evaluation is made of: images in a fair order, values, and the table of their means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import metrics
from ._evaluation_views import Scoreboard

if TYPE_CHECKING:
    import pandas as pd

    from .datasets import ImageDataset

ALL = "all"  # the class of the rows that are over all classes
Values = NDArray[np.float64]


class Result(NamedTuple):
    """What one metric said of one method: numbers of images, values and chance, ``(N,)`` each."""

    images: NDArray[np.intp]
    value: Values
    chance: Values


class Part(NamedTuple):
    """Some of a data set's images, in the order in which they are explained: one chunk of work.

    ``start`` is their place in that order, ``numbers`` those in the data set.
    """

    start: int
    numbers: NDArray[np.intp]
    images: NDArray[np.float32]
    labels: NDArray[np.int32]
    masks: NDArray[np.bool_] | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return (self.images.shape[1], self.images.shape[2])


class Data(NamedTuple):
    """What is needed of a data set, and the order in which its images are explained."""

    images: NDArray[np.float32]
    labels: NDArray[np.int32]
    masks: NDArray[np.bool_] | None
    sheets: NDArray[np.int64]
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    order: NDArray[np.intp]

    @classmethod
    def of(cls, dataset: ImageDataset, seed: int) -> Data:
        size = dataset.images.shape[1:3]
        masks = dataset.masks
        if masks is None and dataset.boxes:
            masks = np.stack([metrics.box_mask(b, size) for b in dataset.boxes])
        labels = np.asarray(dataset.labels).astype(np.int32)
        return cls(
            dataset.inputs,
            labels,
            masks,
            dataset.sheets,
            dataset.names,
            dataset.class_names,
            in_turn(labels, seed),
        )

    def part(self, index: NDArray[np.intp], start: int) -> Part:
        """The images of these numbers, which come in the order from ``start`` on."""
        masks = None if self.masks is None else self.masks[index]
        return Part(start, index, self.images[index], self.labels[index], masks)

    def sample(self, limit: int | None) -> NDArray[np.intp]:
        return self.order if limit is None else self.order[:limit]


def in_turn(labels: ArrayLike, seed: int = 0) -> NDArray[np.intp]:
    """A seeded order of images in which classes take turns: every beginning is a fair sample.

    Args:
        labels: ``(N,)``, the class of each image.

    Returns:
        ``(N,)``: numbers of images; the first n hold as many of each class as possible.
    """
    labels = np.asarray(labels)
    drawn = np.random.default_rng(seed).permutation(len(labels))
    turn = np.empty(len(labels), int)  # how many of the image's class come before it
    for k in np.unique(labels):
        own = drawn[labels[drawn] == k]
        turn[own] = np.arange(len(own))
    return drawn[np.lexsort((labels[drawn], turn[drawn]))]


# --- the table -----------------------------------------------------------------------------------


def table(
    results: Mapping[str, tuple[dict[str, Result], float]],
    controls: Mapping[str, bool],
    better: Mapping[str, str],
    data: Data,
    interval: dict[str, Any],
) -> Scoreboard:
    """One row for each method, metric and class, and for all classes together.

    Args:
        results: by method: what each metric said, and seconds an image.
        controls: by method.
        better: by metric.
        data: classes and sheets.
        interval: options of `metrics.bootstrap_interval`.
    """
    rows = []
    for name, (found, seconds) in results.items():
        for m, result in found.items():
            about = {"method": name, "control": controls[name], "metric": m}
            labels = data.labels[result.images]
            for k, label in enumerate((ALL, *data.class_names)):
                own = labels == k - 1 if k else np.ones(len(labels), bool)
                if own.any():
                    part = Result(*(column[own] for column in result))
                    row = _row(part, data.sheets[part.images], better[m], interval)
                    rows.append(about | {"better": better[m], "class": label} | row)
                    rows[-1]["seconds"] = seconds
    return Scoreboard(rows)


def _row(
    result: Result, sheets: NDArray[np.int64], better: str, interval: dict[str, Any]
) -> dict[str, float]:
    """Mean, interval, chance and gain of the images that have a value."""
    there = ~np.isnan(result.value)
    value, chance = result.value, result.chance
    gain = np.where(there, chance - value if better == "lower" else value - chance, 0)
    row: dict[str, Any] = dict.fromkeys(
        ("mean", "low", "high", "chance", "gain", "gain_low", "gain_high"), np.nan
    )
    if there.any():
        low, high = metrics.bootstrap_interval(value[there], sheets[there], **interval)
        row |= {"mean": value[there].mean(), "low": low, "high": high}
    if better != "neither" and not np.isnan(chance).any():
        low, high = metrics.bootstrap_interval(gain, sheets, **interval)
        row |= {"chance": chance.mean(), "gain": gain.mean(), "gain_low": low, "gain_high": high}
    return row | {"images": int(there.sum()), "undefined": int((~there).sum())}


def per_image(results: Mapping[str, tuple[dict[str, Result], float]], data: Data) -> pd.DataFrame:
    """One row for each method, metric and image: the values behind the table's means."""
    import pandas as pd

    names, classes = np.array(data.names), np.array(data.class_names)
    parts = [
        pd.DataFrame(
            {
                "method": name,
                "metric": m,
                "image": names[result.images],
                "class": classes[data.labels[result.images]],
                "sheet": data.sheets[result.images],
                "value": result.value,
                "chance": result.chance,
            }
        )
        for name, (found, _) in results.items()
        for m, result in found.items()
    ]
    return pd.concat(parts, ignore_index=True)
