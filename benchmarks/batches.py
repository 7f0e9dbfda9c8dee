"""Milliseconds a pass by batch size, bare and through our engine: print one table.

Shows whether `xai_utils._engine.default_batch` picks well: its choice is marked.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import ours
from run import align
from work import BUILD, NETWORKS, prepare

from xai_utils import scores
from xai_utils.gradients import smooth_grad

PASSES = 256


def engine_curve(network: str, passes: str, total: int, repeat: int) -> dict[int, float]:
    """The same through our engine: logits, or SmoothGrad without noise (a gradient a sample)."""
    model, data = ours.network(network)
    x, target = data.images[:8], data.target[:8]

    def run(size: int) -> Any:
        if passes == "gradient":
            samples = total // len(x)
            return smooth_grad(model, x, target, samples=samples, noise=0.0, batch_size=size)
        step = scores.compiled(model, ("batches",), lambda m, x, _: scores.trace(m, x).logits)
        rows = scores.in_batches(step, lambda n: (x[n % 8], target[n % 8]), total, size, "batches")
        return list(rows)

    best = {}
    for size in ours.SIZES:
        if size > total:
            continue
        seconds = []
        for _ in range(repeat + 1):
            start = time.perf_counter()
            run(size)
            seconds.append(time.perf_counter() - start)
        best[size] = 1000 * min(seconds[1:]) / total
    return best


def main() -> None:
    """Measure, print, write."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--quick", action="store_true", help="64 passes, not repeated")
    options.add_argument("--json", type=Path, default=BUILD / "batches.json")
    chosen = options.parse_args()
    total = 64 if chosen.quick else PASSES
    prepare()
    sizes = [size for size in ours.SIZES if size <= total]
    rows, written = [["network", "passes", *map(str, sizes)]], {}
    for network in NETWORKS:
        default = scores.default_batch(ours.network(network)[1].images.shape[1:])
        for passes in ("forward", "gradient"):
            curves = {
                "bare": ours.curve(network, passes, total),
                "engine": engine_curve(network, passes, total, 1 if chosen.quick else 3),
            }
            for name, curve in curves.items():
                cells = [f"{curve[s]:.2f}" + ("*" if s == default else " ") for s in sizes]
                rows.append([network, f"{passes}, {name}", *cells])
                written[f"{network} {passes} {name}"] = curve
    print(f"milliseconds a pass by batch size, {total} passes (* the engine's own choice)\n")
    print(align(rows, left=2))
    chosen.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
