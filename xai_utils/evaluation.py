"""Several explanations of one network, measured on one data set, in one table.

`evaluate` runs every method over the images, reads each result as one map a picture, and hands the
maps to metrics.  What comes back is a table with one row for each method, metric and class: mean,
interval, chance, gain over chance, number of images, seconds.  Controls that know nothing of the
network (an edge detector, the same method on a network with random weights) go in as methods, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _evaluation_store as store
from . import scores
from ._chunk_runs import Work, check_client, chunks
from ._evaluation_parts import Panel, of_part
from ._evaluation_table import Data, Result, in_turn, per_image, table
from ._evaluation_terms import (
    Case,
    Explainer,
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
    client: Any = None,
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
        client: a ``dask.distributed.Client``, whose workers then measure the chunks side by side
            (see `distributed.explain_dataset`); no value changes.  None for this process.

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
    check_client(client)
    chunk = scores.check_count("chunk", chunk)
    data = Data.of(dataset, seed)
    kept = None
    if folder is not None:
        marks = {"model": model, "data": data, "metrics": dict(asked), "options": (chunk, seed)}
        kept = store.Folder(Path(folder), {k: store.digest(v) for k, v in marks.items()})
    found = _found(
        named, kept, lambda some, bar: _measured(some, model, data, asked, chunk, bar, client), data
    )
    results = {
        name: ({m: Result(*v) for m, v in found[name][0].items()}, found[name][1]) for name in named
    }
    controls = {name: method.control for name, method in named.items()}
    better = {name: metric.better for name, metric in asked.items()}
    board = table(results, controls, better, data, {"level": level, "draws": draws, "seed": seed})
    return (board, per_image(results, data)) if return_values else board


def _found(
    methods: Mapping[str, Method],
    kept: store.Folder | None,
    measure: Callable[[Mapping[str, Method], Any], dict[str, store.Found]],
    data: Data,
) -> dict[str, store.Found]:
    """The results of all methods: those that were kept, and the others measured and kept."""
    found: dict[str, store.Found] = {}
    for name, method in methods.items():
        if kept is not None and (before := kept.read(name, method)) is not None:
            found[name] = before
    work = {name: len(data.sample(method.images)) for name, method in methods.items()}
    with _bar(sum(work.values())) as bar:
        bar.update(sum(work[name] for name in found))
        for name, method in methods.items():
            if name in found:
                continue
            bar.set_description(name)
            alike = {n: m for n, m in methods.items() if n not in found and _one_pass(m, method)}
            for n, result in measure(alike, bar).items():
                found[n] = result
                if kept is not None:
                    kept.write(n, methods[n], result)
    return found


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
    client: Any,
) -> dict[str, store.Found]:
    """Each metric's numbers of images, values and chances, and seconds per image, by method."""
    order = data.sample(next(iter(methods.values())).images)
    work = Work(of_part, Panel(methods, model, asked), "evaluate", heavy=True)
    starts = range(0, len(order), chunk)
    tasks = (data.part(order[s : s + chunk], s) for s in starts)
    found = {}
    for start, part in chunks(work, tasks, client):
        found[start] = part
        bar.update(len(order[start : start + chunk]))
    parts = [found[s] for s in starts]  # from a cluster they come in any order
    results = {}
    for name in methods:
        told = {m: [p[name][0][m] for p in parts if m in p[name][0]] for m in asked}
        results[name] = _joined(told), sum(p[name][1] for p in parts) / len(order)
    return results


def _joined(parts: Mapping[str, list[Result]]) -> dict[str, Any]:
    return {
        m: tuple(np.concatenate([getattr(p, f) for p in found]) for f in Result._fields)
        for m, found in parts.items()
        if found
    }


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
