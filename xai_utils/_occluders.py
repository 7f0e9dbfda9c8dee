"""What covers a patch in an occluded image: a constant, the mean, a blur, or something painted."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._incremental import Pair

Images = NDArray[np.float32]
Fill = Callable[[int, int, int], Any]  # fill(image, top, left): what covers the patch there
Occluder = Literal["black", "mean", "blur", "inpaint"]
OCCLUDERS = "'black', 'mean', 'blur', 'inpaint', a number or an image"


def filler(occluder: Any, images: Images, patch: Pair) -> Fill:
    """What covers a patch: a function of the image's number and the window's corner."""
    high, wide = patch
    if isinstance(occluder, str):
        if occluder == "inpaint":
            return _inpainter(images, patch)
        if occluder not in ("black", "mean", "blur"):
            raise ValueError(f"occluder {occluder!r}; expected {OCCLUDERS}")

    @functools.lru_cache(maxsize=1)  # windows come image by image
    def cover(k: int) -> Any:
        if isinstance(occluder, str) and occluder == "mean":
            return np.broadcast_to(images[k].mean(axis=(0, 1)), images.shape[1:])
        if isinstance(occluder, str) and occluder == "blur":
            return _blurred(images[k], max(patch) / 2)
        return constant[k]

    constant = _given(0.0 if isinstance(occluder, str) else occluder, images)
    return lambda k, top, left: cover(k)[top : top + high, left : left + wide]


def _given(occluder: Any, images: Images) -> Images:
    """A number, an image or one for each image as one for each, without a copy of it."""
    values: Any = np.asarray(occluder)
    if values.dtype.kind not in "fiu" or values.shape not in ((), images.shape[1:], images.shape):
        raise ValueError(
            f"occluder of dtype {values.dtype} and shape {values.shape}; expected {OCCLUDERS}: "
            f"{images.shape[1:]}, or {images.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("NaN or infinity in the occluder; remove or repair it")
    return np.broadcast_to(values.astype(np.float32), images.shape)


def _blurred(image: Images, sigma: float) -> Images:
    import cv2

    return np.reshape(cv2.GaussianBlur(image, (0, 0), sigma), image.shape).astype(np.float32)


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
