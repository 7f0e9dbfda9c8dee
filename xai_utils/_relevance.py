"""Layer-wise relevance propagation: the logit handed down, layer by layer, to the pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _rule_settings, _rules, scores
from ._paths import Images
from .gradients import Target

if TYPE_CHECKING:
    import keras

Rule = Literal["0", "epsilon", "alpha-beta", "gamma", "z+", "flat", "w2"]
InputRule = Literal["0", "epsilon", "alpha-beta", "gamma", "z+", "flat", "w2", "zB"]
Sums = dict[str, NDArray[np.float32]]
SILENT = (
    "Nothing reaches the pixels: a logit of zero, units that are all dead, or an image that "
    "equals its baseline"
)


class LayerRelevance(NamedTuple):
    """Where relevance is on its way down; ``logit = sum of image + all of bias + all of unplaced``.

    Attributes:
        logit: ``(N,)``, the explained logit, where it starts.
        image: ``(N, H, W, C)``, what `lrp` returns, where it ends.
        relevance: each layer's sum over its output, ``(N,)``; of two branches each has its part.
        bias: what each layer's biases took, ``(N,)``; those of a folded normalisation stand with
            the convolution or dense layer before it.
        unplaced: what no input took, ``(N,)``: epsilon's part, and the share of units to which
            nothing contributes in the way that the rule asks for.
    """

    logit: NDArray[np.float32]
    image: Images
    relevance: Sums
    bias: Sums
    unplaced: Sums


def lrp(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    rule: Rule | Mapping[str, Rule] = "epsilon",
    epsilon: float = 0.001,
    alpha: float = 2.0,
    beta: float = 1.0,
    gamma: float = 0.25,
    input_rule: InputRule | None = None,
    low: float | Sequence[float] = 0.0,
    high: float | Sequence[float] = 1.0,
    batch_size: int | None = None,
) -> Images:
    """Layer-wise relevance propagation: the logit shared out layer by layer down to the pixels.

    Unit k hands its relevance to its inputs j in proportion to ``z_jk = x_j w_jk``, what they
    contribute to ``z_k = sum_j z_jk + b_k``.  ``+`` and ``-`` are positive and negative parts:

    - ``"0"``: ``R_j = sum_k z_jk / z_k R_k``; input times gradient on a ReLU network.
    - ``"epsilon"``: ``R_j = sum_k z_jk / (z_k + epsilon sign z_k) R_k``; weak evidence dies.
    - ``"alpha-beta"``: ``R_j = sum_k (alpha z_jk+ / z_k+ - beta z_jk- / z_k-) R_k``, where ``z_k+``
      and ``z_k-`` sum over j and hold the bias's part; ``alpha - beta = 1``.
    - ``"gamma"``: ``z_jk + gamma z_jk+`` in place of ``z_jk``, and so for the bias.  (Where
      ``z_k < 0`` with the negative part, so that the denominator never vanishes.)
    - ``"z+"``: ``R_j = sum_k z_jk+ / sum_j z_jk+ R_k``, without the bias.
    - ``"flat"``: equal shares; ``"w2"``: ``w_jk^2`` in place of ``z_jk``; both without the bias.
    - ``"zB"``: ``z_jk - low w_jk+ - high w_jk-`` in place of ``z_jk``, without the bias.

    Batch normalisation is first multiplied into the layer before it.  ReLU hands relevance on as it
    is, and so does a Rescaling or Normalization of the image: each of its numbers has one pixel
    behind it.  Average pooling, Add and a normalisation that stays alone share by what each input
    adds, as in ``"0"`` (``"epsilon"`` where ``rule`` is that).  `lrp_by_layer` says what biases and
    epsilon absorb.

    Args:
        model: a ReLU network of the supported layers, which ends in logits or a softmax.
        images: ``(N, H, W, C)`` floats in the model's scale.
        target: class of each image; None for the predicted one.
        rule: of every layer, or by layer name; ``"epsilon"`` for those that are not named.
        epsilon: above 0, in the units of z.
        alpha, beta: not negative, alpha - beta = 1.
        gamma: 0 or more.
        input_rule: of the layers that read the image; None for their ``rule``.
        low, high: the range of the image's scale for ``"zB"``, a number or one for each channel.
        batch_size: images computed at once; None for one that suits their size.

    Returns:
        ``(N, H, W, C)`` float32, signed, in units of the logit.  Zero everywhere comes with a
        warning.

    Raises:
        TypeError: an unsupported layer, by name.
        ValueError: wrong input (see `scores.explain`), an unknown rule or layer, numbers out of
            range, ``"zB"`` elsewhere than at the input or with images beyond ``low`` and ``high``.

    Source: Bach et al. 2015, "On pixel-wise explanations", eq. 56 (0), 58 (epsilon) and 60
    (alpha-beta); Montavon et al. 2019, "Layer-wise relevance propagation: an overview", section
    10.2 and 10.3 (gamma, flat); Montavon et al. 2017, "Explaining nonlinear classification
    decisions with deep Taylor decomposition" (w2, z+, zB: its rules for one layer).
    """
    settings = _rule_settings.checked(
        model, rule, input_rule, epsilon, alpha, beta, gamma, low, high
    )
    images = scores.check_images(model, images)
    _rule_settings.check_range(images, settings)

    def step(model: keras.Model, x: Any, target: Any) -> Any:
        return _rules.propagate(model, x, target, settings).image

    result = scores.explain(model, images, target, ("lrp", settings), step, batch_size=batch_size)
    return scores.announce_zeros(result, "lrp", SILENT)


def deep_taylor(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    low: float | Sequence[float] = 0.0,
    high: float | Sequence[float] = 1.0,
    batch_size: int | None = None,
) -> Images:
    """Deep Taylor decomposition, which as a recipe is LRP: z+ in all layers, zB at the image.

    No bias takes part, so the shares sum to the logit, and all have its sign.

    Arguments, result and errors as for `lrp`.

    Source: Montavon et al. 2017, "Explaining nonlinear classification decisions with deep Taylor
    decomposition": its rules for one layer, applied to one layer after the other.
    """
    return lrp(
        *(model, images, target),
        rule="z+",
        input_rule="zB",
        low=low,
        high=high,
        batch_size=batch_size,
    )


def lrp_by_layer(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    rule: Rule | Mapping[str, Rule] = "epsilon",
    epsilon: float = 0.001,
    alpha: float = 2.0,
    beta: float = 1.0,
    gamma: float = 0.25,
    input_rule: InputRule | None = None,
    low: float | Sequence[float] = 0.0,
    high: float | Sequence[float] = 1.0,
    batch_size: int | None = None,
) -> LayerRelevance:
    """The same pass as `lrp`, with how much relevance is where, and what biases and epsilon took.

    Arguments and errors as for `lrp`, result see `LayerRelevance`.
    """
    import tensorflow as tf

    settings = _rule_settings.checked(
        model, rule, input_rule, epsilon, alpha, beta, gamma, low, high
    )
    images = scores.check_images(model, images)
    _rule_settings.check_range(images, settings)
    names = list(scores.layers(model))

    def step(model: keras.Model, x: Any, target: Any) -> Any:
        run = _rules.propagate(model, x, target, settings)
        none = _rules.Amounts(*[tf.zeros_like(run.logit)] * 3)
        rows = [run.layers.get(name, none) for name in names]
        columns = [run.logit, *(amount for row in rows for amount in row)]
        flat = tf.reshape(run.image, [tf.shape(run.image)[0], -1])
        return tf.concat([tf.stack(columns, axis=1), flat], axis=1)

    key = ("lrp_by_layer", settings)
    result = scores.explain(model, images, target, key, step, batch_size=batch_size)
    logit, amounts, flat = np.split(result, [1, 1 + 3 * len(names)], axis=1)
    image = scores.announce_zeros(flat.reshape(images.shape), "lrp_by_layer", SILENT)
    sums = (dict(zip(names, amounts[:, k::3].T, strict=True)) for k in range(3))
    return LayerRelevance(logit[:, 0], image, *sums)
