"""What is measured: the work of each line, and the networks and images that all libraries share.

Three interpreters read this module (the course's, that of the Keras peers, that of PyTorch), so it
imports nothing but NumPy at the top.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
FOLDER = BUILD / "bench"  # networks, images and results that the processes hand to each other
N_IMAGES = 64
NETWORKS = {"mnist": "mnist", "neu": "neu_flat"}  # our names, and those of the trained weights
UNTRAINED = "vgg16"  # random weights: time does not hang on what a network has learned
SIDES = {"mnist": 28, "neu": 200, UNTRAINED: 224}
LAST_CONVOLUTION = {"mnist": "conv2", "neu": "conv4"}
SECOND_CONVOLUTION = "conv2"  # 64 filters in both networks


@dataclass(frozen=True)
class Item:
    """One line of the table.

    Attributes:
        method: a function of `xai_utils`, or a peer's method that has no counterpart there.
        network: ``"mnist"``, ``"neu"`` or ``"vgg16"``.
        images: how many are explained, or made.
        passes: what the floor counts: ``"forward"``, ``"gradient"`` (forward + input gradient), or
            ``"channel"``, that gradient of one channel's mean, the layers behind it left out.
        rows: passes for each image.
        bar: the ratio to the floor that ours is meant to keep; None where it is only reported.
        parameters: keyword arguments of our function; the peers' are made from them.
        note: distinguishes lines of the same method.
        peers: whether others are measured too; not where a second line of ours is of interest only.
    """

    method: str
    network: str
    images: int
    passes: str = "gradient"
    rows: int = 1
    bar: float | None = 1.10
    parameters: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    peers: bool = True

    @property
    def name(self) -> str:
        """``method note network``, as the table prints it."""
        return " ".join(part for part in (self.method, self.note, self.network) if part)

    @property
    def total(self) -> int:
        """How many passes the work takes."""
        return self.images * self.rows

    def quick(self) -> Item:
        """The same with a sixteenth of the images and fewer passes, to see that everything runs."""
        parameters, rows = dict(self.parameters), self.rows
        for name in {"samples", "steps", "masks"} & set(parameters):
            parameters[name] = rows = rows // 10
        if self.method == "occlusion":
            parameters["stride"] = parameters["patch"]
            rows = windows(SIDES[self.network], parameters["patch"], parameters["stride"]) + 1
        images = min(self.images, max(2, self.images // 16))
        return replace(self, images=images, parameters=parameters, rows=rows)

    def as_json(self) -> dict[str, Any]:
        """For the way to another process."""
        return asdict(self)


def windows(size: int, patch: int, stride: int) -> int:
    """How many windows occlusion slides over a square image; the last one ends at the border."""
    return (-(-(size - patch) // stride) + 1) ** 2


def occlusion(
    network: str, images: int, patch: int, stride: int, bar: float, plain: bool = False
) -> Item:
    """A line for occlusion: one forward pass a window, and one for the image as it is."""
    rows = windows(SIDES[network], patch, stride) + 1
    parameters: dict[str, Any] = {"patch": patch, "stride": stride}
    if plain:
        parameters["incremental"] = False
    note = "plain" if plain else ""
    return Item("occlusion", network, images, "forward", rows, bar, parameters, note, not plain)


def ascent(network: str, note: str, bar: float | None, options: dict[str, Any]) -> Item:
    """A line for activation maximisation: 64 filters, 30 steps, one gradient pass a step."""
    parameters = {"steps": 30, **options}
    method = "activation_maximization"
    return Item(method, network, 64, "channel", 30, bar, parameters, note, peers=False)


def _both(method: str, images: int = N_IMAGES, **more: Any) -> list[Item]:
    return [Item(method, network, images, **more) for network in NETWORKS]


LRP = {"rule": "epsilon"}
ALPHA_BETA = {"rule": "alpha-beta"}
ITEMS = [
    *_both("saliency"),
    *_both("smooth_grad", 8, rows=50, parameters={"samples": 50}),
    Item("integrated_gradients", "mnist", 64, rows=50, parameters={"steps": 50}),
    Item("integrated_gradients", "neu", 8, rows=50, parameters={"steps": 50}),
    occlusion("mnist", 16, 4, 2, 1.10),
    occlusion("neu", 4, 20, 10, 0.25),
    occlusion("mnist", 16, 4, 2, 1.10, plain=True),
    occlusion("neu", 4, 20, 10, 1.10, plain=True),
    Item("grad_cam", "neu", 64, "forward"),
    Item("grad_cam_layers", UNTRAINED, 1, bar=1.20, note="13 maps", peers=False),
    *_both("guided_backprop"),
    *_both("lrp", parameters=LRP, note="epsilon"),
    *_both("lrp", parameters=ALPHA_BETA, note="alpha-beta", bar=None),
    *_both("deep_lift", bar=None),
    *(ascent(network, "", 1.20, {}) for network in NETWORKS),
    ascent("neu", "moved, smoothed", None, {"jitter": 4, "zoom": 0.05, "total_variation": 0.1}),
    Item("rise", "mnist", 4, "forward", 1000, None, {"masks": 1000}),
    Item("lime", "neu", 1, "forward", 1000, None, {"samples": 1000}),
]


# --- what the processes share --------------------------------------------------------------------


def prepare(folder: Path = FOLDER) -> dict[str, str]:
    """Write networks and test images for the other interpreters; returns the data's sources.

    Each network comes twice: as Keras saves it, and as the list of its layers with their weights.
    """
    from xai_utils import datasets, scores, training

    folder.mkdir(parents=True, exist_ok=True)
    sources = {}
    for network, load in (("mnist", datasets.load_mnist), ("neu", datasets.load_neu)):
        dataset = load()
        model = training.load_or_train(NETWORKS[network], dataset)
        test = dataset.part("test")
        images = test.take(np.linspace(0, len(test) - 1, N_IMAGES).astype(int)).inputs
        logits = scores.logits(model, images)
        model.save(folder / f"{network}.keras")
        layers, weights = _layers(model)
        np.savez(
            folder / f"{network}.npz",
            images=images,
            logits=logits,
            target=logits.argmax(axis=1).astype(np.int32),
            layers=json.dumps(layers),
            **{f"weight{k}": w for k, w in enumerate(weights)},
        )
        sources[network] = dataset.source
    return sources


def _layers(model: Any) -> tuple[list[dict[str, Any]], list[NDArray[np.float32]]]:
    """The plain layers of a course network as ``{"kind", ...}``, and their weights in order."""
    layers: list[dict[str, Any]] = []
    weights: list[NDArray[np.float32]] = []
    for layer in model.layers:
        kind = type(layer).__name__
        if kind in ("InputLayer", "Softmax"):
            continue
        if kind not in ("Conv2D", "MaxPooling2D", "Flatten", "Dense"):
            raise ValueError(f"no counterpart in PyTorch for layer {layer.name!r}, a {kind}")
        shape = list(layer.input.shape[1:])
        layers.append({"kind": kind, "name": layer.name, "input": shape})
        weights += layer.get_weights()
        if getattr(layer, "activation", None) is not None and layer.activation.__name__ == "relu":
            layers.append({"kind": "ReLU", "name": f"{layer.name}_relu", "input": shape})
    return layers, weights


@dataclass(frozen=True)
class Shared:
    """What `prepare` wrote about one network."""

    images: NDArray[np.float32]
    logits: NDArray[np.float32]
    target: NDArray[np.int32]
    layers: list[dict[str, Any]]
    weights: list[NDArray[np.float32]]


def shared(network: str, folder: Path = FOLDER) -> Shared:
    """Read what `prepare` wrote."""
    with np.load(folder / f"{network}.npz") as file:
        count = sum(name.startswith("weight") for name in file.files)
        return Shared(
            file["images"],
            file["logits"],
            file["target"],
            json.loads(str(file["layers"])),
            [file[f"weight{k}"] for k in range(count)],
        )
