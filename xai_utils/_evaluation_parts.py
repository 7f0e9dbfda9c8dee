"""One chunk of an evaluation: explained once, read by each method, put to each metric."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._evaluation_table import Part, Result
from ._evaluation_terms import Case, Maps, Method, Metric, read_map

if TYPE_CHECKING:
    import keras


class Panel:
    """Methods that read one explanation, and what is asked of them, in one process."""

    def __init__(
        self, methods: Mapping[str, Method], model: keras.Model, asked: Mapping[str, Metric]
    ) -> None:
        self.methods, self.model, self.asked = dict(methods), model, dict(asked)
        self.warm = False

    def explained(self, images: NDArray[np.float32], target: NDArray[np.int32]) -> NDArray[Any]:
        name, method = next(iter(self.methods.items()))
        return _explained(name, method, self.model, images, target)

    def warm_up(self, part: Part) -> None:
        """Explain one image, the first time: what TensorFlow traces is not timed."""
        if not self.warm:
            raw = self.explained(part.images[:1], part.labels[:1])
            for name, method in self.methods.items():  # an unfit map is refused at once
                read_map(name, raw, part.size, method.reading, method.smooth)
            self.warm = True


def of_part(panel: Panel, part: Part) -> tuple[int, dict[str, tuple[dict[str, Result], float]]]:
    """Where a part begins, and by method what each metric says of it, and seconds."""
    panel.warm_up(part)
    begun = time.process_time()
    raw = panel.explained(part.images, part.labels)
    spent = time.process_time() - begun
    found: dict[str, tuple[dict[str, Result], float]] = {}
    for name, method in panel.methods.items():
        begun = time.process_time()
        maps = read_map(name, raw, part.size, method.reading, method.smooth)
        seconds = spent + time.process_time() - begun
        explain = functools.partial(_map_of, name, method, part.size)
        told = {m: _asked(m, k, maps, part, panel, explain, method) for m, k in panel.asked.items()}
        found[name] = {m: r for m, r in told.items() if r is not None}, seconds
    return part.start, found


def _explained(
    name: str,
    method: Method,
    model: keras.Model,
    images: NDArray[np.float32],
    target: NDArray[np.int32],
    seed: int = 0,
) -> NDArray[Any]:
    """What a method gives for these images, unread."""
    options = {"seed": seed} if method.seeded else {}
    with warnings.catch_warnings():  # the table counts them
        warnings.filterwarnings("ignore", message=".*zero everywhere.*")
        found = np.asarray(method.explain(model, images, target, **options))
    if len(found) != len(images):
        raise ValueError(f"{name} gives shape {found.shape} for {len(images)} images")
    return found


def _map_of(
    name: str,
    method: Method,
    size: tuple[int, int],
    model: keras.Model,
    images: NDArray[np.float32],
    target: NDArray[np.int32],
    seed: int = 0,
) -> Maps:
    """`Case.explain`: one map a picture."""
    found = _explained(name, method, model, images, target, seed)
    return read_map(name, found, size, method.reading, method.smooth)


def _asked(
    name: str,
    metric: Metric,
    maps: Maps,
    part: Part,
    panel: Panel,
    explain: Callable[..., Maps],
    method: Method,
) -> Result | None:
    """One metric on the maps of one part, as far as its limit of images reaches."""
    limit = metric.limit(method)
    keep = np.ones(len(part.numbers), bool)
    if limit is not None:
        keep = np.arange(len(part.numbers)) < limit - part.start  # a sample begins the order
    if metric.truth:
        keep &= part.masks.any(axis=(1, 2)) if part.masks is not None else False
    if not keep.any():
        return None
    index, maps = part.numbers[keep], maps[keep]
    masks = part.masks[keep] if part.masks is not None and metric.truth else None
    case = Case(panel.model, part.images[keep], part.labels[keep], masks, explain, method.seeded)
    found, chance = metric.measure(maps, case)
    value = np.asarray(found, np.float64)
    level = np.asarray(np.nan if chance is None else chance, np.float64)
    if value.shape != index.shape or level.shape not in ((), index.shape):
        raise ValueError(
            f"metric {name!r} gives values {value.shape} and chance {level.shape} for "
            f"{len(index)} maps; expected ({len(index)},), and for chance that or a number"
        )
    return Result(index, value, np.broadcast_to(level, value.shape))
