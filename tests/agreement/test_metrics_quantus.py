"""The same numbers from Quantus, where it is installed (benchmarks/requirements-quantus.txt).

Quantus wants channels first and a map for each channel; the images here are turned for it.  Where
it defines something else than we do, the test says what.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from xai_utils import _fills, metrics

if importlib.util.find_spec("quantus") is None:  # a broken installation must fail, not be skipped
    pytest.skip("Quantus is not installed", allow_module_level=True)
quantus = importlib.import_module("quantus")

RNG = np.random.default_rng(0)
HEAT = RNG.random((6, 9, 11))  # positive and without ties, as Quantus needs it
MASKS = RNG.random((6, 9, 11)) < 0.3
QUIET = {"disable_warnings": True, "normalise": False, "abs": False}


def of(metric: Any, heat: np.ndarray = HEAT, **more: Any) -> np.ndarray:
    """What a metric of Quantus gives for maps with the channel axis first."""
    maps, masks = heat[:, None].copy(), MASKS[:, None].copy()
    values = metric(**QUIET).evaluate_batch(a_batch=maps, s_batch=masks, x_batch=maps, **more)
    return np.asarray(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("ours", "name"),
    [
        (metrics.pointing_game, "PointingGame"),
        (metrics.energy_inside, "RelevanceMassAccuracy"),
        (metrics.relevance_mass_accuracy, "RelevanceMassAccuracy"),
        (metrics.relevance_rank_accuracy, "RelevanceRankAccuracy"),
        (metrics.auc_inside, "AUC"),
    ],
)
def test_localisation(ours: Any, name: str) -> None:
    np.testing.assert_allclose(ours(HEAT, MASKS), of(getattr(quantus, name)), atol=1e-9)


def test_a_flat_map_hits_in_quantus_and_scores_chance_in_ours() -> None:
    flat = np.ones_like(HEAT)
    assert (of(quantus.PointingGame, flat) == 1).all()
    np.testing.assert_allclose(metrics.pointing_game(flat, MASKS), MASKS.mean(axis=(1, 2)))


def test_complexity() -> None:
    # Quantus adds 1e-7 to each value for the Gini index, and 1e-12 within the logarithm.
    np.testing.assert_allclose(metrics.sparseness(HEAT), of(quantus.Sparseness), atol=1e-6)
    np.testing.assert_allclose(metrics.entropy(HEAT), of(quantus.Complexity), atol=1e-6)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_noisy_linear_imputation(share: float) -> None:
    from quantus.functions.perturb_func import noisy_linear_imputation

    image = RNG.random((9, 11, 3)).astype(np.float32)
    missing = HEAT[0] >= np.quantile(HEAT[0], 1 - share)
    ours = _fills.noisy_linear_imputation(image, missing, 0.0, RNG)
    theirs = noisy_linear_imputation(
        image.transpose(2, 0, 1).astype(np.float64), np.flatnonzero(missing), noise=0.0
    )
    np.testing.assert_allclose(ours, theirs.transpose(1, 2, 0), atol=1e-5)
