"""What stands in the place of a pixel that was taken away.

A pixel that turns black tells the network where something was removed.  ROAD fills it with the
weighted mean of its eight neighbours, which may be missing themselves: a sparse linear system.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._stand_ins import pictures

Images = NDArray[np.float32]
Masks = NDArray[np.bool_]
Filler = Callable[[int, int, Masks], Images]  # filler(image, step, gone): where pixels come from
Fill = Literal["mean", "blur", "linear"]
FILLS = "'mean', 'blur', 'linear', a number or an image"
BLUR = 5.0  # pixels: sigma of Petsiuk's blurred baseline
# Direct neighbours weigh twice as much as diagonal ones; together they weigh 1.
NEIGHBOURS = {
    (dy, dx): 1 / 6 if dy == 0 or dx == 0 else 1 / 12
    for dy in (-1, 0, 1)
    for dx in (-1, 0, 1)
    if (dy, dx) != (0, 0)
}
PRECISION = 1e-10  # of the solution, relative to how much the known pixels differ


def filler(fill: Any, x: Images, noise: float, seed: int) -> Filler:
    """A function of image, step and mask that gives the picture which gone pixels come from."""
    if isinstance(fill, str) and fill == "linear":
        if not noise >= 0:
            raise ValueError(f"noise {noise!r}; expected a standard deviation, 0 or more")
        return lambda n, k, gone: noisy_linear_imputation(
            x[n], gone, noise, np.random.default_rng([seed, n, k])
        )
    picture = pictures(fill, x, BLUR, name="fill", known=FILLS)
    return lambda n, k, gone: picture(n)


# --- ROAD ---


def noisy_linear_imputation(
    image: Images, missing: Masks, noise: float, rng: np.random.Generator
) -> Images:
    """The image with its missing pixels filled: ``(H, W, C)``.

    Each missing pixel equals the weighted mean of its neighbours, ``x_i = sum_j w_ij x_j`` with
    w = 1/6 for direct and 1/12 for diagonal ones (at the border the weights of those that exist,
    divided by their sum), plus Gaussian noise.  Where all is missing: the image's mean.

    Args:
        image: ``(H, W, C)``.
        missing: ``(H, W)`` bool.
        noise: standard deviation, in units of the image.
        rng: draws the noise.

    Source: Rong et al. 2022, "A consistent and efficient evaluation strategy for attribution
    methods" (ROAD).
    """
    from scipy.sparse.linalg import cg

    filled = image.astype(np.float64)
    if missing.all():
        filled[:] = filled.mean(axis=(0, 1))
    elif missing.any():
        middle = filled[~missing].mean(axis=0)  # a constant solves the system: solve for the rest
        matrix, known = _system(filled - middle, missing)
        for c in range(image.shape[2]):
            filled[missing, c] = cg(matrix, known[:, c], rtol=PRECISION)[0] + middle[c]
    filled[missing] += rng.normal(0, noise, filled[missing].shape)
    return filled.astype(np.float32)


def _system(image: NDArray[np.float64], missing: Masks) -> tuple[object, NDArray[np.float64]]:
    """``(D - W) x = known``: one equation for each missing pixel, symmetric.

    D holds the sum of the weights of the neighbours that exist, W the weights of those that are
    missing too; ``known`` ``(missing, C)`` is what the others contribute.
    """
    from scipy.sparse import csr_array

    rows, columns = np.nonzero(missing)
    count = len(rows)
    number = np.full(missing.shape, -1)
    number[missing] = np.arange(count)
    weight_sum, known = np.zeros(count), np.zeros((count, image.shape[2]))
    entries: list[tuple[NDArray[np.intp], NDArray[np.intp], float]] = []
    for (dy, dx), weight in NEIGHBOURS.items():
        y, x = rows + dy, columns + dx
        there = np.flatnonzero(
            (y >= 0) & (y < missing.shape[0]) & (x >= 0) & (x < missing.shape[1])
        )
        weight_sum[there] += weight
        neighbour = number[y[there], x[there]]
        seen, unseen = there[neighbour < 0], there[neighbour >= 0]
        known[seen] += weight * image[y[seen], x[seen]]
        entries.append((unseen, neighbour[neighbour >= 0], -weight))
    diagonal = np.arange(count)
    i = np.concatenate([diagonal, *(e[0] for e in entries)])
    j = np.concatenate([diagonal, *(e[1] for e in entries)])
    v = np.concatenate([weight_sum, *(np.full(len(e[0]), e[2]) for e in entries)])
    return csr_array((v, (i, j)), shape=(count, count)), known
