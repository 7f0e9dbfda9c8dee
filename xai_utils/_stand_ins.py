"""The pictures that hidden pixels are taken from, whoever hides them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]


def pictures(
    what: Any, images: Images, sigma: float, *, name: str, known: str
) -> Callable[[int], Images]:
    """The picture ``(H, W, C)`` that hidden pixels of an image are taken from, by its number.

    Args:
        what: ``"mean"``, the image's own in each channel; ``"blur"``, the image under a Gaussian; a
            number, an image, or one for each image.
        images: ``(N, H, W, C)``.
        sigma: of that Gaussian, in pixels.
        name, known: how the caller calls it and what else it takes, for errors.
    """
    if isinstance(what, str):
        if what not in ("mean", "blur"):
            raise ValueError(f"{name} {what!r}; expected {known}")

        @functools.lru_cache(maxsize=1)  # work goes image by image
        def own(k: int) -> Images:
            if what == "blur":
                return _blurred(images[k], sigma)
            return np.broadcast_to(images[k].mean(axis=(0, 1)), images.shape[1:])

        return own
    values: Any = np.asarray(what)
    if values.dtype.kind not in "fiu" or values.shape not in ((), images.shape[1:], images.shape):
        raise ValueError(
            f"{name} of dtype {values.dtype} and shape {values.shape}; expected {known}: "
            f"{images.shape[1:]}, or {images.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"NaN or infinity in the {name}; remove or repair it")
    given = np.broadcast_to(values.astype(np.float32), images.shape)  # no copy
    return lambda k: given[k]


def _blurred(image: Images, sigma: float) -> Images:
    import cv2

    return np.reshape(cv2.GaussianBlur(image, (0, 0), sigma), image.shape).astype(np.float32)
