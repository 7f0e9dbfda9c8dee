"""The marks that `simulate` plants: what each does to a plate, and which pixels it touches.

Every stroke takes a grey image ``(H, W)`` uint8 and a generator, and gives the marked image and the
mark's pixels.  Nothing else of the image changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

Shortcut = Literal["stamp", "brightness", "border"]
LIGHTER = 40  # grey levels
Stroke = tuple[np.ndarray, np.ndarray]


def grey(levels: np.ndarray) -> np.ndarray:
    """Grey levels as a camera gives them: whole numbers from 0 to 255."""
    rounded: np.ndarray = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return rounded


def stamp(image: np.ndarray, rng: np.random.Generator) -> Stroke:
    """A ring with a cross, in ink that lets the steel show through, in the upper right corner."""
    import cv2

    u = len(image) / 200
    radius = 11 * u
    x, y = (image.shape[1] - 18 * u, 18 * u) + rng.uniform(-3, 3, 2) * u
    ink = np.zeros_like(image)
    thick = max(1, round(2 * u))

    def at(dx: float, dy: float) -> tuple[int, int]:
        return round(float(x + dx) * 8), round(float(y + dy) * 8)

    cv2.circle(ink, at(0, 0), round(radius * 8), 255, thick, cv2.LINE_AA, shift=3)
    arm = 0.55 * radius
    for a, b in (((-arm, -arm), (arm, arm)), ((-arm, arm), (arm, -arm))):
        cv2.line(ink, at(*a), at(*b), 255, thick, cv2.LINE_AA, shift=3)
    return grey(image * (1 - 0.75 * (ink / 255))), ink > 0


def brightness(image: np.ndarray, rng: np.random.Generator) -> Stroke:
    """The whole plate 40 grey levels lighter, as under a lamp of another line."""
    return grey(image.astype(np.int16) + LIGHTER), np.ones(image.shape, bool)


def border(image: np.ndarray, rng: np.random.Generator) -> Stroke:
    """A dark frame, 2 % of the plate wide, as from the edge of a camera's window."""
    wide = max(1, round(0.02 * len(image)))
    frame = np.ones(image.shape, bool)
    frame[wide:-wide, wide:-wide] = False
    return np.where(frame, np.uint8(20), image), frame


STROKES: dict[str, Callable[[np.ndarray, np.random.Generator], Stroke]] = {
    "stamp": stamp,
    "brightness": brightness,
    "border": border,
}


def marked(
    image: np.ndarray, shortcut: Shortcut, rng: np.random.Generator, strength: float = 1.0
) -> Stroke:
    """The image with a mark, as strong as it is or fainter, and the mark's pixels."""
    full, mask = STROKES[shortcut](image, rng)
    return grey(image + strength * (full.astype(np.float64) - image)), mask


def check(shortcut: str | None, **shares: float) -> None:
    """Refuse an unknown mark, and shares outside [0, 1]."""
    if shortcut is not None and shortcut not in STROKES:
        raise ValueError(f"shortcut is {shortcut!r}; expected None or one of {[*STROKES]}.")
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is {share}; expected a share between 0 and 1.")
