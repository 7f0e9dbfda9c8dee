"""Which layers of a network can be computed in boxes, and how large each box is.

A layer that makes output cell j from input cells ``j S - P ... j S - P + K - 1`` turns the changed
cells ``[a, a + b)`` of its input into changed cells of its output::

    from ceil((a + P - K + 1) / S), at the most (b + K - 2) // S + 1 of them.

Source: Nakandala, Kumar & Papakonstantinou 2019, as in `_incremental`.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import scores
from ._graph import graph_of

if TYPE_CHECKING:
    import keras

Pair = tuple[int, int]
WORTH = 0.6  # a box that is a larger share of its map saves nothing: computed whole from there on
CONVOLUTIONS = {"Conv2D", "DepthwiseConv2D"}
POOLINGS = {"MaxPooling2D", "AveragePooling2D"}
POINTWISE = {"Activation", "BatchNormalization", "Dropout", "ELU", "LeakyReLU", "ReLU"}
POINTWISE |= {"GaussianDropout", "GaussianNoise", "Identity", "SpatialDropout2D"}


class Block(NamedTuple):
    """A layer and those behind it that need no padding, as one layer with a kernel and a stride."""

    first: int  # calls first ... end - 1 of the model
    end: int
    kernel: Pair
    stride: Pair
    before: Pair  # padding above and to the left ...
    outside: float  # ... and what it is filled with
    size: Pair  # of the map that is read
    out: Pair  # of the map that is made


class Plan(NamedTuple):
    """The blocks that are computed in boxes, and the box that each of them makes."""

    blocks: tuple[Block, ...]
    boxes: tuple[Pair, ...]


_known: weakref.WeakKeyDictionary[Any, dict[Any, list[Block]]] = weakref.WeakKeyDictionary()


def plan(model: keras.Model, shape: tuple[int, ...], patch: Pair) -> Plan | None:
    """What can be computed in boxes for images ``(H, W, C)`` and a patch; None if nothing."""
    known = _known.setdefault(model, {})
    key = (id(graph_of(model)), shape)
    if key not in known:
        known[key] = _blocks(model, shape)
    boxes: list[Pair] = []
    box = patch
    for b in known[key]:
        box = pair(lambda n, k, s, m: min((n + k - 2) // s + 1, m), box, b.kernel, b.stride, b.out)
        if box[0] * box[1] > WORTH * b.out[0] * b.out[1]:
            break
        boxes.append(box)
    return Plan(tuple(known[key][: len(boxes)]), tuple(boxes)) if boxes else None


def _blocks(model: keras.Model, shape: tuple[int, ...]) -> list[Block]:
    """The chain of windows and pointwise layers that the model begins with, in blocks."""
    import tensorflow as tf

    calls: list[scores.Call] = []
    tf.function(
        lambda x: calls.extend(scores.trace(model, x).calls), autograph=False
    ).get_concrete_function(tf.TensorSpec([1, *shape], tf.float32))
    given = ([c.inputs, *c.named.values()] for c in calls if c.output is not c.inputs)
    read = [id(x) for x in tf.nest.flatten(list(given))]
    blocks: list[Block] = []
    for number, (call, following) in enumerate(itertools.pairwise(calls)):
        # What is read twice, as on a skip connection, must be whole for its second reader.
        once = read.count(id(call.inputs)) == read.count(id(call.output)) == 1
        if not once or following.inputs is not call.output or call.layer.compute_dtype != "float32":
            break
        block = _window(call, number)
        if block is None and not _pointwise(call.layer):
            break
        if block is None:
            blocks[-1:] = [b._replace(end=number + 1) for b in blocks[-1:]]
        elif blocks and type(call.layer).__name__ in POOLINGS and not _is_padded(block):
            blocks[-1] = _joined(blocks[-1], block)
        else:
            blocks.append(block)
    return blocks


def _window(call: scores.Call, number: int) -> Block | None:
    """A convolution or pooling as a block of its own; None for anything else."""
    layer, kind = call.layer, kind_of(call.layer)
    if kind not in CONVOLUTIONS | POOLINGS or layer.data_format != "channels_last":
        return None
    if kind in CONVOLUTIONS:
        if not _known_activation(layer):
            return None
        reach = pair(lambda k, d: (k - 1) * d + 1, layer.kernel_size, layer.dilation_rate)
    else:
        reach = tuple(layer.pool_size)
    stride = tuple(layer.strides)
    size, out = tuple(call.inputs.shape[1:3]), tuple(call.output.shape[1:3])
    # TensorFlow splits what `same` padding needs in halves; an odd cell goes below and right.
    before = pair(lambda m, s, k, n: max((m - 1) * s + k - n, 0) // 2, out, stride, reach, size)
    outside = -np.inf if kind == "MaxPooling2D" else 0.0
    block = Block(number, number + 1, reach, stride, before, outside, size, out)
    if kind == "AveragePooling2D" and _is_padded(block):
        return None  # it divides by the number of cells inside the map
    return block


def _is_padded(block: Block) -> bool:
    b = block
    needed = pair(lambda m, s, k: (m - 1) * s + k, b.out, b.stride, b.kernel)
    return needed[0] > b.size[0] or needed[1] > b.size[1]


def _joined(a: Block, b: Block) -> Block:
    """Block b, unpadded, behind a, as one: ``K = Ka + (Kb - 1) Sa`` and ``S = Sa Sb``."""
    kernel = pair(lambda ka, kb, s: ka + (kb - 1) * s, a.kernel, b.kernel, a.stride)
    stride = pair(lambda sa, sb: sa * sb, a.stride, b.stride)
    return a._replace(end=b.end, kernel=kernel, stride=stride, out=b.out)


def _pointwise(layer: Any) -> bool:
    """Whether the layer computes each place from itself alone (channels may mix)."""
    if kind_of(layer) == "BatchNormalization":
        return layer.axis in (-1, 3)
    return kind_of(layer) in POINTWISE and _known_activation(layer)


def _known_activation(layer: Any) -> bool:
    """Whether the activation is one of Keras's own: a user's might mix places."""
    from keras import activations

    activation = getattr(layer, "activation", None)
    return activation is None or activation in vars(activations).values()


def kind_of(layer: Any) -> str:
    """The name of a layer's class if it is Keras's own: a subclass may compute anything."""
    import keras

    name = type(layer).__name__
    return name if type(layer) is getattr(keras.layers, name, None) else ""


def pair(formula: Callable[..., int], *pairs: Any) -> Pair:
    """A formula of whole numbers for rows and for columns, each with its own of every pair."""
    rows, columns = (formula(*values) for values in zip(*pairs, strict=True))
    return rows, columns
