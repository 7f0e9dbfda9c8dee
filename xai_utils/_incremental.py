"""Scores of occluded images by recomputing only what the patch can change: exact, not a guess.

A patch changes, in each layer, only the cells whose receptive field meets it.  The layers before
the first one that mixes all places are walked with a *box* for each window that holds its changed
cells.  The box is as large as the worst position needs, so all windows share one shape, and its
start is held inside the map; cells in it that did not change are computed again as they were.

A layer that makes output cell j from input cells ``j S - P ... j S - P + K - 1`` turns the changed
cells ``[a, a + b)`` of its input into changed cells of its output::

    from ceil((a + P - K + 1) / S), at the most (b + K - 2) // S + 1 of them.

Source: Nakandala, Kumar & Papakonstantinou 2019, "Incremental and approximate inference for faster
occlusion-based deep CNN explanations", SIGMOD (incremental inference, without its approximations).
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import scores
from ._graph import graph_of

if TYPE_CHECKING:
    import keras

Pair = tuple[int, int]
Rows = NDArray[np.intp]
Cover = Callable[[int, int], Any]  # cover(image, window): what lies on the patch there
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


# --- which part of a network ---------------------------------------------------------------------

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
        box = _pair(lambda n, k, s, m: min((n + k - 2) // s + 1, m), box, b.kernel, b.stride, b.out)
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
    layer, kind = call.layer, _kind(call.layer)
    if kind not in CONVOLUTIONS | POOLINGS or layer.data_format != "channels_last":
        return None
    if kind in CONVOLUTIONS:
        if not _known_activation(layer):
            return None
        reach = _pair(lambda k, d: (k - 1) * d + 1, layer.kernel_size, layer.dilation_rate)
    else:
        reach = tuple(layer.pool_size)
    stride = tuple(layer.strides)
    size, out = tuple(call.inputs.shape[1:3]), tuple(call.output.shape[1:3])
    # TensorFlow splits what `same` padding needs in halves; an odd cell goes below and right.
    before = _pair(lambda m, s, k, n: max((m - 1) * s + k - n, 0) // 2, out, stride, reach, size)
    outside = -np.inf if kind == "MaxPooling2D" else 0.0
    block = Block(number, number + 1, reach, stride, before, outside, size, out)
    if kind == "AveragePooling2D" and _is_padded(block):
        return None  # it divides by the number of cells inside the map
    return block


def _is_padded(block: Block) -> bool:
    b = block
    needed = _pair(lambda m, s, k: (m - 1) * s + k, b.out, b.stride, b.kernel)
    return needed[0] > b.size[0] or needed[1] > b.size[1]


def _joined(a: Block, b: Block) -> Block:
    """Block b, unpadded, behind a, as one: ``K = Ka + (Kb - 1) Sa`` and ``S = Sa Sb``."""
    kernel = _pair(lambda ka, kb, s: ka + (kb - 1) * s, a.kernel, b.kernel, a.stride)
    stride = _pair(lambda sa, sb: sa * sb, a.stride, b.stride)
    return a._replace(end=b.end, kernel=kernel, stride=stride, out=b.out)


def _pointwise(layer: Any) -> bool:
    """Whether the layer computes each place from itself alone (channels may mix)."""
    if _kind(layer) == "BatchNormalization":
        return layer.axis in (-1, 3)
    return _kind(layer) in POINTWISE and _known_activation(layer)


def _known_activation(layer: Any) -> bool:
    """Whether the activation is one of Keras's own: a user's might mix places."""
    from keras import activations

    activation = getattr(layer, "activation", None)
    return activation is None or activation in vars(activations).values()


def _kind(layer: Any) -> str:
    """The name of a layer's class if it is Keras's own: a subclass may compute anything."""
    import keras

    name = type(layer).__name__
    return name if type(layer) is getattr(keras.layers, name, None) else ""


def _pair(formula: Callable[..., int], *pairs: Any) -> Pair:
    rows, columns = (formula(*values) for values in zip(*pairs, strict=True))
    return rows, columns


# --- the computation -----------------------------------------------------------------------------


def occluded(
    model: keras.Model,
    plan: Plan,
    images: NDArray[np.float32],
    cover: Cover,
    corners: Rows,
    patch: Pair,
    score: scores.Score,
    batch_size: int | None,
) -> Iterator[tuple[Rows, Rows, NDArray[np.float32]]]:
    """Yield numbers of images, numbers of windows, and the scores ``(rows, classes)`` of these.

    A batch holds windows of one image, or all windows of several.  Clean maps exist for the images
    of one batch only.  Rows that fill an image's last batch up are computed and yielded twice.

    Args:
        images: ``(N, H, W, C)``, checked.
        cover: ``cover(image, window)`` is what lies on the patch, ``(h, w, C)``.
        corners: ``(windows, 2)``, top and left of each window.
    """
    import tensorflow as tf

    windows = len(corners)
    size = scores.default_batch(patch) if batch_size is None else batch_size
    size = size // windows * windows if size >= windows else _even(windows, size)
    per_image = windows if size >= windows else -(-windows // size) * size
    clean_maps: Any = scores.compiled(model, ("clean maps", plan), _clean_maps(plan))
    sizes = [*(b.size for b in plan.blocks), plan.blocks[-1].out]
    extra = [tf.TensorSpec([None, 2], tf.int32), tf.TensorSpec([None, *patch, images.shape[-1]])]
    for map_size, made in zip(sizes, clean_maps.structured_outputs, strict=True):
        extra.append(tf.TensorSpec([None, *map_size, made.shape[-1]]))
    function = scores.compiled(model, ("occluded", plan, patch, score), _step(plan, score), extra)
    held: tuple[int, list[Any]] = (-1, [])  # the first image of the batch, and the clean maps

    def rows(row: Rows) -> tuple[Any, ...]:
        nonlocal held
        n, w = row // per_image, np.minimum(row % per_image, windows - 1)
        own = images[n[0] : n[-1] + 1]
        if held[0] != n[0]:
            held = (int(n[0]), clean_maps(own, np.zeros(len(own), np.int32)))
        covers = np.stack([cover(k, i) for k, i in zip(n, w, strict=True)])
        return own, (n - n[0]).astype(np.int32), corners[w].astype(np.int32), covers, *held[1]

    batches = scores.in_batches(function, rows, len(images) * per_image, size, "occlusion")
    for row, values in batches:
        yield row // per_image, np.minimum(row % per_image, windows - 1), values


def _even(windows: int, size: int) -> int:
    """The batch size of at most ``size`` that leaves the fewest rows to fill up."""
    return -(-windows // -(-windows // size))


def _clean_maps(plan: Plan) -> Callable[..., Any]:
    """The step that gives what each block behind the first reads, and what the last one makes."""

    def step(model: keras.Model, images: Any, _: Any) -> Any:
        calls = scores.trace(model, images).calls
        return [calls[b.first].inputs for b in plan.blocks] + [calls[plan.blocks[-1].end].inputs]

    return step


def _step(plan: Plan, score: scores.Score) -> Callable[..., Any]:
    """The step that takes windows through the boxes of a plan, then through the rest whole."""

    def step(
        model: keras.Model, images: Any, owner: Any, corner: Any, box: Any, *clean: Any
    ) -> Any:
        numbers = itertools.count()
        firsts = {block.first: k for k, block in enumerate(plan.blocks)}
        end, start = plan.blocks[-1].end, corner

        def apply(layer: Any, function: Any, *inputs: Any) -> Any:
            nonlocal box, start
            number = next(numbers)
            if number > end:
                return function(*inputs)
            if number == end:
                return function(_cut(clean[-1], box, owner, start, start * 0, plan.blocks[-1].out))
            if number in firsts:
                k = firsts[number]
                to, origin, size = _tile(plan.blocks[k], plan.boxes[k], start)
                box = _cut(clean[k], box, owner, start, origin, size, plan.blocks[k].outside)
                start = to
            window = _kind(layer) in CONVOLUTIONS | POOLINGS
            box = _unpadded(layer)(box) if window else function(box)
            return box

        return read(scores.trace(model, images, apply).logits, score)

    return step


def _tile(block: Block, box: Pair, start: Any) -> tuple[Any, Any, Pair]:
    """Where a block's box starts, and the tile of its input, start and size, that makes this box.

    ``start``, ``(rows, 2)``, is where the box of changed cells that the block reads starts.
    """
    import tensorflow as tf

    kernel, stride, before = (np.array(v, np.int32) for v in block[2:5])
    to = -((kernel - 1 - before - start) // stride)  # rounded up
    to = tf.clip_by_value(to, 0, np.subtract(block.out, box).astype(np.int32))
    size = _pair(lambda n, s, k: (n - 1) * s + k, box, block.stride, block.kernel)
    return to, to * stride - before, size


def _cut(
    clean: Any, box: Any, owner: Any, start: Any, origin: Any, size: Pair, outside: float = 0.0
) -> Any:
    """A tile ``(rows, *size, C)`` of each window's map, which is clean but for its box.

    Every cell is looked up by its number in one list: all clean cells, all boxes' cells, and one
    that stands for what lies outside the map.
    """
    import tensorflow as tf

    (h, w, channels), (box_h, box_w) = clean.shape[1:], box.shape[1:3]
    row = origin[:, :1] + tf.range(size[0])
    column = origin[:, 1:] + tf.range(size[1])
    images, rows = tf.shape(clean)[0], tf.shape(box)[0]
    n_clean, n_boxed = images * h * w, rows * box_h * box_w

    def numbers(first: Any, top: Any, left: Any, h: int, w: int) -> tuple[Any, Any]:
        i, j = (row - top)[:, :, None], (column - left)[:, None, :]
        return first[:, None, None] + i * w + j, (i >= 0) & (i < h) & (j >= 0) & (j < w)

    of_clean, inside = numbers(owner * (h * w), 0, 0, h, w)
    first = n_clean + tf.range(rows) * (box_h * box_w)
    of_box, changed = numbers(first, start[:, :1], start[:, 1:], box_h, box_w)
    number = tf.where(changed, of_box, tf.where(inside, of_clean, n_clean + n_boxed))
    cells = [tf.reshape(clean, [n_clean, channels]), tf.reshape(box, [n_boxed, channels])]
    return tf.gather(tf.concat([*cells, tf.fill([1, channels], outside)], axis=0), number)


def _unpadded(layer: Any) -> Callable[[Any], Any]:
    """What a layer computes without padding, through the same weights (a twin, as in `linear`)."""
    twin = object.__new__(type(layer))
    vars(twin).update(vars(layer), padding="valid")
    return lambda x: type(layer).call(twin, x)


def read(logits: Any, score: scores.Score) -> Any:
    """All classes' scores ``(N, classes)`` of which `scores.pick` takes one."""
    import tensorflow as tf

    if score == "logit":
        return logits
    return tf.sigmoid(logits) if logits.shape[1] == 1 else tf.nn.softmax(logits)
