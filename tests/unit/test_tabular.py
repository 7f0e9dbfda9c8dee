"""What `tabular` refuses, and with which words; shapes, names and determinism of what it gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xai_utils import tabular


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(rng.normal(size=(200, 3)), columns=["area", "rooms", "age"])


def total(frame: pd.DataFrame) -> np.ndarray:
    return frame.sum(axis=1).to_numpy()


METHODS: dict[str, Any] = {
    "accumulated_local_effects": lambda model, frame: tabular.accumulated_local_effects(
        model, frame, frame.columns[0]
    ),
    "sensitivity_local": lambda model, frame: tabular.sensitivity_local(model, frame, 0),
    "elementary_effects": tabular.elementary_effects,
    "sobol_indices": lambda model, frame: tabular.sobol_indices(model, frame, samples=16),
    "surrogate_tree": lambda model, frame: tabular.surrogate_tree(model, frame, depth=2),
}
NUMBERS = [name for name in METHODS if name != "surrogate_tree"]


# --- tables --------------------------------------------------------------------------------------


@pytest.mark.fault(
    "Data: tables",
    "Values that are missing or infinite",
    sees="`ValueError`: column 'rooms' lacks 2 of 200 values (missing or infinite): drop "
    "those rows with frame.dropna(), or fill them, and say which you did",
    kept="the table: nothing is filled in silently",
    guard=(
        "xai_utils/_frames.py",
        '        if bad:\n            raise ValueError(\n                f"column',
        '        if False:\n            raise ValueError(\n                f"column',
    ),
)
@pytest.mark.parametrize("method", [*METHODS, "coefficients"])
def test_missing_values_name_the_column_and_what_to_do(method: str, frame: pd.DataFrame) -> None:
    frame.loc[[4, 7], "rooms"] = np.nan
    with pytest.raises(ValueError, match=r"'rooms' lacks 2 of 200 values .*dropna"):
        _run(method, frame)
    frame.loc[[4, 7], "rooms"] = np.inf
    with pytest.raises(ValueError, match=r"'rooms' lacks 2 of 200 values .*infinite"):
        _run(method, frame)


@pytest.mark.fault(
    "Data: tables",
    "A column of names in a table of numbers",
    sees="`ValueError`: column 'kind' holds str, expected numbers: leave it out, or turn "
    "it into 0 and 1 by pandas.get_dummies(…)",
    kept="the table",
    guard=(
        "xai_utils/_frames.py",
        "        if not pd.api.types.is_numeric_dtype(column):",
        "        if False:",
    ),
)
@pytest.mark.parametrize("method", [*METHODS, "coefficients"])
def test_text_names_the_column_and_what_to_do(method: str, frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"'kind' holds .*get_dummies"):
        _run(method, frame.assign(kind="house"))


@pytest.mark.fault(
    "Data: tables",
    "Text among the numbers of a column: `12 m2`, a decimal comma, a remark",
    sees="`ValueError`: column 'rooms' holds text in 2 of 200 rows, expected numbers: the "
    "first is '3 or 4' in row 17. Mend these cells, or make them missing by "
    "pandas.to_numeric(…), and say which you did",
    kept="the table: nothing is left out silently",
    guard=(
        "xai_utils/_frames.py",
        "    if not 0 < len(wrong) < len(column) / 2:",
        "    if True:",
    ),
)
@pytest.mark.parametrize("method", [*METHODS, "coefficients"])
def test_text_among_numbers_is_shown_with_its_row(
    method: str, frame: pd.DataFrame, tmp_path: Path
) -> None:
    table = frame.astype(object)
    table.loc[17, "rooms"], table.loc[40, "rooms"] = "3 or 4", "2,5"
    table.to_csv(tmp_path / "houses.csv", index=False)
    read = pd.read_csv(tmp_path / "houses.csv")
    with pytest.raises(ValueError, match=r"'rooms' holds text in 2 of 200 .*'3 or 4' in row 17"):
        _run(method, read)
    read["rooms"] = pd.to_numeric(read["rooms"], errors="coerce")  # as the message says
    with pytest.raises(ValueError, match="'rooms' lacks 2 of 200 values"):
        _run(method, read)


@pytest.mark.fault(
    "Data: tables",
    "A CSV that a spreadsheet has saved: with a byte order mark, or with semicolons",
    sees="nothing where there is a byte order mark; with semicolons `ValueError`: target "
    "'age' is no column of the frame; it has 'area;rooms;age'",
    kept="the numbers",
    guard=(
        "xai_utils/_frames.py",
        "    if name in frame.columns:\n        return\n",
        "    return\n",
    ),
)
def test_a_csv_of_a_spreadsheet(frame: pd.DataFrame, tmp_path: Path) -> None:
    expected = tabular.coefficients(frame.round(6), "area")
    frame.round(6).to_csv(tmp_path / "bom.csv", index=False, encoding="utf-8-sig")
    assert (tmp_path / "bom.csv").read_bytes().startswith(b"\xef\xbb\xbfarea,")
    found = tabular.coefficients(pd.read_csv(tmp_path / "bom.csv"), "area")
    pd.testing.assert_frame_equal(found, expected)
    frame.to_csv(tmp_path / "semicolons.csv", index=False, sep=";")
    with pytest.raises(ValueError, match=r"'age' is no column .*it has 'area;rooms;age'"):
        tabular.coefficients(pd.read_csv(tmp_path / "semicolons.csv"), "age")


@pytest.mark.parametrize("method", METHODS)
def test_arrays_empty_tables_and_doubled_names_are_refused(
    method: str, frame: pd.DataFrame
) -> None:
    with pytest.raises(ValueError, match="0 rows and 3 columns"):
        METHODS[method](total, frame.iloc[:0])
    with pytest.raises(ValueError, match="two columns named 'area'"):
        METHODS[method](total, frame[["area", "rooms", "area"]])


def test_an_array_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(TypeError, match="ndarray; expected a pandas DataFrame"):
        tabular.sensitivity_local(total, frame.to_numpy(), 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["sensitivity_local", "elementary_effects", "sobol_indices"])
def test_constant_columns_are_named(method: str, frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="every row of 'floor', 'roof'"):
        METHODS[method](total, frame.assign(floor=1, roof=2.0))


def _run(method: str, frame: pd.DataFrame) -> Any:
    if method == "coefficients":
        return tabular.coefficients(frame, "age")
    return METHODS[method](lambda f: np.arange(len(f)) % 2, frame)


# --- models --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_model_must_predict_or_be_called(method: str, frame: pd.DataFrame) -> None:
    with pytest.raises(TypeError, match="dict has no predict and cannot be called"):
        METHODS[method]({}, frame)


@pytest.mark.parametrize("method", METHODS)
def test_scores_of_several_classes_are_refused(method: str, frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"gave shape \(\d+, 3\).*one value a row"):
        METHODS[method](lambda f: f.to_numpy(), frame)


@pytest.mark.parametrize("method", NUMBERS)
def test_names_of_classes_and_nan_are_refused(method: str, frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="expected numbers, not names"):
        METHODS[method](lambda f: np.full(len(f), "a"), frame)
    with pytest.raises(ValueError, match="NaN or infinite"):
        METHODS[method](lambda f: np.full(len(f), np.nan), frame)


def test_three_classes_ask_which_one(frame: pd.DataFrame) -> None:
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_depth=2).fit(frame, np.arange(200) % 3)
    with pytest.raises(ValueError, match=r"3 classes apart.*predict_proba"):
        tabular.sensitivity_local(tree, frame, 0)


def test_two_classes_mean_the_second_ones_probability(frame: pd.DataFrame) -> None:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(frame, frame["area"] > 0)
    given = tabular.accumulated_local_effects(model, frame, "area")
    probability = tabular.accumulated_local_effects(
        lambda f: model.predict_proba(f)[:, 1], frame, "area"
    )
    np.testing.assert_array_equal(given.effect, probability.effect)
    assert given.effect[-1] > given.effect[0]


def test_a_column_of_one_is_one_value_a_row(frame: pd.DataFrame) -> None:
    flat = tabular.sensitivity_local(total, frame, 3)
    column = tabular.sensitivity_local(lambda f: total(f)[:, None], frame, 3)  # as Keras gives it
    pd.testing.assert_frame_equal(flat, column)


@pytest.mark.parametrize("method", METHODS)
def test_the_frame_is_left_alone_and_answers_repeat(method: str, frame: pd.DataFrame) -> None:
    before = frame.copy()
    first, second = (METHODS[method](total, frame) for _ in range(2))
    pd.testing.assert_frame_equal(frame, before)
    numbers = [
        getattr(a, "fidelity", a.effect if hasattr(a, "effect") else a) for a in (first, second)
    ]
    np.testing.assert_array_equal(*numbers)


# --- coefficients --------------------------------------------------------------------------------


def test_coefficients_have_names_and_columns(frame: pd.DataFrame) -> None:
    found = tabular.coefficients(frame.assign(price=total(frame) + frame["area"] ** 2), "price")
    assert found.index.tolist() == ["intercept", "area", "rooms", "age"]
    columns = ["coefficient", "standard_error", "low", "high", "standardised"]
    assert found.columns.tolist() == columns
    assert (found["low"] < found["coefficient"]).all()
    assert (found["coefficient"] < found["high"]).all()
    assert found["standardised"].isna().tolist() == [True, False, False, False]


@pytest.mark.fault(
    "Data: tables",
    "A column that is not there",
    sees="`ValueError`: target '…' is no column of the frame; did you mean '…'?",
    kept="the table",
    guard=(
        "xai_utils/_frames.py",
        "    if name in frame.columns:\n        return\n",
        "    return\n",
    ),
)
def test_unknown_target_gets_the_nearest_names(frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"target 'room' is no column.*did you mean 'rooms'"):
        tabular.coefficients(frame, "room")
    with pytest.raises(ValueError, match=r"feature 'xyz' is no column.*it has 'area', 'rooms'"):
        tabular.accumulated_local_effects(total, frame, "xyz")


def test_collinear_columns_are_named_and_only_those(frame: pd.DataFrame) -> None:
    wrong = frame.assign(half=1 - 2 * frame["area"] + 3e4 * frame["age"], other=frame["rooms"] ** 2)
    with pytest.raises(ValueError, match="'half' is a weighted sum of 'area', 'age'"):
        tabular.coefficients(wrong, "rooms")


def test_all_dummies_of_a_category_are_collinear(frame: pd.DataFrame) -> None:
    kinds = pd.get_dummies(pd.Series(list("abcd") * 50), dtype=float)
    with pytest.raises(ValueError, match="'d' is a weighted sum of 'a', 'b', 'c'"):
        tabular.coefficients(kinds.assign(y=frame["age"]), "y")


def test_nearly_collinear_columns_are_no_error(frame: pd.DataFrame) -> None:
    near = frame.assign(twin=frame["area"] + 1e-5 * frame["rooms"] ** 2, price=total(frame))
    assert np.isfinite(tabular.coefficients(near, "price")["standard_error"]).all()


def test_coefficients_refuse_what_cannot_be_fitted(frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="4 rows for 4 weights"):
        tabular.coefficients(frame.iloc[:4].assign(price=[1.0, 2, 4, 3]), "price")
    with pytest.raises(ValueError, match="every row of 'floor'"):
        tabular.coefficients(frame.assign(floor=1), "age")
    with pytest.raises(ValueError, match="no column beside the target"):
        tabular.coefficients(frame[["age"]], "age")
    for level in (0, 1, 95, "0.95"):
        with pytest.raises(ValueError, match=r"level .*between 0 and 1"):
            tabular.coefficients(frame, "age", level=level)  # type: ignore[arg-type]


def test_five_rows_for_four_weights_are_enough(frame: pd.DataFrame) -> None:
    found = tabular.coefficients(frame.iloc[:5].assign(price=[1.0, 2, 4, 3, 9]), "price")
    assert np.isfinite(found["standard_error"]).all()


# --- the others ----------------------------------------------------------------------------------


def test_effect_has_one_count_a_bin_and_merges_equal_edges(frame: pd.DataFrame) -> None:
    effect = tabular.accumulated_local_effects(total, frame, "area", bins=7)
    assert len(effect.edges) == len(effect.effect) == len(effect.counts) + 1 == 8
    assert effect.counts.sum() == 200
    assert (np.diff(effect.edges) > 0).all()
    few = frame.assign(kind=np.arange(200) % 3)
    effect = tabular.accumulated_local_effects(total, few, "kind", bins=20)
    assert effect.edges.tolist() == [0, 1, 2]
    assert effect.counts.tolist() == [134, 66]


def test_effect_refuses_constants_and_bins(frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="every row of 'floor'"):
        tabular.accumulated_local_effects(total, frame.assign(floor=1), "floor")
    with pytest.raises(ValueError, match="bins"):
        tabular.accumulated_local_effects(total, frame, "area", bins=0)


def test_sensitivity_refuses_rows_and_steps(frame: pd.DataFrame) -> None:
    for row in (200, -201, 0.5):
        with pytest.raises(ValueError, match="position from 0 to 199"):
            tabular.sensitivity_local(total, frame, row)  # type: ignore[arg-type]
    for step in (0, -1, np.inf, "1"):
        with pytest.raises(ValueError, match="step"):
            tabular.sensitivity_local(total, frame, 0, step=step)  # type: ignore[arg-type]


def test_global_methods_refuse_wrong_sizes(frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="levels 3; expected an even number"):
        tabular.elementary_effects(total, frame, levels=3)
    with pytest.raises(ValueError, match="samples 100; expected a power of 2"):
        tabular.sobol_indices(total, frame, samples=100)
    with pytest.raises(ValueError, match="no variance"):
        tabular.sobol_indices(lambda f: np.ones(len(f)), frame, samples=16)


def test_seeds_change_the_draws(frame: pd.DataFrame) -> None:
    def curved(frame: pd.DataFrame) -> Any:
        return (frame["area"] ** 3 * frame["age"]).to_numpy()

    for method in (tabular.elementary_effects, tabular.sobol_indices):
        assert not method(curved, frame).equals(method(curved, frame, seed=1))


def test_cost_is_what_the_docstrings_say(frame: pd.DataFrame) -> None:
    asked = []

    def counted(frame: pd.DataFrame) -> np.ndarray:
        asked.append(len(frame))
        return total(frame)

    tabular.elementary_effects(counted, frame, paths=10)
    assert sum(asked) == 10 * 4
    asked.clear()
    tabular.sobol_indices(counted, frame, samples=16)
    assert sum(asked) == 16 * 5


def test_surrogate_refuses_what_cannot_be_imitated(frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="says 1 of all 200 rows"):
        tabular.surrogate_tree(lambda f: np.ones(len(f), int), frame, depth=2)
    with pytest.raises(ValueError, match="depth"):
        tabular.surrogate_tree(total, frame, depth=0)
    with pytest.raises(ValueError, match="held_out"):
        tabular.surrogate_tree(total, frame, depth=1, held_out=1.0)
