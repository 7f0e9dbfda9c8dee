"""The questions of the scoreboard: each a metric as `evaluation.evaluate` takes it."""

from __future__ import annotations

import functools
import weakref
from dataclasses import replace
from typing import Any

import numpy as np

from . import metrics, scores
from ._black_box import Images
from ._evaluation_table import Values
from ._evaluation_terms import Better, Case, Maps, Metric, truth_metric


def course_metrics(truth: bool, fill: str | float) -> dict[str, Metric]:
    """What the scoreboard asks: where the mass lies, what the network uses, what changes the map.

    Args:
        truth: whether the data have boxes or masks.
        fill: what a pixel becomes that is taken away; see `metrics.removal_curve`.
    """
    where = {
        "energy inside": truth_metric("energy_inside"),
        "pointing game": truth_metric("pointing_game"),
        "AUC": replace(truth_metric("auc_inside"), images=120),  # ranks are slow
        "rank accuracy": truth_metric("relevance_rank_accuracy"),
    }
    removal = {"deletion": ("lower", fill, False), "insertion": ("higher", "blur", True)}
    uses = {
        name: Metric(_with_measure(removed, fill=f, insert=insert), _way(better), images=60)
        for name, (better, f, insert) in removal.items()
    }
    changes = {
        "like untrained": Metric(like_untrained, "lower", images=12, of_slow=6),
        "like another class": Metric(like_another_class, "lower", images=12, of_slow=6),
        "max-sensitivity": Metric(moved, "lower", images=6, of_slow=3),
        "repeatability": Metric(repeated, "higher", images=6),
        "sparseness": Metric(sparse, "neither"),
    }
    return (where if truth else {}) | uses | changes


def _way(better: str) -> Better:
    return "lower" if better == "lower" else "higher"


def _with_measure(function: Any, **options: Any) -> Any:
    return functools.partial(function, **options)


def removed(maps: Maps, case: Case, *, fill: str | float, insert: bool) -> tuple[Values, Values]:
    """Deletion or insertion in ten steps, in units of the probability; chance: a random order."""
    return _area(case, maps, fill, insert), _by_chance(case, fill, insert)


def _area(case: Case, maps: Maps, fill: str | float, insert: bool) -> Values:
    return metrics.removal_curve(
        case.model,
        case.images,
        maps,
        case.target,
        steps=10,
        fill=fill,
        insert=insert,
        score="probability",
    ).area


_chances: weakref.WeakKeyDictionary[Any, dict[Any, Values]] = weakref.WeakKeyDictionary()


def _by_chance(case: Case, fill: str | float, insert: bool) -> Values:
    """The same area for a map that is flat, so a random order; computed once for all methods."""
    known = _chances.setdefault(case.model, {})
    key = (hash(case.images.tobytes()), case.target.tobytes(), fill, insert)
    if key not in known:
        flat = np.zeros(case.images.shape[:3], np.float32)
        known[key] = _area(case, flat, fill, insert)
    return known[key]


_untrained: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def like_untrained(maps: Maps, case: Case) -> tuple[Values, None]:
    """Rank correlation of magnitudes with the same method's map of a network that knows nothing.

    Its weights are other random ones than those of the controls.
    """
    if case.model not in _untrained:
        _untrained[case.model] = metrics.untrained(case.model, seed=1)
    other = case.explain(_untrained[case.model], case.images, case.target)
    return metrics.rank_correlation(maps, other, absolute=True), None


def like_another_class(maps: Maps, case: Case) -> tuple[Values, None]:
    """Rank correlation of magnitudes with the map of the likeliest class but the explained one."""
    logits = scores.logits(case.model, case.images)
    logits[np.arange(len(logits)), case.target] = -np.inf
    other = case.explain(case.model, case.images, logits.argmax(axis=1).astype(np.int32))
    return metrics.rank_correlation(maps, other, absolute=True), None


def moved(maps: Maps, case: Case) -> tuple[Values, None]:
    """Max-sensitivity over two draws of at most 2 % of the scale."""

    def again(images: Images) -> Maps:
        return case.explain(case.model, np.clip(images, 0, 1), case.target)  # still a picture

    return metrics.max_sensitivity(again, case.images, radius=0.02, samples=2), None


def repeated(maps: Maps, case: Case) -> tuple[Values, None]:
    """Rank correlation of two seeds; 1 where nothing is drawn."""
    if not case.seeded:
        return np.ones(len(maps)), None
    other = case.explain(case.model, case.images, case.target, seed=1)
    return metrics.rank_correlation(maps, other), None


def sparse(maps: Maps, case: Case) -> tuple[Values, None]:
    """The Gini index of the map; see `metrics.sparseness`."""
    return metrics.sparseness(maps), None
