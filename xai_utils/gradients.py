"""Explanations by the gradient of the score with respect to the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import scores
from .scores import BATCH_SIZE, Score

if TYPE_CHECKING:
    import keras


def saliency(
    model: keras.Model,
    images: ArrayLike,
    target: int | ArrayLike | None = None,
    *,
    score: Score = "logit",
    batch_size: int = BATCH_SIZE,
) -> NDArray[np.float32]:
    """The gradient of a class's score: how it changes when a pixel changes a little.

    ``S = dy/dx``, signed; articles show ``max_c |S|``, the maximum over colours of the absolute
    value.  It says how sensitive the score is to a pixel, not how much the pixel contributed.

    Args:
        model: any differentiable network.
        images: ``(N, H, W, C)`` floats in the model's scale.
        target: class of each image; None for the predicted one.
        score: the logit, or the probability, whose gradient vanishes where the model is sure.

    Returns:
        ``(N, H, W, C)`` float32, in units of the score per unit of the image's scale.

    Raises:
        ValueError: wrong input, or NaN in the gradient (see `scores.explain`).

    Source: Simonyan, Vedaldi & Zisserman 2013, "Deep inside convolutional networks", section 3.
    """

    def step(model: keras.Model, x: Any, target: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            value = scores.pick(scores.trace(model, x).logits, target, score)
        return tape.gradient(value, x)

    return scores.explain(
        model, images, target, ("saliency",), step, score=score, batch_size=batch_size
    )
