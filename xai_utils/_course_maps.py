"""Methods and controls brought to one form: ``(model, images, target)`` to one map an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import cam, metrics
from ._black_box import Images, prepared, untouched
from .local_surrogates import lime_image, superpixels
from .perturbation import rise
from .shapley import deep_shap, kernel_shap

if TYPE_CHECKING:
    import keras

Maps = NDArray[np.float32]


def on_another(
    model: keras.Model,
    images: Images,
    target: Any,
    *,
    network: keras.Model,
    explain: Callable[..., Any],
) -> Any:
    """The same method on another network, such as one with random weights."""
    return explain(network, images, target)


def edges(model: keras.Model, images: Images, target: Any) -> NDArray[np.float64]:
    """The edges of the picture; see `metrics.sobel_edges`."""
    return metrics.sobel_edges(images)


def blob(model: keras.Model, images: Images, target: Any) -> NDArray[np.float64]:
    """A bell in the middle; see `metrics.centred_blob`."""
    return metrics.centred_blob(images.shape[:3])


def noise(
    model: keras.Model, images: Images, target: Any, *, cells: int | None, seed: int = 0
) -> Maps:
    """Uniform noise, in pixels or enlarged from ``cells`` x ``cells``; it depends on the image."""
    shape = images.shape[1:3] if cells is None else (cells, cells)
    found = [np.random.default_rng([seed, *_number(image)]).random(shape) for image in images]
    return cam.resize_heatmap(np.stack(found), images.shape[1:3])


def _number(image: Images) -> tuple[int, ...]:
    """Numbers that are an image's own, so that its noise does not hang on its place in a batch."""
    levels = np.rint(image * 255).astype(np.int64)
    return int(levels.sum()), int((levels.ravel() * np.arange(levels.size)).sum())


def rise_contrast(
    model: keras.Model, images: Images, target: Any, *, masks: int, seed: int = 0
) -> Maps:
    """What a pixel adds to the mean score of the masked images, by RISE.

    `perturbation.rise` estimates the mean score with a pixel in, a number that is large everywhere;
    what sets pixels apart is its difference from the mean over all of them.
    """
    found = rise(model, images, target, masks=masks, seed=seed)
    return found - found.mean(axis=(1, 2), keepdims=True)


def lime_heat(
    model: keras.Model, images: Images, target: Any, *, samples: int, seed: int = 0
) -> Maps:
    """What the score loses with each superpixel, by LIME; see `local_surrogates.lime_image`."""
    return lime_image(model, images, target, samples=samples, seed=seed).heat


def deep_shap_image(model: keras.Model, images: Images, target: Any, *, background: Images) -> Any:
    """DeepSHAP's shares of the explained class; see `shapley.deep_shap`."""
    target = np.asarray(target)
    found = np.empty(images.shape)
    for c in np.unique(target):  # a class that nobody asks for would cost as much
        of_c = target == c
        found[of_c] = deep_shap(model, images[of_c], background, classes=[c]).values[..., 0]
    return found


def kernel_shap_image(
    model: keras.Model, images: Images, target: Any, *, samples: int, seed: int = 0
) -> Maps:
    """Shapley values of superpixels, by sampling; a hidden superpixel has the image's mean.

    ``(N, H, W)``: the share of a superpixel at each of its pixels, in units of the logit; over the
    superpixels they sum to the logit minus that of the picture of one grey.

    Source: Lundberg & Lee 2017, section 4.1; see `shapley.kernel_shap`.
    """
    x, look = prepared(model, images, "logit", None, "kernel_shap")
    classes = untouched(look, x, target)[1]
    heat = np.empty(x.shape[:3], np.float32)
    for n, image in enumerate(x):
        cut, grey = superpixels(image), image.mean(axis=(0, 1))
        players, asked = int(cut.max()) + 1, _Asked()
        # kernel_shap asks one coalition after the other: note all, then ask the network in batches
        kernel_shap(asked.note, players, samples=samples, seed=seed)
        z = np.stack(asked.coalitions)

        def shown(k: Any, z: Any = z, cut: Any = cut, image: Any = image, grey: Any = grey) -> Any:
            return np.where(z[k][:, cut][..., None], image, grey).astype(np.float32)

        answers = np.concatenate([v[:, classes[n]] for _, v in look.over(shown, len(z))])
        asked.known = {row.tobytes(): float(v) for row, v in zip(z, answers, strict=True)}
        shares = kernel_shap(asked.answer, players, samples=samples, seed=seed)
        heat[n] = shares[cut]
    return heat


class _Asked:
    """A game that first notes which coalitions are asked for, and then knows their values."""

    def __init__(self) -> None:
        self.coalitions: list[NDArray[np.bool_]] = []
        self.known: dict[bytes, float] = {}

    def note(self, coalition: NDArray[np.bool_]) -> float:
        self.coalitions.append(coalition)
        return 0.0

    def answer(self, coalition: NDArray[np.bool_]) -> float:
        return self.known[coalition.tobytes()]
