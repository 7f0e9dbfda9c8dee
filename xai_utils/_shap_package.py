"""Shapley values by the package ``shap``, imported here only: quiet, checked."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._engine import check_finite, check_images, check_target, prepare
from ._frames import Floats, check_rows, predictor
from ._graph import copied, trace
from ._quiet import import_tensorflow, quiet_stderr
from .scores import Score

if TYPE_CHECKING:
    import keras
    import pandas as pd


_LOST = "shap cannot follow this model; use kernel_shap, which asks it only"


class Shares(NamedTuple):
    """Shares of each output, what they start from, and how far their sum is off at most.

    ``output = base + values summed over the features +- residual``.
    """

    values: NDArray[np.float64]
    base: NDArray[np.float64]
    residual: float


@contextlib.contextmanager
def _quiet_shap() -> Iterator[Any]:
    """The package, imported late, silent, and without effect on NumPy's global random state."""
    state, log = np.random.get_state(), logging.getLogger("tensorflow")
    level = log.level
    with warnings.catch_warnings(), quiet_stderr():  # its C++ code draws progress bars
        warnings.simplefilter("ignore")
        log.setLevel(logging.ERROR)  # it says that each class is traced anew
        import shap

        undo = _restored_gradients()
        try:
            yield shap
        finally:
            np.random.set_state(state)
            log.setLevel(level)
            undo()


def _restored_gradients() -> Callable[[], None]:
    """What undoes shap's change of TensorFlow, which it leaves behind when it fails.

    Every gradient of this process would end in a LookupError from then on.
    """
    if "tensorflow" not in sys.modules:
        return lambda: None
    from tensorflow.python.eager import execute

    before = execute.record_gradient
    return lambda: setattr(execute, "record_gradient", before)


def tree_shap(model: Any, rows: pd.DataFrame, background: pd.DataFrame) -> Shares:
    """Exact interventional Shapley values of a model of trees, without asking 2^n coalitions.

    The same numbers as ``shapley_exact(interventional_value(f, row, background), n)`` for each
    row, in a time that grows with leaves and background rows and not with coalitions.

    Args:
        model: a fitted model of trees that ``shap`` knows: scikit-learn's trees, forests and
            gradient boosting, of numbers or of two classes.  f is what the trees sum up: the
            prediction, the log-odds of boosted classes, the second class's probability of a forest.
        rows: what is explained.
        background: as for `interventional_value`; all of its rows are used (``shap`` itself takes
            100 of them and does not say so).

    Returns:
        `Shares` of values ``(N, features)``, base ``()`` and the additivity residual.

    Raises:
        ValueError: other columns, missing values, more than two classes, shares that do not sum up.

    Source: Lundberg et al. 2020, "From local explanations to global understanding with explainable
    AI for trees", Nature Machine Intelligence 2; package shap.
    """
    check_rows(rows, background)
    f = predictor(getattr(model, "decision_function", model))
    if len(getattr(model, "classes_", ())) > 2:
        raise ValueError(f"the model tells {len(model.classes_)} classes apart; expected two")
    with _quiet_shap() as shap:
        masker = shap.maskers.Independent(background, max_samples=len(background))
        explainer = shap.TreeExplainer(model, masker, feature_perturbation="interventional")
        x = _by_rank(explainer, rows, background)
        values = np.asarray(explainer.shap_values(x, check_additivity=False), np.float64)
    if values.ndim == 3:  # one column for each of two classes
        values = values[..., 1]
    return shares(values, f(background).mean(), f(rows))


def _by_rank(explainer: Any, rows: pd.DataFrame, background: pd.DataFrame) -> Floats:
    """Put the number of thresholds below it in a value's place, and return the rows so.

    Trees only ask ``x <= t``, so nothing changes, except that ``shap`` compares exactly: it keeps
    thresholds in single precision, where a value that equals one, 48.1 say, may change its side.
    Then shares are wrong that still sum up, because rows are mixed that nobody has seen.
    """
    trees = explainer.model
    x, others = (
        frame.to_numpy().astype(trees.input_dtype).astype(np.float64)
        for frame in (rows, background)
    )
    thresholds = np.array(trees.thresholds, np.float64)
    for j in range(x.shape[1]):
        here = trees.features == j
        known = np.unique(thresholds[here])
        thresholds[here] = np.searchsorted(known, thresholds[here]) + 0.5
        x[:, j], others[:, j] = (np.searchsorted(known, v[:, j]) for v in (x, others))
    trees.thresholds, explainer.data = thresholds, others
    return x


def deep_shap(
    model: keras.Model,
    images: ArrayLike,
    background: ArrayLike,
    *,
    classes: Sequence[int] | None = None,
    score: Score = "logit",
) -> Shares:
    """Shares of every pixel in every class's score, by the rescale rule averaged over a background.

    ``values = mean over b of m(x, b) (x - b)``, where m are the multipliers of DeepLIFT: each
    nonlinear unit passes on ``(f(z) - f(z_b)) / (z - z_b)`` for its slope.  The shares sum up to
    ``f(x) - mean f(b)``.  They are *not* the Shapley values of the network, only of each unit taken
    alone; measure how far apart the two are.

    Args:
        model: a Keras model; a copy of it is explained, in 32 bits.
        images: ``(N, H, W, C)`` in the model's scale.
        background: ``(M, H, W, C)`` images that stand for "unknown".  The work is N x M x classes;
            the sampling error falls as 1 / sqrt(M).
        classes: the shares of these classes only, in this order; None for all.
        score: the logit, or the probability.

    Returns:
        `Shares` of values ``(N, H, W, C, classes)``, base ``(classes,)``, and the residual.

    Raises:
        ValueError: wrong images, classes or score, NaN, shares that do not sum up, as where the
            network has a layer that ``shap`` cannot follow.

    Source: Lundberg & Lee 2017, section 4.2; Shrikumar et al. 2017, eq. 6; package shap.
    """
    x = prepare(model, images, None, score)[0]
    background = check_images(model, background)
    import_tensorflow()
    import keras

    # A copy, because what is traced here leaves marks; 32 bits, because shares of 16 do not sum up.
    twin = copied(model, "float32")
    twin.set_weights(model.get_weights())
    inputs = keras.Input(x.shape[1:])
    outputs = trace(twin, inputs).logits
    number = outputs.shape[-1]
    if score == "probability":
        last = keras.layers.Softmax() if number > 1 else keras.layers.Activation("sigmoid")
        outputs = last(outputs)
    every = range(number) if classes is None else classes
    asked = check_target(list(every), len(every), number)
    pick = keras.layers.Dense(len(asked), use_bias=False, name="asked_classes")
    outputs = pick(outputs)  # a layer, since shap explains what the last one gives
    pick.set_weights([np.eye(number, dtype=np.float32)[:, asked]])
    explained = keras.Model(inputs, outputs)
    wanted = np.asarray(explained(x), np.float64)
    check_finite(wanted, "deep_shap", model.name)
    with _quiet_shap() as shap:
        try:
            explainer = shap.DeepExplainer(explained, background)
            values = np.asarray(explainer.shap_values(x, check_additivity=False), np.float64)
        except Exception as error:  # an operation for which it has no rule fails in many ways
            raise ValueError(f"{_LOST} ({str(error).strip().splitlines()[-1].strip()})") from error
    return shares(values, np.asarray(explainer.expected_value, np.float64), wanted)


def shares(values: Floats, base: Any, wanted: Floats) -> Shares:
    """Assert that the shares sum up, to a thousandth of the largest output or share."""
    axes = tuple(range(1, values.ndim - wanted.ndim + 1))
    off = np.abs(base + values.sum(axis=axes) - wanted).max()
    scale = max(np.abs(wanted).max(), np.abs(wanted - base).max(), 1e-12)
    if not off <= 1e-3 * scale:  # false for NaN, too
        raise ValueError(f"the shares miss the model's output by {off:.3g} of {scale:.3g}: {_LOST}")
    return Shares(values, np.asarray(base, np.float64), float(off))
