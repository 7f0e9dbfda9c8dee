"""Which rule a caller chose for which layer, and its numbers, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from . import _reverse, scores

if TYPE_CHECKING:
    import keras

RULES = ("0", "epsilon", "alpha-beta", "gamma", "z+", "flat", "w2", "zB")


class Settings(NamedTuple):
    """Which rule where, and its numbers; hashable, so a compiled function is kept for each."""

    rule: str
    by_layer: tuple[tuple[str, str], ...]
    input_rule: str | None
    epsilon: float
    alpha: float
    beta: float
    gamma: float
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def all_rules(self) -> set[str]:
        """Of the general rule and those of single layers, without the image's."""
        return {self.rule, *(name for _, name in self.by_layer)}


def checked(
    model: keras.Model,
    rule: str | Mapping[str, str],
    input_rule: str | None,
    epsilon: float,
    alpha: float,
    beta: float,
    gamma: float,
    low: float | Sequence[float],
    high: float | Sequence[float],
) -> Settings:
    """The caller's choice of rules, checked; errors as `lrp` says."""
    by_layer = dict(rule) if isinstance(rule, Mapping) else {}
    general = "epsilon" if isinstance(rule, Mapping) else rule
    layers = scores.layers(model)
    weighted = [n for n, info in layers.items() if _reverse.ROLES.get(info.kind) == "weighted"]
    for name in by_layer:
        if name not in weighted:
            raise ValueError(f"no layer {name!r} that a rule fits; such are {', '.join(weighted)}")
    known = RULES
    for given in [general, *by_layer.values()]:
        if given not in known or given == "zB":
            hint = "; 'zB' is an input_rule" if given == "zB" else ""
            raise ValueError(f"rule {given!r}; expected one of {', '.join(known[:-1])}{hint}")
    if input_rule is not None and input_rule not in known:
        raise ValueError(f"input_rule {input_rule!r}; expected None or one of {', '.join(known)}")
    if not 0 < epsilon < np.inf:
        raise ValueError(f"epsilon {epsilon!r}; expected more than 0 (rule '0' is without it)")
    if not (0 <= beta < np.inf and np.isclose(alpha - beta, 1)):
        raise ValueError(f"alpha {alpha!r} and beta {beta!r}; expected alpha - beta = 1, beta >= 0")
    if not 0 <= gamma < np.inf:
        raise ValueError(f"gamma {gamma!r}; expected 0 or more")
    numbers = (float(epsilon), float(alpha), float(beta), float(gamma))
    limits = (_limit(model, "low", low), _limit(model, "high", high))
    return Settings(general, tuple(sorted(by_layer.items())), input_rule, *numbers, *limits)


def _limit(model: keras.Model, name: str, value: float | Sequence[float]) -> tuple[float, ...]:
    """A limit of the image's scale as a number for all channels or one for each."""
    limit, channels = np.atleast_1d(np.asarray(value, np.float64)), model.inputs[0].shape[-1]
    if limit.shape not in ((1,), (channels,)) or not np.isfinite(limit).all():
        raise ValueError(f"{name} {value!r}; expected a number, or one for each channel")
    return tuple(limit.tolist())


def check_range(images: ArrayLike, settings: Settings) -> None:
    """The zB rule presumes that no pixel lies outside the range that it is told."""
    low, high = np.asarray(settings.low), np.asarray(settings.high)
    if settings.input_rule != "zB" or np.ndim(images) != 4:
        return
    if (np.asarray(images) < low).any() or (np.asarray(images) > high).any():
        raise ValueError(
            f"images from {np.min(images):.3g} to {np.max(images):.3g}, but low {low.tolist()} and "
            f"high {high.tolist()}; the zB rule needs the range that the images' scale has"
        )
