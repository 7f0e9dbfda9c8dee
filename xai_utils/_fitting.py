"""A photograph of any proportions on a network's input: cropped, padded or squeezed.

What the network sees decides what it answers, so whichever way is taken, the map is drawn on that,
and `told` says in a line what it cost.  A photograph of the network's own proportions is only
resized, and all three ways are the same.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ._networks import Network
from ._photos import Photo

FITS = {
    "crop": "the middle of the photo, as large as the network's proportions allow",
    "pad": "the whole photo between two bands of its mean colour",
    "squeeze": "the whole photo, narrower or flatter than it is",
}
TOLD = 1.2  # proportions that differ by less are not worth a line


def usual_fit(network: Network) -> str:
    """How pictures usually reach a network of its kind.

    For ImageNet a picture is scaled by its shorter side and its middle is cut out (Krizhevsky et
    al. 2012, section 2; most have followed).  Keras's ``image_dataset_from_directory``, from which
    many train a network of their own, squeezes unless it is told otherwise.
    """
    return "crop" if network.imagenet else "squeeze"


def fitted(photo: Photo, size: tuple[int, int], fit: str) -> Photo:
    """The photograph in the proportions of a network's input.

    Args:
        photo: of any size.
        size: height and width of the input in pixels.
        fit: one of `FITS`.

    Returns:
        For crop a part of it in its own pixels; for pad and squeeze a picture of ``size``; one that
        has these proportions as it is.

    Raises:
        ValueError: another ``fit``.
    """
    if fit not in FITS:
        raise ValueError(f"no fit {fit!r}; known: {', '.join(FITS)}")
    if _factor(photo.image, size) == 1:
        return photo
    shown = {"crop": _cropped, "pad": _padded, "squeeze": _resized}[fit](photo.image, size)
    # Boxes are shares of the whole picture, which it no longer is.
    return replace(photo, image=shown, boxes={})


def told(photo: Photo, size: tuple[int, int], fit: str) -> str:
    """What fitting did to a photograph, in a line; empty where that is next to nothing."""
    factor = _factor(photo.image, size)
    times = max(factor, 1 / factor)
    if times < TOLD:
        return ""
    height, width = photo.image.shape[:2]
    was, whole = f"{width} x {height}", f"the whole photo ({width} x {height})"
    if fit == "crop":
        rows, columns = _part(photo.image, size)
        what = (
            f"only the middle of the photo, {columns} x {rows} of {was}, was shown to the network"
        )
    elif fit == "pad":
        share = f"{1 - 1 / times:.0%}"
        what = (
            f"{whole} was shown to the network; bands of its mean colour fill {share} of the input"
        )
    else:
        how = "narrow" if factor > 1 else "flat"
        what = (
            f"{whole} was squeezed into {size[1]} x {size[0]}: things look {times:.1f} times as "
            f"{how} as they are, which can change the answer"
        )
    return f"{fit}: {what}. Or choose {' or '.join(name for name in FITS if name != fit)}."


def _factor(image: NDArray[np.uint8], size: tuple[int, int]) -> float:
    """The picture's width over height, divided by that of the input: above 1 it is too wide."""
    return (image.shape[1] * size[0]) / (image.shape[0] * size[1])


def _part(image: NDArray[np.uint8], size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the largest part of a picture that has the input's proportions."""
    scale = min(image.shape[0] / size[0], image.shape[1] / size[1])
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def _cropped(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    rows, columns = _part(image, size)
    top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
    return image[top : top + rows, left : left + columns]


def _padded(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    # Made small first: padded at its own size, a panorama would fill the memory.
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    rows, columns = (max(round(n * scale), 1) for n in image.shape[:2])
    canvas = np.empty((*size, 3), np.uint8)
    canvas[:] = image.mean(axis=(0, 1)).round()
    top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
    canvas[top : top + rows, left : left + columns] = _resized(image, (rows, columns))
    return canvas


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    from PIL import Image

    small = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(small)
