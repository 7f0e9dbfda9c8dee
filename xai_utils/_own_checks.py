"""How far a map of one picture can be trusted, each in a sentence with its verdict.

By hiding what it marks, by adding up its shares, or, where it is empty, by what the logits say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from . import metrics
from ._networks import Network

Map = NDArray[np.float32]
HIDDEN, MOVED = 0.2, 20  # share of the picture that is hidden, and random places beside the map's
NEEDED = 19  # a map that means nothing is among the best 2 of 21 places in 10 % of all cases
CLOSE = 0.05  # how far a sum may be off (Sundararajan et al. 2017, section 5)


def check(network: Network, x: NDArray[np.float32], heat: Map, target: int, seed: int = 0) -> str:
    """Say whether the network needs what a map marks: hide that, and hide as much elsewhere.

    The fifth of the picture that ranks highest becomes the picture's mean colour, and the fall of
    the logit is noted; then the same for the map moved to 20 random places (it leaves at one border
    and enters at the other).  A map that marks what counts makes it fall further than most of
    these: it passes when that is so in 19.  Of maps that mean nothing, 2 in 21 pass by luck.
    """
    rng = np.random.default_rng(seed)
    shifts = rng.integers(1, [[n] for n in heat.shape], size=(2, MOVED)).T
    moved = [np.roll(heat, tuple(shift), axis=(0, 1)) for shift in shifts]
    all_maps = np.stack([heat, *moved])
    curve = metrics.removal_curve(
        network.model,
        np.broadcast_to(x, (len(all_maps), *x.shape[1:])),
        all_maps,
        target,
        steps=[0.0, HIDDEN],
        fill="mean",
    )
    fall = (curve.values[:, 0] - curve.values[:, 1]).astype(float)
    less = int((fall[1:] < fall[0]).sum())
    return (
        f"Hiding the marked fifth lowers the logit by {fall[0]:.1f}; the same marks moved "
        f"elsewhere by {np.median(fall[1:]):.1f} (median), in {less} of {MOVED} places by less: "
        f"{_verdict(fall[0], less)}."
    )


def _verdict(fall: float, less: int) -> str:
    if fall <= 0:
        return "not passed, the network does not need what is marked"
    return f"passed, {NEEDED} are needed" if less >= NEEDED else f"not passed, {NEEDED} are needed"


def check_sum(heat: Map, rise: float) -> str:
    """Say whether the shares of a map add up to what they share out, and what follows if not.

    Args:
        heat: one share for each place, in units of the logit.
        rise: what they ought to sum to.
    """
    total = float(heat.sum())
    off = abs(total - rise)
    share = f"{off / abs(rise):.0%}" if rise else f"{off:.2f}"
    verdict = (
        "close enough"
        if off <= CLOSE * abs(rise)
        else f"more than {CLOSE:.0%}, so look where the shares lie, but do not add them up"
    )
    return (
        f"The shares sum to {total:.2f}; from a picture of zeros to this one the logit rises by "
        f"{rise:.2f}. Off by {share}: {verdict}."
    )


def about_empty(logits: NDArray[np.float32], target: int, classes: Sequence[str]) -> str:
    """Say of a map that is zero everywhere whether that is no wonder, and what to try."""
    best = int(logits.argmax())
    where = (
        "it is the predicted class"
        if best == target
        else f"the predicted class, {classes[best]}, has {logits[best]:.1f}"
    )
    return (
        f"The map is empty: no place speaks for this class. Its logit is {logits[target]:.1f}; "
        f"{where}. Try hires_cam, which keeps what speaks against it, another layer or class, and "
        f"look at the scale of the pictures."
    )
