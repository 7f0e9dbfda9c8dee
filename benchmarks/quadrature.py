"""How exact integrated gradients are for their price, by quadrature: print one table.

For each network, quadrature and number of gradient passes: the median over test images of
``|sum(A) - (f(x) - f(b))| / |f(x) - f(b)|``, b black, and its 90th percentile.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from run import align
from work import BUILD, NETWORKS

from xai_utils import datasets, scores, training
from xai_utils.gradients import integrated_gradients

STEPS = (4, 8, 16, 32, 64, 128, 256)
RULES = ("midpoint", "trapezoid", "gauss-legendre")
IMAGES = 60


def residuals(
    network: str, steps: tuple[int, ...], images: int
) -> dict[str, dict[int, np.ndarray]]:
    """The relative residual of each image, by quadrature and steps."""
    dataset = {"mnist": datasets.load_mnist, "neu": datasets.load_neu}[network]()
    model = training.load_or_train(NETWORKS[network], dataset)
    test = dataset.part("test")
    x = test.take(np.linspace(0, len(test) - 1, images).astype(int)).inputs
    ends = scores.logits(model, np.concatenate([x, np.zeros_like(x[:1])]))
    target = ends[:-1].argmax(axis=1)
    rise = ends[np.arange(images), target] - ends[-1, target]
    found: dict[str, dict[int, np.ndarray]] = {rule: {} for rule in RULES}
    for rule in RULES:
        for n in steps:
            _, residual = integrated_gradients(
                model, x, target, steps=n, quadrature=rule, return_residual=True
            )
            found[rule][n] = np.abs(residual / rise)
    return found


def main() -> None:
    """Measure, print, write."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--quick", action="store_true", help="12 images, up to 32 steps")
    options.add_argument("--json", type=Path, default=BUILD / "quadrature.json")
    chosen = options.parse_args()
    steps = STEPS[:4] if chosen.quick else STEPS
    images = 12 if chosen.quick else IMAGES
    rows, written = [["network", "quadrature", *map(str, steps)]], {}
    for network in NETWORKS:
        found = residuals(network, steps, images)
        for rule, by_steps in found.items():
            median = {n: float(np.median(r)) for n, r in by_steps.items()}
            high = {n: float(np.quantile(r, 0.9)) for n, r in by_steps.items()}
            rows.append([network, rule, *(f"{100 * median[n]:.2f} %" for n in steps)])
            rows.append(["", "  90th percentile", *(f"{100 * high[n]:.2f} %" for n in steps)])
            written[f"{network} {rule}"] = {"median": median, "90th percentile": high}
    print(f"|residual| / |f(x) - f(b)| over {images} test images, by gradient passes an image\n")
    print(align(rows, left=2))
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
