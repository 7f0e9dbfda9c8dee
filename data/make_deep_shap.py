"""Write `deep_shap_digits.npz`: DeepSHAP of ten digits against 1,000 background images.

    XAI_DATA=real python data/make_deep_shap.py          takes a minute or two

Notebook 04 shows these shares and computes some of them again.  The digits are the first of each
class in MNIST's test set, the network is the shipped one, the background images are 1,000 drawn
from the training part with seed 0.  ``values`` is ``(10 digits, 28, 28, 10 classes)`` float16, in
units of the logit; ``base`` ``(10,)`` is the mean logit of the background.
"""

from __future__ import annotations

import os

import numpy as np

from xai_utils import datasets, shapley, training

KEPT = datasets.DATA / "deep_shap_digits.npz"
BACKGROUND = 1000


def main() -> None:
    """Compute, and write whole or not at all."""
    mnist = datasets.load_mnist()
    if "embedded" in mnist.source:
        raise SystemExit("needs the real MNIST: set XAI_DATA_DIR, or let this machine download it")
    digits, pool = mnist.part("test"), mnist.part("train").inputs
    pool = pool[np.random.default_rng(0).choice(len(pool), BACKGROUND, replace=False)]
    first = [int(np.flatnonzero(digits.labels == k)[0]) for k in range(10)]
    network = training.load_or_train("mnist", mnist)
    found = shapley.deep_shap(network, digits.inputs[first], pool)
    partial = KEPT.with_suffix(".part.npz")
    np.savez_compressed(partial, values=found.values[..., 0, :].astype(np.float16), base=found.base)
    os.replace(partial, KEPT)
    print(f"{KEPT.name}: residual {found.residual:.1e} of the logit")


if __name__ == "__main__":
    main()
