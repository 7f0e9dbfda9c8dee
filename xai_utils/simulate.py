"""Synthetic steel: drawings of six surface defects, with the exact truth about where each lies.

The pictures imitate the NEU surface-defect plates (Song & Yan 2013, Applied Surface Science 285:
858-864). They are drawings, not steel: they stand in for the plates where these are not at hand,
and they mark explanations right or wrong, because every pixel of the defect is known.

Each picture is a lit ground times the reflectance of the defect, plus the noise of a sensor::

    image = round(ground * defect + noise)        defect = 1 where there is none

Ground and noise are drawn in the same way for all six classes: nothing outside the mask tells the
class, so an explanation that points outside the mask is wrong.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import _shortcuts, _steel
from ._shortcuts import Shortcut
from ._shortcuts import grey as _grey

if TYPE_CHECKING:
    from .datasets import ImageDataset

CLASS_NAMES = (
    "crazing",
    "inclusion",
    "patches",
    "pitted_surface",
    "rolled-in_scale",
    "scratches",
)
VISIBLE = 6  # grey levels: a defect pixel differs from the flawless plate by at least this much
LEAST_SHARE = 0.005  # of the plate: a smaller defect is drawn again
MOST_BOXES = 6
SMALLEST = 100  # pixels: on smaller plates a hairline would be thinner than a pixel can show


@dataclass(frozen=True)
class SyntheticSteel:
    """Drawn plates, class by class, with the exact truth about their defects.

    ``masks`` and ``boxes`` describe the defect, whether or not a shortcut was planted on top.
    """

    images: np.ndarray  # (N, size, size) uint8
    labels: np.ndarray  # (N,) int64, index into CLASS_NAMES
    masks: np.ndarray  # (N, size, size) bool, the pixels that the defect changed
    boxes: tuple[np.ndarray, ...]  # per image (n, 4) int64: x0, y0, x1, y1, half-open
    shortcut_masks: np.ndarray | None  # (N, size, size) bool, the pixels of the planted shortcut


@dataclass(frozen=True)
class Plate:
    """One drawn plate: with its defect, without it, and the pixels where the two differ."""

    image: np.ndarray  # (size, size) uint8
    flawless: np.ndarray  # (size, size) uint8, equal to image outside mask, bit for bit
    mask: np.ndarray  # (size, size) bool


def synthetic_steel(
    n_per_class: int = 300,
    seed: int = 0,
    *,
    size: int = 200,
    shortcut: Shortcut | None = None,
    shortcut_class: int | str = "scratches",
    shortcut_rate: float = 1.0,
    elsewhere_rate: float = 0.0,
) -> SyntheticSteel:
    """Draw ``6 * n_per_class`` plates with exact masks and, on demand, a shortcut to be caught.

    The classes imitate, in the order of CLASS_NAMES: a net of hairline cracks, mostly across the
    strip (crazing); dark streaks along the strip (inclusion); large dark blotches (patches); small
    pits in clusters (pitted surface); rough flakes in bands (rolled-in scale); thin bright lines
    (scratches). Every image has random streams of its own: plate ``k`` of a class is the same
    however many are drawn and whatever is planted on it.

    A shortcut ("stamp": an inspector's ink stamp in the upper right corner, "brightness": the
    whole plate lighter, "border": a dark frame) is planted on an image when the image's own
    uniform number lies below the rate of its class; the images marked at a low rate are therefore
    among those marked at a higher one. Pixels outside ``shortcut_masks`` stay as they are.

    Args:
        n_per_class: plates of each class, at least 1.
        seed: start of all random streams, not negative.
        size: edge of a plate in pixels, at least 100; all lengths grow with it.
        shortcut: what is planted, or None.
        shortcut_class: index or name of the class that the shortcut goes with.
        shortcut_rate: share of the plates of that class that bear it, in [0, 1].
        elsewhere_rate: share of the other plates that bear it, in [0, 1].

    Raises:
        ValueError: a number out of its range, an unknown shortcut or an unknown class.
    """
    if n_per_class < 1:
        raise ValueError(f"n_per_class is {n_per_class}; expected at least 1 plate of each class.")
    _shortcuts.check(shortcut, shortcut_rate=shortcut_rate, elsewhere_rate=elsewhere_rate)
    rates = _rates(class_index(shortcut_class), 6, shortcut_rate, elsewhere_rate)
    labels = np.repeat(np.arange(6, dtype=np.int64), n_per_class)
    images = np.empty((len(labels), size, size), np.uint8)
    masks = np.empty(images.shape, bool)
    planted = None if shortcut is None else np.zeros(images.shape, bool)
    with _one_thread():
        for i, label in enumerate(labels.tolist()):
            index = 6 * (i % n_per_class) + label  # no two plates share a ground
            plate = draw_plate(label, index, seed, size=size)
            images[i], masks[i] = plate.image, plate.mask
            if planted is not None and shortcut is not None:
                rng = _stream(seed, index, _SHORTCUT)
                if rng.random() < rates[label]:
                    images[i], planted[i] = _shortcuts.marked(images[i], shortcut, rng)
        boxes = tuple(map(mask_boxes, masks))
    return SyntheticSteel(images, labels, masks, boxes, planted)


def draw_plate(label: int | str, index: int = 0, seed: int = 0, *, size: int = 200) -> Plate:
    """Draw plate ``index`` of a seed with the defect of a class, beside the same plate without it.

    Plate ``k`` of class ``c`` in ``synthetic_steel(..., seed)`` is ``draw_plate(c, 6 * k + c,
    seed)``; another label draws another defect on the same ground. A pixel belongs to the defect
    when it changes by VISIBLE grey levels or more; smaller changes and lone specks are taken back,
    so that image and flawless plate are equal outside the mask, which covers at least LEAST_SHARE
    of the plate.

    Raises:
        ValueError: an unknown class, a negative index or seed, a size below 100.
    """
    if size < SMALLEST:
        raise ValueError(f"size is {size}; expected at least {SMALLEST} pixels.")
    if index < 0 or seed < 0:
        raise ValueError(f"index is {index} and seed is {seed}; expected both to be 0 or more.")
    draw = _steel.DEFECTS[CLASS_NAMES[class_index(label)]]
    ground, noise = _steel.ground(_stream(seed, index, _GROUND), size)
    flawless, rng = _grey(ground + noise), _stream(seed, index, _DEFECT)
    mask = np.zeros((size, size), bool)
    while mask.mean() < LEAST_SHARE:  # a faint or misplaced defect is drawn again
        spoilt = _grey(ground * draw(rng, size) + noise)
        mask = _without_specks(np.abs(spoilt.astype(np.int16) - flawless) >= VISIBLE)
    return Plate(np.where(mask, spoilt, flawless), flawless, mask)


class Planted(NamedTuple):
    """A data set with a shortcut on some of its plates, and the truth about where it lies."""

    dataset: ImageDataset
    masks: np.ndarray  # (N, H, W) bool, the shortcut's pixels; none on a plate that is as it was


def plant_shortcut(
    dataset: ImageDataset,
    shortcut: Shortcut,
    shortcut_class: int | str,
    *,
    shortcut_rate: float = 1.0,
    elsewhere_rate: float = 0.0,
    strength: float = 1.0,
    parts: Sequence[str] | None = None,
    seed: int = 0,
) -> Planted:
    """Plant a shortcut of `synthetic_steel` on the plates of any data set, real ones too.

    Whether a plate bears it, and where, is drawn from a stream that hangs on the plate's name and
    the seed alone: a plate is marked in the same way in every subset, and those marked at a low
    rate are among those marked at a higher one.  Pixels outside the masks stay as they are.

    Args:
        dataset: square grey plates; it is left as it was.
        shortcut: "stamp", "brightness" or "border".
        shortcut_class: index or name of the class that the shortcut goes with.
        shortcut_rate: share of the plates of that class that bear it, in [0, 1].
        elsewhere_rate: share of the other plates that bear it, in [0, 1].
        strength: from 0, a mark that nobody sees, to 1; each pixel goes so much of its way.
        parts: parts of the split in which plates are marked, for example ``("train",)``; None for
            all of them.
        seed: start of all random streams, not negative.

    Raises:
        ValueError: a share or a strength outside [0, 1], an unknown shortcut, class or part.
    """
    _shortcuts.check(
        shortcut, shortcut_rate=shortcut_rate, elsewhere_rate=elsewhere_rate, strength=strength
    )
    names = dataset.class_names
    marked_class = class_index(shortcut_class, names)
    rates = _rates(marked_class, len(names), shortcut_rate, elsewhere_rate)
    unknown = [part for part in parts or () if part not in dataset.split]
    if unknown:
        known = ", ".join(np.unique(dataset.split))
        raise ValueError(f"parts has {unknown}; expected some of {known}.")
    images = dataset.images.copy()
    masks = np.zeros(images.shape[:3], bool)
    with _one_thread():
        for i, name in enumerate(dataset.names):
            rng = _stream(seed, zlib.crc32(name.encode()), _SHORTCUT)
            wanted = parts is None or dataset.split[i] in parts
            if rng.random() < rates[dataset.labels[i]] and wanted:
                images[i, ..., 0], masks[i] = _shortcuts.marked(
                    images[i, ..., 0], shortcut, rng, strength
                )
    what = f"{shortcut} on {shortcut_rate:.0%} of {names[marked_class]}"
    if elsewhere_rate:
        what += f" and {elsewhere_rate:.0%} of the others"
    if strength < 1:
        what += f", at {strength:.0%} of its strength"
    return Planted(replace(dataset, images=images, name=f"{dataset.name}, {what}"), masks)


def class_index(label: int | str, names: Sequence[str] = CLASS_NAMES) -> int:
    """Index of a class in ``names``, from its name or its index.

    Raises:
        ValueError: a name that is not among them, an index outside their range.
    """
    if isinstance(label, str) and label in names:
        return list(names).index(label)
    if isinstance(label, int | np.integer) and 0 <= label < len(names):
        return int(label)
    last = len(names) - 1
    raise ValueError(f"class is {label!r}; expected 0..{last} or one of {', '.join(names)}.")


def mask_boxes(mask: np.ndarray) -> np.ndarray:
    """Boxes around the groups of a defect mask, as an annotator would draw them.

    Pixels closer than a reach belong to one group; the reach starts at 3 % of the plate and
    grows by half until at most MOST_BOXES groups are left. A box within another is left out.

    Returns:
        (n, 4) int64: x0, y0, x1, y1, half-open; together they cover every pixel of the mask.
    """
    from scipy import ndimage

    found = ndimage.find_objects(_groups(mask))
    corners = [(s[1].start, s[0].start, s[1].stop, s[0].stop) for s in found if s is not None]
    boxes: np.ndarray = np.array(corners, np.int64).reshape(-1, 4)
    low = (boxes[:, None, :2] >= boxes[None, :, :2]).all(axis=2)
    high = (boxes[:, None, 2:] <= boxes[None, :, 2:]).all(axis=2)
    inside = low & high & ~(boxes[:, None] == boxes[None]).all(axis=2)
    outer: np.ndarray = boxes[~inside.any(axis=1)]
    return outer


# ---- streams, grey levels, groups -------------------------------------------------------------


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV on one thread: sharing out so small a picture takes longer than drawing it."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


_GROUND, _DEFECT, _SHORTCUT = range(3)


def _stream(seed: int, index: int, purpose: int) -> np.random.Generator:
    """The generator of one purpose of one image: grandchild ``purpose`` of child ``index``."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, purpose)))


def _groups(mask: np.ndarray) -> np.ndarray:
    """The number of its group for each pixel of a mask, 0 outside; see mask_boxes."""
    import cv2

    reach = max(2, round(0.03 * len(mask)))
    while True:
        near = cv2.dilate(mask.astype(np.uint8), np.ones((reach, reach), np.uint8))
        count, groups = cv2.connectedComponents(near)
        if count - 1 <= MOST_BOXES:  # number 0 is the ground
            return np.asarray(np.where(mask, groups, 0))
        reach += reach // 2


def _without_specks(mask: np.ndarray) -> np.ndarray:
    """A mask without the groups that hold less than a fiftieth of it, which no eye would count."""
    groups = _groups(mask)
    share = np.bincount(groups.ravel()) / max(1, mask.sum())
    return np.asarray(mask & (share[groups] >= 0.02))


def _rates(marked: int, classes: int, there: float, elsewhere: float) -> np.ndarray:
    """The share of marked plates for each class."""
    rates = np.full(classes, elsewhere, float)
    rates[marked] = there
    return rates
