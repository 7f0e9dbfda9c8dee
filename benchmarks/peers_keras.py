"""The peers that explain Keras models, each as its own documentation uses it.

What can be made once (explainer, logits model) is made once, outside of what is timed.  All get the
functional logits model, and those that take batches get all images at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from work import FOLDER, LAST_CONVOLUTION, Item, shared

Work = Callable[[], Any]
BATCH = 32


@functools.cache
def _network(name: str) -> tuple[Any, Any]:
    model = keras.models.load_model(FOLDER / f"{name}.keras")
    return keras.Model(model.inputs, model.get_layer("logits").output), shared(name)


def _inputs(item: Item) -> tuple[Any, Any, Any]:
    model, data = _network(item.network)
    return model, data.images[: item.images], data.target[: item.images]


# --- xplique -------------------------------------------------------------------------------------


def _xplique(name: str, gradient: bool = True, **renamed: str) -> Callable[[Item], Work]:
    """An explainer of xplique; channels are neither reduced nor signs dropped where it can."""

    def make(item: Item) -> Work:
        from xplique import attributions

        model, images, target = _inputs(item)
        given = item.parameters
        more = {theirs: given[own] for own, theirs in renamed.items() if own in given}
        if gradient:
            more["reducer"] = None
        explainer = getattr(attributions, name)(model, batch_size=BATCH, **more)
        one_hot = tf.one_hot(target, model.outputs[0].shape[1])
        return lambda: explainer.explain(images, one_hot).numpy()

    return make


def _xplique_grad_cam(item: Item) -> Work:
    from xplique.attributions import GradCAM

    model, images, target = _inputs(item)
    explainer = GradCAM(model, batch_size=BATCH, conv_layer=LAST_CONVOLUTION[item.network])
    one_hot = tf.one_hot(target, model.outputs[0].shape[1])
    if item.note != "layer size":
        return lambda: explainer.explain(images, one_hot).numpy()

    def before_resizing() -> Any:  # their bicubic enlargement would hide what is compared
        maps, gradients = explainer._gradient(tf.constant(images), one_hot)
        return explainer._apply_weights(explainer._compute_weights(gradients, maps), maps).numpy()

    return before_resizing


# --- PAIR saliency: one image at a time, through a function that the user writes -----------------


def _pair(make_mask: Callable[[Item, Any], Any]) -> Callable[[Item], Work]:
    def make(item: Item) -> Work:
        import saliency.core as pair

        model, images, target = _inputs(item)
        layer = model.get_layer(LAST_CONVOLUTION[item.network])
        both = keras.Model(model.inputs, [layer.output, model.outputs[0]])

        def call_model(x: Any, call_model_args: Any = None, expected_keys: Any = None) -> Any:
            x = tf.convert_to_tensor(x, tf.float32)
            with tf.GradientTape() as tape:
                if expected_keys == [pair.base.INPUT_OUTPUT_GRADIENTS]:
                    tape.watch(x)
                    value = model(x)[:, call_model_args["class"]]
                    gradient = tape.gradient(value, x).numpy()
                    return {pair.base.INPUT_OUTPUT_GRADIENTS: gradient}
                maps, logits = both(x)
                value = logits[:, call_model_args["class"]]
                return {
                    pair.base.CONVOLUTION_LAYER_VALUES: maps,
                    pair.base.CONVOLUTION_OUTPUT_GRADIENTS: tape.gradient(value, maps).numpy(),
                }

        mask = make_mask(item, pair)
        return lambda: np.stack(
            [mask(x, call_model, {"class": c}) for x, c in zip(images, target, strict=True)]
        )

    return make


def _pair_smooth(item: Item, pair: Any) -> Any:
    method, samples = pair.GradientSaliency(), item.parameters["samples"]
    return lambda x, f, a: method.GetSmoothedMask(x, f, a, nsamples=samples, magnitude=False)


def _pair_ig(item: Item, pair: Any) -> Any:
    method, steps = pair.IntegratedGradients(), item.parameters["steps"]
    return lambda x, f, a: method.GetMask(x, f, a, x_steps=steps, batch_size=steps)


def _pair_grad_cam(item: Item, pair: Any) -> Any:
    method = pair.GradCam()
    return lambda x, f, a: method.GetMask(x, f, a, should_resize=False, three_dims=False)


# --- tf-explain: one class for all images --------------------------------------------------------


def _tf_explain(module: str, name: str, **renamed: str) -> Callable[[Item], Work]:
    def make(item: Item) -> Work:
        import importlib

        explainer = getattr(importlib.import_module(f"tf_explain.core.{module}"), name)()
        model, images, target = _inputs(item)
        more = {theirs: item.parameters[own] for own, theirs in renamed.items()}
        if name == "GradCAM":
            more = {"layer_name": LAST_CONVOLUTION[item.network], "use_guided_grads": False}
        return lambda: explainer.explain((images, None), model, int(target[0]), **more)

    return make


# --- tf-keras-vis --------------------------------------------------------------------------------


def _vis(name: str) -> Callable[[Item], Work]:
    def make(item: Item) -> Work:
        from tf_keras_vis.gradcam import Gradcam
        from tf_keras_vis.saliency import Saliency
        from tf_keras_vis.utils.scores import CategoricalScore

        model, images, target = _inputs(item)
        explainer = {"Saliency": Saliency, "Gradcam": Gradcam}[name](model, clone=True)
        more: dict[str, Any] = {"penultimate_layer": LAST_CONVOLUTION[item.network]}
        if name == "Saliency":
            more = {"smooth_samples": item.parameters.get("samples", 0), "smooth_noise": 0.15}
        score = CategoricalScore(target.tolist())
        return lambda: explainer(score, images, **more)

    return make


ENTRIES: dict[str, dict[str, Callable[[Item], Work]]] = {
    "xplique": {
        "saliency": _xplique("Saliency"),
        "input_x_gradient": _xplique("GradientInput"),
        "smooth_grad": _xplique("SmoothGrad", samples="nb_samples", noise="noise"),
        "integrated_gradients": _xplique("IntegratedGradients", steps="steps"),
        "occlusion": _xplique("Occlusion", False, patch="patch_size", stride="patch_stride"),
        "rise": _xplique("Rise", False, masks="nb_samples"),
        "guided_backprop": _xplique("GuidedBackprop"),
        "deconvnet": _xplique("DeconvNet"),
        "grad_cam": _xplique_grad_cam,
    },
    "PAIR saliency": {
        "saliency": _pair(lambda item, pair: pair.GradientSaliency().GetMask),
        "smooth_grad": _pair(_pair_smooth),
        "integrated_gradients": _pair(_pair_ig),
        "grad_cam": _pair(_pair_grad_cam),
    },
    "tf-explain": {
        "saliency": _tf_explain("vanilla_gradients", "VanillaGradients"),
        "smooth_grad": _tf_explain("smoothgrad", "SmoothGrad", samples="num_samples"),
        "integrated_gradients": _tf_explain(
            "integrated_gradients", "IntegratedGradients", steps="n_steps"
        ),
        "grad_cam": _tf_explain("grad_cam", "GradCAM"),
    },
    "tf-keras-vis": {
        "saliency": _vis("Saliency"),
        "smooth_grad": _vis("Saliency"),
        "grad_cam": _vis("Gradcam"),
    },
}
