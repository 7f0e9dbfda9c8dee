"""A user's own trained network in the course's clothes: its file, its scale, its classes."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _imagenet_files, imagenet, scores, storage
from ._networks import Network, Scaling
from ._quiet import import_tensorflow
from ._suggestions import did_you_mean, or_known
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
        if (name := _imagenet_name(model)) is not None:
            if scale is not None or classes is not None:
                raise ValueError(f"scale and classes of {model} are known: leave them out")
            return imagenet.load_imagenet(name)
        path = Path(model).expanduser()
        check_file(path)
        names = _names(classes)
        return _wrapped(_loaded(path), path.stem, f"file {path.name}", scale, names)
    return _wrapped(model, model.name, "given in Python", scale, _names(classes))


def known_classes(
    model: str | Path, classes: Sequence[str] | str | Path | None
) -> tuple[str, ...] | None:
    """What the outputs mean, as far as that is known before the network is loaded; else None.

    Raises what is wrong with the name or the file of the network or of its classes.
    """
    if _imagenet_name(model) is None:
        check_file(Path(model).expanduser())
        return _names(classes)
    try:
        return _imagenet_files.read_names()
    except storage.Unavailable:  # said, with the weights if they are missing, too, on loading
        return None


def class_number(target: int | str, classes: Sequence[str], *, of_imagenet: bool = False) -> int:
    """The number of a class that is given by number or name.

    Raises:
        ValueError: there is none; names those that are near, or says where names come from.
    """
    if isinstance(target, int | np.integer) or target.isdecimal():
        if not 0 <= int(target) < len(classes):
            raise ValueError(f"no class {target}; expected 0 to {len(classes) - 1}")
        return int(target)
    lower = [name.lower() for name in classes]
    if target.lower() in lower:
        return lower.index(target.lower())
    if tuple(classes) == _numbered(len(classes)):
        own = "To ask by name, give the names as classes (--classes FILE)."
        how = _imagenet_files.names_remedy() if of_imagenet else own
        raise ValueError(
            f"no class {target!r}: the names of the classes are not known, so ask by number, 0 to "
            f"{len(classes) - 1}. {how}"
        )
    hint = did_you_mean(target, classes) or f"there are {', '.join(map(repr, classes[:3]))}, ..."
    raise ValueError(f"no class {target!r} among {len(classes)}; {hint}")


def _imagenet_name(model: str | Path) -> str | None:
    return {name.lower(): name for name in imagenet.names()}.get(str(model).lower())


def check_file(path: Path) -> None:
    """Raise where a path cannot be that of a model, before anything heavy is loaded."""
    if path.suffix not in (".keras", ".h5"):
        known = or_known(str(path), map(str.lower, imagenet.names()))
        raise ValueError(f"no model {str(path)!r}; {known}, or a file .keras or .h5")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        # Keras says that there is no such file.
        raise ValueError(
            f"{path} cannot be loaded: it is not the archive that a file .keras is, so it is "
            f"broken or of another kind; save the model again by model.save({path.name!r})"
        )


def _loaded(path: Path) -> keras.Model:
    import_tensorflow()
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a broken or foreign file makes Keras raise
        reason = " ".join(str(error).split())  # which begins with the whole configuration
        reason = reason.rpartition("Exception encountered: ")[2]
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
    classes: tuple[str, ...] | None,
) -> Network:
    layers = scores.layers(model)  # raises what is wrong with a model that cannot be followed
    shape = tuple(model.inputs[0].shape)
    if len(shape) != 4 or shape[-1] not in (1, 3):
        raise ValueError(f"model {name!r} takes {shape}; expected pictures (N, H, W, 1 or 3)")
    count = int(model.outputs[0].shape[-1])
    if classes is not None and len(classes) != count:
        raise ValueError(
            f"{len(classes)} names of classes ({', '.join(classes[:3])}, ...), but the model has "
            f"{count} outputs"
        )
    scaling = SCALES[_scale(layers, name) if scale is None else scale]
    return Network(
        name=name,
        model=model,
        size=SIZE if None in shape[1:3] else (int(shape[1]), int(shape[2])),
        classes=_numbered(count) if classes is None else classes,
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


def _names(classes: Sequence[str] | str | Path | None) -> tuple[str, ...] | None:
    """Names that are given, or read from a file that has one on each line."""
    if classes is None or not isinstance(classes, str | Path):
        return None if classes is None else tuple(classes)
    path = Path(classes).expanduser()
    what = "expected a text file with the name of one class on each line"
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; {what}")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8; {what}") from error
    return tuple(line.strip() for line in lines if line.strip())


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"class {k}" for k in range(count))
