"""How alike two figures are where they are least alike."""

from __future__ import annotations

import base64
import io

import numpy as np

# Measured on six plates under half-transparent maps, one of them changed: the same run again 1.0,
# noise of 1 % of the map's range 0.99; another last digit in a title 0.93, magma -> inferno 0.90,
# magma -> viridis 0.70, another plate 0.07.
ALIKE = 0.95
TILE = 48  # pixels; smaller than a panel, larger than a letter


def decode(png: str) -> np.ndarray:
    """Return the pixels (H, W, 3) uint8 of a picture as a notebook stores it."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"))


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004) of the two figures' least similar tile.

    The mean over a whole figure is mostly white paper, on which one wrong panel does not weigh.
    Each colour channel is compared by itself and the worst one counts, so that a colour map of the
    same lightness is found out. Both are (H, W, 3) uint8; figures of different size have 0.
    """
    from scipy.ndimage import uniform_filter
    from skimage.metrics import structural_similarity

    if first.shape != second.shape:
        return 0.0
    _, local = structural_similarity(first, second, channel_axis=-1, data_range=255, full=True)
    return float(uniform_filter(local, size=(TILE, TILE, 1)).min())
