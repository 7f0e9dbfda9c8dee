"""Shapley values: what each player adds to a game, on the average of all orders of arrival.

A *game* is a function ``v`` from a coalition, a boolean mask of the players, to a number.  In an
explanation the players are the features of one row, and v says what the model gives when only
those are known.  How the others are made unknown is a choice, the *value function*; here it is the
interventional one.  All else is arithmetic.  This is the only module that imports ``shap``.
"""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._engine import check_count, check_images, prepare
from ._frames import Floats, check_frame, predictor
from ._graph import trace
from ._quiet import import_tensorflow, quiet_stderr
from .scores import Score

if TYPE_CHECKING:
    import keras
    import pandas as pd

Coalition = NDArray[np.bool_]
Game = Callable[[Coalition], float]
MOST = 16  # players that are enumerated: 65,536 coalitions

__all__ = [
    "Shares",
    "coalitions",
    "deep_shap",
    "interventional_value",
    "kernel_shap",
    "shapley_exact",
    "tree_shap",
]


class Shares(NamedTuple):
    """Shares of each output, what they start from, and how far their sum is off at most.

    ``output = base + values summed over the features +- residual``.
    """

    values: NDArray[np.float64]
    base: NDArray[np.float64]
    residual: float


# --- games ---------------------------------------------------------------------------------------


def coalitions(n_players: int) -> Coalition:
    """Every coalition of the players, ``(2^n, n)`` bool: row k holds the binary digits of k."""
    n = check_count("n_players", n_players)
    if n > MOST:
        raise ValueError(
            f"{n} players have {2**n:,} coalitions, and each must be asked: at most {MOST} players "
            f"({2**MOST:,}) are enumerated; join players into groups, or sample with "
            "kernel_shap(..., samples=...)"
        )
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(bool)


def shapley_exact(value: Game, n_players: int) -> Floats:
    """What each player adds, on the average of all orders in which the players may arrive.

    ``phi_i = sum over S without i of |S|! (n - |S| - 1)! / n! (v(S + i) - v(S))``.

    Nothing else is efficient (the shares sum to ``v(all) - v(nobody)``), symmetric, zero for a
    player who never adds anything, and additive over games.

    Args:
        value: v, called once for each of the 2^n coalitions, ``(n_players,)`` bool.
        n_players: n, at most 16.

    Returns:
        ``(n_players,)``, signed, in units of v.

    Raises:
        ValueError: too many players (with what they would cost), v is not one finite number.

    Source: Shapley 1953, "A value for n-person games", eq. 13.
    """
    every = coalitions(n_players)
    v = _asked(value, every)
    n, size, code = every.shape[1], every.sum(axis=1), np.arange(len(every))
    weight = np.array([math.factorial(s) * math.factorial(n - s - 1) for s in range(n)])
    weight = weight / math.factorial(n)
    shares = np.empty(n)
    for i in range(n):
        without = code[~every[:, i]]
        shares[i] = (weight[size[without]] * (v[without + 2**i] - v[without])).sum()
    return shares


def kernel_shap(
    value: Game, n_players: int, *, samples: int | None = None, seed: int = 0
) -> Floats:
    """The same shares as the weights of a regression: the sum of shares that comes nearest to v.

    ``minimise sum over S of w(S) (v(S) - v(nobody) - sum_(i in S) phi_i)^2`` with
    ``w(S) = (n - 1) / (C(n, |S|) |S| (n - |S|))`` and ``sum phi = v(all) - v(nobody)``.
    Over all coalitions that is the Shapley value exactly; over sampled ones an estimate of it.

    Args:
        value: as for `shapley_exact`.
        n_players: n; any number of players if coalitions are sampled.
        samples: how many coalitions are drawn with probability proportional to w, each with its
            complement (an even number is drawn); None for all, and all also where there are no
            more than ``samples``.
        seed: of the sampling.

    Returns:
        ``(n_players,)``, signed, in units of v.

    Raises:
        ValueError: as for `shapley_exact`, or too few samples to tell the players apart.

    Source: Lundberg & Lee 2017, theorem 2; solved as in Covert & Lee 2021, "Improving KernelSHAP",
    eq. 7.
    """
    n = check_count("n_players", n_players)
    nobody, everybody = _asked(value, np.stack([np.zeros(n, bool), np.ones(n, bool)]))
    total = everybody - nobody
    if n == 1:
        return np.array([total])
    if samples is None or (n <= MOST and check_count("samples", samples) >= 2**n - 2):
        z = coalitions(n)[1:-1]
        size = z.sum(axis=1)
        w = (n - 1) / (np.array([math.comb(n, s) for s in size]) * size * (n - size))
    else:
        z, w = _drawn(n, check_count("samples", samples), seed)
    a = (z.T * w) @ z
    b = (z.T * w) @ (_asked(value, z) - nobody)
    if np.linalg.matrix_rank(a) < n:
        raise ValueError(
            f"{samples} samples cannot tell {n} players apart; take more, e.g. {8 * n}"
        )
    free, ones = np.linalg.solve(a, np.stack([b, np.ones(n)], axis=1)).T
    return free - ones * (free.sum() - total) / ones.sum()  # Lagrange: the shares sum to the total


def _drawn(n: int, samples: int, seed: int) -> tuple[Coalition, Floats]:
    """Different coalitions drawn by the Shapley kernel, and how often each was drawn."""
    rng = np.random.default_rng(seed)
    size = np.arange(1, n)
    chance = 1 / (size * (n - size))  # all coalitions of a size together
    sizes = rng.choice(size, size=-(-samples // 2), p=chance / chance.sum())
    drawn = rng.random((len(sizes), n)).argsort(axis=1) < sizes[:, None]
    z, times = np.unique(np.concatenate([drawn, ~drawn]), axis=0, return_counts=True)
    return z, times.astype(np.float64)


def _asked(value: Game, every: Coalition) -> Floats:
    """``v`` of each coalition, checked."""
    found = np.empty(len(every))
    for k, coalition in enumerate(every):
        number = np.asarray(value(coalition.copy()))
        if number.size != 1 or number.dtype.kind not in "fiub" or not np.isfinite(number).all():
            raise ValueError(
                f"the value of coalition {np.flatnonzero(coalition).tolist()} is {number}; "
                "expected one finite number"
            )
        found[k] = number.item()
    return found


def interventional_value(model: Any, row: pd.DataFrame, background: pd.DataFrame) -> Game:
    """The game of one row: the model's mean output where the features outside S are others'.

    ``v(S) = mean over background rows b of f(x_S, b_(not S))``.  The other features are put in as
    they come, whatever S is, so rows are mixed that nobody has seen; in return a feature that the
    model does not read gets nothing.  For a weighted sum, ``phi_i = w_i (x_i - mean b_i)``.

    Args:
        model: an estimator with ``predict`` (or ``predict_proba`` of two classes: the second
            one's probability), or a function from a frame to one number a row, e.g.
            ``model.decision_function`` for log-odds.
        row: a frame of one row.
        background: the rows that stand for "unknown"; columns as in ``row``.  All answers are
            relative to them.

    Returns:
        v, which asks the model about all background rows at each call.

    Raises:
        ValueError: more or less than one row, other columns, missing values, text.
        TypeError: not a frame, or a model that cannot be asked.

    Source: Janzing, Minorics & Blöbaum 2020, "Feature relevance quantification in explainable AI".
    """
    f = predictor(model)
    _check_rows(row, background)
    if len(row) != 1:
        raise ValueError(f"row has {len(row)} rows; expected one, e.g. frame.iloc[[0]]")
    known, others = row.to_numpy(np.float64), background.to_numpy(np.float64)

    def value(coalition: Coalition) -> float:
        mixed = np.where(coalition, known, others)
        return float(f(_like(background, mixed)).mean())

    return value


def _like(frame: pd.DataFrame, values: Floats) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(values, columns=frame.columns)


def _check_rows(rows: Any, background: Any) -> None:
    check_frame(rows, "row")
    check_frame(background, "background")
    if list(rows.columns) != list(background.columns):
        raise ValueError(
            f"the row has the columns {list(rows.columns)} and the background "
            f"{list(background.columns)}; expected the same in the same order"
        )


# --- the package shap ----------------------------------------------------------------------------


@contextlib.contextmanager
def _quiet_shap() -> Iterator[Any]:
    """The package, imported late, silent, and without effect on NumPy's global random state."""
    state, log = np.random.get_state(), logging.getLogger("tensorflow")
    level = log.level
    with warnings.catch_warnings(), quiet_stderr():  # its C++ code draws progress bars
        warnings.simplefilter("ignore")
        log.setLevel(logging.ERROR)  # it says that each class is traced anew
        import shap

        try:
            yield shap
        finally:
            np.random.set_state(state)
            log.setLevel(level)


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
    _check_rows(rows, background)
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
    return _shares(values, f(background).mean(), f(rows))


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
    model: keras.Model, images: ArrayLike, background: ArrayLike, *, score: Score = "logit"
) -> Shares:
    """Shares of every pixel in every class's score, by the rescale rule averaged over a background.

    ``values = mean over b of m(x, b) (x - b)``, where m are the multipliers of DeepLIFT: each
    nonlinear unit passes on ``(f(z) - f(z_b)) / (z - z_b)`` for its slope.  The shares sum up to
    ``f(x) - mean f(b)``.  They are *not* the Shapley values of the network, only of each unit taken
    alone; measure how far apart the two are.

    Args:
        model: a Keras model; a copy of it is explained.
        images: ``(N, H, W, C)`` in the model's scale.
        background: ``(M, H, W, C)`` images that stand for "unknown".  The work is N x M x classes;
            the sampling error falls as 1 / sqrt(M).
        score: the logit, or the probability.

    Returns:
        `Shares` of values ``(N, H, W, C, classes)``, base ``(classes,)``, and the residual.

    Raises:
        ValueError: wrong images or score, NaN, shares that do not sum up, as where the network has
            a layer that ``shap`` cannot follow.

    Source: Lundberg & Lee 2017, section 4.2; Shrikumar et al. 2017, eq. 6; package shap.
    """
    x = prepare(model, images, None, score)[0]
    background = check_images(model, background)
    import_tensorflow()
    import keras

    twin = keras.models.clone_model(model)  # what is traced here leaves marks on layers
    twin.set_weights(model.get_weights())
    inputs = keras.Input(x.shape[1:])
    outputs = trace(twin, inputs).logits
    if score == "probability":
        outputs = keras.layers.Softmax()(outputs)
    explained = keras.Model(inputs, outputs)
    with _quiet_shap() as shap:
        explainer = shap.DeepExplainer(explained, background)
        values = np.asarray(explainer.shap_values(x, check_additivity=False), np.float64)
    base = np.asarray(explainer.expected_value, np.float64)
    return _shares(values, base, np.asarray(explained(x), np.float64))


def _shares(values: Floats, base: Any, wanted: Floats) -> Shares:
    """Assert that the shares sum up, to a thousandth of the largest output or share."""
    axes = tuple(range(1, values.ndim - wanted.ndim + 1))
    off = np.abs(base + values.sum(axis=axes) - wanted).max()
    scale = max(np.abs(wanted).max(), np.abs(wanted - base).max(), 1e-12)
    if not off <= 1e-3 * scale:  # false for NaN, too
        raise ValueError(
            f"the shares miss the model's output by {off:.3g} of {scale:.3g}: shap cannot follow "
            "this model; use kernel_shap, which asks it only"
        )
    return Shares(values, np.asarray(base, np.float64), float(off))
