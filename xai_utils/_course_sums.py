"""What the parts of a map should add up to, for the methods of the course that promise a sum."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import scores
from ._black_box import Images
from .local_surrogates import superpixels

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float64]
Sums = tuple[Floats, Floats]
Check = Callable[[ArrayLike, Images, Any], Sums]


def course_sums(model: keras.Model, references: Images) -> dict[str, Check]:
    """The sum that each complete method promises, and what came of it, by the method's name.

    ``check(attributions, images, target)`` gives two arrays ``(N,)``: what the parts add up to, and
    what they should.  The parts are those that the method itself returns, before they are enlarged
    or smoothed.  LRP and the class activation maps promise the logit without what biases (and
    epsilon) keep, so their difference is that share and no error.

    Args:
        model: the explained network.
        references: as for `scoreboard.course_methods`; expected gradients and DeepSHAP start there.
    """
    zero = np.zeros_like(references[:1])

    def rise(start: Images) -> Check:
        return functools.partial(_from, model=model, start=start)

    whole = functools.partial(_from, model=model, start=None)
    return {
        "integrated gradients": rise(zero),
        "expected gradients": rise(references),
        "LRP, epsilon": whole,
        "LRP, gamma": whole,
        "deep Taylor": whole,
        "DeepLIFT": rise(zero),
        "DeepSHAP": rise(references[:3]),
        "CAM": functools.partial(_from, model=model, start=None, mean=True),
        "KernelSHAP": functools.partial(_of_superpixels, model=model),
    }


def _logits(model: keras.Model, images: Images, target: Any) -> Floats:
    return scores.logits(model, images)[np.arange(len(images)), target].astype(np.float64)


def _from(
    attributions: ArrayLike,
    images: Images,
    target: Any,
    *,
    model: keras.Model,
    start: Images | None,
    mean: bool = False,
) -> Sums:
    """The sum (CAM: the mean) against the logit, less its mean over ``start``."""
    parts = np.asarray(attributions, np.float64).reshape(len(images), -1)
    wanted = _logits(model, images, target)
    if start is not None:
        wanted = wanted - scores.logits(model, start)[:, target].mean(axis=0)
    return parts.mean(axis=1) if mean else parts.sum(axis=1), wanted


def _of_superpixels(
    attributions: ArrayLike, images: Images, target: Any, *, model: keras.Model
) -> Sums:
    """Each superpixel's share once, against the logit less that of the picture of one grey."""
    grey = np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape)
    found = []
    for heat, image in zip(np.asarray(attributions, np.float64), images, strict=True):
        first = np.unique(superpixels(image), return_index=True)[1]  # a pixel of each
        found.append(heat.ravel()[first].sum())
    nothing = _logits(model, grey.astype(np.float32), target)
    return np.array(found), _logits(model, images, target) - nothing
