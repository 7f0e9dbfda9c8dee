"""Which unit of a network is maximised, and its activation: a layer's channel, or a class."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import scores
from ._graph import linear
from .scores import Score

if TYPE_CHECKING:
    import keras

Place = Literal["mean", "centre"]


class Unit(NamedTuple):
    """A channel of ``layer`` at a place, or, where that is None, a class by its score."""

    layer: str | None
    place: Place
    score: Score
    pre_activation: bool


def check_unit(
    model: keras.Model,
    layer: str | None,
    channel: int | ArrayLike | None,
    target: int | ArrayLike | None,
    place: Place,
    score: Score,
    pre_activation: bool,
) -> tuple[Unit, NDArray[np.int32]]:
    """The unit, and the numbers of the channels or classes, ``(N,)`` int32.

    Raises:
        ValueError: both or neither of channel and class, an unknown layer or one without channels,
            a number out of range, an unknown place or score.
    """
    if (channel is None) == (target is None) or (layer is None) != (channel is None):
        raise ValueError(
            f"layer {layer!r}, channel {channel!r}, target {target!r}; expected layer and channel, "
            f"or target alone, the class"
        )
    if place not in ("mean", "centre"):
        raise ValueError(f"place {place!r}; expected 'mean' or 'centre'")
    if score not in ("logit", "probability") or (layer is not None and score != "logit"):
        raise ValueError(
            f"score {score!r}; expected 'logit' or, for a class only, 'probability'"
            + ("" if layer is None else f"; {layer!r} is a layer, leave score out")
        )
    if layer is None and pre_activation:
        raise ValueError("pre_activation=True with a class; expected a layer: logits have none")
    if layer is None:
        count = scores.class_count(model)
        of = f"model {model.name!r} has {count} classes"
        return Unit(None, place, score, False), _numbers("target", target, count, of)
    info = _layer(model, layer)
    of, count = f"layer {layer!r} has {info.shape[-1]} channels", int(info.shape[-1] or 0)
    unit = Unit(layer, place, score, bool(pre_activation))
    return unit, _numbers("channel", channel, count, of)


def _layer(model: keras.Model, layer: str) -> scores.LayerInfo:
    layers = scores.layers(model)
    able = [n for n, i in layers.items() if len(i.shape) in (2, 4) and i.kind != "InputLayer"]
    if layer not in able:
        near = difflib.get_close_matches(str(layer), able, n=3, cutoff=0.4)
        meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        shape = f", its output is {layers[layer].shape}" if layer in layers else ""
        raise ValueError(
            f"no layer {layer!r} with channels in model {model.name!r}{shape}; {meant}Layers with "
            f"channels: {', '.join(able)}"
        )
    return layers[layer]


def _numbers(name: str, given: Any, count: int, of: str) -> NDArray[np.int32]:
    numbers = np.asarray(list(given) if isinstance(given, range) else given)
    if not np.issubdtype(numbers.dtype, np.integer) or numbers.ndim > 1 or numbers.size == 0:
        raise ValueError(f"{name} {given!r}; expected a whole number, or several in a row")
    numbers = np.atleast_1d(numbers)
    wrong = np.unique(numbers[(numbers < 0) | (numbers >= count)])
    if wrong.size:
        raise ValueError(f"{name} {wrong[:5].tolist()} out of range: {of}, so 0 to {count - 1}")
    return numbers.astype(np.int32)


def activation(model: keras.Model, x: Any, numbers: Any, unit: Unit) -> Any:
    """The activation of each image's own unit: ``(N,)`` float32."""
    import tensorflow as tf

    if unit.layer is None:
        return scores.pick(scores.trace(model, x).logits, numbers, unit.score)
    output = tf.cast(_output(model, x, unit), tf.float32)
    if len(output.shape) == 4 and unit.place == "mean":
        output = tf.reduce_mean(output, axis=(1, 2))
    elif len(output.shape) == 4:
        output = output[:, output.shape[1] // 2, output.shape[2] // 2]
    return scores.pick(output, numbers, "logit")


class _Reached(Exception):
    """Carries a layer's output out of a trace."""

    def __init__(self, output: Any) -> None:
        self.output = output


def _output(model: keras.Model, x: Any, unit: Unit) -> Any:
    """What a layer gives; the layers behind it are not run, so images of any size get there."""

    def apply(here: Any, function: Any, *inputs: Any) -> Any:
        if here.name != unit.layer:
            return function(*inputs)
        if not unit.pre_activation:
            raise _Reached(function(*inputs))
        if not hasattr(here, "activation"):
            raise ValueError(
                f"pre_activation=True, but layer {here.name!r}, a {type(here).__name__}, has no "
                f"activation of its own: name the layer that it reads"
            )
        raise _Reached(linear(here)(*inputs))

    try:
        scores.trace(model, x, apply)
    except _Reached as reached:
        return reached.output
    raise AssertionError(f"{unit.layer!r} was listed and not reached")
