"""The how-to on one's own pictures: every block of it is run, in order, in an empty folder.

Each block is run as a file of its own would be: it finds the files of those before it, but not
their imports or variables.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import course
from xai_utils import __main__ as command_line
from xai_utils import imagenet, storage
from xai_utils._fitting import FITS, fitted
from xai_utils.datasets import load_photo

PAGE = (course.ROOT / "site" / "text" / "own-images.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Run the page; return the folder, and what each block printed."""
    try:
        imagenet.load_imagenet("MobileNetV2", download=False)
    except storage.Unavailable as missing:
        pytest.skip(f"the how-to is NOT run: {missing}")
    import contextlib
    import io

    import skimage.data

    folder = tmp_path_factory.mktemp("a page")
    Image.fromarray(skimage.data.chelsea()).save(folder / "photo.jpg")
    printed = []
    with contextlib.chdir(folder):
        for kind, text in BLOCKS:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                if kind == "sh":
                    for line in text.splitlines():
                        program, *arguments = shlex.split(line)
                        assert (program, arguments[:2]) == ("python", ["-m", "xai_utils"])
                        command_line.main(arguments[2:])
                else:
                    assert kind == "python"
                    exec(compile(text, "own-images.md", "exec"), {"__name__": "__main__"})
            printed.append(out.getvalue())
    return folder, printed


def test_the_page_has_its_parts() -> None:
    kinds = ["sh", "python", "python", "sh", "python", "python", "sh", "sh"]
    assert [kind for kind, _ in BLOCKS] == kinds
    five = [line for line in BLOCKS[1][1].splitlines() if line]
    assert len(five) == 5


def test_every_command_writes_its_figure(ran: tuple[Path, list[str]]) -> None:
    folder, _ = ran
    named = re.findall(r"--out (\S+)", PAGE)
    assert named == ["result.png", "pets.png", "plate_explained.png", "empty.png"]
    for name in named:
        picture = np.asarray(Image.open(folder / name).convert("RGB"))
        assert min(picture.shape[:2]) > 200
        assert picture.std() > 10, f"{name} is blank"
    assert not list(folder.glob(".*")), "something half-written was left"


def test_the_lines_that_are_printed_are_those_of_the_page(ran: tuple[Path, list[str]]) -> None:
    _, printed = ran
    first, example = printed[0], re.search(r"^> (grad_cam: .*)$", PAGE, re.MULTILINE)
    assert example is not None
    number = re.compile(r"-?\d+(\.\d+)?")
    assert number.sub("#", example[1]) in number.sub("#", first)
    assert "the shares sum to" in first.lower()
    assert "most probable: " in first and "fit: crop: only the middle" in first
    assert "explained class: " in printed[1]


def test_the_nested_model_sees_the_cat_and_the_large_one_agrees(
    ran: tuple[Path, list[str]],
) -> None:
    _, printed = ran
    assert re.search(r"pets.* on dog_and_cat: .*cat, ", printed[3])
    less = re.search(r"grad_cam: .* in (\d+) of 20 places by less", printed[3])
    assert less is not None and int(less[1]) >= 15
    title = re.search(r"on dog_and_cat: (.*), logit", printed[3])
    assert title is not None and printed[4] == f"{title[1]}\n", "Python says what the command says"


def test_a_grey_picture_is_explained_by_a_grey_network(ran: tuple[Path, list[str]]) -> None:
    _, printed = ran
    assert re.search(r"steel .*on plate: crazing, ", printed[6])


def test_the_empty_map_says_that_it_is_empty(ran: tuple[Path, list[str]]) -> None:
    folder, printed = ran
    network = imagenet.load_imagenet("MobileNetV2", download=False)
    if "8-bit" not in network.weights:
        pytest.skip("with other weights another class is the empty one")
    assert "grad_cam: The map is empty" in printed[7]
    assert "Its logit is -2.3; the predicted class, Bernese mountain dog, has 7.8" in printed[7]
    assert "hires_cam: Hiding" in printed[7]
    assert "empty" in Image.open(folder / "empty.png").text["Description"]  # type: ignore[attr-defined]


def test_the_table_of_weights_is_the_registrys() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| (yes|no)", PAGE, re.MULTILINE)
    assert sorted(row[0] for row in rows) == sorted(map(str.lower, imagenet.names()))
    registry = storage.load_registry()
    for name, megabytes, downloaded in rows:
        known = {n.lower(): n for n in imagenet.names()}[name]
        file = registry[f"imagenet/{next(iter(imagenet._ARCHITECTURES[known].files))}"]
        assert f"{file.bytes / 1e6:.1f}" == megabytes
        assert ("yes" if file.urls else "no") == downloaded


def test_the_table_of_fits_was_measured() -> None:
    heads = re.search(r"^\| `--fit` .*?(`\w+`, .*) \|$", PAGE, re.MULTILINE)
    assert heads is not None
    photos = [load_photo(name) for name in re.findall(r"`(\w+)`", heads[1])]
    sizes = [f"{p.image.shape[1]} x {p.image.shape[0]}" for p in photos]
    try:
        network = imagenet.load_imagenet("MobileNetV2", download=False)
    except storage.Unavailable as missing:
        pytest.skip(f"the table is NOT measured: {missing}")
    if "8-bit" not in network.weights or any(f"`{p.name}`" not in heads[1] for p in photos):
        pytest.skip("the table is NOT measured: other weights or photographs")
    assert re.findall(r"\d+ x \d+", heads[1]) == sizes
    for fit in FITS:
        row = re.search(rf"^\| `{fit}` \|[^|]*\| (.*) \| (.*) \|$", PAGE, re.MULTILINE)
        assert row is not None
        shown = [fitted(photo, network.size, fit) for photo in photos]
        best = network.decode(network.model.predict(network.preprocess(shown), verbose=0), top=1)
        for (found,), cell in zip(best, row.groups(), strict=True):
            name, share = cell.rstrip("%").split(", ")
            assert name == found.name
            assert float(share) == pytest.approx(100 * found.score, abs=0.3)
