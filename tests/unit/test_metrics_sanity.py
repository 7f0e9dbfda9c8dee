"""Networks that lose their weights, maps that move, and how alike and how simple maps are."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from networks import FORMS, flat_layers, gap_layers, layers, reloaded, seeded, sequential
from xai_utils import metrics, scores
from xai_utils.gradients import saliency, smooth_grad
from xai_utils.metrics import randomise_weights

NAMES = ["logits", "dense", "conv2", "conv1"]


def weights(model: Any) -> dict[str, list[np.ndarray]]:
    """Each layer's weights by its name, nested ones included, from input to output."""
    known = {x.name: x.get_weights() for x in model._flatten_layers(include_self=False)}
    return {name: known[name] for name in scores.layers(model) if known[name]}


def last(steps: Any) -> Any:
    """The model of the last step."""
    return list(steps)[-1][1]


def changed(model: Any, damaged: Any) -> list[str]:
    """The layers whose kernels differ, from the output down."""
    before, after = weights(model), weights(damaged)
    return [n for n in list(before)[::-1] if not np.array_equal(before[n][0], after[n][0])]


@pytest.mark.parametrize("form", [*FORMS, "reloaded"])
@pytest.mark.parametrize("how", ["initialise", "permute"])
def test_cascade_and_one_by_one(form: str, how: Any, tmp_path: Path) -> None:
    parts = flat_layers()
    if form == "reloaded":
        model = reloaded(seeded(FORMS["functional"](parts)), tmp_path)
    else:
        model = seeded(FORMS[form](parts))
    steps = [(name, changed(model, m)) for name, m in randomise_weights(model, how=how)]
    assert steps == [(name, NAMES[: k + 1]) for k, name in enumerate(NAMES)]
    steps = [(n, changed(model, m)) for n, m in randomise_weights(model, "independent", how=how)]
    assert steps == [(name, [name]) for name in NAMES]


def test_the_given_model_is_not_touched(flat: Any, images: np.ndarray) -> None:
    before, logits = flat.get_weights(), scores.logits(flat, images)
    state = random.getstate()
    for _, damaged in randomise_weights(flat):
        assert damaged is not flat
        assert not np.allclose(scores.logits(damaged, images), logits)
    assert random.getstate() == state
    for old, new in zip(before, flat.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(scores.logits(flat, images), logits)


def test_one_copy_that_is_not_compiled_again(flat: Any, images: np.ndarray) -> None:
    seen = [(id(damaged), scores.logits(damaged, images)) for _, damaged in randomise_weights(flat)]
    assert len({address for address, _ in seen}) == 1
    for (_, one), (_, other) in itertools.pairwise(seen):
        assert not np.allclose(one, other)  # ... and its new weights are what is computed with


def test_fresh_draws_are_the_initialisers(flat: Any) -> None:
    damaged = metrics.untrained(flat, seed=3)
    for name, (kernel, bias) in weights(damaged).items():
        assert not bias.any()
        fans = np.prod(kernel.shape[:-2] or (1,)) * np.sum(kernel.shape[-2:])
        limit = np.sqrt(6 / fans)  # Glorot, Keras's default
        assert 0.4 * limit < np.abs(kernel).max() <= limit, name


def test_permuted_weights_keep_their_values(flat: Any) -> None:
    damaged = last(randomise_weights(flat, how="permute"))
    for old, new in zip(flat.get_weights(), damaged.get_weights(), strict=True):
        np.testing.assert_array_equal(np.sort(old.ravel()), np.sort(new.ravel()))


@pytest.mark.parametrize("how", ["initialise", "permute"])
def test_a_seed_repeats(how: Any, flat: Any) -> None:
    def lost(seed: int) -> np.ndarray:
        damaged = last(randomise_weights(flat, how=how, seed=seed))
        return np.concatenate([w.ravel() for w in damaged.get_weights()])

    np.testing.assert_array_equal(lost(0), lost(0))
    assert not np.array_equal(lost(0), lost(1))


def test_the_last_step_of_the_cascade_is_untrained(flat: Any) -> None:
    damaged = last(randomise_weights(flat, seed=5))
    for a, b in zip(damaged.get_weights(), metrics.untrained(flat, 5).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_normalises_the_data_stays() -> None:
    norm = layers.Normalization(name="scale")
    model = sequential([norm, layers.BatchNormalization(name="batch"), *gap_layers()])
    norm.adapt(np.random.default_rng(0).normal(3, 2, (9, 8, 8, 1)))
    names = [name for name, _ in randomise_weights(model)]
    assert names == ["logits", "conv2", "conv1", "batch"]
    for _, damaged in randomise_weights(model):
        np.testing.assert_array_equal(damaged.get_layer("scale").mean, norm.mean)


def test_randomise_errors(flat: Any) -> None:
    with pytest.raises(ValueError, match="order 'upward'; expected 'cascading'"):
        randomise_weights(flat, "upward")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="how 'zero'; expected 'initialise'"):
        randomise_weights(flat, how="zero")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no weights"):
        randomise_weights(sequential([layers.Flatten()]))
    with pytest.raises(TypeError, match="expected a Keras model, got function"):
        randomise_weights(lambda x: x)  # type: ignore[arg-type]


# --- shuffled labels -----------------------------------------------------------------------------


def test_two_networks_are_compared_image_by_image(flat: Any, images: np.ndarray) -> None:
    other = metrics.untrained(flat, seed=4)
    found = metrics.label_randomisation(saliency, flat, other, images)
    classes = scores.logits(flat, images).argmax(axis=1)  # those of the first, for both
    one, two = (saliency(m, images, classes) for m in (flat, other))
    expected = {
        "rank": metrics.rank_correlation(one.sum(-1), two.sum(-1)),
        "rank_absolute": metrics.rank_correlation(np.abs(one).max(-1), np.abs(two).max(-1)),
        "ssim": metrics.ssim(one.sum(-1), two.sum(-1)),
        "ssim_absolute": metrics.ssim(np.abs(one).max(-1), np.abs(two).max(-1), absolute=True),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name), value, atol=1e-6)
        assert (value < 0.9).all()


def test_what_knows_no_network_passes_for_the_same(flat: Any, images: np.ndarray) -> None:
    def edges(model: Any, x: np.ndarray, target: Any) -> np.ndarray:
        return metrics.sobel_edges(x)

    for other in (flat, metrics.untrained(flat)):
        for values in metrics.label_randomisation(edges, flat, other, images, 1):
            np.testing.assert_allclose(values, 1)


def test_a_map_with_its_signs_turned_is_the_same_to_magnitudes_only(images: np.ndarray) -> None:
    model, other = (seeded(sequential(gap_layers("logits"))) for _ in range(2))
    kernel, bias = other.layers[-1].get_weights()
    other.layers[-1].set_weights([-kernel, bias])
    found = metrics.label_randomisation(saliency, model, other, images, 0)
    np.testing.assert_allclose(found.rank_absolute, 1, atol=1e-6)
    np.testing.assert_allclose(found.ssim_absolute, 1, atol=1e-6)
    assert (found.rank < -0.99).all() and (found.ssim < 0).all()


def test_channels_are_summed_or_the_largest(flat: Any, images: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    other = metrics.untrained(flat)
    maps = {id(m): rng.normal(size=(5, 8, 8, 3)) for m in (flat, other)}
    found = metrics.label_randomisation(lambda m, x, c: maps[id(m)], flat, other, images, 0)
    one, two = maps.values()
    np.testing.assert_allclose(found.rank, metrics.rank_correlation(one.sum(-1), two.sum(-1)))
    sizes = [np.abs(m).max(-1) for m in (one, two)]
    np.testing.assert_allclose(found.rank_absolute, metrics.rank_correlation(*sizes))


def test_label_randomisation_errors(flat: Any, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="7 pixels or more"):
        metrics.label_randomisation(lambda m, x, c: x[:, :5, :5], flat, flat, images)
    with pytest.raises(ValueError, match="maps of shapes"):
        other = metrics.untrained(flat)
        metrics.label_randomisation(
            lambda m, x, c: x if m is flat else x[:, 1:], flat, other, images
        )


# --- edges and likeness --------------------------------------------------------------------------


def test_edges_are_where_grey_values_jump() -> None:
    images = np.zeros((2, 6, 6, 3))
    images[0, :, 3:] = 1
    edges = metrics.sobel_edges(images)
    assert edges.shape == (2, 6, 6)
    assert not edges[1].any()
    assert (edges[0].max(axis=0) > 0).tolist() == [False, False, True, True, False, False]
    with pytest.raises(ValueError, match=r"shape \(6, 6\); expected \(N, H, W, C\)"):
        metrics.sobel_edges(images[0, ..., 0])


@pytest.mark.parametrize("measure", [metrics.rank_correlation, metrics.ssim])
def test_likeness_of_known_maps(measure: Any) -> None:
    a = np.random.default_rng(0).normal(size=(3, 9, 9))
    np.testing.assert_allclose(measure(a, a), 1)
    np.testing.assert_allclose(measure(a, 50 * a), 1)
    np.testing.assert_allclose(measure(a, -a, absolute=True), 1)
    assert (measure(a, -a) < -0.9).all()
    b = np.random.default_rng(1).normal(size=(3, 9, 9))
    assert (np.abs(measure(a, b)) < 0.4).all()
    np.testing.assert_allclose(measure(a, b), measure(b, a))
    with pytest.raises(ValueError, match="maps of shapes"):
        measure(a, a[:, :8])
    with pytest.raises(ValueError, match="NaN"):
        measure(a, np.where(a > 2, np.nan, a))


def test_likeness_of_maps_that_say_nothing() -> None:
    a, zero = np.random.default_rng(0).normal(size=(1, 9, 9)), np.zeros((1, 9, 9))
    assert np.isnan(metrics.rank_correlation(a, zero)[0])
    assert abs(metrics.ssim(a, zero)[0]) < 0.1
    with pytest.raises(ValueError, match="7 pixels or more"):
        metrics.ssim(a[:, :6], a[:, :6])


# --- robustness ----------------------------------------------------------------------------------


def test_a_map_that_ignores_the_picture_does_not_move(images: np.ndarray) -> None:
    assert not metrics.max_sensitivity(lambda x: np.ones(x.shape[:3]), images).any()


def test_sensitivity_of_the_picture_itself(images: np.ndarray) -> None:
    found = metrics.max_sensitivity(lambda x: x, images, radius=0.1, samples=4)
    draws = [
        [np.random.default_rng([0, s, n]).uniform(-0.1, 0.1, (8, 8, 1)) for n in range(5)]
        for s in range(4)
    ]
    moved = np.sqrt(np.square(draws).sum(axis=(2, 3, 4))).max(axis=0)
    size = np.sqrt(np.square(images).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(found, moved / size, rtol=1e-5)
    scaled = metrics.max_sensitivity(lambda x: 7 * x, images, radius=0.1, samples=4)
    np.testing.assert_allclose(found, scaled, rtol=1e-5)
    first = metrics.max_sensitivity(lambda x: x, images[:1], radius=0.1, samples=4)
    np.testing.assert_allclose(first, found[:1], rtol=1e-6)
    more = metrics.max_sensitivity(lambda x: x, images, radius=0.1, samples=8)
    assert (more >= found).all() and (more > found).any()


def test_sensitivity_of_a_method(flat: Any, images: np.ndarray) -> None:
    found = metrics.max_sensitivity(lambda x: saliency(flat, x, 0), images, samples=3)
    assert found.shape == (5,) and (found > 0).any()
    still = metrics.max_sensitivity(lambda x: np.where(x > 9, x, 0), images, samples=1)
    assert np.isnan(still).all()


def test_sensitivity_errors(images: np.ndarray) -> None:
    for options, message in (
        ({"radius": 0}, "radius 0"),
        ({"samples": 0}, "samples 0"),
    ):
        with pytest.raises(ValueError, match=message):
            metrics.max_sensitivity(lambda x: x, images, **options)
    with pytest.raises(ValueError, match=r"expected floats \(N, H, W, C\)"):
        metrics.max_sensitivity(lambda x: x, (255 * images).astype(np.uint8))
    with pytest.raises(ValueError, match=r"expected \(5, ...\), one an image"):
        metrics.max_sensitivity(lambda x: x[:2], images)
    with pytest.raises(ValueError, match="NaN"):
        metrics.max_sensitivity(lambda x: np.nan * x, images)


def test_repeatability(flat: Any, images: np.ndarray) -> None:
    np.testing.assert_allclose(metrics.repeatability(lambda x, _: x, images), 1)

    def noise(x: np.ndarray, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).random(x.shape)

    assert np.abs(metrics.repeatability(noise, images).mean()) < 0.1

    def few_samples(x: np.ndarray, seed: int) -> np.ndarray:
        return smooth_grad(flat, x, 0, samples=2, noise=0.5, seed=seed)

    found = metrics.repeatability(few_samples, images, seeds=(3, 8, 9))
    assert (found < 0.999).all() and found.mean() > 0.2
    with pytest.raises(ValueError, match="1 seeds; expected two"):
        metrics.repeatability(noise, images, seeds=[4])


# --- complexity ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heat", "gini", "nats"),
    [
        ([1, 1, 1, 1], 0, np.log(4)),
        ([0, 0, 5, 0], 0.75, 0),
        ([0, -2, 0, 2], 0.5, np.log(2)),
        ([1, 2, 3, 4], 0.25, -sum(k / 10 * np.log(k / 10) for k in (1, 2, 3, 4))),
        ([0, 0, 0, 0], np.nan, np.nan),
    ],
    ids=str,
)
def test_sparseness_and_entropy(heat: list[float], gini: float, nats: float) -> None:
    for scale in (1.0, 1e3):
        maps = scale * np.array(heat).reshape(1, 2, 2)
        assert metrics.sparseness(maps)[0] == pytest.approx(gini, nan_ok=True)
        assert metrics.entropy(maps)[0] == pytest.approx(nats, nan_ok=True)


@pytest.mark.parametrize("measure", [metrics.sparseness, metrics.entropy])
def test_complexity_errors(measure: Any) -> None:
    with pytest.raises(ValueError, match="NaN"):
        measure([[1.0, np.nan]])
    with pytest.raises(ValueError, match="expected"):
        measure([1.0, 2.0])
