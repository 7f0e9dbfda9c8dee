"""Maps of a dataset, chunk by chunk in this process: equal to the plain call, whole, resumed."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from PIL import Image

from networks import functional, gap_layers, keras, seeded
from xai_utils import _chunk_job
from xai_utils._kept import digest
from xai_utils._networks import Scaling
from xai_utils.cam import grad_cam, layer_cam
from xai_utils.distributed import (
    BadImages,
    ImageFolder,
    OtherStore,
    StoreInUse,
    explain_dataset,
    maps,
    provenance,
    unit_range,
)
from xai_utils.gradients import integrated_gradients, saliency, smooth_grad
from xai_utils.perturbation import occlusion, rise
from xai_utils.scoreboard import course_methods

N, BATCH, CHUNK = 21, 4, 8
batched = functools.partial(grad_cam, batch_size=BATCH)


@pytest.fixture
def many() -> np.ndarray:
    """21 seeded 8x8 pictures: two chunks of 8, and one of 5 whose last batch is one image."""
    return np.random.default_rng(11).random((N, 8, 8, 1), dtype=np.float32)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a store, byte by byte."""
    found = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


_calls: list[int] = []


# --- equal to the plain call ---------------------------------------------------------------------

WHOLE = {
    "saliency": functools.partial(saliency, batch_size=BATCH),
    "Grad-CAM": batched,
    "a layer": functools.partial(grad_cam, layer="conv1", batch_size=BATCH),
    "integrated gradients": functools.partial(integrated_gradients, steps=7, batch_size=BATCH),
    "occlusion": functools.partial(occlusion, patch=3, stride=2, batch_size=BATCH),
    "RISE": functools.partial(rise, masks=9, batch_size=BATCH),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("total", [N, 2 * CHUNK, CHUNK + 1, 3], ids=lambda n: f"{n} images")
def test_every_bit_is_the_plain_calls(
    gap: Any, many: np.ndarray, tmp_path: Path, name: str, total: int
) -> None:
    method, images = WHOLE[name], many[:total]
    done = explain_dataset(method, gap, images, tmp_path / "maps", chunk=CHUNK)
    np.testing.assert_array_equal(maps(tmp_path / "maps")[:], method(gap, images))
    assert (done.images, done.computed, done.kept, done.damaged) == (total, total, 0, 0)


def test_by_default_a_chunk_is_four_of_the_engines_batches(gap: Any, tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((64 * 4 + 3, 8, 8, 1), dtype=np.float32)
    explain_dataset(saliency, gap, images, tmp_path / "maps")
    assert maps(tmp_path / "maps").chunks == (256, 8, 8, 1)
    np.testing.assert_array_equal(maps(tmp_path / "maps")[:], saliency(gap, images))


@pytest.mark.filterwarnings("ignore:.*zero everywhere")
def test_the_courses_methods(gap: Any, many: np.ndarray, tmp_path: Path) -> None:
    """Those that are not slow, at the engine's own batches; one draws image after image."""
    images = np.concatenate([many, many[::-1], many, many])[: 64 + 9]
    target = np.arange(len(images)) % 3
    differ = set()
    quick = {n: m for n, m in course_methods(gap, many[:4]).items() if m.images is None}
    assert len(quick) > 20
    for k, (name, method) in enumerate(quick.items()):
        explain_dataset(method.explain, gap, images, tmp_path / str(k), target, chunk=64)
        plain = np.asarray(method.explain(gap, images, target), np.float32)
        if not np.array_equal(maps(tmp_path / str(k))[:], plain):
            differ.add(name)
    assert differ == {"SmoothGrad"}


def test_what_is_drawn_image_after_image_begins_anew_with_each_chunk(
    gap: Any, many: np.ndarray, tmp_path: Path
) -> None:
    method = functools.partial(smooth_grad, samples=3, batch_size=BATCH)
    explain_dataset(method, gap, many, tmp_path / "maps", chunk=CHUNK)
    chunks = [method(gap, many[k : k + CHUNK]) for k in range(0, N, CHUNK)]
    np.testing.assert_array_equal(maps(tmp_path / "maps")[:], np.concatenate(chunks))


@pytest.mark.parametrize("target", [1, np.arange(N) % 3], ids=["one class", "one each"])
def test_targets(gap: Any, many: np.ndarray, tmp_path: Path, target: Any) -> None:
    explain_dataset(batched, gap, many, tmp_path / "maps", target, chunk=CHUNK)
    found = maps(tmp_path / "maps")[:]
    np.testing.assert_array_equal(found, batched(gap, many, target))
    assert not np.array_equal(found, batched(gap, many))


def test_a_callable_is_explained_without_keras(many: np.ndarray, tmp_path: Path) -> None:
    method = functools.partial(occlusion, patch=3, stride=2)
    explain_dataset(method, _brightness, many, tmp_path / "maps", 0)
    np.testing.assert_array_equal(maps(tmp_path / "maps")[:], method(_brightness, many, 0))


def _brightness(images: np.ndarray) -> np.ndarray:
    return np.stack([images.mean(axis=(1, 2, 3)), -images.mean(axis=(1, 2, 3))], axis=1)


def test_half_precision(gap: Any, many: np.ndarray, tmp_path: Path) -> None:
    explain_dataset(batched, gap, many, tmp_path / "maps", dtype="float16", chunk=CHUNK)
    found = maps(tmp_path / "maps")
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found[:], batched(gap, many).astype(np.float16))
    with pytest.raises(ValueError, match="which float16 does not hold: dtype='float32'"):
        explain_dataset(_huge, gap, many, tmp_path / "huge", dtype="float16")


def _huge(model: Any, images: Any, target: Any) -> np.ndarray:
    return np.full(images.shape[:3], 1e6, np.float32)


# --- where images come from ----------------------------------------------------------------------


def _pictures(folder: Path) -> np.ndarray:
    """The 21 pictures as PNG files, and their pixels."""
    pixels = np.random.default_rng(5).integers(0, 256, (N, 8, 8), np.uint8)
    for k, picture in enumerate(pixels):
        place = folder / ("a" if k < 10 else "b") / f"{k:02d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place)
    (folder / "notes.txt").write_text("no picture")
    return pixels[..., None]


@pytest.mark.parametrize("kind", ["array", "zarr", "zarr path", "zarr group", "hdf5", "folder"])
def test_one_store_whatever_the_images_come_from(gap: Any, tmp_path: Path, kind: str) -> None:
    pixels = _pictures(tmp_path / "pictures")
    given: Any = pixels
    if kind.startswith("zarr"):
        place = tmp_path / "given.zarr" / ("inside" if kind == "zarr group" else "")
        given = zarr.create_array(place, data=pixels, chunks=(5, 8, 8, 1))
        given = place if kind == "zarr path" else given
    if kind == "hdf5":
        with h5py.File(tmp_path / "given.h5", "w") as file:
            file["group/plates"] = pixels
        given = h5py.File(tmp_path / "given.h5", "r")["group/plates"]
    if kind == "folder":
        given = tmp_path / "pictures"
    out, by_array = tmp_path / "maps", tmp_path / "of the array"
    explain_dataset(batched, gap, given, out, prepare=unit_range, chunk=CHUNK)
    plain = batched(gap, pixels.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(maps(out)[:], plain)
    explain_dataset(batched, gap, pixels, by_array, prepare=unit_range, chunk=CHUNK)
    one, other = tree(out), tree(by_array)
    if kind == "folder":  # the names are part of what the maps are of
        del one["zarr.json"], other["zarr.json"]
    assert one == other


def test_colour_files_and_a_networks_own_scale(tmp_path: Path) -> None:
    model = seeded(functional(gap_layers(), (8, 8, 3)))
    pixels = np.random.default_rng(5).integers(0, 256, (5, 8, 8, 3), np.uint8)
    for k, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / f"{k}.png")
    scaling = Scaling(mean=(0.5, 0.4, 0.3), sd=(0.2, 0.2, 0.2), bgr=True)
    explain_dataset(grad_cam, model, tmp_path, tmp_path / "maps", prepare=scaling.apply)
    plain = grad_cam(model, scaling.apply(pixels))
    np.testing.assert_array_equal(maps(tmp_path / "maps")[:], plain)


def test_a_folder_by_hand_and_a_network_of_any_size(tmp_path: Path) -> None:
    model = seeded(functional(gap_layers(), (None, None, 1)))
    pixels = _pictures(tmp_path / "pictures")
    folder = ImageFolder(tmp_path / "pictures" / "b", "L")
    explain_dataset(grad_cam, model, folder, tmp_path / "maps", prepare=unit_range)
    assert folder.names[0] == "10.png" and len(folder) == 11
    np.testing.assert_array_equal(maps(tmp_path / "maps")[:], grad_cam(model, pixels[10:] / 255.0))


# --- images that cannot be explained -------------------------------------------------------------


def _spoilt(folder: Path) -> None:
    (folder / "a" / "03.png").write_bytes((folder / "a" / "03.png").read_bytes()[:60])
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(folder / "b" / "12.png")
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(folder / "b" / "20.png")


def test_a_corrupt_image_is_named(gap: Any, tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "maps"
    _pictures(folder)
    _spoilt(folder)
    with pytest.raises(BadImages, match=r"1 image\(s\) cannot be explained: a/03\.png \(") as told:
        explain_dataset(batched, gap, folder, out, prepare=unit_range, chunk=CHUNK)
    assert told.value.images[0][:2] == (3, "a/03.png")
    assert "0 of 3 chunks are kept" in told.value.__notes__[0]
    assert not (out / "complete.json").exists()


def test_corrupt_images_are_skipped_counted_and_change_no_other(gap: Any, tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "maps"
    pixels = _pictures(folder)
    _spoilt(folder)
    with pytest.warns(UserWarning, match=r"3 are NaN .* \(first: a/03\.png, "):
        done = explain_dataset(
            batched, gap, folder, out, prepare=unit_range, chunk=CHUNK, on_bad="skip"
        )
    assert [(n, name) for n, name, _ in done.skipped] == [
        (3, "a/03.png"), (12, "b/12.png"), (20, "b/20.png")
    ]  # fmt: skip
    assert "(9, 8, 1); expected (8, 8, 1)" in done.skipped[1][2]
    assert "pixels of kind I;16" in done.skipped[2][2]
    found, bad = maps(out)[:], [3, 12, 20]
    assert np.isnan(found[bad]).all()
    plain = batched(gap, pixels / np.float32(255))
    np.testing.assert_array_equal(np.delete(found, bad, 0), np.delete(plain, bad, 0))
    with pytest.raises(BadImages, match=r"a/03\.png"):  # the store is no way round the choice
        explain_dataset(batched, gap, folder, out, prepare=unit_range, chunk=CHUNK)
    with pytest.warns(UserWarning, match="3 are NaN"):
        again = explain_dataset(
            batched, gap, folder, out, prepare=unit_range, chunk=CHUNK, on_bad="skip"
        )
    assert (again.kept, again.skipped) == (N, done.skipped)


def test_not_a_number_in_an_array(gap: Any, many: np.ndarray, tmp_path: Path) -> None:
    spoilt = many.copy()
    spoilt[0, 2, 2] = np.nan
    spoilt[8:16, 0, 0] = np.inf  # a whole chunk
    with pytest.raises(BadImages, match=r"image 0 \(NaN or infinity"):
        explain_dataset(batched, gap, spoilt, tmp_path / "raise", chunk=CHUNK)
    with pytest.warns(UserWarning, match="9 are NaN"):
        done = explain_dataset(batched, gap, spoilt, tmp_path / "maps", chunk=CHUNK, on_bad="skip")
    found, bad = maps(tmp_path / "maps")[:], [0, *range(8, 16)]
    assert [n for n, *_ in done.skipped] == bad and np.isnan(found[bad]).all()
    np.testing.assert_array_equal(np.delete(found, bad, 0), np.delete(batched(gap, many), bad, 0))


def test_a_damaged_block_of_the_given_store_is_told_image_by_image(
    gap: Any, many: np.ndarray, tmp_path: Path
) -> None:
    crc = zarr.codecs.Crc32cCodec()
    given = zarr.create_array(tmp_path / "z", data=many, chunks=(3, 8, 8, 1), compressors=[crc])
    block = tmp_path / "z" / "c" / "3" / "0" / "0" / "0"  # images 9, 10, 11
    block.write_bytes(block.read_bytes()[:-1] + b"?")
    with pytest.warns(UserWarning, match="3 are NaN"):
        done = explain_dataset(batched, gap, given, tmp_path / "maps", chunk=CHUNK, on_bad="skip")
    assert [n for n, *_ in done.skipped] == [9, 10, 11]


def test_maps_that_are_zero_everywhere_are_counted(
    gap: Any, many: np.ndarray, tmp_path: Path
) -> None:
    with pytest.warns(UserWarning, match="21 of 21 maps are zero everywhere"):
        done = explain_dataset(_nothing, gap, many, tmp_path / "maps")
    assert done.empty == N and not maps(tmp_path / "maps")[:].any()


def _nothing(model: Any, images: Any, target: Any) -> np.ndarray:
    return np.zeros(images.shape[:3], np.float32)


# --- stopped, and gone on ------------------------------------------------------------------------


class Stop(Exception):
    """What stops a run in these tests."""


def _stops(model: Any, images: Any, target: Any, batch_size: int) -> np.ndarray:
    """Grad-CAM that fails after so many calls (the first is for one image only)."""
    _calls.append(len(images))
    if len(_calls) > int(os.environ.get("STOP_AFTER", 99)):
        raise Stop
    return grad_cam(model, images, target, batch_size=batch_size)


def test_a_run_that_stopped_goes_on_where_it_was(
    gap: Any, many: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = functools.partial(_stops, batch_size=BATCH)
    explain_dataset(stops, gap, many, tmp_path / "undisturbed", chunk=CHUNK)
    _calls.clear()
    monkeypatch.setenv("STOP_AFTER", "3")
    with pytest.raises(Stop) as told:
        explain_dataset(stops, gap, many, tmp_path / "maps", chunk=CHUNK)
    assert told.value.__notes__ == [f"2 of 3 chunks are kept in {tmp_path}/maps; call again."]
    assert np.isnan(maps(tmp_path / "maps")[16:]).all()  # not computed yet is not zero
    monkeypatch.delenv("STOP_AFTER")
    _calls.clear()
    done = explain_dataset(stops, gap, many, tmp_path / "maps", chunk=CHUNK)
    assert (done.kept, done.computed) == (16, 5)
    assert _calls == [1, 5]  # the look at one image, and the chunk that was missing
    assert tree(tmp_path / "maps") == tree(tmp_path / "undisturbed")


DAMAGE = {
    "a byte of a chunk": lambda s: _overwrite(s / "c/1/0/0", -9),
    "half a chunk": lambda s: (s / "c/1/0/0").write_bytes((s / "c/1/0/0").read_bytes()[:30]),
    "an empty chunk": lambda s: (s / "c/1/0/0").write_bytes(b""),
    "no chunk": lambda s: (s / "c/1/0/0").unlink(),
    "another sound chunk": lambda s: (s / "c/1/0/0").write_bytes((s / "c/0/0/0").read_bytes()),
    "half a record": lambda s: (s / "records/000001.json").write_text('{"images": [8, 1'),
    "no record": lambda s: (s / "records/000001.json").unlink(),
    "another record": lambda s: (s / "records/000001.json").write_bytes(
        (s / "records/000000.json").read_bytes()
    ),
    "the last chunk": lambda s: _overwrite(s / "c/2/0/0", -9),
}


def _overwrite(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_chunk_is_computed_again_and_no_other(
    gap: Any, many: np.ndarray, tmp_path: Path, damage: str
) -> None:
    explain_dataset(batched, gap, many, tmp_path / "maps", chunk=CHUNK)
    whole = tree(tmp_path / "maps")
    DAMAGE[damage](tmp_path / "maps")
    assert tree(tmp_path / "maps") != whole
    done = explain_dataset(batched, gap, many, tmp_path / "maps", chunk=CHUNK)
    size = 5 if damage == "the last chunk" else CHUNK
    assert (done.computed, done.kept) == (size, N - size)
    assert done.damaged == ("record" not in damage or damage == "another record")
    assert tree(tmp_path / "maps") == whole


def test_what_a_killed_process_left_is_swept(gap: Any, many: np.ndarray, tmp_path: Path) -> None:
    store = tmp_path / "maps"
    explain_dataset(batched, gap, many, store, chunk=CHUNK)
    whole = tree(store)
    for left in ("c/1/0/0.12ab.partial", "records/.000001.json.77-12ab.part", ".lock"):
        (store / left).write_bytes(b"half")
    explain_dataset(batched, gap, many, store, chunk=CHUNK)
    assert tree(store) == whole


def test_a_reader_of_a_damaged_chunk_gets_an_error(
    gap: Any, many: np.ndarray, tmp_path: Path
) -> None:
    explain_dataset(batched, gap, many, tmp_path / "maps", chunk=CHUNK)
    _overwrite(tmp_path / "maps/c/1/0/0", 20)
    with pytest.raises(ValueError, match=r"(?i)checksum|crc"):
        maps(tmp_path / "maps")[8:16]


# --- one store, one run, one question ------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"method": functools.partial(grad_cam, batch_size=BATCH, layer="conv1")}, "method"),
        ({"method": functools.partial(layer_cam, batch_size=BATCH)}, "method"),
        ({"model": "another"}, "model"),
        ({"target": 2}, "target"),
        ({"dtype": "float16"}, "dtype"),
        ({"chunk": 12}, "chunk"),
        ({"prepare": lambda x: x / 2}, "preparation"),
        ({"images": "fewer"}, "images"),
        ({"images": "one pixel"}, "of other images: chunk 1 .from image 8 on"),
    ],
)
def test_another_question_is_refused_and_nothing_is_touched(
    gap: Any, many: np.ndarray, tmp_path: Path, changed: dict[str, Any], named: str
) -> None:
    asked = {"method": batched, "model": gap, "images": many, "target": None, "chunk": CHUNK}
    explain_dataset(**asked, out=tmp_path / "maps")
    (tmp_path / "maps/records/000002.json").unlink()  # something is left to be computed
    before = tree(tmp_path / "maps")
    other = many.copy()
    other[10, 3, 3] += 0.01
    if "model" in changed:
        changed = {"model": seeded(functional(gap_layers()), 9)}
    if "images" in changed:
        changed = {"images": many[:-1] if changed["images"] == "fewer" else other}
    with pytest.raises(OtherStore, match=named):
        explain_dataset(**(asked | changed), out=tmp_path / "maps")
    assert tree(tmp_path / "maps") == before


def test_the_same_model_from_its_file_is_the_same(
    gap: Any, many: np.ndarray, tmp_path: Path
) -> None:
    explain_dataset(batched, gap, many, tmp_path / "maps", chunk=CHUNK)
    gap.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert explain_dataset(batched, loaded, many, tmp_path / "maps", chunk=CHUNK).kept == N


def test_other_versions_are_refused(
    gap: Any, many: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explain_dataset(batched, gap, many, tmp_path / "maps", chunk=CHUNK)
    older = _chunk_job.versions() | {"xai_utils": "0.0.9"}
    monkeypatch.setattr("xai_utils._dataset_job.versions", lambda: older)
    with pytest.raises(OtherStore, match="another software"):
        explain_dataset(batched, gap, many, tmp_path / "maps", chunk=CHUNK)
    with pytest.raises(RuntimeError, match=r"a worker has .*, the client .*0\.0\.9"):
        explain_dataset(batched, gap, many, tmp_path / "by an older client", chunk=CHUNK)


def test_a_folder_of_something_else_is_left_alone(
    gap: Any, many: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OtherStore, match=r"holds thesis\.txt, and no maps"):
        explain_dataset(batched, gap, many, tmp_path)
    assert list(tree(tmp_path)) == ["thesis.txt"]
    zarr.create_array(tmp_path / "z", data=many)
    with pytest.raises(OtherStore, match="no store of maps"):
        explain_dataset(batched, gap, many, tmp_path / "z")
    for reader in (maps, provenance):
        with pytest.raises(OtherStore, match="no store of maps"):
            reader(tmp_path / "nowhere")


def test_a_second_run_at_the_same_time_is_refused(
    gap: Any, many: np.ndarray, tmp_path: Path
) -> None:
    asked = functools.partial(_asks_for_the_store, out=str(tmp_path / "maps"))
    _told.clear()
    explain_dataset(asked, gap, many, tmp_path / "maps")
    told = set(_told)
    assert len(told) == 1 and "wait for it, or name another store" in told.pop()
    assert not (tmp_path / "maps/.lock").exists()


_told: list[str] = []


def _asks_for_the_store(model: Any, images: Any, target: Any, out: str) -> Any:
    if len(images) > 1:
        with pytest.raises(StoreInUse, match=f"written by process {os.getpid()} on ") as error:
            explain_dataset(batched, model, images, out)
        _told.append(str(error.value))
    return batched(model, images, target)


HOLDS = """
import pathlib, sys
from xai_utils._map_store import MapStore
with MapStore(pathlib.Path(sys.argv[1])).alone():
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_a_killed_run_holds_nothing(gap: Any, many: np.ndarray, tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS, str(tmp_path / "maps")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"mine\n"
        with pytest.raises(StoreInUse, match=f"process {holder.pid}"):
            explain_dataset(batched, gap, many, tmp_path / "maps")
        holder.kill()
    assert explain_dataset(batched, gap, many, tmp_path / "maps").computed == N


# --- what a store says, and errors at once -------------------------------------------------------


def test_a_store_says_of_what_it_is(gap: Any, many: np.ndarray, tmp_path: Path) -> None:
    method = functools.partial(integrated_gradients, steps=4, baseline=many[0])
    done = explain_dataset(method, gap, many, tmp_path / "maps", 1)
    about = provenance(tmp_path / "maps")
    assert about["method"] == "xai_utils.gradients.integrated_gradients"
    assert about["options"] == {"steps": 4, "baseline": f"ndarray {digest(many[0])[:16]}"}
    assert about["images"] == [N, 8, 8, 1] and about["fingerprints"]["model"] == digest(gap)
    whole = json.loads((tmp_path / "maps/complete.json").read_text())
    assert (whole["images"], whole["skipped"]) == (N, []) and len(whole["inputs"]) == 64
    assert done.path == tmp_path / "maps" and done.seconds["compute"] > 0


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"chunk": 6}, ValueError, "chunk 6; the method computes 4 images at once"),
        ({"chunk": 0}, ValueError, "chunk 0; expected a whole number"),
        ({"dtype": "float64"}, ValueError, "dtype 'float64'; expected 'float16' or 'float32'"),
        ({"on_bad": "ignore"}, ValueError, "on_bad 'ignore'"),
        ({"target": [0, 1]}, ValueError, r"target of shape \(2,\); expected one int or \(21,\)"),
        ({"target": 7}, ValueError, "target .7. out of range"),
        ({"images": np.zeros((3, 8, 8, 1), np.uint8)}, ValueError, "pass prepare="),
        ({"images": np.zeros((3, 8, 8), np.float32)}, ValueError, r"expected \(N, H, W, C\)"),
        ({"images": np.zeros((0, 8, 8, 1), np.float32)}, ValueError, "no images"),
        ({"images": np.zeros((3, 9, 8, 1), np.float32)}, ValueError, "this model expects"),
        ({"images": {"a": 1}}, TypeError, "images of type dict; expected an array, a Zarr"),
        ({"images": "/nowhere/at/all"}, ValueError, "neither a Zarr array nor a folder"),
        ({"method": lambda m, x, t: (x, x)}, ValueError, "expected one array with a map each"),
        ({"method": functools.partial(grad_cam, layer="no")}, ValueError, "no"),
        ({"client": "tcp://there:8786"}, TypeError, "client of type str; expected a dask"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(
    gap: Any,
    many: np.ndarray,
    tmp_path: Path,
    changed: dict[str, Any],
    error: type[Exception],
    said: str,
) -> None:
    asked: dict[str, Any] = {"method": batched, "model": gap, "images": many}
    with pytest.raises(error, match=said):
        explain_dataset(**(asked | changed), out=tmp_path / "maps")
    assert not (tmp_path / "maps").exists()


def test_an_empty_folder_and_a_store_in_memory(gap: Any, many: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pictures in"):
        explain_dataset(batched, gap, tmp_path, tmp_path / "maps")
    with pytest.raises(ValueError, match=r"MemoryStore, which no other process can open"):
        explain_dataset(batched, gap, zarr.array(many), tmp_path / "maps")


def test_a_map_of_another_shape_is_refused(gap: Any, many: np.ndarray, tmp_path: Path) -> None:
    grows = functools.partial(_grows, batch_size=BATCH)
    with pytest.raises(ValueError, match=r"gives \(8, 8\) for images 0 to 7"):
        explain_dataset(grows, gap, many, tmp_path / "maps", chunk=CHUNK)


def _grows(model: Any, images: Any, target: Any, batch_size: int) -> Any:
    return np.ones((len(images), len(images)), np.float32)


WITHOUT = """
import sys
sys.modules[{missing!r}] = None
import numpy as np
from xai_utils import distributed
try:
    distributed.explain_dataset(lambda m, x, t: x, len, np.ones((2, 4, 4, 1), np.float32),
                                {out!r}, client={client})
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(("missing", "client"), [("zarr", None), ("distributed", "object()")])
def test_without_the_extra_the_error_says_so(
    tmp_path: Path, missing: str, client: str | None
) -> None:
    code = WITHOUT.format(missing=missing, out=str(tmp_path / "maps"), client=client)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install -e ".[scale]"' in done.stdout


def test_a_bound_method_is_known_by_its_owner() -> None:
    one, other = Scaling(sd=(0.1, 0.1, 0.1)), Scaling(sd=(0.2, 0.2, 0.2))
    assert digest(one.apply) == digest(Scaling(sd=(0.1, 0.1, 0.1)).apply) != digest(other.apply)
