"""Pictures say what they show: scales, limits, places, words, and a picture that is left alone."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Literal

import matplotlib
import nbclient
import nbformat
import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from xai_utils import plots
from xai_utils.plots import Panel

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
PLATE = RNG.integers(0, 256, (60, 90), dtype=np.uint8)
SPOT = np.zeros((60, 90))
SPOT[10:20, 30:50] = np.linspace(0.1, 4, 20)
SIZES = (-1.23e-5, -0.000789, -0.0456, -0.789, -19.9, -219, -3.4e4)


def fresh_axes() -> Axes:
    return Figure(figsize=(3, 3)).add_subplot()


def bar_of(ax: Axes) -> Axes:
    """The colour bar that hangs on an axes."""
    return ax.child_axes[0]


def words(axis: matplotlib.axis.Axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


# --- overlay --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image",
    [
        PLATE,
        PLATE[..., None],
        np.stack([PLATE, PLATE[::-1], PLATE[:, ::-1]], axis=-1),
        (PLATE / 255).astype(np.float32),
        RNG.random((60, 90, 3)),
    ],
    ids=["uint8", "uint8 with channel", "RGB", "float32", "float64 RGB"],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_overlay_leaves_the_picture_outside_the_heat_bit_for_bit(
    image: np.ndarray, sign: int
) -> None:
    out = plots.overlay(image, sign * SPOT)
    expected = image / 255.0 if image.dtype == np.uint8 else image.astype(np.float64)
    expected = expected[..., None] if expected.ndim == 2 else expected
    expected = np.broadcast_to(expected, out.shape)
    assert out.dtype == np.float64
    assert out.shape == (60, 90, 3)
    assert np.array_equal(out[SPOT == 0], expected[SPOT == 0])
    assert (np.abs(out - expected).max(axis=-1)[SPOT > 0] > 0).mean() > 0.9
    assert out.min() >= 0
    assert out.max() <= 1


def test_overlay_blends_by_the_formula() -> None:
    image, heat = np.full((1, 4), 0.25), np.array([[0.0, 1.0, 2.0, 8.0]])
    out = plots.overlay(image, heat, limit=4, alpha=0.5, cmap="viridis")
    for pixel, (opacity, value) in enumerate([(0, 0), (0.125, 0.25), (0.25, 0.5), (0.5, 1)]):
        colour = np.array(colormaps["viridis"](float(value))[:3])
        np.testing.assert_allclose(out[0, pixel], (1 - opacity) * 0.25 + opacity * colour)


def test_overlay_of_a_signed_map_is_red_for_and_blue_against() -> None:
    out = plots.overlay(np.full((1, 3), 0.5), [[-2.0, 0.0, 1.0]])
    assert out[0, 0, 2] > out[0, 0, 0]
    assert out[0, 2, 0] > out[0, 2, 2]
    # Half as strong, so half as opaque; on its own the positive end would be full.
    np.testing.assert_allclose(
        out[0, 2], 0.7 * 0.5 + 0.3 * np.array(colormaps["RdBu_r"](0.75)[:3]), atol=1e-12
    )


def test_overlay_of_an_unsigned_map_ignores_what_is_negative() -> None:
    out = plots.overlay(np.full((1, 2), 0.5), [[-5.0, 1.0]], signed=False)
    assert np.array_equal(out[0, 0], [0.5, 0.5, 0.5])


def test_overlay_uniform_covers_everything() -> None:
    out = plots.overlay(np.zeros((2, 2)), [[0.0, 1.0], [0, 0]], uniform=True, cmap="jet", alpha=0.5)
    np.testing.assert_allclose(out[0, 0], 0.5 * np.array(colormaps["jet"](0.0)[:3]))


@pytest.mark.parametrize(
    ("image", "heat", "error", "message"),
    [
        (PLATE, np.zeros((25, 25)), ValueError, "resize_heatmap"),
        (PLATE[None, ..., None], SPOT, ValueError, r"images\[0\]"),
        (PLATE[..., None].repeat(4, -1), SPOT, ValueError, r"\(H, W, 3\)"),
        (PLATE.astype(np.float32), SPOT, ValueError, "divide 0-255 pixels by 255"),
        (PLATE / 255 - 0.5, SPOT, ValueError, r"expected \[0, 1\]"),
        (np.where(PLATE == 0, np.nan, 0.5), SPOT, ValueError, r"expected \[0, 1\]"),
        (PLATE.astype(np.int64), SPOT, TypeError, "int64"),
        (PLATE, SPOT[None], ValueError, r"heat\[0\]"),
        (PLATE, SPOT * np.nan, ValueError, "NaN"),
        (PLATE, np.where(SPOT > 3, np.inf, 0), ValueError, "infinite"),
        (PLATE, SPOT.astype(complex), TypeError, "complex"),
    ],
)
def test_overlay_refuses(
    image: np.ndarray, heat: np.ndarray, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        plots.overlay(image, heat)


@pytest.mark.parametrize("wrong", [{"alpha": 1.5}, {"alpha": -0.1}, {"limit": 0}, {"limit": -1}])
def test_overlay_refuses_settings(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        plots.overlay(PLATE, SPOT, **wrong)


# --- show_heat ------------------------------------------------------------------------------------


def test_signed_scale_is_symmetric_and_white_at_zero() -> None:
    ax = fresh_axes()
    shown = plots.show_heat(ax, [[-1.0, 0.0, 3.0]], label="evidence")
    assert shown.get_clim() == (-3, 3)
    assert shown.get_cmap().name == "RdBu_r"
    assert shown.norm(0) == 0.5
    assert min(shown.to_rgba(np.array([0.0]))[0]) > 0.95
    assert words(bar_of(ax).yaxis) == ["\N{MINUS SIGN}3", "0", "3"]
    assert bar_of(ax).get_ylabel() == "evidence"


def test_unsigned_scale_starts_at_zero() -> None:
    ax = fresh_axes()
    shown = plots.show_heat(ax, [[1.0, 2.0, 3.256]])
    assert shown.get_clim() == (0, 3.256)
    assert shown.get_cmap().name == "inferno"
    assert words(bar_of(ax).yaxis) == ["0", "3.26"]


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (3.256, "3.26"),
        (0.0123, "0.0123"),
        (0.00123, "1.2e\N{MINUS SIGN}3"),
        (123456, "1.2e5"),
        (1.5e-12, "1.5e\N{MINUS SIGN}12"),
        (1e15, "1.0e15"),
        (42, "42"),
        (999.7, "1.0e3"),
    ],
)
def test_limits_are_written_shortly(limit: float, text: str) -> None:
    ax = fresh_axes()
    plots.show_heat(ax, [[0.0, limit]])
    assert words(bar_of(ax).yaxis) == ["0", text]


def test_signed_can_be_asked_for() -> None:
    assert plots.show_heat(fresh_axes(), [[0.0, 2.0]], signed=True).get_clim() == (-2, 2)


def test_limit_gives_several_maps_one_scale() -> None:
    shown = [plots.show_heat(fresh_axes(), [[0.0, top]], limit=5) for top in (1.0, 5.0)]
    assert [image.get_clim() for image in shown] == [(0, 5), (0, 5)]


@pytest.mark.parametrize(
    ("heat", "settings", "extend"),
    [
        ([[0.0, 2.0]], {}, "neither"),
        ([[0.0, 2.0]], {"limit": 1}, "max"),
        ([[-2.0, 0.0]], {"limit": 1}, "min"),
        ([[-2.0, 2.0]], {"limit": 1}, "both"),
        ([[-2.0, 2.0]], {"signed": False}, "min"),
    ],
)
def test_colour_bar_says_where_values_are_clipped(
    heat: list[list[float]], settings: dict[str, float], extend: str
) -> None:
    shown = plots.show_heat(fresh_axes(), heat, **settings)
    assert shown.axes is not None
    cax = bar_of(shown.axes)
    arrows = {"neither": 0, "min": 1, "max": 1, "both": 2}[extend]
    assert len(cax.patches) == arrows
    FigureCanvasAgg(shown.figure).draw()  # type: ignore[arg-type]
    box = cax.get_window_extent()
    heights = [patch.get_window_extent().y0 for patch in cax.patches]
    assert sum(y < box.y0 + box.height / 2 for y in heights) == (extend in ("min", "both"))


@pytest.mark.parametrize(
    ("heat", "settings", "label"),
    [
        ([[0, 0]], {"label": "CAM"}, "CAM (all zero)"),
        ([[0, 0]], {}, "all zero"),
        ([[0, 0]], {"limit": 2}, "all zero"),
        ([[-1, 0]], {"signed": False}, "nothing positive"),
    ],
)
def test_a_map_without_mass_is_shown_and_labelled(
    heat: list[list[float]], settings: dict[str, str], label: str
) -> None:
    ax = fresh_axes()
    plots.show_heat(ax, heat, **settings)
    assert bar_of(ax).get_ylabel() == label
    assert words(bar_of(ax).yaxis) == ["0"]


def test_show_heat_refuses_nan() -> None:
    with pytest.raises(ValueError, match=r"1 of 2 values that are NaN"):
        plots.show_heat(fresh_axes(), [[np.nan, 1.0]])


# --- boxes ----------------------------------------------------------------------------------------


def test_boxes_run_along_the_outer_edges_of_their_pixels() -> None:
    ax = fresh_axes()
    image = ax.imshow(PLATE)
    whole, one_pixel = plots.draw_boxes(ax, [[0, 0, 90, 60], [7, 3, 8, 4]])
    left, right, bottom, top = image.get_extent()
    assert whole.get_bbox().extents.tolist() == [left, top, right, bottom]
    assert one_pixel.get_bbox().extents.tolist() == [6.5, 2.5, 7.5, 3.5]


def test_a_box_encloses_exactly_its_pixels_on_the_screen() -> None:
    fig = Figure(figsize=(1, 1), dpi=100)
    ax = fig.add_axes((0, 0, 1, 1))
    lit = np.zeros((10, 10))
    lit[2:5, 6:9] = 1
    ax.imshow(lit, cmap="gray", interpolation="nearest")
    (box,) = plots.draw_boxes(ax, [[6, 2, 9, 5]], linewidth=0.0)
    corners = box.get_window_extent().extents
    box.remove()
    png = io.BytesIO()
    fig.savefig(png, dpi=100)
    rows, columns = np.nonzero(np.asarray(Image.open(png).convert("L")) > 128)
    found = [columns.min(), 100 - 1 - rows.max(), columns.max() + 1, 100 - rows.min()]
    np.testing.assert_allclose(corners, found, atol=0.51)


def test_no_boxes_draw_nothing() -> None:
    for none in ([], np.zeros((0, 4), int)):
        assert plots.draw_boxes(fresh_axes(), none) == []


@pytest.mark.parametrize("wrong", [[1, 2, 3, 4], [[1, 2, 3]], [[5, 5, 5, 9]], [[5, 9, 9, 5]]])
def test_draw_boxes_refuses(wrong: list[int]) -> None:
    with pytest.raises(ValueError, match="boxes"):
        plots.draw_boxes(fresh_axes(), wrong)


# --- panels ---------------------------------------------------------------------------------------


def pictures(fig: Figure) -> list[Axes]:
    return [ax for ax in fig.axes if ax.images]


def edges(ax: Axes) -> list[float]:
    return np.round(ax.get_position(original=True).bounds, 9).tolist()


def rows_of_panels() -> list[list[Panel | None]]:
    square = RNG.random((20, 20))
    return [
        [Panel(image=square, title="a plate with a long title that wraps"), Panel(image=square)],
        [
            Panel(heat=square - 0.5, label="a long label that wraps, too, and more", title="b"),
            Panel(image=square, heat=3 * square, boxes=[[1, 2, 5, 6]], label="CAM"),
            Panel(heat=0 * square),
        ],
    ]


@pytest.mark.parametrize("row_titles", [(), ("pictures", "maps")])
def test_panels_are_equal_and_aligned(row_titles: tuple[str, ...]) -> None:
    fig = plots.panels(rows_of_panels(), row_titles=row_titles, title="all")
    boxes = np.array([edges(ax) for ax in pictures(fig)])
    assert len(boxes) == 5
    assert len({tuple(size) for size in boxes[:, 2:]}) == 1
    assert boxes[0, 0] == boxes[2, 0]
    assert boxes[1, 0] == boxes[3, 0]
    assert len(set(boxes[:2, 1])) == len(set(boxes[2:, 1])) == 1
    width, height = fig.get_size_inches() * boxes[0, 2:]
    assert width == pytest.approx(height)


@pytest.mark.parametrize(
    ("rows", "share"),
    [
        (rows_of_panels(), None),
        ([[Panel(heat=SPOT, title="layer\n60 x 90", label="CAM")] * 7 for _ in range(3)], "figure"),
        ([Panel(heat=size * SPOT, title="a title that must wrap") for size in SIZES], None),
    ],
    ids=["mixed", "shared", "narrow"],
)
def test_nothing_overlaps_and_nothing_leaves_the_page(
    rows: list[Panel] | list[list[Panel | None]], share: Literal["figure"] | None
) -> None:
    fig = plots.panels(
        rows, share=share, row_titles=["row"] * len(rows) if share else (), title="all of them"
    )
    FigureCanvasAgg(fig).draw()
    drawn = [text for text in fig.findobj(Text) if text.get_text() and text.get_visible()]
    texts = [(text.get_text(), text.get_window_extent()) for text in drawn]
    images = [(f"panel {n}", ax.get_window_extent()) for n, ax in enumerate(pictures(fig))]
    kept = [item for item in texts if item[0] != "all zero" or share is None]
    assert len(kept) >= len(images)
    for (name, box), (other, other_box) in combinations(kept + images, 2):
        shared = type(box).intersection(box, other_box)
        assert shared is None or min(shared.width, shared.height) < 0.5, (name, other)
    for name, box in kept:
        assert box.x0 >= 0 and box.y0 >= 0, name
        assert box.x1 <= fig.bbox.x1 and box.y1 <= fig.bbox.y1, name


def test_each_map_has_its_own_scale_by_default() -> None:
    fig = plots.panels([Panel(heat=SPOT), Panel(heat=-2 * SPOT), Panel(image=PLATE, heat=3 * SPOT)])
    bars = [words(bar_of(ax).xaxis) for ax in pictures(fig)]
    assert bars == [["0", "4"], ["\N{MINUS SIGN}8", "0", "8"], ["0", "12"]]
    assert not [ax for ax in fig.axes if not ax.images]


@pytest.mark.parametrize(
    ("share", "limits", "bars"),
    [
        ("figure", [12, 12, 12, 12], [["0", "12"]]),
        ("row", [8, 8, 12, 12], [["0", "8"], ["0", "12"]]),
    ],
)
def test_shared_scales(share: str, limits: list[float], bars: list[list[str]]) -> None:
    row = [Panel(heat=SPOT, label="CAM"), Panel(heat=2 * SPOT, label="CAM")]
    other = [Panel(heat=2 * SPOT, label="CAM"), Panel(heat=3 * SPOT, label="CAM"), None]
    fig = plots.panels([row, other], share=share)
    shown = [ax.images[0].get_clim()[1] for ax in pictures(fig)]
    assert shown == limits
    beside = [ax for ax in fig.axes if not ax.images]
    assert [words(ax.yaxis) for ax in beside] == bars
    assert {ax.get_ylabel() for ax in beside} == {"CAM"}


def test_a_zero_map_on_a_shared_scale_says_so() -> None:
    fig = plots.panels([Panel(heat=SPOT), Panel(heat=0 * SPOT)], share="figure")
    assert [[text.get_text() for text in ax.texts] for ax in pictures(fig)] == [[], ["all zero"]]


def test_an_overlay_on_a_shared_scale_uses_its_limit() -> None:
    fig = plots.panels(
        [Panel(image=PLATE, heat=SPOT), Panel(image=PLATE, heat=2 * SPOT)], share="row"
    )
    shown = np.asarray(pictures(fig)[0].images[0].get_array())
    np.testing.assert_array_equal(shown, plots.overlay(PLATE, SPOT, limit=8))


def test_a_row_wraps_and_keeps_its_order() -> None:
    fig = plots.panels([Panel(heat=SPOT, title=str(n)) for n in range(13)], columns=7)
    titles = [ax.get_title() for ax in pictures(fig)]
    tops = [edges(ax)[1] for ax in pictures(fig)]
    assert titles == [str(n) for n in range(13)]
    assert tops[:7] == [tops[0]] * 7
    assert tops[7:] == [tops[7]] * 6
    assert tops[7] < tops[0]


@pytest.mark.parametrize(
    ("items", "settings", "error", "message"),
    [
        ([], {}, ValueError, "no panels"),
        ([None], {}, ValueError, "no panels"),
        ([SPOT], {}, TypeError, "expected Panel"),
        ([[Panel(heat=SPOT)]], {"columns": 2}, ValueError, "columns"),
        ([Panel(heat=SPOT)], {"columns": 0}, ValueError, "columns"),
        ([Panel(heat=SPOT)], {"share": "all"}, ValueError, "share"),
        ([Panel(heat=SPOT)], {"row_titles": ["a", "b"]}, ValueError, "2 row titles .* 1 rows"),
        (
            [Panel(heat=SPOT, cmap="jet"), Panel(heat=SPOT)],
            {"share": "row"},
            ValueError,
            "agree in cmap",
        ),
        ([Panel(image=PLATE, heat=np.zeros((5, 5)))], {}, ValueError, "resize_heatmap"),
        ([Panel(heat=SPOT * np.nan)], {}, ValueError, "NaN"),
    ],
)
def test_panels_refuses(
    items: list[object], settings: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        plots.panels(items, **settings)


def test_an_empty_panel_is_refused_unless_it_says_why() -> None:
    with pytest.raises(ValueError, match="image, a heat map, or both"):
        Panel(title="nothing")
    fig = plots.panels([[Panel(image=PLATE), Panel(note="does not\napply")]])
    plate, empty = fig.axes
    assert edges(plate)[1:] == edges(empty)[1:]
    assert [text.get_text() for text in empty.texts] == ["does not\napply"]


def test_what_stands_below_has_room_of_its_own() -> None:
    row = [Panel(image=PLATE, below="gain\ntime"), Panel(heat=SPOT, below="+0.12\n3 ms")]
    fig = plots.panels([row, [Panel(image=PLATE), Panel(heat=SPOT)]], share="figure")
    FigureCanvasAgg(fig).draw()
    upper, lower = fig.axes[1], fig.axes[3]
    assert upper.get_xlabel() == "+0.12\n3 ms"
    words = upper.xaxis.label.get_window_extent()
    assert lower.get_window_extent().y1 < words.y0 < words.y1 < upper.get_window_extent().y0
    with pytest.raises(ValueError, match="a map's own bar stands where `below` would"):
        plots.panels(row)


# --- tables of numbers ----------------------------------------------------------------------------


def test_numbers_stand_in_their_cells_and_the_sure_ones_are_bold() -> None:
    ax = Figure().add_subplot()
    table = np.array([[0.8, -0.001, 0.2], [-0.7, 0.3, 0.0]])
    drawn = plots.show_numbers(
        ax, table, rows=["a", "b"], columns=["x", "y", "z"], limit=1.0, sure=np.abs(table) > 0.25
    )
    told = {text.get_position(): text for text in ax.texts}
    assert [told[c, 0].get_text() for c in range(3)] == ["+0.80", "+0.00", "+0.20"]
    assert [told[c, 1].get_weight() for c in range(3)] == ["bold", "bold", "normal"]
    assert [told[c, 0].get_color() for c in range(3)] == ["white", "0.35", "0.35"]
    assert drawn.get_clim() == (-1.0, 1.0)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_numbers_refuse_names_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"values are \(1, 2\), for 1 rows and 3 columns"):
        plots.show_numbers(
            Figure().add_subplot(), [[1.0, 2.0]], rows=["a"], columns="xyz", limit=1.0
        )


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_the_last_bits_of_a_layout_move_no_axes(seed: int) -> None:
    fig = Figure(figsize=(4 + seed / 7, 3), layout="constrained")
    for axes in fig.subplots(1, 2):
        plots.show_heat(axes, PLATE / 255, label="a" * seed)
    plots.as_png(fig, "words")
    corners = np.array([axes.get_position(original=True).p0 for axes in fig.axes])
    np.testing.assert_array_equal(corners, np.round(corners, 9))
    assert all(axes.get_in_layout() for axes in fig.axes)


@pytest.mark.parametrize("size", [(9, 9), (25, 25), (200, 160)])
@pytest.mark.parametrize(
    ("down", "across", "name"),
    [
        (0, 0, "upper left"),
        (0, 0.5, "upper centre"),
        (0, 1, "upper right"),
        (0.5, 0, "centre left"),
        (0.5, 0.5, "centre"),
        (0.5, 1, "centre right"),
        (1, 0, "lower left"),
        (1, 0.5, "lower centre"),
        (1, 1, "lower right"),
    ],
)
def test_describe_names_the_place(
    size: tuple[int, int], down: float, across: float, name: str
) -> None:
    heat = np.zeros(size, np.float32)
    y, x = round(down * (size[0] - 1)), round(across * (size[1] - 1))
    heat[y, x] = 7
    text = plots.describe(heat)
    assert f"mostly in the {name} (100 %)" in text
    left, top = 100 * (x + 0.5) / size[1], 100 * (y + 0.5) / size[0]
    assert f"The peak is {left:.0f} % from the left and {top:.0f} % from the top" in text


@pytest.mark.parametrize("size", [(3, 3), (25, 25), (200, 200)])
def test_describe_says_that_a_flat_map_is_spread_evenly(size: tuple[int, int]) -> None:
    text = plots.describe(np.full(size, 0.3))
    assert "spread evenly: no ninth of the picture holds more than 11 %" in text
    assert "All values are equal" in text


def test_describe_names_two_places_the_stronger_first() -> None:
    heat = np.zeros((30, 30))
    heat[2, 2], heat[28, 15] = 1, 3
    assert "in the lower centre (75 %) and the upper left (25 %)." in plots.describe(heat)


def test_describe_reports_the_boxes_beside_their_area() -> None:
    heat = np.zeros((10, 10))
    heat[:5] = 1
    text = plots.describe(heat, boxes=np.array([[0, 0, 10, 2], [0, 1, 5, 4]]))
    # The union has 20 + 10 pixels, all of them in the upper half that holds the mass.
    assert "60 % of the positive mass lies inside the boxes, which cover 30 %" in text
    assert "boxes" not in plots.describe(heat, boxes=np.zeros((0, 4), int))


def test_describe_says_what_was_explained() -> None:
    text = plots.describe(
        SPOT, method="Grad-CAM", image_class="patches", predicted="scratches", score=0.98765
    )
    assert text.startswith("Grad-CAM, picture of class patches, predicted scratches, score 0.99. ")


def test_describe_tells_of_negative_values_and_of_none() -> None:
    assert "Negative values make up 25 %" in plots.describe([[3.0, -1.0]])
    assert plots.describe(np.zeros((4, 4))) == "Heat map. The map is zero everywhere."
    assert plots.describe([[-1.0, -2.0]]) == "Heat map. No value is positive."


def test_describe_does_not_change_with_the_last_bits() -> None:
    y, x = np.mgrid[:50, :50]
    heat = np.exp(-((y - 20) ** 2 + (x - 31) ** 2) / 100) - 0.1
    noise = 1 + 1e-5 * RNG.standard_normal((20, 50, 50))
    texts = {plots.describe((heat * n).astype(np.float32), boxes=[[20, 10, 40, 30]]) for n in noise}
    assert len(texts) == 1


@pytest.mark.parametrize("boxes", [[[0, 0, 91, 10]], [[-1, 0, 9, 10]], [[0, 0, 9, 61]]])
def test_describe_refuses_boxes_of_another_size(boxes: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="resize_heatmap"):
        plots.describe(SPOT, boxes=boxes)


def test_describe_refuses_nan() -> None:
    with pytest.raises(ValueError, match="NaN"):
        plots.describe([[np.nan]])


def test_describe_axes_reads_lines_and_bars() -> None:
    ax = fresh_axes()
    ax.plot([1, 2, 3], [0.5, 0.98765, 0.9], label="validation")
    ax.axhline(1 / 6, label="chance")
    ax.set(title="Learning", xlabel="epoch", ylabel="accuracy")
    assert plots.describe_axes(ax) == (
        "Learning. accuracy against epoch. "
        "validation: from 0.5 at 1 to 0.9 at 3, highest 0.988 at 2. chance: 0.167 throughout."
    )
    for draw in ("bar", "barh"):
        ax = fresh_axes()
        getattr(ax, draw)(["patches", "scratches"], [0.8, 0.2], label="energy")
        assert plots.describe_axes(ax) == "energy: patches 0.8, scratches 0.2."
    with pytest.raises(ValueError, match="neither a line nor a bar"):
        plots.describe_axes(fresh_axes())


# --- show and style -------------------------------------------------------------------------------

NOTEBOOK = """
import numpy as np
from xai_utils import plots
plots.style()
heat = np.eye(25, dtype=np.float32)
plots.show(plots.panels([plots.Panel(heat=heat)]), plots.describe(heat, method="CAM"))
===
import matplotlib.pyplot as plt
fig, ax = plt.subplots()
ax.plot([1, 2])
plots.show(fig, "  a line\\n from 1 to 2 ")
===
plots.style("embedded default: synthetic steel")
plots.show(plt.subplots()[0], "axes")
===
plots.style("mirror (XAI_DATA_DIR)")
plots.show(plt.subplots()[0], "axes")
"""


def test_what_is_shown_goes_to_whoever_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[Figure, str]] = []
    fig = Figure()
    with pytest.raises(KeyError), plots.shown_to(lambda *given: seen.append(given)):
        plots.show(fig, "two\n words")
        raise KeyError
    assert seen == [(fig, "two words")]
    assert capsys.readouterr().out == ""
    plots.show(fig, "again")  # nobody asks any more
    assert len(seen) == 1 and "Image" in capsys.readouterr().out


def test_alternative_text_survives_in_an_executed_notebook() -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in NOTEBOOK.split("===")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(ROOT)}}).execute()
    notebook = nbformat.reads(nbformat.writes(notebook), as_version=4)
    alts = [plots.describe(np.eye(25), method="CAM"), "a line from 1 to 2"]
    alts += ["Data: synthetic steel. axes", "axes"]
    heights = []
    for cell, alt in zip(notebook.cells, alts, strict=True):
        (output,) = cell.outputs  # once, and without a warning beside it
        assert output.metadata["image/png"]["alt"] == alt
        assert "Figure size" not in output.data["text/plain"]
        picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
        assert picture.format == "PNG"
        assert min(picture.size) > 100
        heights.append(picture.size[1])
    assert heights[2] > heights[3] + 8  # the line below the figure that names the stand-in


@pytest.mark.parametrize("alt", ["", "  \n", None])
def test_show_refuses_a_figure_without_words(alt: str) -> None:
    with pytest.raises(ValueError, match="alternative text"):
        plots.show(Figure(), alt)


def test_a_row_of_noisy_plates_stays_small_and_true() -> None:
    noisy = [Panel(image=RNG.integers(0, 256, (200, 200), dtype=np.uint8)) for _ in range(2)]
    smooth = [Panel(heat=RNG.random((25, 25))) for _ in range(3)]
    fig = plots.panels(noisy + smooth)
    stored = plots._png(fig)
    full = io.BytesIO()
    fig.savefig(full, dpi=fig.dpi, bbox_inches="tight", pad_inches=0.05)
    assert len(stored) < 120_000
    assert len(stored) < 0.75 * full.tell()
    seen, meant = (
        np.asarray(Image.open(png).convert("RGB"), int) for png in (io.BytesIO(stored), full)
    )
    assert np.abs(seen - meant).max() <= 2
    assert seen.max() == 255
    assert stored == plots._png(fig)


def test_style_is_the_same_look_everywhere() -> None:
    with matplotlib.rc_context():
        plots.style()
        assert matplotlib.rcParams["figure.facecolor"] == "white"
        assert matplotlib.rcParams["pdf.fonttype"] == 42
        ax = fresh_axes()
        assert not ax.spines["top"].get_visible()
        assert not ax.spines["right"].get_visible()
        assert ax.spines["left"].get_visible()
        assert ax.plot([0, 1])[0].get_color() == "#0072B2"


def test_import_loads_neither_matplotlib_nor_ipython() -> None:
    code = (
        "import sys, xai_utils.plots\n"
        "print([m for m in ('matplotlib', 'IPython', 'tensorflow', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
