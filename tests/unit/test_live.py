"""Live pictures without a browser: the mathematics, the messages, and the figure that stays."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from networks import flat_layers, functional, seeded
from xai_utils import _live_widget, cam, gradients, live, perturbation, plots, scores
from xai_utils._live_frame import Bars, Frame, painted
from xai_utils.plots import Panel

Network = Any


@pytest.fixture
def ink() -> np.ndarray:
    return np.random.default_rng(3).random((8, 8, 1), np.float32)


def stroke(height: int, width: int, top: int, left: int) -> np.ndarray:
    page = np.zeros((28, 28, 1), np.float32)
    page[top : top + height, left : left + width] = 1
    return page


def asked(picture: live.Live, ink: np.ndarray | None = None, **changed: Any) -> Any:
    """What the browser hears when it asks with these values."""
    values = {control.name: control.value for control in picture.controls} | changed
    pages = [] if ink is None else [np.rint(255 * ink).astype(np.uint8).tobytes()]
    return picture.reply({"view": "v", "number": 7, "values": values}, pages)


# --- the mathematics -----------------------------------------------------------------------------


def test_a_drawing_is_explained_as_by_the_methods_themselves(
    flat: Network, ink: np.ndarray
) -> None:
    found = live.explain_drawing(flat, ink, 1, patch=4, stride=2, steps=8)
    x = ink[None]
    assert found.target == 1
    np.testing.assert_allclose(found.saliency, gradients.saliency(flat, x, 1)[0, ..., 0])
    total, off = gradients.integrated_gradients(flat, x, 1, steps=8, return_residual=True)
    np.testing.assert_allclose(found.integrated, total[0, ..., 0])
    assert found.residual == off[0]
    by_call = perturbation.occlusion(flat, x, 1, patch=4, stride=2)[0]
    np.testing.assert_allclose(found.occlusion, by_call)
    z = scores.logits(flat, x)[0].astype(np.float64)
    np.testing.assert_allclose(found.probabilities, np.exp(z) / np.exp(z).sum(), rtol=1e-6)
    assert live.explain_drawing(flat, ink, patch=4).target == z.argmax()


def test_the_whole_path_is_integrated_gradients(flat: Network, ink: np.ndarray) -> None:
    start = np.full((8, 8, 1), 0.25, np.float32)
    way = live.integrate_along(flat, ink, start, 2, steps=12)
    total, off = gradients.integrated_gradients(
        flat, ink[None], 2, baseline=start, steps=12, return_residual=True
    )
    np.testing.assert_allclose(way.sums[-1], total[0], atol=1e-5)
    np.testing.assert_allclose(way.residuals[-1], off[0], atol=1e-5)


def test_each_step_of_the_path_is_a_shorter_path(flat: Network, ink: np.ndarray) -> None:
    """What is handed out after k of S steps is the map of the image at k / S, in k steps."""
    way = live.integrate_along(flat, ink, 0.0, 0, steps=10)
    for k in (1, 4, 7):
        there = (k / 10 * ink)[None].astype(np.float32)
        total, off = gradients.integrated_gradients(flat, there, 0, steps=k, return_residual=True)
        np.testing.assert_allclose(way.sums[k - 1], total[0], atol=1e-5)
        np.testing.assert_allclose(way.residuals[k - 1], off[0], atol=1e-5)
        np.testing.assert_allclose(way.images[k - 1], (k - 0.5) / 10 * ink, atol=1e-6)


@pytest.mark.parametrize(("row", "column"), [(4, 4), (0, 0), (7, 2), (3, 7)])
def test_a_patch_covers_what_lies_under_it_and_nothing_else(
    gap: Network, ink: np.ndarray, row: int, column: int
) -> None:
    found = live.cover(gap, ink, row, column, 4)
    under = np.zeros((8, 8), bool)
    under[max(0, row - 2) : row + 2, max(0, column - 2) : column + 2] = True
    np.testing.assert_allclose(found.image[under], ink.mean(), rtol=1e-6)
    assert (found.image[~under] == ink[~under]).all()
    np.testing.assert_allclose(found.before, scores.logits(gap, ink[None])[0], rtol=1e-5)
    np.testing.assert_allclose(found.logits, scores.logits(gap, found.image[None])[0], rtol=1e-5)


def test_a_patch_of_one_pixel_and_another_grey(gap: Network, ink: np.ndarray) -> None:
    found = live.cover(gap, ink, 0, 7, 1, grey=0.5)
    assert found.image[0, 7, 0] == 0.5
    assert (found.image != ink).sum() == 1


def test_a_drawing_is_brought_to_the_size_and_the_place_of_mnist() -> None:
    for page in (stroke(5, 2, 1, 1), stroke(26, 4, 1, 20), stroke(3, 12, 24, 0)):
        result = live.centred(page)
        rows, columns = np.nonzero(result[..., 0])
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
        for axis, places in ((0, np.arange(28)[:, None]), (1, np.arange(28))):
            centre = ((places + 0.5) * result[..., 0]).sum() / result.sum()
            assert abs(centre - 14) <= 0.5, axis
    empty = np.zeros((28, 28, 1), np.float32)
    assert (live.centred(empty) == empty).all()


def test_ink_on_one_side_stays_within_the_page() -> None:
    page = stroke(20, 1, 4, 4)
    page[4:6, 4:24] = 1
    result = live.centred(page)
    assert result.shape == (28, 28, 1)
    assert result.sum() == pytest.approx(page.sum(), rel=0.05)


def test_blended_cams_are_the_cam_of_the_blended_logit(gap: Network, ink: np.ndarray) -> None:
    (a, b), alike = live.blend(gap, ink, (0, 2), cam.cam)
    weights, bias = (v.numpy() for v in gap.layers[-2].weights)
    z = scores.logits(gap, ink[None])[0]
    for t in (0.0, 0.4, 1.0):
        mixed = (1 - t) * (z[0] - bias[0]) + t * (z[2] - bias[2])
        assert ((1 - t) * a + t * b).mean() == pytest.approx(mixed, abs=1e-4)
    assert weights.shape[1] == len(z)
    assert alike == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_a_constant_map_correlates_with_nothing(gap: Network, ink: np.ndarray) -> None:
    maps = np.stack([np.zeros((4, 4)), np.eye(4)])
    assert live.blend(gap, ink, (0, 1), lambda *_: maps)[1] == 0


# --- the pictures --------------------------------------------------------------------------------


def pictures(flat: Network, gap: Network, ink: np.ndarray) -> dict[str, live.Live]:
    return {
        "draw": live.draw_a_digit(flat, {"one": ink}, patch=4),
        "walk": live.walk_the_path(flat, ink, steps=6),
        "patch": live.move_a_patch(gap, ink, side=3),
        "blend": live.blend_classes(gap, ink),
    }


@pytest.mark.parametrize("name", ["draw", "walk", "patch", "blend"])
def test_without_a_reader_it_is_a_figure_with_words(
    flat: Network, gap: Network, ink: np.ndarray, name: str
) -> None:
    picture = pictures(flat, gap, ink)[name]
    data, metadata = picture._repr_mimebundle_()
    assert sorted(data) == ["image/png", "text/plain"]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/png"]))))
    assert min(pixels.shape[:2]) > 150
    assert pixels.std() > 10
    words = metadata["image/png"]["alt"]
    assert words.startswith(picture.title)
    assert len(words) > 100


@pytest.mark.parametrize("name", ["draw", "walk", "patch", "blend"])
def test_an_answer_has_a_buffer_for_every_picture_and_strip(
    flat: Network, gap: Network, ink: np.ndarray, name: str
) -> None:
    picture = pictures(flat, gap, ink)[name]
    answer, buffers = asked(picture, ink if name == "draw" else None)
    assert "error" not in answer
    assert (answer["view"], answer["number"]) == ("v", 7)
    sizes = []
    for panel in answer["panels"]:
        sizes += [4 * panel["height"] * panel["width"]] + [4 * answer["strip"]] * ("scale" in panel)
        assert panel["alt"]
    assert list(map(len, buffers)) == sizes


def test_the_drawing_that_is_sent_is_the_one_that_is_explained(
    flat: Network, ink: np.ndarray
) -> None:
    picture = live.draw_a_digit(flat, {"one": ink}, class_names=["a", "b", "c"], patch=4)
    other = np.zeros_like(ink)
    other[2:6, 3] = 1
    found = live.explain_drawing(flat, other, patch=4)
    answer, buffers = asked(picture, other)
    assert answer["bars"]["values"] == pytest.approx(found.probabilities.tolist())
    shown = np.frombuffer(buffers[0], np.uint8).reshape(8, 8, 4)
    assert (shown[..., 0] == 255 * other[..., 0]).all()
    assert "why c?" in asked(picture, other, target="c")[0]["panels"][1]["title"]
    moved = np.frombuffer(asked(picture, other, centred=True)[1][0], np.uint8).reshape(8, 8, 4)
    assert (moved[..., 0] != shown[..., 0]).any()
    assert asked(picture, np.zeros_like(ink))[0]["words"].startswith("An empty page.")


def test_the_slider_ends_at_the_whole_map(flat: Network, ink: np.ndarray) -> None:
    picture = live.walk_the_path(flat, ink, steps=6)
    way = live.integrate_along(flat, ink, steps=6)
    said = asked(picture, step=6)[0]["words"]
    assert said.startswith(f"Step 6 of 6: shares of {way.sums[-1].sum():.2f} logits")
    assert f"residual {way.residuals[-1]:+.3f}" in said


def test_the_blend_begins_and_ends_at_the_two_maps(gap: Network, ink: np.ndarray) -> None:
    picture = live.blend_classes(gap, ink, classes=(2, 0), method=cam.cam)
    for t, end in ((0.0, 0), (1.0, 2)):
        _, buffers = asked(picture, t=t)
        panels = buffers[::2]  # a strip after each
        assert panels[1] == panels[end] != panels[2 - end]


def test_a_fault_is_told_to_the_reader_and_the_picture_lives_on(
    gap: Network, ink: np.ndarray
) -> None:
    picture = live.move_a_patch(gap, ink, side=3)
    answer, buffers = asked(picture, row=99)
    assert answer["error"].startswith("ValueError: place (99, 4) lies outside of the picture")
    assert (answer["view"], answer["number"], buffers) == ("v", 7, [])
    assert "error" not in asked(picture, row=0)[0]


def test_colours_are_those_of_the_figures() -> None:
    heat = np.array([[-2.0, 0.0], [1.0, 2.0]])
    pixels, scale = painted(Panel(heat=heat))
    assert scale is not None and scale.limit == 2
    expected = scale.mappable().to_rgba(heat)
    np.testing.assert_allclose(pixels / 255, expected, atol=1 / 255)
    grey = np.full((2, 2), 0.4)
    pixels, _ = painted(Panel(image=grey, heat=np.zeros((2, 2))))
    assert (pixels[..., :3] == 102).all()
    overlay, scale = painted(Panel(image=grey, heat=heat, alpha=0.8))
    expected = plots.overlay(grey, heat, alpha=0.8)
    np.testing.assert_allclose(overlay[..., :3] / 255, expected, atol=1 / 255)


def test_bars_are_told_without_those_that_are_next_to_nothing() -> None:
    bars = Bars(names=["a", "b", "c"], values=[0.9, 0.1, 1e-4], label="probability")
    assert bars.words() == "probability: a 0.90, b 0.10"


def test_the_spec_holds_what_the_browser_needs(flat: Network, ink: np.ndarray) -> None:
    spec = live.draw_a_digit(flat, {"one": ink, "none": ink * 0}, patch=4).spec()
    assert spec["page"] == {"height": 8, "width": 8}
    assert [page["name"] for page in spec["pages"]] == ["one", "none"]
    assert spec["pages"][0]["ink"] == np.rint(255 * ink).ravel().tolist()
    assert [control["name"] for control in spec["controls"]] == ["target", "centred"]


def test_a_reader_is_known_by_the_cell_that_the_request_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("anywidget")
    picture = live.Live("t", lambda *_: Frame(panels=[Panel(image=np.eye(4))], words="w"))
    assert not _live_widget.asked_by_a_reader()
    monkeypatch.setattr(_live_widget, "asked_by_a_reader", lambda: True)
    data, metadata = picture._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "image/png" in data and metadata["image/png"]["alt"]


# --- what cannot be done -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: live.draw_a_digit(m, {}), "no examples"),
        (lambda m, x: live.draw_a_digit(m, {"dark": x - 1}), "between 0 and 1"),
        (lambda m, x: live.draw_a_digit(m, {"one": x}, class_names=["a"]), "expected 3 different"),
        (lambda m, x: live.draw_a_digit(m, {"one": x[None]}), r"expected one picture \(H, W, C\)"),
        (lambda m, x: live.move_a_patch(m, x, side=9), "side 9; expected 1 to 8"),
        (lambda m, x: live.move_a_patch(m, x, side=2, start=(8, 0)), "lies outside"),
        (lambda m, x: live.move_a_patch(m, x[:7], side=2), "this model expects"),
        (lambda m, x: live.walk_the_path(m, x, steps=0), "steps 0"),
        (lambda m, x: live.walk_the_path(m, x, x[:2]), "baseline of shape"),
        (lambda m, x: live.blend_classes(m, x, classes=(0, 9)), "out of range"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_shown(
    ink: np.ndarray, call: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call(seeded(functional(flat_layers())), ink)
