"""The same numbers from scikit-learn, SciPy, scikit-image, plain loops and a dense system."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from skimage.metrics import structural_similarity
from sklearn.metrics import roc_auc_score

from xai_utils import _fills, metrics

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=(6, 9, 11))
TIES = RNG.integers(-2, 3, (6, 9, 11)).astype(float)
MASKS = RNG.random((6, 9, 11)) < 0.3


@pytest.mark.parametrize("heat", [NORMAL, TIES], ids=["normal", "ties"])
def test_auc_is_scikit_learns(heat: np.ndarray) -> None:
    expected = [roc_auc_score(m.ravel(), h.ravel()) for h, m in zip(heat, MASKS, strict=True)]
    np.testing.assert_allclose(metrics.auc_inside(heat, MASKS), expected, atol=1e-12)


@pytest.mark.parametrize("heat", [NORMAL, TIES], ids=["normal", "ties"])
def test_rank_accuracy_is_the_mean_over_random_orders(heat: np.ndarray) -> None:
    found = metrics.relevance_rank_accuracy(heat, MASKS, pool="sum,pos")
    for n, (h, m) in enumerate(zip(np.maximum(heat, 0), MASKS, strict=True)):
        drawn = []
        for _ in range(400):
            order = np.lexsort((RNG.random(h.size), -h.ravel()))
            drawn.append(m.ravel()[order[: m.sum()]].mean())
        assert found[n] == pytest.approx(np.mean(drawn), abs=0.02)
        if np.ptp(drawn) == 0:
            assert found[n] == pytest.approx(drawn[0])


def test_the_pointing_game_by_loops() -> None:
    found = metrics.pointing_game(NORMAL, MASKS, tolerance=1.5)
    wide = metrics.chance("pointing_game", MASKS, tolerance=1.5)
    for n, (heat, mask) in enumerate(zip(NORMAL, MASKS, strict=True)):
        truth = np.argwhere(mask)

        def near(y: int, x: int, truth: np.ndarray = truth) -> bool:
            return bool(np.hypot(truth[:, 0] - y, truth[:, 1] - x).min() <= 1.5)

        assert found[n] == near(*np.unravel_index(heat.argmax(), heat.shape))
        assert wide[n] == pytest.approx(np.mean([near(y, x) for y, x in np.ndindex(mask.shape)]))


@pytest.mark.parametrize("maps", [NORMAL, TIES], ids=["normal", "ties"])
@pytest.mark.parametrize("absolute", [False, True])
def test_rank_correlation_is_scipys(maps: np.ndarray, absolute: bool) -> None:
    other = maps[::-1] + 0.5 * TIES
    kind: Any = np.abs if absolute else np.asarray
    expected = [
        stats.spearmanr(kind(a), kind(b), axis=None).statistic
        for a, b in zip(maps, other, strict=True)
    ]
    found = metrics.rank_correlation(maps, other, absolute=absolute)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_ssim_is_scikit_images() -> None:
    other = NORMAL + 0.4 * TIES
    for absolute, span in ((True, 1.0), (False, 2.0)):
        found = metrics.ssim(NORMAL, other, absolute=absolute)
        for n in range(6):
            a, b = (v[n] / np.abs(v[n]).max() for v in (NORMAL, other))
            a, b = (np.abs(a), np.abs(b)) if absolute else (a + 1, b + 1)
            assert found[n] == pytest.approx(structural_similarity(a, b, data_range=span))


def test_gini_is_the_mean_difference_of_all_pairs() -> None:
    v = np.abs(NORMAL).reshape(6, -1)
    pairs = np.abs(v[:, :, None] - v[:, None, :]).mean(axis=(1, 2))
    np.testing.assert_allclose(metrics.sparseness(NORMAL), pairs / (2 * v.mean(axis=1)))


def test_entropy_is_scipys() -> None:
    expected = stats.entropy(np.abs(NORMAL).reshape(6, -1), axis=1)
    np.testing.assert_allclose(metrics.entropy(NORMAL), expected)


# --- curves --------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["flat", "gap"])
def test_curves_by_plain_loops(
    network: str, images: np.ndarray, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(network)
    heat = RNG.random(images.shape[:3])  # no ties
    for insert in (False, True):
        found = metrics.removal_curve(
            model, images, heat, 2, steps=4, fill=0.25, insert=insert, score="probability"
        )
        for n, (image, h) in enumerate(zip(images, heat, strict=True)):
            order = np.argsort(-h.ravel())
            for k, count in enumerate((0, 16, 32, 48, 64)):
                start, end = (0.25 * np.ones(64), image.ravel())[:: 1 if insert else -1]
                pixels = start.copy()
                pixels[order[:count]] = end[order[:count]]
                p = np.asarray(model(pixels.reshape(1, 8, 8, 1).astype(np.float32)))[0]
                assert found.values[n, k] == pytest.approx(p[2], abs=1e-5)
                assert found.kept[n, k] == (p.argmax() == 2)
    area = np.mean((found.values[:, 1:] + found.values[:, :-1]) / 2, axis=1)
    np.testing.assert_allclose(found.area, area, rtol=1e-6)


def dense_imputation(image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Every pixel an unknown: x_i = image_i where it is known, else the mean of its neighbours."""
    high, wide, channels = image.shape
    A, b = np.eye(high * wide), image.reshape(-1, channels).copy()
    for y, x in np.argwhere(missing):
        i, weights = y * wide + x, {}
        for v in range(max(y - 1, 0), min(y + 2, high)):
            for u in range(max(x - 1, 0), min(x + 2, wide)):
                if (v, u) != (y, x):
                    weights[v * wide + u] = 2.0 if v == y or u == x else 1.0
        for j, w in weights.items():
            A[i, j] -= w / sum(weights.values())
        b[i] = 0
    return np.linalg.solve(A, b).reshape(image.shape)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.98])
@pytest.mark.parametrize("kind", ["scattered", "one piece"])
def test_road_against_a_dense_system(share: float, kind: str) -> None:
    image = RNG.random((12, 10, 3))
    heat = RNG.random((12, 10)) if kind == "scattered" else metrics.centred_blob((1, 12, 10))[0]
    missing = heat >= np.quantile(heat, 1 - share)
    missing[0, 0] = False  # something is known
    found = _fills.noisy_linear_imputation(
        image.astype(np.float32), missing, 0.0, np.random.default_rng(0)
    )
    np.testing.assert_allclose(found, dense_imputation(image, missing), atol=1e-5)
