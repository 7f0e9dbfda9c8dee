"""The scoreboard as pages: its lesson in a sentence, its tables and figures, and saliency cards."""

from __future__ import annotations

import html
from typing import Any

from course_data import ROOT, Course

BOARD = ROOT / "data" / "scoreboard.csv"
MISSING = "The scoreboard has not been measured yet; `make scoreboard` does that."


def _boards() -> list[tuple[str, str, Any]]:
    """Data, network and rows of each board."""
    from xai_utils import scoreboard

    whole = scoreboard.read(BOARD)
    return [(*names, own) for names, own in whole.groupby(["data", "network"], sort=False)]


def lesson(course: Course) -> str:
    """The sentence of the scoreboard, with the way to it."""
    if not BOARD.exists():
        return ""
    return f"**The scoreboard's lesson.** {sentence()} [See all of it](scoreboard.md)."


def sentence() -> str:
    """How many methods were told from chance on the first board, and what the best control gets."""
    data, _, board = _boards()[0]
    metric = board["metric"].iloc[0]
    rows = board[(board["metric"] == metric) & (board["class"] == "all")]
    methods, controls = rows[~rows["control"].astype(bool)], rows[rows["control"].astype(bool)]
    above = (methods["gain_low"] > 0).sum()
    best = controls.loc[controls["gain"].idxmax()]
    beaten = (methods["gain"] > best["gain"]).sum()
    return (
        f"Of {len(methods)} methods on {data}, {above} find the marked defects better than chance "
        f"({metric}), but only {beaten} find more of them than *{best['method']}*, a control that "
        "knows nothing of the network."
    )


def scoreboard(course: Course) -> str:
    """A figure and a table for each network."""
    if not BOARD.exists():
        return MISSING
    from xai_utils import evaluation

    lines = []
    for data, network, board in _boards():
        metric = board["metric"].iloc[0]
        picture = f"_parts/scoreboard_{network}.svg"
        own = evaluation.Scoreboard(board.drop(columns=["data", "network"]))
        evaluation.draw(own, metric).savefig(course.source / picture)
        alternative = html.escape(evaluation.alternative_text(own, metric)).replace("\n", " ")
        lines += [f"## {data}, {network}", "", f"![{alternative}]({picture})", ""]
        lines += ["```{raw} html", evaluation.summary_html(own), "```", ""]
    return "\n".join(lines)


def saliency_cards(course: Course) -> str:
    """One card for each method, on the first network that it was measured on."""
    from xai_utils import scoreboard

    if not BOARD.exists():
        return MISSING
    cards = scoreboard.saliency_cards(scoreboard.read(BOARD))
    lines = []
    for method, own in cards.groupby("method", sort=False):
        network = own["network"].iloc[0]
        lines += [f"## {method}", "", scoreboard.card_markdown(cards, method, network), ""]
    return "\n".join(lines)
