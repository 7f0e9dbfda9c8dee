"""The way from a baseline to an image: where it starts, and at which points it is looked at."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import scores

Images = NDArray[np.float32]
Quadrature = Literal["midpoint", "trapezoid", "gauss-legendre"]


def quadrature_rule(name: str, steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points in [0, 1] and their weights, which sum to 1: ``integral f ~ sum_s w_s f(a_s)``.

    Raises:
        ValueError: unknown name, or too few steps.
    """
    steps = scores.check_count("steps", steps)
    if name == "midpoint":
        return (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)
    if name == "gauss-legendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        return (points + 1) / 2, weights / 2
    if name != "trapezoid":
        raise ValueError(
            f"quadrature {name!r}; expected 'midpoint', 'trapezoid' or 'gauss-legendre'"
        )
    if steps < 2:
        raise ValueError("steps 1; the trapezoid needs both ends of the way, so 2 or more")
    weights = np.full(steps, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, steps), weights


def baselines(baseline: float | ArrayLike, images: Images) -> Images:
    """One baseline for each image, whatever of the three forms was given."""
    given = np.asarray(baseline)
    if given.dtype.kind not in "fiu":
        raise ValueError(f"baseline of dtype {given.dtype}; expected numbers in the images' scale")
    if given.shape not in ((), images.shape[1:], images.shape):
        raise ValueError(
            f"baseline of shape {given.shape}; expected a number, one image {images.shape[1:]} or "
            f"one for each image {images.shape}"
        )
    if not np.isfinite(given).all():
        raise ValueError("NaN or infinity in the baseline; remove or repair it")
    return np.broadcast_to(given.astype(np.float32), images.shape)
