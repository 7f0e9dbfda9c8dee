"""Methods that workers of a cluster import: cheap ones, and ones with an accident built in.

An accident happens once, or `always` until a file "mended" is there; files tell how often.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

PAUSE = 0.05  # seconds a chunk, so that a run has a middle
BLOCK = 2**24  # bytes
MOST = 2**31  # what a method that runs out of memory asks for before it gives up


def squares(model: Any, images: Any, target: Any, *, batch_size: int = 8) -> np.ndarray:
    """A map that depends on every pixel, without any network."""
    time.sleep(PAUSE if len(images) > 1 else 0)
    return np.asarray(images[..., 0] ** 2 - images.mean(axis=(1, 2, 3), keepdims=True)[..., 0])


def accident(
    model: Any,
    images: Any,
    target: Any,
    *,
    kind: str,
    folder: str,
    at: float,
    always: bool = False,
    batch_size: int = 8,
) -> np.ndarray:
    """`squares`, but where a picture's first pixel is `at`, something happens on the way."""
    hit = len(images) > 1 and bool((images[:, 0, 0, 0] == np.float32(at)).any())
    happened = Path(folder, kind)
    if hit and (always or not happened.exists()) and not Path(folder, "mended").exists():
        with happened.open("a") as file:  # one line for each process that it happened to
            file.write(f"{os.getpid()}\n")
        if kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        held = []
        while kind == "out of memory" and len(held) * BLOCK < MOST:
            held.append(np.ones(BLOCK, np.uint8))
            time.sleep(0.02)
        if kind == "no memory":
            raise MemoryError
        if kind == "a mistake":
            raise ZeroDivisionError
    return squares(model, images, target)


def no_network(images: Any) -> Any:
    """Stands where a model stands."""
    return images
