"""Photographs: any file or array as upright ``(H, W, 3)`` uint8, or an error that says why not."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import storage
from ._suggestions import did_you_mean, or_known

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # no PostScript: it is a program
MAX_PIXELS = 50_000_000  # 150 MB as RGB; more than cameras and phones usually give
IN_THE_PACKAGE = {"chelsea": "a cat", "coffee": "a cup of coffee"}  # scikit-image's own, CC0
# Drawn by hand around what can be seen: left, top, right, bottom, as shares of the picture.
Box = tuple[float, float, float, float]
BOXES: dict[str, dict[str, tuple[Box, ...]]] = {
    "dog_and_cat": {"dog": ((0.00, 0.37, 0.37, 0.83),), "cat": ((0.45, 0.17, 0.87, 0.61),)},
    "bull_mastiff_and_cat": {"dog": ((0.35, 0.06, 0.72, 0.64),), "cat": ((0.20, 0.54, 0.88, 1.0),)},
    "doberman": {"dog": ((0.27, 0.17, 0.91, 1.00),)},
    "bear": {"bear": ((0.49, 0.35, 0.93, 0.80),)},
    "goldfish": {"fish": ((0.00, 0.17, 0.72, 0.71), (0.57, 0.49, 0.97, 1.00))},
    "egyptian_cat": {"cat": ((0.10, 0.11, 0.70, 1.00),)},
    "chickadee": {"bird": ((0.07, 0.22, 0.95, 0.90),)},
    "hot_dog": {"hot dog": ((0.19, 0.22, 0.94, 0.60),)},
    "chelsea": {"cat": ((0.00, 0.00, 0.82, 1.00),)},
    "coffee": {"cup": ((0.29, 0.04, 0.71, 0.60),)},
}
UNREADABLE = (
    *(OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError),
    *(AttributeError, AssertionError, NotImplementedError, MemoryError, struct.error),
)


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph.

    Attributes:
        name: the name it was asked for by, or that of its file.
        image: ``(H, W, 3)`` uint8, upright.
        source: where it comes from.
        licence: under which terms, where that is known.
        boxes: thing -> its boxes, drawn by hand; empty for a picture that the course does not know.
    """

    name: str
    image: NDArray[np.uint8]
    source: str
    licence: str = "not stated"
    boxes: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)

    def boxes_at(self, size: tuple[int, int]) -> dict[str, NDArray[np.intp]]:
        """Thing -> ``(n, 4)`` of x0, y0, x1, y1 in pixels of the whole picture at ``(H, W)``.

        As `metrics.box_mask` and `plots.Panel` take them.
        """
        scale = np.array([size[1], size[0], size[1], size[0]])
        return {
            thing: np.rint(np.array(drawn) * scale).astype(np.intp)
            for thing, drawn in self.boxes.items()
        }


def load_photo(photo: str | Path | NDArray[Any] | Photo, *, max_pixels: int = MAX_PIXELS) -> Photo:
    """A photograph from its name, its file or its pixels, always upright RGB.

    A file is turned as its EXIF orientation says.  What is transparent becomes white.  Grey,
    palette, 16-bit (0 to 65,535) and CMYK pictures become RGB of 8 bits; a colour profile is not
    applied.  Of an animation the first frame is taken, and ``source`` says so.

    Args:
        photo: a name of the course's photographs, e.g. ``"dog_and_cat"`` (where there is none at
            hand, one that ships with scikit-image is used and named); or a file's path (PNG, JPEG,
            BMP, GIF, TIFF, WEBP, PPM); or an array ``(H, W)``, or ``(H, W, C)`` with 1 to 4
            channels (grey, grey and alpha, RGB, RGBA): bool, uint8, uint16 or floats in [0, 1].
        max_pixels: a larger picture is refused before it is decoded.

    Raises:
        ValueError: unknown name, no picture, a broken, empty or too large one, or an array that is
            none.
        FileNotFoundError: no such file.
        TypeError: neither a name nor a path nor an array.
        storage.DamagedFile, storage.Unavailable: as for `load_neu`.
    """
    if isinstance(photo, Photo):
        return photo
    if isinstance(photo, np.ndarray):
        _check_size("the array", photo.shape[:2], max_pixels)
        return Photo("array", _rgb(photo, "the array"), "array")
    if not isinstance(photo, str | os.PathLike):
        raise TypeError(
            f"photo is a {type(photo).__name__}; expected a name, a path, or an array (H, W, 3)"
        )
    if isinstance(photo, str) and photo in photo_names():
        return _by_name(photo, max_pixels)
    path = Path(photo).expanduser()
    if isinstance(photo, str) and not path.exists() and not (path.suffix or path.name != photo):
        raise ValueError(f"no photo {photo!r}; {or_known(photo, photo_names())}, or a file's path")
    return Photo(path.stem, *_read(path, max_pixels))


def photo_names() -> dict[str, str | None]:
    """The course's photographs by name: their file in the registry, None for scikit-image's."""
    names: dict[str, str | None] = {
        Path(key).stem: key for key in storage.load_registry() if key.startswith("photos/")
    }
    return names | dict.fromkeys(IN_THE_PACKAGE)


def _by_name(name: str, max_pixels: int) -> Photo:
    file = photo_names()[name]
    if file is None:
        return _from_package(name, "scikit-image")
    try:
        found = storage.fetch(file)
    except storage.Unavailable as missing:
        other = "coffee" if name == "hot_dog" else "chelsea"
        return _from_package(other, missing.instead(f"scikit-image's picture '{other}'"))
    licence = storage.load_registry()[file].licence
    image = _read(found.path, max_pixels)[0]
    return Photo(name, image, found.source, licence, BOXES.get(name, {}))


def _from_package(name: str, source: str) -> Photo:
    import skimage.data

    return Photo(name, getattr(skimage.data, name)(), source, "CC0", BOXES[name])


# --- files ---------------------------------------------------------------------------------------


def _read(path: Path, max_pixels: int) -> tuple[NDArray[np.uint8], str]:
    """The pixels of a file, and what was read: the file, or one frame of it."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not path.exists():
        hint = did_you_mean(path.name, _beside(path)) or f"known names: {', '.join(photo_names())}"
        raise FileNotFoundError(f"no file {path}; {hint}")
    if not path.is_file() or path.stat().st_size == 0:
        what = "empty" if path.is_file() else "a folder" if path.is_dir() else "no file"
        raise ValueError(f"{path} is {what}; expected a photo")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the size is checked here, and odd tags do no harm
            with Image.open(path, formats=FORMATS) as picture:
                _check_size(str(path), (picture.height, picture.width), max_pixels)
                what = "file, its first frame" if _is_animated(picture) else "file"
                return _decoded(ImageOps.exif_transpose(picture), str(path)), what
    except _TooLarge:
        raise
    except Image.DecompressionBombError as error:
        raise _TooLarge(
            f"{path} is too large: {str(error).rstrip('.')}; make it smaller"
        ) from error
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{path} is no picture that is known: {', '.join(FORMATS)}{_advice(path)}"
        ) from error
    except UNREADABLE as error:
        raise ValueError(f"{path} is broken or cannot be read: {error}") from error


def _beside(path: Path) -> list[str]:
    """The files of a path's folder, as far as it can be read."""
    try:
        return [file.name for file in path.parent.iterdir() if file.is_file()]
    except OSError:
        return []


def _advice(path: Path) -> str:
    """What to do with a picture of a phone: HEIC and AVIF lie in the same container as films."""
    with path.open("rb") as file:
        start = file.read(12)
    if start[4:8] == b"ftyp" and start[8:11] in (b"hei", b"hev", b"mif", b"msf", b"avi"):
        return ". It is HEIC or AVIF, as phones store photos: export it as JPEG"
    return ""


def _is_animated(picture: Image.Image) -> bool:
    """Whether a file holds several pictures (what a phone hides behind a JPEG does not count)."""
    try:
        return picture.format != "MPO" and bool(getattr(picture, "is_animated", False))
    except UNREADABLE:  # the second frame is broken; the first is what is read
        return True


class _TooLarge(ValueError):
    """A picture that is not decoded, because it has too many pixels."""


def _check_size(what: str, size: tuple[int, ...], max_pixels: int) -> None:
    if int(np.prod(size, dtype=np.float64)) > max_pixels:
        raise _TooLarge(
            f"{what} has {' x '.join(f'{n:,}' for n in size)} pixels, more than {max_pixels:,}; "
            f"make it smaller, or raise max_pixels"
        )


def _decoded(picture: Image.Image, what: str) -> NDArray[np.uint8]:
    """The pixels, whatever the file's mode."""
    if picture.mode.startswith(("I", "F")):
        pixels = np.asarray(picture)
        if pixels.dtype.kind == "i" and pixels.size and pixels.min() >= 0 and pixels.max() < 2**16:
            pixels = pixels.astype(np.uint16)  # 16 bits in a container of 32
        return _rgb(pixels, what)
    if picture.mode in ("LA", "La", "PA", "RGBa", "RGBA") or "transparency" in picture.info:
        return _rgb(np.asarray(picture.convert("RGBA")), what)
    return np.asarray(picture.convert("RGB"))


# --- arrays --------------------------------------------------------------------------------------


def _rgb(pixels: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """``(H, W, 3)`` uint8 of an array with 1 to 4 channels, alpha laid over white."""
    shape = pixels.shape
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.size == 0 or pixels.shape[-1] > 4:
        hint = "; take one of a batch with photos[0]" if pixels.ndim == 4 else ""
        raise ValueError(f"{what} has shape {shape}; expected (H, W) or (H, W, 1 to 4){hint}")
    eight_bits = _eight_bits(pixels, what)
    channels = pixels.shape[-1]
    colour = eight_bits[..., : channels - 1 if channels in (2, 4) else channels]
    if channels in (2, 4):
        alpha = eight_bits[..., -1:] / 255
        colour = np.rint(alpha * colour + (1 - alpha) * 255).astype(np.uint8)
    return np.array(np.broadcast_to(colour, (*shape[:2], 3)))


def _eight_bits(pixels: NDArray[Any], what: str) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize == 2:
        return np.rint(pixels / 257).astype(np.uint8)
    if pixels.dtype.kind != "f":
        raise ValueError(
            f"{what} has dtype {pixels.dtype}; expected bool, uint8, uint16 or floats in [0, 1]"
        )
    if not (pixels.min() >= 0 and pixels.max() <= 1):  # false for NaN, too
        raise ValueError(
            f"{what} runs from {pixels.min():.4g} to {pixels.max():.4g}; expected floats in "
            f"[0, 1]: divide 0-255 pixels by 255, or give uint8"
        )
    return np.rint(pixels * 255).astype(np.uint8)
