"""A second implementation of the backward rules, in float64 NumPy, for the small networks.

Every contribution ``z[j, k] = x[j] w[j, k]`` is written out as a table, and the rule's formula is
applied to the table; the library never makes one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import numpy_network as nn

EPSILON, ALPHA, BETA, GAMMA, LOW, HIGH = 0.02, 2.0, 1.0, 0.3, -0.5, 1.5  # all but the defaults


def ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=b != 0)


def shares(
    rule: str, x: np.ndarray, inside: np.ndarray, w: np.ndarray, b: np.ndarray, R: np.ndarray
) -> np.ndarray:
    """What inputs ``x (..., j)`` get of ``R (..., k)``; ``inside`` is 0 where x is padding."""
    z = x[..., None] * w  # (..., j, k)
    plus, minus = z.clip(min=0), z.clip(max=0)
    total = (z.sum(axis=-2) + b)[..., None, :]
    of_bias = {"0": b, "epsilon": b, "gamma": b, "alpha-beta": b}.get(rule, 0 * b)
    R = R[..., None, :]
    if rule == "alpha-beta":
        above = ratio(plus, plus.sum(axis=-2, keepdims=True) + b.clip(min=0))
        below = ratio(minus, minus.sum(axis=-2, keepdims=True) + b.clip(max=0))
        return ((ALPHA * above - BETA * below) * R).sum(axis=-1)
    if rule == "gamma":
        up = z + GAMMA * plus, b + GAMMA * b.clip(min=0)
        down = z + GAMMA * minus, b + GAMMA * b.clip(max=0)
        table = np.where(total > 0, up[0], down[0])
        of_bias = np.where(total[..., 0, :] > 0, up[1], down[1])
    else:
        table = {
            "0": z,
            "epsilon": z,
            "z+": plus,
            "flat": inside[..., None] * np.ones_like(w),
            "w2": inside[..., None] * w**2,
            "zB": z - inside[..., None] * (LOW * w.clip(min=0) + HIGH * w.clip(max=0)),
        }[rule]
    denominator = table.sum(axis=-2, keepdims=True) + of_bias[..., None, :]
    if rule == "epsilon":
        denominator = denominator + EPSILON * np.where(denominator < 0, -1, 1)
    return (ratio(table, denominator) * R).sum(axis=-1)


def conv_shares(
    rule: str, x: np.ndarray, weights: tuple[np.ndarray, np.ndarray], R: np.ndarray
) -> np.ndarray:
    kernel, bias = weights
    flat = kernel.reshape(-1, kernel.shape[-1])
    got = shares(rule, nn.columns(x), nn.columns(np.ones_like(x)), flat, bias, R)
    return nn.uncolumns(got, x.shape[-1])


def unpool(run: nn.Pass, of_pool1: np.ndarray) -> np.ndarray:
    largest = nn.blocks(run.conv1).argmax(axis=-1)
    of_conv1 = np.zeros_like(run.conv1)
    for k in range(4):
        i, j = divmod(k, 2)
        of_conv1[:, i::2, j::2] = of_pool1 * (largest == k)
    return of_conv1


def lrp(
    model: Any, images: np.ndarray, target: int, rule: str, input_rule: str | None
) -> np.ndarray:
    w, run = nn.weights_of(model), nn.forward(model, images)
    x = images.astype(np.float64)
    R = run.logits * np.eye(run.logits.shape[1])[target]
    if run.hidden is None:
        features = run.conv2.mean(axis=(1, 2))
        R = shares(rule, features, np.ones_like(features), *w["logits"], R)
        stabilizer = EPSILON if rule == "epsilon" else 0
        per_place = run.conv2 / np.prod(run.conv2.shape[1:3])
        R = per_place * ratio(R, features + stabilizer)[:, None, None]
    else:
        R = shares(rule, run.hidden, np.ones_like(run.hidden), *w["logits"], R)
        features = run.conv2.reshape(len(x), -1)
        R = shares(rule, features, np.ones_like(features), *w["dense"], R)
        R = R.reshape(run.conv2.shape)
    R = unpool(run, conv_shares(rule, run.pool1, w["conv2"], R))
    return conv_shares(input_rule or rule, x, w["conv1"], R)


def transposed(g: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return nn.uncolumns(g @ kernel.reshape(-1, kernel.shape[-1]).T, kernel.shape[2])


def signal(model: Any, images: np.ndarray, target: int, guided: bool) -> np.ndarray:
    """Deconvnet, or guided backpropagation."""
    w, run = nn.weights_of(model), nn.forward(model, images)

    def relu(g: np.ndarray, output: np.ndarray) -> np.ndarray:
        return g.clip(min=0) * ((output > 0) if guided else 1)

    g = np.tile(w["logits"][0][:, target], (len(images), 1))
    if run.hidden is None:
        g = np.broadcast_to((g / np.prod(run.conv2.shape[1:3]))[:, None, None], run.conv2.shape)
    else:
        g = (relu(g, run.hidden) @ w["dense"][0].T).reshape(run.conv2.shape)
    g = unpool(run, transposed(relu(g, run.conv2), w["conv2"][0]))
    return transposed(relu(g, run.conv1), w["conv1"][0])


def deep_lift(model: Any, images: np.ndarray, target: int, baseline: np.ndarray) -> np.ndarray:
    w, x, b = nn.weights_of(model), images.astype(np.float64), baseline.astype(np.float64)
    run, base = nn.forward(model, x), nn.forward(model, b)

    def relu(m: np.ndarray, z: np.ndarray, z_base: np.ndarray) -> np.ndarray:
        """The chord's slope.  With random weights no z equals its baseline's."""
        return m * (z.clip(min=0) - z_base.clip(min=0)) / (z - z_base)

    def z_of(a: np.ndarray, name: str) -> np.ndarray:
        kernel, bias = w[name]
        a = nn.columns(a) if kernel.ndim == 4 else a.reshape(len(a), -1)
        return a @ kernel.reshape(-1, kernel.shape[-1]) + bias

    m = np.tile(w["logits"][0][:, target], (len(x), 1))
    if run.hidden is None:
        m = np.broadcast_to((m / np.prod(run.conv2.shape[1:3]))[:, None, None], run.conv2.shape)
    else:
        m = relu(m, z_of(run.conv2, "dense"), z_of(base.conv2, "dense")) @ w["dense"][0].T
        m = m.reshape(run.conv2.shape)
    m = transposed(relu(m, z_of(run.pool1, "conv2"), z_of(base.pool1, "conv2")), w["conv2"][0])

    of_conv1 = np.zeros_like(run.conv1)
    ours, theirs = nn.blocks(run.conv1), nn.blocks(base.conv1)
    for place in np.ndindex(m.shape):  # one window after the other
        rise = ours[place].max() - theirs[place].max()
        winner = (ours if rise > 0 else theirs)[place].argmax()
        change = ours[place][winner] - theirs[place][winner]
        n, i, j, channel = place
        if change:
            at = (n, 2 * i + winner // 2, 2 * j + winner % 2, channel)
            of_conv1[at] = m[place] * rise / change
    m = transposed(relu(of_conv1, z_of(x, "conv1"), z_of(b, "conv1")), w["conv1"][0])
    return m * (x - b)
