"""Class activation maps: which places of a layer's feature maps carry a class.

``A[i, j, k]`` is map k of a layer at place (i, j), ``y`` the explained score (a logit by default).
"""

from __future__ import annotations

import difflib
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import scores
from .scores import Score

if TYPE_CHECKING:
    import keras


def cam(
    model: keras.Model,
    images: ArrayLike,
    target: int | ArrayLike | None = None,
    *,
    batch_size: int | None = None,
) -> NDArray[np.float32]:
    """Class activation mapping: a class's own weights, summed over the maps at every place.

    ``M[i, j] = sum_k w[k, c] A[i, j, k]``, signed, where w are the weights of the dense layer
    behind global average pooling.  The mean of the map plus the class's bias is the logit.

    Args:
        model: ends in GlobalAveragePooling2D and one Dense layer.
        images: ``(N, H, W, C)`` floats in the model's scale.
        target: class of each image; None for the predicted one.

    Returns:
        ``(N, h, w)`` float32 at the size of the pooled maps, in units of the logit.

    Raises:
        ValueError: the model does not end so, or the input is wrong (see `scores.explain`).

    Source: Zhou et al. 2016, "Learning deep features for discriminative localization", eq. 2.
    """

    def step(model: keras.Model, x: Any, target: Any) -> Any:
        import tensorflow as tf

        logits, calls = scores.trace(model, x)
        pooling, dense = gap_head(calls, model.name)
        weights = tf.gather(tf.transpose(dense.layer.kernel), scores.chosen(logits, target))
        maps = tf.cast(pooling.inputs, tf.float32)  # mixed precision computes them in 16 bits
        return tf.einsum("nijk,nk->nij", maps, weights)

    result = scores.explain(model, images, target, ("cam",), step, batch_size=batch_size)
    return _announce_zeros(result, "cam")


def grad_cam(
    model: keras.Model,
    images: ArrayLike,
    target: int | ArrayLike | None = None,
    *,
    layer: str | None = None,
    score: Score = "logit",
    batch_size: int | None = None,
) -> NDArray[np.float32]:
    """Grad-CAM: maps weighted by the mean gradient of the score, positive evidence kept.

    ``alpha[k] = mean_ij dy/dA[i, j, k]`` and ``M[i, j] = ReLU(sum_k alpha[k] A[i, j, k])``.

    Args:
        model: any network with a convolution.
        images: ``(N, H, W, C)`` floats in the model's scale.
        target: class of each image; None for the predicted one.
        layer: whose output is read; None for `default_layer`.
        score: ``"probability"`` repeats what some articles do; its gradient vanishes where the
            model is sure.

    Returns:
        ``(N, h, w)`` float32 at the layer's size, not negative, in units of the score's gradient
        times activation.  A map that is zero everywhere comes with a warning.

    Raises:
        ValueError: unknown layer, a layer without spatial axes, a model without convolution, or
            wrong input (see `scores.explain`).

    Source: Selvaraju et al. 2017, "Grad-CAM", eq. 1 and 2.
    """

    def heat(activation: Any, gradient: Any) -> Any:
        import tensorflow as tf

        alpha = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
        return tf.nn.relu(tf.reduce_sum(alpha * activation, axis=-1))

    return _from_gradient("grad_cam", heat, model, images, target, layer, score, batch_size)


def hires_cam(
    model: keras.Model,
    images: ArrayLike,
    target: int | ArrayLike | None = None,
    *,
    layer: str | None = None,
    score: Score = "logit",
    batch_size: int | None = None,
) -> NDArray[np.float32]:
    """HiResCAM: gradient times activation at every place, without averaging the gradient first.

    ``M[i, j] = sum_k dy/dA[i, j, k] A[i, j, k]``, signed.  Where the gradient differs from place to
    place (a network that flattens), Grad-CAM's mean throws that away and this keeps it.

    Arguments, result and errors as for `grad_cam`, but negative evidence is kept.

    Source: Draelos & Carin 2020, HiResCAM, arXiv:2011.08891.
    """

    def heat(activation: Any, gradient: Any) -> Any:
        import tensorflow as tf

        return tf.reduce_sum(gradient * activation, axis=-1)

    return _from_gradient("hires_cam", heat, model, images, target, layer, score, batch_size)


def _from_gradient(
    method: str,
    heat: Any,
    model: keras.Model,
    images: ArrayLike,
    target: int | ArrayLike | None,
    layer: str | None,
    score: Score,
    batch_size: int | None,
) -> NDArray[np.float32]:
    name = default_layer(model) if layer is None else _spatial_layer(model, layer)

    def step(model: keras.Model, x: Any, target: Any) -> Any:
        activation, gradient = scores.gradient_at(model, name, x, target, score)
        return heat(activation, gradient)

    result = scores.explain(
        model, images, target, (method, name), step, score=score, batch_size=batch_size
    )
    return _announce_zeros(result, f"{method} at {name!r}", stacklevel=4)


def _announce_zeros(
    heat: NDArray[np.float32], what: str, stacklevel: int = 3
) -> NDArray[np.float32]:
    """Say so when a map is zero everywhere: it shows that nothing was found, not where."""
    empty = np.flatnonzero(~heat.any(axis=(1, 2)))
    if empty.size:
        warnings.warn(
            f"{what}: the map is zero everywhere for {empty.size} of {len(heat)} images (first: "
            f"number {empty[0]}). No place speaks for this class, or the score's gradient vanished",
            stacklevel=stacklevel,
        )
    return heat


# --- which layer ---------------------------------------------------------------------------------


def gap_head(calls: list[scores.Call], model_name: str) -> tuple[scores.Call, scores.Call]:
    """The calls of GlobalAveragePooling2D and of the Dense layer that reads it.

    Layers that change nothing when a model is explained (Dropout, Flatten of a flat tensor) may
    stand between them.

    Raises:
        ValueError: the model does not end so.
    """
    passing = ("Dropout", "Flatten", "InputLayer")
    head = [c for c in calls if type(c.layer).__name__ not in passing]
    kinds = [type(c.layer).__name__ for c in head[-2:]]
    if kinds != ["GlobalAveragePooling2D", "Dense"]:
        raise ValueError(
            f"model {model_name!r} ends in {' and '.join(kinds)}; CAM needs GlobalAveragePooling2D "
            f"and one Dense layer: retrain it with such a head, or use grad_cam"
        )
    if head[-2].layer.keepdims:
        raise ValueError(f"model {model_name!r} pools with keepdims=True; CAM needs flat features")
    return head[-2], head[-1]


def default_layer(model: keras.Model) -> str:
    """The layer whose maps are read when none is named.

    What global average pooling reads, where the model has that; else the last convolution that
    has more than one place.

    Raises:
        ValueError: the model has no such layer.
    """
    layers = scores.layers(model)
    pools = [info for info in layers.values() if info.kind == "GlobalAveragePooling2D"]
    pooled = [info.reads[0] for info in pools if info.reads]  # none: it pools the image itself
    if pooled:
        return pooled[-1]
    convolutions = [n for n, i in layers.items() if "Conv" in i.kind and _is_spatial(i.shape)]
    if not convolutions:
        raise ValueError(
            f"model {model.name!r} has no convolution with spatial output; a class activation map "
            f"needs one. Its layers: {', '.join(layers) or 'none'}"
        )
    return convolutions[-1]


def _is_spatial(shape: tuple[int | None, ...]) -> bool:
    return len(shape) == 4 and shape[1:3] != (1, 1)


def _spatial_layer(model: keras.Model, layer: str) -> str:
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


# --- enlarging -----------------------------------------------------------------------------------


def resize_heatmap(
    heat: NDArray[np.floating], size: tuple[int, int], *, interpolation: str = "bilinear"
) -> NDArray[np.float32]:
    """Maps enlarged to the size of the picture, each cell centred on the pixels it stands for.

    Bilinear interpolation stays between the values of its neighbours, so it invents neither
    negative evidence nor peaks; ``"cubic"`` overshoots and is here to show that.

    Args:
        heat: ``(N, h, w)`` or ``(h, w)``.
        size: ``(H, W)`` in pixels.
        interpolation: ``"bilinear"``, ``"nearest"`` or ``"cubic"``.

    Returns:
        float32 of shape ``(N, H, W)`` or ``(H, W)``.

    Raises:
        ValueError: another rank, no map, no size ``(H, W)`` in whole pixels, or an unknown
            interpolation.
    """
    import cv2

    methods = {"bilinear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST, "cubic": cv2.INTER_CUBIC}
    heat = np.asarray(heat, dtype=np.float32)
    if heat.ndim not in (2, 3) or heat.size == 0:
        raise ValueError(f"heat of shape {heat.shape}; expected (N, h, w) or (h, w), not empty")
    if np.shape(size) != (2,) or any(int(n) != n or n < 1 for n in size):
        raise ValueError(f"size {size!r}; expected (H, W) in whole pixels")
    if interpolation not in methods:
        raise ValueError(f"interpolation {interpolation!r}; expected one of {', '.join(methods)}")
    height, width = (int(n) for n in size)
    stack = heat if heat.ndim == 3 else heat[None]
    large = [cv2.resize(m, (width, height), interpolation=methods[interpolation]) for m in stack]
    result = np.stack(large).astype(np.float32, copy=False)
    return result if heat.ndim == 3 else result[0]
