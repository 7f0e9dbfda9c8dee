"""`storage` without a network: registry, settings, mirror, cache, archives."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from xai_utils import storage

MIRROR = os.environ.get("XAI_DATA_DIR")
NAME, BODY = "things/file.bin", b"the right bytes"
SHA256 = hashlib.sha256(BODY).hexdigest()
ENTRY = storage.Entry(NAME, SHA256, len(BODY), (), "none", "a test", len(BODY))
CONTAINER = storage.Entry("box.zip", None, 99, (), "none", "a test", 99)
REGISTRY = {NAME: ENTRY, "box.zip": CONTAINER}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("XAI_DATA_DIR", "XAI_DATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XAI_OFFLINE", "1")
    monkeypatch.setenv("XAI_CACHE_DIR", str(tmp_path / "cache"))


def put(folder: Path, body: bytes = BODY, name: str = NAME) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("XAI_DATA_DIR", str(folder))
    return folder


# --- registry --------------------------------------------------------------------------------


def test_the_registry_is_complete_and_pinned() -> None:
    registry = storage.load_registry()
    by_contents = {name for name, entry in registry.items() if entry.sha256 is None}
    own = {name for name in registry if "Keras's own weights" in registry[name].what}
    assert by_contents == {"neu-det.zip", "mnist.npz"} | own  # Keras states MD5 sums, or none
    assert len(own) == 5
    assert len(registry) == 22
    for name, entry in registry.items():
        assert entry.licence and entry.what and entry.bytes > 0, name
        assert entry.max_bytes >= entry.bytes, name
        assert entry.sha256 is None or entry.max_bytes == entry.bytes, name
        assert entry.sha256 is None or set(entry.sha256) <= set("0123456789abcdef"), name
        assert entry.urls or "no public URL" in entry.what, name
        for url in entry.urls:
            assert url.startswith("https://"), url
            commits = [part for part in url.replace(".zip", "").split("/") if len(part) == 40]
            assert commits or url.startswith("https://storage.googleapis.com/"), url


def test_photos_without_a_licence_are_not_offered() -> None:
    names = "".join(storage.load_registry())
    assert not any(photo in names for photo in ("goldfinch", "beagle", "african_elephant"))


@pytest.mark.parametrize("name", sorted(storage.load_registry()))
def test_the_real_mirror_holds_what_the_registry_says(name: str, monkeypatch) -> None:
    if not MIRROR:
        pytest.skip("NOT TESTED on real files: XAI_DATA_DIR is not set")
    if not (Path(MIRROR) / name).exists():
        pytest.skip(f"NOT TESTED on real files: {name} is not in XAI_DATA_DIR")
    monkeypatch.setenv("XAI_DATA_DIR", MIRROR)
    located = storage.fetch(name, verify=lambda path: None)
    assert located == storage.Located(Path(MIRROR) / name, "mirror (XAI_DATA_DIR)")


def test_a_file_outside_the_registry_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"'\.\./etc' is not in the registry; it lists box.zip"):
        storage.fetch("../etc", registry=REGISTRY)


def test_a_container_without_a_content_check_is_an_error() -> None:
    with pytest.raises(ValueError, match="pass verify="):
        storage.fetch("box.zip", registry=REGISTRY)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_must_be_a_positive_number(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be"):
        storage.fetch(NAME, registry=REGISTRY, timeout=timeout)


def test_the_import_is_cheap() -> None:
    program = "import sys, xai_utils.storage; print({'requests', 'tensorflow'} & set(sys.modules))"
    root = str(Path(storage.__file__).resolve().parents[1])
    out = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert out.strip() == "set()"


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "meaning"), [("", False), ("real", True)])
def test_real_only(value: str, meaning: bool, monkeypatch) -> None:
    assert storage.real_only() is False
    monkeypatch.setenv("XAI_DATA", value)
    assert storage.real_only() is meaning


@pytest.mark.parametrize(("value", "meaning"), [("", False), ("0", False), ("1", True)])
def test_offline(value: str, meaning: bool, monkeypatch) -> None:
    monkeypatch.setenv("XAI_OFFLINE", value)
    assert storage.offline() is meaning


@pytest.mark.parametrize(
    ("variable", "expected"), [("XAI_DATA", "'real'"), ("XAI_OFFLINE", "'0', '1'")]
)
def test_an_unknown_setting_is_an_error_even_when_the_file_is_at_hand(
    variable: str, expected: str, mirror: Path, monkeypatch
) -> None:
    put(mirror)
    assert storage.fetch(NAME, registry=REGISTRY).source == "mirror (XAI_DATA_DIR)"
    monkeypatch.setenv(variable, "yes")
    with pytest.raises(ValueError, match=f"{variable}='yes' .* expected {expected}"):
        storage.fetch(NAME, registry=REGISTRY)


def test_a_mirror_that_does_not_exist_is_an_error(monkeypatch, tmp_path: Path) -> None:
    put(tmp_path / "cache")
    monkeypatch.setenv("XAI_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"XAI_DATA_DIR=.*nowhere is not a folder"):
        storage.fetch(NAME, registry=REGISTRY)


def test_the_cache_has_its_place_without_a_setting(monkeypatch) -> None:
    monkeypatch.delenv("XAI_CACHE_DIR")
    assert "xai_utils" in storage.cache_folder().parts
    assert storage.cache_folder().is_absolute()


# --- mirror and cache ------------------------------------------------------------------------


def test_the_mirror_comes_before_the_cache(mirror: Path, tmp_path: Path) -> None:
    in_cache = put(tmp_path / "cache")
    assert storage.fetch(NAME, registry=REGISTRY) == storage.Located(in_cache, "cache")
    in_mirror = put(mirror)
    located = storage.fetch(NAME, registry=REGISTRY)
    assert located == storage.Located(in_mirror, "mirror (XAI_DATA_DIR)")


@pytest.mark.fault(
    "Data: downloads and archives",
    "A damaged file in the lecture room's mirror",
    sees="`DamagedFile`: … in the mirror is damaged: …; copy the file into the mirror "
    "again, or unset XAI_DATA_DIR",
    kept="the mirror; the cache is not asked, so that two rooms do not compute with two files",
    guard=(
        "xai_utils/storage.py",
        (
            "            check_file(path, entry, verify, read_sums(folder / "
            '"SHA256SUMS").get(entry.name))\n'
        ),
        "",
    ),
)
@pytest.mark.parametrize(
    ("sums", "body", "reason"),
    [
        (None, b"the wrong bytes", "SHA-256 is not the one that the registry states"),
        (None, b"short", "5 bytes, expected 15"),
        (
            f"{'0' * 64}  {NAME}\n",
            BODY,
            "SHA-256 is not the one that SHA256SUMS states",
        ),
        (f"{'0' * 64} *./{NAME}\n", BODY, "SHA256SUMS states"),
        ("not a sum\n", BODY, "a line that is not"),
    ],
)
def test_damage_in_the_mirror_is_an_error_although_the_cache_is_good(
    mirror: Path, tmp_path: Path, sums: str | None, body: bytes, reason: str
) -> None:
    put(tmp_path / "cache")
    put(mirror, body)
    if sums is not None:
        (mirror / "SHA256SUMS").write_text(sums)
    with pytest.raises(storage.DamagedFile, match=reason):
        storage.fetch(NAME, registry=REGISTRY)


def test_a_mirror_cannot_vouch_for_another_file_than_the_registrys(
    mirror: Path,
) -> None:
    other = b"the fake  bytes"
    put(mirror, other)
    (mirror / "SHA256SUMS").write_text(f"{hashlib.sha256(other).hexdigest()}  {NAME}\n")
    with pytest.raises(storage.DamagedFile, match="the registry states"):
        storage.fetch(NAME, registry=REGISTRY)


def test_a_file_that_the_mirror_lacks_is_looked_for_in_the_cache(mirror, tmp_path: Path) -> None:
    put(tmp_path / "cache")
    (mirror / "SHA256SUMS").write_text(f"{SHA256}  {NAME}\n")
    assert storage.fetch(NAME, registry=REGISTRY).source == "cache"


def test_a_folder_in_the_files_place_is_damage(mirror: Path) -> None:
    (mirror / NAME).mkdir(parents=True)
    with pytest.raises(storage.DamagedFile):
        storage.fetch(NAME, registry=REGISTRY)


def test_containers_are_judged_by_their_contents(mirror: Path) -> None:
    put(mirror, b"box", "box.zip")

    def refuse(path: Path) -> None:
        raise ValueError(f"{path.name} holds nothing")

    assert storage.fetch("box.zip", verify=lambda path: None, registry=REGISTRY)
    with pytest.raises(storage.DamagedFile, match=r"content is wrong: box\.zip holds nothing"):
        storage.fetch("box.zip", verify=refuse, registry=REGISTRY)


def test_a_damaged_cache_is_not_used(tmp_path: Path, monkeypatch) -> None:
    path = put(tmp_path / "cache", b"the wrong bytes")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(storage.Unavailable):
        storage.fetch(NAME, registry=REGISTRY)
    monkeypatch.setenv("XAI_DATA", "real")
    with pytest.raises(storage.DamagedFile, match="XAI_DATA=real"):
        storage.fetch(NAME, registry=REGISTRY)
    assert path.read_bytes() == b"the wrong bytes"


def test_unavailable_says_what_was_tried_and_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(storage.Unavailable) as caught:
        storage.fetch(NAME, registry=REGISTRY)
    error = caught.value
    assert error.name == NAME
    assert [reason.split(":")[0] for reason in error.tried] == [
        "mirror",
        "cache",
        "URLs",
    ]
    assert "no public URL is known" in error.remedy
    assert str(tmp_path / "cache" / NAME) in error.remedy
    assert all(reason in str(error) for reason in error.tried)


# --- archives --------------------------------------------------------------------------------

FILES = {"IMAGES/a.jpg": b"alpha", "IMAGES/b.jpg": b"beta" * 100}
WANTED = {name: hashlib.sha256(body).hexdigest() for name, body in FILES.items()}


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return path


def tree(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_a_plain_archive_and_one_with_a_top_folder_are_read_alike(
    tmp_path: Path,
) -> None:
    plain = pack(tmp_path / "plain.zip", FILES)
    top = pack(tmp_path / "top.zip", {f"repo-351bee/{n}": b for n, b in FILES.items()})
    for archive in (plain, top):
        assert dict(storage.read_members(archive, WANTED)) == FILES


def test_a_member_is_found_under_its_path_at_the_origin(tmp_path: Path) -> None:
    body = FILES["IMAGES/b.jpg"]
    archive = pack(
        tmp_path / "a.zip",
        {
            "r-1/": b"",
            "r-1/IMAGES/a.jpg": b"alpha",
            "r-1/Validation_Images/b.jpg": body,
        },
    )
    wanted = {
        "IMAGES/a.jpg": storage.Member(WANTED["IMAGES/a.jpg"], 5, "IMAGES/a.jpg"),
        "IMAGES/b.jpg": storage.Member(WANTED["IMAGES/b.jpg"], 400, "Validation_Images/b.jpg"),
    }
    assert dict(storage.read_members(archive, wanted)) == FILES


def test_extract_takes_what_the_manifest_names_and_nothing_else(tmp_path: Path) -> None:
    extra = {
        "../evil": b"x",
        "/abs": b"x",
        "C:/evil": b"x",
        "IMAGES/model.pkl": b"x",
        "big": b"x",
    }
    archive, target = pack(tmp_path / "a.zip", FILES | extra), tmp_path / "deep" / "out"
    storage.extract(archive, WANTED, target)
    assert {name: (target / name).read_bytes() for name in tree(target)} == FILES
    assert tree(tmp_path) == {"a.zip", "deep/out/IMAGES/a.jpg", "deep/out/IMAGES/b.jpg"}
    before = (target / "IMAGES/a.jpg").stat().st_ino
    storage.extract(archive, WANTED, target)  # whole already: left as it is
    assert (target / "IMAGES/a.jpg").stat().st_ino == before


def test_extract_never_touches_a_folder_that_holds_something_else(
    tmp_path: Path,
) -> None:
    archive, target = pack(tmp_path / "a.zip", FILES), tmp_path / "home"
    put(target, b"mine", "IMAGES/a.jpg")
    with pytest.raises(FileExistsError, match="remove it first"):
        storage.extract(archive, WANTED, target)
    assert tree(target) == {"IMAGES/a.jpg"}
    assert (target / "IMAGES/a.jpg").read_bytes() == b"mine"


@pytest.mark.fault(
    "Data: downloads and archives",
    "A zip archive with `../`, an absolute path or a drive in a name",
    sees="`ValueError`: unsafe name in the manifest: '../evil'; expected a path like 'a/b.c'",
    kept="nothing is unpacked, nothing outside of the folder is touched; names that only "
    "the archive has are passed over",
    guard=(
        "xai_utils/_archive.py",
        'if any(part in ("", ".", "..") for part in parts) or set(name) & set("\\\\:\\0"):',
        "if False:",
    ),
)
@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/../../evil",
        "/etc/evil",
        "C:/evil",
        "a\\..\\evil",
        "./a",
        "a//b",
        "",
    ],
)
def test_unsafe_names_are_refused(name: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", {name or "x": b"x"})
    wanted = {name: hashlib.sha256(b"x").hexdigest()}
    with pytest.raises(ValueError, match="unsafe name"):
        storage.extract(archive, wanted, tmp_path / "out" / "in")
    with pytest.raises(ValueError, match="unsafe name"):
        list(storage.read_members(archive, wanted))
    assert tree(tmp_path) == {"a.zip"}


@pytest.mark.fault(
    "Data: downloads and archives",
    "A symbolic link in a zip archive",
    sees="`ValueError`: … is a folder or a link in the archive, not a file",
    kept="nothing is unpacked",
    guard=("xai_utils/_archive.py", "info.is_dir() or stat.S_ISLNK(info.external_attr >> 16)", "0"),
)
def test_a_link_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("IMAGES/a.jpg")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    wanted = {"IMAGES/a.jpg": hashlib.sha256(b"/etc/passwd").hexdigest()}
    with pytest.raises(ValueError, match="a folder or a link"):
        storage.extract(tmp_path / "a.zip", wanted, tmp_path / "out")
    assert tree(tmp_path) == {"a.zip"}


@pytest.mark.fault(
    "Data: downloads and archives",
    "A zip bomb: a member that unpacks to far more than is expected",
    sees="`ValueError`: … has 68,157,440 bytes, more than …",
    kept="nothing is unpacked; never more is read than the manifest allows",
    guard=("xai_utils/_archive.py", "if info.file_size > limit:", "if False:"),
)
@pytest.mark.parametrize("sizes", [True, False], ids=["manifest with sizes", "without"])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, sizes: bool) -> None:
    bomb = bytes(65 * 2**20)
    archive = pack(tmp_path / "a.zip", {"a": bomb})
    wanted = {"a": storage.Member(hashlib.sha256(bomb).hexdigest(), 10 if sizes else None)}
    with pytest.raises(ValueError, match="68,157,440 bytes, more than"):
        storage.extract(archive, wanted, tmp_path / "out")
    assert tree(tmp_path) == {"a.zip"}


def test_a_bomb_that_lies_about_its_size_is_cut_off(tmp_path: Path) -> None:
    body = bytes(1_000_000)
    archive = pack(tmp_path / "a.zip", {"a": body})
    raw = archive.read_bytes()
    archive.write_bytes(raw.replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    wanted = {"a": storage.Member(hashlib.sha256(body).hexdigest(), 10)}
    with pytest.raises(ValueError):
        list(storage.read_members(archive, wanted))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (
            {"IMAGES/a.jpg": b"alpha"},
            "1 of 2 files are not in the archive: IMAGES/b.jpg",
        ),
        (FILES | {"IMAGES/a.jpg": b"alphA"}, "IMAGES/a.jpg has another SHA-256"),
        ({f"x/{n}": b for n, b in FILES.items()} | {"y": b""}, "2 of 2 files are not"),
    ],
)
def test_a_wrong_archive_unpacks_nothing(tmp_path: Path, files: dict, reason: str) -> None:
    archive = pack(tmp_path / "a.zip", files)
    with pytest.raises(ValueError, match=reason):
        storage.extract(archive, WANTED, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [archive]


def test_a_member_of_another_size_is_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", {"a": b"alpha"})
    wanted = {"a": storage.Member(hashlib.sha256(b"alpha").hexdigest(), 6)}
    with pytest.raises(ValueError, match="5 bytes, expected 6"):
        list(storage.read_members(archive, wanted))


def test_a_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"one")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"two")
    with pytest.raises(ValueError, match="2 times"):
        list(storage.read_members(path, {"a": hashlib.sha256(b"two").hexdigest()}))


@pytest.mark.fault(
    "Data: downloads and archives",
    "A zip archive that is cut off, has wrong bytes, a password, or another compression",
    sees="`ValueError`: … is not a sound zip archive: …",
    kept="nothing is unpacked",
    guard=(
        "xai_utils/_archive.py",
        "        zipfile.BadZipFile,\n        zlib.error,",
        "        zlib.error,",
    ),
)
@pytest.mark.parametrize("damage", ["page", "cut", "flipped", "locked", "bzip2"])
def test_every_kind_of_bad_archive_is_a_value_error(tmp_path: Path, damage: str) -> None:
    path = pack(tmp_path / "a.zip", FILES)
    raw = bytearray(path.read_bytes())
    if damage == "page":
        raw = bytearray(b"<html></html>")
    elif damage == "cut":
        raw = raw[:-30]
    elif damage == "flipped":
        raw[raw.index(b"IMAGES/a.jpg") + 14] ^= 0xFF
    elif damage == "locked":  # the encryption flag, in both headers
        for sign, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            raw[raw.index(sign) + offset] |= 1
    path.write_bytes(raw)
    if damage == "bzip2":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
            for name, body in FILES.items():
                archive.writestr(name, body)
    with pytest.raises(ValueError):
        list(storage.read_members(path, WANTED))


def test_a_missing_archive_is_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.zip"):
        storage.extract(tmp_path / "a.zip", WANTED, tmp_path / "out")
