"""What an evaluation asks with: methods and their reading, metrics and what they may look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import metrics
from .cam import resize_heatmap

if TYPE_CHECKING:
    import keras

Maps = NDArray[np.float32]
Explainer = Callable[..., ArrayLike]  # explain(model, images, target) -> (N, h, w[, C])
Reading = Literal["signed", "absolute"]
Better = Literal["higher", "lower", "neither"]
Measure = Callable[[Maps, "Case"], tuple[ArrayLike, ArrayLike | None]]


@dataclass(frozen=True)
class Method:
    """One way to explain, and how its result is read as one map of the picture.

    Attributes:
        explain: ``explain(model, images, target)``, ``(N, h, w)`` or ``(N, h, w, C)``.
        reading: ``"signed"``: the sum over channels, of which metrics take what speaks for the
            class; ``"absolute"``: the largest absolute value over channels.
        smooth: sigma in pixels of a Gaussian over the map, after reading and enlarging; 0 for none.
        images: at most so many images of the data set (for methods that are slow); None for all.
        seeded: ``explain`` takes ``seed=`` and draws by lot.
        control: knows nothing of the network that is explained; drawn in grey.
    """

    explain: Explainer
    reading: Reading = "signed"
    smooth: float = 0.0
    images: int | None = None
    seeded: bool = False
    control: bool = False


@dataclass(frozen=True)
class Case:
    """What a metric may look at beside the maps themselves.

    Attributes:
        model: the network.
        images: ``(N, H, W, C)`` float32.
        target: ``(N,)`` int32, the explained class of each.
        masks: ``(N, H, W)`` bool, the truth, never empty; None where the data have none.
        explain: ``explain(model, images, target, seed=0)``: the same method on other images or
            another network, read in the same way, ``(N, H, W)``.
        seeded: whether another seed can change what ``explain`` gives.
    """

    model: keras.Model
    images: NDArray[np.float32]
    target: NDArray[np.int32]
    masks: NDArray[np.bool_] | None
    explain: Callable[..., Maps]
    seeded: bool


@dataclass(frozen=True)
class Metric:
    """One question to a map.

    Attributes:
        measure: ``measure(maps, case)`` gives ``(N,)`` values, NaN where the question has no
            answer, and what a map that knows nothing would score: ``(N,)``, a number, or None.
        better: which way is better; "neither" for a metric that describes.
        images: at most so many images; None for all that the method explains.
        of_slow: the same for a method that has a limit of its own; None for no other one.
        truth: asks for masks, so data without any do without it.
    """

    measure: Measure
    better: Better = "higher"
    images: int | None = None
    truth: bool = False
    of_slow: int | None = None

    def limit(self, method: Method) -> int | None:
        """How many images of this method it looks at, at most."""
        slow = method.images is not None and self.of_slow is not None
        return self.of_slow if slow else self.images


def truth_metric(name: str, *, tolerance: int = 0) -> Metric:
    """A metric of `metrics.METRICS` as `evaluate` takes it: maps against masks, with its chance.

    Args:
        name: a key of `metrics.METRICS`.
        tolerance: of the pointing game, in pixels.
    """
    options = {"tolerance": tolerance} if name == "pointing_game" else {}
    function = metrics.METRICS[name]

    def measure(maps: Maps, case: Case) -> tuple[ArrayLike, ArrayLike]:
        assert case.masks is not None  # truth=True
        chance = metrics.chance(name, case.masks, **options)
        return function(maps, case.masks, **options), chance

    return Metric(measure, truth=True)


def default_metrics() -> dict[str, Metric]:
    """What is asked when the caller names no metric: three questions to the truth."""
    return {
        "energy inside": truth_metric("energy_inside"),
        "pointing game": truth_metric("pointing_game"),
        "AUC": truth_metric("auc_inside"),
    }


def read_map(
    name: str, attribution: ArrayLike, size: tuple[int, int], reading: Reading, smooth: float = 0.0
) -> Maps:
    """A method's result as one map a picture: channels joined, enlarged to ``size``, smoothed.

    Args:
        name: of the method, for errors.
        attribution: ``(N, h, w)`` or ``(N, h, w, C)``.
        size: ``(H, W)`` of the pictures.
        reading, smooth: as for `Method`.

    Raises:
        ValueError: another rank, NaN, or an unknown reading.
    """
    a = np.asarray(attribution, np.float32)
    if a.ndim not in (3, 4) or a.size == 0:
        raise ValueError(f"{name} gives shape {a.shape}; expected (N, h, w) or (N, h, w, C)")
    if not np.isfinite(a).all():
        raise ValueError(f"{name} gives NaN or infinity: repair the model or the method first")
    if reading not in ("signed", "absolute"):
        raise ValueError(f"reading {reading!r} of {name}; expected 'signed' or 'absolute'")
    if a.ndim == 4:
        a = a.sum(axis=-1) if reading == "signed" else np.abs(a).max(axis=-1)
    elif reading == "absolute":
        a = np.abs(a)
    if a.shape[1:] != tuple(size):
        a = resize_heatmap(a, size)
    if smooth > 0:
        from scipy.ndimage import gaussian_filter

        a = np.stack([gaussian_filter(m, smooth, mode="reflect") for m in a])
    return a
