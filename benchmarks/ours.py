"""Our functions, the floor under them, and the peers that live in the course's own environment."""

from __future__ import annotations

import functools
import importlib
import inspect
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from work import FOLDER, LAST_CONVOLUTION, SECOND_CONVOLUTION, UNTRAINED, Item, Shared, shared

from xai_utils._quiet import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

Work = Callable[[], Any]
MODULES = ("gradients", "backprop", "perturbation", "cam", "optimization")
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SEARCHED = 256  # passes that the search for the best batch size repeats


@functools.cache
def network(name: str) -> tuple[Any, Shared]:
    """A network and the images that all share."""
    if name == UNTRAINED:
        return untrained()
    return keras.models.load_model(FOLDER / f"{name}.keras"), shared(name)


def untrained() -> tuple[Any, Shared]:
    """VGG16 without its softmax, weights and one image at random; too large to be saved."""
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(weights=None, classifier_activation=None)
    images = np.random.default_rng(0).normal(size=(1, *model.input_shape[1:])).astype(np.float32)
    logits = np.asarray(model(images))
    return model, Shared(images, logits, logits.argmax(axis=1).astype(np.int32), [], [])


@functools.cache
def logits_model(name: str) -> Any:
    """The same network without its softmax."""
    model, _ = network(name)
    if name == UNTRAINED:
        return model
    return keras.Model(model.inputs, model.get_layer("logits").output)


@functools.cache
def second_convolution(name: str) -> Any:
    """The network up to its second convolution."""
    model, _ = network(name)
    return keras.Model(model.inputs, model.get_layer(SECOND_CONVOLUTION).output)


# --- ours ----------------------------------------------------------------------------------------


def find(method: str) -> Callable[..., Any]:
    """A function of `xai_utils` by its name."""
    for name in MODULES:
        try:
            module = importlib.import_module(f"xai_utils.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"xai_utils.{name}":
                raise
            continue
        if hasattr(module, method):
            return getattr(module, method)
    raise LookupError(f"xai_utils has no {method}")


def ours(item: Item) -> Work:
    """Our function with the item's parameters, in its own default batches."""
    function = find(item.method)
    model, data = network(item.network)
    images, target = data.images[: item.images], data.target[: item.images]
    parameters = dict(item.parameters)
    if "layer" in inspect.signature(function).parameters:
        parameters.setdefault("layer", LAST_CONVOLUTION[item.network])
    return lambda: function(model, images, target, **parameters)


def ascent(item: Item) -> Work:
    """Activation maximisation of the first filters of the second convolution, one image each."""
    function, (model, _) = find(item.method), network(item.network)
    layer, channels = SECOND_CONVOLUTION, range(item.images)
    return lambda: function(model, layer=layer, channel=channels, **item.parameters).images


# --- the floor -----------------------------------------------------------------------------------


@functools.cache
def bare(name: str, passes: str) -> Callable[[Any, Any], Any]:
    """One compiled function: logits, or the gradient of the target's logit with respect to x.

    ``"channel"``: the gradient of a channel's mean in the second convolution; ``target`` is the
    channel.
    """
    model = second_convolution(name) if passes == "channel" else logits_model(name)
    shape = tf.TensorSpec([None, *model.inputs[0].shape[1:]], tf.float32)

    @tf.function(input_signature=[shape, tf.TensorSpec([None], tf.int32)], autograph=False)
    def function(x: Any, target: Any) -> Any:
        if passes == "forward":
            return model(x)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            output = model(x)
            if passes == "channel":
                output = tf.reduce_mean(output, axis=(1, 2))
            value = tf.gather(output, target, axis=1, batch_dims=1)
        return tape.gradient(value, x)

    return function.get_concrete_function()


def bare_passes(name: str, passes: str, total: int, size: int) -> Work:
    """So many passes in batches of one size, and a smaller last one; data lie ready as tensors."""
    function, (_, data) = bare(name, passes), network(name)
    index = np.arange(size) % len(data.images)
    x, target = tf.constant(data.images[index]), tf.constant(data.target[index])
    rest = total % size
    x_rest, target_rest = x[:rest], target[:rest]

    def run() -> None:
        for _ in range(total // size):
            function(x, target)
        if rest:
            function(x_rest, target_rest)

    return run


@functools.cache
def curve(name: str, passes: str, total: int) -> dict[int, float]:
    """Milliseconds a pass at each batch size, the best of two runs, of five near the minimum."""
    runs = {s: bare_passes(name, passes, total, s) for s in SIZES if s <= total}
    best = dict.fromkeys(runs, float("inf"))

    def look(sizes: list[int], repeat: int) -> None:
        for _ in range(repeat):
            for size in sizes:
                start = time.perf_counter()
                runs[size]()
                best[size] = min(best[size], 1000 * (time.perf_counter() - start) / total)

    look(list(runs), 2)
    look(sorted(runs, key=lambda s: best[s])[:3], 3)
    return best


def best_size(name: str, passes: str, total: int) -> int:
    """The batch size of the fastest floor for this work."""
    found = curve(name, passes, min(total, SEARCHED))
    return min(found, key=lambda size: found[size])


def floor(item: Item) -> Work:
    """The same number of bare passes at the best batch size."""
    size = best_size(item.network, item.passes, item.total)
    return bare_passes(item.network, item.passes, item.total, size)


# --- peers that need no other environment --------------------------------------------------------


def lime(item: Item) -> Work:
    """LIME as its documentation has it: defaults, and the model's ``predict`` in batches of ten."""
    return _lime(item, network(item.network)[0], 10)


def lime_compiled(item: Item) -> Work:
    """LIME with a compiled function in batches of fifty."""
    function = bare(item.network, "forward")

    class Compiled:
        def predict(self, x: Any, verbose: int = 0) -> Any:
            return function(tf.constant(x, tf.float32), tf.zeros(len(x), tf.int32)).numpy()

    return _lime(item, Compiled(), 50)


def _lime(item: Item, model: Any, batch_size: int) -> Work:
    from lime.lime_image import LimeImageExplainer

    images = np.repeat(network(item.network)[1].images[: item.images], 3, axis=-1).astype(float)

    def predict(batch: Any) -> Any:
        return model.predict(np.asarray(batch, np.float32)[..., :1], verbose=0)

    def run() -> Any:
        explainer = LimeImageExplainer(random_state=0)
        return [
            explainer.explain_instance(
                image,
                predict,
                num_samples=item.parameters["samples"],
                batch_size=batch_size,
                random_seed=0,
            ).score
            for image in images
        ]

    return run


def shap_deep(item: Item) -> Work:
    """SHAP's DeepExplainer with a black image as its only reference, the predicted class only."""
    import shap

    model, images = logits_model(item.network), network(item.network)[1].images[: item.images]
    explainer = shap.DeepExplainer(model, np.zeros_like(images[:1]))

    def run() -> Any:
        values, _ = explainer.shap_values(images, ranked_outputs=1, check_additivity=False)
        return np.asarray(values)[..., 0]

    return run


ENTRIES: dict[str, dict[str, Callable[[Item], Work]]] = {
    "ours": {"activation_maximization": ascent, "*": ours},
    "floor": {"*": floor},
    "lime": {"lime": lime},
    "lime, compiled": {"lime": lime_compiled},
    "shap": {"deep_lift": shap_deep},
}
