"""The course's colours survive a grey print and colour-blind eyes: converted, and measured."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import spearmanr

from xai_utils import plots
from xai_utils._colour_vision import (
    APART,
    BLIND,
    VISIONS,
    faults,
    order_survives,
    seen,
    two_signs,
)
from xai_utils._colours import SIGNED_CMAP, UNSIGNED_CMAP
from xai_utils._drawing import STYLE
from xai_utils.plots import Panel


def ramp(name: str) -> np.ndarray:
    return colormaps[name](np.linspace(0, 1, 255))[:, :3]


@pytest.mark.parametrize("vision", VISIONS)
def test_lightness_tells_the_order_of_the_courses_scales(vision: str) -> None:
    assert order_survives(ramp(UNSIGNED_CMAP), vision)
    assert order_survives(ramp(SIGNED_CMAP), vision, signed=True)
    assert not order_survives(ramp(SIGNED_CMAP), vision), "two signs have no single order"
    assert not order_survives(ramp("jet"), vision)
    assert not order_survives(np.full((255, 3), 0.5), vision), "one colour has no order"


@pytest.mark.parametrize("vision", BLIND)
def test_both_signs_differ_for_colour_blind_eyes(vision: str) -> None:
    low, high = ramp(SIGNED_CMAP)[[25, -26]]
    assert np.linalg.norm(seen(low, vision) - seen(high, vision)) > 5 * APART


def test_in_grey_the_signs_look_alike_so_words_must_tell() -> None:
    """What is not reached, measured: a scale that is white at zero has two dark ends."""
    low, high = seen(ramp(SIGNED_CMAP)[[25, -26]], "grey")
    assert abs(low[0] - high[0]) < APART
    words = plots.describe(np.array([[-1.0, 3.0]]))
    assert "Negative values make up 25 %" in words


def test_no_white_centred_scale_tells_the_signs_in_grey() -> None:
    """Ends of unlike lightness do not help: every grey of the lighter side is on the darker too."""
    dark_to_white = np.linspace((0.0, 0.0, 0.2), (1, 1, 1), 128)
    white_to_light = np.linspace((1, 1, 1), (0.9, 0.5, 0.4), 128)
    uneven = np.concatenate([dark_to_white, white_to_light[1:]])
    assert order_survives(uneven, "grey", signed=True)
    below, above = (seen(side, "grey")[:, 0] for side in (uneven[:128], uneven[127:]))
    assert above.min() - below.min() > 5 * APART
    assert np.ptp(above) > APART and below.min() < above.min() and above.max() == below.max()
    nearest = np.abs(above[:, None] - below).min(axis=1)
    assert nearest.max() < 1


def test_a_figure_with_two_signs_is_known() -> None:
    values, picture = np.eye(3), np.full((3, 3), 0.5)
    assert two_signs(plots.panels([Panel(heat=values - 0.5)]))
    assert two_signs(plots.panels([Panel(image=picture, heat=values - 0.5)]))
    assert not two_signs(plots.panels([Panel(heat=values), Panel(image=picture, heat=values)]))


def test_known_colours() -> None:
    white, black = seen([[1, 1, 1], [0, 0, 0]], "grey")
    assert np.allclose(white, (100, 0, 0), atol=0.01) and np.allclose(black, 0, atol=0.01)
    red, green = seen([[0.8, 0.2, 0.2], [0.4, 0.45, 0.1]], "deuteranopia")
    full = np.linalg.norm(red - green)
    assert full < 40  # a pair that only red-green vision tells apart well
    blue, yellow = seen([[0, 0, 1], [1, 1, 0]], "deuteranopia")
    assert np.linalg.norm(blue - yellow) > 150
    for vision in BLIND:  # no kind of cone missing is needed to see greys
        assert np.allclose(seen([0.5, 0.5, 0.5], vision)[1:], 0, atol=1.5)


@pytest.mark.parametrize(("signed", "cmap"), [(False, None), (True, None), (False, "jet")])
def test_a_printed_map_keeps_its_order_in_grey(signed: bool, cmap: str | None) -> None:
    """The pixels of a real PNG, turned grey by another program, against the values."""
    values = np.random.default_rng(0).random((12, 12))
    heat = values if not signed else np.where(np.arange(12) < 6, values, -values)
    fig = plots.panels([Panel(heat=heat, signed=signed, limit=1.0, cmap=cmap)])
    data = io.BytesIO()
    fig.savefig(data, format="png", dpi=300)
    grey = np.asarray(Image.open(data).convert("L")).astype(float)
    box = fig.axes[0].get_position()
    y = (1 - box.y1 + box.height * (np.arange(12) + 0.5) / 12) * grey.shape[0]
    x = (box.x0 + box.width * (np.arange(12) + 0.5) / 12) * grey.shape[1]
    printed = grey[np.ix_(y.astype(int), x.astype(int))]
    sides = [heat > 0, heat < 0] if signed else [heat >= 0]
    order = [abs(spearmanr(heat[side], printed[side])[0]) for side in sides]
    if cmap == "jet":
        assert max(order) < 0.8
    else:
        assert min(order) > 0.99


def test_faults_of_a_figure() -> None:
    fig = plots.panels([Panel(heat=np.eye(3), cmap="jet"), Panel(heat=np.eye(3))])
    assert faults(fig) == [
        "colours of 'jet': the order of values is lost (grey, protanopia, deuteranopia, tritanopia)"
    ]
    assert faults(plots.panels([Panel(image=np.eye(3)), Panel(heat=np.eye(3) - 0.5)])) == []
    picture, heat = np.full((3, 3), 0.5), np.eye(3)
    assert faults(plots.panels([Panel(image=picture, heat=heat)])) == []
    over = plots.panels([Panel(image=picture, heat=heat, cmap="jet", uniform=True)])
    assert len(faults(over)) == 1, "the bar of an overlay is judged"
    outlined = plots.panels([Panel(heat=heat)])
    outlined.axes[0].contour(heat, [0.5], colors="0.35")
    assert faults(outlined) == []
    red_green = plots.panels([Panel(heat=np.eye(3) - 0.5, signed=True, cmap="PiYG")])
    assert not any("signs look alike" in fault for fault in faults(red_green))


def test_faults_of_a_legend() -> None:
    fig = Figure()
    ax = fig.add_subplot()
    ax.plot([0, 1], color="#E69F00", label="one")
    ax.plot([0, 1], color="#56B4E9", label="two")
    ax.plot([0, 1], "--", color="#E69F00", label="three")
    ax.legend()
    assert faults(fig) == ["legend: 'one' and 'two' look alike (grey)"]
    ax.clear()
    ax.bar([0], [1], color="#0072B2", label="f")
    ax.bar([1], [1], color="#D55E00", label="g")
    ax.legend()
    assert faults(fig) == ["legend: 'f' and 'g' look alike (grey)"]
    ax.patches[1].set_hatch("//")
    ax.legend()
    assert faults(fig) == []


def test_letters_of_prints_need_no_font() -> None:
    from matplotlib import rc_context

    fig = Figure()
    fig.text(0.1, 0.5, "Größe: μ")
    with rc_context(STYLE):
        svg, pdf = io.BytesIO(), io.BytesIO()
        fig.savefig(svg, format="svg")
        fig.savefig(pdf, format="pdf")
    assert b"<text" not in svg.getvalue() and b"font-family" not in svg.getvalue()
    assert b"/FontFile2" in pdf.getvalue() and b"/Type3" not in pdf.getvalue()
