"""Your own photograph, explained by several methods at once, each with a check.

    net = load_network("mine.keras", scale="0-1", classes=["cat", "dog"])
    found = explain("photo.jpg", net, ["grad_cam", "integrated_gradients"])
    found.save("result.png")

``python -m xai_utils explain photo.jpg --model mobilenetv2`` does the same.
"""

from __future__ import annotations

import difflib
import functools
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import backprop, cam, gradients, metrics, perturbation, plots, scores
from ._course_maps import lime_heat, rise_contrast
from ._networks import Network, OnePhoto
from ._own_models import SCALES, check_file, load_network
from ._photos import load_photo

__all__ = ["METHODS", "SCALES", "Explanation", "check", "check_file", "explain", "load_network"]

Map = NDArray[np.float32]
DEFAULT = ("grad_cam", "integrated_gradients")
HIDDEN, MOVED = 0.2, 20  # the check: share of the picture that is hidden, and random places
FORMATS = (".png", ".svg", ".pdf")


class Method(NamedTuple):
    """How a method is called here, and what its numbers are.

    Attributes:
        call: ``(model, images, target, ...)`` to a batch of maps.
        unit: for the colour bar.
        layer: whether it reads a layer, which may then be named.
        absolute: show the largest absolute value over the colours, not the sum.
        complete: the shares ought to sum to the logit minus that of a picture of zeros.
    """

    call: Callable[..., Any]
    unit: str
    layer: bool = False
    absolute: bool = False
    complete: bool = False


def _occlusion(model: Any, images: Any, target: Any) -> Any:
    patch = max(min(images.shape[1:3]) // 7, 1)
    return perturbation.occlusion(model, images, target, patch=patch, occluder="mean")


_EVIDENCE, _LOGIT = "gradient × activation", "logit"
METHODS: dict[str, Method] = {
    "grad_cam": Method(cam.grad_cam, _EVIDENCE, layer=True),
    "grad_cam_plus_plus": Method(cam.grad_cam_plus_plus, _EVIDENCE, layer=True),
    "layer_cam": Method(cam.layer_cam, _EVIDENCE, layer=True),
    "hires_cam": Method(cam.hires_cam, f"{_EVIDENCE}, signed", layer=True),
    "guided_grad_cam": Method(cam.guided_grad_cam, "signal × evidence", layer=True),
    "cam": Method(cam.cam, _LOGIT),
    "saliency": Method(gradients.saliency, "|gradient|", absolute=True),
    "smooth_grad": Method(gradients.smooth_grad, "|gradient|", absolute=True),
    "input_x_gradient": Method(gradients.input_x_gradient, _LOGIT),
    "integrated_gradients": Method(gradients.integrated_gradients, _LOGIT, complete=True),
    "guided_backprop": Method(backprop.guided_backprop, "signal", absolute=True),
    "deep_lift": Method(backprop.deep_lift, _LOGIT, complete=True),
    "lrp": Method(functools.partial(backprop.lrp, rule="epsilon", epsilon=0.01), _LOGIT),
    "occlusion": Method(_occlusion, f"{_LOGIT} lost"),
    "rise": Method(functools.partial(rise_contrast, masks=500), f"{_LOGIT}, mean"),
    "lime": Method(functools.partial(lime_heat, samples=300), f"{_LOGIT} lost"),
}


@dataclass(frozen=True, eq=False)
class Explanation:
    """A photograph, its prediction, and a map of each method at the network's size.

    Attributes:
        network, photo: who was asked, and about what.
        picture: ``(H, W, 3)`` uint8 at the network's size.
        target: number of the explained class.
        logit, probability: of that class.
        maps: method -> ``(H, W)``.
        remarks: method -> how far it can be trusted: the check by hiding, what a sum missed, or
            that the map is empty.
    """

    network: Network
    photo: str
    picture: NDArray[np.uint8]
    target: int
    logit: float
    probability: float
    maps: dict[str, Map]
    remarks: dict[str, str]

    @property
    def words(self) -> str:
        """The figure in words, for those who cannot see it."""
        told = [
            f"{plots.describe(heat, method=name)} {self.remarks[name]}"
            for name, heat in self.maps.items()
        ]
        return " ".join([f"{self.photo}, explained class: {self.title}.", *told])

    @property
    def title(self) -> str:
        """The explained class with its score."""
        return f"{self.network.classes[self.target]}, {self.probability:.1%}"

    def figure(self) -> Any:
        """The photograph and every map over it, each with its scale."""
        row = [plots.Panel(image=self.picture, title=f"{self.photo}\n{self.title}")]
        for name, heat in self.maps.items():
            # A few pixels of a fine map lie far beyond all others.
            limit = float(np.quantile(np.abs(heat), 0.995)) or float(np.abs(heat).max()) or None
            unit = METHODS[name].unit
            row.append(
                plots.Panel(
                    image=self.picture, heat=heat, limit=limit, alpha=0.75, title=name, label=unit
                )
            )
        return plots.panels(row, columns=4, title=self.network.title)

    def save(self, path: str | Path, *, dpi: int = 200) -> Path:
        """Write the figure as PNG, SVG or PDF, whole or not at all; a PNG bears its words.

        Raises:
            ValueError: another ending.
            FileNotFoundError: no such folder.
        """
        path = checked_out(path)
        part = path.with_name(f".{path.name}.part")
        about = {".png": {"Description": self.words}, ".pdf": {"Title": self.title}}
        try:
            self.figure().savefig(
                part, format=path.suffix[1:], dpi=dpi, metadata=about.get(path.suffix)
            )
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        return path


def explain(
    photo: OnePhoto,
    network: Network,
    methods: Sequence[str] = DEFAULT,
    *,
    target: int | str | None = None,
    layer: str | None = None,
) -> Explanation:
    """Explain a network's answer to a photograph by several methods, and check each.

    Args:
        photo: a file, an array, or a name; see `imagenet`'s ``Network.preprocess``.  The whole
            picture is resized to the network's input, and grey or colour becomes what it takes.
        network: from `load_network`.
        methods: names of `METHODS`.
        target: number or name of a class; None for the predicted one.
        layer: for the methods that read a layer; None for the last one with maps.

    Raises:
        ValueError: an unknown method, class or layer, or a picture that is none.
        TypeError: a method that does not know one of the network's layers.
    """
    check_methods(methods)
    x, picture = network.preprocess(photo), network.resized(photo)[0]
    logits = scores.logits(network.model, x)
    number = int(logits[0].argmax()) if target is None else _number(target, network.classes)
    maps: dict[str, Map] = {}
    remarks: dict[str, str] = {}
    for name in dict.fromkeys(methods):
        options = {"layer": layer} if METHODS[name].layer else {}
        with warnings.catch_warnings():  # an empty map is told by its remark
            warnings.filterwarnings("ignore", message=".*zero everywhere")
            found = METHODS[name].call(network.model, x, number, **options)
        maps[name] = _flat(np.asarray(found), METHODS[name].absolute, network.size)
        if not maps[name].any():
            remarks[name] = _empty(logits[0], number, network.classes)
            continue
        remarks[name] = check(network, x, maps[name], number)
        if METHODS[name].complete:
            rise = logits[0, number] - scores.logits(network.model, np.zeros_like(x))[0, number]
            remarks[name] += (
                f" The shares sum to {maps[name].sum():.2f}; from a picture of zeros to this one "
                f"the logit rises by {rise:.2f}."
            )
    return Explanation(
        network,
        load_photo(photo).name,
        picture,
        number,
        float(logits[0, number]),
        float(_probability(logits[0])[number]),
        maps,
        remarks,
    )


def check(network: Network, x: NDArray[np.float32], heat: Map, target: int, seed: int = 0) -> str:
    """Say whether the network needs what a map marks: hide that, and hide as much elsewhere.

    The fifth of the picture that ranks highest becomes the picture's mean colour, and the fall of
    the logit is noted; then the same for the map moved to 20 random places (it leaves at one border
    and enters at the other).  A map that marks what counts makes it fall further than most of
    these.
    """
    rng = np.random.default_rng(seed)
    shifts = rng.integers(1, [[n] for n in heat.shape], size=(2, MOVED)).T
    moved = [np.roll(heat, tuple(shift), axis=(0, 1)) for shift in shifts]
    all_maps = np.stack([heat, *moved])
    curve = metrics.removal_curve(
        network.model,
        np.broadcast_to(x, (len(all_maps), *x.shape[1:])),
        all_maps,
        target,
        steps=[0.0, HIDDEN],
        fill="mean",
    )
    fall = (curve.values[:, 0] - curve.values[:, 1]).astype(float)
    less = int((fall[1:] < fall[0]).sum())
    return (
        f"Hiding the marked fifth lowers the logit by {fall[0]:.1f}; the same marks moved "
        f"elsewhere by {np.median(fall[1:]):.1f} (median), in {less} of {MOVED} places by less."
    )


def check_methods(names: Sequence[str]) -> None:
    """Raise ValueError on an unknown method, or on none."""
    unknown = [name for name in names if name not in METHODS]
    if unknown or not names or isinstance(names, str):
        given = ", ".join(map(repr, [names] if isinstance(names, str) else unknown)) or "given"
        raise ValueError(f"no method {given}; expected a list of: {', '.join(METHODS)}")


def checked_out(path: str | Path) -> Path:
    """The path of a figure to be written, or an error while there is nothing to lose."""
    path = Path(path).expanduser()
    if path.suffix not in FORMATS:
        raise ValueError(f"cannot write {path}; expected a name that ends in {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to write {path.name} into; make it first")
    return path


def _number(target: int | str, classes: Sequence[str]) -> int:
    """The number of a class that is given by number or name."""
    if isinstance(target, int | np.integer) or str(target).isdigit():
        if not 0 <= int(target) < len(classes):
            raise ValueError(f"no class {target}; expected 0 to {len(classes) - 1}")
        return int(target)
    lower = [name.lower() for name in classes]
    if target.lower() in lower:
        return lower.index(target.lower())
    near = difflib.get_close_matches(target.lower(), lower, n=3) or lower[:3]
    names = ", ".join(repr(classes[lower.index(name)]) for name in near)
    raise ValueError(f"no class {target!r} among {len(classes)}; did you mean {names}?")


def _flat(found: NDArray[Any], absolute: bool, size: tuple[int, int]) -> Map:
    """One map ``(H, W)`` at the network's size of a batch of one, with or without channels."""
    heat = found[0]
    if heat.ndim == 3:
        heat = np.abs(heat).max(axis=-1) if absolute else heat.sum(axis=-1)
    return heat if heat.shape == size else cam.resize_heatmap(heat, size)


def _empty(logits: NDArray[np.float32], target: int, classes: Sequence[str]) -> str:
    best = int(logits.argmax())
    where = (
        "it is the predicted class"
        if best == target
        else f"the predicted class, {classes[best]}, has {logits[best]:.1f}"
    )
    return (
        f"The map is empty: no place speaks for this class. Its logit is {logits[target]:.1f}; "
        f"{where}. Try hires_cam, which keeps what speaks against it, another layer or class, and "
        f"look at the scale of the pictures."
    )


def _probability(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    if len(logits) == 1:
        return 1 / (1 + np.exp(-logits.astype(np.float64)))
    e = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(e / e.sum())
