"""Networks with weights set by hand, of which it is known what they look at.

A score against boxes judges two things at once: whether the network looks at the defect, and
whether the explanation says where the network looks.  Here the first is settled by construction, so
that the second can be judged alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._quiet import import_tensorflow

if TYPE_CHECKING:
    import keras

LEVELS = 255  # grey levels; a ramp that is shorter than half of one counts 8-bit pictures exactly


def quadrant_network(
    size: int = 16, channels: int = 1, seed: int = 0
) -> tuple[keras.Model, NDArray[np.bool_]]:
    """A network whose four logits read one quadrant of the picture each, and nothing else.

    A 3x3 convolution with ReLU over the whole picture (``conv``, 4 maps: the mean of the window
    and three random filters), then one dense layer on the flattened maps (``logits``).  The weights
    of class q are zero everywhere but at the cells whose 3x3 window lies within quadrant q (upper
    left, upper right, lower left, lower right).  So not one bit of logit q depends on a pixel
    outside its quadrant, and every pixel inside it counts: no ReLU closes the first map.

    Whoever averages a gradient over places (Grad-CAM) must get this network wrong, because the
    place is all that its classes differ in.

    Args:
        size: height and width, even, 6 or more.
        channels: of the picture.
        seed: of the filters and weights.

    Returns:
        The model, ``(N, size, size, channels)`` in [0, 1] to ``(N, 4)`` logits, and the truth of
        each class, ``(4, size, size)`` bool.

    Raises:
        ValueError: an odd or too small size.
    """
    if size < 6 or size % 2:
        raise ValueError(f"size {size!r}; expected an even number of pixels, 6 or more")
    import_tensorflow()
    import keras

    half, rng = size // 2, np.random.default_rng(seed)
    kernel = rng.normal(0, 0.5, (3, 3, channels, 4))
    kernel[..., 0] = 1 / (9 * channels)
    masks = np.zeros((4, size, size), bool)
    weights = np.zeros((size, size, 4, 4))
    for q, (top, left) in enumerate(((0, 0), (0, half), (half, 0), (half, half))):
        masks[q, top : top + half, left : left + half] = True
        # A cell beside another quadrant has a window that reaches into it: leave it out.
        rows = slice(top + (top > 0), top + half - (top == 0))
        columns = slice(left + (left > 0), left + half - (left == 0))
        weights[rows, columns, :, q] = rng.uniform(0.5, 1.5, (half - 1, half - 1, 4))
    model = keras.Sequential(
        [
            keras.Input((size, size, channels), name="image"),
            keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(4, name="logits"),
        ],
        name="quadrant_network",
    )
    model.set_weights([kernel, np.zeros(4), weights.reshape(-1, 4) / half**2, np.zeros(4)])
    return model, masks


def bright_counter(size: int = 16, threshold: float = 0.5) -> keras.Model:
    """A network that counts the bright pixels of a grey picture, and says so in its first logit.

    A ramp from two ReLUs, ``r(x) = ReLU(4 L (x - t)) - ReLU(4 L (x - t) - 1)`` with L = 255 and t
    the threshold, is 0 below t and 1 from a quarter of a grey level above it: a 1x1 convolution
    (``conv``), global average pooling (``gap``) and a dense layer (``logits``) sum it.  Logit 0 is
    the count, exact for 8-bit pictures / 255 and the default threshold; logit 1 is half the number
    of pixels, so class 0 is *more bright than dark*.

    What it uses is known pixel by pixel (`bright_mask`).  Its gradient is zero at every such
    picture, because the ramp is flat on both sides: saliency must fail here, and integrated
    gradients not.

    Args:
        size: height and width in pixels.
        threshold: above it a pixel is bright.

    Returns:
        The model, ``(N, size, size, 1)`` in [0, 1] to ``(N, 2)`` logits.
    """
    import_tensorflow()
    import keras

    slope, pixels = 4.0 * LEVELS, size * size
    model = keras.Sequential(
        [
            keras.Input((size, size, 1), name="image"),
            keras.layers.Conv2D(2, 1, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(name="gap"),
            keras.layers.Dense(2, name="logits"),
        ],
        name="bright_counter",
    )
    model.set_weights(
        [
            np.full((1, 1, 1, 2), slope),
            np.array([-slope * threshold, -slope * threshold - 1]),
            np.array([[pixels, 0], [-pixels, 0]]),
            np.array([0, pixels / 2]),
        ]
    )
    return model


def bright_mask(images: ArrayLike, threshold: float = 0.5) -> NDArray[np.bool_]:
    """The pixels that `bright_counter` counts: ``(N, H, W)`` bool from grey ``(N, H, W, 1)``.

    Raises:
        ValueError: images of another shape.
    """
    pictures = np.asarray(images)
    if pictures.ndim != 4 or pictures.shape[-1] != 1:
        raise ValueError(f"images of shape {pictures.shape}; expected grey ones (N, H, W, 1)")
    return np.asarray(pictures[..., 0] > threshold)
