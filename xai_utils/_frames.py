"""Checked tables, and models of tables behind one face: a frame in, one number a row out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Model = Callable[["pd.DataFrame"], ArrayLike]  # or an estimator with `predict`


def check_frame(frame: Any, what: str = "frame") -> pd.DataFrame:
    """The frame, if it is one, has rows, and holds numbers only: none missing, none infinite."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"{what} is {type(frame).__name__}; expected a pandas DataFrame")
    if frame.empty:
        raise ValueError(
            f"{what} has {len(frame)} rows and {frame.shape[1]} columns; nothing in it"
        )
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(f"{what} has two columns named {twice[0]!r}; expected names that differ")
    for name in frame:
        column = frame[name]
        if not pd.api.types.is_numeric_dtype(column):
            raise ValueError(f"column {name!r} holds {not_numbers(name, column)}")
        bad = int((~np.isfinite(column.to_numpy(np.float64, na_value=np.nan))).sum())
        if bad:
            raise ValueError(
                f"column {name!r} lacks {bad} of {len(column)} values (missing or infinite): drop "
                "those rows with frame.dropna(), or fill them, and say which you did"
            )
    return frame


def not_numbers(name: Any, column: pd.Series) -> str:
    """What a column holds instead of numbers, and what to do: it has names, or cells to mend."""
    import pandas as pd

    wrong = column[pd.to_numeric(column, errors="coerce").isna() & column.notna()]
    if not 0 < len(wrong) < len(column) / 2:
        return (
            f"{column.dtype}, expected numbers: leave it out, or turn it into 0 and 1 by "
            "pandas.get_dummies(frame, drop_first=True, dtype=float)"
        )
    return (
        f"text in {len(wrong)} of {len(column)} rows, expected numbers: the first is "
        f"{wrong.iloc[0]!r} in row {wrong.index[0]!r}. Mend these cells, or make them missing by "
        f"pandas.to_numeric(frame[{name!r}], errors='coerce'), and say which you did"
    )


def check_rows(rows: Any, background: Any) -> None:
    """Raise unless both are frames of numbers with the same columns in the same order."""
    check_frame(rows, "row")
    check_frame(background, "background")
    if list(rows.columns) != list(background.columns):
        raise ValueError(
            f"the row has the columns {list(rows.columns)} and the background "
            f"{list(background.columns)}; expected the same in the same order"
        )


def check_column(frame: pd.DataFrame, name: Any, what: str = "feature") -> None:
    """Raise, with the nearest names, if the frame has no such column."""
    if name in frame.columns:
        return
    near = difflib.get_close_matches(str(name), [str(c) for c in frame.columns], cutoff=0.4)
    known = f"did you mean {' or '.join(map(repr, near))}?" if near else _listed(frame.columns)
    raise ValueError(f"{what} {name!r} is no column of the frame; {known}")


def _listed(columns: Iterable[Any]) -> str:
    return "it has " + ", ".join(repr(c) for c in columns)


def check_varies(frame: pd.DataFrame) -> None:
    """Raise if a column has the same value in every row, and name all that do."""
    constant = [str(name) for name in frame if frame[name].nunique() == 1]
    if constant:
        raise ValueError(
            f"the same value in every row of {', '.join(map(repr, constant))}: nothing can be "
            "learnt from that; leave it out"
        )


def predictor(model: Any) -> Callable[[pd.DataFrame], Floats]:
    """A model as a function from a frame to one finite number a row.

    An estimator with ``predict_proba`` gives the probability of its second class, another one what
    ``predict`` gives; any other callable is taken as it is.
    """
    name = getattr(model, "__name__", type(model).__name__)
    if hasattr(model, "predict_proba"):
        if len(model.classes_) != 2:
            raise ValueError(
                f"{name} tells {len(model.classes_)} classes apart; say which one is explained, "
                "e.g. lambda frame: model.predict_proba(frame)[:, 2]"
            )
        return _checked(lambda frame: model.predict_proba(frame)[:, 1], name)
    return _checked(_raw(model, name), name)


def labeller(model: Any) -> Callable[[pd.DataFrame], NDArray[Any]]:
    """A model as a function from a frame to one label or number a row, by ``predict`` if it can."""
    name = getattr(model, "__name__", type(model).__name__)
    function = _raw(model, name)
    return lambda frame: _one_a_row(function(frame), frame, name)


def _raw(model: Any, name: str) -> Model:
    if hasattr(model, "predict"):
        return lambda frame: model.predict(frame)
    if not callable(model):
        raise TypeError(f"{name} has no predict and cannot be called; expected a fitted model")
    return lambda frame: model(frame)


def _one_a_row(given: ArrayLike, frame: pd.DataFrame, name: str) -> NDArray[Any]:
    values = np.asarray(given)
    if values.shape == (len(frame), 1):
        values = values[:, 0]
    if values.shape != (len(frame),):
        raise ValueError(
            f"{name} gave shape {values.shape} for {len(frame)} rows; expected one value a row"
        )
    return values


def _checked(function: Model, name: str) -> Callable[[pd.DataFrame], Floats]:
    def numbers(frame: pd.DataFrame) -> Floats:
        values = _one_a_row(function(frame), frame, name)
        if values.dtype.kind not in "fiub":
            raise ValueError(f"{name} gives {values.dtype}; expected numbers, not names of classes")
        values = values.astype(np.float64)
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise ValueError(f"{name} gave {bad} values that are NaN or infinite")
        return values

    return numbers
