"""Every method on every odd network: it works and is checked, or it is refused and says why."""

from __future__ import annotations

import functools
import gc
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from networks import CLASSES, functional, gap_layers, keras, layers, seeded, sequential, tf
from networks import trunk_layers as trunk
from xai_utils import (
    backprop,
    cam,
    gradients,
    local_surrogates,
    metrics,
    optimization,
    perturbation,
    scores,
    shapley,
)

Method = Callable[..., Any]
IMAGES = np.random.default_rng(7).random((3, 8, 8, 1), dtype=np.float32)


def heat(x: Any) -> Any:
    """Some map for the metrics that want one, whatever the images are."""
    return np.random.default_rng(0).random(np.shape(x)[:3])


# --- every method, with few samples --------------------------------------------------------------

GRADIENTS: dict[str, Method] = {
    "saliency": gradients.saliency,
    "input_x_gradient": gradients.input_x_gradient,
    "smooth_grad": functools.partial(gradients.smooth_grad, samples=2),
    "integrated_gradients": functools.partial(gradients.integrated_gradients, steps=2),
    "residual": lambda m, x, **o: gradients.integrated_gradients(
        m, x, steps=2, return_residual=True, **o
    )[1],
    "expected_gradients": lambda m, x, **o: gradients.expected_gradients(
        m, x, references=np.asarray(x)[:1] * 0, samples=2, **o
    ),
}
ON_OTHERS: dict[str, Method] = {  # networks that are made of the given one
    "label_randomisation": lambda m, x: (
        metrics.label_randomisation(gradients.saliency, m, m, x).rank
    ),
    "randomise_weights": lambda m, x: [
        gradients.saliency(lost, x) for _, lost in metrics.randomise_weights(m)
    ][-1],
    "deep_shap": lambda m, x: shapley.deep_shap(m, x, np.asarray(x)[:1] * 0).values,
}
RULES: dict[str, Method] = {
    "deconvnet": backprop.deconvnet,
    "guided_backprop": backprop.guided_backprop,
    "lrp": backprop.lrp,
    "lrp gamma": functools.partial(backprop.lrp, rule="gamma"),
    "deep_taylor": backprop.deep_taylor,
    "lrp_by_layer": lambda m, x, **o: backprop.lrp_by_layer(m, x, **o).image,
    "deep_lift": backprop.deep_lift,
}
MAPS: dict[str, Method] = {
    "grad_cam": cam.grad_cam,
    "grad_cam_layers": lambda m, x, **o: next(iter(cam.grad_cam_layers(m, x, **o).values())),
    "grad_cam_plus_plus": cam.grad_cam_plus_plus,
    "layer_cam": cam.layer_cam,
    "hires_cam": cam.hires_cam,
}
RULES_AND_MAPS: dict[str, Method] = {"guided_grad_cam": cam.guided_grad_cam}
HEADS: dict[str, Method] = {"cam": cam.cam}
ASKING: dict[str, Method] = {
    "logits": lambda m, x, **_: scores.logits(m, x),
    "occlusion": functools.partial(perturbation.occlusion, patch=4),
    "rise": functools.partial(perturbation.rise, masks=2),
    "deletion": lambda m, x, **o: metrics.deletion(m, x, heat(x), steps=2, **o),
    "insertion": lambda m, x, **o: metrics.insertion(m, x, heat(x), steps=2, **o),
}
SLOW: dict[str, Method] = {  # image by image
    "lime_image": lambda m, x: local_surrogates.lime_image(m, x, samples=20, hide=0.0).heat,
    "road": lambda m, x: metrics.road(m, x, heat(x)).values,
    "pixel_flipping": lambda m, x: metrics.pixel_flipping(m, x, heat(x), steps=2)["map"].values,
}
THROUGH_EVERY_LOOP = (  # the others share one of theirs
    *("saliency", "smooth_grad", "deep_lift", "lrp_by_layer", "grad_cam_layers"),
    *("occlusion", "rise", "deletion"),
)
BY_BATCHES = GRADIENTS | RULES | MAPS | RULES_AND_MAPS | HEADS | ASKING
METHODS = BY_BATCHES | SLOW | ON_OTHERS

pytestmark = pytest.mark.filterwarnings("ignore:.*zero everywhere")


def refused(
    methods: Iterable[str], model: Any, images: Any, message: str, error: type[Exception]
) -> None:
    """Each of these methods says so, in these words."""
    for name in methods:
        with pytest.raises(error) as told:
            METHODS[name](model, images)
        text = " ".join(str(told.value).split())
        assert told.match(message), f"{name}: {text}"


def alike(
    methods: Iterable[str], model: Any, images: Any, other: Any, others: Any, tolerance: float
) -> None:
    """Each of these methods gives for one network and its images what it gives for another."""
    for name in methods:
        found = np.asarray(METHODS[name](model, images), np.float64)
        expected = np.asarray(METHODS[name](other, others), np.float64)
        assert found.shape == expected.shape, name
        if name == "residual":
            continue  # what is left of a difference
        if name == "label_randomisation":
            assert np.allclose(found, 1), name
            continue
        size = np.linalg.norm(expected)
        assert size > 1e-4, f"{name}: nothing to compare"
        off = np.linalg.norm(found - expected) / size
        assert off <= tolerance, f"{name} is off by {off:.3g} of it"


def with_weights_of(model: Any, other: Any) -> Any:
    """The first network with the weights of the second."""
    model.set_weights([np.asarray(w, np.float32) for w in other.get_weights()])
    return model


@pytest.fixture(scope="module")
def plain() -> Any:
    return seeded(functional(gap_layers()))


# --- kinds ---------------------------------------------------------------------------------------


@pytest.mark.fault(
    "Models: kinds",
    "A network of 16 bits: float16, bfloat16, mixed precision",
    sees="nothing: the maps are those of its weights in 32 bits, to the precision of 16",
    kept="the network; results are in 32 bits",
    guard=(
        "xai_utils/_graph.py",
        (
            'wide = given if given.dtype in ("float32", tf.float32) else '
            'keras.ops.cast(given, "float32")'
        ),
        "wide = given",
    ),
)
@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [
        ("float16", 0.05),
        ("mixed_bfloat16", 0.2),
    ],
)
def test_networks_of_sixteen_bits(policy: str, tolerance: float) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = seeded(functional(gap_layers()))
    finally:
        keras.config.set_dtype_policy("float32")
    twin = with_weights_of(functional(gap_layers()), model)
    asked = [name for name in METHODS if name != "randomise_weights"]  # which draws other ones
    alike(asked, model, IMAGES, twin, IMAGES, tolerance)
    alike(["saliency", "grad_cam", "lrp", "deletion"], model, IMAGES, twin, IMAGES, tolerance / 10)


def first_or_last(**options: Any) -> list[Any]:
    """A network whose channels are where the options say."""
    return [
        layers.Conv2D(3, 3, padding="same", activation="relu", **options),
        layers.MaxPooling2D(**options),
        layers.Conv2D(4, 3, activation="relu", **options),
        layers.GlobalAveragePooling2D(**options),
        layers.Dense(CLASSES),
    ]


@pytest.mark.fault(
    "Models: kinds",
    "A network with the channels first, (N, C, H, W)",
    sees="`ValueError`: layer 'conv2d' of model '…' has its channels first; expected (N, "
    "H, W, C) all through: build the network with data_format='channels_last' …, "
    "copy the weights …",
    kept="the network; no map along the wrong axes",
    guard=(
        "xai_utils/_engine.py",
        'if getattr(layer, "data_format", None) == "channels_first":',
        "if False:",
    ),
)
def test_networks_with_the_channels_first_are_refused_and_how_to_turn_them() -> None:
    first = seeded(functional(first_or_last(data_format="channels_first"), (1, 8, 8)))
    nested = functional([layers.Permute((3, 1, 2)), first])
    turned = IMAGES.transpose(0, 3, 1, 2)
    message = r"has its channels first; expected \(N, H, W, C\) .*set_weights\(model\.get_weights"
    refused(METHODS, first, turned, message, ValueError)
    refused(METHODS, nested, IMAGES, message, ValueError)
    with pytest.raises(ValueError, match="has its channels first"):
        optimization.activation_maximization(nested, target=0, steps=1)
    last = functional(first_or_last(data_format="channels_last"))
    last.set_weights(first.get_weights())  # as the message says
    assert np.allclose(scores.logits(last, IMAGES), np.asarray(first(turned)), atol=1e-6)
    # Any function will do for the methods that only ask.
    black_box = lambda x: np.asarray(first(x.transpose(0, 3, 1, 2)))  # noqa: E731
    alike(["occlusion", "rise", "lime_image"], black_box, IMAGES, last, IMAGES, 1e-4)


@pytest.mark.fault(
    "Models: kinds",
    "A network with several inputs",
    sees="`ValueError`: model '…' has 2 inputs and 1 outputs; expected one of each: wrap "
    "the pair to be explained …",
    kept="the network",
    guard=(
        "xai_utils/_graph.py",
        "if len(model.inputs) != 1 or len(model.outputs) != 1:",
        "if len(model.outputs) != 1:",
    ),
)
def test_several_inputs_are_refused() -> None:
    one, two = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    y = layers.Add()([one, two])
    for layer in gap_layers():
        y = layer(y)
    message = "has 2 inputs and 1 outputs; expected one of each"
    refused(METHODS, keras.Model([one, two], y), IMAGES, message, ValueError)
    refused(METHODS, keras.Model({"a": one, "b": two}, y), IMAGES, message, ValueError)


def several_outputs(form: Callable[[list[Any]], Any], count: int = 2) -> Any:
    inputs = y = keras.Input((8, 8, 1))
    for layer in gap_layers("logits")[:-1]:
        y = layer(y)
    heads = [layers.Dense(n, name=f"head{n}")(y) for n in (CLASSES, 2)[:count]]
    return seeded(keras.Model(inputs, form(heads)))


@pytest.mark.fault(
    "Models: kinds",
    "A network with several outputs",
    sees="`ValueError`: model '…' has 1 inputs and 2 outputs; expected one of each: wrap "
    "the pair to be explained, as in keras.Model(model.inputs, model.outputs[0])",
    kept="the network",
    guard=(
        "xai_utils/_graph.py",
        "if len(model.inputs) != 1 or len(model.outputs) != 1:",
        "if len(model.inputs) != 1:",
    ),
)
def test_several_outputs_are_refused_and_how_to_choose_one() -> None:
    for form in (list, tuple, lambda heads: {"kind": heads[0], "place": heads[1]}):
        model = several_outputs(form)
        message = r"1 inputs and 2 outputs; .*keras\.Model\(model\.inputs, model\.outputs\[0\]\)"
        refused(METHODS, model, IMAGES, message, ValueError)
    chosen = keras.Model(model.inputs, model.outputs[0])  # as the message says
    answer = np.asarray(tf.nest.flatten(model(IMAGES))[0])
    assert np.allclose(scores.logits(chosen, IMAGES), answer, atol=1e-6)
    assert np.isfinite(cam.grad_cam(chosen, IMAGES)).all()


@pytest.mark.fault(
    "Models: kinds",
    "A network whose one output lies in a list or a dict",
    sees="nothing: the same maps as without",
    kept="the network",
    guard=(
        "xai_utils/_graph.py",
        "given = keras.tree.flatten(_run(model, images, calls, apply, strip=True))[0]",
        "given = _run(model, images, calls, apply, strip=True)",
    ),
)
def test_one_output_in_a_list_or_a_dict_is_one_output() -> None:
    for form, methods in (
        (lambda heads: {"kind": heads[0]}, METHODS),
        (list, ["logits", "saliency", "lrp"]),
    ):
        model = several_outputs(form, count=1)
        bare = keras.Model(model.inputs, model.outputs[0])
        alike(methods, model, IMAGES, bare, IMAGES, 1e-5)


@pytest.mark.fault(
    "Models: kinds",
    "Recurrent layers in a network of images",
    sees="gradients, occlusion, RISE, LIME and the metrics work; LRP and its kin: "
    "`TypeError`: layer 'lstm' (LSTM): no rule for this kind of layer. Supported "
    "layers: …; class activation maps: `ValueError`: … has no convolution with "
    "spatial output …; Deep SHAP: `ValueError`: shap cannot follow this model; use "
    "kernel_shap …",
    kept="the network; gradients work after shap has failed, too, which it would have "
    "broken for the whole process",
    guard=("xai_utils/_shap_package.py", "            undo()\n", "            pass\n"),
)
def test_recurrent_networks() -> None:
    rows = [layers.Reshape((8, 8)), layers.LSTM(4, name="lstm")]
    model = seeded(functional([*rows, layers.Dense(CLASSES, name="logits")]))
    refused(RULES, model, IMAGES, r"'lstm' \(LSTM\): no rule for this kind of layer", TypeError)
    refused(MAPS | RULES_AND_MAPS, model, IMAGES, "no convolution with spatial output", ValueError)
    refused(HEADS, model, IMAGES, "ends in LSTM and Dense; CAM needs", ValueError)
    refused(
        ["deep_shap"], model, IMAGES, "shap cannot follow this model; use kernel_shap", ValueError
    )
    # Gradients after shap has failed, against differences.
    slope = gradients.saliency(model, IMAGES, 0)
    rng, step = np.random.default_rng(3), 1e-2
    for _ in range(3):
        way = rng.normal(size=IMAGES.shape).astype(np.float32)
        ends = [np.asarray(model(IMAGES + s * way))[:, 0] for s in (step, -step)]
        along = (slope * way).sum(axis=(1, 2, 3))
        assert np.allclose((ends[0] - ends[1]) / (2 * step), along, atol=2e-3 * np.abs(along).max())
    for name in [*GRADIENTS, "label_randomisation", "randomise_weights"]:
        assert np.isfinite(METHODS[name](model, IMAGES)).all(), name
    black_box = lambda x: np.asarray(model(x))  # noqa: E731
    alike(["occlusion", "rise", "lime_image"], model, IMAGES, black_box, IMAGES, 1e-4)


OTHERS: dict[str, tuple[Callable[[], list[Any]], tuple[int | None, ...]]] = {
    "a table": (lambda: [layers.Dense(4, activation="relu"), layers.Dense(3)], (5,)),
    "a sequence": (lambda: [layers.LSTM(4), layers.Dense(3)], (8, 5)),
    "a film": (lambda: [layers.Conv3D(2, 3), layers.Flatten(), layers.Dense(3)], (4, 8, 8, 1)),
}


@pytest.mark.fault(
    "Models: kinds",
    "A network of tables, sequences or films",
    sees="`ValueError`: model '…' takes (None, 8, 5); expected images (N, H, W, C); for "
    "models of tables, or any other function, see tabular, shapley and lime_table",
    kept="the network",
    guard=("xai_utils/_engine.py", "    if len(expected) != 4:\n", "    if False:\n"),
)
@pytest.mark.parametrize("kind", OTHERS)
def test_networks_of_other_things_than_images_are_refused(kind: str) -> None:
    parts, shape = OTHERS[kind]
    model = functional(parts(), shape)
    given = np.random.default_rng(0).random((3, *shape), dtype=np.float32)
    asked = [name for name in METHODS if name not in MAPS]
    refused(asked, model, given, r"takes \(None, .*; expected images \(N, H, W, C\)", ValueError)
    refused(MAPS, model, given, "no convolution with spatial output", ValueError)
    with pytest.raises(ValueError, match=r"expected images \(N, H, W, C\)"):
        optimization.activation_maximization(model, target=0, steps=1)


@pytest.mark.fault(
    "Models: kinds",
    "A network without a spatial layer",
    sees="class activation maps: `ValueError`: model '…' has no convolution with spatial "
    "output; a class activation map needs one. Its layers: …; all other methods work",
    kept="of a weighted sum, weight times pixel",
    guard=(
        "xai_utils/_cam_layers.py",
        (
            '    if not found:\n        raise ValueError(\n            f"model '
            "{model.name!r} has no conv"
        ),
        '    if False:\n        raise ValueError(\n            f"model {model.name!r} has no conv',
    ),
)
def test_networks_without_places() -> None:
    """A weighted sum of pixels: nearly every method must give weight times pixel."""
    model = seeded(functional([layers.Flatten(), layers.Dense(CLASSES, name="logits")]))
    kernel, bias = model.get_weights()
    model.set_weights([kernel, bias * 0])
    refused(MAPS | RULES_AND_MAPS, model, IMAGES, "no convolution with spatial output", ValueError)
    refused(HEADS, model, IMAGES, "ends in Dense; CAM needs GlobalAveragePooling2D", ValueError)
    classes = scores.logits(model, IMAGES).argmax(axis=1)
    weights = kernel.T[classes].reshape(IMAGES.shape)
    for name in ("saliency", "smooth_grad", "deconvnet", "guided_backprop"):
        assert np.allclose(METHODS[name](model, IMAGES), weights, atol=1e-5), name
    shares = weights * IMAGES
    for name in ("input_x_gradient", "integrated_gradients", "expected_gradients", "deep_lift"):
        assert np.allclose(METHODS[name](model, IMAGES), shares, atol=1e-5), name
    assert np.allclose(backprop.lrp(model, IMAGES, rule="0"), shares, atol=1e-4)
    one = perturbation.occlusion(model, IMAGES, patch=1)
    assert np.allclose(one, shares[..., 0], atol=1e-5)
    every = METHODS["deep_shap"](model, IMAGES)
    assert np.allclose(every, IMAGES[..., None] * kernel.reshape(1, 8, 8, 1, CLASSES), atol=1e-5)


@pytest.mark.fault(
    "Models: kinds",
    "A network that takes images of any size, or a fixed number of them",
    sees="nothing: the same maps as of a network of that size; for activation "
    "maximisation `ValueError`: … takes images of any size; give size=(H, W)",
    kept="the network",
    guard=(
        "xai_utils/_relevance.py",
        "[tf.shape(run.image)[0], -1]",
        "[-1, int(np.prod(run.image.shape[1:]))]",
    ),
)
def test_networks_of_any_size_and_of_a_fixed_number_of_images(plain: Any) -> None:
    of_any_size = with_weights_of(functional(gap_layers(), (None, None, 1)), plain)
    alike(METHODS, of_any_size, IMAGES, plain, IMAGES, 1e-5)
    with pytest.raises(ValueError, match=r"takes images of any size; give size=\(H, W\)"):
        optimization.activation_maximization(of_any_size, target=0, steps=1)
    inputs = y = keras.Input(batch_shape=(2, 8, 8, 1))
    for layer in gap_layers():
        y = layer(y)
    by_twos = with_weights_of(keras.Model(inputs, y), plain)
    loops = [*THROUGH_EVERY_LOOP, "deep_shap", "randomise_weights"]
    alike(loops, by_twos, IMAGES, plain, IMAGES, 1e-5)


@pytest.mark.fault(
    "Models: kinds",
    "A network that does not say how many classes it has",
    sees="`ValueError`: model '…' gives (None, None); expected scores (N, classes), their "
    "number known when it is built",
    kept="the network",
    guard=(
        "xai_utils/_engine.py",
        "if len(outputs) != 2 or outputs[1] is None:",
        "if len(outputs) != 2:",
    ),
)
def test_an_unknown_number_of_channels_or_classes_is_refused() -> None:
    model = functional([layers.GlobalAveragePooling2D()], (8, 8, None))
    asked = [name for name in METHODS if name not in MAPS and name != "randomise_weights"]
    refused(asked, model, IMAGES, r"gives \(None, None\); expected scores \(N, class", ValueError)


@pytest.mark.fault(
    "Models: kinds",
    "A Lambda layer in a network that is in memory already",
    sees="gradients, class activation maps, occlusion, RISE, LIME, Deep SHAP, the metrics "
    "and their randomised copies work; LRP and its kin: `TypeError`: … no rule for "
    "this kind of layer …",
    kept="the network",
    guard=(
        "xai_utils/_graph.py",
        "        if type(layer) is not keras.layers.Lambda:\n",
        "        if True:\n",
    ),
)
def test_functions_of_the_user_s_own_in_a_network() -> None:
    """A Lambda layer that is in memory already is as good as any other."""
    inner = sequential([layers.Lambda(lambda t: 2.0 * t, name="twice")], (4, 4, 4))
    head = [layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)]
    model = seeded(functional([*trunk(), inner, *head]))
    kept = seeded(functional([*trunk(), layers.Rescaling(2.0), *head[:1], layers.Dense(CLASSES)]))
    kept.set_weights(model.get_weights())
    fine = GRADIENTS | MAPS | HEADS | ASKING | SLOW | ON_OTHERS
    alike(fine, model, IMAGES, kept, IMAGES, 1e-5)
    refused(RULES, model, IMAGES, r"'twice' \(Lambda\): no rule for this kind", TypeError)


# --- how many images -----------------------------------------------------------------------------


@pytest.mark.fault(
    "Models: numbers",
    "No images",
    sees="`ValueError`: no images: shape (0, 8, 8, 1)",
    kept="nothing was there",
    guard=("xai_utils/_engine.py", "    if len(images) == 0:\n", "    if False:\n"),
)
def test_no_images_are_refused(plain: Any) -> None:
    refused(METHODS, plain, IMAGES[:0], r"no images: shape \(0, 8, 8, 1\)", ValueError)


@pytest.mark.fault(
    "Models: numbers",
    "One image, with or without its batch axis",
    sees="with it, the map that it has among others; without, `ValueError`: images of "
    "shape (8, 8, 1); expected (N, 8, 8, 1); add the batch axis: image[None]",
    kept="the image",
    guard=(
        "xai_utils/_engine.py",
        "    if images.ndim != len(expected):\n",
        "    if False:\n",
    ),
)
def test_one_image_with_and_without_its_batch_axis(plain: Any) -> None:
    wanted = r"shape \(8, 8, 1\); expected \(N, 8, 8, 1\); add the batch axis: image\[None\]"
    refused(METHODS, plain, IMAGES[0], wanted, ValueError)
    for name, method in METHODS.items():
        if name in ("residual", "label_randomisation"):
            continue
        alone, among = method(plain, IMAGES[:1])[0], method(plain, IMAGES)[0]
        assert np.allclose(alone, among, atol=1e-5 * np.abs(among).max()), name


MANY = 100_000
FEATURES = 16  # at 8 x 8 places: 4 KiB an image, and 400 MB for all at once


def peak() -> int:
    """The most memory that this process has had since the last look, in bytes."""
    status = Path("/proc/self/status").read_text()
    found = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]
    Path("/proc/self/clear_refs").write_text("5")
    return found


@pytest.mark.fault(
    "Models: numbers",
    "100,000 images at once",
    sees="nothing: they are computed batch by batch, with a progress bar on a terminal",
    kept="the memory: that of the images and maps, not of what the network makes of all of them",
    guard=(
        "xai_utils/_engine.py",
        "    size = min(batch_size, total)\n",
        "    size = total\n",
    ),
)
@pytest.mark.slow
def test_a_hundred_thousand_images_take_no_more_memory_than_their_maps() -> None:
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("NOT TESTED: the peak of memory is known on Linux only")
    wide = [layers.Conv2D(FEATURES, 3, padding="same", activation="relu", name="conv")]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, name="logits")]
    model = seeded(functional([*wide, *head]))
    images = np.random.default_rng(1).random((MANY, 8, 8, 1), dtype=np.float32)
    for name in THROUGH_EVERY_LOOP:
        method = BY_BATCHES[name]
        options = {"batch_size": 500} | ({"patch": 8} if name == "occlusion" else {})
        small = method(model, images[:500], **options)
        gc.collect()
        peak()
        before = peak()
        found = method(model, images, **options)
        grown = peak() - before
        # In and out, and what lies between in 64 bits; never the features of all.
        assert grown < 10 * images.nbytes, f"{name}: {grown / 1e6:.0f} MB"
        assert len(found) == MANY, name
        assert np.allclose(found[:500], small, atol=1e-5 * np.abs(small).max()), name
        del found


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.fault(
    "Models: numbers",
    "NaN or infinity in the weights",
    sees="`ValueError`: NaN or infinity in the weights of model '…': conv1/bias; its "
    "training failed, so load or train it again",
    kept="the network; no map that only looks sound",
    guard=("xai_utils/_engine.py", "    if broken:\n", "    if False:\n"),
)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_in_the_weights_are_refused(value: float) -> None:
    model = seeded(functional(gap_layers()))
    bias = model.get_layer("conv1").bias
    bias.assign(np.r_[value, np.asarray(bias)[1:]])
    asked = [name for name in METHODS if name != "randomise_weights"]  # which draws new ones
    refused(asked, model, IMAGES, "NaN or infinity in the weights .*conv1/bias", ValueError)
    with pytest.raises(ValueError, match="NaN or infinity in the weights"):
        optimization.activation_maximization(model, target=0, steps=1)


@pytest.mark.fault(
    "Models: numbers",
    "NaN or infinity in the images",
    sees="`ValueError`: NaN or infinity in images [1]; remove or repair them",
    kept="the images",
    guard=(
        "xai_utils/_engine.py",
        "    if not np.isfinite(images).all():\n        bad",
        "    if False:\n        bad",
    ),
)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_in_the_images_are_refused(value: float, plain: Any) -> None:
    broken = IMAGES.copy()
    broken[1, 2, 3, 0] = value
    refused(METHODS, plain, broken, r"NaN or infinity in images \[1\]", ValueError)
    black_box = lambda x: np.asarray(plain(x))  # noqa: E731
    asking = ["occlusion", "rise", "lime_image"]
    refused(asking, black_box, broken, "NaN or infinity in the images", ValueError)


@pytest.mark.fault(
    "Models: numbers",
    "NaN or infinity in what comes beside the images: a baseline, references, a map, "
    "a hiding value, a black box's scores",
    sees="`ValueError`: NaN or infinity in the baseline; remove or repair it; and so on",
    kept="what was given",
    guard=(
        "xai_utils/local_surrogates.py",
        "if hide is not None and not np.isfinite(hide):",
        "if False:",
    ),
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_beside_the_images_are_refused(value: float, plain: Any) -> None:
    broken = np.full_like(IMAGES, value)
    for name, call in {
        "baseline": lambda: gradients.integrated_gradients(plain, IMAGES, baseline=value),
        "baseline of deep_lift": lambda: backprop.deep_lift(plain, IMAGES, baseline=broken),
        "references": lambda: gradients.expected_gradients(plain, IMAGES, references=broken),
        "background": lambda: shapley.deep_shap(plain, IMAGES, broken),
        "heat": lambda: metrics.deletion(plain, IMAGES, broken[..., 0]),
        "occluder": lambda: perturbation.occlusion(plain, IMAGES, patch=2, occluder=value),
        "fill": lambda: metrics.deletion(plain, IMAGES, heat(IMAGES), fill=value),
        "hide": lambda: local_surrogates.lime_image(plain, IMAGES, hide=value),
        "start": lambda: optimization.activation_maximization(plain, target=0, start=broken),
        "scores": lambda: perturbation.rise(lambda x: np.full((len(x), 2), value), IMAGES),
        "maps": lambda: metrics.sparseness(broken),
        "edges": lambda: metrics.sobel_edges(broken),
        "radius": lambda: metrics.max_sensitivity(lambda x: x, IMAGES, radius=value),
        "noise": lambda: gradients.smooth_grad(plain, IMAGES, noise=value),
        "epsilon": lambda: backprop.lrp(plain, IMAGES, epsilon=value),
    }.items():
        try:
            call()
        except ValueError as told:
            assert re.search("NaN or infinity|finite|expected", str(told)), f"{name}: {told}"
        else:
            pytest.fail(f"{name} {value} was taken")


@pytest.mark.fault(
    "Models: numbers",
    "Numbers that overflow inside the network: images in another scale, say",
    sees="`ValueError`: saliency: the result holds NaN or infinity although images and "
    "weights do not: a number overflows inside model '…', …; are the images in its "
    "scale?",
    kept="no map of a class that was predicted from NaN",
    guard=(
        "xai_utils/gradients.py",
        "return scores.sound(tape.gradient(value, x), logits)",
        "return tape.gradient(value, x)",
    ),
)
def test_numbers_that_overflow_inside_a_network_are_refused(plain: Any) -> None:
    huge = IMAGES * np.float32(3e38)
    asked = [name for name in METHODS if name not in ("randomise_weights", "deep_taylor")]
    refused(asked, plain, huge, "number overflows inside model", ValueError)
    refused(["deep_taylor"], plain, huge, r"images from .* to .*, but low .* and high", ValueError)


@pytest.mark.fault(
    "Models: numbers",
    "NaN or infinity in the gradient, where scores are sound",
    sees="`ValueError`: …: the result holds NaN or infinity …, or a slope in it is "
    "infinite, as that of a root at 0 …",
    kept="no map in which a ReLU has turned NaN into zeros",
    guard=(
        "xai_utils/_engine.py",
        "    if not np.isfinite(result).all():\n",
        "    if False:\n",
    ),
)
def test_slopes_that_are_infinite_are_refused() -> None:
    """A root behind a ReLU: sound scores, and NaN in the gradient of every silent unit."""
    root = layers.Lambda(lambda t: tf.sqrt(tf.nn.relu(t)), name="root")
    pool = layers.GlobalAveragePooling2D
    model = seeded(functional([*trunk(), root, pool(), layers.Dense(CLASSES)]))
    assert np.isfinite(scores.logits(model, IMAGES)).all()
    message = "or a slope in it is infinite, as that of a root at 0"
    refused([*GRADIENTS, "grad_cam_layers"], model, IMAGES, message, ValueError)
    for method in (cam.grad_cam, cam.grad_cam_plus_plus, cam.layer_cam, cam.hires_cam):
        with pytest.raises(ValueError, match=message):  # in which a ReLU would swallow it
            method(model, IMAGES, layer="conv2")
    twice = [layers.Conv2D(2, 1, activation="relu") for _ in range(2)]
    steep = functional([*twice, pool(), layers.Dense(CLASSES)])
    steep.set_weights([np.full(w.shape, (0, 0, 1, 0, 1e25)[len(w.shape)]) for w in steep.weights])
    with pytest.raises(ValueError, match=message):
        backprop.deconvnet(steep, IMAGES * 0)
