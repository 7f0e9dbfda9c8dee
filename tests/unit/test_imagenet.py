"""ImageNet networks: where weights are looked for, preprocessing, names, the stand-in, errors."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest

from networks import functional, gap_layers, keras, layers
from xai_utils import _imagenet_files, imagenet, scores, storage
from xai_utils._networks import Network, Scaling
from xai_utils._squeezenet import squeezenet
from xai_utils.datasets import load_photo

REGISTRY = storage.load_registry()
FIRST, SECOND = "first.h5", "second.h5"
BODY, OTHER = b"the right weights", b"another set of them"


def entry(name: str, body: bytes, *urls: str, sha256: bool = False) -> storage.Entry:
    return storage.Entry(
        name=f"imagenet/{name}",
        sha256=hashlib.sha256(body).hexdigest() if sha256 else None,
        bytes=len(body),
        urls=urls,
        licence="none",
        what=f"the test's {name}",
        max_bytes=len(body),
    )


@pytest.fixture
def places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_at_hand: None
) -> dict[str, Path]:
    """Two files of weights in a registry of their own, and the three places to put them."""
    book = [
        entry(FIRST, BODY, "https://nowhere.invalid/first.h5"),
        entry(SECOND, OTHER, sha256=True),
    ]
    monkeypatch.setattr(storage, "load_registry", lambda: {e.name: e for e in book})
    monkeypatch.setattr(_imagenet_files, "MD5", {FIRST: hashlib.md5(BODY).hexdigest()})
    monkeypatch.setenv("XAI_DATA_DIR", str(tmp_path / "mirror"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    folders = {
        "mirror (XAI_DATA_DIR)": tmp_path / "mirror" / "imagenet",
        "cache": tmp_path / "cache" / "imagenet",
        "Keras's cache": tmp_path / "keras" / "models",
    }
    for folder in folders.values():
        folder.mkdir(parents=True)
    return folders


def find(download: bool = True) -> tuple[str, str]:
    name, found = _imagenet_files.find("weights", [FIRST, SECOND], download=download)
    return name, found.source


# --- where weights come from ---------------------------------------------------------------------


def test_places_are_asked_in_their_order(places: dict[str, Path]) -> None:
    for place in reversed(places):
        (places[place] / FIRST).write_bytes(BODY)
        assert find() == (FIRST, place)


def test_a_set_at_hand_is_better_than_a_download_of_the_preferred_one(
    places: dict[str, Path],
) -> None:
    (places["cache"] / SECOND).write_bytes(OTHER)
    assert find() == (SECOND, "cache")
    (places["mirror (XAI_DATA_DIR)"] / FIRST).write_bytes(BODY)
    assert find() == (FIRST, "mirror (XAI_DATA_DIR)")


@pytest.mark.parametrize("body", [b"the wrong weights", b"short"])
def test_a_damaged_file_in_keras_s_cache_is_not_used(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    assert len(b"the wrong weights") == len(BODY)  # so that only the MD5 tells them apart
    (places["Keras's cache"] / FIRST).write_bytes(body)
    with (
        pytest.warns(UserWarning, match=r"first\.h5 in Keras's cache is damaged"),
        pytest.raises(storage.Unavailable, match=r"first\.h5 is damaged: (its MD5|it has 5)"),
    ):
        find()
    (places["cache"] / FIRST).write_bytes(BODY)
    assert find() == (FIRST, "cache")
    (places["cache"] / FIRST).unlink()
    monkeypatch.setenv("XAI_DATA", "real")
    with pytest.raises(storage.DamagedFile, match="XAI_DATA=real accepts no damaged file"):
        find()


def test_a_damaged_file_in_the_mirror_is_an_error(places: dict[str, Path]) -> None:
    (places["mirror (XAI_DATA_DIR)"] / FIRST).write_bytes(b"the wrong weights")
    (places["cache"] / FIRST).write_bytes(BODY)
    with pytest.raises(storage.DamagedFile, match="its MD5 is not the one stated"):
        find()


def test_what_is_missing_is_said_with_size_and_place(places: dict[str, Path]) -> None:
    with pytest.raises(storage.Unavailable) as caught:
        find()
    said = str(caught.value)
    assert "XAI_OFFLINE=1" in said
    for part in ("weights: found nowhere", "imagenet/first.h5 (0 kB; https://nowhere.inv"):
        assert part in said
    assert "the test's second.h5" in said
    assert f"Save it under {storage.cache_folder()}" in said
    assert str(places["Keras's cache"]) in said
    assert said.endswith("each time in the folder imagenet/ there.")
    with pytest.raises(storage.Unavailable, match="no download was allowed"):
        find(download=False)


def test_real_sizes_are_said(nothing_at_hand: None) -> None:
    with pytest.raises(storage.Unavailable, match=r"vgg16\S+\.h5 \(553\.5 MB; https://storage"):
        imagenet.load_imagenet("VGG16")
    with pytest.raises(storage.Unavailable, match=r"squeezenet11.weights.h5 \(5\.0 MB; Squeeze"):
        imagenet.load_imagenet("SqueezeNet")


def test_the_names_of_the_classes_are_missing_with_the_weights_until_they_are_there(
    nothing_at_hand: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    with pytest.raises(storage.Unavailable) as caught:
        imagenet.load_imagenet("ResNet50")
    needed = str(caught.value).splitlines()[-1]
    assert re.search(r"resnet50\S+\.h5 \(103.*; and for the names of the classes imagenet/", needed)
    assert "imagenet_class_index.json (35 kB; https://" in needed
    path = storage.cache_folder() / "imagenet" / "imagenet_class_index.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(storage.Unavailable) as again:
        imagenet.load_imagenet("ResNet50")
    assert "imagenet_class_index" not in str(again.value)


def test_every_file_of_every_network_is_registered() -> None:
    assert set(imagenet.names()) >= {"VGG16", "InceptionV3", "ResNet50", "MobileNetV2"}
    for name in imagenet.names():
        for file in imagenet._ARCHITECTURES[name].files:
            assert f"imagenet/{file}" in REGISTRY
    for file, md5 in _imagenet_files.MD5.items():
        assert REGISTRY[f"imagenet/{file}"].sha256 is None
        assert len(md5) == 32


def test_hashes_and_addresses_are_those_of_keras() -> None:
    folder = Path(keras.__file__).parent / "src" / "applications"
    source = "".join(path.read_text() for path in folder.glob("*.py"))
    for md5 in _imagenet_files.MD5.values():
        assert md5 in source
    own = [e for e in REGISTRY.values() if "Keras's own weights" in e.what]
    assert len(own) == 5
    for e in own:
        assert e.urls[0].startswith("https://storage.googleapis.com/tensorflow/keras-applications/")
        assert e.urls[0].rsplit("/", 1)[1] == e.name.rsplit("/", 1)[1]


def test_names_of_classes(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    index = {str(k): [f"n{k}", f"big_dog_{k}"] for k in range(12)}
    body = json.dumps(index).encode()
    book = entry("imagenet_class_index.json", body, sha256=True)
    monkeypatch.setattr(storage, "load_registry", lambda: {book.name: book})
    assert _imagenet_files.class_names()[10] == "class 10"
    assert "using the classes' numbers" in capsys.readouterr().out
    (places["Keras's cache"] / "imagenet_class_index.json").write_bytes(body)
    assert _imagenet_files.class_names()[10] == "big dog 10"
    (places["Keras's cache"] / "imagenet_class_index.json").unlink()
    monkeypatch.setenv("XAI_DATA", "real")
    with pytest.raises(storage.Unavailable):
        _imagenet_files.class_names()


def test_weights_of_another_network_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_at_hand: None
) -> None:
    functional(gap_layers()).save_weights(tmp_path / "other.weights.h5")
    (tmp_path / "no.weights.h5").write_bytes(b"no HDF5")
    for name in ("other", "no"):
        found = storage.Located(tmp_path / f"{name}.weights.h5", "a test")
        answer = ("squeezenet11.weights.h5", found)
        monkeypatch.setattr(_imagenet_files, "find", lambda *_, _a=answer, **__: _a)
        with pytest.raises(storage.DamagedFile, match="does not fit SqueezeNet"):
            imagenet.load_imagenet("SqueezeNet")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no network 'AlexNet'; known: VGG16, Inception"):
        imagenet.load_imagenet("AlexNet")
    with pytest.raises(ValueError, match=r"no network \['AlexNet'\]"):
        imagenet.best_available(["VGG16", "AlexNet"])
    with pytest.raises(ValueError, match="known"):
        imagenet.best_available([])


# --- which one is at hand ------------------------------------------------------------------------


def test_the_first_at_hand_is_taken_without_a_download(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(name: str, *, download: bool) -> str:
        asked.append((name, download))
        if name != "MobileNet":
            raise storage.Unavailable(name, [], "")
        return name

    monkeypatch.setattr(imagenet, "load_imagenet", load)
    assert imagenet.best_available(["VGG16", "MobileNet", "ResNet50"]) == "MobileNet"
    assert asked == [("VGG16", False), ("MobileNet", False)]
    imagenet.best_available(["MobileNet"], download=True)
    assert asked[-1] == ("MobileNet", True)


@pytest.fixture(scope="module")
def steel() -> Network:
    """The stand-in, made once, without ImageNet weights, on whatever plates are at hand."""
    with pytest.MonkeyPatch.context() as patch:

        def nothing(name: str, **_: object) -> None:
            raise storage.Unavailable(name, ["nowhere"], "")

        patch.setattr(imagenet, "load_imagenet", nothing)
        patch.delenv("XAI_DATA", raising=False)
        return imagenet.best_available(["VGG16", "SqueezeNet"])


def test_the_stand_in_has_the_same_attributes(steel: Network) -> None:
    assert not steel.imagenet
    assert "no ImageNet network" in steel.title
    assert "trained for this course" in steel.title
    assert (steel.size, len(steel.classes), steel.cam_layer) == ((200, 200), 6, "conv4")
    pictures = [steel.picture("dog_and_cat", number) for number in range(7)]
    labels = [p.name.rsplit("_", 1)[0] for p in pictures]
    assert len(set(labels[:6])) == 6
    assert labels[6] == labels[0] and pictures[6].name != pictures[0].name
    x = steel.preprocess(pictures)
    assert (x.shape, x.dtype) == ((7, 200, 200, 1), np.float32)
    assert steel.plates is not None
    plate = steel.plates.find(pictures[3].name)
    np.testing.assert_array_equal(x[3:4], plate.inputs)
    found = steel.decode(scores.logits(steel.model, x), top=1)
    right = [best[0].name == label for best, label in zip(found, labels, strict=True)]
    assert np.mean(right) > 0.5


def test_real_only_refuses_the_stand_in(
    monkeypatch: pytest.MonkeyPatch, nothing_at_hand: None
) -> None:
    monkeypatch.setenv("XAI_DATA", "real")
    with pytest.raises(storage.Unavailable, match=r"VGG16 or SqueezeNet(.|\n)*load_imagenet\('VGG"):
        imagenet.best_available(["VGG16", "SqueezeNet"])


def test_what_is_used_instead_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], nothing_at_hand: None
) -> None:
    monkeypatch.setattr(imagenet, "_steel_network", lambda name: name)
    assert imagenet.best_available(["VGG16"], stand_in="neu_flat") == "neu_flat"
    said = capsys.readouterr().out
    assert said.startswith("No ImageNet weights of VGG16 are at hand; using the course's own steel")
    assert said.count("\n") == 1


# --- preprocessing and names ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain() -> Network:
    return Network(
        name="plain",
        model=None,
        size=(4, 6),
        classes=tuple("abcdef"),
        cam_layer="",
        weights="none",
        source="a test",
        scaling=Scaling(mean=(0.5, 0.25, 0.0), sd=(0.5, 0.25, 1.0)),
    )


PHOTO = np.random.default_rng(1).integers(0, 256, (8, 12, 3), np.uint8)
MODULES = {"VGG16": "vgg16", "InceptionV3": "inception_v3", "ResNet50": "resnet50"} | {
    "MobileNetV2": "mobilenet_v2",
    "MobileNet": "mobilenet",
}


@pytest.mark.parametrize("name", MODULES)
def test_preprocessing_is_keras_s_and_can_be_undone(name: str) -> None:
    architecture = imagenet._ARCHITECTURES[name]
    expected = getattr(keras.applications, MODULES[name]).preprocess_input(
        PHOTO[None].astype(np.float32)
    )
    x = architecture.scaling.apply(PHOTO[None])
    np.testing.assert_allclose(x, expected, atol=1e-4)
    np.testing.assert_allclose(architecture.scaling.undo(x), PHOTO[None] / 255, atol=1e-6)


def test_preprocessing_by_hand(plain: Network) -> None:
    x = plain.preprocess(np.full((3, 3, 3), [255, 0, 51], np.uint8))
    assert (x.shape, x.dtype) == ((1, 4, 6, 3), np.float32)
    np.testing.assert_allclose(x[0, 1, 2], [1, -1, 0.2], atol=1e-6)
    np.testing.assert_allclose(plain.restore(x)[0, 1, 2], [1, 0, 0.2], atol=1e-6)
    assert plain.restore(10 * x).max() == 1
    squeezenet_s = imagenet._ARCHITECTURES["SqueezeNet"].scaling.apply(PHOTO[None])
    expected = (PHOTO / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(squeezenet_s[0], expected, atol=1e-6)


def test_the_whole_picture_is_resized_bilinearly(plain: Network) -> None:
    ramp = np.repeat(np.linspace(0, 250, 12).astype(np.uint8)[None, :, None], 3, -1)
    small = plain.resized(np.tile(ramp, (8, 1, 1)))[0]
    assert small.shape == (4, 6, 3)
    assert (np.diff(small[0, :, 0].astype(int)) > 30).all()  # whole width, left to right
    stripes = np.zeros((8, 12, 3), np.uint8)
    stripes[:, ::2] = 200  # finer than the small picture can show: no pixel may be skipped
    np.testing.assert_allclose(plain.resized(stripes)[0, :, 1:-1], 100, atol=1)
    np.testing.assert_array_equal(plain.resized(plain.resized(PHOTO)), plain.resized(PHOTO))


def test_one_photo_many_or_a_batch(plain: Network, tmp_path: Path) -> None:
    one = plain.preprocess(load_photo(PHOTO))
    many = plain.preprocess([PHOTO, load_photo(PHOTO), PHOTO / 255])
    assert many.shape == (3, 4, 6, 3)
    np.testing.assert_array_equal(many, np.repeat(one, 3, axis=0))
    np.testing.assert_array_equal(plain.preprocess(np.stack([PHOTO] * 3)), many)
    for none in ([], PHOTO[None][:0]):
        with pytest.raises(ValueError, match="no photos"):
            plain.preprocess(none)
    with pytest.raises(FileNotFoundError):
        plain.preprocess(str(tmp_path / "gone.png"))


def test_the_best_classes_by_name(plain: Network) -> None:
    found = plain.decode([[0.0, 3.0, 1.0, -1.0, 3.0, 2.0]], top=3)
    assert found == [[(1, "b", 3.0), (4, "e", 3.0), (5, "f", 2.0)]]
    assert len(plain.decode(np.zeros((2, 6)))[1]) == 5
    for wrong in (np.zeros(6), np.zeros((1, 5))):
        with pytest.raises(ValueError, match=r"expected \(N, 6\)"):
            plain.decode(wrong)
    with pytest.raises(ValueError, match="expected 1 to 6"):
        plain.decode(np.zeros((1, 6)), top=7)


def test_a_network_cannot_be_changed(plain: Network) -> None:
    with pytest.raises(FrozenInstanceError):
        plain.size = (1, 1)  # type: ignore[misc]
    assert replace(plain, weights="others").title == "plain (others)"


# --- which tensor --------------------------------------------------------------------------------


def test_which_layer_a_map_is_read_from() -> None:
    assert imagenet.cam_layer(functional(gap_layers())) == "conv2"
    parts = [layers.Conv2D(2, 3, name="spatial"), layers.MaxPooling2D(6, name="pool")]
    parts += [layers.Conv2D(3, 1, name="conv_preds"), layers.Flatten()]
    assert imagenet.cam_layer(functional(parts)) == "spatial"
    with pytest.raises(ValueError, match="no convolution"):
        imagenet.cam_layer(functional([layers.Flatten(), layers.Dense(2)]))


def test_squeezenet_is_built_as_published() -> None:
    model = squeezenet()
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    assert [c.name for c in convolutions] == [f"conv{k}" for k in range(26)]
    assert model.count_params() == 1_235_496
    assert tuple(convolutions[0].output.shape[1:]) == (111, 111, 64)
    assert tuple(convolutions[-1].output.shape[1:]) == (13, 13, 1000)
    assert [c.kernel_size[0] for c in convolutions[:4]] == [3, 1, 1, 3]
    assert imagenet.cam_layer(model) == "conv25"


@pytest.mark.skipif("XAI_DATA_DIR" not in os.environ, reason="NOT TESTED: XAI_DATA_DIR is not set")
def test_the_mirror_s_networks_say_which_weights_they_have() -> None:
    net = imagenet.best_available(["MobileNetV2", "VGG16"])
    if "mirror" not in net.source or "8-bit" not in net.weights:
        pytest.skip("NOT TESTED: MobileNetV2 comes from elsewhere than the mirror's 8-bit file")
    assert net.title == "MobileNetV2 (8-bit ImageNet weights)"
    assert (net.classes[239], net.classes[285]) == ("Bernese mountain dog", "Egyptian cat")
    assert net.cam_layer == "out_relu"
