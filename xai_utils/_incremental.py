"""Scores of occluded images by recomputing only what the patch can change: exact, not a guess.

A patch changes, in each layer, only the cells whose receptive field meets it.  The layers before
the first one that mixes all places are walked with a *box* for each window that holds its changed
cells.  The box is as large as the worst position needs, so all windows share one shape, and its
start is held inside the map; cells in it that did not change are computed again as they were.
Which layers are walked so, and how large the boxes are: `_boxes`.

Source: Nakandala, Kumar & Papakonstantinou 2019, "Incremental and approximate inference for faster
occlusion-based deep CNN explanations", SIGMOD (incremental inference, without its approximations).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import scores
from ._boxes import CONVOLUTIONS, POOLINGS, Block, Pair, Plan, kind_of, pair

if TYPE_CHECKING:
    import keras

Rows = NDArray[np.intp]
Cover = Callable[[int, int], Any]  # cover(image, window): what lies on the patch there


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
            window = kind_of(layer) in CONVOLUTIONS | POOLINGS
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
    size = pair(lambda n, s, k: (n - 1) * s + k, box, block.stride, block.kernel)
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
