"""`python -m xai_utils`: help costs nothing, and a wrong command costs one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from xai_utils.__main__ import main, parser

HEAVY = ("tensorflow", "keras", "shap", "lime", "matplotlib", "pandas", "sklearn", "skimage", "cv2")
WATCH = f"""
import sys
from xai_utils.__main__ import main
try:
    main(sys.argv[1:])
finally:
    print("LOADED", *(m for m in {HEAVY!r} if m in sys.modules))
"""


def run(*arguments: str, where: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WATCH, *arguments]
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": root}
    return subprocess.run(
        command, cwd=where, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--help"], "figure"),
        (["explain", "--help"], "--method"),
        (["figure", "--help"], "C2"),
        (["train", "--help"], "--seeds"),
    ],
)
def test_help_loads_nothing_heavy(arguments: list[str], word: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert word in done.stdout
    assert done.stdout.splitlines()[-1] == "LOADED"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "gone.jpg", "--model", "mobilenetv2"], "error: no file gone.jpg; known names"),
        (["explain", "a.png", "--model", "mobilnet"], "error: no model 'mobilnet'; did you mean"),
        (["explain", "a.png", "--model", "x.keras"], "error: no file x.keras"),
        (
            ["explain", "a.png", "--model", "vgg16", "--method", "cam,gradcam"],
            "no method 'gradcam'; expected a list of them: did you mean 'grad_cam'",
        ),
        (["explain", "b.png", "--model", "vgg16"], "no file b.png; did you mean 'a.png'?"),
        (["explain", "a.png", "--model", "broken.keras"], "broken.keras cannot be loaded: it is"),
        (
            ["explain", "a.png", "--model", "zip.keras", "--classes", "gone.txt"],
            "error: no file gone.txt; expected a text file with the name of one class on each line",
        ),
        (
            [
                "explain",
                "a.png",
                "--model",
                "zip.keras",
                "--classes",
                "pets.txt",
                "--target",
                "cow",
            ],
            "error: no class 'cow' among 2; there are 'dog', 'cat'",
        ),
        (["explain", "a.png", "--model", "vgg16", "--out", "a.gif"], "error: cannot write a.gif"),
        (["explain", "a.png", "--model", "vgg16", "--out", "no/a.png"], "error: no folder no"),
        (["figure", "C9"], "error: no figure C9; known: A0, A1"),
    ],
)
def test_a_wrong_command_is_one_line_before_anything_heavy(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "broken.keras").write_bytes(b"no archive")
    (tmp_path / "pets.txt").write_text("dog\ncat\n")
    with zipfile.ZipFile(tmp_path / "zip.keras", "w") as archive:
        archive.writestr("a.txt", "whatever a network is")
    before = sorted(tmp_path.iterdir())
    done = run(*arguments, where=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    loaded = done.stdout.splitlines()[-1].split()[1:]
    assert not {"tensorflow", "keras"} & set(loaded)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--method", "grad_cam,", "lime"], "separate methods by commas, without spaces: --method"),
        (["--method", "cam", "lime", "rise"], "without spaces: --method cam,lime,rise\n"),
        (["b.png"], "unrecognized arguments: b.png\n"),
        (["--fit", "stretch"], "invalid choice: 'stretch'"),
    ],
)
def test_what_is_left_over_is_explained(
    more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", "a.png", "--model", "vgg16", *more])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_choices_of_the_command_are_those_of_the_library() -> None:
    from xai_utils.own_images import FITS

    explain = parser()._subparsers._group_actions[0].choices["explain"]  # type: ignore[union-attr,index]
    fit = next(action for action in explain._actions if action.dest == "fit")
    assert list(fit.choices or ()) == list(FITS)


@pytest.mark.skipif("XAI_DATA_DIR" not in os.environ, reason="NOT TESTED: XAI_DATA_DIR is not set")
def test_an_unknown_class_of_imagenet_is_said_before_the_weights_are_looked_for(
    tmp_path: Path,
) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    arguments = ["explain", "a.png", "--model", "vgg16", "--target", "beegle"]
    done = run(*arguments, where=tmp_path)
    assert done.stderr == "error: no class 'beegle' among 1000; did you mean 'beagle'?\n"


def test_an_explanation_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from xai_utils import datasets, training

    monkeypatch.chdir(tmp_path)
    plates = datasets.load_steel(1)
    Image.fromarray(plates.images[0, ..., 0]).save("plate.png")
    training.load_or_train("steel_gap").save("steel.keras")
    main(["explain", "plate.png", "--model", "steel.keras", "--scale", "0-1", "--method", "cam"])
    printed = capsys.readouterr()
    said = printed.out.splitlines()
    assert said[0].startswith("steel (file steel.keras) on plate: class 0, ")
    assert re.fullmatch(r"most probable: class 0 [\d.]+%, class \d [\d.]+%, class \d .*%", said[1])
    assert said[2].startswith("cam: Hiding the marked fifth lowers the logit by ")
    assert said[3:] == ["explained.png"]
    assert printed.err == "loading steel.keras ...\ncam ... (1 of 1)\n"
    with Image.open("explained.png") as picture:
        assert "explained class: class 0" in picture.text["Description"]  # type: ignore[attr-defined]
