"""Properties of colours, words, pages and photographs, on any numbers and any proportions."""

from __future__ import annotations

import io
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from drawn import finite32, maps, often, shares
from xai_utils import _fitting, plots
from xai_utils._colours import Scale, overlay
from xai_utils._layout import Page, Panel, as_grid, choose_scales
from xai_utils.datasets import Photo, load_photo

sides = st.tuples(st.integers(1, 60), st.integers(1, 60))
photos = st.tuples(sides, st.sampled_from([1, 2, 3, 4])).flatmap(
    lambda drawn: hnp.arrays(np.uint8, (*drawn[0], drawn[1]))
)
coloured = sides.flatmap(lambda size: hnp.arrays(np.uint8, (*size, 3)))
words = st.text(st.characters(codec="utf-8"), max_size=60)


# --- colours and words ---------------------------------------------------------------------------


@often(20)
@given(heat=maps(), signed=st.none() | st.booleans())
def test_a_scale_holds_its_map(heat: Any, signed: bool | None) -> None:
    values = heat.astype(np.float64)
    scale = Scale.of([values], signed)
    assert scale.limit > 0 and np.isfinite(scale.limit)
    strength = scale.strength(values)
    assert strength.min() >= 0 and strength.max() <= 1
    if scale.signed:
        assert scale.extend == "neither" and scale.low == -scale.limit
    assert (scale.note == "all zero") == (not values.any())


@often(15)
@given(heat=maps(), alpha=shares, data=st.data())
def test_what_a_map_does_not_touch_stays_as_it_was(heat: Any, alpha: float, data: Any) -> None:
    picture = data.draw(hnp.arrays(np.float32, heat.shape, elements=st.floats(0, 1, width=32)))
    laid = overlay(picture, heat, alpha=alpha)
    assert laid.shape == (*heat.shape, 3) and laid.min() >= 0 and laid.max() <= 1
    untouched = heat == 0
    np.testing.assert_array_equal(
        laid[untouched], np.repeat(picture[untouched, None], 3, axis=1).astype(float)
    )


@often(20)
@given(heat=maps(), data=st.data())
def test_any_map_can_be_told_in_words(heat: Any, data: Any) -> None:
    height, width = heat.shape
    corners = st.tuples(*[st.integers(0, width), st.integers(0, height)] * 2)
    boxes = data.draw(st.none() | st.lists(corners, max_size=3))
    said = plots.describe(heat, method="A map", boxes=boxes)
    assert said.startswith("A map. ") and said.endswith(".")
    assert "nan" not in said and "inf" not in said
    assert ("zero everywhere" in said) == (not heat.any())


@often(15)
@given(
    titles=st.lists(words, min_size=1, max_size=7),
    columns=st.none() | st.integers(1, 8),
    width=st.none() | st.floats(0.4, 4),
    share=st.sampled_from([None, "row", "figure"]),
    data=st.data(),
)
def test_panels_stay_on_their_page_and_off_each_other(
    titles: Any, columns: int | None, width: float | None, share: Any, data: Any
) -> None:
    size = data.draw(st.tuples(st.integers(1, 30), st.integers(1, 30)))
    heat = data.draw(hnp.arrays(np.float32, size, elements=finite32))
    grid = as_grid([Panel(heat=heat, title=title) for title in titles], columns)
    assert len({len(row) for row in grid}) == 1
    page = Page.of(grid, choose_scales(grid, share), share, False, bool(titles[0]), width)
    places = [
        page.place(r, c) for r, row in enumerate(grid) for c, panel in enumerate(row) if panel
    ]
    for left, bottom, wide, high in places:
        assert left >= 0 and left + wide <= 1 and bottom >= 0 and bottom + high <= 1
    rows = sorted({(bottom, bottom + high) for _, bottom, _, high in places})
    assert all(a[1] <= b[0] for a, b in pairwise(rows))


# --- photographs ---------------------------------------------------------------------------------


@often(20)
@given(pixels=photos)
def test_any_picture_is_upright_rgb_from_array_and_file(pixels: Any) -> None:
    shown = load_photo(pixels).image
    assert (shown.shape, shown.dtype) == ((*pixels.shape[:2], 3), np.uint8)
    for same in (pixels.astype(np.uint16) * 257, pixels / 255):
        np.testing.assert_array_equal(load_photo(same).image, shown)
    if pixels.shape[-1] in (2, 4):
        opaque = pixels.copy()
        opaque[..., -1] = 255
        np.testing.assert_array_equal(load_photo(opaque).image, load_photo(opaque[..., :-1]).image)
    memory = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(memory, "PNG")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "photo.png")
        path.write_bytes(memory.getvalue())
        np.testing.assert_array_equal(load_photo(path).image, shown)


@often(15)
@given(image=coloured, size=sides, fit=st.sampled_from(sorted(_fitting.FITS)))
def test_any_picture_is_fitted_to_any_input(image: Any, size: Any, fit: str) -> None:
    photo = Photo("drawn", image, "array")
    shown = _fitting.fitted(photo, size, fit).image
    assert shown.dtype == np.uint8 and shown.shape[2] == 3 and shown.size
    told = _fitting.told(photo, size, fit)
    assert "\n" not in told
    same = image.shape[1] * size[0] == image.shape[0] * size[1]
    if same:
        np.testing.assert_array_equal(shown, image)
        assert told == ""
    elif fit == "crop":
        rows, columns = shown.shape[:2]
        assert rows == image.shape[0] or columns == image.shape[1]
        corners = ((image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2)
        middle = image[corners[0] :, corners[1] :][:rows, :columns]
        np.testing.assert_array_equal(shown, middle)
    else:
        assert shown.shape[:2] == size
        if fit == "squeeze" and (image == image[0, 0]).all():
            assert (shown == image[0, 0]).all()
