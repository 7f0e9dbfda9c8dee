"""The package ``lime``, imported here only: quiet, seeded, and with weights in the features' order.

It is no longer maintained, so what has to be worked around is worked around here.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._frames import Floats


def fit_row(
    ask: Callable[[Any], Floats],
    row: Floats,
    train: Floats,
    samples: int,
    seed: int,
    options: dict[str, Any],
) -> tuple[Floats, float, float]:
    """Weights of the features of one row, R^2, and what the weighted sum says of the row."""
    with _quiet_lime() as lime:
        explainer = lime.lime_tabular.LimeTabularExplainer(
            train, mode="regression", feature_selection="none", random_state=seed, **options
        )
        found = explainer.explain_instance(row, ask, num_features=len(row), num_samples=samples)
    return _by_index(found.local_exp[1]), float(found.score), float(found.local_pred[0])


def fit_image(
    ask: Callable[[Any], Any],
    image: NDArray[np.float32],
    segments: NDArray[np.intp],
    label: int,
    hide: float | None,
    samples: int,
    width: float,
    seed: int,
    batch: int,
) -> tuple[Floats, float]:
    """Weights of the superpixels of one image, and R^2; ``ask`` gets ``batch`` pictures a call."""
    with _quiet_lime() as lime:
        explainer = lime.lime_image.LimeImageExplainer(
            kernel_width=width, feature_selection="none", random_state=seed
        )
        found = explainer.explain_instance(
            np.repeat(image, 3 // image.shape[-1], axis=-1),  # (H, W, 1) is an IndexError in lime
            ask,
            labels=(label,),
            top_labels=None,
            hide_color=hide,
            num_samples=samples,
            batch_size=batch,
            segmentation_fn=lambda _: segments,  # otherwise quickshift, with a seed of its own
        )
    return _by_index(found.local_exp[label]), float(found.score)


@contextlib.contextmanager
def _quiet_lime() -> Iterator[Any]:
    """The package, imported late, without its progress bar and its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lime
        import lime.lime_image
        import lime.lime_tabular

        bar = lime.lime_image.tqdm
        lime.lime_image.tqdm = lambda rows: rows
        try:
            yield lime
        finally:
            lime.lime_image.tqdm = bar


def _by_index(pairs: Any) -> Floats:
    """Weights in the order of the features; lime sorts them by size."""
    return np.array([weight for _, weight in sorted((int(k), float(w)) for k, w in pairs)])
