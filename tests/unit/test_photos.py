"""Photographs of every kind become upright RGB, and what is no photograph is refused."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xai_utils import _photos, storage
from xai_utils.datasets import Photo, load_photo

RGB = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)
WHITE = [255, 255, 255]


def saved(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "webp", "ppm"])
def test_a_file_without_loss_comes_back_bit_for_bit(tmp_path: Path, ending: str) -> None:
    path = saved(tmp_path / f"photo.{ending}", Image.fromarray(RGB), lossless=True)
    photo = load_photo(path)
    assert (photo.name, photo.source) == ("photo", "file")
    assert photo.image.dtype == np.uint8
    np.testing.assert_array_equal(photo.image, RGB)
    np.testing.assert_array_equal(load_photo(str(path)).image, RGB)


@pytest.mark.fault(
    "Data: pictures",
    "A photograph that lies on its side and says so",
    sees="the picture, upright",
    kept="every pixel",
    guard=("xai_utils/_photos.py", "ImageOps.exif_transpose(picture)", "picture"),
)
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda x: x),
        (2, lambda x: x[:, ::-1]),
        (3, lambda x: x[::-1, ::-1]),
        (4, lambda x: x[::-1]),
        (5, lambda x: x.swapaxes(0, 1)),
        (6, lambda x: np.rot90(x, -1)),
        (7, lambda x: x[::-1, ::-1].swapaxes(0, 1)),
        (8, lambda x: np.rot90(x, 1)),
    ],
)
def test_the_camera_s_orientation_is_obeyed(tmp_path: Path, orientation: int, upright) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    path = saved(tmp_path / "turned.png", Image.fromarray(RGB), exif=exif)
    np.testing.assert_array_equal(load_photo(path).image, upright(RGB))


def test_grey_black_and_white_and_palette(tmp_path: Path) -> None:
    grey = RGB[..., 0]
    path = saved(tmp_path / "grey.png", Image.fromarray(grey))
    np.testing.assert_array_equal(load_photo(path).image, np.repeat(grey[..., None], 3, -1))
    bits = Image.fromarray(grey > 127)
    assert bits.mode == "1"
    image = load_photo(saved(tmp_path / "bits.png", bits)).image
    np.testing.assert_array_equal(image[..., 1], np.where(grey > 127, 255, 0))
    colours = np.array([[200, 10, 30], [0, 90, 250]], np.uint8)
    which = np.arange(48, dtype=np.uint8).reshape(6, 8) % 2
    palette = Image.fromarray(which, "P")
    palette.putpalette(colours.tobytes())
    image = load_photo(saved(tmp_path / "palette.png", palette)).image
    np.testing.assert_array_equal(image, colours[which])
    path = saved(tmp_path / "hole.png", palette, transparency=1)
    np.testing.assert_array_equal(load_photo(path).image, np.array([colours[0], WHITE])[which])
    np.testing.assert_array_equal(load_photo(saved(tmp_path / "a.gif", palette)).image, image)


def test_what_is_transparent_becomes_white(tmp_path: Path) -> None:
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0], rgba[0, :, 3] = 100, [0, 51, 255]  # alpha 0, 1/5, 1
    expected = [[WHITE, [224, 204, 204], [100, 0, 0]]]
    path = saved(tmp_path / "alpha.png", Image.fromarray(rgba))
    np.testing.assert_array_equal(load_photo(path).image, expected)
    np.testing.assert_array_equal(load_photo(rgba).image, expected)
    grey = np.array([[[100, 0], [100, 255]]], np.uint8)
    path = saved(tmp_path / "grey.png", Image.fromarray(grey, "LA"))
    np.testing.assert_array_equal(load_photo(path).image, [[WHITE, [100, 100, 100]]])


@pytest.mark.fault(
    "Data: pictures",
    "A picture of 16 bits a pixel, or of numbers beyond [0, 1]",
    sees="nothing: 0 to 65,535 become 0 to 255; other numbers are a `ValueError`: … runs "
    "from 0 to 6.5…; expected floats in [0, 1] …",
    kept="the whole range, where plain conversion would make nearly all of it white",
    guard=(
        "xai_utils/_photos.py",
        'if picture.mode.startswith(("I", "F")):',
        "if False:",
    ),
)
def test_sixteen_bits_run_over_their_whole_range(tmp_path: Path) -> None:
    deep = np.array([[0, 257, 32896, 65535]], np.uint16)
    expected = np.repeat(np.array([[0, 1, 128, 255]], np.uint8)[..., None], 3, -1)
    for name in ("deep.png", "deep.tif"):
        path = saved(tmp_path / name, Image.fromarray(deep))
        np.testing.assert_array_equal(load_photo(path).image, expected)
    path = saved(tmp_path / "deeper.tif", Image.fromarray(deep.astype(np.int32)))
    np.testing.assert_array_equal(load_photo(path).image, expected)
    path = saved(tmp_path / "float.tif", Image.fromarray((deep / 65535).astype(np.float32)))
    np.testing.assert_array_equal(load_photo(path).image, expected)
    path = saved(tmp_path / "metres.tif", Image.fromarray(deep.astype(np.float32)))
    with pytest.raises(ValueError, match=r"runs from 0 to 6\.5.*expected floats in \[0, 1\]"):
        load_photo(path)


@pytest.mark.fault(
    "Data: pictures",
    "A picture in a printer's colours (CMYK)",
    sees="nothing: it is shown in RGB; a colour profile is not applied",
    kept="the colours, to rounding",
    guard=(
        "xai_utils/_photos.py",
        'return np.asarray(picture.convert("RGB"))',
        "return np.asarray(picture)",
    ),
)
def test_printers_colours(tmp_path: Path) -> None:
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[..., 0] = 255  # cyan only
    path = saved(tmp_path / "ink.jpg", Image.fromarray(ink, "CMYK"), quality=100)
    np.testing.assert_allclose(load_photo(path).image[8, 8], [0, 255, 255], atol=3)


@pytest.mark.fault(
    "Data: pictures",
    "An animation (GIF, PNG, WEBP), or a TIFF of many pages",
    sees="the first frame; in captions the source of the picture is: file, its first frame",
    kept="every pixel of that frame",
    guard=(
        "xai_utils/_photos.py",
        '"file, its first frame" if _is_animated(picture) else "file"',
        '"file"',
    ),
)
@pytest.mark.parametrize("ending", ["gif", "png", "webp", "tif"])
def test_of_an_animation_the_first_frame_is_taken_and_said(tmp_path: Path, ending: str) -> None:
    frames = [Image.fromarray(np.full((6, 8, 3), level, np.uint8)) for level in (20, 120, 220)]
    options = {"save_all": True, "append_images": frames[1:], "lossless": True}
    photo = load_photo(saved(tmp_path / f"moving.{ending}", frames[0], **options))
    np.testing.assert_array_equal(photo.image, np.full((6, 8, 3), 20))
    assert photo.source == "file, its first frame"
    path = tmp_path / f"moving.{ending}"
    path.write_bytes(path.read_bytes()[:-20])  # a later frame is broken
    if ending != "webp":  # which is decoded as a whole
        assert load_photo(path).image.shape == (6, 8, 3)


# --- what is wrong with a file -------------------------------------------------------------------


@pytest.mark.fault(
    "Data: pictures",
    "A picture of 20,000 x 20,000 pixels",
    sees="`ValueError`: … is too large: Image size (400000000 pixels) exceeds limit of …; "
    "make it smaller; below that limit: … has 8,000 x 8,000 pixels, more than "
    "50,000,000; make it smaller, or raise max_pixels",
    kept="the memory: it is refused before it is decoded",
    guard=(
        "xai_utils/_photos.py",
        "    except Image.DecompressionBombError as error:",
        "    except ZeroDivisionError as error:",
    ),
)
def test_a_picture_of_twenty_thousand_pixels_a_side_is_refused(tmp_path: Path) -> None:
    rows = zlib.compressobj(1)
    body = b"".join(rows.compress(b"\0" + b"\xaa" * 2500) for _ in range(20_000)) + rows.flush()
    path = png(tmp_path / "huge.png", 20_000, 1, 0, body)  # one bit a pixel, grey
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"huge\.png is too large: .*400000000 pixels"):
        load_photo(path)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    small = png(tmp_path / "small.png", 7000, 1, 0, zlib.compress(bytes(876 * 7000)))
    assert load_photo(small).image.shape == (7000, 7000, 3)  # that it can be read is not in doubt


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    small = saved(tmp_path / "small.png", Image.fromarray(RGB))
    with pytest.raises(ValueError, match=r"has 6 x 8 pixels, more than 47.*max_pixels"):
        load_photo(small, max_pixels=47)
    assert load_photo(small, max_pixels=48).image.shape == (6, 8, 3)
    with pytest.raises(ValueError, match="the array has 6 x 8 pixels"):
        load_photo(RGB, max_pixels=47)
    for side in (8_000, 12_000, 1_000_000):  # below and above what Pillow itself refuses
        with pytest.raises(ValueError, match=r"bomb\.png.*(pixels, more than|too large)"):
            load_photo(bomb(tmp_path / "bomb.png", side))


def bomb(path: Path, side: int) -> Path:
    """A PNG that says it is enormous and holds next to nothing."""
    return png(path, side, 8, 2, zlib.compress(bytes(1000)))


def png(path: Path, side: int, bits: int, colours: int, body: bytes) -> Path:
    """A PNG of these bytes, whatever they are."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", side, side, bits, colours, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", body), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


@pytest.mark.fault(
    "Data: pictures",
    "A picture that is cut off, empty, or no picture at all",
    sees="`ValueError`: … is broken or cannot be read: …; … is empty; expected a photo; … "
    "is no picture that is known: PNG, JPEG, …",
    kept="the file",
    guard=(
        "xai_utils/_photos.py",
        "    except UNREADABLE as error:",
        "    except ZeroDivisionError as error:",
    ),
)
def test_broken_files_are_named(tmp_path: Path) -> None:
    good = saved(tmp_path / "good.jpg", Image.fromarray(np.tile(RGB, (20, 20, 1)))).read_bytes()
    cases = {"empty.jpg": (b"", "is empty"), "text.jpg": (b"not a photo", "no picture that is")}
    cases["cut.jpg"] = (good[: len(good) // 2], "broken or cannot be read")
    cases["drawing.eps"] = (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture")
    for name, (body, reason) in cases.items():
        (tmp_path / name).write_bytes(body)
        with pytest.raises(ValueError, match=f"{name}.*{reason}"):
            load_photo(tmp_path / name)
    with pytest.raises(ValueError, match="is a folder; expected a photo"):
        load_photo(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no file .*gone\.png; known names: dog_and_cat"):
        load_photo(tmp_path / "gone.png")


@pytest.mark.fault(
    "Data: pictures",
    "A picture with some wrong bytes",
    sees="the picture, as far as it can be read, or `ValueError`: … is broken or cannot be read: …",
    kept="the file",
    guard=(
        "xai_utils/_photos.py",
        "    except UNREADABLE as error:",
        "    except ZeroDivisionError as error:",
    ),
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_damaged_bytes_give_a_picture_or_a_value_error(tmp_path: Path, kind: str) -> None:
    memory, exif = io.BytesIO(), Image.Exif()
    exif[274] = 6
    options = {"exif": exif} if kind in ("PNG", "JPEG", "WEBP") else {}
    Image.fromarray(RGB).save(memory, kind, **options)
    rng, path = random.Random(0), tmp_path / "damaged"
    refused = 0
    for _ in range(150):
        body = bytearray(memory.getvalue())
        for _ in range(rng.randint(1, 4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        path.write_bytes(body[: rng.randint(1, len(body))] if rng.random() < 0.3 else body)
        try:
            assert load_photo(path, max_pixels=10**6).image.shape[2] == 3
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 10


# --- arrays and names ----------------------------------------------------------------------------


def test_arrays_of_every_kind() -> None:
    np.testing.assert_array_equal(load_photo(RGB).image, RGB)
    np.testing.assert_array_equal(load_photo(RGB / 255).image, RGB)
    np.testing.assert_array_equal(load_photo(RGB.astype(np.uint16) * 257).image, RGB)
    grey = RGB[..., :1]
    for given in (grey, grey[..., 0]):
        np.testing.assert_array_equal(load_photo(given).image, np.repeat(grey, 3, -1))
    assert load_photo(grey[..., 0] > 300).image.max() == 0
    photo = load_photo(RGB)
    assert load_photo(photo) is photo
    assert not np.shares_memory(photo.image, RGB)


@pytest.mark.fault(
    "Data: pictures",
    "An array that is no picture: pixels 0 to 255 as floats, NaN, a batch, five channels, no rows",
    sees="`ValueError`: the array runs from 0 to 255; expected floats in [0, 1]: divide "
    "0-255 pixels by 255, or give uint8; and so on",
    kept="the array",
    guard=(
        "xai_utils/_photos.py",
        "if not (pixels.min() >= 0 and pixels.max() <= 1):",
        "if False:",
    ),
)
@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (RGB.astype(np.float32), r"expected floats in \[0, 1\]"),
        (np.full((2, 2), np.nan), "runs from nan"),
        (RGB.astype(np.int64), "dtype int64"),
        (RGB[None], r"one of a batch with photos\[0\]"),
        (np.zeros((4, 4, 5), np.uint8), r"\(4, 4, 5\)"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (np.zeros(4, np.uint8), r"\(4,\)"),
    ],
)
def test_an_array_that_is_no_photo(array: np.ndarray, reason: str) -> None:
    with pytest.raises(ValueError, match=f"the array.*{reason}"):
        load_photo(array)


def test_another_type_is_refused() -> None:
    for wrong in (None, 3, [[0, 1]], Image.fromarray(RGB)):
        with pytest.raises(TypeError, match="expected a name, a path, or an array"):
            load_photo(wrong)  # type: ignore[arg-type]


def test_every_name_gives_a_photo_or_one_that_says_what_it_is(
    monkeypatch: pytest.MonkeyPatch, nothing_at_hand: None
) -> None:
    names = _photos.photo_names()
    assert {"dog_and_cat", "hot_dog", "chelsea", "coffee"} <= set(names)
    assert not {"goldfinch", "beagle"} & set(names)
    shown = {name: load_photo(name).name for name in names}
    assert shown["chelsea"] == shown["dog_and_cat"] == "chelsea"
    assert shown["coffee"] == shown["hot_dog"] == "coffee"
    monkeypatch.setenv("XAI_DATA", "real")
    assert load_photo("chelsea").licence == "CC0"
    with pytest.raises(storage.Unavailable):
        load_photo("dog_and_cat")


def test_a_photo_of_the_mirror_says_its_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "bear.png", Image.fromarray(RGB))
    found = storage.Located(path, "mirror (XAI_DATA_DIR)")
    monkeypatch.setattr(storage, "fetch", lambda name: found)
    photo = load_photo("bear")
    assert isinstance(photo, Photo)
    assert (photo.name, photo.source) == ("bear", "mirror (XAI_DATA_DIR)")
    assert photo.licence.startswith("MIT")


# --- boxes ---------------------------------------------------------------------------------------


def test_boxes_lie_in_their_pictures_and_belong_to_a_photo_of_the_course() -> None:
    assert set(_photos.BOXES) <= set(_photos.photo_names())
    for name, things in _photos.BOXES.items():
        for x0, y0, x1, y1 in (box for boxes in things.values() for box in boxes):
            assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1, name


def test_boxes_in_pixels_are_columns_and_rows_of_the_whole_picture() -> None:
    photo = Photo("two", RGB, "array", boxes={"left half": ((0.0, 0.0, 0.5, 1.0),)})
    np.testing.assert_array_equal(photo.boxes_at((6, 8))["left half"], [[0, 0, 4, 6]])


def test_a_picture_of_the_package_has_its_boxes_and_another_one_has_none() -> None:
    assert set(load_photo("coffee").boxes) == {"cup"}
    assert load_photo(RGB).boxes == {} and load_photo(RGB).boxes_at((5, 5)) == {}
