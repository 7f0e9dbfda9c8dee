"""Examples that stand for a data set, and examples that it hides: an explanation before any model.

Prototypes are rows whose distribution comes as near to that of all rows as so few can (the smallest
maximum mean discrepancy); criticisms are rows where the two still differ most.  The kernel is
``k(x, y) = exp(-gamma |x - y|^2)``.  The full kernel matrix is never held in memory: one pass over
blocks of it gives its column means, and afterwards only the columns of chosen rows are needed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_BLOCK = 256  # rows of the kernel matrix at once: 2 MB for each thousand rows of data
_TIE = 1e-12  # gains closer than this differ by rounding only


class Examples(NamedTuple):
    """Rows that were chosen, in the order of choosing, and J after each prototype."""

    prototypes: Indices
    criticisms: Indices
    objective: Floats


def prototypes_and_criticisms(
    features: ArrayLike,
    n_prototypes: int,
    n_criticisms: int,
    *,
    gamma: float | None = None,
    regularised: bool = True,
) -> Examples:
    """Choose rows that summarise a table, and rows that the summary leaves out (MMD-critic).

    Prototypes S maximise, greedily, one row at a time,

    ``J(S) = 2 / (n |S|) sum_i sum_j k(x_i, s_j)  -  1 / |S|^2 sum_i sum_j k(s_i, s_j)``,

    which is ``mean k(x, x) - MMD^2(rows, S)``: near to many rows, far from each other.  Criticisms
    C are rows outside S that maximise, greedily,

    ``sum_{c in C} |f(c)| + log det K_CC``,  ``f(x) = mean_i k(x, x_i) - mean_j k(x, s_j)``,

    where the witness f is positive where S has too little, negative where it has too much, and the
    determinant keeps criticisms apart.  Always n_prototypes rows are chosen, also where J falls:
    look at ``objective`` to see how many are worth it.

    Greedy choice of m rows is near the best where J is monotone and submodular.  The article proves
    that of kernel matrices whose values off the diagonal lie below ``1 / (n^3 + 2 n^2 - 2 n - 3)``,
    which real tables hardly ever meet.  It holds from the first prototype on: J of a row that is
    like no other is ``2 / n - 1``, less than nothing.  So what is guaranteed is not (1 - 1/e) of
    the best J, but ``1 - (1 - 1/m)^(m - 1)`` of what the best m rows gain over the first.

    Args:
        features: ``(n, d)`` numbers in comparable units; one row an example.
        n_prototypes: at least 1.
        n_criticisms: 0 or more; with the prototypes at most n.
        gamma: of the kernel; None for `median_gamma`.
        regularised: whether the determinant counts; False takes the largest ``|f|``.

    Returns:
        ``Examples``: indices of prototypes ``(n_prototypes,)`` and criticisms ``(n_criticisms,)``,
        and J of the first 1, 2, ... prototypes ``(n_prototypes,)``.  Among equals the first row.

    Raises:
        ValueError: wrong rank, NaN or infinity, more examples than rows, gamma not positive, or
            (without gamma) rows that are all equal.

    Source: Kim, Khanna & Koyejo 2016, "Examples are not enough, learn to criticize!", sections 3
    and 4.
    """
    x = _checked(features)
    _check_counts(len(x), n_prototypes, n_criticisms)
    if gamma is None:
        gamma = median_gamma(x)
    elif not (np.isfinite(gamma) and gamma > 0):
        raise ValueError(f"gamma is {gamma!r}; expected a positive number, or None")
    mean = _column_means(x, gamma)
    chosen, objective = _most_typical(x, mean, n_prototypes, gamma)
    witness = mean - rbf_kernel(x, x[chosen], gamma).mean(axis=1)
    critics = _least_covered(x, np.abs(witness), chosen, n_criticisms, gamma, regularised)
    return Examples(chosen, critics, objective)


def rbf_kernel(a: ArrayLike, b: ArrayLike, gamma: float) -> Floats:
    """``k(a_i, b_j) = exp(-gamma |a_i - b_j|^2)`` of the rows of two tables: ``(n_a, n_b)``."""
    return np.exp(-gamma * _squared_distances(_checked(a), _checked(b)))


def median_gamma(features: ArrayLike) -> float:
    """1 / median squared distance between rows that differ: k is 1/e at the usual distance.

    Of more than 1,000 rows, 1,000 evenly spaced ones are compared.

    Raises:
        ValueError: as for `prototypes_and_criticisms`, and if all rows are equal.
    """
    x = _checked(features)
    some = x[np.linspace(0, len(x) - 1, min(len(x), 1000)).astype(int)]
    squared = _squared_distances(some, some)
    differ = squared[squared > 1e-12 * np.abs(x - x.mean(axis=0)).max() ** 2]
    if differ.size == 0:
        raise ValueError(
            f"all {len(x)} rows are equal (or nearly so), so there is no usual distance: "
            "remove constant data, or give gamma"
        )
    return float(1 / np.median(differ))


def _most_typical(x: Floats, mean: Floats, count: int, gamma: float) -> tuple[Indices, Floats]:
    """Greedy prototypes.  With one row u more, ``J = 2 A / m - B / m^2`` for the sums below."""
    chosen: list[int] = []
    objective = np.empty(count)
    to_chosen = np.zeros(len(x))  # sum over s in S of k(x_u, s)
    a = b = 0.0  # sums over S of the column means, and over S x S of the kernel
    for m in range(1, count + 1):
        gain = 2 * (a + mean) / m - (b + 2 * to_chosen + 1) / m**2
        u = _first_best(gain, chosen)
        objective[m - 1] = gain[u]
        a, b = a + mean[u], b + 2 * to_chosen[u] + 1
        to_chosen += rbf_kernel(x, x[[u]], gamma)[:, 0]
        chosen.append(u)
    return np.array(chosen, dtype=np.int64), objective


def _least_covered(
    x: Floats, witness: Floats, taken: Indices, count: int, gamma: float, regularised: bool
) -> Indices:
    """Greedy criticisms.  ``log det`` grows by the log of what C cannot predict of a row's kernel.

    That remainder is the pivot of a Cholesky factorisation, one column of which is added a step.
    """
    chosen: list[int] = []
    remainder = np.ones(len(x))  # k(u, u) - k(u, C) K_CC^-1 k(C, u)
    factor = np.zeros((len(x), count))
    for step in range(count):
        gain = witness + np.log(np.maximum(remainder, 1e-300)) if regularised else witness
        u = _first_best(gain, [*taken.tolist(), *chosen])
        chosen.append(u)
        column = rbf_kernel(x, x[[u]], gamma)[:, 0] - factor @ factor[u]
        factor[:, step] = column / np.sqrt(max(remainder[u], 1e-300))
        remainder = np.maximum(remainder - factor[:, step] ** 2, 0)
        remainder[u] = 0
    return np.array(chosen, dtype=np.int64)


def _first_best(gain: Floats, taken: list[int]) -> int:
    free = gain.copy()
    free[taken] = -np.inf
    return int(np.flatnonzero(free >= free.max() - _TIE)[0])


def _column_means(x: Floats, gamma: float) -> Floats:
    """``mean_i k(x_i, x_u)`` for each row u, in blocks."""
    starts = range(0, len(x), _BLOCK)
    return np.concatenate(
        [rbf_kernel(x[start : start + _BLOCK], x, gamma).mean(axis=1) for start in starts]
    )


def _squared_distances(a: Floats, b: Floats) -> Floats:
    """``|a|^2 + |b|^2 - 2 a b``, about a common centre, which keeps large offsets from rounding."""
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"tables of {a.shape[1]} and {b.shape[1]} columns; expected as many")
    centre = b.mean(axis=0)
    a, b = a - centre, b - centre
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.maximum(squared, 0)


def _checked(features: ArrayLike) -> Floats:
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or x.size == 0:
        raise ValueError(
            f"features of shape {x.shape}; expected (n, d), one row an example: "
            "images.reshape(len(images), -1) makes rows of images"
        )
    bad = ~np.isfinite(x)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"{bad.sum()} values are NaN or infinite, the first in row {row}, column {column}: "
            "fill them or leave those rows out"
        )
    return x


def _check_counts(n: int, n_prototypes: int, n_criticisms: int) -> None:
    for name, count, least in (
        ("n_prototypes", n_prototypes, 1),
        ("n_criticisms", n_criticisms, 0),
    ):
        whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
        if not whole or count < least:
            raise ValueError(f"{name} is {count!r}; expected a whole number, {least} or more")
    if n_prototypes + n_criticisms > n:
        raise ValueError(
            f"{n_prototypes} prototypes and {n_criticisms} criticisms were asked of {n} rows; "
            "no row is chosen twice, so ask for fewer"
        )
