"""`python -m xai_utils`: help costs nothing, and a wrong command costs one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from xai_utils.__main__ import main

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
        (["explain", "a.png", "--model", "mobilnet"], "error: no model 'mobilnet'; known: vgg16"),
        (["explain", "a.png", "--model", "x.keras"], "error: no file x.keras"),
        (
            ["explain", "a.png", "--model", "vgg16", "--method", "cam,gradcam"],
            "no method 'gradcam'",
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
    done = run(*arguments, where=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    loaded = done.stdout.splitlines()[-1].split()[1:]
    assert not {"tensorflow", "keras"} & set(loaded)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_an_explanation_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from xai_utils import datasets, training

    monkeypatch.chdir(tmp_path)
    plates = datasets.load_steel(1)
    Image.fromarray(plates.images[0, ..., 0]).save("plate.png")
    training.load_or_train("steel_gap").save("steel.keras")
    main(["explain", "plate.png", "--model", "steel.keras", "--scale", "0-1", "--method", "cam"])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("steel (file steel.keras) on plate: class 0, ")
    assert said[1].startswith("cam: Hiding the marked fifth lowers the logit by ")
    assert said[2:] == ["explained.png"]
    with Image.open("explained.png") as picture:
        assert "explained class: class 0" in picture.text["Description"]  # type: ignore[attr-defined]
