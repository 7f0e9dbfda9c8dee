"""A scoreboard as a frame that reads well in a notebook, and as a figure."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ._drawing import STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEYS = ("method", "control", "metric", "better", "class")
NUMBERS = ("mean", "low", "high", "chance", "gain", "gain_low", "gain_high")
COLUMNS = (*KEYS, *NUMBERS, "images", "undefined", "seconds")
INK, GREY = "#0072B2", "0.6"
ROW, PANEL = 0.21, 2.5  # inches: a method, a panel


class Scoreboard(pd.DataFrame):
    """What `evaluation.evaluate` gives: a frame, of which a notebook shows the gist."""

    @property
    def _constructor(self) -> type[Scoreboard]:
        return Scoreboard

    def _repr_html_(self) -> str | None:
        return summary_html(self) if set(COLUMNS) <= set(self.columns) else super()._repr_html_()


def summary_html(board: pd.DataFrame, classes: str = "all", digits: int = 2) -> str:
    """The table of methods by metrics, ranked by gain in the first metric; controls in italics.

    A cell holds mean and interval, and an arrow where the interval of the gain leaves chance out:
    up for better than chance, down for worse.  A board of several networks is shown one by one.
    """
    several = [c for c in ("data", "network") if c in board.columns]
    if several and len(board[several].drop_duplicates()) > 1:
        return "".join(
            f"<h3>{html.escape(', '.join(map(str, names)))}</h3>"
            + summary_html(own.drop(columns=several), classes, digits)
            for names, own in board.groupby(several, sort=False)
        )
    part = board[board["class"] == classes]
    if part.empty:
        part, classes = board, "every class"
    part = part.drop_duplicates(["method", "metric"])
    asked = list(dict.fromkeys(part["metric"]))
    cells = {(r["method"], r["metric"]): r for r in part.to_dict("records")}
    heads = []
    for m in asked:
        own = part[part["metric"] == m]
        better = {"higher": " ↑", "lower": " ↓"}.get(own["better"].iloc[0], "")
        chance = own["chance"].dropna()
        known = f"<br><small>chance {_span(chance, digits)}</small>" if len(chance) else ""
        heads.append(f'<th scope="col">{html.escape(m)}{better}{known}</th>')
    lines = []
    for name in ranking(part, asked[0]):
        rows = [cells.get((name, m)) for m in asked]
        first = next(r for r in rows if r is not None)
        title = f"<em>{html.escape(name)}</em>" if first["control"] else html.escape(name)
        body = "".join(f"<td>{'' if r is None else _cell(r, digits)}</td>" for r in rows)
        shown = f"<td>{first['images'] + first['undefined']}</td><td>{_time(first['seconds'])}</td>"
        lines.append(f'<tr><th scope="row">{title}</th>{body}{shown}</tr>')
    note = (
        f"{len(board):,} rows; shown: {html.escape(classes)}. Mean and interval; ▲ ▼: the interval "
        f"of gain over chance lies above, below 0. Italics: controls."
    )
    return (
        '<table class="scoreboard"><caption style="caption-side:bottom;text-align:left">'
        f'{note}</caption><thead><tr><th scope="col">method</th>{"".join(heads)}'
        '<th scope="col">images</th><th scope="col">processor time</th></tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def ranking(board: pd.DataFrame, metric: str) -> list[str]:
    """Methods, the best first: by gain, else by mean where one way is better, else as they come."""
    own = board[board["metric"] == metric]
    by = "gain" if own["gain"].notna().any() else "mean"
    worst_first = by == "mean" and (own["better"] == "lower").any()
    key = own[by] if not (own["better"] == "neither").all() else pd.Series(0, own.index)
    order = own.assign(key=-key if worst_first else key).sort_values(
        "key", ascending=False, kind="stable", na_position="last"
    )
    ranked = list(dict.fromkeys(order["method"]))
    return ranked + [n for n in dict.fromkeys(board["method"]) if n not in ranked]


def draw(
    board: pd.DataFrame,
    metrics: str | Sequence[str],
    classes: str | Sequence[str] = "all",
    *,
    title: str = "",
) -> Figure:
    """Methods as ranked dots with intervals, one panel for each metric and class; controls in grey.

    The first panel ranks, the others keep its order.  A tick is the chance of the same images.  A
    mark is hollow where the interval of the gain over chance holds 0: not told from chance.

    Args:
        board: what `evaluation.evaluate` gives, or rows of it.
        metrics, classes: one name or several.

    Raises:
        ValueError: a metric or class that the board does not have.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    asked = [metrics] if isinstance(metrics, str) else list(metrics)
    shown = [classes] if isinstance(classes, str) else list(classes)
    for column, given in (("metric", asked), ("class", shown)):
        lacking = [name for name in given if name not in set(board[column])]
        if lacking or not given:
            known = ", ".join(dict.fromkeys(board[column]))
            raise ValueError(f"{column} {lacking} not in the board; it has {known}")
    panels = [
        (m, c, board[(board["metric"] == m) & (board["class"] == c)]) for m in asked for c in shown
    ]
    order = ranking(panels[0][2], asked[0])
    order += [n for n in dict.fromkeys(board["method"]) if n not in order]
    order = [n for n in order if any(n in set(p["method"]) for *_, p in panels)]
    height = ROW * len(order) + 0.95
    with rc_context(STYLE):
        fig = Figure(figsize=(2.0 + PANEL * len(panels), height), layout="constrained")
        axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, (m, c, part) in zip(axes, panels, strict=True):
            _dots(ax, part, order)
            way = {"higher": "higher is better", "lower": "lower is better"}
            better = way.get(part["better"].iloc[0] if len(part) else "", "")
            # Beside one metric classes tell panels apart, beside several the metrics do.
            name = m if len(shown) == 1 else c if len(asked) == 1 else f"{m}, {c}"
            ax.set_title(name, size=10)
            ax.set_xlabel(f"{m} ({better})" if better else m, size=9)
        axes[0].set_yticks(range(len(order)), order)
        axes[0].set_ylim(len(order) - 0.4, -0.6)
        controls = set(board.loc[board["control"].astype(bool), "method"])
        for label in axes[0].get_yticklabels():
            label.set_color("0.5" if label.get_text() in controls else "0.1")
        if title:
            fig.suptitle(title, size=11, weight="bold")
    return fig


def alternative_text(board: pd.DataFrame, metric: str, classes: str = "all") -> str:
    """The figure of one metric in words: every method with mean, interval and chance, in order."""
    own = board[(board["metric"] == metric) & (board["class"] == classes)].set_index("method")
    told = []
    for name in ranking(own.reset_index(), metric):
        r = own.loc[name]
        control = " (control)" if r["control"] else ""
        chance = "" if np.isnan(r["chance"]) else f", chance {r['chance']:.2f}"
        chance += "" if _told(r) else ", not told from it"
        span = f"{r['mean']:.2f} ({r['low']:.2f} to {r['high']:.2f}{chance})"
        told.append(f"{name}{control} {'undefined' if np.isnan(r['mean']) else span}")
    return f"{metric}, {classes}, ranked: " + "; ".join(told) + "."


def _dots(ax: Axes, part: pd.DataFrame, order: list[str]) -> None:
    place = {name: k for k, name in enumerate(order)}
    for r in part.to_dict("records"):
        y, colour = place[r["method"]], GREY if r["control"] else INK
        if not np.isnan(r["chance"]):
            ax.plot([r["chance"]] * 2, [y - 0.36, y + 0.36], color="0.2", lw=1.2, zorder=1.8)
        if not np.isnan(r["mean"]):
            ax.plot([r["low"], r["high"]], [y, y], color=colour, lw=2, zorder=2)
            mark, face = "s" if r["control"] else "o", colour if _told(r) else "white"
            ax.plot(r["mean"], y, mark, color=colour, mfc=face, ms=5, zorder=3)
    ax.grid(axis="x", color="0.9", lw=0.8)
    ax.tick_params(axis="y", length=0)


def _told(row: Any) -> bool:
    """Whether the gain is surely above or below 0; without a chance level there is no doubt."""
    return not row["gain_low"] <= 0 <= row["gain_high"]


def _cell(row: dict[str, Any], digits: int) -> str:
    if np.isnan(row["mean"]):
        return "undefined"
    mark = " ▲" if row["gain_low"] > 0 else " ▼" if row["gain_high"] < 0 else ""
    span = f"{row['low']:.{digits}f} to {row['high']:.{digits}f}"
    return f"{row['mean']:.{digits}f}{mark}<br><small>{span}</small>"


def _span(values: pd.Series, digits: int) -> str:
    low, high = (f"{v:.{digits}f}" for v in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
