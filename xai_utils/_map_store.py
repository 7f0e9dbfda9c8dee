"""Maps of a dataset in one chunked Zarr array, and what is written beside it.

The array's attributes say of what the maps are.  ``records/000042.json`` says that chunk 42 is
there: a chunk without a record, or with another checksum than its record states, does not count.
Chunk first, record second, each by a rename, so a process may be killed at any moment.
Nothing here knows of time or machine: two runs that compute the same leave the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._kept import PART, write_whole

ABOUT, MARKS = "explained", "fingerprints"
RECORDS, COMPLETE, LOCK = "records", "complete.json", ".lock"
EXTRA = (
    "archives of maps need the packages zarr and, for a cluster, dask: "
    'pip install -e ".[scale]" in the folder of the course'
)
Record = dict[str, Any]


class StoreInUse(RuntimeError):
    """Another run is writing into the same store."""


class OtherStore(ValueError):
    """A store is there, but of another method, model or data set, or of something else."""


def zarr_package() -> Any:
    """Zarr, or how to get it."""
    try:
        import zarr
    except ImportError as error:
        raise ImportError(EXTRA) from error
    return zarr


class MapStore:
    """One store: its array, its records, its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._array: Any = None

    @property
    def array(self) -> Any:
        if self._array is None:
            self._array = zarr_package().open_array(self.path, mode="r+")
        return self._array

    # --- as a whole ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the store for one run; the system lets go of it when the process ends in any way.

        Raises:
            StoreInUse: another process holds it.
        """
        import fcntl

        self.path.mkdir(parents=True, exist_ok=True)
        file = self.path / LOCK
        while True:
            handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                owner = os.read(handle, 200).decode(errors="replace").strip() or "another process"
                os.close(handle)
                raise StoreInUse(
                    f"{self.path} is being written by {owner}; wait for it, or name another store"
                ) from error
            if file.exists() and os.stat(file).st_ino == os.fstat(handle).st_ino:
                break
            os.close(handle)  # its holder has just finished and taken the file away
        try:
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
            yield
        finally:
            file.unlink(missing_ok=True)
            os.close(handle)

    def ready(self, about: dict[str, Any], shape: Sequence[int], dtype: str, chunk: int) -> None:
        """Make the array, or find that it is the one that is wanted.

        Raises:
            OtherStore: it is of another method, model, data set ... (which is said), or the folder
                holds something else.
        """
        if not (self.path / "zarr.json").exists():
            strange = sorted(p.name for p in self.path.iterdir() if p.name != LOCK)
            if strange:
                raise OtherStore(
                    f"{self.path} holds {', '.join(strange[:3])}, and no maps; name another folder"
                )
            self._make(about, shape, dtype, chunk)
        before = provenance(self.path)
        marks, now = before[MARKS], about[MARKS]
        other = [m for m in now if marks.get(m) != now[m]]
        if other:
            raise OtherStore(
                f"{self.path} holds maps with another {' and '.join(other)}; name another store, "
                f"or delete it to compute it again"
            )
        (self.path / RECORDS).mkdir(exist_ok=True)

    def _make(self, about: dict[str, Any], shape: Sequence[int], dtype: str, chunk: int) -> None:
        zarr = zarr_package()
        zarr.create_array(
            self.path,
            shape=tuple(shape),
            chunks=(min(chunk, shape[0]), *shape[1:]),
            dtype=dtype,
            compressors=[  # a reader of a damaged chunk gets an error, not numbers
                zarr.codecs.BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"),
                zarr.codecs.Crc32cCodec(),
            ],
            fill_value=float("nan"),  # what nobody has written is not "no evidence"
            attributes={ABOUT: about},
            config={"write_empty_chunks": True},
        )

    def sweep(self) -> None:
        """Remove what killed processes left half-written."""
        for folder in (self.path, self.path / RECORDS):
            for part in folder.glob(f".*{PART}"):
                part.unlink(missing_ok=True)
        for part in (self.path / "c").rglob("*.partial"):  # Zarr's own
            part.unlink(missing_ok=True)

    # --- one chunk ----------------------------------------------------------------------------

    def record(self, number: int) -> Record | None:
        """What is said of a chunk; None where nothing sound is said."""
        try:
            told = json.loads(self._record(number).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        whole = isinstance(told, dict) and {"images", "inputs", "maps", "skipped"} <= told.keys()
        return told if whole else None

    def forget(self, number: int) -> None:
        """Take a chunk's record away, so that it counts as missing."""
        self._record(number).unlink(missing_ok=True)

    def write(self, start: int, maps: NDArray[Any], number: int, record: Record) -> None:
        """Write a chunk, then its record; a chunk that was there, sound or not, is replaced."""
        key = self.array.metadata.encode_chunk_key((number,) + (0,) * (maps.ndim - 1))
        (self.path / key).unlink(missing_ok=True)  # Zarr may read it first, and it may be damaged
        self.array[start : start + len(maps)] = maps
        write_whole(self._record(number), json.dumps(record | {"maps": checksum(maps)}))

    def sound(self, record: Record) -> bool:
        """Whether the chunk that a record speaks of is there and has its checksum."""
        start, stop = record["images"]
        try:
            return checksum(self.array[start:stop]) == record["maps"]
        except (OSError, ValueError, RuntimeError):
            return False

    def _record(self, number: int) -> Path:
        return self.path / RECORDS / f"{number:06d}.json"

    def complete(self, chunks: int) -> Record:
        """All records in one, once every chunk has its own: counts, and hashes of the whole."""
        found = [self.record(n) for n in range(chunks)]
        told = [r for r in found if r is not None]
        if len(told) < chunks:
            missing = [n for n, r in enumerate(found) if r is None]
            raise OSError(f"{self.path}: the records of chunks {missing[:5]} are gone")
        whole = {
            "images": told[-1]["images"][1],
            "empty": sum(r["empty"] for r in told),
            "skipped": [s for r in told for s in r["skipped"]],
            "inputs": _of_all([r["inputs"] for r in told]),
            "maps": _of_all([r["maps"] for r in told]),
        }
        write_whole(self.path / COMPLETE, json.dumps(whole))
        return whole


def provenance(path: Path) -> dict[str, Any]:
    """What a store says it is of.

    Raises:
        OtherStore: no store of maps.
    """
    try:
        told = json.loads(Path(path, "zarr.json").read_text(encoding="utf-8"))
        about = dict(told["attributes"][ABOUT])
        about[MARKS]
    except (LookupError, OSError, ValueError, TypeError, RecursionError) as error:
        raise OtherStore(f"{path} is no store of maps ({error}); name another one") from error
    return about


def checksum(maps: NDArray[Any]) -> str:
    """SHA-256 of the values of a chunk."""
    return hashlib.sha256(np.ascontiguousarray(maps).data).hexdigest()


def _of_all(hashes: Sequence[str]) -> str:
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
