"""Images of a dataset larger than memory: where they lie, and how one chunk of them is read.

A source knows how many images there are; its `piece` is what a worker gets of one chunk: a path and
two numbers where the images lie in files, the images themselves where they are in memory.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

ENDINGS = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
MODES = {1: "L", 3: "RGB"}
Image = NDArray[Any] | str  # as it was read, or the reason why it cannot be


class Piece(Protocol):
    """The images of one chunk, before they are read."""

    def read(self) -> list[Image]:
        """Each image, or why it cannot be read."""


class Source(Protocol):
    """Images that are read chunk by chunk.

    Attributes:
        shape: of one image as it is read, ``(H, W, C)``; None where only reading tells.
        names: of the files; None where images have numbers only.
        in_memory: whether a piece carries the images themselves.
    """

    @property
    def shape(self) -> tuple[int, ...] | None: ...
    @property
    def names(self) -> Sequence[str] | None: ...
    @property
    def in_memory(self) -> bool: ...
    def __len__(self) -> int: ...

    def piece(self, start: int, stop: int) -> Piece:
        """The images from ``start`` up to before ``stop``."""


class HeldPiece(NamedTuple):
    """Images that travel with the task."""

    images: NDArray[Any]

    def read(self) -> list[Image]:
        return list(self.images)


@dataclass(frozen=True)
class Held:
    """An array in this process's memory."""

    images: NDArray[Any]
    names: None = None
    in_memory: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        return self.images.shape[1:]

    def __len__(self) -> int:
        return len(self.images)

    def piece(self, start: int, stop: int) -> HeldPiece:
        return HeldPiece(self.images[start:stop])


class StoredPiece(NamedTuple):
    """Images that a worker reads out of a Zarr store or an HDF5 file."""

    kind: str
    path: str
    key: str
    start: int
    stop: int

    def read(self) -> list[Image]:
        with _opened(self.kind, self.path, self.key) as array:
            try:
                return list(array[self.start : self.stop])
            except (OSError, ValueError, RuntimeError):  # one block of it: which images are in it?
                return [_one(array, n) for n in range(self.start, self.stop)]


@dataclass(frozen=True)
class Stored:
    """An array in a Zarr store or an HDF5 file, which every worker opens for itself."""

    kind: str
    path: str
    key: str
    length: int
    shape: tuple[int, ...]
    names: None = None
    in_memory: bool = False

    def __len__(self) -> int:
        return self.length

    def piece(self, start: int, stop: int) -> StoredPiece:
        return StoredPiece(self.kind, self.path, self.key, start, stop)


class FolderPiece(NamedTuple):
    """Files that a worker reads and decodes."""

    folder: str
    names: tuple[str, ...]
    mode: str

    def read(self) -> list[Image]:
        return [_decoded(Path(self.folder, name), self.mode) for name in self.names]


@dataclass(frozen=True)
class ImageFolder:
    """The picture files of a folder and of those in it, in the order of their names.

    Attributes:
        folder: where they lie, for every worker at the same path.
        mode: ``"L"`` for grey, ``"RGB"`` for colours; each file is turned into it.
        shape: of each picture; None for that of the first.  Nothing is resized: a picture of
            another size is one that cannot be explained.
    """

    folder: Path
    mode: str
    shape: tuple[int, ...] | None = None
    names: Sequence[str] = field(init=False)
    in_memory: bool = False

    def __post_init__(self) -> None:
        found = (p for p in self.folder.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
        names = sorted(p.relative_to(self.folder).as_posix() for p in found)
        if not names:
            raise ValueError(
                f"no pictures in {self.folder}; expected files {', '.join(sorted(ENDINGS))}"
            )
        object.__setattr__(self, "names", names)

    def __len__(self) -> int:
        return len(self.names)

    def piece(self, start: int, stop: int) -> FolderPiece:
        return FolderPiece(str(self.folder), tuple(self.names[start:stop]), self.mode)


def source(images: Any, shape: Sequence[int | None] | None) -> Source:
    """What was given as images, as a source.

    Args:
        images: an array; a `zarr.Array`; an `h5py.Dataset`; the path of a Zarr array, or of a
            folder of pictures; or a source as it is.
        shape: ``(H, W, C)`` that the model takes, as far as it says; None for a callable.

    Raises:
        TypeError: anything else.
        ValueError: no images, a folder without pictures, a Zarr array that is in memory only.
    """
    kind = type(images).__module__.partition(".")[0]
    found: Source
    if isinstance(images, str | Path):
        found = _of_path(Path(images).expanduser().absolute(), shape)
    elif kind == "zarr":
        found = _of_zarr(images)
    elif kind == "h5py":
        path = str(Path(images.file.filename).absolute())
        found = Stored("hdf5", path, images.name, len(images), tuple(images.shape[1:]))
    elif isinstance(images, np.ndarray | list | tuple):
        found = Held(np.asarray(images))
    elif hasattr(images, "piece"):
        found = images
    else:
        raise TypeError(
            f"images of type {type(images).__name__}; expected an array, a Zarr or HDF5 array, or "
            f"the path of a Zarr array or of a folder of pictures"
        )
    if found.shape is not None and len(found.shape) != 3:
        raise ValueError(f"images of shape {(len(found), *found.shape)}; expected (N, H, W, C)")
    if not len(found):
        raise ValueError("no images; expected at least one")
    return found


def _of_path(path: Path, shape: Sequence[int | None] | None) -> Source:
    if (path / "zarr.json").exists() or (path / ".zarray").exists():
        import zarr

        return _of_zarr(zarr.open_array(path, mode="r"))
    if not path.is_dir():
        raise ValueError(f"{path} is neither a Zarr array nor a folder of pictures")
    channels = 3 if shape is None or shape[2] is None else shape[2]
    if channels not in MODES:
        raise ValueError(f"the model takes {channels} channels; files of pictures have 1 or 3")
    known = None if shape is None or None in shape else tuple(int(n or 0) for n in shape)
    return ImageFolder(path, MODES[channels], known)


def _of_zarr(array: Any) -> Stored:
    root = getattr(array.store, "root", None)
    if root is None:
        raise ValueError(
            f"a Zarr array in {type(array.store).__name__}, which no other process can open; "
            f"expected one in a folder, or its values: array[:]"
        )
    path = str(Path(root, array.path).absolute())
    return Stored("zarr", path, "", int(array.shape[0]), tuple(array.shape[1:]))


@contextlib.contextmanager
def _opened(kind: str, path: str, key: str) -> Iterator[Any]:
    """The stored array, open as long as it is read."""
    if kind == "zarr":
        import zarr

        yield zarr.open_array(path, mode="r")
    else:
        import h5py  # type: ignore[import-untyped]

        with h5py.File(path, "r") as file:
            yield file[key]


def _one(array: Any, n: int) -> Image:
    try:
        return np.asarray(array[n])
    except (OSError, ValueError, RuntimeError) as error:
        return _reason(error)


def _decoded(path: Path, mode: str) -> Image:
    """A picture's pixels ``(H, W, C)``, or why there are none.

    A file that cannot be decoded is corrupt; a disk that does not answer is not the file's fault,
    and raises.
    """
    from PIL import Image as Pillow

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return "the file is gone"
    try:
        with Pillow.open(io.BytesIO(content)) as picture:
            if picture.mode.startswith(("I", "F")):
                return f"pixels of kind {picture.mode}; expected 8 bits a channel"
            pixels = np.asarray(picture.convert(mode))
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError) as error:
        return _reason(error)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _reason(error: Exception) -> str:
    """In one line, and without what differs from process to process, such as addresses."""
    text = str(error).partition(" <_io")[0].partition("\n")[0]
    return f"{type(error).__name__}: {text}".rstrip(": ")
