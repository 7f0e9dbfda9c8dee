"""How one layer hands relevance on to its inputs: the rules of layer-wise relevance propagation.

``R_k`` is the relevance of unit k, ``z_jk = x_j w_jk`` what input j contributes to it.  A rule says
in which proportion the inputs share ``R_k``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from . import _reverse, scores
from ._reverse import Step
from ._rule_settings import Settings

if TYPE_CHECKING:
    import keras


class Amounts(NamedTuple):
    """Of one layer, ``(N,)`` each: relevance at its output, and what of it did not go on."""

    relevance: Any
    bias: Any
    unplaced: Any


class Part(NamedTuple):
    """A share of relevance, and the contributions in whose proportion it is spread.

    Unit k hands ``share_k * z_jk / (sum_j z_jk + bias_k)`` to input j, where z_jk is the sum of
    ``a_j K_jk`` over the factors (a, K).
    """

    share: Any
    factors: list[tuple[Any, Any]]
    bias: Any


class Relevance(NamedTuple):
    """What a pass leaves: the explained logit ``(N,)``, the image's relevance, each layer's."""

    logit: Any
    image: Any
    layers: dict[str, Amounts]


def propagate(model: keras.Model, x: Any, target: Any, settings: Settings) -> Relevance:
    """Relevance from the explained logit down to the image.

    Raises:
        TypeError: an unsupported layer.
        ValueError: an input rule, but no weighted layer that reads the image.
    """
    import tensorflow as tf

    logits, steps = _reverse.forward(model, x)
    steps = _reverse.fold(steps)
    moved = _of_the_image(steps, x)
    at_image = {id(s.output) for s in steps if s.role == "weighted" and id(s.reads[0]) in moved}
    if settings.input_rule and not at_image:
        raise ValueError(
            f"input_rule {settings.input_rule!r}: no convolution or dense layer of {model.name!r} "
            f"reads the image itself"
        )
    by_layer = dict(settings.by_layer)
    amounts: dict[str, Amounts] = {}

    def rule(step: Step, relevance: Any) -> list[Any]:
        name, first = by_layer.get(step.layer.name, settings.rule), id(step.output) in at_image
        if first and settings.input_rule:
            name = settings.input_rule

        def filled(value: Any, of_image: bool = False) -> Any:
            """An input of this value; the zeros that a layer pads an image with stay zeros."""
            return moved[id(step.reads[0])](tf.zeros_like(x) + value, of_image)

        def full(value: Any) -> Any:
            return tf.fill(tf.shape(step.inputs[0]), value)

        constant = filled if first else full
        received, bias, unplaced = _layer(step, relevance, name, settings, constant)
        now = Amounts(_total(relevance), bias, unplaced)
        before = amounts.get(step.layer.name)  # a layer that is applied several times
        amounts[step.layer.name] = (
            Amounts(*(a + b for a, b in zip(before, now, strict=True))) if before else now
        )
        return received

    one = tf.one_hot(scores.chosen(logits, target), logits.shape[1])
    top = {id(logits): logits * one}
    image = _reverse.backward(steps, top, x, rule)
    return Relevance(tf.reduce_sum(logits * one, axis=1), image, amounts)


def _of_the_image(steps: list[Step], x: Any) -> dict[int, Any]:
    """Tensors that hold the image's pixels, each with ``move(image, of_image)``.

    It puts an image's numbers where the tensor has them; with ``of_image`` they are pixels in the
    model's scale, and are rescaled on the way as the model does.
    """
    moved: dict[int, Any] = {id(x): lambda image, of_image: image}

    def after(step: Step) -> Any:
        before = moved[id(step.reads[0])]

        def move(image: Any, of_image: bool) -> Any:
            image = before(image, of_image)
            return image if step.role == "scale" and not of_image else step.function([image])

        return move

    for step in steps:
        if step.role in ("move", "scale") and len(step.reads) == 1 and id(step.reads[0]) in moved:
            moved[id(step.output)] = after(step)
    return moved


def _layer(
    step: Step, relevance: Any, name: str, settings: Settings, constant: Any
) -> tuple[list[Any], Any, Any]:
    """One layer's relevance spread over its inputs; what its bias took; what nobody took."""
    import tensorflow as tf

    nothing = tf.zeros(tf.shape(relevance)[:1])
    if step.role in ("activation", "folded", "scale"):
        return [relevance], nothing, nothing
    if step.role in ("move", "max"):
        return _reverse.pull(step, relevance), nothing, nothing
    epsilon = settings.epsilon if name == "epsilon" else 0.0
    if step.role in ("sum", "affine"):  # in the proportion of what each input adds
        bias = _reverse.factor_and_shift(step.layer)[1] if step.role == "affine" else 0.0
        s = _divided(relevance, step.z, epsilon)
        received = [a * g for a, g in zip(step.inputs, _reverse.pull(step, s), strict=True)]
        return received, _total(bias * s), _total(relevance - step.z * s)
    # Only these two rules, further up, give a share to a unit that is silent behind its ReLU.
    positive = step.activation is not None and not settings.all_rules & {"flat", "w2"}
    spread = [
        _spread(step, part, epsilon, step.z if name in ("0", "epsilon") else None, positive)
        for part in _parts(step, relevance, name, settings, constant)
    ]
    received, bias, unplaced = (sum(amount) for amount in zip(*spread, strict=True))
    return [received], bias, unplaced


def _spread(step: Step, part: Part, epsilon: float, z: Any, positive: bool) -> tuple[Any, Any, Any]:
    """``R_j = sum_k z_jk s_k`` with ``s_k = R_k / (z_k + epsilon sign z_k)``, as four operations.

    Forward pass, division, backward pass, product (Montavon et al. 2019, section 10.2.2).  Where
    ``z`` is known the forward pass is not used, and is pruned away.
    """
    import tensorflow as tf

    layer = _reverse.operation(step.layer)
    factors = [a for a, _ in part.factors]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(factors)
        sums = tf.add_n([layer(a, kernel) for a, kernel in part.factors])
    z = sums + part.bias if z is None else z
    s = _divided(part.share, z, epsilon, positive)
    c = tape.gradient(sums, factors, output_gradients=s)
    received = tf.add_n([a * g for a, g in zip(factors, c, strict=True)])
    return received, _total(part.bias * s), _total(part.share - z * s)


def _parts(step: Step, R: Any, name: str, settings: Settings, constant: Any) -> list[Part]:
    """The rules, one formula each."""
    import tensorflow as tf

    x, w, b = step.inputs[0], step.kernel, step.bias

    def up(t: Any) -> Any:
        return tf.nn.relu(t)

    def down(t: Any) -> Any:
        return -tf.nn.relu(-t)

    def split(of_positive: Any, of_negative: Any) -> list[tuple[Any, Any]]:
        """Positive inputs with one kernel, negative ones with another."""
        if step.positive:
            return [(x, of_positive)]
        return [(up(x), of_positive), (down(x), of_negative)]

    if name in ("0", "epsilon"):
        return [Part(R, [(x, w)], b)]
    if name == "alpha-beta":  # what speaks for the unit, and what against it, each on its own
        against = Part(-settings.beta * R, split(down(w), up(w)), down(b))
        return [
            Part(settings.alpha * R, split(up(w), down(w)), up(b)),
            *([against] if settings.beta else []),
        ]
    if name == "z+":
        return [Part(R, split(up(w), down(w)), 0.0)]
    if name == "gamma":  # what has the sign of the unit counts 1 + gamma times
        g, zero = settings.gamma, tf.zeros_like(R)
        pro = Part(
            tf.where(step.z > 0, R, zero), split(w + g * up(w), w + g * down(w)), b + g * up(b)
        )
        con = Part(
            tf.where(step.z < 0, R, zero), split(w + g * down(w), w + g * up(w)), b + g * down(b)
        )
        return [pro] if step.activation else [pro, con]  # behind a ReLU there is no z < 0 to share
    if name == "flat":
        return [Part(R, [(constant(1.0), tf.ones_like(w))], 0.0)]
    if name == "w2":
        return [Part(R, [(constant(1.0), w * w)], 0.0)]
    # zB: x w - low w+ - high w-, gathered so that nothing cancels
    ends = [constant(end, of_image=True) for end in (settings.low, settings.high)]
    low, high = tf.minimum(*ends), tf.maximum(*ends)  # a negative factor turns the range round
    return [Part(R, [(x - low, up(w)), (x - high, down(w))], 0.0)]


def _divided(share: Any, z: Any, epsilon: float, positive: bool = False) -> Any:
    """``share / (z + epsilon sign z)``, with sign 0 = 1; zero where the denominator is zero.

    ``positive`` says that the share is zero wherever ``z`` is below zero, which saves its sign.
    """
    import tensorflow as tf

    if epsilon:
        z = z + epsilon if positive else tf.where(z < 0, z - epsilon, z + epsilon)
    return tf.math.divide_no_nan(share, z)


def _total(t: Any) -> Any:
    """The sum for each image, ``(N,)``."""
    import tensorflow as tf

    return tf.reduce_sum(t, axis=list(range(1, len(t.shape))))
