"""What a reader of files may do with any bytes: answer soundly, or refuse in its own words.

Each target writes the bytes to a file and reads it.  Whatever it raises is a find: atheris looks
for one in `make fuzz`, and `FOUND` keeps those of the past, which `make test` reads again.
The seeds are made here, so that no file of others is needed and the corpus stays small.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

# Not on the disk where that can be had: some thousand files are written a second.
MEMORY = Path("/dev/shm")
ROOM = Path(tempfile.mkdtemp(prefix="readers-", dir=MEMORY if MEMORY.is_dir() else None))
MEMBERS = {"IMAGES/a.jpg": b"a picture", "ANNOTATIONS/a.xml": b"<box/>"}
Target = Callable[[bytes], None]


def refused(read: Callable[[], object], *words: str) -> bool:
    """Whether a reader refuses by a ValueError that says which file is meant."""
    try:
        read()
    except ValueError as error:
        said = str(error)
        assert all(word in said for word in words), f"{said!r} does not name {words}"
        return True
    return False


def written(data: bytes, name: str) -> Path:
    path = ROOM / name
    path.write_bytes(data)
    return path


# --- targets -------------------------------------------------------------------------------------


def photo(data: bytes) -> None:
    """`load_photo`: an upright RGB picture, or ValueError with the path."""
    from xai_utils.datasets import load_photo

    path = written(data, "photo.bin")
    found = []
    if not refused(lambda: found.append(load_photo(path, max_pixels=10**6)), str(path)):
        image = found[0].image
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size


def archive(data: bytes) -> None:
    """`extract` and `read_members`: what the manifest says, or ValueError and nothing at all."""
    from xai_utils import storage

    path, target = written(data, "archive.zip"), ROOM / "unpacked"
    wanted = {
        name: storage.Member(hashlib.sha256(body).hexdigest(), len(body))
        for name, body in MEMBERS.items()
    }
    if refused(lambda: storage.extract(path, wanted, target)):
        assert not target.exists()
        assert refused(lambda: list(storage.read_members(path, wanted)))
    else:
        assert dict(storage.read_members(path, wanted)) == MEMBERS
        names = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
        assert names == set(MEMBERS)
        shutil.rmtree(target)
    beside = {p.name for p in ROOM.iterdir()}
    assert not any(name.endswith(".part") for name in beside), beside


def registry(data: bytes) -> None:
    """`load_registry`: entries of the right kinds, or ValueError with the file's name."""
    from xai_utils import storage

    path = written(data, "registry.json")
    found: list[dict[str, storage.Entry]] = []
    if not refused(lambda: found.append(storage.load_registry(path)), "registry.json"):
        for name, entry in found[0].items():
            assert (entry.name == name and entry.sha256 is None) or len(str(entry.sha256)) == 64
            assert 0 <= entry.bytes <= entry.max_bytes
            assert all(isinstance(url, str) for url in entry.urls)
            assert entry.remedy


def sums(data: bytes) -> None:
    """`read_sums`: names with 64 hexadecimal digits, or ValueError with the file's name."""
    from xai_utils import storage

    path = written(data, "SHA256SUMS")
    found: list[dict[str, str]] = []
    if not refused(lambda: found.append(storage.read_sums(path)), "SHA256SUMS"):
        for name, digest in found[0].items():
            assert name and len(digest) == 64 and set(digest) <= set("0123456789abcdef")


def digits(data: bytes) -> None:
    """`check_mnist` as the storage calls it: ValueError for whatever is not MNIST."""
    from xai_utils import _readers, storage

    path = written(data, "mnist.npz")
    entry = storage.Entry("mnist.npz", None, len(data), (), "", "", len(data))
    assert refused(lambda: storage.check_file(path, entry, _readers.check_mnist))


def names(data: bytes) -> None:
    """Names of classes from a text file: one a line, or ValueError with the path."""
    from xai_utils import _own_models

    path = written(data, "classes.txt")
    found: list[tuple[str, ...] | None] = []
    if not refused(lambda: found.append(_own_models._names(path)), str(path)):
        assert all(name == name.strip() != "" for name in found[0] or ())


def board(data: bytes) -> None:
    """`scoreboard.read`: a board that can be summed up, or ValueError with the file's name."""
    from xai_utils import scoreboard

    path = written(data, "scoreboard.csv")
    found: list[scoreboard.Scoreboard] = []
    if refused(lambda: found.append(scoreboard.read(path)), "scoreboard.csv"):
        return
    if {"data", "network"} <= set(found[0]) and "all" in set(found[0]["class"]):
        scoreboard.saliency_cards(found[0])


def store(data: bytes) -> None:
    """What a store of maps says of itself: a dict, or `OtherStore`, which is a ValueError."""
    from xai_utils import _map_store

    folder = ROOM / "store"
    (folder / _map_store.RECORDS).mkdir(parents=True, exist_ok=True)
    (folder / "zarr.json").write_bytes(data)
    (folder / _map_store.RECORDS / "000000.json").write_bytes(data)
    if not refused(lambda: _map_store.provenance(folder), str(folder)):
        assert isinstance(_map_store.provenance(folder), dict)
    _map_store.MapStore(folder).record(0)


TARGETS: dict[str, Target] = {
    f.__name__: f for f in (photo, archive, registry, sums, digits, names, board, store)
}

# --- seeds ---------------------------------------------------------------------------------------


def seeds(target: str) -> list[bytes]:
    """Small sound files, and some that are nearly sound."""
    return list(_SEEDS[target]())


def _photos() -> Iterator[bytes]:
    from PIL import Image

    rgb = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)
    grey, exif = Image.fromarray(rgb[..., 0]), Image.Exif()
    exif[274] = 6
    rgba = Image.fromarray(np.dstack([rgb, rgb[..., 0]]))
    palette = grey.convert("P")
    deep = Image.fromarray(rgb[..., 0].astype(np.uint16) * 257)
    pictures: list[tuple[str, Image.Image, dict[str, object]]] = [
        *((kind, Image.fromarray(rgb), {}) for kind in ("JPEG", "BMP", "PPM", "TIFF", "WEBP")),
        *(("PNG", picture, {"exif": exif}) for picture in (grey, rgba, deep)),
        ("PNG", palette, {"transparency": 1}),
        ("JPEG", Image.fromarray(rgb).convert("CMYK"), {"exif": exif}),
        ("GIF", palette, {"save_all": True, "append_images": [grey]}),
        ("TIFF", rgba, {"compression": "tiff_lzw"}),
        ("TIFF", Image.fromarray((rgb[..., 0] / 255).astype(np.float32)), {}),
    ]
    for kind, picture, options in pictures:
        memory = io.BytesIO()
        picture.save(memory, kind, **options)
        yield memory.getvalue()


def _archives() -> Iterator[bytes]:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        for folder in ("", "neu-main/"):
            yield _zip({folder + name: body for name, body in MEMBERS.items()}, method)
    link = zipfile.ZipInfo("IMAGES/a.jpg")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    other = {"ANNOTATIONS/a.xml": MEMBERS["ANNOTATIONS/a.xml"]}
    yield _zip({link: b"/etc/passwd"} | other, zipfile.ZIP_STORED)
    yield _zip({"../up": b"x"} | MEMBERS, zipfile.ZIP_BZIP2)


def _zip(members: Mapping[str | zipfile.ZipInfo, bytes], method: int) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", method) as container:
        for name, body in members.items():
            container.writestr(name, body)
    return memory.getvalue()


def _registries() -> Iterator[bytes]:
    entry = {"sha256": "0" * 64, "bytes": 3, "urls": ["https://a.example/b"], "licence": "MIT"}
    yield json.dumps({"a.zip": entry | {"what": "an archive"}}).encode()
    whole = {"sha256": None, "what": "", "max_bytes": 9}
    yield json.dumps({"b": entry | whole, "c": entry}).encode()


def _sums() -> Iterator[bytes]:
    yield (f"{'0a' * 32}  a.zip\n{'B1' * 32} *./b c.npz\n\n").encode()


def _digits() -> Iterator[bytes]:
    memory = io.BytesIO()
    np.savez(memory, x_train=np.zeros((1, 2, 2), np.uint8), y_train=np.zeros(1, np.uint8))
    yield memory.getvalue()
    memory = io.BytesIO()
    np.savez_compressed(memory, x_train=np.zeros(3, ">f8"), x_test=np.array(["a"]))
    yield memory.getvalue()


def _names() -> Iterator[bytes]:
    yield "\ufeffcat\r\ndog\n\n Bär \n".encode()


def _boards() -> Iterator[bytes]:
    shipped = Path(__file__).resolve().parents[2] / "data" / "scoreboard.csv"
    lines = shipped.read_text(encoding="utf-8").splitlines(keepends=True)
    yield "".join(lines[:4]).encode()
    yield ("\ufeff" + "".join(lines[:2])).encode()


def _stores() -> Iterator[bytes]:
    yield json.dumps({"attributes": {"explained": {"fingerprints": {"model": "a"}}}}).encode()
    record = {"images": [0, 4], "inputs": "a", "maps": "b", "skipped": []}
    yield json.dumps(record).encode()


_SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "photo": _photos,
    "archive": _archives,
    "registry": _registries,
    "sums": _sums,
    "digits": _digits,
    "names": _names,
    "board": _boards,
    "store": _stores,
}

# --- what broke a reader once ---------------------------------------------------------------------


def found(target: str) -> list[bytes]:
    """Files that a reader once fell over, or took for sound."""
    return _FOUND.get(target, lambda: [])()


def _broken_archives() -> list[bytes]:
    whole = _zip(MEMBERS, zipfile.ZIP_STORED)
    end = whole.rindex(b"PK\5\6")
    larger = (len(whole) * 2).to_bytes(4, "little")  # than the file: it begins before its beginning
    return [whole[: end + 12] + larger + whole[end + 16 :]]


def _broken_digits() -> list[bytes]:
    memory = io.BytesIO()
    np.save(memory, np.zeros(3, np.uint8))
    sound = next(_digits())
    entry = sound.index(b"PK\1\2") + 6  # the version of zip that its reader must know
    open_bracket = b"\x93NUMPY\1\0" + (8).to_bytes(2, "little") + b"{'descr("
    return [
        memory.getvalue(),
        sound[:entry] + bytes([80]) + sound[entry + 1 :],
        _zip({"x_train.npy": open_bracket}, zipfile.ZIP_STORED),
    ]


def _broken_boards() -> list[bytes]:
    head, row = next(_boards()).decode().splitlines()[:2]
    return ["\n".join([head, row.replace("saliency", "")]).encode(), b"data,network\n"]


_FOUND: dict[str, Callable[[], list[bytes]]] = {
    "archive": _broken_archives,
    "registry": lambda: [b"[]", b'{"a": {"sha256": null}}', b"\xff", b"[" * 100_000],
    "sums": lambda: [b"\n", b"\xff", b"g" * 64 + b" a"],
    "digits": _broken_digits,
    "board": _broken_boards,
    "store": lambda: [b"[" * 100_000],
}
