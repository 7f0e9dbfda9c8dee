"""One's own photo and model: what is loaded, what is refused, what is said and written."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from xai_utils import cam, own_images, scores, storage
from xai_utils.own_images import METHODS, explain, load_network


@pytest.fixture(scope="module")
def colour() -> Any:
    """A nested network for colour, as transfer learning makes them, that rescales its pictures."""
    from networks import functional, layers, seeded, trunk_layers

    head = [layers.GlobalAveragePooling2D(name="gap"), layers.Dense(3, name="logits")]
    trunk = functional(trunk_layers(), (32, 32, 3), name="trunk")
    return seeded(functional([layers.Rescaling(1 / 255), trunk, *head], (32, 32, 3), name="mine"))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


# --- networks ------------------------------------------------------------------------------------


def test_a_file_is_the_same_network_and_its_rescaling_is_seen(
    colour: Any, photo: Path, tmp_path: Path
) -> None:
    colour.save(tmp_path / "mine.keras")
    (tmp_path / "names.txt").write_text("one\n\n two \nthree\n")
    loaded = load_network(tmp_path / "mine.keras", classes=tmp_path / "names.txt")
    assert loaded.classes == ("one", "two", "three")
    assert loaded.title == "mine (file mine.keras)"
    assert loaded.preprocess(photo).max() > 200, "a network that rescales wants 0 to 255"
    given = load_network(colour)
    assert given.classes == ("class 0", "class 1", "class 2")
    x = given.preprocess(photo)
    assert np.array_equal(scores.logits(loaded.model, x), scores.logits(colour, x))


@pytest.mark.parametrize(
    ("scale", "white", "black"),
    [
        ("0-1", [1, 1, 1], [0, 0, 0]),
        ("0-255", [255] * 3, [0] * 3),
        ("tf", [1] * 3, [-1] * 3),
        ("torch", [2.2489, 2.4286, 2.64], [-2.1179, -2.0357, -1.8044]),
        ("caffe", [151.061, 138.221, 131.32], [-103.939, -116.779, -123.68]),
    ],
)
def test_the_scale_is_what_was_said(
    colour: Any, scale: str, white: list[float], black: list[float]
) -> None:
    network = load_network(colour, scale=scale)
    for value, expected in ((255, white), (0, black)):
        x = network.preprocess(np.full((9, 9, 3), value, np.uint8))
        assert np.allclose(x, expected, atol=1e-3)
        assert np.allclose(network.restore(x), value / 255, atol=1e-5)


def test_a_grey_network_sees_one_channel_in_its_scale(flat: Any, photo: Path) -> None:
    network = load_network(flat, scale="tf")
    x = network.preprocess(photo)
    assert x.shape == (1, 8, 8, 1) and x.min() < 0
    grey = np.asarray(Image.fromarray(network.resized(photo)[0]).convert("L"))
    assert np.allclose(x[0, ..., 0], grey / 127.5 - 1, atol=1e-5)
    assert np.allclose(network.restore(x)[0, ..., 0], grey / 255, atol=1e-5)


def test_without_a_scale_the_question_is_asked(flat: Any) -> None:
    with pytest.raises(ValueError, match=r"does not rescale.*say which one.*0-1; 0-255; tf"):
        load_network(flat)


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        (
            "mobilenetv3",
            {},
            ValueError,
            r"no model 'mobilenetv3'; did you mean 'mobilenetv2'.* Known: vgg16, .*file .keras",
        ),
        ("gone.keras", {}, FileNotFoundError, "no file gone.keras"),
        ("mobilenet", {"scale": "tf"}, ValueError, "known: leave them out"),
        ("x.keras", {"scale": "0..1"}, ValueError, r"no scale '0\.\.1'; known: 0-1"),
    ],
)
def test_what_is_unknown_lists_what_is_known(
    given: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_network(given, **options)


@pytest.mark.usefixtures("nothing_at_hand")
def test_missing_weights_say_where_they_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    with pytest.raises(storage.Unavailable, match=r"weights of VGG16: .*\n(.*\n)+.*Save it under"):
        load_network("VGG16")


def test_a_missing_list_of_classes_is_named_before_the_network_is_loaded(
    colour: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from networks import keras

    colour.save(tmp_path / "mine.keras")
    (tmp_path / "no.txt").write_bytes(b"\xff\xfe\x00")
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(FileNotFoundError, match=r"no file .*gone\.txt; expected a text file"):
        load_network(tmp_path / "mine.keras", classes=tmp_path / "gone.txt")
    with pytest.raises(ValueError, match=r"no\.txt is no text in UTF-8; expected"):
        load_network(tmp_path / "mine.keras", classes=tmp_path / "no.txt")


def test_names_of_classes_are_counted(colour: Any) -> None:
    with pytest.raises(ValueError, match=r"2 names of classes .*3 outputs"):
        load_network(colour, classes=["a", "b"])


def test_a_table_model_is_refused() -> None:
    from networks import functional, layers

    with pytest.raises(ValueError, match=r"takes \(None, 5\); expected pictures"):
        load_network(functional([layers.Dense(2)], (5,)), scale="0-1")


@pytest.mark.fault(
    "Models: files",
    "A `.keras` file with a Lambda layer, which is code that loading would run",
    sees="`ValueError`: … holds a Lambda layer, which is code that loading it would run, "
    "so it is refused. If you trust it: load it yourself by "
    "keras.models.load_model(path, safe_mode=False), and hand over the model …",
    kept="no line of the file is run: Keras's safe mode stays on",
    guard=(
        "xai_utils/_own_models.py",
        "safe_mode=True)\n    except",
        "safe_mode=False)\n    except",
    ),
)
def test_code_in_a_file_is_refused(tmp_path: Path) -> None:
    from networks import functional, layers

    model = functional([layers.Lambda(lambda x: x), layers.Conv2D(2, 3)], (8, 8, 1))
    model.save(tmp_path / "code.keras")
    with pytest.raises(ValueError, match=r"holds a Lambda layer.*safe_mode=False"):
        load_network(tmp_path / "code.keras", scale="0-1")


@pytest.mark.fault(
    "Models: files",
    "A `.keras` file that is no model",
    sees="`ValueError`: … cannot be loaded: it is not the archive that a file .keras is, "
    "so it is broken or of another kind; save the model again …",
    kept="the file",
    guard=(
        "xai_utils/_own_models.py",
        'if path.suffix == ".keras" and not zipfile.is_zipfile(path):',
        "if False:",
    ),
)
def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.keras").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"broken\.keras cannot be loaded: it is not the archive"):
        load_network(tmp_path / "broken.keras", scale="0-1")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("a.txt", "no model")
    with pytest.raises(ValueError, match=r"other\.keras cannot be loaded"):
        load_network(tmp_path / "other.keras", scale="0-1")


# --- explanations --------------------------------------------------------------------------------


def test_every_method_gives_a_map_of_the_networks_size(photo: Path) -> None:
    from networks import functional, gap_layers, seeded

    model = seeded(functional(gap_layers(), (32, 32, 3)))
    network = load_network(model, scale="tf")
    found = explain(photo, network, list(METHODS))
    x = network.preprocess(photo)
    logits = scores.logits(model, x)[0]
    assert list(found.maps) == list(METHODS) == list(found.remarks)
    assert all(heat.shape == (32, 32) for heat in found.maps.values())
    assert found.target == logits.argmax()
    assert found.logit == pytest.approx(logits.max(), abs=1e-5)
    softmax = np.exp(logits - logits.max())
    assert found.probability == pytest.approx(softmax.max() / softmax.sum(), abs=1e-5)
    expected = cam.resize_heatmap(cam.grad_cam(model, x)[0], (32, 32))
    assert np.allclose(found.maps["grad_cam"], expected)
    rise = logits.max() - scores.logits(model, np.zeros_like(x))[0, found.target]
    remark = found.remarks["integrated_gradients"]
    assert f"the logit rises by {rise:.2f}. Off by " in remark


@pytest.mark.fault(
    "Data: pictures",
    "A picture of one pixel, or of one colour",
    sees="an explanation of the picture enlarged to the network's size; a map that is "
    "empty says so",
    kept="every number is finite, whatever the method",
    guard=(
        "xai_utils/local_surrogates.py",
        "np.where(high > low, high - low, 1)",
        "(high - low)",
    ),
)
def test_a_picture_of_one_pixel_is_explained_by_every_method(tmp_path: Path) -> None:
    from networks import functional, gap_layers, seeded
    from xai_utils.gradients import saliency

    model = seeded(functional(gap_layers(), (32, 32, 3)))
    network = load_network(model, scale="0-1")
    Image.new("RGB", (1, 1), (200, 10, 30)).save(tmp_path / "dot.png")
    found = explain(tmp_path / "dot.png", network, list(METHODS))
    x = np.tile(np.float32([200, 10, 30]) / 255, (1, 32, 32, 1))
    assert np.allclose(found.maps["saliency"], np.abs(saliency(model, x))[0].max(axis=-1))
    assert all(np.isfinite(heat).all() for heat in found.maps.values())
    for name, heat in found.maps.items():
        assert found.remarks[name].startswith("The map is empty") == (not heat.any())
    covered = np.abs(found.maps["occlusion"]).max()
    assert covered < 1e-5, "the mean of a picture of one colour covers it by itself"


def test_an_explained_class_by_number_or_name(colour: Any, photo: Path) -> None:
    network = load_network(colour, classes=["ant", "Bee", "cat"])
    for target in (1, "1", "bee"):
        found = explain(photo, network, ["saliency"], target=target)
        assert found.target == 1 and "Bee, " in found.title
    with pytest.raises(ValueError, match="no class 3; expected 0 to 2"):
        explain(photo, network, ["saliency"], target=3)
    with pytest.raises(ValueError, match="no class 'bees' among 3; did you mean 'Bee'"):
        explain(photo, network, ["saliency"], target="bees")
    with pytest.raises(ValueError, match=r"no class 'walrus' among 3; there are 'ant', 'Bee'"):
        explain(photo, network, ["saliency"], target="walrus")


def test_a_class_that_was_asked_for_is_told_from_the_predicted_one(
    colour: Any, photo: Path
) -> None:
    network = load_network(colour, classes=["ant", "bee", "cat"])
    predicted = explain(photo, network, ["saliency"])
    best = predicted.best
    assert [b.score for b in best] == sorted((b.score for b in best), reverse=True)
    assert len(best) == 3 and sum(b.score for b in best) == pytest.approx(1, abs=1e-6)
    assert predicted.title == f"{best[0].name}, {best[0].score:.1%}"
    asked = explain(photo, network, ["saliency"], target=best[2].number)
    assert asked.title == (
        f"asked: {best[2].name}, {best[2].score:.1%} "
        f"(predicted: {best[0].name}, {best[0].score:.1%})"
    )
    assert asked.title in asked.words


def test_classes_without_names_are_not_suggested(colour: Any, photo: Path) -> None:
    network = load_network(colour)
    with pytest.raises(ValueError, match=r"names .* not known.*number, 0 to 2.*--classes FILE"):
        explain(photo, network, ["saliency"], target="cat")
    with pytest.raises(ValueError, match=r"0 to 2\. Needed is imagenet/imagenet_class_index"):
        explain(photo, replace(network, imagenet=True), ["saliency"], target="cat")


def test_what_is_being_done_is_told(flat: Any) -> None:
    told: list[str] = []
    network = load_network(flat, scale="0-1")
    explain(np.zeros((8, 8)), network, ["saliency", "occlusion"], progress=told.append)
    assert told == ["saliency ... (1 of 2)", "occlusion ... (2 of 2)"]


def test_integrated_gradients_take_more_steps_where_the_sum_is_off() -> None:
    """A logit that rises only on the last of 128 steps, which 32 do not see."""
    from networks import functional, keras, layers

    parts = [layers.Conv2D(1, 1, activation="relu", name="conv"), layers.Flatten()]
    model = functional([*parts, layers.Dense(1, use_bias=False)], (2, 2, 1))
    assert isinstance(model, keras.Model)
    model.set_weights([np.full((1, 1, 1, 1), 128.0), np.array([-127.0]), np.ones((4, 1))])
    network = load_network(model, scale="0-1")
    found = explain(np.ones((2, 2)), network, ["integrated_gradients"])
    assert found.maps["integrated_gradients"].sum() == pytest.approx(4, abs=0.01)
    assert found.remarks["integrated_gradients"].endswith("Off by 0%: close enough.")


def test_another_layer_is_read_and_a_wrong_one_lists_all(colour: Any, photo: Path) -> None:
    network = load_network(colour)
    early = explain(photo, network, ["hires_cam"], layer="conv1").maps["hires_cam"]
    assert not np.allclose(early, explain(photo, network, ["hires_cam"]).maps["hires_cam"])
    with pytest.raises(ValueError, match=r"no layer 'conv9'.*conv1"):
        explain(photo, network, ["hires_cam"], layer="conv9")


@pytest.mark.parametrize("methods", [["gradcam"], [], "grad_cam"])
def test_an_unknown_method_lists_the_known(methods: Any, flat: Any) -> None:
    with pytest.raises(
        ValueError, match=r"no method .*expected a list of them: .*nown: grad_cam, .*, lime"
    ):
        explain(np.zeros((8, 8)), load_network(flat, scale="0-1"), methods)


def test_an_empty_map_says_so_in_remark_words_and_figure() -> None:
    from networks import functional, keras, layers

    parts = [layers.Conv2D(1, 1, name="conv"), layers.GlobalAveragePooling2D()]
    model = functional([*parts, layers.Dense(2, name="logits")], (8, 8, 1))
    model.set_weights([np.ones((1, 1, 1, 1)), np.zeros(1), np.array([[1.0, -1.0]]), np.zeros(2)])
    assert isinstance(model, keras.Model)
    network = load_network(model, scale="0-1", classes=["bright", "dark"])
    found = explain(np.full((8, 8), 0.5), network, ["grad_cam", "hires_cam"], target="dark")
    assert not found.maps["grad_cam"].any()
    assert found.remarks["grad_cam"] == (
        "The map is empty: no place speaks for this class. Its logit is -0.5; the predicted class, "
        "bright, has 0.5. Try hires_cam, which keeps what speaks against it, another layer or "
        "class, and look at the scale of the pictures."
    )
    assert "The map is zero everywhere" in found.words
    assert "Hiding" in found.remarks["hires_cam"]


def test_the_check_tells_a_map_that_is_right_from_one_that_is_not() -> None:
    """A network that reads the upper left corner only, and maps that point there or elsewhere."""
    from networks import functional, layers

    kernel = np.zeros((10, 10))
    kernel[:4, :5] = 1.0
    parts = [layers.Conv2D(1, 1, trainable=False, use_bias=False), layers.Flatten()]
    whole = functional([*parts, layers.Dense(1)], (10, 10, 1))
    whole.set_weights([np.ones((1, 1, 1, 1)), kernel.reshape(-1, 1), np.zeros(1)])
    network = load_network(whole, scale="0-1")
    x = np.where(kernel > 0, 1.0, 0.0).astype(np.float32)[None, ..., None]
    right, wrong = kernel.astype(np.float32), np.roll(kernel, 5, axis=0).astype(np.float32)
    # 20 pixels of 1 become the mean, 0.2: the logit falls by 16
    assert own_images.check(network, x, right, 0).startswith(
        "Hiding the marked fifth lowers the logit by 16.0; "
    )
    places = re.search(r"in (\d+) of 20", own_images.check(network, x, right, 0))
    assert places is not None and int(places[1]) >= 18
    # 20 pixels of 0 that it does not read: nothing changes
    assert " by 0.0; " in own_images.check(network, x, wrong, 0)
    assert own_images.check(network, x, wrong, 0).endswith(
        ", in 0 of 20 places by less: not passed, the network does not need what is marked."
    )
    assert own_images.check(network, x, right, 0).endswith("by less: passed, 19 are needed.")


# --- the file ------------------------------------------------------------------------------------


def test_the_figure_is_written_whole_with_its_words(colour: Any, photo: Path) -> None:
    found = explain(photo, load_network(colour), ["grad_cam", "saliency"])
    for name in ("a.png", "a.svg", "a.pdf"):
        path = found.save(photo.parent / name)
        assert path.stat().st_size > 1000
    with Image.open(photo.parent / "a.png") as picture:
        assert picture.text["Description"] == found.words  # type: ignore[attr-defined]
        assert np.asarray(picture.convert("L")).std() > 10
    assert sorted(p.name for p in photo.parent.iterdir()) == [
        "a.pdf",
        "a.png",
        "a.svg",
        "photo.png",
    ]


def test_what_cannot_be_written_leaves_the_old_file(
    colour: Any, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = explain(photo, load_network(colour), ["saliency"])
    with pytest.raises(ValueError, match=r"ends in \.png, \.svg, \.pdf"):
        found.save("a.jpg")
    with pytest.raises(FileNotFoundError, match="no folder"):
        found.save(photo.parent / "gone" / "a.png")
    old = photo.parent / "a.png"
    old.write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        (photo.parent / ".a.png.part").write_bytes(b"half")
        raise OSError("no space left on device")

    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="no space"):
        found.save(old)
    assert old.read_bytes() == b"old"
    assert sorted(p.name for p in photo.parent.iterdir()) == ["a.png", "photo.png"]
