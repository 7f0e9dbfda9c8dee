"""What `storage` does when the network, the server, the disk or another process misbehaves."""

from __future__ import annotations

import hashlib
import io
import os
import random
import re
import select
import signal
import subprocess
import sys
import textwrap
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from xai_utils import storage

ROOT = Path(storage.__file__).resolve().parents[1]
NAME = "things/file.bin"
BODY = random.Random(0).randbytes(300_000)  # larger than the small disk of the tests below


def registry(*urls: str, body: bytes = BODY, contents: bool = False) -> dict[str, storage.Entry]:
    return {
        NAME: storage.Entry(
            name=NAME,
            sha256=None if contents else hashlib.sha256(body).hexdigest(),
            bytes=len(body),
            urls=urls,
            licence="none",
            what="a test",
            max_bytes=len(body),
        )
    }


def left_in_cache() -> list[str]:
    return sorted(p.name for p in storage.cache_folder().rglob("*") if p.is_file())


def serve(site, body: bytes = BODY) -> None:
    site.files[NAME] = body


# --- good answers ----------------------------------------------------------------------------


def test_a_good_download_is_kept_and_then_found_in_the_cache(site) -> None:
    serve(site)
    book = registry(site.url("good", NAME))
    first, second = (
        storage.fetch(NAME, registry=book),
        storage.fetch(NAME, registry=book),
    )
    assert (first.source, second.source) == ("download", "cache")
    assert first.path == second.path == storage.cache_folder() / NAME
    assert first.path.read_bytes() == BODY
    assert len(site.asked) == 1
    assert left_in_cache() == ["file.bin"]


def test_a_fetch_prints_nothing_where_nobody_watches_a_terminal(site, capfd) -> None:
    serve(site)
    storage.fetch(NAME, registry=registry(site.url("good", NAME)))
    assert capfd.readouterr() == ("", "")


def test_a_slow_but_honest_server_may_take_longer_than_the_timeout(site) -> None:
    serve(site)
    began = time.monotonic()
    located = storage.fetch(NAME, registry=registry(site.url("slow", NAME)), timeout=2.0)
    assert time.monotonic() - began > 3
    assert located.path.read_bytes() == BODY


# --- damaged answers -------------------------------------------------------------------------

DAMAGE = {
    "truncated": "broken off after 149,",
    "short": "150,000 bytes, expected 300,000",
    "wrong": "SHA-256",
    "long": "more than the expected 300,000",
    "empty": "empty",
    "page": "expected 300,000",
}


@pytest.mark.parametrize(("manner", "reason"), DAMAGE.items())
def test_a_damaged_download_is_refused_with_a_warning_and_the_next_url_is_asked(
    site, manner: str, reason: str
) -> None:
    serve(site)
    book = registry(site.url(manner, NAME), site.url("good", NAME))
    with pytest.warns(UserWarning, match=f"damaged {NAME}: .*{reason}"):
        located = storage.fetch(NAME, registry=book)
    assert located.path.read_bytes() == BODY
    assert left_in_cache() == ["file.bin"]


@pytest.mark.fault(
    "Data: downloads and archives",
    "A download that is cut off, empty, too long, of another hash, or a login page",
    sees="a warning that says what was wrong, then the next address; `Unavailable` after the last",
    kept="nothing of it stays in the cache; what was there before stays",
    guard=("xai_utils/storage.py", "            check_file(part.path, entry, verify)\n", ""),
)
@pytest.mark.parametrize("manner", DAMAGE)
def test_a_damaged_download_leaves_nothing_behind(site, manner: str) -> None:
    serve(site)
    with pytest.warns(UserWarning), pytest.raises(storage.Unavailable, match="damaged"):
        storage.fetch(NAME, registry=registry(site.url(manner, NAME)))
    assert left_in_cache() == []


@pytest.mark.fault(
    "Data: downloads and archives",
    "A download that ends early, at whatever byte",
    sees="a warning: … sent a damaged …: broken off after 23 bytes (or: it has 23 bytes, "
    "expected 24); it is not used",
    kept="the next address is asked; nothing of it stays in the cache",
    guard=(
        "xai_utils/storage.py",
        "    if entry.sha256 is not None and path.stat().st_size != entry.bytes:",
        "    return\n    if entry.sha256 is not None and path.stat().st_size != entry.bytes:",
    ),
)
@pytest.mark.parametrize("manner", ["cut", "shortened"])
def test_a_download_that_ends_at_any_byte_is_refused(site, manner: str) -> None:
    body = BODY[:24]
    serve(site, body)
    book = registry(site.url(manner, NAME), site.url("good", NAME), body=body)
    path = storage.cache_folder() / NAME
    for site.sent in range(len(body)):
        # Of a connection that is cut the last bytes may be lost on their way.
        came = "|".join(map(str, range(site.sent + 1)))
        known = f"(empty|broken off after ({came}) bytes|it has {site.sent} bytes)"
        with pytest.warns(UserWarning, match=f"damaged {NAME}: .*{known}"):
            assert storage.fetch(NAME, registry=book).path.read_bytes() == body
        assert left_in_cache() == ["file.bin"]
        path.unlink()
    site.sent = len(body)
    assert storage.fetch(NAME, registry=book).path.read_bytes() == body


def test_real_data_only_makes_a_damaged_download_an_error(site, monkeypatch) -> None:
    monkeypatch.setenv("XAI_DATA", "real")
    serve(site)
    book = registry(site.url("wrong", NAME), site.url("good", NAME))
    with pytest.raises(storage.DamagedFile, match=r"/wrong/.*XAI_DATA=real"):
        storage.fetch(NAME, registry=book)
    assert left_in_cache() == []


@pytest.mark.fault(
    "Data: downloads and archives",
    "A web page, of a login say, instead of a zip archive",
    sees="a warning: … sent a damaged …: its content is wrong: … is not a sound zip "
    "archive …; it is not used",
    kept="the next address is asked; nothing of the page stays in the cache",
    guard=("xai_utils/storage.py", "            verify(path)\n", "            pass\n"),
)
def test_a_login_page_instead_of_an_archive_is_refused_by_its_contents(site) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("top-1/a.txt", b"alpha")
    serve(site, packed.getvalue())
    wanted = {"a.txt": hashlib.sha256(b"alpha").hexdigest()}

    def check(path: Path) -> None:
        assert dict(storage.read_members(path, wanted)) == {"a.txt": b"alpha"}

    urls = site.url("page", NAME), site.url("good", NAME)
    book = registry(*urls, body=packed.getvalue(), contents=True)
    with pytest.warns(UserWarning, match="not a sound zip"):
        assert storage.fetch(NAME, verify=check, registry=book).source == "download"


@pytest.mark.fault(
    "Data: downloads and archives",
    "A file in the cache that has changed since it was downloaded",
    sees="a warning: … in the cache is damaged: its SHA-256 is not the one that the "
    "registry states (…); it is not used",
    kept="it is fetched again; with `XAI_DATA=real` it is an error, and stays for you to look at",
    guard=(
        "xai_utils/storage.py",
        "        check_file(path, entry, verify)\n    except OSError as error:",
        "        pass\n    except OSError as error:",
    ),
)
def test_a_damaged_cache_is_fetched_again(site, monkeypatch) -> None:
    serve(site)
    path = storage.cache_folder() / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY[:-1] + b"?")
    book = registry(site.url("good", NAME))
    monkeypatch.setenv("XAI_DATA", "real")
    with pytest.raises(storage.DamagedFile, match="in the cache"):
        storage.fetch(NAME, registry=book)
    assert site.asked == []
    monkeypatch.delenv("XAI_DATA")
    with pytest.warns(UserWarning, match="in the cache is damaged"):
        assert storage.fetch(NAME, registry=book).source == "download"
    assert path.read_bytes() == BODY


# --- no answer -------------------------------------------------------------------------------


def test_refused_and_missing_are_told_apart_and_the_next_url_is_asked(site, refused) -> None:
    serve(site)
    bad = f"{refused}/file", site.url("missing", NAME)
    with pytest.raises(storage.Unavailable) as caught:
        storage.fetch(NAME, registry=registry(*bad))
    text = str(caught.value)
    assert "ConnectionRefusedError" in text
    assert "HTTP 404" in text
    assert f"download {bad[0]} (0.3 MB)" in text
    assert str(storage.cache_folder() / NAME) in text
    assert "XAI_DATA_DIR" in text
    storage.try_again()
    book = registry(*bad, site.url("good", NAME))
    assert storage.fetch(NAME, registry=book).source == "download"


def test_a_host_that_does_not_exist_is_no_network() -> None:
    with pytest.raises(storage.Unavailable):
        storage.fetch(NAME, registry=registry("http://no-such-host.invalid/file"))


@pytest.mark.fault(
    "Data: downloads and archives",
    "A server that accepts the connection and never answers, or sends a byte now and then",
    sees="after ten seconds at the most for all addresses together, `Unavailable`: … no "
    "answer within … s",
    kept="nothing stays in the cache; the next call does not wait again; the course goes "
    "on with its stand-in",
    guard=("xai_utils/_transfer.py", "if seen == 0 and now - began > first:", "if False:"),
)
@pytest.mark.parametrize("manner", ["silent", "trickle"])
def test_servers_that_never_answer_cost_at_most_ten_seconds_in_all(site, manner: str) -> None:
    serve(site)
    book = registry(*(site.url(manner, NAME) for _ in range(3)))
    began = time.monotonic()
    with pytest.raises(storage.Unavailable) as caught:
        storage.fetch(NAME, registry=book)
    took = time.monotonic() - began
    assert 7 < took < 10, took  # each URL had its share of the time
    assert len(re.findall(r"no answer within 2\.\d s", str(caught.value))) == 3
    assert left_in_cache() == []


def test_the_lack_of_a_network_is_remembered_until_asked_again(site) -> None:
    serve(site)
    with pytest.raises(storage.Unavailable):
        storage.fetch(NAME, registry=registry(site.url("silent", NAME)), timeout=0.5)
    began = time.monotonic()
    elsewhere = registry("http://another-host.invalid/file")
    for book in (registry(site.url("good", NAME)), elsewhere):
        with pytest.raises(storage.Unavailable, match="no connection earlier"):
            storage.fetch(NAME, registry=book)
    assert time.monotonic() - began < 2
    assert len(site.asked) == 1
    storage.try_again()
    assert storage.fetch(NAME, registry=registry(site.url("good", NAME))).source == "download"


def test_one_dead_host_does_not_hide_the_others(site, refused) -> None:
    serve(site)
    with pytest.raises(storage.Unavailable, match="404"):
        storage.fetch(NAME, registry=registry(site.url("missing", NAME), f"{refused}/file"))
    book = registry(f"{refused}/file", site.url("good", NAME))
    assert storage.fetch(NAME, registry=book).source == "download"


@pytest.mark.fault(
    "Data: downloads and archives",
    "A transfer that stalls in the middle, or crawls",
    sees="`Unavailable`: … stalled after … bytes: nothing came for … s; or … slower than "
    "16 KiB/s …",
    kept="nothing half-written stays in the cache",
    guard=("xai_utils/_transfer.py", "if seen and now - moved > timeout:", "if False:"),
)
@pytest.mark.parametrize(
    ("manner", "reason"),
    [("stalled", "stalled after 1"), ("crawl", "slower than 16 KiB/s")],
)
def test_a_transfer_that_gets_nowhere_is_given_up(site, manner: str, reason: str) -> None:
    serve(site)
    began = time.monotonic()
    with pytest.raises(storage.Unavailable, match=reason):
        storage.fetch(NAME, registry=registry(site.url(manner, NAME)), timeout=1.5)
    assert time.monotonic() - began < 12
    assert left_in_cache() == []


def test_offline_asks_nobody(site, monkeypatch) -> None:
    serve(site)
    monkeypatch.setenv("XAI_OFFLINE", "1")
    with pytest.raises(storage.Unavailable, match="XAI_OFFLINE=1"):
        storage.fetch(NAME, registry=registry(site.url("good", NAME)))
    assert site.asked == []


def test_part_files_of_killed_processes_are_swept_and_fresh_ones_are_not(site) -> None:
    serve(site)
    folder = (storage.cache_folder() / NAME).parent
    folder.mkdir(parents=True)
    old, fresh = folder / ".file.bin.1-aa.part", folder / ".file.bin.2-bb.part"
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    storage.fetch(NAME, registry=registry(site.url("good", NAME)))
    assert left_in_cache() == [fresh.name, "file.bin"]


# --- other processes, bad disks --------------------------------------------------------------

PROGRAM = textwrap.dedent(
    """
    import hashlib, sys
    from pathlib import Path
    from xai_utils import storage
    url, sha256, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
    entry = storage.Entry("things/file.bin", sha256, size, (url,), "none", "a test", size)
    try:
        located = storage.fetch(entry.name, registry={entry.name: entry})
        print(located.source, hashlib.sha256(located.path.read_bytes()).hexdigest() == sha256)
    except OSError as error:
        print(type(error).__name__, "|", error)
    for path in sorted(storage.cache_folder().rglob("*")):
        if path.is_file() and path.name != "filler":
            print("left:", path.name)
    """
)


def arguments(url: str) -> list[str]:
    sha256 = hashlib.sha256(BODY).hexdigest()
    return [sys.executable, "-c", PROGRAM, url, sha256, str(len(BODY))]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.fault(
    "Data: downloads and archives",
    "Two processes download the same file at once",
    sees="nothing: both get the whole file",
    kept="one file in the cache; each writes beside it and renames at the end",
    guard=(
        "xai_utils/_transfer.py",
        'f".{target.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part"',
        'f".{target.name}.part"',
    ),
)
def test_two_processes_that_fetch_at_once_both_get_whole_files(site) -> None:
    serve(site)
    command = arguments(site.url("together", NAME))  # answers only when both are asking
    running = [
        subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0].splitlines()[0] for process in running]
    assert said == ["download True"] * 2
    assert len(site.asked) == 2
    assert left_in_cache() == ["file.bin"]


@pytest.fixture
def on_small_disk(tmp_path: Path) -> Callable[[str, str], list[str]]:
    """Run a fetch in its own mount namespace, with a small disk as its cache."""
    unshare = ["unshare", "-Urm", "sh", "-ec"]
    disk = tmp_path / "cache"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=64k tmpfs '{disk}'"
    try:
        trial = subprocess.run([*unshare, mount], capture_output=True, text=True, check=False)
        problem = trial.stderr if trial.returncode else ""
    except OSError as error:
        problem = str(error)
    if problem:
        pytest.skip(f"NOT TESTED: full and read-only disks need unshare -Urm: {problem.strip()}")

    def run(prepare: str, url: str) -> list[str]:
        script = f'{mount}; {prepare.format(disk=disk)}; exec "$@"'
        done = subprocess.run(
            [*unshare, script, "sh", *arguments(url)],
            env=environment(), capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout.splitlines()

    return run


@pytest.mark.fault(
    "Data: disks and folders",
    "The disk of the cache is full, or can only be read",
    sees="`CacheError`: cannot write …: No space left on device (or: Read-only file "
    "system). Nothing half-written was left there; free some space, or set "
    "XAI_CACHE_DIR …",
    kept="nothing half-written; what was in the cache stays",
    guard=(
        "xai_utils/_transfer.py",
        "                self._file.write(chunk)\n            except OSError as error:",
        "                self._file.write(chunk)\n            except ZeroDivisionError as error:",
    ),
)
@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        ("true", "No space left on device"),
        (
            "mkdir '{disk}/things'; head -c 65000 /dev/zero > '{disk}/filler' || true",
            "No space",
        ),
        ("mount -o remount,ro '{disk}'", "Read-only file system"),
    ],
    ids=["too small", "full", "read-only"],
)
def test_a_bad_disk_gives_one_clear_error_and_nothing_half_written(
    site, on_small_disk, prepare: str, reason: str
) -> None:
    serve(site)
    said = on_small_disk(prepare, site.url("good", NAME))
    assert len(said) == 1, said
    assert said[0].startswith("CacheError | ")
    for part in (reason, str(storage.cache_folder() / NAME), "XAI_CACHE_DIR"):
        assert part in said[0]


def test_a_read_only_cache_does_not_hide_that_there_is_no_network(on_small_disk, refused) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:  # Unavailable is no OSError
        on_small_disk("mount -o remount,ro '{disk}'", f"{refused}/file")
    assert "storage.Unavailable" in caught.value.stderr


@pytest.mark.fault(
    "Data: disks and folders",
    "The disk is full when an archive is unpacked",
    sees="`CacheError`: cannot write …: No space left on device …",
    kept="all files of the archive or none",
    guard=(
        "xai_utils/_archive.py",
        "        shutil.rmtree(scratch, ignore_errors=True)\n",
        "        pass\n",
    ),
)
def test_unpacking_onto_a_full_disk_leaves_nothing(tmp_path: Path, on_small_disk) -> None:
    archive, disk = tmp_path / "a.zip", tmp_path / "cache"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("a.bin", BODY)
    program = textwrap.dedent(
        f"""
        from pathlib import Path
        from xai_utils import storage
        wanted = {{"a.bin": {hashlib.sha256(BODY).hexdigest()!r}}}
        try:
            storage.extract(Path({str(archive)!r}), wanted, Path({str(disk)!r}) / "out")
        except storage.CacheError as error:
            print(error.errno, [p.name for p in Path({str(disk)!r}).iterdir()])
        """
    )
    script = f"mount -t tmpfs -o size=64k tmpfs '{disk}'; exec \"$@\""
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-ec", script, "sh", sys.executable, "-c", program],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "28 []"


@pytest.mark.fault(
    "Data: disks and folders",
    "`XAI_CACHE_DIR` names a file, not a folder",
    sees="`CacheError`: cannot write …; … set XAI_CACHE_DIR to a folder that can be written",
    kept="the file",
    guard=(
        "xai_utils/_transfer.py",
        "                self._file.write(chunk)\n            except OSError as error:",
        "                self._file.write(chunk)\n            except ZeroDivisionError as error:",
    ),
)
def test_a_cache_that_is_a_file_is_a_clear_error(site, tmp_path, monkeypatch) -> None:
    serve(site)
    (tmp_path / "occupied").write_text("")
    monkeypatch.setenv("XAI_CACHE_DIR", str(tmp_path / "occupied"))
    with pytest.raises(storage.CacheError, match="XAI_CACHE_DIR"):
        storage.fetch(NAME, registry=registry(site.url("good", NAME)))


def test_a_terminal_gets_a_progress_bar(site) -> None:
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    serve(site)
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))  # a new one has no columns, and so no room for a bar
    command = arguments(site.url("slow", NAME))
    done = subprocess.run(
        command, env=environment(), stdout=subprocess.PIPE, stderr=theirs, text=True, check=True
    )
    shown = os.read(ours, 4096) if select.select([ours], [], [], 5)[0] else b""
    os.close(theirs)
    os.close(ours)
    assert done.stdout.startswith("download True")
    assert b"file.bin: " in shown


@pytest.mark.fault(
    "Data: downloads and archives",
    "Ctrl-C in the middle of a download",
    sees="`KeyboardInterrupt`",
    kept="nothing half-written stays in the cache",
    guard=("xai_utils/storage.py", "            part.discard()\n", "            pass\n"),
)
def test_an_interrupted_fetch_leaves_nothing(site, tmp_path: Path) -> None:
    serve(site)
    process = subprocess.Popen(
        arguments(site.url("stalled", NAME)), env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # Whoever runs the tests in the background has its children ignore the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    limit = time.monotonic() + 60
    while not left_in_cache() and time.monotonic() < limit:
        time.sleep(0.05)
    assert any(name.endswith(".part") for name in left_in_cache())
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in errors
    assert left_in_cache() == []


def test_warnings_are_only_given_for_damage(site, refused) -> None:
    serve(site)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        book = registry(f"{refused}/file", site.url("missing", NAME), site.url("good", NAME))
        assert storage.fetch(NAME, registry=book).source == "download"
