"""Live pictures: change something with your own hand, and see at once what an explanation says.

Each function returns a `Live`: controls and maps that follow them in JupyterLab, and a figure with
alternative text wherever no reader sits at a kernel (on the site, on a host that shows notebooks).
What is computed stands in `_live_steps` as plain functions, how it is shown in `_live_views`.  A
drawn digit with its three maps is to be answered within 300 ms on two cores; `benchmarks/live.py`
measures it: 42 ms of processor time an answer, the cores added up (patch 18, blend 28, path 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from . import _live_views as views
from . import cam, scores
from ._live_frame import Control, Frame
from ._live_steps import (
    blend,
    centred,
    class_labels,
    cover,
    explain_drawing,
    integrate_along,
    one_image,
)
from ._live_widget import Ink, Live

if TYPE_CHECKING:
    import keras

__all__ = [
    "Live",
    "blend",
    "blend_classes",
    "centred",
    "cover",
    "draw_a_digit",
    "explain_drawing",
    "integrate_along",
    "move_a_patch",
    "walk_the_path",
]

PREDICTED = "the predicted class"


def draw_a_digit(
    model: keras.Model,
    examples: Mapping[str, ArrayLike],
    *,
    class_names: Sequence[str] | None = None,
    patch: int = 4,
    stride: int = 2,
    steps: int = 16,
) -> Live:
    """A page to draw on; prediction, saliency, integrated gradients and occlusion follow the pen.

    Drawn with the mouse, a finger, or the arrow keys and the space bar; one button for each example
    and one for an empty page.  A choice says which class is explained, a tick brings the drawing to
    the size and the place of MNIST's digits (`centred`) before the network sees it.

    Args:
        model: a network for grey images ``(H, W, 1)`` in [0, 1], ink 1 on paper 0.
        examples: name -> drawing ``(H, W, 1)``; the first one is on the page at the beginning.
        class_names: of the model's outputs; None for their numbers.
        patch, stride: of the occlusion, in pixels (`perturbation.occlusion`).
        steps: of the integrated gradients from an empty page.

    Raises:
        ValueError: no example, an example that does not fit the model or leaves [0, 1], or another
            number of names than of classes.
    """
    if not examples:
        raise ValueError("no examples; expected at least one drawing to begin with, by its name")
    pages = {name: one_image(model, drawing) for name, drawing in examples.items()}
    wrong = [
        n for n, page in pages.items() if page.shape[-1] != 1 or page.min() < 0 or page.max() > 1
    ]
    if wrong:
        raise ValueError(f"examples {wrong}: expected grey drawings (H, W, 1) between 0 and 1")
    names = class_labels(model, class_names)

    def answer(values: dict[str, Any], ink: Ink | None) -> Frame:
        assert ink is not None  # a page always has a drawing, if an empty one
        seen = centred(ink) if values["centred"] else ink
        target = None if values["target"] == PREDICTED else names.index(values["target"])
        found = explain_drawing(model, seen, target, patch=patch, stride=stride, steps=steps)
        return views.drawing(seen, found, names, patch)

    controls = [
        Control(
            name="target",
            label="explain",
            kind="choice",
            value=PREDICTED,
            options=[PREDICTED, *names],
        ),
        Control(name="centred", label="size and place as in MNIST", kind="tick", value=False),
    ]
    return Live("Draw a digit", answer, controls, pages=pages)


def move_a_patch(
    model: keras.Model,
    image: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    side: int = 40,
    start: tuple[int, int] | None = None,
    grey: float | None = None,
) -> Live:
    """A grey patch to be moved over a picture; the logits follow.

    Moved with the pointer on the picture, or by the sliders of its row and column; a third slider
    sets its side.  One place of it is one window of `perturbation.occlusion`.

    Args:
        model: a network for such pictures.
        image: ``(H, W, 1 or 3)`` in [0, 1], the scale that the model was trained on.
        class_names: of the model's outputs; None for their numbers.
        side: of the patch at the beginning, in pixels.
        start: row and column of its middle at the beginning; None for the picture's middle.
        grey: what covers; None for the picture's own mean.

    Raises:
        ValueError: an image that does not fit the model, a place outside of it, a side that is
            larger than it, or another number of names than of classes.
    """
    x, names = one_image(model, image), class_labels(model, class_names)
    height, width = x.shape[:2]
    row, column = (height // 2, width // 2) if start is None else start
    if not 1 <= side <= min(height, width):
        raise ValueError(f"side {side}; expected 1 to {min(height, width)} pixels for this picture")
    cover(model, x, row, column, side, grey)  # what is wrong is said here, not in the browser

    def answer(values: dict[str, Any], ink: Ink | None) -> Frame:
        place = int(values["row"]), int(values["column"])
        found = cover(model, x, *place, int(values["side"]), grey)
        return views.covered(found, place, names)

    sliders = (("row", row, 0, height - 1), ("column", column, 0, width - 1))
    controls = [
        *(
            Control(name=name, label=name, kind="slider", value=value, low=low, high=high)
            for name, value, low, high in sliders
        ),
        Control(
            name="side", label="side", kind="slider", value=side, low=1, high=min(height, width)
        ),
    ]
    return Live("Move a patch", answer, controls, places=("row", "column"))


def walk_the_path(
    model: keras.Model,
    image: ArrayLike,
    baseline: float | ArrayLike = 0.0,
    *,
    target: int | None = None,
    steps: int = 32,
    class_names: Sequence[str] | None = None,
) -> Live:
    """A slider along the path of integrated gradients: what each step sees and what it adds.

    Shown are the image on the way, the gradient there, the shares handed out so far, and their sum
    beside what the score has risen by: the difference is the residual (`integrate_along`).  All
    positions of the slider share their scales, so that the maps can be seen to grow.

    Args:
        model, image, target: image ``(H, W, 1 or 3)`` in [0, 1]; None for the predicted class.
        baseline: a number or an image ``(H, W, C)`` in [0, 1].
        steps: of the midpoint rule, and positions of the slider.
        class_names: of the model's outputs; None for their numbers.

    Raises:
        ValueError: as for `gradients.integrated_gradients`; another number of names than of
            classes.
    """
    names = class_labels(model, class_names)
    way = integrate_along(model, image, baseline, target, steps=steps)

    def answer(values: dict[str, Any], ink: Ink | None) -> Frame:
        return views.step(way, int(values["step"]) - 1, names)

    slider = Control(
        name="step", label="step", kind="slider", value=-(-steps // 2), low=1, high=steps
    )
    return Live("Walk the path", answer, [slider])


def blend_classes(
    model: keras.Model,
    image: ArrayLike,
    *,
    classes: tuple[int, int] | None = None,
    method: Callable[..., Any] = cam.grad_cam,
    class_names: Sequence[str] | None = None,
) -> Live:
    """Two classes' maps of one picture, and a slider that blends the one into the other.

    With t on the slider the middle panel shows ``(1 - t) M[a] + t M[b]``.  For `cam.cam` this is
    the map of the mixed logit; for `cam.grad_cam`, whose ReLU comes last, it is a mixture of
    pictures only.  All panels share one scale.

    Args:
        model, image: image ``(H, W, 1 or 3)`` in [0, 1].
        classes: a and b at the beginning; None for the two with the highest logits.
        method: ``method(model, images, target)`` gives maps ``(N, h, w)``.
        class_names: of the model's outputs; None for their numbers.

    Raises:
        ValueError: an image that does not fit the model, a class that it does not have, or another
            number of names than of classes.
    """
    x, names = one_image(model, image), class_labels(model, class_names)
    logits = scores.logits(model, x[None])[0]
    first = tuple(np.argsort(-logits)[:2].tolist()) if classes is None else classes
    blend(model, x, first, method)  # what is wrong is said here, not in the browser

    def answer(values: dict[str, Any], ink: Ink | None) -> Frame:
        pair = names.index(values["a"]), names.index(values["b"])
        maps, alike = blend(model, x, pair, method)
        return views.blended(x, maps, alike, float(values["t"]), pair, logits, names)

    controls = [
        Control(name="a", label="class a", kind="choice", value=names[first[0]], options=names),
        Control(name="t", label="from a to b", kind="slider", value=0.5, step=0.05),
        Control(name="b", label="class b", kind="choice", value=names[first[1]], options=names),
    ]
    return Live("Blend two classes", answer, controls)
