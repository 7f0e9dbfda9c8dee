"""What keeps gradient ascent from drawing noise: moved views, smoother steps, total variation.

Pictures are ``u``, ``(N, H, W, C)`` with 0 and 1 as the ends of the value range.  All that changes
from step to step (where a view lies, which frequencies a step may change) comes as numbers, so one
compiled step serves them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._engine import check_count

if TYPE_CHECKING:
    import tensorflow as tf

Floats = NDArray[np.float32]
SMOOTH = 0.01  # of the value range: below such differences total variation is rounded off

# --- moved views: jitter and zoom ----------------------------------------------------------------


def view(side: int, zoom: float, shift: float) -> Floats:
    """``(side, side)``: one axis shifted by so many pixels and enlarged about its middle.

    Row p holds the bilinear weights of the pixels at ``(p - m) / zoom + m + shift``, where m is the
    middle.  The picture is continued periodically, so every pixel is seen somewhere, and a shift by
    whole pixels is ``numpy.roll`` by ``-shift``.
    """
    middle = (side - 1) / 2
    at = (np.arange(side) - middle) / zoom + middle + shift
    low = np.floor(at).astype(int)
    part = at - low
    weights = np.zeros((side, side))
    np.add.at(weights, (np.arange(side), low % side), 1 - part)
    np.add.at(weights, (np.arange(side), (low + 1) % side), part)
    return weights.astype(np.float32)


def random_view(size: tuple[int, int], jitter: int, zoom: float, seed: list[int]) -> list[Floats]:
    """The two matrices of a random view: whole pixels up to ``jitter``, up to ``1 +- zoom``."""
    rng = np.random.default_rng(seed)
    shifts = rng.integers(-jitter, jitter, size=2, endpoint=True)
    factor = 1 + rng.uniform(-zoom, zoom)
    return [view(side, factor, shift) for side, shift in zip(size, shifts, strict=True)]


def seen(u: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """The pictures as a view shows them: ``rows u columns^T`` in every channel."""
    import tensorflow as tf

    return tf.einsum("qw,npwc->npqc", columns, tf.einsum("ph,nhwc->npwc", rows, u))


# --- smoother steps: Fourier and multi-scale -----------------------------------------------------


def transfer(size: tuple[int, int], decay: float, scale: float = 1.0) -> Floats:
    """``(H, W // 2 + 1)``: by how much a step may change each frequency.

    Let a picture be a sum of waves, ``u = A z``, where A scales the wave of frequency f by
    ``f^-decay``, as photographs do.  A step along the gradient in z moves u along ``A A^T g``: that
    is g with its frequencies multiplied by ``f^(-2 decay)``.  (The mean counts as the slowest wave,
    one period per picture.)

    Args:
        size: ``(H, W)`` in pixels.
        decay: 0 for ascent in pixels, 1 as in the source.
        scale: 1 for all details; s leaves what a picture of a s-th of the side could show, by a
            Gaussian whose standard deviation is the highest frequency of that picture.

    Source: Olah, Mordvintsev & Schubert 2017, "Feature visualization", preconditioning.
    """
    f = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1]))
    waves = np.maximum(f, 1 / max(size)) ** (-2 * decay)
    if scale > 1:
        waves *= np.exp(-0.5 * (f * 2 * scale) ** 2)
    return (waves / waves.max()).astype(np.float32)


def filtered(u: tf.Tensor, passes: tf.Tensor) -> tf.Tensor:
    """Pictures with their frequencies multiplied by ``passes``, channel by channel."""
    import tensorflow as tf

    channels_first = tf.transpose(u, (0, 3, 1, 2))
    waves = tf.signal.rfft2d(channels_first) * tf.cast(passes, tf.complex64)
    back = tf.signal.irfft2d(waves, fft_length=tf.shape(u)[1:3])
    return tf.transpose(back, (0, 2, 3, 1))


def coloured_noise(shape: tuple[int, int, int], passes: Floats | None, seed: list[int]) -> Floats:
    """One picture ``(H, W, C)`` of noise with standard deviation 1 that passed through a filter."""
    noise: NDArray[Any] = np.random.default_rng(seed).standard_normal(shape, np.float32)
    if passes is not None:
        waves = np.fft.rfft2(noise, axes=(0, 1)) * passes[..., None]
        noise = np.fft.irfft2(waves, s=shape[:2], axes=(0, 1))
        noise = noise / noise.std()
    return noise.astype(np.float32, copy=False)


# --- total variation -----------------------------------------------------------------------------


def variation_gradient(u: tf.Tensor) -> tf.Tensor:
    """The gradient of ``sum sqrt(d^2 + e^2)`` over the differences d between neighbours.

    Down and across, channel by channel; e is `SMOOTH`.  Each difference pulls its two pixels
    towards each other with a force of at most 1, so the gradient lies within -4 and 4.
    """
    import tensorflow as tf

    gradient = tf.zeros_like(u)
    for axis in (1, 2):
        first, last = [slice(None)] * 4, [slice(None)] * 4
        first[axis], last[axis] = slice(None, -1), slice(1, None)
        d = u[tuple(last)] - u[tuple(first)]
        pull = d / tf.sqrt(d**2 + SMOOTH**2)
        before, behind = [[0, 0]] * 4, [[0, 0]] * 4
        before[axis], behind[axis] = [1, 0], [0, 1]
        gradient += tf.pad(pull, before) - tf.pad(pull, behind)
    return gradient


# --- all of them together ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Canvas:
    """What is drawn on: ``count`` pictures of ``shape``, as the network sees them.

    Attributes:
        shape: ``(H, W, C)``.
        expected: the model's own, with 1 for a side that it leaves open.
        low, width: the network sees ``low + width * u``: ``(C,)`` each.
        first: the pictures to start from, or None for noise.
    """

    shape: tuple[int, int, int]
    expected: tuple[int, ...]
    low: Floats
    width: Floats
    count: int
    first: Floats | None

    @classmethod
    def of(
        cls,
        name: str,
        expected: tuple[int | None, ...],
        size: Any,
        value_range: Any,
        start: ArrayLike | None,
        count: int,
    ) -> Canvas:
        """Check size, value range and start against what model ``name`` expects."""
        if len(expected) != 4 or expected[-1] is None:
            raise ValueError(f"model {name!r} takes {expected}; expected images (N, H, W, C)")
        low, width = _range(value_range, expected[-1])
        given = None if start is None else _pictures(start, expected[-1])
        wanted = expected[1:3] if size is None else size
        if size is None and given is not None:
            wanted = given.shape[1:3]
        elif size is None and None in wanted:
            raise ValueError(f"model {name!r} takes images of any size; give size=(H, W)")
        sides = tuple(wanted) if isinstance(wanted, tuple | list) else (wanted, wanted)
        if len(sides) != 2 or not all(isinstance(n, int | np.integer) and n > 1 for n in sides):
            raise ValueError(f"size {wanted!r}; expected (H, W) in whole pixels, 2 or more")
        shape = (int(sides[0]), int(sides[1]), int(expected[-1]))
        if given is not None:
            if given.shape[1:] != shape or (count > 1 and len(given) not in (1, count)):
                raise ValueError(
                    f"start of shape {given.shape}; expected {shape}, one or one for each image"
                )
            count = max(count, len(given))
            given = (given - low) / width
        return cls(shape, tuple(n or 1 for n in expected[1:]), low, width, count, given)

    @property
    def key(self) -> tuple[Any, ...]:
        """What a compiled function depends on."""
        return self.shape, self.low.tobytes(), self.width.tobytes()


def _range(value_range: Any, channels: int) -> tuple[Floats, Floats]:
    try:
        ends = [np.broadcast_to(np.asarray(e, np.float32), channels) for e in value_range]
        low, high = ends
    except (ValueError, TypeError):
        low = high = np.zeros(channels, np.float32)
    if not (np.isfinite(low) & np.isfinite(high) & (low < high)).all():
        raise ValueError(
            f"value_range {value_range!r}; expected the darkest and the lightest value of the "
            f"model's scale: two numbers or two arrays ({channels},), the first below the second"
        )
    return low, high - low


def _pictures(start: ArrayLike, channels: int) -> Floats:
    given = np.asarray(start)
    given = given[None] if given.ndim == 3 else given
    if given.ndim != 4 or given.shape[-1] != channels or len(given) == 0:
        raise ValueError(f"start of shape {np.shape(start)}; expected (N, H, W, {channels})")
    if not np.issubdtype(given.dtype, np.floating) or not np.isfinite(given).all():
        raise ValueError("start: expected finite floats in the model's scale")
    return given.astype(np.float32)


@dataclass(frozen=True)
class Recipe:
    """The options of `optimization.activation_maximization`, under the same names."""

    bounded: bool
    noise: float
    steps: int
    step_size: float
    jitter: int
    zoom: float
    total_variation: float
    fourier: float
    octaves: int
    seed: int

    def check(self, canvas: Canvas) -> Recipe:
        """The recipe itself, or an error that names the option and what was expected of it."""
        side = min(canvas.shape[:2])
        check_count("steps", self.steps)
        check_count("octaves", self.octaves)
        whole = isinstance(self.jitter, int | np.integer) and not isinstance(self.jitter, bool)
        smallest = side / 2 ** (self.octaves - 1)
        wrong = {
            "step_size": (not 0 < self.step_size < np.inf, "a share of the range above 0"),
            "noise": (not 0 <= self.noise < np.inf, "a share of the range, 0 or more"),
            "jitter": (not (whole and 0 <= self.jitter < side), f"whole pixels, 0 to {side - 1}"),
            "zoom": (not 0 <= self.zoom < 1, "a share, 0 or more and below 1"),
            "total_variation": (not 0 <= self.total_variation < np.inf, "a weight, 0 or more"),
            "fourier": (not 0 <= self.fourier < np.inf, "a power, 0 or more"),
            "octaves": (
                self.octaves > self.steps or smallest < 2,
                f"at most one a step, and a coarsest picture of 2 pixels or more a side of {side}",
            ),
        }
        for name, (is_wrong, expected) in wrong.items():
            if is_wrong:
                raise ValueError(f"{name} {getattr(self, name)!r}; expected {expected}")
        return self

    @property
    def parts(self) -> tuple[bool, bool, bool, bool]:
        """Which parts a step has: moved views, filtered gradients, total variation, clipping."""
        moved, smooth = bool(self.jitter or self.zoom), bool(self.fourier or self.octaves > 1)
        return moved, smooth, self.total_variation > 0, bool(self.bounded)

    def start(self, canvas: Canvas, index: NDArray[np.intp]) -> Floats:
        """The pictures of these numbers before the first step."""
        if canvas.first is not None:
            u = canvas.first[np.minimum(index, len(canvas.first) - 1)]
        else:
            passes = self._passes(canvas, 0)
            drawn = [coloured_noise(canvas.shape, passes, [self.seed, int(k)]) for k in index]
            u = np.float32(0.5) + np.float32(self.noise) * np.stack(drawn)
        return u.clip(0, 1) if self.bounded else u

    def at(self, canvas: Canvas, step: int) -> tuple[Floats, Floats, Floats, Floats]:
        """What a step is told: the view's two matrices, the filter, and how far it goes."""
        nothing = np.ones((1, 1), np.float32)
        size, seed = canvas.shape[:2], [self.seed, step, 1]
        moved = self.parts[0]
        rows, columns = (
            random_view(size, self.jitter, self.zoom, seed) if moved else (nothing, nothing)
        )
        passes = self._passes(canvas, step)
        pace = np.array([self.step_size, self.total_variation], np.float32)
        return rows, columns, nothing if passes is None else passes, pace

    def _passes(self, canvas: Canvas, step: int) -> Floats | None:
        if not self.parts[1]:
            return None
        octave = step * self.octaves // self.steps
        return transfer(canvas.shape[:2], self.fourier, 2.0 ** (self.octaves - 1 - octave))
