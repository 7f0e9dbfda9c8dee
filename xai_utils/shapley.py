"""Shapley values: what each player adds to a game, on the average of all orders of arrival.

A *game* is a function ``v`` from a coalition, a boolean mask of the players, to a number.  In an
explanation the players are the features of one row, and v says what the model gives when only
those are known.  How the others are made unknown is a choice, the *value function*; here it is the
interventional one.  All else is arithmetic.  What the package ``shap`` adds,
for trees and for networks, stands in a module of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._engine import check_count
from ._frames import Floats, check_rows, predictor
from ._shap_package import Shares, deep_shap, tree_shap

if TYPE_CHECKING:
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
    import pandas as pd

    f = predictor(model)
    check_rows(row, background)
    if len(row) != 1:
        raise ValueError(f"row has {len(row)} rows; expected one, e.g. frame.iloc[[0]]")
    known, others = row.to_numpy(np.float64), background.to_numpy(np.float64)

    def value(coalition: Coalition) -> float:
        mixed = np.where(coalition, known, others)
        return float(f(pd.DataFrame(mixed, columns=background.columns)).mean())

    return value
