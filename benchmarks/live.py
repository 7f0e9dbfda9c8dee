"""Milliseconds that a live picture takes for one answer, in the kernel: print one table.

An answer is all that happens between two messages: the drawing is read, explained by every method,
coloured and packed.  Digits are answered stroke by stroke, as they grow under a pen.  The way to
the browser and back is not in it; in JupyterLab the picture itself says how long that took.
The bar: a drawn digit within 300 ms on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
from run import align
from work import BUILD

from xai_utils import cam, datasets, live, training

BAR = 300.0


def growing(digits: np.ndarray) -> Iterator[np.ndarray]:
    """Each digit as it appears from the left, in eight strokes, so that no two pages are equal."""
    for digit in digits:
        for columns in np.linspace(4, 28, 8).astype(int):
            page = digit.copy()
            page[:, columns:] = 0
            yield page


def questions(picture: live.Live, total: int, **swept: Any) -> Iterator[dict[str, Any]]:
    """Messages as the browser sends them, one control after the other moved through its values."""
    values = {control.name: control.value for control in picture.controls}
    for k in range(total):
        changed = {name: sweep[k % len(sweep)] for name, sweep in swept.items()}
        yield {"view": "benchmark", "number": k, "values": {**values, **changed}}


def milliseconds(picture: live.Live, asked: list[tuple[dict[str, Any], list[bytes]]]) -> np.ndarray:
    """Time of the clock and of the processors for each answer, ``(answers, 2)``.

    The first three, which compile, are left out.  What the processors spend, added up over the
    cores, does not depend on who else is at work on the machine.
    """
    taken = []
    for message, buffers in asked:
        start = time.perf_counter(), time.process_time()
        answer, _ = picture.reply(message, buffers)
        ends = time.perf_counter(), time.process_time()
        taken.append([1000 * (end - begin) for begin, end in zip(start, ends, strict=True)])
        if "error" in answer:
            raise SystemExit(f"{picture.title}: {answer['error']}")
    return np.array(taken[3:])


def measured(total: int) -> dict[str, np.ndarray]:
    """The times of every live picture."""
    mnist, neu = datasets.load_mnist(), datasets.load_neu()
    digits, plate = mnist.part("test").inputs, neu.part("test").inputs[0]
    model = training.load_or_train("mnist", mnist)
    gap = training.load_or_train("neu_gap", neu)
    draw = live.draw_a_digit(model, {"first": digits[0]})
    pages = [np.rint(255 * p).astype(np.uint8).tobytes() for p in growing(digits[: total // 8 + 1])]
    walk = live.walk_the_path(model, digits[0])
    patch = live.move_a_patch(gap, plate)
    blend = live.blend_classes(gap, plate, method=cam.cam)
    sweep = list(range(0, 200, 7))
    return {
        "draw a digit": milliseconds(
            draw, [(q, [page]) for q, page in zip(questions(draw, total), pages, strict=False)]
        ),
        "walk the path": milliseconds(
            walk, [(q, []) for q in questions(walk, total, step=list(range(1, 33)))]
        ),
        "move a patch": milliseconds(
            patch, [(q, []) for q in questions(patch, total, row=sweep, column=sweep[::-1])]
        ),
        "blend two classes": milliseconds(
            blend, [(q, []) for q in questions(blend, total, t=np.linspace(0, 1, 21).tolist())]
        ),
    }


def main() -> None:
    """Measure, print, write."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--answers", type=int, default=200, help="of each picture (200)")
    options.add_argument("--json", type=Path, default=BUILD / "live.json")
    chosen = options.parse_args()
    times = measured(max(16, chosen.answers))
    late = f"over {BAR:.0f} ms"
    rows = [["picture", "answers", "median ms", "95 % within", "slowest", late, "processor ms"]]
    for name, taken in times.items():
        clock, processor = taken.T
        spread = (np.median(clock), np.quantile(clock, 0.95), clock.max())
        counts = [str((clock > BAR).sum()), f"{np.median(processor):.0f}"]
        rows.append([name, str(len(clock)), *(f"{t:.0f}" for t in spread), *counts])
    print(f"one answer in the kernel, {os.cpu_count()} cores\n")
    print(align(rows, left=1))
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps({n: t.tolist() for n, t in times.items()}) + "\n")


if __name__ == "__main__":
    main()
