"""Explanations by a backward pass with rules of its own: deconvnet, guided, LRP, DeepLIFT.

The gradient asks what happens when a pixel changes a little.  These methods walk the network
backwards too, but change what a layer hands on: a signal without its negative part (deconvnet,
guided backpropagation), or shares of the score itself (LRP, DeepLIFT), so that something is
conserved from the logit down to the pixels.  ``f(x)`` is the explained logit.

Supported: convolutions (depthwise too), dense layers, ReLU, batch normalisation, max and average
pooling, global average pooling, layers that only move numbers, Add and Concatenate; another layer
is named in a TypeError.  Max pooling hands everything to the winner, among equals to the first.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _rescale, _reverse, _rules, scores
from .gradients import Images, Target, _baselines

if TYPE_CHECKING:
    import keras

Rule = Literal["0", "epsilon", "alpha-beta", "gamma", "z+", "flat", "w2"]
InputRule = Literal["0", "epsilon", "alpha-beta", "gamma", "z+", "flat", "w2", "zB"]
Sums = dict[str, NDArray[np.float32]]


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
            g = at_relu(g, _reverse.slope(step))
        return _reverse.pull(step, g)

    def step(model: keras.Model, x: Any, target: Any) -> Any:
        import tensorflow as tf

        logits, steps = _reverse.forward(model, x)
        one = tf.one_hot(scores.chosen(logits, target), logits.shape[1])
        return _reverse.backward(steps, {id(logits): one}, x, rule)

    result = scores.explain(model, images, target, (method,), step, batch_size=batch_size)
    return _announce_zeros(result, method, stacklevel=4)


# --- layer-wise relevance propagation ------------------------------------------------------------


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
    is; average pooling, Add and a normalisation that stays alone share by what each input adds, as
    in ``"0"`` (``"epsilon"`` where ``rule`` is that).  `lrp_by_layer` says what biases and epsilon
    absorb.

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
    settings = _rules.settings(model, rule, input_rule, epsilon, alpha, beta, gamma, low, high)
    _rules.check_range(images, settings)

    def step(model: keras.Model, x: Any, target: Any) -> Any:
        return _rules.propagate(model, x, target, settings).image

    result = scores.explain(model, images, target, ("lrp", settings), step, batch_size=batch_size)
    return _announce_zeros(result, "lrp")


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

    settings = _rules.settings(model, rule, input_rule, epsilon, alpha, beta, gamma, low, high)
    _rules.check_range(images, settings)
    names = list(scores.layers(model))

    def step(model: keras.Model, x: Any, target: Any) -> Any:
        run = _rules.propagate(model, x, target, settings)
        none = _rules.Amounts(*[tf.zeros_like(run.logit)] * 3)
        rows = [run.layers.get(name, none) for name in names]
        columns = [run.logit, *(amount for row in rows for amount in row)]
        flat = tf.reshape(run.image, [-1, int(np.prod(run.image.shape[1:]))])
        return tf.concat([tf.stack(columns, axis=1), flat], axis=1)

    images = scores.check_images(model, images)
    key = ("lrp_by_layer", settings)
    result = scores.explain(model, images, target, key, step, batch_size=batch_size)
    logit, amounts, flat = np.split(result, [1, 1 + 3 * len(names)], axis=1)
    image = _announce_zeros(flat.reshape(images.shape), "lrp_by_layer")
    sums = (dict(zip(names, amounts[:, k::3].T, strict=True)) for k in range(3))
    return LayerRelevance(logit[:, 0], image, *sums)


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
    start = _baselines(baseline, images)
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
    return _announce_zeros(result, "deep_lift")


def _announce_zeros(result: Images, method: str, stacklevel: int = 3) -> Images:
    """Say so when a map is zero everywhere: it shows that nothing was found, not where."""
    empty = np.flatnonzero(~result.any(axis=(1, 2, 3)))
    if empty.size:
        warnings.warn(
            f"{method}: the map is zero everywhere for {empty.size} of {len(result)} images "
            f"(first: number {empty[0]}). Nothing reaches the pixels: a logit of zero, units that "
            f"are all dead, or an image that equals its baseline",
            stacklevel=stacklevel,
        )
    return result
