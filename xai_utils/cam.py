"""Class activation maps: which places of a layer's feature maps carry a class.

``A[i, j, k]`` is map k of a layer at place (i, j), ``y`` the explained score (a logit by default),
``g[i, j, k] = dy/dA[i, j, k]`` its gradient.  Which layer is read is decided in `_cam_layers`; what
is done with a map afterwards (`resize_heatmap`, `combine_layers`, `importance_mask`) stands in
`_cam_maps`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from . import backprop, scores
from ._cam_layers import default_layer, gap_head, spatial_layers
from ._cam_maps import combine_layers, importance_mask, resize_heatmap
from ._cam_runs import Maps, Target, announce_zeros, from_gradient, from_gradients
from .scores import Score

if TYPE_CHECKING:
    import keras

__all__ = [
    "cam",
    "combine_layers",
    "default_layer",
    "grad_cam",
    "grad_cam_layers",
    "grad_cam_plus_plus",
    "guided_grad_cam",
    "hires_cam",
    "importance_mask",
    "layer_cam",
    "resize_heatmap",
]


def cam(
    model: keras.Model, images: ArrayLike, target: Target = None, *, batch_size: int | None = None
) -> Maps:
    """Class activation mapping: a class's own weights, summed over the maps at every place.

    ``M[i, j] = sum_k w[k, c] A[i, j, k]``, signed, where w are the weights of the linear layer
    behind global average pooling.  The mean of the map plus the class's bias is the logit.  A
    positive weight says that its map speaks for the class, a negative one against it.

    Args:
        model: ends in GlobalAveragePooling2D and one Dense layer (ResNet50, MobileNetV2,
            InceptionV3, Xception as they are), one 1x1 convolution (MobileNet), or nothing else
            (SqueezeNet: its last convolution has one map for each class, which is M).
        images: ``(N, H, W, C)`` floats in the model's scale.
        target: class of each image; None for the predicted one.

    Returns:
        ``(N, h, w)`` float32 at the size of the pooled maps, in units of the logit.  ReLU(M) is
        ``h w`` times `grad_cam` of the same layer.

    Raises:
        ValueError: the model does not end so, or the input is wrong (see `scores.explain`).

    Source: Zhou et al. 2016, "Learning deep features for discriminative localization", eq. 2; the
    head without weights: Lin et al. 2014, "Network in network", section 3.2.
    """

    def step(model: keras.Model, x: Any, target: Any) -> Any:
        import tensorflow as tf

        logits, calls = scores.trace(model, x)
        head, classes = gap_head(calls, model.name), scores.chosen(logits, target)
        if head.weights is None:
            maps = tf.transpose(head.maps, (0, 3, 1, 2))
            return scores.sound(tf.gather(maps, classes, axis=1, batch_dims=1), logits)
        weights = tf.gather(tf.transpose(head.weights), classes)
        return scores.sound(tf.einsum("nijk,nk->nij", head.maps, weights), logits)

    result = scores.explain(model, images, target, ("cam",), step, batch_size=batch_size)
    return announce_zeros(result, "cam")


# --- maps weighted by their gradient -------------------------------------------------------------


def grad_cam(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    layer: str | None = None,
    score: Score = "logit",
    batch_size: int | None = None,
) -> Maps:
    """Grad-CAM: maps weighted by the mean gradient of the score, positive evidence kept.

    ``alpha[k] = mean_ij g[i, j, k]`` and ``M[i, j] = ReLU(sum_k alpha[k] A[i, j, k])``.

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
    return from_gradient("grad_cam", _grad_cam_map, model, images, target, layer, score, batch_size)


def grad_cam_layers(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    layers: Sequence[str] | None = None,
    score: Score = "logit",
    batch_size: int | None = None,
) -> dict[str, Maps]:
    """Grad-CAM at many layers from one forward and one backward pass, not one of each a layer.

    `grad_cam`'s formula at every layer: the gradient on its way to the first of them passes all
    others.  `combine_layers` makes one map of them.

    Args:
        model, images, target, score, batch_size: as for `grad_cam`.
        layers: whose outputs are read; None for every convolution with more than one place.  A
            convolution whose ReLU is a layer of its own is read before that ReLU: name the
            activation layers where those are meant (ResNet50, MobileNetV2).

    Returns:
        Layer -> ``(N, h, w)`` float32, in the order of computation, or that of ``layers``.  The
        units differ from layer to layer.  Maps that are zero everywhere come with one warning.

    Raises:
        ValueError: as for `grad_cam`; no layers, or a layer that is applied more than once.

    Source: Selvaraju et al. 2017, "Grad-CAM", eq. 1 and 2 (section 4 compares layers).
    """
    names = spatial_layers(model, layers)
    return from_gradients(
        "grad_cam_layers", _grad_cam_map, model, images, target, names, score, batch_size
    )


def _grad_cam_map(activation: Any, gradient: Any) -> Any:
    import tensorflow as tf

    alpha = tf.reduce_mean(gradient, axis=(1, 2))
    return tf.nn.relu(tf.einsum("nijk,nk->nij", activation, alpha))


def grad_cam_plus_plus(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    layer: str | None = None,
    batch_size: int | None = None,
) -> Maps:
    """Grad-CAM++: positive gradients, weighted so that a small object counts as much as a large.

    ``w[k] = sum_ij alpha[i, j, k] ReLU(dY/dA[i, j, k])`` and ``M = ReLU(sum_k w[k] A[k])`` with

        alpha[i, j, k] = d2Y / (2 d2Y + sum_ab A[a, b, k] d3Y),

    d2Y and d3Y being derivatives by A[i, j, k].  For ``Y = exp(y)`` of a logit y that is piecewise
    linear in A (ReLU, max pooling) they need first derivatives only: ``d2Y = exp(y) g^2`` and
    ``d3Y = exp(y) g^3``.  The exponential cancels in alpha and is one positive factor of w for each
    image.  It is left out, because it overflows from y = 89 on and changes no map's shape.

    Arguments, errors: as for `grad_cam`.  There is no other score than the logit, for which the
    formula is derived; and A should not be negative (a layer after its ReLU), as in the paper:
    the denominator is positive then.

    Returns:
        ``(N, h, w)`` float32, not negative, in units of the logit's gradient times activation.

    Source: Chattopadhay et al. 2018, "Grad-CAM++", section 3 (w, alpha, and both for Y = exp(y)).
    The authors' own program also divides alpha by its sum over the places; the paper does not.
    """

    def heat(activation: Any, gradient: Any) -> Any:
        import tensorflow as tf

        # alpha = g^2 / (2 g^2 + sum(A) g^3), less the g^2 that float32 would round to zero.
        total = tf.reduce_sum(activation, axis=(1, 2), keepdims=True)
        alpha = tf.math.divide_no_nan(1.0, 2 + total * gradient)
        weights = tf.reduce_sum(alpha * tf.nn.relu(gradient), axis=(1, 2))
        return tf.nn.relu(tf.einsum("nijk,nk->nij", activation, weights))

    return from_gradient(
        "grad_cam_plus_plus", heat, model, images, target, layer, "logit", batch_size
    )


def layer_cam(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    layer: str | None = None,
    score: Score = "logit",
    batch_size: int | None = None,
) -> Maps:
    """LayerCAM: every place weighted by its own positive gradient, so early layers are sharp, too.

    ``M[i, j] = ReLU(sum_k ReLU(g[i, j, k]) A[i, j, k])``.  `hires_cam` has the same product with
    the gradient's sign kept; Grad-CAM averages the gradient over the places.

    Arguments, result and errors as for `grad_cam`.

    Source: Jiang et al. 2021, "LayerCAM: exploring hierarchical class activation maps for
    localization", IEEE TIP 30, section III.
    """

    def heat(activation: Any, gradient: Any) -> Any:
        import tensorflow as tf

        return tf.nn.relu(tf.reduce_sum(tf.nn.relu(gradient) * activation, axis=-1))

    return from_gradient("layer_cam", heat, model, images, target, layer, score, batch_size)


def hires_cam(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    layer: str | None = None,
    score: Score = "logit",
    batch_size: int | None = None,
) -> Maps:
    """HiResCAM: gradient times activation at every place, without averaging the gradient first.

    ``M[i, j] = sum_k g[i, j, k] A[i, j, k]``, signed.  Where the gradient differs from place to
    place (a network that flattens), Grad-CAM's mean throws that away and this keeps it.

    Arguments, result and errors as for `grad_cam`, but negative evidence is kept.

    Source: Draelos & Carin 2020, HiResCAM, arXiv:2011.08891.
    """

    def heat(activation: Any, gradient: Any) -> Any:
        import tensorflow as tf

        return tf.reduce_sum(gradient * activation, axis=-1)

    return from_gradient("hires_cam", heat, model, images, target, layer, score, batch_size)


def guided_grad_cam(
    model: keras.Model,
    images: ArrayLike,
    target: Target = None,
    *,
    layer: str | None = None,
    batch_size: int | None = None,
) -> Maps:
    """Guided Grad-CAM: guided backpropagation, masked by Grad-CAM enlarged to the pixels.

    ``M[y, x, c] = G[y, x, c] up(L)[y, x]``: G is `backprop.guided_backprop`, L is `grad_cam`, up
    is bilinear.  The place comes from L and the fine lines from G, which hardly depends on the
    class (Adebayo et al. 2018): a sharp line here is an edge within a coarse region.

    Args:
        model: a ReLU network of the layers that `backprop.guided_backprop` supports.
        images, target, layer, batch_size: as for `grad_cam`.

    Returns:
        ``(N, H, W, C)`` float32, signed.  Zero everywhere comes with a warning.

    Raises:
        TypeError: an unsupported layer, by name.
        ValueError: as for `grad_cam`.

    Source: Selvaraju et al. 2017, "Grad-CAM", section 3.2 (eq. 1 and 2 for L); Springenberg et al.
    2015 for G.
    """
    images, classes = scores.resolved(model, images, target)
    with warnings.catch_warnings():  # zeros are announced once, of the product
        warnings.filterwarnings("ignore", message=".*zero everywhere")
        heat = grad_cam(model, images, classes, layer=layer, batch_size=batch_size)
        fine = backprop.guided_backprop(model, images, classes, batch_size=batch_size)
    result = fine * resize_heatmap(heat, images.shape[1:3])[..., None]
    return announce_zeros(result, "guided_grad_cam")
