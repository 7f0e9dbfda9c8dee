"""Activation maximisation: closed forms, a second implementation, what each part is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from networks import close, functional, layers, tf
from xai_utils import _regularisers, scores, training
from xai_utils.optimization import activation_maximization, total_variation

RNG = np.random.default_rng(1)
SHAPE = (6, 8, 2)
W = (RNG.uniform(0.2, 2, (*SHAPE, 3)) * RNG.choice([-1, 1], (*SHAPE, 3))).astype(np.float32)
BIAS = np.array([1.0, -2.0, 0.5])


@pytest.fixture(scope="module")
def linear() -> Any:
    """A model whose class c has the score ``sum W_c x + b_c``."""
    model = functional([layers.Flatten(), layers.Dense(3, name="logits")], SHAPE)
    model.set_weights([W.reshape(-1, 3), BIAS])
    return model


@pytest.fixture(scope="module")
def digits() -> Any:
    return training.load_or_train("mnist")


# --- closed forms --------------------------------------------------------------------------------


@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1.0, 3.0)])
def test_a_linear_score_is_climbed_along_its_weights(linear: Any, value_range: Any) -> None:
    start = RNG.random(SHAPE).astype(np.float32)
    found = activation_maximization(
        linear, target=[0, 1, 2], start=start, bounded=False, value_range=value_range,
        steps=7, step_size=0.02,
    )  # fmt: skip
    way = np.sqrt(np.prod(SHAPE)) * 7 * 0.02 * np.ptp(value_range)  # steps of root mean square 1
    for c in range(3):
        norm = np.linalg.norm(W[..., c])
        close(found.images[c] - start, way * W[..., c] / norm)
        close(found.after[c] - found.before[c], way * norm)
        close(np.diff(found.history[c]), np.full(6, way * norm / 7))


def test_a_linear_score_within_bounds_ends_in_the_best_corner(linear: Any) -> None:
    found = activation_maximization(
        linear, target=[0, 1, 2], value_range=(-1.0, 2.0), steps=400, step_size=0.3
    )
    corner = np.where(W > 0, 2.0, -1.0)
    np.testing.assert_array_equal(found.images, np.moveaxis(corner, -1, 0))
    close(found.after, (W * corner).sum(axis=(0, 1, 2)) + BIAS)


def test_the_step_does_not_depend_on_the_scale_of_the_score(linear: Any) -> None:
    louder = functional([layers.Flatten(), layers.Dense(3, name="logits")], SHAPE)
    louder.set_weights([1e4 * w for w in linear.get_weights()])
    found, loud = (activation_maximization(m, target=1, steps=5) for m in (linear, louder))
    close(found.images, loud.images)
    close(1e4 * found.after, loud.after)


def test_a_range_is_only_another_unit(linear: Any) -> None:
    """The same network with its images in 0..255 or per-channel units ends at the same picture."""
    scale, shift = np.array([50.0, 20.0]), np.array([-3.0, 7.0])
    other = functional([layers.Flatten(), layers.Dense(3, name="logits")], SHAPE)
    other.set_weights(
        [
            (W / scale[:, None]).reshape(-1, 3),
            BIAS - ((shift / scale)[:, None] * W).sum(axis=(0, 1, 2)),
        ]
    )
    options: dict[str, Any] = {"steps": 5, "total_variation": 0.3, "fourier": 0.5, "jitter": 2}
    found = activation_maximization(linear, target=[0, 1], **options)
    same = activation_maximization(
        other, target=[0, 1], value_range=(shift, shift + scale), **options
    )
    close((same.images - shift) / scale, found.images, 1e-4)
    close(same.after, found.after, 1e-4)


# --- a second implementation ---------------------------------------------------------------------


def gradient(model: Any, image: np.ndarray, c: int) -> np.ndarray:
    x = tf.constant(image[None], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z = scores.trace(model, x).logits[0, c]
    return tape.gradient(z, x).numpy()[0].astype(np.float64)


def test_one_step_with_everything_equals_numpy(flat: Any, images: np.ndarray) -> None:
    """Shift by hand, filter by a sum over waves, total variation by differences."""
    options: dict[str, Any] = {"jitter": 3, "total_variation": 0.3, "fourier": 0.7, "seed": 11}
    found = activation_maximization(
        flat, target=1, start=images[0], steps=1, step_size=0.1, **options
    )
    shifts = np.random.default_rng([11, 0, 1]).integers(-3, 3, size=2, endpoint=True)
    assert shifts.any()
    u = images[0].astype(np.float64)
    g = np.roll(gradient(flat, np.roll(u, -shifts, axis=(0, 1)), 1), shifts, axis=(0, 1))
    f = np.fft.fftfreq(8)
    scale = np.maximum(np.hypot(f[:, None], f), 1 / 8) ** -0.7
    waves = np.exp(-2j * np.pi * np.outer(np.arange(8), np.arange(8)) / 8)
    spectrum = waves @ g[..., 0] @ waves * scale**2  # A A^T: the scale counts twice
    g = (waves.conj() @ spectrum @ waves.conj()).real[..., None]
    d = g / np.sqrt((g**2).mean())
    pull = np.zeros_like(u)
    for y in range(8):
        for x in range(8):
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                if 0 <= y + dy < 8 and 0 <= x + dx < 8:
                    away = u[y, x] - u[y + dy, x + dx]
                    pull[y, x] += away / np.sqrt(away**2 + 0.01**2)
    close(found.images[0], (u + 0.1 * (d - 0.3 * pull)).clip(0, 1), 1e-4)


def test_the_gradient_of_total_variation_by_finite_differences() -> None:
    u = tf.constant(RNG.random((2, 5, 4, 3)))

    def smoothed(u: np.ndarray) -> float:
        parts = [np.diff(u, axis=axis) for axis in (1, 2)]
        return float(sum(np.sqrt(d**2 + _regularisers.SMOOTH**2).sum() for d in parts))

    found = _regularisers.variation_gradient(u).numpy()
    expected = np.zeros_like(found)
    for place in np.ndindex(*found.shape):
        e = np.zeros_like(found)
        e[place] = 1e-6
        expected[place] = (smoothed(u + e) - smoothed(u - e)) / 2e-6
    close(found, expected, 1e-6)


# --- views ---------------------------------------------------------------------------------------


def test_a_shift_by_whole_pixels_is_a_roll() -> None:
    u = RNG.random((2, 5, 7, 3)).astype(np.float32)
    rows, columns = _regularisers.view(5, 1, 2), _regularisers.view(7, 1, -3)
    found = _regularisers.seen(u, rows, columns).numpy()
    np.testing.assert_allclose(found, np.roll(u, (-2, 3), axis=(1, 2)), atol=1e-6)


def test_zoom_enlarges_about_the_middle() -> None:
    ramp = np.arange(9.0)
    close(_regularisers.view(9, 2, 0) @ ramp, 4 + (ramp - 4) / 2)
    weights = _regularisers.view(9, 0.7, 1.5)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert weights.min() >= 0


def test_views_are_drawn_from_the_whole_range() -> None:
    drawn = [_regularisers.random_view((9, 9), 2, 0.0, [0, s, 1])[0] for s in range(60)]
    shifts = {int(m[4].argmax()) - 4 for m in drawn}
    assert shifts == {-2, -1, 0, 1, 2}


# --- Fourier and octaves -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (8, 5)])
def test_a_filter_that_lets_everything_pass_changes_nothing(size: tuple[int, int]) -> None:
    u = RNG.random((2, *size, 3)).astype(np.float32)
    passes = _regularisers.transfer(size, 0.0)
    np.testing.assert_array_equal(passes, 1)
    np.testing.assert_allclose(_regularisers.filtered(u, passes).numpy(), u, atol=1e-6)


def test_a_filter_is_symmetric() -> None:
    """``<a, F b> = <F a, b>``: it is A A^T, so a step along F g never goes down."""
    a, b = RNG.normal(size=(2, 1, 7, 9, 2)).astype(np.float32)
    passes = _regularisers.transfer((7, 9), 1.0, 2.0)
    left = (a * _regularisers.filtered(b, passes).numpy()).sum()
    close(left, (_regularisers.filtered(a, passes).numpy() * b).sum())
    assert (a * _regularisers.filtered(a, passes).numpy()).sum() > 0


@pytest.mark.parametrize("waves", [1, 2, 4])
def test_slow_waves_may_change_more(waves: int) -> None:
    u = np.cos(2 * np.pi * waves * np.arange(16) / 16)[None, None, :, None] * np.ones((1, 16, 1, 1))
    passes = _regularisers.transfer((16, 16), 1.0)
    close(_regularisers.filtered(u.astype(np.float32), passes).numpy(), u / waves**2)


def test_octaves_go_from_coarse_to_fine(flat: Any) -> None:
    options: dict[str, Any] = {"steps": 8, "bounded": False, "noise": 0.0, "step_size": 0.02}
    start = np.full((8, 8, 1), 0.5, np.float32)

    def high(images: np.ndarray) -> float:
        """The share of the change that is faster than a quarter of the sampling rate."""
        power = np.abs(np.fft.fft2(images[0, ..., 0] - 0.5)) ** 2
        f = np.hypot(*np.meshgrid(np.fft.fftfreq(8), np.fft.fftfreq(8)))
        return float(power[f > 0.25].sum() / power.sum())

    plain, coarse = (
        high(activation_maximization(flat, target=0, start=start, octaves=n, **options).images)
        for n in (1, 3)
    )
    assert coarse < plain / 2


def test_each_octave_may_change_details_half_as_large() -> None:
    size, options = (16, 16), (True, 0.1, 7, 0.05, 0, 0.0, 0.0, 0.0, 3, 0)
    canvas = _regularisers.Canvas.of("model", (None, *size, 1), None, (0, 1), None, 1)
    recipe = _regularisers.Recipe(*options).check(canvas)
    scales = (4, 4, 4, 2, 2, 1, 1)  # of the seven steps
    for step, scale in enumerate(scales):
        passes = recipe.at(canvas, step)[2]
        np.testing.assert_array_equal(passes, _regularisers.transfer(size, 0.0, scale))
        assert passes[0, 0] == 1
        f = 8 // scale  # waves on the picture: the highest frequency of one a scale-th as large
        assert passes[0, f] == pytest.approx(np.exp(-0.5) if scale > 1 else 1, abs=1e-6)


def test_noise_has_the_deviation_and_the_colour_that_was_asked_for() -> None:
    white = _regularisers.coloured_noise((64, 64, 1), None, [0, 1])
    passes = _regularisers.transfer((64, 64), 1.0)
    pink = _regularisers.coloured_noise((64, 64, 1), passes, [0, 1])
    assert white.std() == pytest.approx(1, abs=0.05) and pink.std() == pytest.approx(1, abs=1e-5)
    assert total_variation(pink[None])[0] < total_variation(white[None])[0] / 3


# --- what it is for ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "steel_gap"])
def test_the_activation_rises_far_more_than_on_a_random_walk(name: str) -> None:
    model = training.load_or_train(name)
    side = model.inputs[0].shape[1]
    layer = "conv2" if name == "mnist" else "conv3"
    channels = {"layer": layer, "channel": range(3), "pre_activation": True}
    for unit in ({"target": range(3)}, channels):
        options: dict[str, Any] = {"steps": 6, "step_size": 0.03, "noise": 0.2, **unit}
        found = activation_maximization(model, **options)
        u = activation_maximization(model, **(options | {"steps": 1, "step_size": 1e-9})).images
        close(found.before, activation_maximization(model, start=u, **options).before, 1e-3)
        for _ in range(6):
            step = RNG.normal(size=(3, side, side, 1))
            step /= np.sqrt((step**2).mean(axis=(1, 2, 3), keepdims=True))
            u = (u + 0.03 * step).clip(0, 1).astype(np.float32)
        walk = activation_maximization(model, start=u, **options).before - found.before
        assert (found.after - found.before > 3 * np.abs(walk)).all()


def test_total_variation_really_falls(digits: Any) -> None:
    rough = [
        total_variation(
            activation_maximization(
                digits, target=range(10), steps=15, total_variation=weight
            ).images
        ).mean()
        for weight in (0.0, 0.2, 0.5)
    ]
    assert rough[0] > 1.3 * rough[1] > 1.3 * 1.2 * rough[2]


def test_slow_waves_are_smoother_than_pixels(digits: Any) -> None:
    plain, slow = (
        total_variation(
            activation_maximization(digits, target=range(10), steps=15, fourier=decay).images
        ).mean()
        for decay in (0.0, 1.0)
    )
    assert slow < plain / 1.5


def test_moved_views_make_an_image_that_stands_being_moved(digits: Any) -> None:
    """Shifted by two pixels, a plain class image loses more of its logit than one with jitter."""
    kept = []
    for jitter in (0, 2):
        found = activation_maximization(digits, target=range(10), steps=40, jitter=jitter)
        moved = np.roll(found.images, (2, -2), axis=(1, 2))
        logits = scores.logits(digits, moved)[np.arange(10), np.arange(10)]
        kept.append((logits / found.after).mean())
    assert kept[1] > kept[0] + 0.2
