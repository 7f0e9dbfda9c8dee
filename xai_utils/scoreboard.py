"""The methods of the course and the questions that the scoreboard asks them, network by network.

`course_methods` and `course_metrics` are what `evaluation.evaluate` takes, `course_sums` what the
complete methods should add up to; `load` gives a network with its test images, and `run` measures
one network.  ``make scoreboard`` runs them all, and `saliency_cards` reads them method by method.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import backprop, cam, datasets, gradients, metrics, perturbation, scores, training
from ._black_box import Images
from ._course_maps import (
    blob,
    deep_shap_image,
    edges,
    kernel_shap_image,
    lime_heat,
    noise,
    on_another,
    rise_contrast,
)
from ._course_metrics import course_metrics
from ._course_sums import course_sums
from ._evaluation_views import COLUMNS, KEYS, NUMBERS
from ._frames import not_numbers
from ._saliency_cards import card_markdown, saliency_cards
from .evaluation import (
    Explainer,
    Method,
    Scoreboard,
    evaluate,
    in_turn,
)

if TYPE_CHECKING:
    import keras

    from .datasets import ImageDataset

__all__ = [
    "NETWORKS",
    "Board",
    "card_markdown",
    "controls",
    "course_methods",
    "course_metrics",
    "course_sums",
    "in_turn",
    "load",
    "read",
    "run",
    "saliency_cards",
    "written",
]

SAMPLED = 60  # images for methods that ask the network hundreds of times each
ASKED = 300  # times that RISE, LIME and KernelSHAP each ask the network about one picture
DIGITS = 1000
REFERENCES = 60  # training images from which expected gradients start

NETWORKS: dict[str, tuple[Callable[[], ImageDataset], str | float]] = {
    # name of the recipe: data, and what a pixel that is taken away becomes
    "neu_gap": (datasets.load_neu, "mean"),
    "steel_gap": (datasets.load_steel, "mean"),
    "mnist": (datasets.load_mnist, 0.0),
    "neu_flat": (datasets.load_neu, "mean"),
}
ONLY = {  # the second network of the real plates is there for the methods that its head changes
    "neu_flat": (
        *("saliency", "integrated gradients", "Guided Grad-CAM"),
        *("Grad-CAM", "Grad-CAM++", "HiResCAM", "LayerCAM"),
    ),
}


class Board(NamedTuple):
    """One network of the scoreboard, with what it is measured on."""

    network: str
    model: keras.Model
    test: ImageDataset
    references: Images
    fill: str | float


def load(network: str) -> Board:
    """A network of `NETWORKS`, its test images (of MNIST a seeded 1,000), and training images.

    Where the real plates are not at hand, these are synthetic steel and its network; ``network`` of
    the result says which one it is.

    Raises:
        ValueError: unknown name.
    """
    if network not in NETWORKS:
        raise ValueError(f"network {network!r}; expected one of {', '.join(NETWORKS)}")
    loader, fill = NETWORKS[network]
    data = loader()
    if data.masks is not None:
        network = network.replace("neu", "steel")
    test, train = data.part("test"), data.part("train")
    if network == "mnist":
        test = test.take(np.sort(in_turn(test.labels)[:DIGITS]))
    references = train.take(in_turn(train.labels)[:REFERENCES]).inputs
    return Board(network, training.load_or_train(network), test, references, fill)


def run(
    board: Board, folder: Path | None = None, images: int | None = None, client: Any = None
) -> Scoreboard:
    """Measure every method of the course on one network; see `evaluation.evaluate`.

    Args:
        board: from `load`.
        folder: where partial results are kept, one folder a network.
        images: only so many test images, to try it out.
        client: of a Dask cluster that measures side by side; see `evaluation.evaluate`.

    Returns:
        A `Scoreboard` with the columns ``data, network`` before the others.
    """
    test = board.test
    if images is not None:
        test = test.take(np.sort(in_turn(test.labels)[:images]))
    truth = test.masks is not None or bool(test.boxes)
    methods = course_methods(board.model, board.references)
    if board.network in ONLY:
        wanted = ONLY[board.network]
        methods = {n: m for n, m in methods.items() if m.control or n in wanted}
    found = evaluate(
        methods,
        board.model,
        test,
        course_metrics(truth, board.fill),
        folder=None if folder is None else folder / board.network,
        client=client,
    )
    found.insert(0, "data", test.name)
    found.insert(1, "network", board.network)
    return found


# --- the methods ---------------------------------------------------------------------------------


def course_methods(
    model: keras.Model,
    references: Images,
    *,
    sampled: int | None = SAMPLED,
    effort: float = 1.0,
    low: float | Sequence[float] = 0.0,
    high: float | Sequence[float] = 1.0,
) -> dict[str, Method]:
    """Every method of the course that explains a picture, and the controls, by name.

    Args:
        model: decides which methods apply, and what the controls with random weights look like.
        references: ``(M, H, W, C)`` training images, for the methods that start from data.
        sampled: images for the methods that are slow; None for all.
        effort: share of the scoreboard's `ASKED` draws that RISE, LIME and KernelSHAP make; they
            cost most.
        low, high: the range of a pixel in the model's scale, one for all or one a channel.
    """
    side = model.inputs[0].shape[1]
    patch, smooth = max(side // 10, 4), side / 40
    samples = round(ASKED * effort)
    ig = functools.partial(gradients.integrated_gradients, steps=16)
    occlusion = functools.partial(
        perturbation.occlusion, patch=patch, stride=patch // 2, occluder="mean"
    )
    found = {
        "saliency": Method(gradients.saliency, "absolute"),
        "gradient × input": Method(gradients.input_x_gradient),
        "SmoothGrad": Method(_with(gradients.smooth_grad, samples=16), "absolute", seeded=True),
        "integrated gradients": Method(ig),
        "integrated gradients, smoothed": Method(ig, "absolute", smooth),
        "expected gradients": Method(
            _with(gradients.expected_gradients, references=references, samples=16), seeded=True
        ),
        "deconvnet": Method(backprop.deconvnet, "absolute"),
        "guided backpropagation": Method(backprop.guided_backprop, "absolute"),
        "LRP, epsilon": Method(_with(backprop.lrp, rule="epsilon", epsilon=0.01)),
        "LRP, gamma": Method(_with(backprop.lrp, rule="gamma")),
        "deep Taylor": Method(_with(backprop.deep_taylor, low=low, high=high)),
        "DeepLIFT": Method(backprop.deep_lift),
        "DeepSHAP": Method(_with(deep_shap_image, background=references[:3]), images=sampled),
        **_maps_of_layers(model),
        "occlusion": Method(occlusion),
        "RISE": Method(_with(rise_contrast, masks=samples), images=sampled, seeded=True),
        "LIME": Method(_with(lime_heat, samples=samples), images=sampled, seeded=True),
        "KernelSHAP": Method(
            _with(kernel_shap_image, samples=samples), images=sampled, seeded=True
        ),
    }
    return found | controls(model)


def _maps_of_layers(model: keras.Model) -> dict[str, Method]:
    """Class activation maps; CAM itself only where the network has the head for it."""
    found: dict[str, Explainer] = {
        "Grad-CAM": cam.grad_cam,
        "Grad-CAM++": cam.grad_cam_plus_plus,
        "HiResCAM": cam.hires_cam,
        "LayerCAM": cam.layer_cam,
    }
    if any(info.kind == "GlobalAveragePooling2D" for info in scores.layers(model).values()):
        found = {"CAM": cam.cam} | found
    named = {name: Method(explain) for name, explain in found.items()}
    return named | {"Guided Grad-CAM": Method(cam.guided_grad_cam, "absolute")}


def controls(model: keras.Model, seed: int = 0) -> dict[str, Method]:
    """Maps that know nothing of the network's weights; whatever they score, a method must beat.

    Two methods on a network of the same architecture with random weights, edges, a blob in the
    middle, and noise in two grains: pixels, and blobs as coarse as a map of the last layer.
    """
    random = metrics.untrained(model, seed)
    elsewhere = functools.partial(on_another, network=random)
    return {
        "Grad-CAM, untrained": Method(_with(elsewhere, explain=cam.grad_cam), control=True),
        "saliency, untrained": Method(
            _with(elsewhere, explain=gradients.saliency), "absolute", control=True
        ),
        "Sobel edges": Method(edges, control=True),
        "centred blob": Method(blob, control=True),
        "random pixels": Method(_with(noise, cells=None), seeded=True, control=True),
        "random blobs": Method(_with(noise, cells=8), seeded=True, control=True),
    }


def _with(function: Explainer, **options: Any) -> Explainer:
    return functools.partial(function, **options)


# --- the file ------------------------------------------------------------------------------------


def written(boards: Sequence[Scoreboard]) -> str:
    """The boards as CSV: four decimals, and seconds in three significant digits."""
    import pandas as pd

    whole = pd.concat(boards, ignore_index=True)
    whole["seconds"] = [float(f"{s:.3g}") for s in whole["seconds"]]
    rounded = whole.round({c: 4 for c in whole.columns if whole[c].dtype == float} | {"seconds": 9})
    return str(rounded.to_csv(index=False, lineterminator="\n"))


def read(path: Path | None = None) -> Scoreboard:
    """The scoreboard that the course ships, or another CSV of the same form (see `written`).

    Raises:
        FileNotFoundError: no such file.
        ValueError: a CSV that lacks columns, or has text where numbers should be, or nothing where
            a name should be.
    """
    import pandas as pd

    path = datasets.DATA / "scoreboard.csv" if path is None else path
    try:
        table = pd.read_csv(path, encoding="utf-8-sig")  # spreadsheets begin with a byte order mark
    except (ValueError, pd.errors.ParserError) as error:  # no text, no columns, rows of all lengths
        raise ValueError(f"{path} is no CSV in UTF-8: {error}") from error
    if missing := [name for name in COLUMNS if name not in table]:
        raise ValueError(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(table.columns)}: "
            f"expected commas between the columns, as scoreboard.written puts them"
        )
    for name in (*NUMBERS, "images", "undefined", "seconds"):
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise ValueError(f"{path}: column {name!r} holds {not_numbers(name, table[name])}")
    for name in {"data", "network", *KEYS} & set(table.columns):
        if (empty := table[name].isna()).any():
            row = int(empty.to_numpy().argmax())
            raise ValueError(
                f"{path}: column {name!r} is empty in row {row}; say what was measured"
            )
    return Scoreboard(table)
