"""Figures on demand: the table fits the notebooks, and files are what the cells show."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image
from scipy.ndimage import gaussian_filter

import gallery
import notebook_rules as rules
from figure_similarity import decode
from xai_utils import _captions, figures
from xai_utils.datasets import simulated_houses

ARTICLES = [
    f"{letter}{number}"
    for letter, numbers in {
        "A": range(8),
        "B": range(7),
        "C": range(1, 6),
        "D": range(1, 8),
        "E": range(1, 11),
    }.items()
    for number in numbers
]


def shows(text: str) -> str:
    """A cell that shows a plot with this title."""
    return (
        "from matplotlib.figure import Figure\nfrom xai_utils import plots\n"
        f"fig = Figure(figsize=(3, 2))\nax = fig.add_subplot()\nax.plot([0, 1])\n"
        f"ax.set_title({text!r})\nplots.show(fig, {text!r})"
    )


def store(path: Path, *cells: tuple[str, str]) -> Path:
    """Write a notebook of code cells, each with a tag or none."""
    made = [
        new_code_cell(source, metadata={"tags": [f"figure:{t}" for t in tags.split()]})
        for source, tags in cells
    ]
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Title"), *made]), path)
    return path


# --- the table -----------------------------------------------------------------------------------


def test_every_figure_of_the_articles_is_in_the_table() -> None:
    assert set(figures.ids()) == set(ARTICLES)


def test_every_tagged_cell_has_its_line_and_every_line_its_cell() -> None:
    shown = {place.file for of_one in figures.places().values() for place in of_one}
    assert shown == set(figures.read())


def test_the_names_that_the_table_gives_stand_in_the_notebooks() -> None:
    for of_one in figures.places().values():
        for place in of_one:
            entry = figures.read()[place.file]
            cells = json.loads(place.notebook.read_text(encoding="utf-8"))["cells"]
            before = "\n".join(
                "".join(c["source"]) for c in cells[: place.cell + 1] if c["cell_type"] == "code"
            )
            for name in filter(None, f"{entry.network},{entry.data}".split(",")):
                first = name.strip().partition(".")[0]
                assert re.search(rf"\b{first}\b", before), f"{place.file}: {name}"
            if entry.photo:
                assert f'"{entry.photo.split("=")[1]}"' in before, f"{place.file}: {entry.photo}"


HEADER = "\t".join(_captions.Entry._fields)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("figure\twhat\n", "begins with"),
        (f"{HEADER}\nC2\tGrad-CAM\n", "line 2"),
        (f"{HEADER}\nC2\t\t\t\t\t\t\n", "line 2"),
        (f"{HEADER}\nC2\tx\t\t\t\t\t\nC2\tx\t\t\t\t\t\n", "line 3"),
    ],
)
def test_a_broken_table_is_named(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "figures.tsv").write_text(text, encoding="utf-8")
    monkeypatch.setattr(figures.storage, "DATA", tmp_path)
    with pytest.raises(ValueError, match=message):
        figures.read()


# --- the files -----------------------------------------------------------------------------------


def test_only_the_cells_up_to_the_figure_are_run(tmp_path: Path) -> None:
    store(
        tmp_path / "notebooks" / "00_a.ipynb",
        ("print('said in vain')\nx = 'early'", ""),
        (shows("one"), "E1"),
        (shows("another") + "\nassert x == 'early'", "A1"),
        ("raise ValueError('after the figure')", ""),
    )
    said: list[str] = []
    made = figures.draw(
        ["A1", "E1"], tmp_path / "out", notebooks=tmp_path / "notebooks", say=said.append
    )
    assert [path.name for path in made] == ["A1.png", "E1.png"]
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["A1.png", "A1.svg", "A1.txt", "E1.png", "E1.svg", "E1.txt"]
    with Image.open(tmp_path / "out" / "A1.png") as picture:
        assert np.allclose(picture.info["dpi"], 300, atol=1)
        assert picture.text["Description"] == "another"  # type: ignore[attr-defined]
        assert picture.width > 600
    svg = (tmp_path / "out" / "A1.svg").read_text(encoding="utf-8")
    assert "<text" not in svg and "font-family" not in svg
    assert said == ["00_a.ipynb: A1, E1"]
    text = (tmp_path / "out" / "A1.txt").read_text(encoding="utf-8")
    assert text.startswith("Figure: A1, notebook 00_a\nWhat: Descent in the space of weights")
    for line in ("Seeds: none", "Stand-in: no", "In words: another"):
        assert f"\n{line}\n" in text


def test_a_picture_has_no_svg_and_an_old_one_goes(tmp_path: Path) -> None:
    picture = shows("noise").replace(
        "ax.plot([0, 1])",
        "import numpy\nax.imshow(numpy.random.default_rng(3).random((200, 200)), cmap='jet')",
    )
    signed = picture.replace("cmap='jet'", "cmap='RdBu_r', vmin=-1, vmax=1")
    store(tmp_path / "notebooks" / "00_a.ipynb", (picture, "E1"), (signed, "E3"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "E1.svg").write_text("old")
    said: list[str] = []
    figures.draw(["E1", "E3"], tmp_path / "out", notebooks=tmp_path / "notebooks", say=said.append)
    made = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert made == ["E1.png", "E1.txt", "E3.png", "E3.txt"]
    both = (tmp_path / "out" / "E3.txt").read_text(encoding="utf-8")
    assert "\nIn grey and to colour-blind eyes: in grey the two signs of a map look alike" in both
    text = (tmp_path / "out" / "E1.txt").read_text(encoding="utf-8")
    assert "\nSeeds: default_rng(3)\n" in text
    assert "colours of 'jet': the order of values is lost" in text
    assert "two signs" not in text
    assert said[1].startswith("E1, to be read in grey: colours of 'jet'") and len(said) == 2


def test_the_second_picture_of_a_figure_lies_in_another_notebook(tmp_path: Path) -> None:
    folder = tmp_path / "notebooks"
    store(folder / "08_a.ipynb", (shows("first"), "B6"), (shows("both"), "A1 E1"))
    store(
        folder / "09_b.ipynb",
        (
            "reader, mnist = 1, type('D', (), "
            "{'name': 'digits', 'source': 'embedded default: others'})",
            "",
        ),
        (shows("second"), "B6"),
    )
    names = {
        p.file: (p.notebook.name, p.cell) for of in figures.places(folder).values() for p in of
    }
    assert names == {
        "B6": ("08_a.ipynb", 1),
        "A1": ("08_a.ipynb", 2),
        "E1": ("08_a.ipynb", 2),
        "B6-2": ("09_b.ipynb", 2),
    }
    made = figures.draw(["B6"], tmp_path / "out", notebooks=folder, at_once=2, say=lambda _: None)
    assert [path.name for path in made] == ["B6-2.png", "B6.png"]
    text = (tmp_path / "out" / "B6-2.txt").read_text(encoding="utf-8")
    assert "\nData: digits (embedded default: others)\n" in text
    assert "\nStand-in: in place of the real data: others\n" in text


def alike(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two pictures without their finest lines, which 300 dpi draws otherwise."""
    one, two = (gaussian_filter(a.astype(float), (4, 4, 0)).ravel() for a in (first, second))
    return float(np.corrcoef(one, two)[0, 1])


@pytest.mark.skipif(
    not os.environ.get("XAI_DATA_DIR"),
    reason="XAI_DATA_DIR is not set: NOT compared with what is stored, which is of the real data",
)
def test_a_real_figure_is_the_one_that_the_notebook_stores(tmp_path: Path) -> None:
    (png,) = figures.draw(["E1"], tmp_path, say=lambda _: None)
    (place,) = figures.places()["E1"]
    cell = nbformat.read(place.notebook, as_version=4).cells[place.cell]
    ((_, data, words),) = rules.pictures(cell)
    stored = decode(data)
    with Image.open(png) as picture:
        assert picture.width > 2.9 * stored.shape[1]
        assert picture.text["Description"] == words  # type: ignore[attr-defined]
        small = picture.convert("RGB").resize(stored.shape[1::-1], Image.Resampling.LANCZOS)
    assert alike(stored, np.asarray(small)) > 0.98
    assert alike(stored, np.asarray(small)[..., ::-1]) < 0.9, "other colours would be found"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([("1 / 0", ""), (shows("x"), "E1")], "00_a.ipynb, cell 1: ZeroDivisionError"),
        ([("x = 1", "E1")], r"cell 1 \(E1\) shows 0 figures, expected one"),
        ([(shows("x"), "")], "no cell of the notebooks is tagged figure:E1"),
    ],
)
def test_what_goes_wrong_is_named_and_leaves_nothing(
    cells: list[tuple[str, str]], message: str, tmp_path: Path
) -> None:
    store(tmp_path / "notebooks" / "00_a.ipynb", *cells)
    with pytest.raises((RuntimeError, ValueError), match=message):
        figures.draw(["E1"], tmp_path / "out", notebooks=tmp_path / "notebooks", say=lambda _: None)
    assert not list(tmp_path.glob("out/*"))


def test_ctrl_c_ends_every_process_without_a_traceback(tmp_path: Path) -> None:
    sleeps = "import os; open('pid', 'w').write(str(os.getpid())); import time; time.sleep(500)"
    store(tmp_path / "notebooks" / "00_a.ipynb", (sleeps, "E1"))
    code = (
        "from pathlib import Path\nfrom xai_utils import __main__, figures\n"
        f"figures.NOTEBOOKS = Path({str(tmp_path / 'notebooks')!r})\n"
        "figures.draw.__kwdefaults__['notebooks'] = figures.NOTEBOOKS\n"
        f"__main__.main(['figure', 'E1', '--out', {str(tmp_path / 'out')!r}])"
    )
    pid = tmp_path / "notebooks" / "pid"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What a shell starts in the background ignores Ctrl-C, and so would all that starts here.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while not (pid.exists() and pid.read_text()):
            assert process.poll() is None
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, error = process.communicate(timeout=300)
    assert process.returncode == 1
    assert error == "\nstopped\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_an_unknown_figure_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"no figure C9; known: A0, A1, .*E10"):
        figures.draw(["C2", "C9"], Path("nowhere"))


# --- captions ------------------------------------------------------------------------------------


def entry(**changed: str) -> _captions.Entry:
    empty = dict.fromkeys(_captions.Entry._fields, "")
    return _captions.Entry(**(empty | {"figure": "A4", "what": "a bird"} | changed))


def told(of: _captions.Entry, words: str = "words", **names: object) -> dict[str, str]:
    text = _captions.caption(of, "14_x", names, ["x = 1"], words, [])
    return dict(line.split(": ", 1) for line in text.splitlines())  # type: ignore[arg-type]


def test_a_caption_tells_a_stand_in_network_and_photograph() -> None:
    from xai_utils._networks import Scaling
    from xai_utils._photos import Photo
    from xai_utils.imagenet import Network

    net = Network("SqueezeNet", None, (8, 8), ("a",), "c", "1.1", "mirror", Scaling())  # type: ignore[arg-type]
    pixels = np.zeros((8, 8, 3), np.uint8)
    ours, other = Photo("chickadee", pixels, "mirror", "MIT"), Photo("bear", pixels, "mirror")
    of = entry(network="net", data="photos", original="VGG16", photo="goldfinch=chickadee")
    found = told(of, "The photograph chickadee.", net=net, photos=[ours, other])
    assert found["Network"] == "SqueezeNet"
    assert found["Data"] == "photograph chickadee (mirror)"
    assert found["Licence"] == "of photograph chickadee: MIT"
    assert found["Stand-in"] == (
        "SqueezeNet stands for the article's VGG16; the photograph chickadee stands for the "
        "article's goldfinch"
    )
    drawn = Photo("crazing_1", pixels, "embedded default: synthetic steel")
    assert told(entry(data="photo"), photo=drawn)["Licence"] == "that of the course"
    finch = Photo("goldfinch", pixels, "file")
    found = told(of, "The photograph goldfinch.", net=net, photos=[finch, other])
    assert "do not publish" in found["Licence"]
    assert "another photograph of a goldfinch" in found["Stand-in"]


def test_a_caption_names_shipped_weights_and_generated_data() -> None:
    from xai_utils import training

    model = training.load_or_train("mnist")
    board = types.SimpleNamespace(model=model)
    found = told(
        entry(network="board.model", data="houses"), board=board, houses=simulated_houses()
    )
    assert found["Network"] == f"mnist_cnn, {model.count_params():,} parameters"
    assert re.fullmatch(
        r"data/weights/mnist, trained on .* with seed 0, right on 9\d\.\d% of the test",
        found["Weights"],
    )
    assert "generated, seed" in found["Data"]
    assert training.shipped_as("no model") is None


def test_a_name_that_the_notebook_lacks_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="A4 rests on 'net', which its notebook does not have"):
        told(entry(network="net"))


def test_a_photograph_of_the_article_is_used_where_the_mirror_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    found = [entry(photo="goldfinch=chickadee")]
    monkeypatch.setenv("XAI_DATA_DIR", str(tmp_path))
    assert dict(figures._photos(found)) == {}
    (tmp_path / "photos" / "goldfinch.jpg").write_bytes(b"x")
    swap = dict(figures._photos(found))
    assert swap == {"chickadee": str(tmp_path / "photos" / "goldfinch.jpg")}
    path = store(
        tmp_path / "notebooks" / "14_a.ipynb", ("names = ['chickadee', 'bear']\nchickadee = 1", "")
    )
    (ran,) = figures._run(path, 1, swap)
    assert ran.namespace["names"] == [swap["chickadee"], "bear"]
    monkeypatch.delenv("XAI_DATA_DIR")
    assert dict(figures._photos(found)) == {}


# --- the gallery ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("two")
    store(root / "notebooks" / "00_a.ipynb", (shows("a < b & c"), "E1"), (shows("d"), "E1 A1"))
    (root / "out").mkdir()
    places = figures.places(root / "notebooks")
    figures._draw_notebook([places["E1"][0], places["A1"][0]], root / "out")
    return root / "out"


def test_the_gallery_shows_each_with_words_and_caption(two: Path) -> None:
    page = gallery.write_gallery(two, ["A1", "E1"]).read_text(encoding="utf-8")
    assert page.index('id="A1"') < page.index('id="E1"')
    assert 'alt="a &lt; b &amp; c"' in page
    assert "<dt>Fault in the original</dt><dd>Grad-CAM is counted" in page
    assert 'href="A1.svg"' in page
    for source in re.findall(r'src="([^"]+)"', page):
        assert Image.open(two / source).width <= gallery.WIDTH
    assert not re.search(r'(src|href)="(https?:)?//', page)
    markdown = (two / "gallery.md").read_text(encoding="utf-8")
    assert "![a \\< b & c](small/E1.jpg)" in markdown
    assert "](notebooks/00_a.ipynb)" in markdown


def test_the_gallery_is_a_page_that_the_site_can_take(two: Path, tmp_path: Path) -> None:
    gallery.write_gallery(two, ["A1", "E1"])
    source = tmp_path / "source"
    shutil.copytree(two / "small", source / "small")
    shutil.copy(two / "gallery.md", source)
    notebook = nbformat.read(two.parent / "notebooks" / "00_a.ipynb", as_version=4)
    (source / "notebooks").mkdir()
    nbformat.write(rules.normalise(notebook), source / "notebooks" / "00_a.ipynb")
    (source / "index.md").write_text(
        "# Index\n\n```{toctree}\ngallery\nnotebooks/00_a\n```\n", encoding="utf-8"
    )
    settings = ["-D", "extensions=myst_nb", "-D", "nb_execution_mode=off"]
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "-C", *settings]
    done = subprocess.run(
        [*command, str(source), str(tmp_path / "pages")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "pages" / "gallery.html").read_text(encoding="utf-8")
    assert 'alt="a &lt; b &amp; c"' in page
    assert 'href="notebooks/00_a.html"' in page
    assert len(list((tmp_path / "pages" / "_images").glob("*.jpg"))) == 2


def test_a_figure_without_a_file_fails_the_build(two: Path) -> None:
    with pytest.raises(FileNotFoundError, match="1 figures have no file: C2"):
        gallery.write_gallery(two, ["A1", "C2", "E1"])


def test_what_may_not_be_published_stays_off_the_site(two: Path, tmp_path: Path) -> None:
    for path in two.glob("A1.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    caption = tmp_path / "A1.txt"
    private = "Licence: of photograph goldfinch: not stated, so do not publish this figure"
    caption.write_text(re.sub("^Licence: .*$", private, caption.read_text(), flags=re.MULTILINE))
    gallery.write_gallery(tmp_path, ["A1"])
    assert "small/A1.jpg" not in (tmp_path / "gallery.md").read_text()
    assert "In words" in (tmp_path / "gallery.md").read_text()
    assert "small/A1.jpg" in (tmp_path / "index.html").read_text()
