"""A trained network in the course's clothes: from photographs to named classes, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._photos import Photo, load_photo

if TYPE_CHECKING:
    import keras

    from .datasets import ImageDataset

OnePhoto = str | Path | Photo | NDArray[Any]
Photos = OnePhoto | Sequence[OnePhoto]


class Prediction(NamedTuple):
    """One class that a network names: its number, its name, its score."""

    number: int
    name: str
    score: float


@dataclass(frozen=True)
class Scaling:
    """What a network does to the colours: ``x = (rgb / 255 - mean) / sd``, in its channels' order.

    ``mean`` and ``sd`` are of red, green and blue; ``bgr`` turns the channels around afterwards;
    ``grey`` networks get one channel, the picture's luminance, scaled as red is.
    """

    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    sd: tuple[float, ...] = (1.0, 1.0, 1.0)
    bgr: bool = False
    grey: bool = False

    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures ``(N, H, W, 3)`` uint8 as the network wants them, float32."""
        if self.grey:
            from PIL import Image

            grey = [np.asarray(Image.fromarray(picture).convert("L")) for picture in rgb]
            x = np.stack(grey)[..., None].astype(np.float32) / np.float32(255)
            return (x - np.float32(self.mean[0])) / np.float32(self.sd[0])
        x = (rgb / 255 - np.array(self.mean)) / np.array(self.sd)
        return (x[..., ::-1] if self.bgr else x).astype(np.float32)

    def undo(self, images: ArrayLike) -> NDArray[np.float32]:
        """The way back: ``(N, H, W, C)`` to colours in [0, 1]; what lies outside is clipped."""
        x = np.array(images, np.float32)
        if self.grey:
            x = x * np.float32(self.sd[0]) + np.float32(self.mean[0])
        else:
            x = (x[..., ::-1] if self.bgr else x) * np.array(self.sd) + np.array(self.mean)
        return np.clip(x, 0, 1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network with all that is needed to show it a photograph and read its answer.

    Attributes:
        name: the network's, for a figure's title.
        model: ends in a softmax; its logits are read by `xai_utils.scores`.
        size: height and width of its input in pixels.
        classes: what each output means.
        cam_layer: the tensor whose maps class activation mapping reads: what global average
            pooling reads, where the network has that, else the last spatial convolution.
        weights: which weights these are.
        source: where they come from.
        scaling: its own preprocessing.
        imagenet: whether it knows the 1,000 classes of ImageNet; False for the stand-in.
        plates: what the stand-in looks at, as it knows no photographs; else None.
    """

    name: str
    model: keras.Model
    size: tuple[int, int]
    classes: tuple[str, ...]
    cam_layer: str
    weights: str
    source: str
    scaling: Scaling
    imagenet: bool = True
    plates: ImageDataset | None = None

    @property
    def title(self) -> str:
        """Network and weights, for a figure's title: ``"MobileNetV2 (8-bit ImageNet weights)"``."""
        return f"{self.name} ({self.weights})"

    def picture(self, photo: OnePhoto, number: int = 0) -> Photo:
        """A photograph (see `load_photo`), or, for a network that knows only steel, a plate.

        ``number`` says which of the test plates; it means nothing for a photograph.
        """
        if self.plates is None:
            return load_photo(photo)
        test = self.plates.part("test")
        step = len(test) // len(self.classes)  # from class to class: the plates come class by class
        k = (number * step + number // len(self.classes)) % len(test)
        plate = np.repeat(test.images[k], 3, axis=-1)
        return Photo(test.names[k], plate, self.plates.source)

    def resized(self, photos: Photos) -> NDArray[np.uint8]:
        """The whole picture at the network's size, bilinear: ``(N, H, W, 3)`` uint8, to be shown.

        Proportions are not kept: nothing is cut off, so every place of a map is one of the photo.
        """
        from PIL import Image

        height, width = self.size
        pictures = [Image.fromarray(photo.image) for photo in _loaded(photos)]
        small = [p.resize((width, height), Image.Resampling.BILINEAR) for p in pictures]
        return np.stack([np.asarray(picture) for picture in small])

    def preprocess(self, photos: Photos) -> NDArray[np.float32]:
        """Photos as the network wants them: resized, then in its own scale.

        Args:
            photos: what `load_photo` takes, or a list of that, or an array ``(N, H, W, C)``.

        Returns:
            ``(N, H, W, C)`` float32 for ``model``.

        Raises:
            ValueError, TypeError: no photos, or what `load_photo` raises.
        """
        return self.scaling.apply(self.resized(photos))

    def restore(self, images: ArrayLike) -> NDArray[np.float32]:
        """The way back from the network's scale: ``(N, H, W, C)`` in [0, 1], RGB or grey."""
        return self.scaling.undo(images)

    def decode(self, scores: ArrayLike, top: int = 5) -> list[list[Prediction]]:
        """The ``top`` classes of each image with their names, the highest score first.

        Args:
            scores: ``(N, classes)``, probabilities or logits, as the model or `scores.logits` give.
            top: how many.

        Raises:
            ValueError: another shape, or ``top`` not between 1 and the number of classes.
        """
        values = np.asarray(scores)
        if values.ndim != 2 or values.shape[1] != len(self.classes):
            raise ValueError(f"scores of shape {values.shape}; expected (N, {len(self.classes)})")
        if not 1 <= top <= len(self.classes):
            raise ValueError(f"top {top!r}; expected 1 to {len(self.classes)}")
        order = np.argsort(-values, axis=1, kind="stable")[:, :top]
        return [
            [Prediction(int(k), self.classes[k], float(row[k])) for k in best]
            for row, best in zip(values, order, strict=True)
        ]


def _loaded(photos: Photos) -> list[Photo]:
    """One photo or many as a list: a string is a name or a path, an array of four axes is many."""
    many = photos.ndim == 4 if isinstance(photos, np.ndarray) else isinstance(photos, list | tuple)
    given: Any = photos if many else [photos]
    if len(given) == 0:
        raise ValueError("no photos; expected one, or a list of them")
    return [load_photo(photo) for photo in given]
