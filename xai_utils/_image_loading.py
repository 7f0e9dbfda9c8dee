"""One chunk of images, read and brought into the form in which a network takes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._image_sources import Image, Piece

Prepare = Callable[[NDArray[Any]], NDArray[Any]]


class Loaded(NamedTuple):
    """Images of one chunk: floats ``(n, H, W, C)``, bad ones in the clothes of a good one.

    ``bad``: number within the chunk, and why.  ``images`` is None where all are bad.
    """

    images: NDArray[np.floating] | None
    bad: dict[int, str]
    sha256: str


def load(piece: Piece, shape: tuple[int, ...], prepare: Prepare | None) -> Loaded:
    """Read a chunk, tell sound images from bad ones, and bring them into the model's scale.

    Raises:
        ValueError: ``prepare`` gives another number of images, or the images are not floats.
    """
    read = piece.read()
    bad = {n: image for n, image in enumerate(read) if isinstance(image, str)}
    bad |= {
        n: f"shape {image.shape}; expected {shape}"
        for n, image in enumerate(read)
        if not isinstance(image, str) and image.shape != shape
    }
    good = [n for n in range(len(read)) if n not in bad]
    if not good:
        return Loaded(None, bad, fingerprint(read))
    raw = np.stack([read[n] for n in good])
    x = raw if prepare is None else np.asarray(prepare(raw))
    if len(x) != len(good) or x.dtype.kind != "f":
        raise ValueError(
            f"{len(good)} images become {x.dtype} of shape {x.shape}; expected as many, as floats "
            f"in the model's scale: pass prepare=, e.g. distributed.unit_range for images / 255"
        )
    sound = np.isfinite(x).all(axis=tuple(range(1, x.ndim)))
    bad |= {good[k]: "NaN or infinity in it" for k in np.flatnonzero(~sound)}
    if not sound.any():
        return Loaded(None, bad, fingerprint(read))
    first = int(np.argmax(sound))
    place = np.full(len(read), first)
    place[good] = np.where(sound, np.arange(len(good)), first)
    whole = x if len(bad) == 0 else x[place]
    return Loaded(whole, dict(sorted(bad.items())), fingerprint(read))


def fingerprint(read: Iterable[Image]) -> str:
    """SHA-256 of images as they were read, whatever they were read from."""
    sha = hashlib.sha256()
    for image in read:
        if isinstance(image, str):
            sha.update(b"unreadable")
        else:
            sha.update(json.dumps([image.dtype.str, image.shape]).encode())
            sha.update(np.ascontiguousarray(image).data)
    return sha.hexdigest()
