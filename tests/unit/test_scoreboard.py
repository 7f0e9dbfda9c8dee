"""The scoreboard of the course: every method and question on a tiny network, and the file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from xai_utils import _course_maps as maps
from xai_utils import backprop, evaluation, metrics, scoreboard, scores, shapley
from xai_utils.datasets import DATA, ImageDataset
from xai_utils.local_surrogates import superpixels
from xai_utils.perturbation import rise

N = 6


@pytest.fixture(scope="module")
def board() -> scoreboard.Board:
    from networks import functional, gap_layers, seeded

    masks = np.zeros((N, 8, 8), bool)
    masks[:, :4, :4] = True
    images = np.random.default_rng(3).integers(0, 256, (N, 8, 8, 1), np.uint8)
    test = ImageDataset(
        name="Squares",
        images=images,
        labels=np.arange(N) % 3,
        class_names=("a", "b", "c"),
        names=tuple(map(str, range(N))),
        split=np.full(N, "test"),
        sheets=np.arange(N),
        source="a test",
        about="",
        masks=masks,
    )
    return scoreboard.Board("tiny", seeded(functional(gap_layers())), test, test.inputs, "mean")


@pytest.fixture(scope="module")
def result(board: scoreboard.Board, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return scoreboard.run(board, tmp_path_factory.mktemp("kept"))


def test_every_method_meets_every_question(result: Any, board: scoreboard.Board) -> None:
    methods = scoreboard.course_methods(board.model, board.references)
    asked = scoreboard.course_metrics(True, "mean")
    pairs = set(zip(result["method"], result["metric"], strict=True))
    assert pairs == {(m, q) for m in methods for q in asked}
    assert set(result["data"]) == {"Squares"} and set(result["network"]) == {"tiny"}
    assert set(result["class"]) == {"all", "a", "b", "c"}


def test_controls_are_in_every_table(result: Any) -> None:
    for _, part in result.groupby(["metric", "class"]):
        assert {"Sobel edges", "Grad-CAM, untrained", "random pixels"} <= set(
            part.loc[part["control"], "method"]
        )


def test_what_knows_no_network_is_like_itself_on_an_untrained_one(result: Any) -> None:
    of_all = result[result["class"] == "all"].set_index(["method", "metric"])["mean"]
    for question in ("like untrained", "like another class"):
        assert of_all["Sobel edges", question] == pytest.approx(1)
        assert of_all["centred blob", question] == pytest.approx(1)
    assert of_all["CAM", "like another class"] < 0.999
    assert of_all["random pixels", "repeatability"] < 0.5
    assert of_all["saliency", "repeatability"] == 1


def test_deletion_and_insertion_by_hand(result: Any, board: scoreboard.Board) -> None:
    x, y = board.test.inputs, board.test.labels.astype(np.int32)
    of_all = result[(result["class"] == "all") & (result["method"] == "Sobel edges")]
    rows = of_all.set_index("metric")
    options: dict[str, Any] = {"steps": 10, "score": "probability"}
    for heat, column in ((metrics.sobel_edges(x), "mean"), (np.zeros((N, 8, 8)), "chance")):
        gone = metrics.deletion(board.model, x, heat, y, fill="mean", **options)
        back = metrics.insertion(board.model, x, heat, y, **options)
        assert rows.loc["deletion", column] == pytest.approx(gone.mean(), abs=1e-5)
        assert rows.loc["insertion", column] == pytest.approx(back.mean(), abs=1e-5)


def test_kernel_shap_of_superpixels(board: scoreboard.Board) -> None:
    x, y = board.test.inputs[:2], np.array([2, 0])
    heat = maps.kernel_shap_image(board.model, x, y, samples=400, seed=5)
    for image, k, found in zip(x, y, heat, strict=True):
        cut = superpixels(image)

        def value(z: Any, image: Any = image, cut: Any = cut, k: int = int(k)) -> float:
            shown = np.where(z[cut][..., None], image, image.mean())
            return float(scores.logits(board.model, shown[None].astype(np.float32))[0, k])

        expected = shapley.kernel_shap(value, int(cut.max()) + 1, samples=400, seed=5)
        np.testing.assert_allclose(found, expected[cut], atol=1e-5)


def test_deep_shap_is_of_the_asked_class(board: scoreboard.Board) -> None:
    x, y = board.test.inputs[:3], np.array([2, 0, 1])
    heat = maps.deep_shap_image(board.model, x, y, background=board.references[3:5])
    logits = scores.logits(board.model, np.concatenate([x, board.references[3:5]]))
    rise = logits[np.arange(3), y] - logits[3:, y].mean(axis=0)
    np.testing.assert_allclose(heat.sum(axis=(1, 2, 3)), rise, atol=1e-4)


def test_complete_methods_add_up_to_what_they_promise(board: scoreboard.Board) -> None:
    x, y = board.test.inputs, board.test.labels.astype(np.int32)
    methods = scoreboard.course_methods(board.model, board.references)
    sums = scoreboard.course_sums(board.model, board.references)
    assert set(sums) <= {name for name, method in methods.items() if not method.control}
    logit = scores.logits(board.model, x)[np.arange(N), y]
    bias = board.model.get_layer("logits").bias.numpy()[y]
    for name, check in sums.items():
        seed = {"seed": 0} if methods[name].seeded else {}
        found, wanted = check(methods[name].explain(board.model, x, y, **seed), x, y)
        assert found.shape == wanted.shape == (N,)
        if name in ("DeepLIFT", "DeepSHAP", "KernelSHAP", "deep Taylor"):
            np.testing.assert_allclose(found, wanted, atol=1e-4, err_msg=name)
        elif name == "integrated gradients":  # a sum over steps
            np.testing.assert_allclose(found, wanted, atol=0.05 * np.abs(wanted).max())
        elif name == "CAM":
            np.testing.assert_allclose(found + bias, wanted, atol=1e-4)
        if name.startswith(("LRP", "CAM", "deep")):
            np.testing.assert_allclose(wanted, logit, atol=1e-4)


def test_a_sum_that_is_off_is_seen(board: scoreboard.Board) -> None:
    x, y = board.test.inputs, board.test.labels.astype(np.int32)
    methods = scoreboard.course_methods(board.model, board.references)
    check = scoreboard.course_sums(board.model, board.references)["DeepLIFT"]
    parts = np.asarray(methods["DeepLIFT"].explain(board.model, x, y))
    found, wanted = check(2 * parts, x, y)
    np.testing.assert_allclose(found, 2 * wanted, atol=1e-4)


def test_deep_taylor_knows_the_range_of_a_pixel(board: scoreboard.Board) -> None:
    x, y = 2 * board.test.inputs[:2] - 1, np.array([0, 1])
    methods = scoreboard.course_methods(board.model, board.references, low=-1.0, high=1.0)
    found = methods["deep Taylor"].explain(board.model, x, y)
    expected = backprop.deep_taylor(board.model, x, y, low=-1.0, high=1.0)
    np.testing.assert_array_equal(found, expected)


def test_less_effort_is_fewer_draws(board: scoreboard.Board) -> None:
    full, tenth = (
        scoreboard.course_methods(board.model, board.references, effort=e) for e in (1.0, 0.1)
    )
    for name, option in (("RISE", "masks"), ("LIME", "samples"), ("KernelSHAP", "samples")):
        drawn = [methods[name].explain.keywords[option] for methods in (full, tenth)]
        assert drawn[1] * 10 == drawn[0] > 0


def test_rise_without_what_all_pixels_share(board: scoreboard.Board) -> None:
    x, y = board.test.inputs[:2], np.array([2, 0])
    heat = maps.rise_contrast(board.model, x, y, masks=30, seed=1)
    whole = rise(board.model, x, y, masks=30, seed=1)
    np.testing.assert_allclose(heat.mean(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(np.ptp(heat - whole, axis=(1, 2)), 0, atol=1e-5)


@pytest.mark.parametrize("cells", [None, 4])
def test_noise_hangs_on_the_image_and_the_seed_only(cells: int | None) -> None:
    x = np.random.default_rng(0).random((4, 8, 8, 1), np.float32)
    whole = maps.noise(None, x, None, cells=cells, seed=1)  # type: ignore[arg-type]
    one = maps.noise(None, x[2:3], None, cells=cells, seed=1)  # type: ignore[arg-type]
    np.testing.assert_array_equal(whole[2], one[0])
    assert not np.array_equal(whole[2], whole[3])
    other = maps.noise(None, x, None, cells=cells, seed=2)  # type: ignore[arg-type]
    assert not np.array_equal(whole, other)


def test_a_network_that_flattens_has_no_cam(flat: Any, board: scoreboard.Board) -> None:
    methods = scoreboard.course_methods(flat, board.references)
    assert "CAM" not in methods and "Grad-CAM" in methods


def test_unknown_network() -> None:
    with pytest.raises(ValueError, match="network 'vgg'; expected one of neu_gap, "):
        scoreboard.load("vgg")


def test_digits_are_a_fair_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoreboard, "DIGITS", 20)
    board = scoreboard.load("mnist")
    assert np.bincount(board.test.labels).tolist() == [2] * 10
    assert np.bincount(scoreboard.in_turn(np.arange(10))).max() == 1
    assert len(board.references) == scoreboard.REFERENCES


def test_the_file_gives_back_what_was_written(result: Any, tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    path.write_text(scoreboard.written([result]), encoding="utf-8")
    again = scoreboard.read(path)
    assert type(again) is evaluation.Scoreboard
    rounded = [c for c in result.columns if result[c].dtype == float and c != "seconds"]
    pd.testing.assert_frame_equal(
        pd.DataFrame(again[rounded]), pd.DataFrame(result[rounded]), atol=5.1e-5, rtol=0
    )
    assert again["method"].tolist() == result["method"].tolist()
    assert again["control"].dtype == bool
    assert not re.search(r"\d\.\d{5,}(?=,[^,\n]*,)", path.read_text())


@pytest.mark.fault(
    "Data: tables",
    "A scoreboard's CSV with a byte order mark, other columns, or text among the numbers",
    sees="nothing where there is a byte order mark; else `ValueError`: … lacks the "
    "columns mean, chance; it has …; or … column 'mean' holds text in 1 of … rows …",
    kept="the file",
    guard=(
        "xai_utils/scoreboard.py",
        "if missing := [name for name in COLUMNS if name not in table]:",
        "if missing := []:",
    ),
)
def test_a_file_that_is_no_scoreboard_is_refused(result: Any, tmp_path: Path) -> None:
    path, text = tmp_path / "board.csv", scoreboard.written([result])
    path.write_text(text, encoding="utf-8-sig")
    assert list(scoreboard.read(path).columns) == list(result.columns)
    pd.read_csv(path).drop(columns=["mean", "chance"]).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"board\.csv lacks the columns mean, chance; it has data"):
        scoreboard.read(path)
    path.write_text(text.replace(",", ";"))
    with pytest.raises(ValueError, match=r"lacks the columns method, .*expected commas"):
        scoreboard.read(path)
    lines = text.splitlines()
    cells = lines[3].split(",")
    cells[lines[0].split(",").index("mean")] = "about a half"
    path.write_text("\n".join([*lines[:3], ",".join(cells), *lines[4:]]))
    with pytest.raises(ValueError, match=r"column 'mean' holds text in 1 of .*'about a half'"):
        scoreboard.read(path)
    for body in (b"", b"\xff\xfe\x00", b'a,b\n"'):
        path.write_bytes(body)
        with pytest.raises(ValueError, match=r"board\.csv (is no CSV in UTF-8|lacks)"):
            scoreboard.read(path)


def test_several_networks_are_shown_one_by_one(result: Any) -> None:
    both = pd.concat([result, result.assign(network="other")])
    page = evaluation.Scoreboard(both)._repr_html_()
    assert page is not None
    assert page.count("<table") == 2 and "<h3>Squares, other</h3>" in page


# --- the program ---------------------------------------------------------------------------------


def test_networks_that_cannot_be_measured_are_named(tmp_path: Path) -> None:
    program = str(DATA / "make_scoreboard.py")
    env = {k: v for k, v in os.environ.items() if k != "XAI_DATA_DIR"}
    env |= {"XAI_DATA": "real", "XAI_OFFLINE": "1", "XAI_CACHE_DIR": str(tmp_path / "cache")}
    networks = ["--network", "mnist", "--network", "neu_flat"]
    command = [sys.executable, program, *networks, "--images", "2", "--build", str(tmp_path)]
    run = subprocess.run(command, env=env, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("Not measured: mnist, neu_flat (see above)")
    assert not list(tmp_path.glob("scoreboard.*"))
    command[command.index("2")] = "0"
    run = subprocess.run(command, env=env, capture_output=True, text=True)
    assert run.returncode == 2 and "--images" in run.stderr
