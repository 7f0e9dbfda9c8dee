"""Plates that show the same piece of steel, and splits that keep such plates on one side.

The NEU plates are crops of larger sheets, and many crops overlap.  Whoever splits them at random
tests on pixels that the network was trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MIN_CORRELATION = 0.9
MAX_DIFFERENCE = 3.0
MIN_OVERLAP = 0.1


class Overlap(NamedTuple):
    """Image ``b`` lies at ``(dy, dx)`` pixels in the frame of image ``a``."""

    a: int
    b: int
    correlation: float
    dy: int
    dx: int
    difference: float
    share: float


def common_region(
    a: NDArray[Any], b: NDArray[Any], dy: int, dx: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The pixels of ``a`` and of ``b`` that show the same place when b lies at (dy, dx) in a.

    Shapes: two ``(H, W)`` images of one size; returns two views of one shape, empty if nothing is
    in common.
    """
    h, w = a.shape
    rows = max(0, h - abs(dy))
    columns = max(0, w - abs(dx))
    in_a = a[max(0, dy) : max(0, dy) + rows, max(0, dx) : max(0, dx) + columns]
    in_b = b[max(0, -dy) : max(0, -dy) + rows, max(0, -dx) : max(0, -dx) + columns]
    return in_a, in_b


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Pearson's correlation of two images of one shape; 0 where one of them is flat or empty."""
    u, v = np.asarray(a, np.float32).ravel(), np.asarray(b, np.float32).ravel()
    if u.size == 0:
        return 0.0
    u, v = u - u.sum() / u.size, v - v.sum() / v.size
    norm = float(np.sqrt(u @ u) * np.sqrt(v @ v))
    return float(u @ v) / norm if norm > 0 else 0.0


def find_overlaps(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> list[Overlap]:
    """Every pair of images that overlap, among all pairs, found by phase correlation.

    The cross-power spectrum of two images, divided by its modulus, is the spectrum of a single
    peak at their shift (Kuglin & Hines 1975).  Each pair is correlated at half resolution; the
    highest peaks are candidates, each in the four places that a circular shift can stand for, and
    are then checked on the pixels themselves: an overlap has a correlation above 0.9 and a mean
    difference under 3 grey levels over at least a tenth of the plate.  Within a class eight peaks
    of 3.7 standard deviations are tried, across classes, where overlaps are rare and pairs are
    many, three of 6.

    Args:
        images: ``(N, H, W)`` uint8 with even H and W.
        labels: ``(N,)`` classes.

    Raises:
        ValueError: images of another shape.
    """
    from scipy import fft

    if images.ndim != 3 or images.shape[1] % 2 or images.shape[2] % 2:
        raise ValueError(f"images of shape {images.shape}; expected (N, H, W) with even H and W")
    n, height, width = images.shape
    small = images.reshape(n, height // 2, 2, width // 2, 2).mean(axis=(2, 4), dtype=np.float32)
    spectra = fft.rfft2(small - small.mean(axis=(1, 2), keepdims=True), axes=(1, 2))
    spectra /= np.abs(spectra) + 1e-3
    found = []
    for a in range(n - 1):
        for start in range(a + 1, n, 256):
            others = slice(start, start + 256)
            surface = fft.irfft2(
                spectra[a] * spectra[others].conj(), s=small.shape[1:], axes=(1, 2)
            ).reshape(-1, small[0].size)
            same = labels[others] == labels[a]
            floor = np.where(same, 3.7, 6.0) * surface.std(axis=1)
            for b in np.flatnonzero(surface.max(axis=1) > floor):
                count = 8 if same[b] else 3
                best = np.argpartition(surface[b], -count)[-count:]
                best = best[surface[b, best] > floor[b]]
                shifts = [divmod(int(p), width // 2) for p in best[np.argsort(-surface[b, best])]]
                overlap = _verify(images, small, a, start + int(b), shifts)
                if overlap is not None:
                    found.append(overlap)
    return found


def _verify(
    images: NDArray[np.uint8],
    small: NDArray[np.float32],
    a: int,
    b: int,
    shifts: list[tuple[int, int]],
) -> Overlap | None:
    """The candidate shift (in half pixels) that the pixels confirm, if any."""
    h, w = small.shape[1:]
    for y, x in shifts:
        for dy, dx in ((y, x), (y - h, x), (y, x - w), (y - h, x - w)):
            if (h - abs(dy)) * (w - abs(dx)) < MIN_OVERLAP * h * w:
                continue
            if correlation(*common_region(small[a], small[b], dy, dx)) > 0.65:
                overlap = max(_refine(images, a, b, 2 * dy, 2 * dx), key=lambda o: o.correlation)
                good = overlap.correlation > MIN_CORRELATION
                if good and overlap.difference < MAX_DIFFERENCE and overlap.share >= MIN_OVERLAP:
                    return overlap
    return None


def _refine(images: NDArray[np.uint8], a: int, b: int, dy: int, dx: int) -> Iterator[Overlap]:
    for y in range(dy - 2, dy + 3):
        for x in range(dx - 2, dx + 3):
            in_a, in_b = common_region(images[a], images[b], y, x)
            difference = float(np.abs(in_a.astype(np.int16) - in_b).mean()) if in_a.size else 255.0
            share = in_a.size / images[a].size
            yield Overlap(a, b, correlation(in_a, in_b), y, x, difference, share)


def components(n: int, pairs: list[tuple[int, int]]) -> NDArray[np.int64]:
    """The connected component of each of ``n`` images, given the pairs that overlap: ``(n,)``.

    Numbered from 0 in the order of their first image.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(n, n))
    labels = connected_components(graph, directed=False)[1]
    first_seen = {label: k for k, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([first_seen[label] for label in labels.tolist()], dtype=np.int64)


def split_by_component(
    labels: NDArray[np.int64],
    component: NDArray[np.int64],
    counts: Mapping[str, int],
    *,
    rest: str = "train",
    seed: int = 0,
) -> NDArray[np.str_]:
    """A split in which no component is on two sides, with exactly ``counts`` images per class.

    Components that hold images of several classes go to ``rest``.  Within a class the others are
    shuffled, and each is taken if those behind it can still fill the count exactly: with single
    images among them (NEU has 356) that is always possible.  The parts are filled in the order of
    ``counts``, each from what the ones before have left.

    Args:
        labels, component: ``(N,)`` class and component of each image.
        counts: images per class for each part but ``rest``, e.g. ``{"test": 50}``.

    Returns:
        ``(N,)`` names of the parts.

    Raises:
        ValueError: the components of a class cannot be combined to the exact count.
    """
    split = np.full(len(labels), rest, dtype=f"<U{max(map(len, (rest, *counts)))}")
    rng = np.random.default_rng(seed)
    mixed = {c for c in np.unique(component) if len(set(labels[component == c].tolist())) > 1}
    for k in np.unique(labels):
        free = [c for c in np.unique(component[labels == k]) if c not in mixed]
        free = [free[i] for i in rng.permutation(len(free))]
        for part, count in counts.items():
            taken = _fill(count, {c: int((component == c).sum()) for c in free})
            if taken is None:
                raise ValueError(
                    f"class {k}: no combination of its free overlap components has exactly {count} "
                    f"images for {part!r}; choose another count"
                )
            split[np.isin(component, taken)] = part
            free = [c for c in free if c not in taken]
    return split


def _fill(count: int, sizes: Mapping[int, int]) -> list[int] | None:
    """Components in their shuffled order, each taken if the rest can still be filled exactly."""
    order = list(sizes)
    reachable = [{0}]  # reachable[i]: sums that the last i components can make
    for c in reversed(order):
        reachable.append(reachable[-1] | {s + sizes[c] for s in reachable[-1] if s < count})
    if count not in reachable[-1]:
        return None
    taken: list[int] = []
    for i, c in enumerate(order):
        if count - sizes[c] in reachable[len(order) - i - 1]:
            taken.append(c)
            count -= sizes[c]
    return taken
