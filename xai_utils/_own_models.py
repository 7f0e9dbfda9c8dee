"""A user's own trained network in the course's clothes: its file, its scale, its classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import imagenet, scores
from ._networks import Network, Scaling
from ._quiet import import_tensorflow
from .cam import default_layer

if TYPE_CHECKING:
    import keras

_HALVES, _IMAGENET, _DEVIATIONS = (0.5,) * 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE = (123.68 / 255, 116.779 / 255, 103.939 / 255)
SCALES = {  # what a pixel of 0 to 255 becomes; the last three as Keras calls them
    "0-1": Scaling(),
    "0-255": Scaling(sd=(1 / 255,) * 3),
    "tf": Scaling(mean=_HALVES, sd=_HALVES),
    "torch": Scaling(mean=_IMAGENET, sd=_DEVIATIONS),
    "caffe": Scaling(mean=_CAFFE, sd=(1 / 255,) * 3, bgr=True),
}
MEANING = (
    "0-1; 0-255; tf (-1 to 1, as MobileNetV2 and InceptionV3); torch (as SqueezeNet); caffe (as "
    "VGG16 and ResNet50)"
)
RESCALING = ("Rescaling", "Normalization", "TrueDivide", "Divide", "Subtract", "Multiply")
SIZE = (224, 224)  # of pictures, for a network that takes any size


def load_network(
    model: str | Path | keras.Model,
    *,
    scale: str | None = None,
    classes: Sequence[str] | str | Path | None = None,
) -> Network:
    """A network by its name, from its file, or as it is, ready to be shown photographs.

    A file is loaded in Keras's safe mode: one that holds code of its own (a Lambda layer) is
    refused, because loading it would run that code.

    Args:
        model: a name of `imagenet.names`, in any case; or a file ``.keras`` or ``.h5``; or a model
            that takes pictures ``(N, H, W, 1 or 3)``, nested ones too.
        scale: what the network wants a pixel to be, one of `SCALES`: ``"0-1"``, ``"0-255"``,
            ``"tf"`` (-1 to 1), ``"torch"``, ``"caffe"``.  Of an ImageNet network it is known.
            None elsewhere means 0-255, if the network begins with a layer that rescales.
        classes: what each output means: names, or a text file with one name a line; None numbers
            them.

    Raises:
        ValueError: an unknown name or scale, no scale, a file that is no model or holds code,
            names that are too many or too few, a network that takes no pictures.
        FileNotFoundError: no such file.
        storage.Unavailable, storage.DamagedFile: see `imagenet.load_imagenet`.
    """
    if scale is not None and scale not in SCALES:
        raise ValueError(f"no scale {scale!r}; known: {MEANING}")
    if isinstance(model, str | Path):
        known = {name.lower(): name for name in imagenet.names()}
        if str(model).lower() in known:
            if scale is not None or classes is not None:
                raise ValueError(f"scale and classes of {model} are known: leave them out")
            return imagenet.load_imagenet(known[str(model).lower()])
        path = Path(model).expanduser()
        check_file(path)
        return _wrapped(_loaded(path), path.stem, f"file {path.name}", scale, classes)
    return _wrapped(model, model.name, "given in Python", scale, classes)


def check_file(path: Path) -> None:
    """Raise where a path cannot be that of a model, before anything heavy is loaded."""
    if path.suffix not in (".keras", ".h5"):
        raise ValueError(
            f"no model {str(path)!r}; known: {', '.join(n.lower() for n in imagenet.names())}, or "
            f"a file .keras or .h5"
        )
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")


def _loaded(path: Path) -> keras.Model:
    import_tensorflow()
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a broken or foreign file makes Keras raise
        reason = " ".join(str(error).split())
        if "ambda" in reason:
            raise ValueError(
                f"{path} holds a Lambda layer, which is code that loading it would run, so it is "
                f"refused. If you trust it: load it yourself by keras.models.load_model(path, "
                f"safe_mode=False), and hand over the model instead of its path"
            ) from error
        raise ValueError(
            f"{path} cannot be loaded: {reason[:300]}. If it needs classes of yours: load it "
            f"yourself with custom_objects, and hand over the model instead of its path"
        ) from error


def _wrapped(
    model: Any,
    name: str,
    weights: str,
    scale: str | None,
    classes: Sequence[str] | str | Path | None,
) -> Network:
    layers = scores.layers(model)  # raises what is wrong with a model that cannot be followed
    shape = tuple(model.inputs[0].shape)
    if len(shape) != 4 or shape[-1] not in (1, 3):
        raise ValueError(f"model {name!r} takes {shape}; expected pictures (N, H, W, 1 or 3)")
    count = int(model.outputs[0].shape[-1])
    scaling = SCALES[_scale(layers, name) if scale is None else scale]
    return Network(
        name=name,
        model=model,
        size=SIZE if None in shape[1:3] else (int(shape[1]), int(shape[2])),
        classes=_names(classes, count),
        cam_layer=default_layer(model),
        weights=weights,
        source="the user",
        scaling=Scaling(scaling.mean, scaling.sd, scaling.bgr, grey=shape[-1] == 1),
        imagenet=False,
    )


def _scale(layers: dict[str, scores.LayerInfo], name: str) -> str:
    for info in layers.values():
        if info.kind in RESCALING:
            return "0-255"
        if "Conv" in info.kind or info.kind == "Dense":
            break
    raise ValueError(
        f"model {name!r} does not rescale its pictures, and a wrong scale would go unnoticed: say "
        f"which one it was trained on: {MEANING}"
    )


def _names(classes: Sequence[str] | str | Path | None, count: int) -> tuple[str, ...]:
    if classes is None:
        return tuple(f"class {k}" for k in range(count))
    if isinstance(classes, str | Path):
        lines = Path(classes).expanduser().read_text(encoding="utf-8").splitlines()
        classes = [line.strip() for line in lines if line.strip()]
    if len(classes) != count:
        raise ValueError(
            f"{len(classes)} names of classes ({', '.join(list(classes)[:3])}, ...), but the model "
            f"has {count} outputs"
        )
    return tuple(classes)
