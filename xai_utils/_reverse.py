"""A network walked forwards layer by layer and back again, with a rule of one's own on the way.

Decomposition methods differ in one thing only: how a layer hands what reaches its output on to its
inputs.  `forward` notes what each layer did, `backward` walks the notes in reverse and asks a rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from . import scores
from ._graph import _squashing, linear

if TYPE_CHECKING:
    import keras

ROLES = {  # what a layer is to a rule
    "Conv2D": "weighted",
    "DepthwiseConv2D": "weighted",
    "Dense": "weighted",
    "BatchNormalization": "affine",  # at inference: a factor and a shift for each channel
    "Rescaling": "scale",  # one-to-one: every number for itself, by a fixed factor and shift
    "Normalization": "scale",
    "Add": "sum",
    "AveragePooling2D": "sum",
    "GlobalAveragePooling2D": "sum",
    "MaxPooling2D": "max",
    "Activation": "activation",
    "ReLU": "activation",
    "Concatenate": "move",  # numbers change their place, or nothing happens at all
    "Cropping2D": "move",
    "Dropout": "move",
    "Flatten": "move",
    "InputLayer": "move",
    "Reshape": "move",
    "ZeroPadding2D": "move",
}
ACTIVATIONS = ("relu", "relu6", "linear")


class Step(NamedTuple):
    """One layer applied once: ``z = function(inputs)`` and ``output = activation(z)``."""

    layer: Any
    role: str
    reads: list[Any]  # the tensors that it was given; a shared one is read by several steps
    inputs: list[Any]  # the same in float32, for this step alone
    function: Callable[[list[Any]], Any]
    z: Any
    activation: Callable[[Any], Any] | None
    output: Any
    tape: Any
    positive: bool  # no input is below zero, whatever the image
    kernel: Any = None  # weighted steps only
    bias: Any = None


Rule = Callable[[Step, Any], list[Any]]  # rule(step, what reaches its output) -> for each input


# --- forwards ------------------------------------------------------------------------------------


def forward(model: keras.Model, x: Any) -> tuple[Any, list[Step]]:
    """The logits ``(N, classes)``, and what each layer did, in order.

    Raises:
        TypeError: a layer or an activation for which no rule is known.
    """
    steps: list[Step] = []
    positive: set[int] = set()  # ids of outputs, which the steps keep alive

    def noted(layer: Any, function: Any, *inputs: Any) -> Any:
        step = _step(layer, function, inputs, positive)
        if step.activation or (step.positive and step.role in ("move", "max", "sum")):
            positive.add(id(step.output))
        steps.append(step)
        return step.output

    logits = scores.trace(model, x, noted).logits
    for step in steps:  # a softmax is left out at the end only
        if _squashing(step.layer) and step.output is not logits:
            raise unsupported(step.layer, f"activation {step.layer.activation.__name__!r}")
    return logits, steps


def _step(layer: Any, function: Any, inputs: tuple[Any, ...], positive: set[int]) -> Step:
    import tensorflow as tf

    role, activation = _role(layer), _activation(layer)
    kept = tf.as_dtype(layer.variable_dtype)  # of a layer of 16 bits: a twin casts nothing itself
    reads = tf.nest.flatten(inputs)
    compute = linear(layer) if activation else function  # that of a softmax comes without it
    if role == "activation":
        activation, compute = activation and function, tf.identity
    merges = isinstance(inputs[0], list | tuple)

    def before(tensors: list[Any]) -> Any:
        if activation:
            tensors = [tf.cast(t, kept) for t in tensors]
        return tf.cast(compute(tensors if merges else tensors[0]), tf.float32)

    own = [tf.identity(tf.cast(t, tf.float32)) for t in reads]
    with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
        tape.watch(own)
        z = before(own)
    output = tf.cast(activation(z), tf.float32) if activation else tf.identity(z)
    step = Step(
        *(layer, role, reads, own, before, z, activation, output, tape),
        positive=all(id(t) in positive for t in reads),
    )
    if role != "weighted":
        return step
    bias = layer.bias if layer.use_bias else tf.zeros(z.shape[-1])
    return step._replace(
        kernel=tf.cast(tf.convert_to_tensor(layer.kernel), tf.float32),
        bias=tf.cast(tf.convert_to_tensor(bias), tf.float32),
    )


def _role(layer: Any) -> str:
    import keras

    kind = type(layer).__name__
    if kind not in ROLES or type(layer) is not getattr(keras.layers, kind):
        raise unsupported(layer, "this kind of layer")
    if kind == "BatchNormalization" and layer.axis not in (-1, layer.input_spec.ndim - 1):
        raise unsupported(layer, f"axis {layer.axis} (expected the last)")
    return ROLES[kind]


def _activation(layer: Any) -> Callable[[Any], Any] | None:
    """The activation of a layer, None where it is linear or a squashing one."""
    if type(layer).__name__ == "ReLU":
        if layer.negative_slope or layer.threshold:
            raise unsupported(layer, "a negative slope or a threshold")
        return lambda z: z  # `_step` puts the layer itself here
    name = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if _squashing(layer) and type(layer).__name__ != "Activation":
        return None
    if name not in ACTIVATIONS:
        raise unsupported(layer, f"activation {name!r}")
    return None if name == "linear" else layer.activation


def unsupported(layer: Any, what: str) -> TypeError:
    """The error that names a layer for which there is no rule."""
    return TypeError(
        f"layer {layer.name!r} ({type(layer).__name__}): no rule for {what}. Supported layers: "
        f"{', '.join(ROLES)}; activations: {', '.join(ACTIVATIONS)}, and softmax or sigmoid at the "
        f"end; gradient methods and occlusion take any layer"
    )


# --- backwards -----------------------------------------------------------------------------------


def backward(steps: list[Step], top: dict[int, Any], x: Any, rule: Rule) -> Any:
    """What arrives at the image ``x`` when each step's share goes on to its inputs by the rule.

    Args:
        steps: from `forward`.
        top: what is given to the logits, under the ``id`` of their tensor.
        x: the tensor of images.
        rule: called once for each step that something reaches, the last one first.
    """
    import tensorflow as tf

    arrived = dict(top)
    for step in reversed(steps):
        share = arrived.pop(id(step.output), None)
        if share is None:  # nothing that counts reads this layer
            continue
        for tensor, part in zip(step.reads, rule(step, share), strict=True):
            before = arrived.get(id(tensor))
            arrived[id(tensor)] = part if before is None else before + part
    return arrived.get(id(x), tf.zeros_like(x))


def pull(step: Step, upstream: Any) -> list[Any]:
    """``upstream * dz / d input`` for each input: the transposed layer, as in backprop.

    Max pooling gives everything to the winner; among equals in one window, to the first.
    """
    return step.tape.gradient(step.z, step.inputs, output_gradients=upstream)


def pull_at(step: Step, inputs: list[Any], upstream: Any) -> list[Any]:
    """The same at other inputs.  For a linear function the forward part is pruned away."""
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        z = step.function(inputs)
    return tape.gradient(z, inputs, output_gradients=upstream)


def slope(step: Step) -> Any:
    """The derivative of the activation at ``z``."""
    import tensorflow as tf

    if step.activation is None:
        return tf.ones_like(step.z)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(step.z)
        output = step.activation(step.z)
    return tape.gradient(output, step.z)


# --- weights -------------------------------------------------------------------------------------


def operation(layer: Any) -> Callable[[Any, Any], Any]:
    """What a weighted layer computes from an input and a kernel, without its bias."""
    import keras

    if type(layer).__name__ == "Dense":
        return keras.ops.matmul
    if type(layer).__name__ == "Conv2D":
        return layer.convolution_op
    return lambda x, kernel: keras.ops.depthwise_conv(
        x, kernel, layer.strides, layer.padding, layer.data_format, layer.dilation_rate
    )


def factor_and_shift(layer: Any) -> tuple[Any, Any]:
    """Batch normalisation at inference as ``factor * x + shift``, ``(C,)`` each."""
    import tensorflow as tf

    def value(weight: Any) -> Any:
        return tf.cast(tf.convert_to_tensor(weight), tf.float32)

    factor = tf.math.rsqrt(value(layer.moving_variance) + layer.epsilon)
    if layer.scale:
        factor *= value(layer.gamma)
    shift = -value(layer.moving_mean) * factor
    return factor, shift + value(layer.beta) if layer.center else shift


def fold(steps: list[Step]) -> list[Step]:
    """The same steps with each batch normalisation multiplied into the weights before it.

    A normalisation that follows no weighted layer, or one whose output something else reads too,
    stays a layer of its own.
    """
    import tensorflow as tf

    steps = list(steps)
    readers = Counter(id(t) for step in steps for t in step.reads)
    makers = {id(step.output): n for n, step in enumerate(steps)}
    for n, norm in enumerate(steps):
        at = makers.get(id(norm.reads[0]))
        if norm.role != "affine" or at is None or readers[id(norm.reads[0])] != 1:
            continue
        before = steps[at]
        if before.role != "weighted" or before.activation:
            continue
        factor, shift = factor_and_shift(norm.layer)
        wide = factor  # one factor for each output, which a depthwise kernel has on two axes
        if type(before.layer).__name__ == "DepthwiseConv2D":
            wide = tf.reshape(factor, before.kernel.shape[-2:])
        steps[at] = before._replace(
            kernel=before.kernel * wide, bias=before.bias * factor + shift, z=norm.z
        )
        steps[n] = norm._replace(role="folded")
    return steps
