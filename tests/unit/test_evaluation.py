"""The scoreboard: every number of a row by hand, samples, partial results, table and figure."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from networks import functional, gap_layers, seeded
from xai_utils import _evaluation_store as store
from xai_utils import _evaluation_views as views
from xai_utils import evaluation
from xai_utils.cam import grad_cam
from xai_utils.datasets import ImageDataset
from xai_utils.evaluation import Case, Method, Metric, evaluate, in_turn, read_map
from xai_utils.gradients import saliency, smooth_grad
from xai_utils.metrics import bootstrap_interval, energy_inside

N = 12
LABELS = np.array([0, 1, 2] * 4)


@pytest.fixture
def data() -> ImageDataset:
    """Twelve 8x8 pictures of three classes on eight sheets; the truth is the upper left quarter."""
    masks = np.zeros((N, 8, 8), bool)
    masks[:, :4, :4] = True
    return ImageDataset(
        name="Squares",
        images=np.random.default_rng(3).integers(0, 256, (N, 8, 8, 1), np.uint8),
        labels=LABELS,
        class_names=("a", "b", "c"),
        names=tuple(f"picture {k}" for k in range(N)),
        split=np.full(N, "test"),
        sheets=np.arange(N) % 8,
        source="a test",
        about="",
        masks=masks,
    )


def corner(model: Any, images: Any, target: Any) -> np.ndarray:
    """Mass in one pixel of the truth for class 0, none of it there for the others."""
    heat = np.zeros(images.shape[:3], np.float32)
    heat[np.arange(len(images)), np.where(target == 0, 1, 6), 1] = 2.0
    return heat


def flat_map(model: Any, images: Any, target: Any) -> np.ndarray:
    return np.ones(images.shape[:3], np.float32)


def empty(model: Any, images: Any, target: Any) -> np.ndarray:
    return np.zeros(images.shape[:3], np.float32)


def brightness(maps: np.ndarray, case: Case) -> tuple[np.ndarray, None]:
    return case.images.mean(axis=(1, 2, 3)).astype(float), None


def inside(maps: np.ndarray, case: Case) -> tuple[np.ndarray, np.ndarray]:
    assert case.masks is not None
    return energy_inside(maps, case.masks), case.masks.mean(axis=(1, 2))


INSIDE = {"inside": Metric(inside, truth=True)}


def row(board: pd.DataFrame, **wanted: Any) -> pd.Series:
    found = board
    for column, value in wanted.items():
        found = found[found[column.rstrip("_")] == value]
    assert len(found) == 1, f"{len(found)} rows with {wanted}"
    return found.iloc[0]


# --- the numbers of a row ------------------------------------------------------------------------


def test_means_chance_and_gain_by_hand(gap: Any, data: ImageDataset) -> None:
    board = evaluate({"corner": corner, "flat": flat_map}, gap, data, INSIDE)
    assert tuple(board.columns) == views.COLUMNS
    assert len(board) == 2 * 4
    a, b, every = (row(board, method="corner", class_=c) for c in ("a", "b", "all"))
    assert (a["mean"], a["chance"], a["gain"], a["images"]) == (1, 0.25, 0.75, 4)
    assert (b["mean"], b["gain"]) == (0, -0.25)
    assert every["mean"] == pytest.approx(1 / 3)
    assert (every["images"], every["undefined"]) == (12, 0)
    flat = row(board, method="flat", class_="all")
    assert flat["gain"] == pytest.approx(0, abs=1e-6)
    assert flat["seconds"] >= 0


def test_the_interval_draws_sheets(gap: Any, data: ImageDataset) -> None:
    board, values = evaluate({"corner": corner}, gap, data, INSIDE, return_values=True)
    every = row(board, class_="all")
    low, high = bootstrap_interval(values["value"], values["sheet"])
    assert (every["low"], every["high"]) == (low, high)
    blind = bootstrap_interval(values["value"])
    assert (low, high) != blind
    gain = row(board, class_="a")
    assert (gain["gain_low"], gain["gain_high"]) == (0.75, 0.75)


def test_lower_is_better_turns_the_gain_round(gap: Any, data: ImageDataset) -> None:
    metrics = {
        "up": Metric(inside, truth=True),
        "down": Metric(inside, better="lower", truth=True),
        "neither": Metric(inside, better="neither", truth=True),
    }
    board = evaluate({"corner": corner}, gap, data, metrics)
    up, down, neither = (row(board, metric=m, class_="all") for m in metrics)
    assert down["gain"] == -up["gain"] != 0
    assert down["gain_low"] == pytest.approx(-up["gain_high"])
    assert np.isnan(neither["gain"]) and neither["mean"] == up["mean"]


def test_an_empty_map_has_no_mean_and_no_gain(gap: Any, data: ImageDataset) -> None:
    board = evaluate({"empty": empty}, gap, data, INSIDE)
    every = row(board, class_="all")
    assert np.isnan(every["mean"]) and every["gain"] == 0
    assert (every["images"], every["undefined"]) == (0, 12)


def test_an_image_without_truth_is_not_asked(gap: Any, data: ImageDataset) -> None:
    assert data.masks is not None
    data.masks[3] = False  # a picture of class 0
    board, values = evaluate(
        {"corner": corner}, gap, data, INSIDE | {"bright": Metric(brightness)}, return_values=True
    )
    assert row(board, metric="inside", class_="a")["images"] == 3
    assert row(board, metric="bright", class_="a")["images"] == 4
    told = set(values.loc[values["metric"] == "inside", "image"])
    assert told == set(data.names) - {"picture 3"}


def test_every_image_keeps_its_own_value(gap: Any, data: ImageDataset) -> None:
    values = evaluate(
        {"flat": flat_map}, gap, data, {"bright": Metric(brightness)}, return_values=True
    )[1].set_index("image")
    for k, name in enumerate(data.names):
        assert values.loc[name, "value"] == pytest.approx(data.inputs[k].mean())
        assert values.loc[name, "class"] == data.class_names[data.labels[k]]
        assert values.loc[name, "sheet"] == data.sheets[k]


def test_the_truth_may_be_boxes(gap: Any, data: ImageDataset) -> None:
    from dataclasses import replace

    boxes = tuple(np.array([[0, 0, 4, 4]]) for _ in range(N))
    by_box = evaluate({"corner": corner}, gap, replace(data, masks=None, boxes=boxes), INSIDE)
    columns = [c for c in views.COLUMNS if c != "seconds"]
    by_mask = evaluate({"corner": corner}, gap, data, INSIDE)
    pd.testing.assert_frame_equal(by_box[columns], by_mask[columns])


def test_the_metrics_that_nobody_named(gap: Any, data: ImageDataset) -> None:
    board = evaluate({"corner": corner, "flat": flat_map}, gap, data)
    assert list(dict.fromkeys(board["metric"])) == ["energy inside", "pointing game", "AUC"]
    assert set(board.loc[board["class"] == "all", "chance"].round(2)) == {0.25, 0.5}
    assert row(board, method="corner", metric="pointing game", class_="a")["mean"] == 1
    assert row(board, method="flat", metric="AUC", class_="all")["gain"] == pytest.approx(0)


def test_chunks_do_not_matter(gap: Any, data: ImageDataset) -> None:
    boards = [
        evaluate({"Grad-CAM": grad_cam}, gap, data, INSIDE, chunk=c).drop(columns="seconds")
        for c in (1, 5, 12, 32)
    ]
    for board in boards[1:]:
        pd.testing.assert_frame_equal(board, boards[0], rtol=1e-5)


# --- methods -------------------------------------------------------------------------------------


def test_reading() -> None:
    a = np.array([[[[1.0, -3.0]], [[2.0, 0.5]]]])  # (1, 2, 1, 2)
    signed, absolute = (read_map("m", a, (2, 1), r)[0, :, 0] for r in ("signed", "absolute"))
    assert signed.tolist() == [-2, 2.5]
    assert absolute.tolist() == [3, 2]
    assert read_map("m", -a[..., 0], (2, 1), "absolute").tolist() == [[[1], [2]]]


def test_small_maps_are_enlarged_before_they_are_smoothed() -> None:
    heat = np.zeros((1, 4, 4))
    heat[0, 1, 2] = 1
    large = read_map("m", heat, (8, 8), "signed")
    assert large.shape == (1, 8, 8)
    smooth = read_map("m", heat, (8, 8), "signed", smooth=1.5)
    assert smooth.sum() == pytest.approx(large.sum(), rel=1e-5)
    assert smooth.max() < large.max()
    assert np.unravel_index(smooth.argmax(), (1, 8, 8))[1:] in [(2, 4), (2, 5), (3, 4), (3, 5)]


def test_methods_of_the_library_give_what_they_give(gap: Any, data: ImageDataset) -> None:
    seen: dict[str, list[np.ndarray]] = {"Grad-CAM": [], "saliency": []}

    def keep(name: str) -> Callable[..., Any]:
        def measure(maps: np.ndarray, case: Case) -> tuple[np.ndarray, None]:
            seen[name].append(maps)
            np.testing.assert_array_equal(case.explain(gap, case.images, case.target), maps)
            return np.zeros(len(maps)), None

        return measure

    for name, method in (
        ("Grad-CAM", Method(grad_cam)),
        ("saliency", Method(saliency, reading="absolute")),
    ):
        evaluate({name: method}, gap, data, {"keep": Metric(keep(name))})
    order = in_turn(LABELS)
    heat = np.abs(saliency(gap, data.inputs[order], LABELS[order])).max(axis=-1)
    np.testing.assert_allclose(seen["saliency"][0], heat, rtol=1e-5)
    assert seen["Grad-CAM"][0].shape == (N, 8, 8)


def test_a_seed_reaches_the_methods_that_draw_by_lot(gap: Any, data: ImageDataset) -> None:
    def moved(maps: np.ndarray, case: Case) -> tuple[np.ndarray, None]:
        again, other = (case.explain(case.model, case.images, case.target, seed=s) for s in (0, 1))
        assert np.array_equal(again, maps)
        return np.abs(other - maps).sum(axis=(1, 2)), None

    few = functools.partial(smooth_grad, samples=3)
    board = evaluate(
        {"drawn": Method(few, seeded=True), "fixed": Method(few)},
        gap,
        data,
        {"moved": Metric(moved)},
    )
    assert row(board, method="drawn", class_="all")["mean"] > 0
    assert row(board, method="fixed", class_="all")["mean"] == 0


def test_controls_are_marked(gap: Any, data: ImageDataset) -> None:
    board = evaluate({"a": corner, "b": Method(flat_map, control=True)}, gap, data, INSIDE)
    assert board.set_index("method")["control"].to_dict() == {"a": False, "b": True}


# --- samples -------------------------------------------------------------------------------------


def test_every_beginning_is_a_fair_sample() -> None:
    labels = np.repeat([0, 1, 2], [20, 5, 9])
    order = in_turn(labels, seed=4)
    assert sorted(order.tolist()) == list(range(34))
    for n in range(1, 16):
        counts = np.bincount(labels[order[:n]], minlength=3)
        assert counts.max() - counts.min() <= 1
    assert not np.array_equal(order, in_turn(labels, seed=5))
    np.testing.assert_array_equal(order, in_turn(labels, seed=4))


def test_limits_of_methods_and_metrics(gap: Any, data: ImageDataset) -> None:
    counted: list[int] = []

    def count(model: Any, images: Any, target: Any) -> np.ndarray:
        counted.append(len(images))
        return flat_map(model, images, target)

    metrics = {
        "all": Metric(brightness),
        "few": Metric(brightness, images=4),
        "fewer": Metric(brightness, images=4, of_slow=2),
    }
    board, values = evaluate(
        {"whole": flat_map, "slow": Method(count, images=6)},
        gap,
        data,
        metrics,
        chunk=5,
        return_values=True,
    )
    images = board[board["class"] == "all"].set_index(["method", "metric"])["images"]
    assert images.to_dict() == {
        ("whole", "all"): 12,
        ("whole", "few"): 4,
        ("whole", "fewer"): 4,
        ("slow", "all"): 6,
        ("slow", "few"): 4,
        ("slow", "fewer"): 2,
    }
    assert counted == [1, 5, 1]  # one to trace, then six in chunks
    few = {n: set(v["image"]) for n, v in values.groupby(["method", "metric"])}
    assert few["slow", "few"] == few["whole", "few"] < few["slow", "all"]


def test_two_readings_of_one_explanation_ask_once(
    gap: Any, data: ImageDataset, tmp_path: Path
) -> None:
    CALLS.clear()
    other = functools.partial(counting, shift=1)
    methods = {
        "plain": Method(counting),
        "other": Method(other),
        "smooth": Method(counting, smooth=1.0),
        "few": Method(counting, images=4),
    }
    board = evaluate(methods, gap, data, INSIDE, folder=tmp_path, chunk=N)
    assert sorted(CALLS) == [1, 1, 1, 4, N, N]  # one to trace, then all, of three explanations
    assert list(board["method"].unique()) == list(methods)
    CALLS.clear()
    alone = [evaluate({n: m}, gap, data, INSIDE, chunk=N) for n, m in methods.items()]
    assert len(CALLS) == 8
    for part in alone:
        own = board[board["method"] == part["method"].iloc[0]].reset_index(drop=True)
        pd.testing.assert_frame_equal(own.drop(columns="seconds"), part.drop(columns="seconds"))
    CALLS.clear()
    next(tmp_path.glob("smooth-*")).unlink()  # what is kept of one does not excuse the other
    again = evaluate(methods, gap, data, INSIDE, folder=tmp_path, chunk=N)
    assert CALLS == [1, N]
    pd.testing.assert_frame_equal(again.drop(columns="seconds"), board.drop(columns="seconds"))


# --- partial results -----------------------------------------------------------------------------


CALLS: list[int] = []


def counting(model: Any, images: Any, target: Any, shift: int = 0) -> np.ndarray:
    CALLS.append(len(images))
    return np.roll(corner(model, images, target), shift, axis=1)


def breaking(model: Any, images: Any, target: Any) -> np.ndarray:
    raise KeyboardInterrupt


def test_what_is_there_is_not_computed_again(gap: Any, data: ImageDataset, tmp_path: Path) -> None:
    CALLS.clear()
    with pytest.raises(KeyboardInterrupt):
        evaluate({"one": counting, "two": breaking}, gap, data, INSIDE, folder=tmp_path)
    first = len(CALLS)
    assert first > 0
    methods = {"one": counting, "two": flat_map}
    board = evaluate(methods, gap, data, INSIDE, folder=tmp_path)
    assert len(CALLS) == first
    fresh = evaluate(methods, gap, data, INSIDE)
    pd.testing.assert_frame_equal(board.drop(columns="seconds"), fresh.drop(columns="seconds"))
    assert not list(tmp_path.glob(".*")), "an unfinished file is left"


@pytest.mark.parametrize("what", ["model", "data", "method", "metrics", "options", "library"])
def test_results_of_something_else_are_refused(
    what: str, data: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = seeded(functional(gap_layers()))
    call: dict[str, Any] = {"metrics": INSIDE, "folder": tmp_path}
    evaluate({"one": counting}, model, data, **call)
    method: Any = counting
    if what == "model":
        model.get_layer("conv2").bias.assign(np.full(4, 0.5))
    elif what == "data":
        data.images[2, 0, 0, 0] ^= 1
    elif what == "method":
        method = functools.partial(counting, shift=1)
    elif what == "metrics":
        call["metrics"] = {"inside": Metric(inside, better="lower", truth=True)}
    elif what == "options":
        call["seed"] = 1
    else:
        monkeypatch.setattr(store, "__version__", "another")
    with pytest.raises(ValueError, match=f"results of 'one' with another .*{what}.*folder"):
        evaluate({"one": method}, model, data, **call)


@pytest.mark.parametrize("text", ["", "{", "{}", '{"fingerprints": 1}', "cut"])
def test_a_damaged_result_is_named(text: str, gap: Any, data: ImageDataset, tmp_path: Path) -> None:
    evaluate({"one": counting}, gap, data, INSIDE, folder=tmp_path)
    (path,) = tmp_path.glob("*.json")
    if text == "cut":
        kept = json.loads(path.read_text())
        kept["values"]["inside"]["value"].pop()
        text = json.dumps(kept)
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{path.name} is damaged.*delete it"):
        evaluate({"one": counting}, gap, data, INSIDE, folder=tmp_path)


def test_names_that_a_file_system_would_confuse(
    gap: Any, data: ImageDataset, tmp_path: Path
) -> None:
    names = ["a/b", "a b", "A-b", "../a", "é" * 90, "."]
    evaluate(dict.fromkeys(names, counting), gap, data, INSIDE, folder=tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == len(names) == len(list(tmp_path.iterdir()))


def test_a_model_built_anew_has_the_same_digest(gap: Any) -> None:
    twin = functional(gap_layers())
    twin.set_weights(gap.get_weights())
    assert store.digest(twin) == store.digest(gap)
    twin.get_layer("conv1").bias.assign(twin.get_layer("conv1").bias + 1e-6)
    assert store.digest(twin) != store.digest(gap)


def closing_over(number: float) -> Callable[[], float]:
    return lambda: number


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        ("1", 1),
        ("ab", "a"),
        (("ab", "c"), ("a", "bc")),
        (((1, 2), 3), (1, (2, 3))),
        (np.zeros(2), np.zeros((2, 1))),
        (np.zeros(2), np.zeros(2, np.float32)),
        (closing_over(1.0), closing_over(2.0)),
        (functools.partial(corner, target=1), functools.partial(corner, target=2)),
        (corner, flat_map),
        (lambda: 1, lambda: 2),
        (Method(corner), Method(corner, smooth=1.0)),
    ],
)
def test_digests_differ(one: Any, other: Any) -> None:
    assert store.digest(one) != store.digest(other)


def test_digests_agree() -> None:
    assert store.digest({"a": 1, "b": 2}) == store.digest({"b": 2, "a": 1})
    assert store.digest(closing_over(1.0)) == store.digest(closing_over(1.0))
    assert store.digest(np.arange(6)[::2]) == store.digest(np.array([0, 2, 4]))


def test_what_has_no_digest_is_refused_only_where_it_matters(
    gap: Any, data: ImageDataset, tmp_path: Path
) -> None:
    class Called:
        def __call__(self, model: Any, images: Any, target: Any) -> np.ndarray:
            return corner(model, images, target)

    evaluate({"one": Called()}, gap, data, INSIDE)
    with pytest.raises(TypeError, match=r"whether a Called has changed; expected a function"):
        evaluate({"one": Called()}, gap, data, INSIDE, folder=tmp_path)


# --- errors --------------------------------------------------------------------------------------


def broken(result: Any) -> Callable[..., Any]:
    return lambda model, images, target: result


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (broken(np.zeros(3)), r"'?bad'? gives shape \(3,\)"),
        (broken(np.zeros((3, 8, 8))), r"bad gives shape \(3, 8, 8\) for 1 images"),
        (broken(np.full((1, 8, 8), np.nan)), "bad gives NaN"),
        (Method(corner, reading="other"), "reading 'other' of bad"),  # type: ignore[arg-type]
        (Method(corner, images=0), "images of bad"),
    ],
)
def test_a_method_that_gives_something_else(
    method: Any, message: str, gap: Any, data: ImageDataset
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate({"bad": method}, gap, data, INSIDE)


def test_other_errors(gap: Any, data: ImageDataset) -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="0 methods and 12 images"):
        evaluate({}, gap, data)
    with pytest.raises(ValueError, match="1 methods and 0 images"):
        evaluate({"one": corner}, gap, data.take([]))
    with pytest.raises(ValueError, match="no metrics"):
        evaluate({"one": corner}, gap, data, {})
    with pytest.raises(ValueError, match=r"neither boxes nor masks, which inside ask for"):
        evaluate({"one": corner}, gap, replace(data, masks=None), INSIDE)
    short = Metric(lambda maps, case: (np.zeros(len(maps) - 1), None))
    with pytest.raises(ValueError, match=r"metric 'short' gives values \(11,\)"):
        evaluate({"one": corner}, gap, data, {"short": short})
    with pytest.raises(ValueError, match="chunk"):
        evaluate({"one": corner}, gap, data, INSIDE, chunk=0)


# --- table and figure ----------------------------------------------------------------------------


@pytest.fixture
def board(gap: Any, data: ImageDataset) -> views.Scoreboard:
    methods = {
        "flat <map>": Method(flat_map, control=True),
        "corner": corner,
        "empty": empty,
    }
    down = Metric(inside, better="lower", truth=True)
    return evaluate(methods, gap, data, INSIDE | {"down": down, "bright": Metric(brightness)})


def test_a_notebook_shows_the_gist(board: views.Scoreboard) -> None:
    page = board._repr_html_()
    assert page is not None
    assert page.index("corner") < page.index("flat &lt;map&gt;") < page.index(">empty<")
    assert "<em>flat &lt;map&gt;</em>" in page and "<em>corner" not in page
    assert "undefined" in page and "chance 0.25" in page
    assert page.count('<th scope="row">') == 3
    assert board.head(2).__class__ is views.Scoreboard
    plain = board[["method", "mean"]]._repr_html_()
    assert plain is not None and "scoreboard" not in plain


def test_marks_say_better_and_worse_than_chance(board: views.Scoreboard) -> None:
    of_a, of_b = (views.summary_html(board, c) for c in "ab")
    assert of_a.split("corner")[1].index("▲") < of_a.split("corner")[1].index("▼")
    assert of_b.split("corner")[1].index("▼") < of_b.split("corner")[1].index("▲")


def test_ranking(board: views.Scoreboard) -> None:
    every = board[board["class"] == "all"]
    of_a = board[board["class"] == "a"]
    assert views.ranking(of_a, "inside")[0] == "corner"
    assert views.ranking(of_a, "down")[-1] == "corner"
    assert views.ranking(every, "bright") == list(dict.fromkeys(board["method"]))


def test_the_figure_shows_dots_intervals_and_chance(board: views.Scoreboard) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    fig = evaluation.draw(board, "inside", ["all", "a"], title="Squares")
    FigureCanvasAgg(fig).draw()
    assert [ax.get_title() for ax in fig.axes] == ["all", "a"]
    labels = fig.axes[0].get_yticklabels()
    order = [t.get_text() for t in labels]
    assert order == views.ranking(board[board["class"] == "all"], "inside")
    grey = {t.get_text(): t.get_color() for t in labels}
    assert grey["flat <map>"] != grey["corner"] == grey["empty"]
    for ax, c in zip(fig.axes, ("all", "a"), strict=True):
        drawn = [tuple(line.get_xydata()[:, 0]) for line in ax.lines]
        r = row(board, method="corner", metric="inside", class_=c)
        assert (r["mean"],) in drawn and (r["low"], r["high"]) in drawn
        assert (0.25, 0.25) in drawn
        marks = [line for line in ax.lines if line.get_marker() in ("o", "s")]
        faces = {order[int(line.get_ydata()[0])]: line.get_markerfacecolor() for line in marks}
        assert faces["flat <map>"] == "white"  # its gain is 0
        assert not np.isnan([x for line in drawn for x in line]).any()
    assert faces["corner"] == views.INK  # in class a, where it is surely right


def test_the_words_say_what_the_figure_shows(board: views.Scoreboard) -> None:
    text = evaluation.alternative_text(board, "inside", "a")
    assert text.startswith("inside, a, ranked: corner 1.00 (1.00 to 1.00, chance 0.25); ")
    assert "flat <map> (control) 0.25 (0.25 to 0.25, chance 0.25, not told from it)" in text
    assert "empty undefined" in text


@pytest.mark.parametrize(
    ("metrics", "classes"), [("no such", "all"), ("inside", "d"), ([], "all"), ("inside", [])]
)
def test_the_figure_of_what_is_not_there(
    metrics: Any, classes: Any, board: views.Scoreboard
) -> None:
    with pytest.raises(ValueError, match="not in the board; it has"):
        evaluation.draw(board, metrics, classes)
