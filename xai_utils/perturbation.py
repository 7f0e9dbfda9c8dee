"""Explanations by changing the image and watching the score: no gradient, so any model will do.

``f(x)`` is the explained score of image x (a logit by default).  Occlusion covers one patch at a
time, RISE random halves of the image.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _boxes, _incremental, scores
from ._black_box import BlackBox, Images, Target, is_keras, prepared, untouched
from ._occluders import Fill, Occluder, filler
from .scores import Score

if TYPE_CHECKING:
    import keras

Pair = tuple[int, int]
Sides = int | tuple[int, int]


def occlusion(
    model: keras.Model | BlackBox,
    images: ArrayLike,
    target: Target = None,
    *,
    patch: Sides,
    stride: Sides | None = None,
    occluder: Occluder | float | ArrayLike = "black",
    score: Score = "logit",
    batch_size: int | None = None,
    incremental: bool | None = None,
) -> NDArray[np.float32]:
    """How far a class's score falls when a patch of the image is covered, for every place of it.

    ``A[p] = mean over the windows w that cover pixel p of f(x) - f(x occluded in w)``, signed:
    positive where the patch speaks for the class.  Windows lie ``stride`` apart; the last one of
    a row or column is moved to the border, so every pixel is covered.  A cover that equals what it
    covers lowers the score by exactly zero.

    A covered patch leaves the data that the model knows, and each occluder leaves it differently:
    compare them before you believe one.

    Args:
        model: a Keras model, or any callable that takes images ``(N, H, W, C)`` and gives scores
            ``(N, classes)``, which are taken as they are.
        images: ``(N, H, W, C)`` floats in the model's scale.
        target: class of each image; None for the one predicted for the untouched image.
        patch: height and width of the window in pixels, or one number for both.
        stride: pixels between windows, at most the patch; None for half of it.
        occluder: what covers the patch: ``"black"`` (0); ``"mean"``, the image's own in each
            channel; ``"blur"``, the image under a Gaussian whose sigma is half the patch;
            ``"inpaint"``, painted from the border inwards (OpenCV, Telea's method: grey or RGB, in
            256 steps between the image's extremes); a number, an image ``(H, W, C)``, or one for
            each image ``(N, H, W, C)``.
        score: the logit, or the probability, which hardly moves where the model is sure.
        batch_size: windows computed at once; None for one that suits their size.
        incremental: whether only what a patch can change is computed anew, which gives the same
            numbers to rounding.  None: where a Keras model starts with a chain of convolutions and
            poolings; True: an error where that is impossible; False: never.

    Returns:
        ``(N, H, W)`` float32, in units of the score.

    Raises:
        ValueError: wrong input, a patch larger than the image, a stride larger than the patch, an
            unknown occluder, scores of another shape, NaN, or ``incremental=True`` in vain.
        TypeError: neither a Keras model nor a callable.

    Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks" (2013 on
    arXiv), section 4.2.
    """
    x, look = prepared(model, images, score, batch_size, "occlusion")
    if not (incremental is None or isinstance(incremental, bool)):
        raise ValueError(f"incremental {incremental!r}; expected None, True or False")
    windows = _windows(x.shape[1:3], patch, stride)
    plan = None
    if incremental is not False and is_keras(model):
        plan = _boxes.plan(model, x.shape[1:], windows.patch)
    if incremental and plan is None:
        raise ValueError(
            f"incremental=True: {look.name!r} does not begin with a chain of convolutions and "
            f"poolings, or a patch of {windows.patch} changes nearly all of it; leave it at None"
        )
    covers = _Covers(x, windows, filler(occluder, x, windows.patch))
    clean, classes = untouched(look, x, target)
    if plan is not None:
        batches = _incremental.occluded(
            model, plan, x, covers.one, windows.corners, windows.patch, score, batch_size
        )
    else:
        looked = look.over(covers.copies, covers.same.size)
        batches = ((*np.divmod(row, len(windows.corners)), found) for row, found in looked)
    fall = np.empty(covers.same.shape)
    for n, w, found in batches:
        fall[n, w] = clean[n] - found[np.arange(len(n)), classes[n]]
    fall[covers.same] = 0  # rounding differs from batch to batch
    scores.check_finite(fall, "occlusion", look.name)
    return windows.mean_at_pixels(fall).astype(np.float32)


def rise(
    model: keras.Model | BlackBox,
    images: ArrayLike,
    target: Target = None,
    *,
    masks: int = 4000,
    cell: Sides | None = None,
    keep: float = 0.5,
    seed: int = 0,
    score: Score = "logit",
    batch_size: int | None = None,
) -> NDArray[np.float32]:
    """The mean score of randomly masked images, for each pixel over the masks that leave it in.

    ``S[p] = 1 / (keep K) sum_k f(x * M_k) M_k[p]``.  A mask is a coarse random grid of zeros and
    ones (1 with probability ``keep``), enlarged bilinearly and shifted at random.  S estimates the
    mean of f given that p is seen: differences between pixels are what it says.

    The article masks the probability.  Here the logit is the default, as everywhere, because the
    probability saturates; either way the map carries noise of about ``mean f / sqrt(K)``.

    Args:
        model, images, target, score, batch_size: as for `occlusion`.
        masks: K, the number of masks; all images get the same ones.
        cell: height and width in pixels of a grid's cell; None for a seventh of the image.
        keep: the probability that a cell is left in.
        seed: of the masks.  Mask k is the same in every batch size and for every K.

    Returns:
        ``(N, H, W)`` float32, in units of the score.

    Raises:
        ValueError: wrong input, ``masks`` below 1, a cell larger than the image, ``keep`` not in
            (0, 1], scores of another shape, NaN.
        TypeError: neither a Keras model nor a callable.

    Source: Petsiuk, Das & Saenko 2018, "RISE: randomized input sampling for explanation of
    black-box models", eq. 6 and section 3.2.
    """
    x, look = prepared(model, images, score, batch_size, "rise")
    masks, size = scores.check_count("masks", masks), x.shape[1:3]
    cell = _sides("cell", tuple(-(-side // 7) for side in size) if cell is None else cell, size)
    if not (isinstance(keep, int | float | np.number) and 0 < keep <= 1):
        raise ValueError(f"keep {keep!r}; expected a probability above 0, at most 1")
    classes = untouched(look, x, target)[1]

    @functools.lru_cache(maxsize=1)  # a batch's masks are read twice
    def drawn(first: int, last: int) -> Images:
        return rise_masks(size, cell, first, last + 1, keep=keep, seed=seed)

    def masked(row: Any) -> Images:
        k, n = np.divmod(row, len(x))
        return x[n] * drawn(int(k[0]), int(k[-1]))[k - k[0], ..., None]

    total = np.zeros(x.shape[:3])
    for row, found in look.over(masked, masks * len(x)):
        k, n = np.divmod(row, len(x))
        own, place = np.unique(n, return_inverse=True)
        weights = np.zeros((len(own), k[-1] - k[0] + 1))
        weights[place, k - k[0]] = found[np.arange(len(n)), classes[n]] / (keep * masks)
        total[own] += np.einsum("nk,khw->nhw", weights, drawn(int(k[0]), int(k[-1])))
    scores.check_finite(total, "rise", look.name)
    return total.astype(np.float32)


def rise_masks(
    size: Pair, cell: Pair, first: int, last: int, *, keep: float = 0.5, seed: int = 0
) -> Images:
    """The masks ``first ... last - 1`` of `rise`: ``(last - first, H, W)`` float32 in [0, 1].

    Each is a grid of ``h x w`` cells, as many as the image needs, enlarged bilinearly to
    ``(h + 1) x (w + 1)`` cells of pixels, of which an image's size is cut out at a random place
    that lies less than a cell from the corner.  The mean over all masks is ``keep`` everywhere.

    Source: Petsiuk, Das & Saenko 2018, section 3.2, "mask generation".
    """
    h, w = (-(-side // c) for side, c in zip(size, cell, strict=True))
    draws = h * w + 2  # of each mask: its cells, and its shift
    stream = np.random.PCG64(seed).advance(first * draws)  # mask k, whoever asks for it
    u = np.random.Generator(stream).random((last - first, draws), np.float64)
    grid = (u[:, :-2] < keep).astype(np.float32).reshape(-1, h, w)
    shift = np.floor(u[:, -2:] * cell)
    rows, columns = (  # of each mask: (pixels, cells)
        _bilinear(shift[:, axis], n, size[axis], (n + 1) * cell[axis])
        for axis, n in enumerate((h, w))
    )
    return (rows @ grid @ columns.transpose(0, 2, 1)).astype(np.float32, copy=False)


# --- windows -------------------------------------------------------------------------------------


def _bilinear(shift: Any, cells: int, side: int, enlarged: int) -> Images:
    """``(K, side, cells)``: each pixel's share of each cell, on an axis enlarged and shifted."""
    place = (np.arange(side) + shift[:, None] + 0.5) * cells / enlarged - 0.5
    distance = np.abs(place.clip(0, cells - 1)[..., None] - np.arange(cells))
    return (1 - distance).clip(min=0).astype(np.float32)


class _Windows(NamedTuple):
    """Where the patches lie on an image: a grid of rows that start at ``tops``, and columns."""

    size: Pair
    patch: Pair
    tops: NDArray[np.intp]
    lefts: NDArray[np.intp]
    corners: NDArray[np.intp]  # (windows, 2), row by row

    def place(self, window: int) -> tuple[slice, slice]:
        (top, left), (high, wide) = self.corners[window], self.patch
        return slice(top, top + high), slice(left, left + wide)

    def places(self, windows: Any) -> tuple[Any, Any, Any]:
        """The pixels of window ``windows[k]`` in image k, as an index into ``(K, H, W, C)``."""
        rows, columns = (
            start[:, None] + np.arange(side)
            for start, side in zip(self.corners[windows].T, self.patch, strict=True)
        )
        return np.arange(len(windows))[:, None, None], rows[:, :, None], columns[:, None, :]

    def mean_at_pixels(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(N, windows)`` to ``(N, H, W)``: the mean over the windows that cover a pixel.

        Which windows cover a pixel is a product: those of its row times those of its column.
        """
        (high, wide), grid = self.patch, (len(self.tops), len(self.lefts))
        rows = _covers(self.tops, high, self.size[0])
        columns = _covers(self.lefts, wide, self.size[1])
        total = rows.T @ values.reshape(-1, *grid) @ columns
        return total / np.outer(rows.sum(axis=0), columns.sum(axis=0))


class _Covers:
    """Covers of all windows of all images, made when asked for.

    ``same`` says which of them changed nothing: ``(N, windows)``.
    """

    def __init__(self, x: Images, windows: _Windows, fill: Fill) -> None:
        self.x, self.windows, self.fill = x, windows, fill
        self.same = np.zeros((len(x), len(windows.corners)), bool)

    def one(self, n: int, w: int) -> Images:
        """What lies on window w of image n, ``(h, w, C)``."""
        painted = self.fill(n, *self.windows.corners[w])
        self.same[n, w] = (painted == self.x[n][self.windows.place(w)]).all()
        return painted

    def copies(self, row: Any) -> Images:
        """Occluded images: row ``n * windows + w`` is image n with window w covered."""
        n, w = np.divmod(row, self.same.shape[1])
        copies, places = self.x[n], self.windows.places(w)
        corners = self.windows.corners[w]
        painted = np.stack([self.fill(k, *c) for k, c in zip(n, corners, strict=True)])
        self.same[n, w] = (copies[places] == painted).all(axis=(1, 2, 3))
        copies[places] = painted
        return copies


def _windows(size: Pair, patch: Sides, stride: Sides | None) -> _Windows:
    high, wide = _sides("patch", patch, size)
    half = (max(high // 2, 1), max(wide // 2, 1))
    steps = _sides("stride", half if stride is None else stride, (high, wide))
    tops, lefts = (_starts(*of) for of in zip(size, (high, wide), steps, strict=True))
    corners = np.stack(np.meshgrid(tops, lefts, indexing="ij"), axis=-1).reshape(-1, 2)
    return _Windows(size, (high, wide), tops, lefts, corners)


def _starts(size: int, patch: int, stride: int) -> NDArray[np.intp]:
    """Where windows start on an axis: every ``stride`` pixels, and one that ends at the border."""
    starts = np.arange(0, size - patch + 1, stride)
    return starts if starts[-1] == size - patch else np.append(starts, size - patch)


def _covers(starts: NDArray[np.intp], patch: int, size: int) -> NDArray[np.float64]:
    """``(windows, pixels)`` of an axis: 1 where a window covers a pixel, else 0."""
    pixel = np.arange(size)
    return ((pixel >= starts[:, None]) & (pixel < starts[:, None] + patch)).astype(np.float64)


def _sides(name: str, given: Any, most: Pair) -> Pair:
    """Height and width in pixels from one number or two, each from 1 to its most."""
    pair = given if isinstance(given, tuple | list) else (given, given)
    whole = [isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in pair]
    if len(pair) != 2 or not all(whole):
        raise ValueError(
            f"{name} {given!r}; expected pixels, 1 or more: one number or (high, wide)"
        )
    if pair[0] > most[0] or pair[1] > most[1]:
        if name == "stride":
            raise ValueError(f"stride {given!r} is larger than the patch {most}: it skips pixels")
        raise ValueError(f"{name} {given!r} is larger than the image {most}")
    return int(pair[0]), int(pair[1])
