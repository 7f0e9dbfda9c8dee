"""Explanations by a backward pass with rules of its own: deconvnet, guided, LRP, DeepLIFT.

The gradient asks what happens when a pixel changes a little.  These methods walk the network
backwards too, but change what a layer hands on: a signal without its negative part (deconvnet,
guided backpropagation), or shares of the score itself (LRP, DeepLIFT), so that something is
conserved from the logit down to the pixels.  ``f(x)`` is the explained logit.

Supported: convolutions (depthwise too), dense layers, ReLU, batch normalisation, max and average
pooling, global average pooling, layers that only move numbers or rescale each for itself, Add and
Concatenate; another layer is named in a TypeError.  Max pooling hands everything to the winner,
among equals to the first.  Layer-wise relevance propagation is written in `_relevance`, its rules
in `_rules`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from . import _rescale, _reverse, scores
from ._paths import Images, baselines
from ._relevance import SILENT, InputRule, LayerRelevance, Rule, deep_taylor, lrp, lrp_by_layer
from .gradients import Target

if TYPE_CHECKING:
    import keras

__all__ = [
    "InputRule",
    "LayerRelevance",
    "Rule",
    "deconvnet",
    "deep_lift",
    "deep_taylor",
    "guided_backprop",
    "lrp",
    "lrp_by_layer",
]


# --- signals without their negative part ---------------------------------------------------------


def deconvnet(
    model: keras.Model, images: ArrayLike, target: Target = None, *, batch_size: int | None = None
) -> Images:
    """The network run backwards as a deconvnet: ReLU on the way back, none of the way there.

    At a ReLU ``g_in = max(g_out, 0)``, where the gradient has ``g_out [z > 0]``.  Elsewhere the
    transposed layer, and max pooling with the switches of the forward pass.  Of the image it sees
    these switches only, so it says more about the network's filters than about the class.

    Args:
        model: a ReLU network of the supported layers.
        images: ``(N, H, W, C)`` floats in the model's scale.
        target: class of each image, whose logit starts with 1; None for the predicted one.
        batch_size: images computed at once; None for one that suits their size.

    Returns:
        ``(N, H, W, C)`` float32, signed, in units of the logit per unit of the image's scale.
        Zero everywhere comes with a warning.

    Raises:
        TypeError: an unsupported layer, by name.
        ValueError: wrong input (see `scores.explain`).

    Source: Zeiler & Fergus 2013, "Visualizing and understanding convolutional networks", section
    2.1.
    """

    def at_relu(g: Any, _: Any) -> Any:
        import tensorflow as tf

        return tf.nn.relu(g)

    return _signal("deconvnet", at_relu, model, images, target, batch_size)


def guided_backprop(
    model: keras.Model, images: ArrayLike, target: Target = None, *, batch_size: int | None = None
) -> Images:
    """The gradient with every negative signal cut at each ReLU: gradient and deconvnet together.

    At a ReLU ``g_in = max(g_out, 0) [z > 0]``; elsewhere as the gradient.  Sharp, but it
    changes little with the class, or with random weights in the upper layers (Adebayo et al. 2018).

    Arguments, result and errors as for `deconvnet`.

    Source: Springenberg et al. 2015, "Striving for simplicity: the all convolutional net", figure
    1.
    """

    def at_relu(g: Any, slope: Any) -> Any:
        import tensorflow as tf

        return tf.nn.relu(g) * slope

    return _signal("guided_backprop", at_relu, model, images, target, batch_size)


def _signal(
    method: str,
    at_relu: Any,
    model: keras.Model,
    images: ArrayLike,
    target: Target,
    batch_size: int | None,
) -> Images:
    def rule(step: _reverse.Step, g: Any) -> list[Any]:
        if step.activation:
            g = scores.sound(at_relu(g, _reverse.slope(step)), g)
        return _reverse.pull(step, g)

    def step(model: keras.Model, x: Any, target: Any) -> Any:
        import tensorflow as tf

        logits, steps = _reverse.forward(model, x)
        one = tf.one_hot(scores.chosen(logits, target), logits.shape[1])
        return scores.sound(_reverse.backward(steps, {id(logits): one}, x, rule), logits)

    result = scores.explain(model, images, target, (method,), step, batch_size=batch_size)
    return scores.announce_zeros(result, method, SILENT, stacklevel=4)


# --- DeepLIFT ------------------------------------------------------------------------------------


def deep_lift(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    baseline: float | ArrayLike = 0.0,
    batch_size: int | None = None,
) -> Images:
    """DeepLIFT: the difference from a baseline, shared out in proportion to differences.

    ``A = m (x - b)`` with multipliers m that the chain rule takes from the logit to the pixels.
    Linear layers have their weights for multipliers.  A nonlinear one has the slope of its chord,
    ``m = (y - y_b) / (z - z_b)`` (rescale rule), and its derivative where ``z = z_b``.
    Max pooling: where the maximum rises, the place of the image's maximum gets the rise; where it
    falls, the place of the baseline's gets the fall.  The shares of all pixels sum to
    ``f(x) - f(b)`` (completeness), biases or not.

    Args:
        model: a ReLU network of the supported layers.
        images: ``(N, H, W, C)`` floats in the model's scale.
        target: class of each image; None for the one that is predicted for the image.
        baseline: a number, one image ``(H, W, C)``, or one for each image ``(N, H, W, C)``.  A
            pixel that equals its baseline gets exactly zero.
        batch_size: images computed at once; None for one that suits their size.

    Returns:
        ``(N, H, W, C)`` float32, signed, in units of the logit.  Zero everywhere comes with a
        warning.

    Raises:
        TypeError: an unsupported layer, by name.
        ValueError: wrong input, or a baseline of another shape.

    Source: Shrikumar, Greenside & Kundaje 2017, "Learning important features through propagating
    activation differences", section 3.5, rescale rule.
    """
    import tensorflow as tf

    images, classes = scores.prepare(model, images, target)
    start = baselines(baseline, images)
    size = scores.default_batch(images.shape[1:]) if batch_size is None else batch_size
    step = scores.compiled(
        *(model, ("deep_lift",), _rescale.deep_lift),
        extra=[tf.TensorSpec([None, *model.inputs[0].shape[1:]], tf.float32)],
    )
    batches = scores.in_batches(
        *(step, lambda n: (images[n], classes[n], start[n]), len(images)),
        *(scores.check_count("batch_size", size), "deep_lift"),
    )
    result = np.concatenate([rows for _, rows in batches])
    scores.check_finite(result, "deep_lift", model.name)
    return scores.announce_zeros(result, "deep_lift", SILENT)
