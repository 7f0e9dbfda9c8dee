"""What comes in with the packages, and that nothing goes out: licences, and no network."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import course
import licences
from tools import audit

# No name is looked up and no connection made: whoever tries is told on.
BLOCKED = """
import socket, sys
def tell(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.sendmsg",
                 "socket.gethostbyname", "urllib.Request"):
        sys.stderr.write(f"NETWORK: {event} {arguments}\\n")
        raise OSError(f"no network here: {event}")
sys.addaudithook(tell)
"""


def isolated(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, without network, cache, mirror and home."""
    kept = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "TMPDIR")
    own = {name: os.environ[name] for name in kept if name in os.environ}
    own |= {"HOME": str(folder), "XAI_CACHE_DIR": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + code, *arguments],
        cwd=course.ROOT, env=own, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_block_is_noticed(tmp_path: Path) -> None:
    done = isolated("import urllib.request as u; u.urlopen('http://127.0.0.1:9')", tmp_path)
    assert done.returncode == 1
    assert "NETWORK: " in done.stderr


def test_no_import_asks_the_network(tmp_path: Path) -> None:
    code = """
import importlib, pkgutil, xai_utils
for module in pkgutil.iter_modules(xai_utils.__path__):
    if module.name != "__main__":
        importlib.import_module(f"xai_utils.{module.name}")
"""
    done = isolated(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "NETWORK" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_explaining_a_photo_asks_the_network_nothing_and_leaves_it_where_it_is(
    tmp_path: Path,
) -> None:
    from PIL import Image

    import networks

    home = tmp_path / "home"
    home.mkdir()
    photo, model = tmp_path / "mine.png", tmp_path / "mine.keras"
    Image.effect_noise((40, 30), 60).save(photo)
    parts = [networks.layers.Rescaling(1 / 255), *networks.gap_layers()]
    networks.seeded(networks.functional(parts, (16, 16, 1))).save(model)
    before = {path: path.read_bytes() for path in (photo, model)}
    code = """
from xai_utils.__main__ import main
main(sys.argv[1:])
"""
    out = tmp_path / "explained.png"
    done = isolated(
        *(code, home, "explain", str(photo), "--model", str(model)),
        *("--method", "grad_cam,saliency,integrated_gradients,occlusion,lime", "--out", str(out)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NETWORK" not in done.stderr
    assert out.stat().st_size > 1000
    assert {path: path.read_bytes() for path in before} == before
    kept = {p.name.partition("-")[0] for p in home.rglob("*") if p.is_file()}
    assert kept <= {"keras.json", "fontlist"}, "more than the packages' own settings was kept"


# --- licences ------------------------------------------------------------------------------------


def table() -> list[tuple[str, str, str]]:
    with licences.TABLE.open(encoding="utf-8", newline="") as file:
        first, *rows = csv.reader(file, delimiter="\t")
    assert tuple(first) == licences.COLUMNS
    return [(package, licence, stated) for package, licence, stated in rows]


def test_every_package_of_the_lock_has_its_licence() -> None:
    assert [row[0] for row in table()] == sorted(licences.locked()), (
        "data/licences.tsv is old: python tests/licences.py"
    )


def test_the_table_says_what_the_installed_packages_say() -> None:
    for package, licence, stated in table():
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError:
            assert package in licences.BY_HAND, f"{package} is not installed: make setup"
            continue
        assert (licence, stated) == licences.licence(package), (
            f"{package}: data/licences.tsv is old: python tests/licences.py"
        )


def test_every_licence_is_compatible() -> None:
    unknown = [row for row in table() if not licences.compatible(row[1])]
    assert unknown == [], "read them, and add them to tests/licences.py if they are compatible"


@pytest.mark.parametrize(
    ("expression", "fine"),
    [
        ("MIT", True),
        ("", False),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("Apache-2.0 WITH LLVM-exception AND (MIT)", True),
        ("MIT Style", False),
    ],
)
def test_what_is_compatible(expression: str, fine: bool) -> None:
    assert licences.compatible(expression) is fine


# --- known faults --------------------------------------------------------------------------------


def answer(*faults: str, name: str = "pillow") -> str:
    found = [{"id": fault, "fix_versions": ["9"]} for fault in faults]
    return json.dumps({"dependencies": [{"name": name, "version": "1", "vulns": found}]})


def test_a_known_fault_must_be_mended_or_explained() -> None:
    assert audit.verdict(answer(), {}) == (["The index answered for 1 of 1 packages."], True)
    lines, well = audit.verdict(answer("PYSEC-1"), {})
    assert not well and lines[1] == "pillow 1: PYSEC-1, mended in 9; NOT ACCEPTED"
    known = {("PYSEC-1", "pillow"): "never called"}
    lines, well = audit.verdict(answer("PYSEC-1"), known)
    assert well and lines[1].endswith("accepted: never called")
    lines, well = audit.verdict(answer(), known)
    assert not well and "no longer found" in lines[1]


def test_what_was_not_answered_is_not_well() -> None:
    silent = {"name": "pillow", "version": "1", "skip_reason": "not found"}
    lines, well = audit.verdict(json.dumps({"dependencies": [silent]}), {})
    assert not well
    assert lines == ["The index answered for 0 of 1 packages.", "no answer for pillow: not found"]


def test_every_accepted_fault_has_its_reason() -> None:
    names = set(licences.locked())
    assert all(package in names for _, package in audit.accepted())
