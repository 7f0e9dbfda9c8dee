"""Saliency cards: what one should know of a method before choosing it, read off the scoreboard.

Boggust et al. ask ten questions of every method, in three parts: how the map is computed, what it
reacts to, and how it reads.  Here each is answered by a measurement where there is one, by a fact
of the code where there is one, and else by "not measured".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

EDGES = "Sobel edges"  # the control that stands beside every number
NOT_MEASURED = "not measured"
SECONDS = "processor seconds per image"
SLOPE = "slope of the logit, per unit of brightness"
SHARE = "share of a difference of logits"
PART = "share of the logit"
BENT = "product of a backward pass whose ReLUs were changed; no unit"


class Fact(NamedTuple):
    """What is known of a method without measuring: see the columns of `saliency_cards`."""

    needs: str  # of the model
    means: str  # what a value of the map says
    choices: tuple[str, ...] = ()  # arguments of the function that a user has to choose


GRADIENTS, LAYERS, CALLS = "gradients", "layers that can be followed one by one", "its answers only"
CONVOLUTION, FOLLOWED = "a convolution and gradients", "a convolution, and layers of known kinds"
FACTS: dict[str, Fact] = {
    "saliency": Fact(GRADIENTS, "size of the " + SLOPE),
    "gradient × input": Fact(GRADIENTS, "slope of the logit times brightness"),
    "SmoothGrad": Fact(
        GRADIENTS, f"size of the mean {SLOPE}, over noisy copies", ("samples", "noise")
    ),
    "integrated gradients": Fact(GRADIENTS, SHARE, ("baseline", "steps")),
    "integrated gradients, smoothed": Fact(
        GRADIENTS, f"size of a {SHARE}, blurred", ("baseline", "steps", "width of the blur")
    ),
    "expected gradients": Fact(GRADIENTS, SHARE, ("references", "samples")),
    "deconvnet": Fact(LAYERS, BENT),
    "guided backpropagation": Fact(LAYERS, BENT),
    "LRP, epsilon": Fact(LAYERS, PART, ("rule", "epsilon")),
    "LRP, gamma": Fact(LAYERS, PART, ("rule", "gamma")),
    "deep Taylor": Fact(LAYERS, PART, ("low", "high")),
    "DeepLIFT": Fact(LAYERS, SHARE, ("baseline",)),
    "DeepSHAP": Fact(LAYERS, SHARE, ("background",)),
    "CAM": Fact(
        "global average pooling before the logits",
        "activations times the class's weights; its mean is the logit less the bias",
    ),
    "Grad-CAM": Fact(
        CONVOLUTION, "activations times their mean gradient, negative sums cut off", ("layer",)
    ),
    "Grad-CAM++": Fact(
        CONVOLUTION,
        "activations times a weighted sum of positive gradients, negative sums cut off",
        ("layer",),
    ),
    "HiResCAM": Fact(CONVOLUTION, "activations times their own gradients", ("layer",)),
    "LayerCAM": Fact(CONVOLUTION, "activations times their own positive gradients", ("layer",)),
    "Guided Grad-CAM": Fact(FOLLOWED, f"Grad-CAM times a {BENT}", ("layer",)),
    "occlusion": Fact(
        CALLS, "fall of the logit when a patch is covered", ("patch", "stride", "occluder")
    ),
    "RISE": Fact(
        CALLS, "mean logit while the pixel is shown, less its mean", ("masks", "cell", "keep")
    ),
    "LIME": Fact(
        CALLS,
        "weight of a superpixel in a line fitted to the logit",
        ("segments", "hide", "samples", "kernel_width"),
    ),
    "KernelSHAP": Fact(
        CALLS, f"{SHARE} of a superpixel", ("samples", "superpixels", "hidden grey")
    ),
}

# Boggust's parts and attributes, and the questions of the scoreboard that answer them.
ATTRIBUTES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("methodology", "determinism", ("repeatability",)),
    ("methodology", "hyperparameter dependence", ()),
    ("methodology", "model agnosticism", ()),
    ("methodology", "computational efficiency", ("seconds",)),
    ("methodology", "semantic directness", ()),
    ("sensitivity", "input sensitivity", ("deletion", "insertion", "max-sensitivity")),
    ("sensitivity", "label sensitivity", ("like another class",)),
    ("sensitivity", "model sensitivity", ("like untrained",)),
    ("perceptibility", "minimality", ("sparseness",)),
    (
        *("perceptibility", "perceptual correspondence"),
        ("energy inside", "pointing game", "AUC", "rank accuracy"),
    ),
)


def saliency_cards(board: pd.DataFrame, classes: str = "all") -> pd.DataFrame:
    """The cards of all methods of a scoreboard, controls left out, one row for each measurement.

    Args:
        board: from `scoreboard.read` or `scoreboard.run`.
        classes: whose rows are taken.

    Returns:
        A frame with the columns ``data, network, method, part, attribute, measure, better, value,
        low, high, chance, verdict, edges, reading``.  ``verdict`` is 1, -1 or 0 where the interval
        of the gain over chance lies above, below or around 0, and empty without a chance level;
        ``edges`` is what the Sobel edge map scores; ``reading`` is the answer in words.  An
        attribute without a measurement has one row, with empty numbers.

    Raises:
        ValueError: columns of a scoreboard are missing, or there are no rows of ``classes``.

    Source: Boggust et al. 2023, "Saliency cards: a framework to characterize and compare saliency
    methods", FAccT (its ten attributes; the choice of measurements is ours).
    """
    import pandas as pd

    wanted = {"data", "network", "method", "control", "metric", "class", "gain_low", "seconds"}
    if not wanted <= set(board.columns):
        raise ValueError(
            f"the board lacks {', '.join(sorted(wanted - set(board.columns)))}; expected one that "
            f"scoreboard.read or scoreboard.run gives"
        )
    part = board[board["class"] == classes]
    if part.empty:
        raise ValueError(f"no rows of class {classes!r}; it has {', '.join(set(board['class']))}")
    rows: list[dict[str, Any]] = []
    for (data, network), own in part.groupby(["data", "network"], sort=False):
        cells = {(r["method"], r["metric"]): r for r in own.to_dict("records")}
        for method in dict.fromkeys(own.loc[~own["control"].astype(bool), "method"]):
            about = {"data": data, "network": network, "method": method}
            rows += [about | answer for answer in _answers(method, cells)]
    return pd.DataFrame(rows)


def card_markdown(cards: pd.DataFrame, method: str, network: str) -> str:
    """One method's card on one network as a Markdown table.

    Raises:
        ValueError: no such method or network among the cards.
    """
    own = cards[(cards["method"] == method) & (cards["network"] == network)]
    if own.empty:
        known = ", ".join(dict.fromkeys(cards["network"] + ": " + cards["method"]))
        raise ValueError(f"no card of {method!r} on {network!r}; there are {known}")
    lines = [f"| **{method}** on {network} | measured by | answer | {EDGES} |", "|---|---|---|---|"]
    for r in own.to_dict("records"):
        way = {"higher": " ↑", "lower": " ↓"}.get(r["better"], "")
        edges = f"{r['edges']:.2g} s" if r["measure"] == SECONDS else f"{r['edges']:.2f}"
        edges = "" if np.isnan(r["edges"]) else edges
        lines.append(f"| {r['attribute']} | {r['measure']}{way} | {r['reading']} | {edges} |")
    return "\n".join(lines)


# --- parts ---------------------------------------------------------------------------------------


def _answers(method: str, cells: dict[tuple[str, str], dict[str, Any]]) -> list[dict[str, Any]]:
    """Every attribute of one method with what is known of it."""
    fact = FACTS.get(method, Fact(NOT_MEASURED, NOT_MEASURED))
    choices = f"{', '.join(fact.choices) or 'none'}; their effect is {NOT_MEASURED}"
    told = {
        "hyperparameter dependence": ("to be chosen", choices),
        "model agnosticism": ("needs of the model", fact.needs),
        "semantic directness": ("a value is", fact.means),
    }
    rows = []
    for part, attribute, measures in ATTRIBUTES:
        found = [cells.get((method, m)) for m in measures]
        if attribute in told:
            measure, words = told[attribute]
            answers = [_row(measure, reading=words)]
        elif measures == ("seconds",):
            answers = [_seconds(method, cells)]
        else:
            answers = [
                _measured(m, row, cells.get((EDGES, m)))
                for m, row in zip(measures, found, strict=True)
                if row is not None
            ]
        about = {"part": part, "attribute": attribute}
        rows += [about | answer for answer in answers or [_row("", reading=NOT_MEASURED)]]
    return rows


def _row(measure: str, **known: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("value", "low", "high", "chance", "verdict", "edges"), np.nan)
    return {"measure": measure, "better": "", **empty, "reading": "", **known}


def _seconds(method: str, cells: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    times = {name: row["seconds"] for (name, _), row in cells.items()}
    return _row(
        SECONDS,
        better="lower",
        value=times[method],
        edges=times.get(EDGES, np.nan),
        reading=f"{times[method]:.2g} s",
    )


def _measured(measure: str, row: dict[str, Any], edges: dict[str, Any] | None) -> dict[str, Any]:
    """Value, interval, chance and verdict of a row of the board, in numbers and in words."""
    words = f"{row['mean']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
    verdict = np.nan
    if not np.isnan(row["gain_low"]):
        verdict = float(row["gain_low"] > 0) - float(row["gain_high"] < 0)
        than = {1: "better than", -1: "worse than", 0: "not told from"}[int(verdict)]
        words += f", {than} chance ({row['chance']:.2f})"
    if np.isnan(row["mean"]):
        words = "undefined: every map is empty"
    return _row(
        measure,
        better=row["better"],
        **{"value": row["mean"], "low": row["low"], "high": row["high"], "chance": row["chance"]},
        verdict=verdict,
        edges=np.nan if edges is None else edges["mean"],
        reading=f"{words}; {row['images']} images",
    )
