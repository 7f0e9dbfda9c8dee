"""Explanations of models of tables: coefficients, effects, sensitivities, surrogates.

A model is an estimator with ``predict`` (or ``predict_proba`` of two classes: the second one's
probability is explained), or any function from a frame to one number a row.  Permutation
importance and partial dependence are scikit-learn's own and have no wrapper here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._frames import (
    Floats,
    check_column,
    check_frame,
    check_varies,
    labeller,
    predictor,
)
from ._sensitivity import elementary_effects, sensitivity_local, sobol_indices
from .scores import check_count

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Effect",
    "Surrogate",
    "accumulated_local_effects",
    "coefficients",
    "elementary_effects",
    "sensitivity_local",
    "sobol_indices",
    "surrogate_tree",
]

# --- a weighted sum ------------------------------------------------------------------------------


def coefficients(frame: pd.DataFrame, target: str, *, level: float = 0.95) -> pd.DataFrame:
    """The weighted sum of columns that comes nearest to the target, and how sure each weight is.

    ``b = (X'X)^-1 X'y``, computed as ``R b = Q'y`` from ``X = QR``, with a first column of ones;
    ``standard error of b_j = s sqrt((X'X)^-1_jj)``, ``s^2 = |y - Xb|^2 / (n - p)``;
    ``interval = b_j +- t(n - p) * standard error``; ``standardised = b_j sd(x_j) / sd(y)``.

    The intervals hold if the truth is such a sum, plus errors that are independent, normal and of
    one variance.

    Args:
        frame: numbers; one row an example.
        target: the column to be predicted; all others are features.
        level: probability that an interval covers the true weight.

    Returns:
        One row a feature, ``"intercept"`` first; columns coefficient, standard_error, low, high (in
        units of target per unit of feature) and standardised (without unit; NaN for the intercept).

    Raises:
        ValueError: an unknown target, missing values, text, constant columns, columns that are
            weighted sums of others (both are named), fewer rows than weights, a wrong level.

    Source: Hastie, Tibshirani & Friedman 2009, "The elements of statistical learning", section 3.2.
    """
    check_column(frame, target, "target")
    check_frame(frame)
    if not (isinstance(level, int | float) and 0 < level < 1):
        raise ValueError(f"level {level!r}; expected a probability between 0 and 1, e.g. 0.95")
    x, y = frame.drop(columns=target).astype(float), frame[target].to_numpy(np.float64)
    n, p = len(x), x.shape[1] + 1
    if p == 1:
        raise ValueError(f"the frame has no column beside the target {target!r}")
    check_varies(frame)
    if n <= p:
        raise ValueError(f"{n} rows for {p} weights, the intercept included; expected more rows")
    _check_independent(x)
    import pandas as pd
    from scipy import stats

    q, r = np.linalg.qr(np.column_stack([np.ones(n), x]))
    b = np.linalg.solve(r, q.T @ y)
    s = np.sqrt(((y - q @ (r @ b)) ** 2).sum() / (n - p))
    error = s * np.sqrt((np.linalg.inv(r) ** 2).sum(axis=1))  # (X'X)^-1 = R^-1 R^-1'
    half = stats.t.ppf((1 + level) / 2, n - p) * error
    return pd.DataFrame(
        {
            "coefficient": b,
            "standard_error": error,
            "low": b - half,
            "high": b + half,
            "standardised": np.r_[np.nan, b[1:] * x.std().to_numpy() / y.std(ddof=1)],
        },
        index=pd.Index(["intercept", *map(str, x.columns)], name="feature"),
    )


def _check_independent(x: pd.DataFrame) -> None:
    """Raise for the first column that is a weighted sum of those before it, and name them."""
    z = ((x - x.mean()) / x.std()).to_numpy()
    for j in range(1, z.shape[1]):
        weights = np.linalg.lstsq(z[:, :j], z[:, j], rcond=None)[0]
        if np.linalg.norm(z[:, j] - z[:, :j] @ weights) > 1e-8 * np.linalg.norm(z[:, j]):
            continue
        others = [repr(str(x.columns[k])) for k in range(j) if abs(weights[k]) > 1e-6]
        raise ValueError(
            f"column {str(x.columns[j])!r} is a weighted sum of {', '.join(others)} (and perhaps a "
            "constant), so the weights cannot be told apart: leave one of these columns out"
        )


# --- effects -------------------------------------------------------------------------------------


class Effect(NamedTuple):
    """An accumulated local effect: ``effect[k]`` at ``edges[k]``, ``counts[k]`` rows between."""

    edges: Floats
    effect: Floats
    counts: Floats


def accumulated_local_effects(
    model: Any, frame: pd.DataFrame, feature: str, *, bins: int = 20
) -> Effect:
    """How the prediction changes along one feature, asked only where the data are.

    ``effect(z_k) = sum_(l <= k) mean over rows of bin l of f(z_l, rest) - f(z_(l-1), rest) - c``.
    Bin l holds the rows with ``z_(l-1) < x <= z_l`` (the first one its lower edge, too).  A row
    moves to the edges of its own bin and no further, and keeps its other values.

    The edges are quantiles, each a value of the data; equal ones are merged, so a feature of few
    values has fewer bins.  ``c`` makes the mean over all rows zero, the effect read linearly
    between the edges (the article reads it at the upper edges, which differs by a constant).

    Args:
        model: an estimator or a callable; see the module.
        frame: the features, as the model wants them.
        feature: whose effect.
        bins: at most so many, each with about as many rows.  Few smooth, many jitter.

    Returns:
        `Effect` of edges ``(K + 1,)``, effect ``(K + 1,)`` in units of the prediction, and counts
        ``(K,)``: an effect over few rows is not to be trusted.

    Raises:
        ValueError: an unknown feature (the nearest names), a constant one, missing values, text,
            ``bins`` below 1, predictions that are not one finite number a row.
        TypeError: neither an estimator nor a callable.

    Source: Apley & Zhu 2020, "Visualizing the effects of predictor variables in black box
    supervised learning models", JRSS B 82, eq. 15 and 16.
    """
    f, frame = predictor(model), check_frame(frame)
    check_column(frame, feature)
    x = frame[feature].to_numpy(np.float64)
    check_varies(frame[[feature]])
    bins = check_count("bins", bins)
    edges = np.unique(np.quantile(x, np.linspace(0, 1, bins + 1), method="inverted_cdf"))
    place = np.searchsorted(edges, x).clip(1) - 1
    moved = frame.copy()
    moved[feature] = edges[place + 1]
    up = f(moved)
    moved[feature] = edges[place]
    change = up - f(moved)
    counts = np.bincount(place, minlength=len(edges) - 1)
    effect = np.r_[0, np.cumsum(np.bincount(place, change, len(edges) - 1) / counts)]
    return Effect(edges, effect - np.interp(x, edges, effect).mean(), counts.astype(float))


# --- surrogates ----------------------------------------------------------------------------------


class Surrogate(NamedTuple):
    """A tree that imitates a model; how well, and how well a constant does, on unseen rows."""

    tree: Any
    fidelity: float
    chance: float


def surrogate_tree(
    model: Any, frame: pd.DataFrame, *, depth: int, held_out: float = 0.3, seed: int = 0
) -> Surrogate:
    """A decision tree fitted to what a model *predicts*, not to the truth.

    For labels (text, whole numbers, bool) fidelity is the share of held-out rows on which tree and
    model agree, and ``chance`` that of always saying the model's commonest label.  For other
    numbers it is ``R^2 = 1 - sum (f - tree)^2 / sum (f - mean f)^2``, and chance about 0.

    Args:
        model: an estimator with ``predict``, or a callable from a frame to one label or number a
            row; scores of several classes must become one first, e.g. by ``argmax``.
        frame: rows at which the model is asked; no targets are needed.
        depth: of the tree, at most.
        held_out: the share of rows that the tree does not see, on which it is measured.
        seed: of the choice of these rows, and of the tree.

    Returns:
        `Surrogate` of the fitted scikit-learn tree, fidelity and chance.

    Raises:
        ValueError, TypeError: as above; a model that says the same of every row, or one number of
            every held-out row.

    Source: Craven & Shavlik 1996, "Extracting tree-structured representations of trained networks"
    (the idea, and fidelity; theirs is grown in another way).
    """
    ask, frame, depth = labeller(model), check_frame(frame), check_count("depth", depth)
    if not (isinstance(held_out, float) and 0 < held_out < 1):
        raise ValueError(f"held_out {held_out!r}; expected a share between 0 and 1, e.g. 0.3")
    said = ask(frame)
    if len(np.unique(said)) == 1:
        raise ValueError(
            f"the model says {said.tolist()[0]!r} of all {len(said)} rows: nothing to imitate"
        )
    from sklearn.model_selection import train_test_split
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    seen, unseen, a, b = train_test_split(frame, said, test_size=held_out, random_state=seed)
    if said.dtype.kind == "f" and np.ptp(b) == 0:
        raise ValueError(
            f"the model says {b[0]} of all {len(b)} held-out rows, so R^2 cannot tell how well a "
            "tree imitates it: take more rows, a larger held_out, or another seed"
        )
    kind = DecisionTreeRegressor if said.dtype.kind == "f" else DecisionTreeClassifier
    tree = kind(max_depth=depth, random_state=seed).fit(seen, a)
    values, times = np.unique(a, return_counts=True)
    constant = a.mean() if said.dtype.kind == "f" else values[times.argmax()]
    alike = _r_squared if said.dtype.kind == "f" else _agreement
    return Surrogate(tree, alike(b, tree.predict(unseen)), alike(b, np.full(len(b), constant)))


def _agreement(said: Any, imitated: Any) -> float:
    return float(np.mean(said == imitated))


def _r_squared(said: Any, imitated: Any) -> float:
    return float(1 - ((said - imitated) ** 2).sum() / ((said - said.mean()) ** 2).sum())
