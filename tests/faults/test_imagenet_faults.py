"""Weights that are missing, damaged on their way, or must not be fetched."""

from __future__ import annotations

import hashlib
import random
import warnings
from pathlib import Path

import pytest

from xai_utils import _imagenet_files, imagenet, storage

FILE = "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
NAME = f"imagenet/{FILE}"
BODY = random.Random(0).randbytes(300_000)


@pytest.fixture(autouse=True)
def keras_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(_imagenet_files, "MD5", {FILE: hashlib.md5(BODY).hexdigest()})


def offer(site, monkeypatch: pytest.MonkeyPatch, *manners: str) -> None:
    """Let the site on loopback serve the weights, well or badly."""
    site.files[NAME] = BODY
    urls = tuple(site.url(manner, NAME) for manner in manners)
    book = storage.Entry(NAME, None, len(BODY), urls, "none", "a test", len(BODY))
    monkeypatch.setattr(storage, "load_registry", lambda: {NAME: book})


def find(download: bool = True) -> storage.Located:
    return _imagenet_files.find("weights of VGG16", [FILE], download=download)[1]


def left() -> list[str]:
    return sorted(p.name for p in storage.cache_folder().rglob("*") if p.is_file())


def test_a_download_is_checked_kept_and_found_again(site, monkeypatch) -> None:
    offer(site, monkeypatch, "good")
    assert find().source == "download"
    again = find(download=False)
    assert (again.source, again.path.read_bytes()) == ("cache", BODY)
    assert len(site.asked) == 1


@pytest.mark.fault(
    "Models: files",
    "Weights of ImageNet that are damaged on their way",
    sees="a warning: … sent a damaged …: …, then `Unavailable` with the file's name, "
    "size, address and place",
    kept="nothing of it stays in the cache",
    guard=(
        "xai_utils/_imagenet_files.py",
        (
            "            if expected is not None and pooch.file_hash(str(path), "
            "alg=algorithm) != expected:"
        ),
        "            if False:",
    ),
)
@pytest.mark.parametrize(
    ("manner", "reason"), [("wrong", "MD5"), ("truncated", "broken off"), ("page", "bytes")]
)
def test_a_damaged_download_is_refused_and_leaves_nothing(
    site, monkeypatch, manner: str, reason: str
) -> None:
    offer(site, monkeypatch, manner)
    with (
        pytest.warns(UserWarning, match=f"damaged {NAME}"),
        pytest.raises(storage.Unavailable, match=reason),
    ):
        find()
    assert left() == []


def test_no_download_unless_it_is_allowed(site, monkeypatch) -> None:
    offer(site, monkeypatch, "good")
    with pytest.raises(storage.Unavailable, match="no download was allowed"):
        find(download=False)
    monkeypatch.setenv("XAI_OFFLINE", "1")
    with pytest.raises(storage.Unavailable, match="XAI_OFFLINE=1"):
        find()
    monkeypatch.setattr(imagenet, "_steel_network", lambda name: name)
    monkeypatch.delenv("XAI_OFFLINE")
    assert imagenet.best_available(["VGG16"]) == "neu_gap"
    assert site.asked == []


def test_a_damaged_cache_is_fetched_again(site, monkeypatch) -> None:
    offer(site, monkeypatch, "good")
    path = storage.cache_folder() / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY[:-1] + b"?")
    with pytest.warns(UserWarning, match="in the cache is damaged"):
        assert find().source == "download"
    assert path.read_bytes() == BODY
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find().source == "cache"


@pytest.mark.fault(
    "Models: files",
    "Weights of ImageNet whose hash is right and that do not fit the network",
    sees="`DamagedFile`: … does not fit VGG16: …; remove it and fetch it again",
    kept="no network with some of its weights",
    guard=(
        "xai_utils/imagenet.py",
        "    except (ValueError, OSError, LookupError) as error:",
        "    except ZeroDivisionError as error:",
    ),
)
def test_weights_of_the_right_hash_that_do_not_fit_are_refused(site, monkeypatch) -> None:
    """What the test's registry calls VGG16 is noise: the hash is right, the file is no HDF5."""
    offer(site, monkeypatch, "good")
    architecture = imagenet._ARCHITECTURES["SqueezeNet"]._replace(files={FILE: "noise"})
    monkeypatch.setattr(imagenet, "_ARCHITECTURES", {"VGG16": architecture})
    with pytest.raises(storage.DamagedFile, match=r"does not fit VGG16.*fetch it again"):
        imagenet.load_imagenet("VGG16")
