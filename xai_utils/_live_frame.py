"""One state of a live picture: what is shown, as a figure and as a message to the browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import plots
from ._colours import Scale, checked_heat, checked_picture
from .plots import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STRIP = 64  # colours in the strip that states a scale
HINT = "Run this cell in JupyterLab, and the picture is live."
BLUE, GREY = "#0072B2", "0.7"


@dataclass(frozen=True, kw_only=True)
class Control:
    """A slider, a choice or a tick box, whose value a frame is made from."""

    name: str
    label: str
    kind: Literal["slider", "choice", "tick"]
    value: Any
    low: float = 0
    high: float = 1
    step: float = 1
    options: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Bars:
    """A number for each class; ``before`` is what it was, shown as a mark."""

    names: Sequence[str]
    values: Sequence[float]
    label: str
    before: Sequence[float] = ()

    def words(self) -> str:
        """The bars in words; a class below a hundredth of the top is left out."""
        top = max(map(abs, self.values))
        told = [
            f"{n} {v:.2f}"
            for n, v in zip(self.names, self.values, strict=True)
            if abs(v) >= top / 100
        ]
        return f"{self.label}: {', '.join(told)}"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a live picture shows in one state: panels, bars, and one sentence."""

    panels: Sequence[Panel]
    words: str
    bars: Bars | None = None

    def message(self) -> tuple[dict[str, Any], list[bytes]]:
        """The frame for the browser: what is text as JSON, what is colour as RGBA bytes.

        Each panel takes one buffer, and one more for the strip of colours if it has a map.
        """
        shown, buffers = [], []
        for panel in self.panels:
            pixels, scale = painted(panel)
            buffers.append(pixels.tobytes())
            height, width = pixels.shape[:2]
            facts: dict[str, Any] = {"title": panel.title, "width": width, "height": height}
            facts["alt"] = described(panel)
            if scale is not None:
                line = np.linspace(scale.low, scale.limit, STRIP)
                fade = panel.fade
                buffers.append(_rgba(scale.mappable(fade).to_rgba(line[None])).tobytes())
                ends = [f"{scale.low:+.2g}" if scale.signed else "0", f"{scale.limit:+.2g}"]
                facts["scale"] = {"ends": ends, "label": panel.label, "note": scale.note}
            shown.append(facts)
        bars = None
        if self.bars is not None:
            bars = {
                "names": list(self.bars.names),
                "values": [float(v) for v in self.bars.values],
                "before": [float(v) for v in self.bars.before],
                "label": self.bars.label,
            }
        return {"words": self.words, "panels": shown, "bars": bars, "strip": STRIP}, buffers

    def figure(self, title: str) -> tuple[Figure, str]:
        """The same as a figure that stays as it is, and its alternative text."""
        room = [] if self.bars is None else [Panel(image=np.ones((1, 1)))]
        fig = plots.panels([*room, *self.panels], title=title)
        if self.bars is not None:
            first = fig.axes[0]
            ax = fig.add_axes(first.get_position().bounds)
            first.remove()
            _draw_bars(ax, self.bars)
        # The data's line comes first, where it is a stand-in; bars need more room than maps have.
        roomy = any(panel.heat is not None for panel in self.panels)
        below = -(0.17 if roomy else 0.45) / fig.get_figheight()
        fig.text(0.5, below, f"{self.words}\n{HINT}", size=8.5, ha="center", va="top")
        said = [title, self.words, "" if self.bars is None else self.bars.words()]
        said += [described(panel) for panel in self.panels]
        return fig, " ".join(f"{text.rstrip('.')}." for text in said if text)


def painted(panel: Panel) -> tuple[Any, Scale | None]:
    """A panel's pixels as `plots.panels` colours them: uint8 ``(H, W, 4)``, and a map's scale."""
    if panel.heat is None:
        assert panel.image is not None  # a Panel has an image or a map
        return _rgba(checked_picture(panel.image)), None
    heat = checked_heat(panel.heat)
    scale = Scale.of([heat], panel.signed, panel.limit, panel.cmap)
    if panel.image is None:
        return _rgba(scale.mappable().to_rgba(heat)), scale
    blend = plots.overlay(
        panel.image,
        heat,
        cmap=scale.cmap,
        limit=scale.limit,
        alpha=panel.alpha,
        signed=scale.signed,
        uniform=panel.uniform,
    )
    return _rgba(blend), scale


def described(panel: Panel) -> str:
    """A panel in words: where a map's mass lies, or the title of a picture."""
    title = " ".join(panel.title.split())
    return title if panel.heat is None else plots.describe(panel.heat, method=title)


def _rgba(colours: Any) -> Any:
    """Colours in [0, 1], ``(H, W, 3 or 4)``, as opaque bytes; what shines through is grey."""
    colours = np.asarray(colours)
    if colours.shape[-1] == 4:
        colours = colours[..., 3:] * colours[..., :3] + (1 - colours[..., 3:]) * 0.75
    pixels = np.full((*colours.shape[:2], 4), 255, np.uint8)
    pixels[..., :3] = np.rint(255 * colours)
    return pixels


def _draw_bars(ax: Axes, bars: Bars) -> None:
    places = np.arange(len(bars.values))
    ax.barh(places, bars.values, color=BLUE, height=0.7)
    if bars.before:
        ax.scatter(bars.before, places, marker="|", color="k", s=40, zorder=3)
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.set_yticks(places, bars.names, size=7)
    ax.tick_params(axis="x", labelsize=7)
    ax.set_xlabel(bars.label, size=8)
    ax.invert_yaxis()
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
