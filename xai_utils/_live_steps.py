"""What live pictures show, as plain functions: arrays in, arrays out, no widget and no browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import gradients, perturbation, scores
from ._paths import baselines, quadrature_rule

if TYPE_CHECKING:
    import keras

Image = NDArray[np.float32]
BOX = 20 / 28  # MNIST's digits fill a box of 20 pixels on a page of 28


class Explained(NamedTuple):
    """A drawing as the network sees it: see `explain_drawing`."""

    probabilities: NDArray[np.float64]  # (classes,)
    target: int
    saliency: Image  # (H, W), logit per unit of ink
    integrated: Image  # (H, W), logit
    residual: float  # of the integrated gradients, logit
    occlusion: Image  # (H, W), logit


class Covered(NamedTuple):
    """A picture under a patch: see `cover`."""

    image: Image  # (H, W, C)
    before: Image  # (classes,) logits of the untouched picture
    logits: Image  # (classes,)


class Path(NamedTuple):
    """The way of integrated gradients, step by step: see `integrate_along`."""

    target: int
    alpha: NDArray[np.float64]  # (S,) the middle of each step
    images: Image  # (S, H, W, C) there
    gradients: Image  # (S, H, W, C) there
    sums: Image  # (S, H, W, C) shares handed out up to the end of each step
    rises: NDArray[np.float64]  # (S,) f at the end of each step - f(baseline)
    residuals: NDArray[np.float64]  # (S,) sum of the shares - rise


def one_image(model: keras.Model, image: ArrayLike) -> Image:
    """A single image ``(H, W, C)`` that fits the model, or a ValueError that says what does not."""
    array = np.asarray(image)
    if array.ndim != 3:
        raise ValueError(
            f"image of shape {array.shape}; expected one picture (H, W, C), e.g. images[0]"
        )
    return scores.check_images(model, array[None])[0]


def class_labels(model: keras.Model, given: Sequence[str] | None) -> list[str]:
    """A name for each output of the model, or a ValueError."""
    outputs = int(model.outputs[0].shape[-1])
    names = [str(k) for k in range(outputs)] if given is None else [str(name) for name in given]
    if len(names) != outputs or len(set(names)) != outputs:
        raise ValueError(f"class_names {names}; expected {outputs} different names")
    return names


def softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """Probabilities from logits ``(classes,)``."""
    z = np.asarray(logits, np.float64)
    e = np.exp(z - z.max())
    return e / e.sum()


def explain_drawing(
    model: keras.Model,
    image: ArrayLike,
    target: int | None = None,
    *,
    patch: int = 4,
    stride: int = 2,
    steps: int = 16,
) -> Explained:
    """Prediction, saliency, integrated gradients from black, and occlusion of one grey image.

    ``target`` None stands for the predicted class.  ``image`` is ``(H, W, 1)``; the other arguments
    and the units are those of `gradients.integrated_gradients` and `perturbation.occlusion`.
    Raises ValueError on another shape, NaN, or a class that the model does not have.
    """
    x = one_image(model, image)[None]
    logits = scores.logits(model, x)[0]
    target = int(logits.argmax()) if target is None else target
    total, residual = gradients.integrated_gradients(
        model, x, target, steps=steps, return_residual=True
    )
    return Explained(
        softmax(logits),
        target,
        gradients.saliency(model, x, target)[0].sum(axis=-1),
        total[0].sum(axis=-1),
        float(residual[0]),
        perturbation.occlusion(model, x, target, patch=patch, stride=stride)[0],
    )


def centred(drawing: ArrayLike) -> Image:
    """A drawing ``(H, W, 1)`` brought to the size and the place of MNIST's digits.

    The box around the ink is scaled so that its longer side is 20/28 of the page, and set down so
    that the centre of mass of the ink lies in the middle, to half a pixel and within the page.  An
    empty page comes back as it is.
    Source: LeCun, Cortes & Burges, "The MNIST database of handwritten digits" (its description).
    """
    import cv2

    page = np.asarray(drawing, np.float32)
    rows, columns = np.nonzero(page[..., 0])
    if rows.size == 0:
        return page
    ink = page[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1, 0]
    height, width = (max(1, round(n * BOX * len(page) / max(ink.shape))) for n in ink.shape)
    how = cv2.INTER_AREA if height < ink.shape[0] else cv2.INTER_LINEAR
    ink = np.asarray(cv2.resize(ink, (width, height), interpolation=how), np.float32)
    result, place = np.zeros_like(page), []
    for axis, room in enumerate(page.shape[:2]):
        mass = ink.sum(axis=1 - axis)
        centre = (mass * (np.arange(len(mass)) + 0.5)).sum() / mass.sum()
        place.append(int(np.clip(round(room / 2 - centre), 0, room - len(mass))))
    result[place[0] : place[0] + height, place[1] : place[1] + width, 0] = ink
    return result


def cover(
    model: keras.Model,
    image: ArrayLike,
    row: int,
    column: int,
    side: int,
    grey: float | None = None,
) -> Covered:
    """One step of occlusion, by hand: a grey square around a place, and the logits with it.

    The square has ``side`` pixels a side and its middle at ``(row, column)``; at the border only
    what lies on the picture is covered.  ``grey`` None is the picture's own mean in each channel.
    Raises ValueError if the place lies outside, or the side is not a whole number from 1 on.
    """
    x, side = one_image(model, image), scores.check_count("side", side)
    if not (0 <= row < x.shape[0] and 0 <= column < x.shape[1]):
        raise ValueError(f"place ({row}, {column}) lies outside of the picture {x.shape[:2]}")
    top, left = (max(0, n - side // 2) for n in (row, column))
    bottom, right = (max(1, n - side // 2 + side) for n in (row, column))
    covered = x.copy()
    covered[top:bottom, left:right] = x.mean(axis=(0, 1)) if grey is None else grey
    before, logits = scores.logits(model, np.stack([x, covered]))
    return Covered(covered, before, logits)


def integrate_along(
    model: keras.Model,
    image: ArrayLike,
    baseline: float | ArrayLike = 0.0,
    target: int | None = None,
    *,
    steps: int = 32,
) -> Path:
    """Integrated gradients with all that lies on the way: what was added up after each step.

    Step s hands out ``(x - b) df(b + a_s (x - b)) / S`` at its middle ``a_s = (s + 1/2) / S``.  The
    sum after all steps is `gradients.integrated_gradients`; the residual after step s compares the
    sum so far with what the score has really risen by, ``f(b + (s + 1) / S (x - b)) - f(b)``.
    Raises ValueError on a wrong image, baseline, class or number of steps.
    """
    x = one_image(model, image)
    start = baselines(baseline, x[None])[0]
    target = int(scores.logits(model, x[None])[0].argmax()) if target is None else target
    alpha, weights = quadrature_rule("midpoint", steps)

    def at(points: NDArray[np.float64]) -> Image:
        return start + points[:, None, None, None].astype(np.float32) * (x - start)

    slopes = gradients.saliency(model, at(alpha), target)
    sums = (x - start) * np.cumsum(weights[:, None, None, None] * slopes, axis=0)
    ends = scores.logits(model, at(np.linspace(0, 1, steps + 1)))[:, target].astype(np.float64)
    rises = ends[1:] - ends[0]
    residuals = sums.sum(axis=(1, 2, 3)) - rises
    return Path(target, alpha, at(alpha), slopes, sums.astype(np.float32), rises, residuals)


def blend(
    model: keras.Model, image: ArrayLike, pair: tuple[int, int], method: Callable[..., Any]
) -> tuple[Image, float]:
    """Two classes' maps of one image ``(2, h, w)``, and their correlation (0 if one is constant).

    ``method(model, images, target)`` gives the maps, e.g. `cam.cam`.  A mixture of them,
    ``(1 - t) M[0] + t M[1]``, is the map of the mixed logit ``(1 - t) z[a] + t z[b]`` where the
    method is linear in the score, as CAM is, and Grad-CAM with its ReLU is not.
    Raises ValueError on a wrong image or class.
    """
    x = one_image(model, image)
    maps = method(model, np.stack([x, x]), np.asarray(pair, np.int32))
    flat = maps.reshape(2, -1)
    alike = float(np.corrcoef(flat)[0, 1]) if np.ptp(flat, axis=1).all() else 0.0
    return maps, alike
