"""Networks trained on ImageNet, each with its own preprocessing, names and weights' origin.

`load_imagenet` gives one by name; `best_available` the first whose weights are at hand, or else the
course's own steel network in the same clothes, so that every notebook runs everywhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from . import _imagenet_files, storage
from ._networks import Network, Prediction, Scaling
from ._quiet import import_tensorflow
from ._squeezenet import squeezenet
from .datasets import load_neu

if TYPE_CHECKING:
    import keras

__all__ = [
    "Network",
    "Prediction",
    "Scaling",
    "best_available",
    "cam_layer",
    "load_imagenet",
    "names",
]

_CAFFE = Scaling(  # blue, green, red in 0 to 255, minus the training pictures' mean
    mean=(123.68 / 255, 116.779 / 255, 103.939 / 255), sd=(1 / 255,) * 3, bgr=True
)
_HALVES = Scaling(mean=(0.5,) * 3, sd=(0.5,) * 3)  # -1 to 1
_TORCH = Scaling(mean=(0.485, 0.456, 0.406), sd=(0.229, 0.224, 0.225))
_GREY = Scaling(grey=True)


class _Architecture(NamedTuple):
    build: Callable[[], keras.Model]
    size: int
    scaling: Scaling
    files: dict[str, str]  # in the registry: which weights each holds; the preferred one first


def _keras(name: str) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        import_tensorflow()
        import keras

        return getattr(keras.applications, name)(weights=None)

    return build


_OWN, _EIGHT = "Keras's ImageNet weights", "8-bit ImageNet weights"
_KERNELS = "weights_tf_dim_ordering_tf_kernels"  # what Keras calls its files
_ARCHITECTURES = {
    "VGG16": _Architecture(_keras("VGG16"), 224, _CAFFE, {f"vgg16_{_KERNELS}.h5": _OWN}),
    "InceptionV3": _Architecture(
        _keras("InceptionV3"), 299, _HALVES, {f"inception_v3_{_KERNELS}.h5": _OWN}
    ),
    "ResNet50": _Architecture(_keras("ResNet50"), 224, _CAFFE, {f"resnet50_{_KERNELS}.h5": _OWN}),
    "MobileNetV2": _Architecture(
        _keras("MobileNetV2"),
        224,
        _HALVES,
        {f"mobilenet_v2_{_KERNELS}_1.0_224.h5": _OWN, "mobilenet_v2_8bit.weights.h5": _EIGHT},
    ),
    "MobileNet": _Architecture(
        _keras("MobileNet"),
        224,
        _HALVES,
        {"mobilenet_1_0_224_tf.h5": _OWN, "mobilenet_v1_8bit.weights.h5": _EIGHT},
    ),
    "SqueezeNet": _Architecture(
        squeezenet, 224, _TORCH, {"squeezenet11.weights.h5": "1.1, float ImageNet weights"}
    ),
}


def names() -> tuple[str, ...]:
    """The networks that `load_imagenet` knows."""
    return tuple(_ARCHITECTURES)


def load_imagenet(name: str, *, download: bool = True) -> Network:
    """A network trained on ImageNet, by name: VGG16, InceptionV3, ResNet50, ... (see `names`).

    Weights are looked for in ``XAI_DATA_DIR`` and the course's cache, in Keras's own cache, and at
    Keras's address.  Those of Keras are preferred; of both MobileNets a set with 8-bit weights is
    taken where Keras's is not at hand.

    Args:
        name: one of `names`.
        download: whether the network may be asked (``XAI_OFFLINE=1`` forbids it anyway).

    Raises:
        ValueError: unknown name.
        storage.Unavailable: no weights; says which file is missing, how large it is, where it goes.
        storage.DamagedFile: weights that are not the right ones, or do not fit the network.
    """
    if name not in _ARCHITECTURES:
        raise ValueError(f"no network {name!r}; known: {', '.join(names())}")
    architecture = _ARCHITECTURES[name]
    file, found = _imagenet_files.find(
        f"weights of {name}", list(architecture.files), download=download
    )
    model = architecture.build()
    try:
        with warnings.catch_warnings():  # a file that does not fit warns many times, then raises
            warnings.simplefilter("ignore")
            model.load_weights(found.path)
    except (ValueError, OSError, LookupError) as error:
        raise storage.DamagedFile(
            f"{found.path} does not fit {name}: {error}; remove it and fetch it again"
        ) from error
    return Network(
        name=name,
        model=model,
        size=(architecture.size, architecture.size),
        classes=_imagenet_files.class_names(),
        cam_layer=cam_layer(model),
        weights=architecture.files[file],
        source=found.source,
        scaling=architecture.scaling,
    )


def best_available(
    preferred: Sequence[str], *, download: bool = False, stand_in: str = "neu_gap"
) -> Network:
    """The first of these networks whose weights are at hand, or a stand-in that always is.

    Args:
        preferred: names for `load_imagenet`, the best first.
        download: whether missing weights may be downloaded, which may be hundreds of MB.
        stand_in: the course's network that is used with a steel plate where no ImageNet network is
            at hand: ``"neu_gap"`` or ``"neu_flat"``.  It has the same attributes, one line says so,
            and its title does.

    Raises:
        ValueError: an unknown name, or none.
        storage.Unavailable: none is at hand, and ``XAI_DATA=real``.
        storage.DamagedFile: see `load_imagenet`.
    """
    unknown = [name for name in preferred if name not in _ARCHITECTURES]
    if unknown or not preferred:
        raise ValueError(f"no network {unknown or preferred}; known: {', '.join(names())}")
    tried: list[str] = []
    for name in preferred:
        try:
            return load_imagenet(name, download=download)
        except storage.Unavailable as missing:
            tried += [line for line in missing.tried if line not in tried]
    wanted = " or ".join(preferred)
    if storage.real_only():
        raise storage.Unavailable(
            f"weights of {wanted}", tried, f"load_imagenet({preferred[0]!r}) says what is needed."
        )
    print(
        f"No ImageNet weights of {wanted} are at hand; using the course's own steel network "
        f"{stand_in} and a plate. load_imagenet({preferred[0]!r}) downloads them, or says how."
    )
    return _steel_network(stand_in)


def _steel_network(name: str) -> Network:
    from .training import load_or_train

    plates = load_neu()
    model = load_or_train(name, plates)
    height, width = model.inputs[0].shape[1:3]
    steel = plates.name if plates.masks is None else "synthetic steel"
    return Network(
        name=f"{name}, no ImageNet network",
        model=model,
        size=(int(height), int(width)),
        classes=plates.class_names,
        cam_layer=cam_layer(model),
        weights=f"trained for this course on {steel}",
        source="data/weights",
        scaling=_GREY,
        imagenet=False,
        plates=plates,
    )


def cam_layer(model: keras.Model) -> str:
    """The layer that made what the last global average pooling reads, else the last convolution.

    A convolution with a single place (MobileNet's ``conv_preds``) does not count.

    Raises:
        ValueError: the model has neither.
    """
    import_tensorflow()
    from keras import layers

    for layer in reversed(model.layers):
        if isinstance(layer, layers.GlobalAveragePooling2D):
            return layer.input._keras_history.operation.name
    for layer in reversed(model.layers):
        if isinstance(layer, layers.Conv2D) and tuple(layer.output.shape[1:3]) != (1, 1):
            return layer.name
    raise ValueError(f"model {model.name!r} has no convolution with spatial output")
