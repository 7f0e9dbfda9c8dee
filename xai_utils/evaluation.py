"""Several explanations of one network, measured on one data set, in one table.

`evaluate` runs every method over the images, reads each result as one map a picture, and hands the
maps to metrics.  What comes back is a table with one row for each method, metric and class: mean,
interval, chance, gain over chance, number of images, seconds.  Controls that know nothing of the
network (an edge detector, the same method on a network with random weights) go in as methods, too.
"""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _evaluation_store as store
from . import scores
from ._evaluation_table import Data, Result, in_turn, per_image, table
from ._evaluation_terms import (
    Case,
    Explainer,
    Maps,
    Method,
    Metric,
    default_metrics,
    read_map,
    truth_metric,
)
from ._evaluation_views import Scoreboard, alternative_text, draw, ranking, summary_html

if TYPE_CHECKING:
    import keras

    from .datasets import ImageDataset

__all__ = [
    "Case",
    "Explainer",
    "Method",
    "Metric",
    "Scoreboard",
    "alternative_text",
    "default_metrics",
    "draw",
    "evaluate",
    "in_turn",
    "ranking",
    "read_map",
    "summary_html",
    "truth_metric",
]


def evaluate(
    methods: Mapping[str, Method | Explainer],
    model: keras.Model,
    dataset: ImageDataset,
    metrics: Mapping[str, Metric] | None = None,
    *,
    folder: Path | str | None = None,
    chunk: int = 32,
    seed: int = 0,
    level: float = 0.95,
    draws: int = 1000,
    return_values: bool = False,
) -> Any:
    """Measure every method with every metric on every image, class by class, beside chance.

    A row's mean is over the images of a class, or of all; its interval is a percentile bootstrap
    that draws whole sheets, because plates of one sheet are not independent.  ``gain`` is the mean
    of value - chance (of chance - value where lower is better), with an interval of its own: where
    that holds zero, the method was not told from one that knows nothing.  Explained is the logit of
    the class that the image has.

    A method or metric with a limit of images gets a seeded sample, as many of each class as
    possible; the smaller sample is part of the larger one.

    Args:
        methods: by name: a `Method`, or a function as in `Method.explain`.
        model: the network; its weights are only read.
        dataset: images, classes, sheets, and boxes or masks where it has them.
        metrics: by name; None for `default_metrics`.
        folder: where the result of each method is kept as soon as it is there.  Called again, only
            what is missing is computed.  None keeps nothing.
        chunk: images explained at once; memory grows with it, not with the data set.
        seed: of the samples and of the bootstrap.
        level, draws: of the interval; see `metrics.bootstrap_interval`.
        return_values: also return the value of every single image.

    Returns:
        A `Scoreboard`: a frame with the columns ``method, control, metric, better, class, mean,
        low, high, chance, gain, gain_low, gain_high, images, undefined, seconds``.  ``undefined``
        images gave NaN (an empty map): they are not in the mean, and gain 0.  ``seconds`` are of
        processor time for one image, all cores together, without tracing.  With ``return_values`` a
        pair of it and a frame ``method, metric, image, class, sheet, value, chance``.

    Raises:
        ValueError: no methods; a metric that asks for a truth that the data do not have; a map or
            value of the wrong shape, or NaN in a map, with the method's name; results in ``folder``
            of another model, data set, method or metric, or damaged ones.
        TypeError: options of which it cannot be told whether they changed (with ``folder`` only).
    """
    named, asked = _checked(methods, metrics, dataset)
    chunk = scores.check_count("chunk", chunk)
    data = Data.of(dataset, seed)
    kept = None
    if folder is not None:
        marks = {"model": model, "data": data, "metrics": dict(asked), "options": (chunk, seed)}
        kept = store.Folder(Path(folder), {k: store.digest(v) for k, v in marks.items()})
    found: dict[str, store.Found] = {}
    for name, method in named.items():
        if kept is not None and (before := kept.read(name, method)) is not None:
            found[name] = before
    work = {name: len(data.sample(method.images)) for name, method in named.items()}
    with _bar(sum(work.values())) as bar:
        bar.update(sum(work[name] for name in found))
        for name, method in named.items():
            if name in found:
                continue
            bar.set_description(name)
            alike = {n: m for n, m in named.items() if n not in found and _one_pass(m, method)}
            for n, result in _measured(alike, model, data, asked, chunk, bar).items():
                found[n] = result
                if kept is not None:
                    kept.write(n, named[n], result)
    results = {
        name: ({m: Result(*v) for m, v in found[name][0].items()}, found[name][1]) for name in named
    }
    controls = {name: method.control for name, method in named.items()}
    better = {name: metric.better for name, metric in asked.items()}
    board = table(results, controls, better, data, {"level": level, "draws": draws, "seed": seed})
    return (board, per_image(results, data)) if return_values else board


# --- one method, or several that read one explanation --------------------------------------------


def _one_pass(one: Method, other: Method) -> bool:
    """Whether two methods differ in how the same explanation is read only."""
    alike = one.explain is other.explain and one.images == other.images
    return alike and one.seeded == other.seeded


def _measured(
    methods: Mapping[str, Method],
    model: keras.Model,
    data: Data,
    asked: Mapping[str, Metric],
    chunk: int,
    bar: Any,
) -> dict[str, store.Found]:
    """Each metric's numbers of images, values and chances, and seconds per image, by method."""
    size, (named, first) = data.images.shape[1:3], next(iter(methods.items()))
    order = data.sample(first.images)
    one = data.images[order[:1]], data.labels[order[:1]]
    raw = _explained(named, first, model, *one)  # what traces is not timed
    for name, method in methods.items():
        read_map(name, raw, size, method.reading, method.smooth)  # an unfit map is refused at once
    parts: dict[str, dict[str, list[Result]]] = {n: {m: [] for m in asked} for n in methods}
    seconds = dict.fromkeys(methods, 0.0)
    for start in range(0, len(order), chunk):
        index = order[start : start + chunk]
        begun = time.process_time()
        raw = _explained(named, first, model, data.images[index], data.labels[index])
        spent = time.process_time() - begun
        for name, method in methods.items():
            begun = time.process_time()
            maps = read_map(name, raw, size, method.reading, method.smooth)
            seconds[name] += spent + time.process_time() - begun
            explain = functools.partial(_map_of, name, method, size)
            for m, metric in asked.items():
                part = _asked(m, metric, maps, index, start, model, data, explain, method)
                if part is not None:
                    parts[name][m].append(part)
            bar.update(len(index))
    return {n: (_joined(parts[n]), seconds[n] / len(order)) for n in methods}


def _joined(parts: Mapping[str, list[Result]]) -> dict[str, Any]:
    return {
        m: tuple(np.concatenate([getattr(p, f) for p in found]) for f in Result._fields)
        for m, found in parts.items()
        if found
    }


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
    index: NDArray[np.intp],
    start: int,
    model: keras.Model,
    data: Data,
    explain: Callable[..., Maps],
    method: Method,
) -> Result | None:
    """One metric on the maps of one chunk, as far as its limit of images reaches."""
    limit = metric.limit(method)
    limit = len(data.labels) if limit is None else limit
    keep = np.arange(len(index)) < limit - start  # a sample is the beginning of the order
    if metric.truth:
        keep &= data.masks[index].any(axis=(1, 2)) if data.masks is not None else False
    if not keep.any():
        return None
    index, maps = index[keep], maps[keep]
    masks = data.masks[index] if data.masks is not None and metric.truth else None
    case = Case(model, data.images[index], data.labels[index], masks, explain, method.seeded)
    found, chance = metric.measure(maps, case)
    value = np.asarray(found, np.float64)
    level = np.asarray(np.nan if chance is None else chance, np.float64)
    if value.shape != index.shape or level.shape not in ((), index.shape):
        raise ValueError(
            f"metric {name!r} gives values {value.shape} and chance {level.shape} for "
            f"{len(index)} maps; expected ({len(index)},), and for chance that or a number"
        )
    return Result(index, value, np.broadcast_to(level, value.shape))


def _checked(
    methods: Mapping[str, Method | Explainer],
    metrics: Mapping[str, Metric] | None,
    dataset: ImageDataset,
) -> tuple[dict[str, Method], dict[str, Metric]]:
    named = {n: m if isinstance(m, Method) else Method(m) for n, m in dict(methods).items()}
    if not named or not len(dataset):
        raise ValueError(f"{len(named)} methods and {len(dataset)} images; expected some of both")
    for name, limit in ((n, m.images) for n, m in named.items()):
        if limit is not None:
            scores.check_count(f"images of {name}", limit)
    asked = default_metrics() if metrics is None else dict(metrics)
    if dataset.masks is None and not dataset.boxes:
        lacking = [m for m, metric in asked.items() if metric.truth]
        if lacking:
            raise ValueError(
                f"{dataset.name} has neither boxes nor masks, which {', '.join(lacking)} ask for; "
                f"pass metrics= without them"
            )
    if not asked:
        raise ValueError("no metrics; expected at least one")
    return named, asked


def _bar(total: int) -> Any:
    """A bar on a terminal only."""
    from tqdm import tqdm

    return tqdm(total=total, unit="image", delay=2, leave=False, disable=None)
