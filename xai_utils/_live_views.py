"""How each live picture shows what was computed: results in, one `Frame` out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from . import cam
from ._live_frame import Bars, Frame
from ._live_steps import Covered, Explained, Image, Path
from .plots import Panel

EVIDENCE = "evidence (logit)"


def drawing(seen: Image, found: Explained, names: Sequence[str], patch: int) -> Frame:
    """A drawing as the network sees it, its three maps, and the probabilities."""
    best = int(found.probabilities.argmax())
    why = f"why {names[found.target]}?"
    maps = (
        (found.saliency, f"saliency: {why}", "logit per unit of ink"),
        (found.integrated, f"integrated gradients\nsum {found.integrated.sum():.2f}", EVIDENCE),
        (found.occlusion, f"occlusion, patch {patch}", EVIDENCE),
    )
    read = f"Read as {names[best]} with {found.probabilities[best]:.1%}."
    residual = f"{read} Residual of the integrated gradients: {found.residual:+.3f} logits."
    return Frame(
        panels=[
            Panel(image=seen, title="what the network sees"),
            *(Panel(heat=h, signed=True, title=t, label=name) for h, t, name in maps),
        ],
        bars=Bars(names=names, values=found.probabilities.tolist(), label="probability"),
        words=residual if seen.any() else f"An empty page. {read}",
    )


def covered(found: Covered, place: tuple[int, int], names: Sequence[str]) -> Frame:
    """A picture under the patch, and the logits beside those of the untouched one."""
    own, now = int(found.before.argmax()), int(found.logits.argmax())
    change = found.logits[own] - found.before[own]
    still = f"Still read as {names[own]}." if own == now else f"Now read as {names[now]}."
    return Frame(
        panels=[Panel(image=found.image.clip(0, 1), title="the picture under the patch")],
        bars=Bars(
            names=names,
            values=found.logits.tolist(),
            before=found.before.tolist(),
            label="logit (mark: without patch)",
        ),
        words=f"Patch at row {place[0]}, column {place[1]}: the logit of {names[own]} changes by "
        f"{change:+.2f}. {still}",
    )


def step(way: Path, k: int, names: Sequence[str]) -> Frame:
    """Step k of a path: the image, the gradient there, and the sum of the shares so far."""
    slopes, sums = way.gradients.sum(axis=-1), way.sums.sum(axis=-1)
    slope, total = (float(np.abs(maps).max()) or None for maps in (slopes, sums))  # of all steps
    return Frame(
        panels=[
            Panel(image=way.images[k].clip(0, 1), title=f"the image at α = {way.alpha[k]:.2f}"),
            Panel(
                heat=slopes[k],
                signed=True,
                limit=slope,
                title="its gradient",
                label="logit per unit of ink",
            ),
            Panel(heat=sums[k], signed=True, limit=total, title="sum so far", label=EVIDENCE),
        ],
        words=f"Step {k + 1} of {len(way.alpha)}: shares of {sums[k].sum():.2f} logits are handed "
        f"out, the logit of {names[way.target]} has risen by {way.rises[k]:.2f}; "
        f"residual {way.residuals[k]:+.3f}.",
    )


def blended(
    x: Image,
    maps: Image,
    alike: float,
    t: float,
    pair: tuple[int, int],
    logits: NDArray[np.float32],
    names: Sequence[str],
) -> Frame:
    """Two classes' maps over a picture, and the mixture ``(1 - t) M[a] + t M[b]`` between them."""
    three = np.stack([maps[0], (1 - t) * maps[0] + t * maps[1], maps[1]])
    limit = float(np.quantile(np.abs(maps), 0.99)) or None  # a few cells lie beyond
    a, b = (names[k] for k in pair)
    titles = (
        f"{a}\nlogit {logits[pair[0]]:.1f}",
        f"{1 - t:.0%} {a},\n{t:.0%} {b}",
        f"{b}\nlogit {logits[pair[1]]:.1f}",
    )
    return Frame(
        panels=[
            Panel(
                image=x,
                heat=heat,
                signed=bool((maps < 0).any()),
                limit=limit,
                alpha=0.8,
                title=title,
                label="evidence",
            )
            for heat, title in zip(cam.resize_heatmap(three, x.shape[:2]), titles, strict=True)
        ],
        words=f"Correlation of the two maps: {alike:+.2f}.",
    )
