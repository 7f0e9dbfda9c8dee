"""A second implementation of the small networks, in float64 NumPy, forwards and backwards by hand.

It shares nothing with the library: it reads weights, unfolds images into columns (im2col), and
multiplies.  Every step of the backward pass is written out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Pass(NamedTuple):
    """What one forward pass leaves behind; conv1 to conv2 are after their ReLU."""

    conv1: np.ndarray
    pool1: np.ndarray
    conv2: np.ndarray
    hidden: np.ndarray | None  # the dense layer of the flat network
    logits: np.ndarray


def weights_of(model: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kernel and bias of each layer that has them, in float64."""
    with_weights = [layer for layer in model.layers if layer.weights]
    return {
        layer.name: tuple(np.asarray(w.value, np.float64) for w in layer.weights)
        for layer in with_weights
    }


def columns(x: np.ndarray) -> np.ndarray:
    """(N, H, W, C) to (N, H, W, 9 C): each place's 3x3 neighbourhood, zeros outside."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    h, w = x.shape[1:3]
    return np.concatenate(
        [padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)], axis=-1
    )


def uncolumns(g: np.ndarray, channels: int) -> np.ndarray:
    """The transpose of `columns`: each neighbourhood's gradient added where it came from."""
    n, h, w, _ = g.shape
    padded = np.zeros((n, h + 2, w + 2, channels))
    for k in range(9):
        i, j = divmod(k, 3)
        padded[:, i : i + h, j : j + w] += g[..., k * channels : (k + 1) * channels]
    return padded[:, 1:-1, 1:-1]


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A 3x3 `same` convolution with ReLU."""
    return np.maximum(columns(x) @ kernel.reshape(-1, kernel.shape[-1]) + bias, 0)


def blocks(x: np.ndarray) -> np.ndarray:
    """(N, H, W, C) to (N, H/2, W/2, C, 4): the four places of each 2x2 block."""
    return np.stack([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=-1)


def head(model: Any, conv2: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """The logits from the last feature maps, and the hidden layer on the way if there is one."""
    w = weights_of(model)
    if "dense" not in w:
        features = conv2.mean(axis=(1, 2))
        return None, features @ w["logits"][0] + w["logits"][1]
    hidden = np.maximum(conv2.reshape(len(conv2), -1) @ w["dense"][0] + w["dense"][1], 0)
    return hidden, hidden @ w["logits"][0] + w["logits"][1]


def forward(model: Any, images: np.ndarray) -> Pass:
    """Every layer's output for `(N, 8, 8, 1)` images."""
    w = weights_of(model)
    conv1 = convolve(images.astype(np.float64), *w["conv1"])
    pool1 = blocks(conv1).max(axis=-1)
    conv2 = convolve(pool1, *w["conv2"])
    return Pass(conv1, pool1, conv2, *head(model, conv2))


def backward(model: Any, run: Pass, of_logits: np.ndarray) -> dict[str, np.ndarray]:
    """The gradient with respect to each layer's output, from that of the logits `(N, classes)`."""
    w = weights_of(model)
    if run.hidden is None:
        per_map = of_logits @ w["logits"][0].T / np.prod(run.conv2.shape[1:3])
        of_conv2 = np.broadcast_to(per_map[:, None, None], run.conv2.shape)
    else:
        of_hidden = (of_logits @ w["logits"][0].T) * (run.hidden > 0)
        of_conv2 = (of_hidden @ w["dense"][0].T).reshape(run.conv2.shape)
    kernel = w["conv2"][0]
    unfolded = (of_conv2 * (run.conv2 > 0)) @ kernel.reshape(-1, kernel.shape[-1]).T
    of_pool1 = uncolumns(unfolded, kernel.shape[2])
    largest = blocks(run.conv1).argmax(axis=-1)
    of_conv1 = np.zeros_like(run.conv1)
    for k in range(4):  # the block's first largest place gets all of the gradient
        i, j = divmod(k, 2)
        of_conv1[:, i::2, j::2] = of_pool1 * (largest == k)
    kernel = w["conv1"][0]
    unfolded = (of_conv1 * (run.conv1 > 0)) @ kernel.reshape(-1, kernel.shape[-1]).T
    of_image = uncolumns(unfolded, 1)
    return {"image": of_image, "conv1": of_conv1, "pool1": of_pool1, "conv2": of_conv2}
