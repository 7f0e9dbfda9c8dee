"""Your own photograph, explained by several methods at once, each with a check.

    net = load_network("mine.keras", scale="0-1", classes=["cat", "dog"])
    found = explain("photo.jpg", net, ["grad_cam", "integrated_gradients"])
    found.save("result.png")

``python -m xai_utils explain photo.jpg --model mobilenetv2`` does the same.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import backprop, cam, gradients, perturbation, plots, scores
from ._course_maps import lime_heat, rise_contrast
from ._fitting import FITS, fitted, told, usual_fit
from ._networks import Network, OnePhoto, Prediction
from ._own_checks import CLOSE, Map, about_empty, check, check_sum
from ._own_models import SCALES, class_number, load_network
from ._photos import load_photo
from ._suggestions import or_known

__all__ = ["FITS", "METHODS", "SCALES", "Explanation", "check", "explain", "load_network"]

DEFAULT = ("grad_cam", "integrated_gradients")
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


def _integrated_gradients(model: Any, images: Any, target: Any) -> Any:
    """With more steps where the sum is off, as Sundararajan et al. 2017 advise (section 5)."""
    for steps in (32, 128):
        heat, residual = gradients.integrated_gradients(
            model, images, target, steps=steps, return_residual=True
        )
        if abs(residual[0]) <= CLOSE * abs(heat.sum() - residual[0]):
            break
    return heat


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
    "integrated_gradients": Method(_integrated_gradients, _LOGIT, complete=True),
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
        picture: ``(H, W, 3)`` uint8 at the network's size: what it saw.
        fit: what was done to the photograph's proportions; empty where that is next to nothing.
        target: number of the explained class.
        logit, probability: of that class.
        best: the three most probable classes with their probabilities.
        maps: method -> ``(H, W)``.
        remarks: method -> how far it can be trusted: the check by hiding, what a sum missed, or
            that the map is empty.
    """

    network: Network
    photo: str
    picture: NDArray[np.uint8]
    fit: str
    target: int
    logit: float
    probability: float
    best: tuple[Prediction, ...]
    maps: dict[str, Map]
    remarks: dict[str, str]

    @property
    def words(self) -> str:
        """The figure in words, for those who cannot see it."""
        described = [
            f"{plots.describe(heat, method=name)} {self.remarks[name]}"
            for name, heat in self.maps.items()
        ]
        fit = [f"Fitted by {self.fit}"] if self.fit else []
        return " ".join([f"{self.photo}, explained class: {self.title}.", *fit, *described])

    @property
    def title(self) -> str:
        """The explained class with its score; if it is not the predicted one, that, too."""
        title = f"{self.network.classes[self.target]}, {self.probability:.1%}"
        if self.best[0].number == self.target:
            return title
        return f"asked: {title} (predicted: {self.best[0].name}, {self.best[0].score:.1%})"

    def figure(self) -> Any:
        """The photograph and every map over it, each with its scale."""
        fit = f" (fit: {self.fit.partition(':')[0]})" if self.fit else ""
        row = [plots.Panel(image=self.picture, title=f"{self.photo}{fit}\n{self.title}")]
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
    fit: str | None = None,
    progress: Callable[[str], object] | None = None,
) -> Explanation:
    """Explain a network's answer to a photograph by several methods, and check each.

    Args:
        photo: a file, an array, or a name; see `datasets.load_photo`.  Grey or colour becomes what
            the network takes.
        network: from `load_network`.
        methods: names of `METHODS`.
        target: number or name of a class; None for the predicted one.
        layer: for the methods that read a layer; None for the last one with maps.
        fit: how a photograph of other proportions than the network's input is shown to it:
            ``"crop"`` (its middle), ``"pad"`` (all of it, between bands) or ``"squeeze"`` (all of
            it, distorted).  The maps are of what the network saw.  None: crop for an ImageNet
            network, squeeze for others, as most of each kind were trained.
        progress: called with a line before each method, such as ``"grad_cam ... (1 of 2)"``.

    Raises:
        ValueError: an unknown method, class, layer or fit, or a picture that is none.
        TypeError: a method that does not know one of the network's layers.
    """
    check_methods(methods)
    whole, fit = load_photo(photo), fit or usual_fit(network)
    shown = fitted(whole, network.size, fit)
    x, picture = network.preprocess(shown), network.resized(shown)[0]
    logits = scores.logits(network.model, x)[0]
    chosen = (
        int(logits.argmax())
        if target is None
        else class_number(target, network.classes, of_imagenet=network.imagenet)
    )
    maps: dict[str, Map] = {}
    remarks: dict[str, str] = {}
    for number, name in enumerate(names := list(dict.fromkeys(methods)), start=1):
        if progress is not None:
            progress(f"{name} ... ({number} of {len(names)})")
        maps[name] = _map(name, network, x, chosen, layer)
        remarks[name] = _remark(name, network, x, maps[name], logits, chosen)
    probabilities = _probability(logits)
    return Explanation(
        network=network,
        photo=whole.name,
        picture=picture,
        fit=told(whole, network.size, fit),
        target=chosen,
        logit=float(logits[chosen]),
        probability=float(probabilities[chosen]),
        best=tuple(network.decode(probabilities[None], top=min(3, len(probabilities)))[0]),
        maps=maps,
        remarks=remarks,
    )


def _map(
    name: str, network: Network, x: NDArray[np.float32], target: int, layer: str | None
) -> Map:
    """One method's map ``(H, W)`` at the network's size."""
    method = METHODS[name]
    options = {"layer": layer} if method.layer else {}
    with warnings.catch_warnings():  # an empty map is told by its remark
        warnings.filterwarnings("ignore", message=".*zero everywhere")
        heat = np.asarray(method.call(network.model, x, target, **options))[0]
    if heat.ndim == 3:
        heat = np.abs(heat).max(axis=-1) if method.absolute else heat.sum(axis=-1)
    return heat if heat.shape == network.size else cam.resize_heatmap(heat, network.size)


def _remark(
    name: str,
    network: Network,
    x: NDArray[np.float32],
    heat: Map,
    logits: NDArray[np.float32],
    target: int,
) -> str:
    if not heat.any():
        return about_empty(logits, target, network.classes)
    remark = check(network, x, heat, target)
    if METHODS[name].complete:
        start = scores.logits(network.model, np.zeros_like(x))[0, target]
        remark += f" {check_sum(heat, float(logits[target] - start))}"
    return remark


def check_methods(names: Sequence[str]) -> None:
    """Raise ValueError on an unknown method, or on none."""
    given = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in given if name not in METHODS]
    if unknown or not given or isinstance(names, str):
        what = ", ".join(map(repr, unknown or given)) or "given"
        near = or_known(" ".join(unknown[:1]), METHODS)
        raise ValueError(f"no method {what}; expected a list of them: {near}")


def checked_out(path: str | Path) -> Path:
    """The path of a figure to be written, or an error while there is nothing to lose."""
    path = Path(path).expanduser()
    if path.suffix not in FORMATS:
        raise ValueError(f"cannot write {path}; expected a name that ends in {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to write {path.name} into; make it first")
    return path


def _probability(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    if len(logits) == 1:
        return 1 / (1 + np.exp(-logits.astype(np.float64)))
    e = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(e / e.sum())
