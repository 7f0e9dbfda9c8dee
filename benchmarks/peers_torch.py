"""Captum on the same network in PyTorch: the weights copied, the logits checked first."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import captum.attr as attr
import numpy as np
import torch
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
from torch import nn
from work import LAST_CONVOLUTION, Item, shared

Work = Callable[[], Any]
BATCH = 32
LOGITS_DIFFER = 1e-4  # at the most, or the network is not the same one


class Plain(nn.Sequential):
    """Layers one after another; flattening is none of them, as captum's LRP has no rule for it."""

    def forward(self, x: Any) -> Any:
        """Scores of images, channels first."""
        for layer in self:
            x = layer(x.flatten(1) if isinstance(layer, nn.Linear) else x)
        return x


@functools.cache
def _network(name: str) -> tuple[Any, Any]:
    """The network layer by layer, channels first, and the images that all share.

    Raises:
        ValueError: its logits are not those of the Keras network.
    """
    data = shared(name)
    weights, model = iter(data.weights), Plain()
    before = data.layers[0]
    for layer in data.layers:
        if layer["kind"] != "Flatten":
            model.add_module(layer["name"], _layer(layer, before, weights))
        before = layer
    model.eval()
    with torch.no_grad():
        logits = model(_first(data.images)).numpy()
    difference = float(np.abs(logits - data.logits).max())
    if difference > LOGITS_DIFFER:
        raise ValueError(f"logits of the PyTorch copy differ by {difference:.1e}")
    return model, data


def _layer(layer: Any, before: Any, weights: Any) -> nn.Module:
    """A layer with its weights; the one behind Flatten reads (c, h, w) instead of (h, w, c)."""
    if layer["kind"] == "ReLU":
        return nn.ReLU()
    if layer["kind"] == "MaxPooling2D":
        return nn.MaxPool2d(2)
    kernel, bias = next(weights), next(weights)
    result: nn.Module
    if layer["kind"] == "Conv2D":
        result = nn.Conv2d(kernel.shape[2], kernel.shape[3], kernel.shape[:2], padding="same")
        kernel = kernel.transpose(3, 2, 0, 1)
    else:
        result = nn.Linear(*kernel.shape)
        if before["kind"] == "Flatten":
            h, w, c = before["input"]
            kernel = kernel.reshape(h, w, c, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
        kernel = kernel.T
    result.weight.data = torch.from_numpy(np.ascontiguousarray(kernel))
    result.bias.data = torch.from_numpy(np.ascontiguousarray(bias))
    return result


def _first(images: Any) -> Any:
    """Channels first."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def logits_difference(network: str) -> float:
    """How far the copy's logits are from the Keras network's."""
    model, data = _network(network)
    with torch.no_grad():
        return float(np.abs(model(_first(data.images)).numpy() - data.logits).max())


def _captum(explain: Callable[[Any, Any, Any, Item], Any]) -> Callable[[Item], Work]:
    """``explain(model, x, target, item)`` on all images of an item; channels last again."""

    def make(item: Item) -> Work:
        model, data = _network(item.network)
        x = _first(data.images[: item.images])
        target = torch.from_numpy(data.target[: item.images].astype(np.int64))

        def run() -> Any:
            result = explain(model, x.clone().requires_grad_(), target, item)
            return result.detach().numpy().transpose(0, 2, 3, 1)

        return run

    return make


def _smooth(model: Any, x: Any, target: Any, item: Item) -> Any:
    torch.manual_seed(0)
    noise = attr.NoiseTunnel(attr.Saliency(model))
    samples, sigma = item.parameters["samples"], 0.15 * float(x.max() - x.min())
    more = {"nt_samples": samples, "nt_samples_batch_size": 4, "stdevs": sigma, "abs": False}
    return noise.attribute(x, nt_type="smoothgrad", target=target, **more)


METHODS = {"midpoint": "riemann_middle", "gauss-legendre": "gausslegendre"}


def _ig(model: Any, x: Any, target: Any, item: Item) -> Any:
    return attr.IntegratedGradients(model).attribute(
        x,
        target=target,
        n_steps=item.parameters["steps"],
        method=METHODS[item.parameters.get("quadrature", "midpoint")],
        internal_batch_size=max(BATCH, len(x)),
    )


def _occlusion(model: Any, x: Any, target: Any, item: Item) -> Any:
    patch, stride = item.parameters["patch"], item.parameters["stride"]
    with torch.no_grad():
        return attr.Occlusion(model).attribute(
            x,
            (1, patch, patch),
            strides=(1, stride, stride),
            target=target,
            perturbations_per_eval=max(1, BATCH // len(x)),
        )


def _grad_cam(model: Any, x: Any, target: Any, item: Item) -> Any:
    layer = getattr(model, f"{LAST_CONVOLUTION[item.network]}_relu")
    return attr.LayerGradCam(model, layer).attribute(x, target=target, relu_attributions=True)


def _lrp(model: Any, x: Any, target: Any, item: Item) -> Any:
    """Epsilon, alpha 1 beta 0, or the latter without biases; pooling hands all to the maximum."""
    rule = item.parameters["rule"]
    for layer in model:
        if isinstance(layer, nn.MaxPool2d):
            layer.rule = EpsilonRule()  # 1e-9
        elif rule == "epsilon" and not isinstance(layer, nn.ReLU):
            layer.rule = EpsilonRule(item.parameters.get("epsilon", 0.001))
        elif not isinstance(layer, nn.ReLU):
            layer.rule = Alpha1_Beta0_Rule(set_bias_to_zero=rule == "z+")
    return attr.LRP(model).attribute(x, target=target)


ENTRIES: dict[str, dict[str, Callable[[Item], Work]]] = {
    "captum": {
        "saliency": _captum(
            lambda m, x, t, item: attr.Saliency(m).attribute(x, target=t, abs=False)
        ),
        "input_x_gradient": _captum(
            lambda m, x, t, item: attr.InputXGradient(m).attribute(x, target=t)
        ),
        "smooth_grad": _captum(_smooth),
        "integrated_gradients": _captum(_ig),
        "occlusion": _captum(_occlusion),
        "grad_cam": _captum(_grad_cam),
        "guided_backprop": _captum(
            lambda m, x, t, item: attr.GuidedBackprop(m).attribute(x, target=t)
        ),
        "deconvnet": _captum(lambda m, x, t, item: attr.Deconvolution(m).attribute(x, target=t)),
        "lrp": _captum(_lrp),
        "deep_lift": _captum(lambda m, x, t, item: attr.DeepLift(m).attribute(x, target=t)),
    }
}
