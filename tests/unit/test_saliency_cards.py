"""Saliency cards: measured answers come from the board, facts from the code; both are checked."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from networks import functional, gap_layers, layers, seeded
from xai_utils import _saliency_cards as parts
from xai_utils import backprop, cam, gradients, local_surrogates, perturbation, scoreboard, shapley
from xai_utils.datasets import DATA

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "saliency": gradients.saliency,
    "gradient × input": gradients.input_x_gradient,
    "SmoothGrad": gradients.smooth_grad,
    "integrated gradients": gradients.integrated_gradients,
    "integrated gradients, smoothed": gradients.integrated_gradients,
    "expected gradients": gradients.expected_gradients,
    "deconvnet": backprop.deconvnet,
    "guided backpropagation": backprop.guided_backprop,
    "LRP, epsilon": backprop.lrp,
    "LRP, gamma": backprop.lrp,
    "deep Taylor": backprop.deep_taylor,
    "DeepLIFT": backprop.deep_lift,
    "DeepSHAP": shapley.deep_shap,
    "CAM": cam.cam,
    "Grad-CAM": cam.grad_cam,
    "Grad-CAM++": cam.grad_cam_plus_plus,
    "HiResCAM": cam.hires_cam,
    "LayerCAM": cam.layer_cam,
    "Guided Grad-CAM": cam.guided_grad_cam,
    "occlusion": perturbation.occlusion,
    "RISE": perturbation.rise,
    "LIME": local_surrogates.lime_image,
    "KernelSHAP": shapley.kernel_shap,
}
AROUND = {"width of the blur", "superpixels", "hidden grey"}  # chosen by the scoreboard


def row(method: str, metric: str, **values: Any) -> dict[str, Any]:
    numbers = dict.fromkeys(("low", "high", "chance", "gain", "gain_low", "gain_high"), np.nan)
    keys = {"data": "D", "network": "n", "method": method, "control": "Sobel" in method}
    about = {"metric": metric, "better": "higher", "class": "all", "images": 9, "undefined": 0}
    return keys | about | numbers | {"mean": np.nan, "seconds": 0.5} | values


@pytest.fixture(scope="module")
def board() -> pd.DataFrame:
    def gain(low: float) -> dict[str, float]:
        edges = {"gain_low": low, "gain_high": low + 0.1}
        return {"mean": 0.4, "low": 0.3, "high": 0.5, "chance": 0.2, **edges}

    return pd.DataFrame(
        [
            row("CAM", "energy inside", **gain(0.05)),
            row("CAM", "deletion", **gain(-0.2) | {"better": "lower"}),
            row("CAM", "insertion", **gain(-0.05)),
            row("CAM", "like untrained", mean=0.25, low=0.2, high=0.3, better="lower"),
            row("CAM", "energy inside", **gain(0.05) | {"class": "scratches", "mean": 9.0}),
            row("Sobel edges", "energy inside", **gain(-0.05) | {"mean": 0.21, "seconds": 0.00091}),
            row("Sobel edges", "like untrained", mean=1.0, low=1.0, high=1.0, seconds=0.00091),
        ]
    )


def test_measured_answers_are_the_boards(board: pd.DataFrame) -> None:
    cards = scoreboard.saliency_cards(board)
    assert set(cards["method"]) == {"CAM"}  # a control has no card
    by_measure = cards.set_index("measure")
    inside = by_measure.loc["energy inside"]
    assert tuple(inside[["value", "low", "high", "chance", "edges"]]) == (0.4, 0.3, 0.5, 0.2, 0.21)
    assert inside["reading"] == "0.40 (0.30 to 0.50), better than chance (0.20); 9 images"
    verdicts = by_measure["verdict"]
    assert (verdicts["energy inside"], verdicts["deletion"], verdicts["insertion"]) == (1, -1, 0)
    assert np.isnan(verdicts["like untrained"])
    assert by_measure.loc["like untrained", "edges"] == 1
    assert by_measure.loc["processor seconds per image", "value"] == 0.5
    assert by_measure.loc["processor seconds per image", "edges"] == 0.00091


def test_every_attribute_has_an_answer_or_says_that_it_has_none(board: pd.DataFrame) -> None:
    cards = scoreboard.saliency_cards(board)
    assert len(parts.ATTRIBUTES) == 10
    assert set(cards["attribute"]) == {name for _, name, _ in parts.ATTRIBUTES}
    assert (cards["reading"] != "").all()
    unanswered = cards[cards["reading"] == "not measured"]["attribute"]  # this board did not ask
    assert set(unanswered) == {"determinism", "label sensitivity", "minimality"}
    one_class = scoreboard.saliency_cards(board, "scratches").set_index("measure")
    assert one_class.loc["energy inside", "value"] == 9


def test_a_method_whose_maps_are_all_empty_says_so(board: pd.DataFrame) -> None:
    empty = row("CAM", "energy inside", chance=0.2, gain=0.0, gain_low=0.0, gain_high=0.0)
    cards = scoreboard.saliency_cards(pd.DataFrame([empty]))
    assert cards.set_index("measure").loc["energy inside", "reading"].startswith("undefined")


def test_markdown(board: pd.DataFrame) -> None:
    cards = scoreboard.saliency_cards(board)
    lines = scoreboard.card_markdown(cards, "CAM", "n").splitlines()
    assert {line.count("|") for line in lines} == {5} and len(lines) == len(cards) + 2
    assert any(re.search(r"energy inside ↑ .* \| 0.21 \|$", line) for line in lines)
    assert any("deletion ↓" in line for line in lines)
    assert any(re.search(r"seconds .* \| 0.5 s \| 0.00091 s \|$", line) for line in lines)
    with pytest.raises(ValueError, match="no card of 'LIME' on 'n'; there are n: CAM"):
        scoreboard.card_markdown(cards, "LIME", "n")


def test_errors(board: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="the board lacks network, seconds"):
        scoreboard.saliency_cards(board.drop(columns=["network", "seconds"]))
    with pytest.raises(ValueError, match="no rows of class 'rust'"):
        scoreboard.saliency_cards(board, "rust")


@pytest.mark.skipif(not (DATA / "scoreboard.csv").exists(), reason="no scoreboard is shipped")
def test_the_shipped_scoreboard_fills_every_card() -> None:
    cards = scoreboard.saliency_cards(scoreboard.read())
    own = cards[cards["network"] == "neu_gap"]
    assert set(own["method"]) == set(parts.FACTS)
    assert not (own["reading"] == "not measured").any()
    for method in parts.FACTS:
        assert scoreboard.card_markdown(own, method, "neu_gap").count("\n") == 16


def test_facts_are_of_the_methods_of_the_course() -> None:
    model = seeded(functional(gap_layers()))
    methods = scoreboard.course_methods(model, np.zeros((3, 8, 8, 1), np.float32))
    assert set(parts.FACTS) == {n for n, m in methods.items() if not m.control} == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_to_be_chosen_are_arguments(name: str) -> None:
    arguments = set(inspect.signature(FUNCTIONS[name]).parameters)
    assert set(parts.FACTS[name].choices) <= arguments | AROUND
    common = {"model", "images", "target", "score", "batch_size", "seed"}
    if not arguments - common:
        assert parts.FACTS[name].choices == ()


def calls(name: str, images: np.ndarray) -> Callable[..., Any]:
    """The method with the smallest settings that it takes."""
    given = {
        "SmoothGrad": {"samples": 1},
        "integrated gradients": {"steps": 1},
        "integrated gradients, smoothed": {"steps": 1},
        "expected gradients": {"references": images, "samples": 1},
        "LRP, gamma": {"rule": "gamma"},
        "occlusion": {"patch": 4},
        "RISE": {"masks": 3},
        "LIME": {"samples": 20, "segments": np.arange(64).reshape(8, 8) // 16},
    }
    if name == "DeepSHAP":
        return lambda model, x, c: shapley.deep_shap(model, x, images)
    if name == "KernelSHAP":  # a game of superpixels: the model's answers are all that it sees

        def by_superpixels(model: Any, x: np.ndarray, c: int) -> Any:
            return shapley.kernel_shap(lambda z: float(np.asarray(model(x * z.any()))[0, c]), 4)

        return by_superpixels
    return partial(FUNCTIONS[name], **given.get(name, {}))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_what_needs_answers_only_takes_a_black_box(name: str, images: np.ndarray) -> None:
    model, x = seeded(functional(gap_layers())), images[:1]
    explain = calls(name, images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explain(model, x, 0)

        def black_box(pictures: Any) -> np.ndarray:
            return np.asarray(model(np.asarray(pictures, np.float32)))

        if parts.FACTS[name].needs == parts.CALLS:
            explain(black_box, x, 0)
        else:
            with pytest.raises((TypeError, ValueError, AttributeError)):
                explain(black_box, x, 0)


def test_what_the_needs_mean(images: np.ndarray) -> None:
    no_convolution = seeded(functional([layers.Flatten(), layers.Dense(3)]))
    unknown = seeded(functional([layers.Conv2D(2, 3, activation="gelu"), *gap_layers()]))
    for name, function in FUNCTIONS.items():
        needs, explain = parts.FACTS[name].needs, calls(name, images)
        if needs == parts.GRADIENTS:
            explain(no_convolution, images, 0)
            explain(unknown, images, 0)
        if needs in (parts.LAYERS, parts.FOLLOWED) and function is not shapley.deep_shap:
            with pytest.raises((TypeError, ValueError), match=r"gelu|conv"):
                explain(unknown, images, 0)
        if needs in (parts.CONVOLUTION, parts.FOLLOWED):
            with pytest.raises(ValueError, match="convolution"):
                explain(no_convolution, images, 0)
