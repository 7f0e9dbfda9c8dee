"""A Keras model, walked layer by layer; nothing of it is rebuilt, copied or switched."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ._quiet import import_tensorflow

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


class Call(NamedTuple):
    """One layer applied once: what went in, what came out, and what else it was given by name."""

    layer: Any
    inputs: Any
    output: Any
    named: dict[str, Any]


class Trace(NamedTuple):
    """A forward pass: the logits ``(N, classes)``, and every layer's call in order."""

    logits: tf.Tensor
    calls: list[Call]


Apply = Callable[..., Any]  # apply(layer, function, *inputs) -> the layer's output


def trace(model: keras.Model, images: Any, apply: Apply | None = None) -> Trace:
    """Run a model layer by layer up to its logits.

    Sequential and functional models, nested ones included (a model used as a layer is entered).
    A softmax or sigmoid at the end, as a layer or as a layer's activation, is left out.

    Args:
        model: a built Keras model with one input and one output.
        images: tensor ``(N, H, W, C)``.
        apply: called as ``apply(layer, function, *inputs)`` in each layer's place, where
            ``function(*inputs)`` is what the layer computes (without a softmax at the end).  What
            it returns flows on, so it may note the output, let a tape watch it, or compute
            something else; decomposition gives a layer another derivative there.

    Raises:
        TypeError: a subclassed model (its layers cannot be enumerated), or no Keras model.
        ValueError: not built, or more than one input or output.
    """
    graph_of(model)
    import keras
    import tensorflow as tf

    calls: list[Call] = []
    with keras.StatelessScope():  # activity regularizers note their losses there, not in the model
        given = keras.tree.flatten(_run(model, images, calls, apply, strip=True))[0]
        # Of 16 bits, some libraries know no name; logits are few, so that costs nothing.
        wide = given if given.dtype in ("float32", tf.float32) else keras.ops.cast(given, "float32")
        return Trace(wide, calls)


def _run(model: Any, x: Any, calls: list[Call], apply: Apply | None, strip: bool) -> Any:
    import keras

    graph = graph_of(model)
    last = graph.outputs[0]._keras_history.operation
    nodes = itertools.chain.from_iterable(graph._nodes_by_depth.values())
    to_come = sum(node.operation is last for node in nodes)  # a shared layer comes several times

    def operation(layer: Any) -> Callable[..., Any]:
        nonlocal to_come
        to_come -= layer is last
        at_end = strip and layer is last and to_come == 0
        followed = hasattr(layer, "_run_through_graph") or isinstance(layer, keras.Sequential)
        # At the end a subclassed model is entered as well, and refused: it may hide a softmax.
        if followed or (at_end and isinstance(layer, keras.Model)):
            return lambda inputs, *_, **__: _run(layer, inputs, calls, apply, strip=at_end)

        def call(*args: Any, **kwargs: Any) -> Any:
            if at_end and _squashes(layer):
                return args[0]
            function = linear(layer) if at_end and _squashing(layer) else layer
            if apply is None:
                output = function(*args, **kwargs)
            else:
                output = apply(layer, lambda *inputs: function(*inputs, **kwargs), *args)
            calls.append(Call(layer, args[0] if len(args) == 1 else args, output, kwargs))
            return output

        return call

    return graph._run_through_graph([x], operation_fn=operation)


def graph_of(model: Any) -> Any:
    """The functional graph of a model, or an error that says why there is none."""
    import_tensorflow()
    import keras

    if not isinstance(model, keras.Model):
        raise TypeError(f"expected a Keras model, got {type(model).__name__}")
    if isinstance(model, keras.Sequential):
        if model._functional is None:
            raise ValueError(
                f"model {model.name!r} is not built: give it an Input layer, or call it once on a "
                f"batch of images"
            )
        model = model._functional
    if not hasattr(model, "_run_through_graph"):
        raise TypeError(
            f"model {model.name!r} is a subclassed {type(model).__name__}: its layers cannot be "
            f"followed one by one; write it with keras.Sequential or the functional API"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"model {model.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} "
            f"outputs; expected one of each: wrap the pair to be explained, as in "
            f"keras.Model(model.inputs, model.outputs[0])"
        )
    return model


def leaves(model: Any) -> list[Any]:
    """The layers in order, those of nested models in their place; a shared one at its first."""
    import keras

    found: dict[int, Any] = {}
    for layer in model.layers:
        inside = leaves(layer) if isinstance(layer, keras.Model) else [layer]
        found.update({id(x): x for x in inside if id(x) not in found})
    return list(found.values())


def copied(model: Any, dtype: str | None = None) -> Any:
    """The architecture built anew, with fresh weights and layers of its own.

    With a ``dtype`` it computes in that, whatever the model does.

    A Lambda layer's function is already in memory: it is handed on, not read from a description,
    which Keras rightly refuses to do.
    """
    import keras

    def clone(layer: Any) -> Any:
        if type(layer) is not keras.layers.Lambda:
            config = layer.get_config()
            return layer.__class__.from_config(config | ({"dtype": dtype} if dtype else {}))
        named = {"name": layer.name, "dtype": dtype or layer.dtype_policy}
        given = layer.function, layer._output_shape, layer.mask, layer.arguments
        return keras.layers.Lambda(*given, **named)

    return keras.models.clone_model(model, clone_function=clone, recursive=True)


def _squashes(layer: Any) -> bool:
    """Whether the layer is nothing but a softmax or sigmoid."""
    kind = type(layer).__name__
    return kind in ("Softmax", "Sigmoid") or (kind == "Activation" and _squashing(layer))


def _squashing(layer: Any) -> bool:
    name = getattr(getattr(layer, "activation", None), "__name__", None)
    return name in ("softmax", "softmax_v2", "sigmoid")  # softmax_v2: what tf.nn.softmax is called


def linear(layer: Any) -> Callable[..., Any]:
    """What a layer computes before its activation, through the same weights."""
    # A twin with the same variables and another activation.  (`copy.copy` would save and load the
    # layer.)  Its `call` is used, not `__call__`, so Keras notes nothing and no graph grows.
    twin = object.__new__(type(layer))
    vars(twin).update(vars(layer), activation=lambda x: x)
    return lambda *args, **_: type(layer).call(twin, *args)


class LayerInfo(NamedTuple):
    """A layer as `layers` lists it: its class, its output's shape, whose outputs it reads."""

    kind: str
    shape: tuple[int | None, ...]
    reads: tuple[str, ...]


_known: weakref.WeakKeyDictionary[Any, dict[int, dict[str, LayerInfo]]] = (
    weakref.WeakKeyDictionary()
)


def layers(model: keras.Model) -> dict[str, LayerInfo]:
    """Every layer by name in the order of computation, nested ones included.

    What is left out at the end to get logits is not listed.
    """
    import tensorflow as tf

    graph = graph_of(model)
    known = _known.setdefault(model, {})
    if id(graph) not in known:
        shape = tf.TensorSpec([1, *graph.inputs[0].shape[1:]], tf.float32)
        calls: list[Call] = []
        tf.function(
            lambda x: calls.extend(trace(model, x).calls), autograph=False
        ).get_concrete_function(shape)
        maker: dict[int, str] = {}
        for c in calls:  # Dropout passes its input on: what it reads was made by the layer before
            maker.setdefault(id(c.output), c.layer.name)
        known[id(graph)] = {
            c.layer.name: LayerInfo(
                type(c.layer).__name__,
                (None, *tuple(c.output.shape)[1:]),
                tuple(maker[id(x)] for x in tf.nest.flatten(c.inputs) if id(x) in maker),
            )
            for c in calls
        }
    return dict(known[id(graph)])
