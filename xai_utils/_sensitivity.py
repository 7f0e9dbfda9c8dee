"""Sensitivity of a model of a table: at one row, over a grid, and as shares of variance.

`tabular` hands these out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._frames import Floats, check_frame, check_varies, predictor
from .scores import check_count

if TYPE_CHECKING:
    import pandas as pd


def sensitivity_local(
    model: Any, frame: pd.DataFrame, row: int, *, step: float = 0.1
) -> pd.DataFrame:
    """How the prediction for one row moves when one feature at a time does.

    ``derivative_j = (f(x + h_j e_j) - f(x - h_j e_j)) / 2 h_j`` with ``h_j = step sd(x_j)``.
    A model of steps, as trees are, has a derivative of zero almost everywhere: then the answer
    depends on the step, and ``step`` must be as large as the move that is meant.

    Args:
        model, frame: as for `tabular.accumulated_local_effects`.
        row: position of the row in the frame.
        step: of each move, in standard deviations of its column.

    Returns:
        One row a feature; columns derivative (prediction per unit of the feature) and per_sd (times
        the column's standard deviation: comparable between features).

    Raises:
        ValueError, TypeError: as there; a constant column, no such row, a step not positive.

    Source: Saltelli et al. 2008, "Global sensitivity analysis: the primer", section 1.2.
    """
    import pandas as pd

    f, frame = predictor(model), check_frame(frame).astype(float)
    check_varies(frame)
    if not (isinstance(row, int | np.integer) and -len(frame) <= row < len(frame)):
        raise ValueError(f"row {row!r}; expected a position from 0 to {len(frame) - 1}")
    if not (isinstance(step, int | float) and 0 < step < np.inf):
        raise ValueError(f"step {step!r}; expected a positive number of standard deviations")
    x, sd = frame.iloc[row].to_numpy(), frame.std().to_numpy()
    moves = np.diag(step * sd)
    up, down = (f(pd.DataFrame(x + sign * moves, columns=frame.columns)) for sign in (1, -1))
    per_sd = (up - down) / (2 * step)
    index = pd.Index(frame.columns, name="feature")
    return pd.DataFrame({"derivative": per_sd / sd, "per_sd": per_sd}, index=index)


def elementary_effects(
    model: Any, frame: pd.DataFrame, *, paths: int = 100, levels: int = 4, seed: int = 0
) -> pd.DataFrame:
    """Morris's screening: how far the prediction moves per range of a feature, all over the place.

    A path starts at a random point of a grid of ``levels`` values from each column's least to its
    largest, and moves every feature once by ``d = levels / (2 (levels - 1))`` of its range, in
    random order: ``effect_j = (f(after) - f(before)) / d``, with its sign turned where it moved
    down.  The features are moved as if they were independent.

    Args:
        model, frame: as for `tabular.accumulated_local_effects`.
        paths: random paths; each costs (features + 1) predictions.
        levels: of the grid, an even number.
        seed: of the paths.

    Returns:
        One row a feature; columns mean (of the effects), mean_absolute (how much it matters),
        interval (half of the 95 % confidence interval of that, by bootstrap over the paths) and
        deviation (zero where it acts alone and linearly).

    Raises:
        ValueError, TypeError: as there; a constant column, odd levels.

    Source: Morris 1991, "Factorial sampling plans for preliminary computational experiments";
    Campolongo, Cariboni & Saltelli 2007 for the mean of absolute values; computed by SALib.
    """
    import pandas as pd

    f, frame = predictor(model), check_frame(frame).astype(float)
    check_varies(frame)
    paths, levels = check_count("paths", paths), check_count("levels", levels)
    if levels % 2:
        raise ValueError(
            f"levels {levels}; expected an even number, so that all are equally likely"
        )
    from SALib.analyze import morris as analysis
    from SALib.sample import morris as design

    ends = np.column_stack([frame.min(), frame.max()])
    problem = _problem(frame, ends)
    points = design.sample(problem, paths, num_levels=levels, seed=seed)
    values = f(pd.DataFrame(points, columns=frame.columns))
    # Scaled into [0, 1], so that an effect is per range of a feature.
    unit = (points - ends[:, 0]) / np.ptp(ends, axis=1)
    found = analysis.analyze(problem, unit, values, num_levels=levels, seed=seed)
    columns = {
        "mean": found["mu"],
        "mean_absolute": found["mu_star"],
        "interval": found["mu_star_conf"],
        "deviation": found["sigma"],
    }
    return pd.DataFrame(
        {name: np.asarray(column, float) for name, column in columns.items()},
        index=pd.Index(frame.columns, name="feature"),
    )


def sobol_indices(
    model: Any, frame: pd.DataFrame, *, samples: int = 1024, seed: int = 0
) -> pd.DataFrame:
    """Which share of the prediction's variance each feature accounts for, alone and in company.

    ``first_j = Var(E[f | x_j]) / Var(f)``, ``total_j = 1 - Var(E[f | all but x_j]) / Var(f)``.
    Their difference is interaction.

    **The inputs are drawn independently**, each from its own column.  Where columns depend on each
    other, the model is asked about rows that cannot be, and the shares are those of that world.

    Args:
        model, frame: as for `tabular.accumulated_local_effects`.
        samples: a power of 2; costs samples * (features + 2) predictions.
        seed: of the scrambled Sobol sequence.

    Returns:
        One row a feature; columns first, total, and half of the 95 % confidence interval of each,
        by bootstrap.  Estimates: small ones may come out negative.

    Raises:
        ValueError, TypeError: as there; a constant column, samples that are no power of 2, a model
            that gives the same everywhere.

    Source: Saltelli et al. 2010, "Variance based sensitivity analysis of model output"; computed by
    SALib.
    """
    f, frame = predictor(model), check_frame(frame).astype(float)
    check_varies(frame)
    if check_count("samples", samples) & (samples - 1):
        raise ValueError(f"samples {samples}; expected a power of 2, e.g. 1024")
    import pandas as pd
    from SALib.analyze import sobol as analysis
    from SALib.sample import sobol as design

    # Drawn in [0, 1) and looked up among each column's sorted values: its own distribution.
    problem = _problem(frame, np.tile([0.0, 1.0], (frame.shape[1], 1)))
    points = design.sample(problem, samples, calc_second_order=False, seed=seed)
    place = np.minimum((points * len(frame)).astype(int), len(frame) - 1)
    rows = np.take_along_axis(np.sort(frame.to_numpy(), axis=0), place, axis=0)
    values = f(pd.DataFrame(rows, columns=frame.columns))
    if np.ptp(values) == 0:
        raise ValueError("the model gives the same everywhere: no variance to share out")
    # Its bootstrap takes 0 for no seed.
    found = analysis.analyze(problem, values, calc_second_order=False, seed=seed + 1)
    columns = {
        "first": found["S1"],
        "first_interval": found["S1_conf"],
        "total": found["ST"],
        "total_interval": found["ST_conf"],
    }
    return pd.DataFrame(columns, index=pd.Index(frame.columns, name="feature"))


def _problem(frame: pd.DataFrame, bounds: Floats) -> dict[str, Any]:
    """A table's columns as SALib wants them described."""
    return {"num_vars": frame.shape[1], "names": list(frame.columns), "bounds": bounds.tolist()}
