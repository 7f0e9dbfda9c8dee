"""What covers a patch in an occluded image: a constant, the mean, a blur, or something painted."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._boxes import Pair
from ._stand_ins import pictures

Images = NDArray[np.float32]
Fill = Callable[[int, int, int], Any]  # fill(image, top, left): what covers the patch there
Occluder = Literal["black", "mean", "blur", "inpaint"]
OCCLUDERS = "'black', 'mean', 'blur', 'inpaint', a number or an image"


def filler(occluder: Any, images: Images, patch: Pair) -> Fill:
    """What covers a patch: a function of the image's number and the window's corner."""
    high, wide = patch
    if isinstance(occluder, str) and occluder == "inpaint":
        return _inpainter(images, patch)
    black = isinstance(occluder, str) and occluder == "black"
    picture = pictures(
        0.0 if black else occluder, images, max(patch) / 2, name="occluder", known=OCCLUDERS
    )
    return lambda k, top, left: picture(k)[top : top + high, left : left + wide]


def _inpainter(images: Images, patch: Pair, radius: int = 3) -> Fill:
    """Telea's in-painting by OpenCV, which knows 8-bit images of one or three channels only."""
    import cv2

    if images.shape[-1] not in (1, 3) or patch == images.shape[1:3]:
        raise ValueError(
            f"occluder 'inpaint' with a patch of {patch} on images {images.shape[1:]}; OpenCV "
            f"paints 1 or 3 channels, and from what the patch leaves of the image"
        )
    margin = 3 * radius  # what lies farther away takes no part

    @functools.lru_cache(maxsize=1)
    def in_steps(k: int) -> tuple[Any, float, float]:
        low, span = float(images[k].min()), float(np.ptp(images[k])) or 1.0
        return np.rint((images[k] - low) * (255 / span)).astype(np.uint8), low, span

    def fill(k: int, top: int, left: int) -> Any:
        steps, low, span = in_steps(k)
        y, x = max(top - margin, 0), max(left - margin, 0)
        near = steps[y : top + patch[0] + margin, x : left + patch[1] + margin]
        inside = slice(top - y, top - y + patch[0]), slice(left - x, left - x + patch[1])
        hole = np.zeros(near.shape[:2], np.uint8)
        hole[inside] = 1
        painted = cv2.inpaint(near, hole, radius, cv2.INPAINT_TELEA).reshape(near.shape)
        return painted[inside].astype(np.float32) * (span / 255) + low

    return fill
