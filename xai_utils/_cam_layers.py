"""Where class activation maps are read: which layer, its gradient, and the head that CAM needs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import scores
from ._graph import _squashing
from .scores import Score

if TYPE_CHECKING:
    import keras

POOLING = "GlobalAveragePooling2D"
PASSING = ("Dropout", "Flatten", "Identity", "InputLayer", "Reshape")  # no number changes in them

# --- which layer ---------------------------------------------------------------------------------


def default_layer(model: keras.Model) -> str:
    """The layer whose maps are read when none is named.

    What global average pooling reads, where the model has that; else the last convolution that
    has more than one place.

    Raises:
        ValueError: the model has no such layer.
    """
    layers = scores.layers(model)
    pools = [info for info in layers.values() if info.kind == POOLING]
    pooled = [info.reads[0] for info in pools if info.reads]  # none: it pools the image itself
    return pooled[-1] if pooled else convolutions(model)[-1]


def convolutions(model: keras.Model) -> list[str]:
    """Every convolution with more than one place, in the order of computation.

    Raises:
        ValueError: the model has none.
    """
    layers = scores.layers(model)
    found = [n for n, info in layers.items() if "Conv" in info.kind and _is_spatial(info.shape)]
    if not found:
        raise ValueError(
            f"model {model.name!r} has no convolution with spatial output; a class activation map "
            f"needs one. Its layers: {', '.join(layers) or 'none'}"
        )
    return found


def spatial_layer(model: keras.Model, layer: str) -> str:
    """The layer's name if it can carry a map, or an error that lists the ones that can."""
    layers = scores.layers(model)
    spatial = [name for name, info in layers.items() if _is_spatial(info.shape)]
    default_layer(model)  # a model without convolution gets its own error first
    if layer not in layers:
        near = difflib.get_close_matches(str(layer), spatial, n=3, cutoff=0.4)
        meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise ValueError(
            f"no layer {layer!r} in model {model.name!r}; {meant}Layers with maps: "
            f"{', '.join(spatial)}"
        )
    if layer not in spatial:
        raise ValueError(
            f"layer {layer!r} has output {layers[layer].shape}, without spatial axes; "
            f"layers with maps: {', '.join(spatial)}"
        )
    return layer


def spatial_layers(model: keras.Model, layers: Sequence[str] | None) -> list[str]:
    """The names of layers that carry a map, each once; all convolutions where none are named."""
    if layers is None:
        return convolutions(model)
    if isinstance(layers, str) or not len(layers):
        raise ValueError(
            f"layers {layers!r}; expected a list of layer names, such as [{default_layer(model)!r}]"
        )
    return [spatial_layer(model, name) for name in dict.fromkeys(layers)]


def _is_spatial(shape: tuple[int | None, ...]) -> bool:
    return len(shape) == 4 and shape[1:3] != (1, 1)


# --- its gradient --------------------------------------------------------------------------------


def gradients_at(
    model: keras.Model, names: Sequence[str], images: Any, target: Any, score: Score
) -> tuple[Any, list[tuple[Any, Any]]]:
    """The logits, and each layer's output and the score's gradient there, float32.

    All come from one pass each way: the tape watches every one of the layers, so the backward pass
    that reaches the first has met all others on its way.

    Raises:
        ValueError: a layer that is applied more than once.
    """
    import tensorflow as tf

    seen: dict[str, list[Any]] = {name: [] for name in names}
    with tf.GradientTape(watch_accessed_variables=False) as tape:

        def watched(here: Any, function: Any, *inputs: Any) -> Any:
            output = function(*inputs)
            if here.name in seen:
                tape.watch(output)
                seen[here.name].append(output)
            return output

        logits = scores.trace(model, images, watched).logits
        value = scores.pick(logits, target, score)
    for name, outputs in seen.items():
        if len(outputs) != 1:
            raise ValueError(
                f"layer {name!r} is applied {len(outputs)} times in {model.name!r}; "
                f"a map needs one that is applied once: name the layers to be read"
            )
    activations = [outputs[0] for outputs in seen.values()]
    gradients = tape.gradient(value, activations, unconnected_gradients="zero")
    pairs = zip(activations, gradients, strict=True)
    return logits, [(tf.cast(a, tf.float32), tf.cast(g, tf.float32)) for a, g in pairs]


# --- CAM's head ----------------------------------------------------------------------------------


class Head(NamedTuple):
    """``logits = mean_ij maps @ weights + bias``; without weights the means are the logits."""

    maps: Any  # (N, h, w, K), what global average pooling reads
    weights: Any | None  # (K, classes)


def gap_head(calls: list[scores.Call], model_name: str) -> Head:
    """Read the head that CAM needs: global average pooling, then at most one linear layer.

    That layer is dense (ResNet50, MobileNetV2, InceptionV3, Xception), a 1x1 convolution of what
    was pooled (MobileNet), or missing, where a last convolution has one map for each class
    (SqueezeNet).  Layers that change no number (dropout, a reshape) may stand between.

    Raises:
        ValueError: the model does not end so.
    """
    import tensorflow as tf

    head = [c for c in calls if type(c.layer).__name__ not in PASSING][-2:]
    kinds = [type(c.layer).__name__ for c in head]
    if kinds[-1:] == [POOLING]:
        return Head(tf.cast(head[-1].inputs, tf.float32), None)
    if kinds not in ([POOLING, "Dense"], [POOLING, "Conv2D"]):
        raise ValueError(
            f"model {model_name!r} ends in {' and '.join(kinds)}; CAM needs {POOLING} and one "
            f"Dense layer or 1x1 convolution behind it: retrain it with such a head, or use "
            f"grad_cam"
        )
    pooling, last = head
    activation = getattr(last.layer.activation, "__name__", "linear")
    if activation != "linear" and not _squashing(last.layer):
        raise ValueError(
            f"model {model_name!r} ends in {last.layer.name!r} with activation {activation!r}; "
            f"CAM needs a linear layer there: use grad_cam"
        )
    maps, kernel = (tf.convert_to_tensor(t) for t in (pooling.inputs, last.layer.kernel))
    size, (inputs, _) = kernel.shape[:-2], kernel.shape[-2:]
    if any(n != 1 for n in size) or inputs != maps.shape[-1]:
        raise ValueError(
            f"model {model_name!r}: {last.layer.name!r} has a kernel {tuple(kernel.shape)}; CAM "
            f"needs one weight for each map and class: use grad_cam"
        )
    weights = tf.reshape(kernel, kernel.shape[-2:])
    return Head(tf.cast(maps, tf.float32), tf.cast(weights, tf.float32))
