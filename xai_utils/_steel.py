"""The strokes of `simulate`: brushed ground and six defects, in the manner of the NEU plates.

The looks follow the plates of Song & Yan (2013), Applied Surface Science 285:858-864. Every
function draws from the generator that it is given and from nothing else. All lengths are multiples
of ``u``, a two-hundredth of the plate, so that larger plates show larger defects, not more.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np


def _texture(rng: np.random.Generator, size: int, across: float, down: float) -> np.ndarray:
    """Smooth noise of mean 0 and variance 1; ``across`` and ``down`` are its lengths in pixels."""
    import cv2

    # Long lengths are drawn on a coarse lattice and enlarged: the same look at a tenth of the time.
    dx, dy = (max(1, int(length / 3)) for length in (across, down))
    white = rng.standard_normal((-(-size // dy), -(-size // dx)), dtype=np.float32)
    smooth = cv2.GaussianBlur(white, (0, 0), sigmaX=across / dx, sigmaY=down / dy)
    if dx * dy > 1:
        smooth = cv2.resize(smooth, (size, size), interpolation=cv2.INTER_CUBIC)
    centred = np.asarray(smooth, np.float32) - smooth.mean()
    return np.asarray(centred / np.sqrt((centred * centred).mean()))


def _step(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """A smooth step from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def ground(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Brushed steel under uneven light, and the sensor's noise; the same for every class."""
    u = size / 200
    x = np.linspace(-1, 1, size, dtype=np.float32)
    y = x[:, None]
    angle = rng.uniform(0, 2 * math.pi)
    light = rng.uniform(0, 0.25) * (math.cos(angle) * x + math.sin(angle) * y)
    light += rng.uniform(0, 0.12) * _texture(rng, size, 14 * u, 200 * u)
    brush = rng.uniform(0.01, 0.05) * _texture(rng, size, 0.8 * u, 14 * u)
    grain = math.exp(rng.uniform(math.log(0.01), math.log(0.09))) * _texture(rng, size, 0.6, 0.7)
    level = rng.uniform(75, 205)
    noise = rng.uniform(1, 4) * rng.standard_normal((size, size), dtype=np.float32)
    return level * np.maximum(1 + light + brush + grain, 0.45), noise


# ---- the defects: reflectance of a plate, 1 where there is no defect ---------------------------


def _bands(rng: np.random.Generator, size: int, count: int, width: float) -> np.ndarray:
    """Vertical bands, 1 in their middle: rolling draws a defect out along the strip."""
    centres = rng.uniform(0.1, 0.9, count)[:, None] * size
    widths = width * rng.uniform(0.6, 1.4, count)[:, None]
    profile = np.exp(-0.5 * ((np.arange(size) - centres) / widths) ** 2).max(axis=0)
    return np.broadcast_to(profile.astype(np.float32), (size, size))


def _crazing(rng: np.random.Generator, size: int) -> np.ndarray:
    """Crazing: a net of dark hairline cracks, mostly across the strip, over the whole plate."""
    import cv2

    u, count, steps = size / 200, int(rng.integers(60, 130)), 40
    down = rng.random(count) < 0.2  # a few cracks run along the strip and close the net
    right = rng.uniform(0.6, 2.8, (count, steps))
    jitter = 1.3 * rng.standard_normal((count, steps)) + rng.normal(0, 0.25, (count, 1))
    walk = np.stack([right, jitter], axis=2)
    walk[down] = walk[down][..., ::-1] * 0.7
    paths = rng.uniform(-0.15, 1.05, (count, 1, 2)) * size + u * np.cumsum(walk, axis=1)
    lines = np.zeros((2 * size, 2 * size), np.uint8)  # drawn twice as large for lines below a pixel
    lengths, widths = rng.integers(6, steps, count), rng.choice([1, 2, 2, 3], count)
    points = (paths * 16).astype(np.int32)
    for path, length, width in zip(points, lengths.tolist(), widths.tolist(), strict=True):
        thick = max(1, round(width * u))
        cv2.polylines(lines, [path[:length]], False, 255, thick, cv2.LINE_AA, shift=3)
    fine = cv2.resize(lines, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    strength = _step(_texture(rng, size, 8 * u, 5 * u), -1.2, 1.2)
    rough = 1 + 0.3 * _texture(rng, size, 0.8, 0.8)
    return 1 - rng.uniform(0.45, 0.75) * np.clip(fine * rough * (0.3 + 0.7 * strength), 0, 1)


def _inclusion(rng: np.random.Generator, size: int) -> np.ndarray:
    """Inclusion: irregular dark streaks and specks, drawn out along the strip."""
    u = size / 200
    bands = _bands(rng, size, int(rng.integers(1, 4)), rng.uniform(5, 12) * u)
    streaks = _texture(rng, size, 2.5 * u, 16 * u) + 0.35 * _texture(rng, size, 1.2 * u, 3 * u)
    reach = _step(_texture(rng, size, 30 * u, 30 * u), -1.5, 0.5)
    cover = _step(streaks + 2.6 * bands * reach, 2.3, 3.0)
    tint = 1 + 0.12 * _texture(rng, size, 1.5 * u, 5 * u)
    return 1 - rng.uniform(0.25, 0.55) * cover * tint


def _patches(rng: np.random.Generator, size: int) -> np.ndarray:
    """Patches: large irregular blotches with ragged rims, darker than the bright ground."""
    u = size / 200
    across, down = rng.uniform(12, 20) * u, rng.uniform(15, 32) * u
    shape = _texture(rng, size, across, down) + 0.12 * _texture(rng, size, 2.5 * u, 3 * u)
    shape += 0.05 * _texture(rng, size, 0.8, 0.8)
    level = np.quantile(shape, 1 - rng.uniform(0.1, 0.5))
    cover = _step(shape, level, level + 0.25)
    rim = 1 - 0.25 * _step(shape, level + 0.3, level + 0.9)  # darkest at the rim
    return 1 - rng.uniform(0.35, 0.7) * cover * rim * (1 + 0.1 * _texture(rng, size, 3 * u, 3 * u))


def _pitted_surface(rng: np.random.Generator, size: int) -> np.ndarray:
    """Pitted surface: many small dark pits, round or a little drawn out, crowded in clusters."""
    import cv2

    u = size / 200
    count = int(math.exp(rng.uniform(math.log(90), math.log(600))))
    crowd = rng.uniform(0.15, 0.85, (3, 2))[rng.integers(0, 3, count)]
    spread = rng.normal(0, (0.08, 0.2), (count, 2)) * rng.uniform(0.8, 1.8)
    loose = rng.random((count, 1)) < 0.35
    places = np.where(loose, rng.random((count, 2)), crowd + spread) * size
    radii = np.exp(rng.normal(np.log(rng.uniform(0.8, 1.5)), 0.4, count)) * u
    pits = np.zeros((size, size), np.uint8)
    longs, depths = rng.uniform(1, 1.8, count), rng.integers(120, 256, count)
    centres = np.rint(8 * places).astype(int).tolist()
    axes = np.rint(np.stack([8 * radii, 8 * radii * longs], axis=1)).astype(int).tolist()
    for centre, axis, depth in zip(centres, axes, depths.tolist(), strict=True):
        cv2.ellipse(pits, centre, axis, 0, 0, 360, depth, -1, cv2.LINE_AA, shift=3)
    soft = cv2.GaussianBlur(pits, (0, 0), 0.7 * u).astype(np.float32) / 255
    return 1 - rng.uniform(0.3, 0.6) * soft


def _rolled_in_scale(rng: np.random.Generator, size: int) -> np.ndarray:
    """Rolled-in scale: rough dark flakes with lit edges, aslant across the strip, in bands."""
    import cv2

    u = size / 200
    bands = _bands(rng, size, int(rng.integers(1, 4)), rng.uniform(16, 40) * u)
    crowd = 0.9 * _texture(rng, size, 7 * u, 5 * u) + 1.2 * bands
    flecks = _texture(rng, size, 2.6 * u, 1.0 * u) + 0.4 * _texture(rng, size, 5 * u, 2.2 * u)
    cover = 0.25 * _step(crowd, 1.2, 2.8) + 0.75 * _step(flecks + crowd, 1.9, 3.4)
    lit = np.clip(np.roll(cover, -max(1, round(2 * u)), axis=0) - cover, 0, 1)
    factor = 1 + rng.uniform(0.4, 0.75) * (0.5 * lit - cover)
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), rng.normal(0, 12), 1)
    turned = cv2.warpAffine(factor, turn, (size, size), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned)


def _scratches(rng: np.random.Generator, size: int) -> np.ndarray:
    """Scratches: bright thin straight lines of varying brightness, mostly along the strip."""
    u = size / 200
    across = np.arange(size, dtype=np.float32)
    along = across[:, None]
    shine = np.zeros((size, size), np.float32)
    for _ in range(rng.integers(1, 4)):
        centre, tilt = rng.uniform(0.05, 0.95) * size, rng.normal(0, 0.012)
        middle, half = rng.uniform(0.1, 0.9) * size, rng.uniform(0.15, 0.9) * size
        ends = _step(half - np.abs(along - middle), 0, 25 * u)
        width = rng.uniform(0.4, 2.2) * u
        for _ in range(rng.integers(1, 8)):
            x = centre + rng.normal(0, 4.5 * u) + tilt * (along - middle)
            line = np.exp(-0.5 * ((across - x) / (width * rng.uniform(0.6, 1.4))) ** 2)
            shine = np.maximum(shine, rng.uniform(0.3, 1) * line * ends)
    vary = 1 + 0.4 * _texture(rng, size, 1.0 * u, 8 * u)
    gain = math.exp(rng.uniform(math.log(0.5), math.log(1.8)))
    factor: np.ndarray = 1 + gain * shine * np.clip(vary, 0.2, 2)
    return factor.T if rng.random() < 0.25 else factor


DEFECTS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "crazing": _crazing,
    "inclusion": _inclusion,
    "patches": _patches,
    "pitted_surface": _pitted_surface,
    "rolled-in_scale": _rolled_in_scale,
    "scratches": _scratches,
}
