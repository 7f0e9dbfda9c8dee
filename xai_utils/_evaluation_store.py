"""Partial results of an evaluation: kept whole or not at all, refused if they are of another one.

A result is kept as JSON under the method's name, with the fingerprints of all that it depends on.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__

Found = tuple[dict[str, Any], float]  # of each metric: images, value, chance; seconds per image
COLUMNS = ("images", "value", "chance")


class Folder:
    """Where the results of each method lie, with the fingerprints of model, data and metrics."""

    def __init__(self, path: Path, marks: dict[str, str]) -> None:
        self.path, self.marks = path, marks | {"library": __version__}
        path.mkdir(parents=True, exist_ok=True)

    def read(self, name: str, method: Any) -> Found | None:
        """What is kept of a method; None if there is nothing.

        Raises:
            ValueError: it was computed with another model, data set, method, metrics or library,
                or the file is damaged.
        """
        path = self._file(name)
        if not path.exists():
            return None
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            before = dict(kept["fingerprints"])
            values = {m: _arrays(columns) for m, columns in kept["values"].items()}
            seconds = float(kept["seconds"])
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(
                f"{path} is damaged ({error}); delete it to compute it again"
            ) from error
        now = self._marks(name, method)
        other = [mark for mark in now if before.get(mark) != now[mark]]
        if other:
            raise ValueError(
                f"{path} holds results of {name!r} with another {' and '.join(other)}; name "
                f"another folder, or delete the file to compute it again"
            )
        return values, seconds

    def write(self, name: str, method: Any, found: Found) -> None:
        """Keep a result: the file is there whole, or not at all."""
        values, seconds = found
        kept = {
            "fingerprints": self._marks(name, method),
            "seconds": seconds,
            "values": {
                m: dict(zip(COLUMNS, (np.asarray(c).tolist() for c in columns), strict=True))
                for m, columns in values.items()
            },
        }
        path = self._file(name)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            part.write_text(json.dumps(kept), encoding="utf-8")
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def _marks(self, name: str, method: Any) -> dict[str, str]:
        return self.marks | {"method": digest((name, method))}

    def _file(self, name: str) -> Path:
        """A name that any file system takes, and no other method has."""
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
        return self.path / f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.json"


def _arrays(columns: dict[str, Any]) -> tuple[Any, ...]:
    images, value, chance = (columns[c] for c in COLUMNS)
    if not len(images) == len(value) == len(chance):
        raise ValueError("columns of different lengths")
    return np.asarray(images, np.intp), np.asarray(value, float), np.asarray(chance, float)


def digest(thing: Any) -> str:
    """The SHA-256 of what a thing is made of: equal in every process as long as it is the same.

    Knows numbers, texts, arrays, sequences, mappings, dataclasses, `functools.partial`, Keras
    models (layers and weights) and functions (name, code, defaults, and what they close over; not
    what they call).

    Raises:
        TypeError: anything else, because it could change unnoticed.
    """
    sha = hashlib.sha256()
    for piece in _pieces(thing):
        sha.update(len(piece).to_bytes(8, "big") + piece)  # so that pieces do not run together
    return sha.hexdigest()


def _pieces(thing: Any) -> Iterator[bytes]:
    """The thing as a sequence of byte strings."""
    kind = type(thing).__name__.encode()
    if thing is None or isinstance(thing, bool | int | float | complex | str | bytes):
        yield from (kind, repr(thing).encode())
    elif isinstance(thing, np.generic | np.ndarray):
        array = np.ascontiguousarray(thing)
        yield from (b"array", array.dtype.str.encode(), repr(array.shape).encode())
        yield from (_pieces(array.tolist()) if array.dtype.kind == "O" else [array.tobytes()])
    elif isinstance(thing, dict | types.MappingProxyType):
        yield from (b"mapping", str(len(thing)).encode())
        for key in sorted(thing, key=repr):
            yield from (*_pieces(key), *_pieces(thing[key]))
    elif isinstance(thing, tuple | list):
        yield from (b"sequence", str(len(thing)).encode())
        for part in thing:
            yield from _pieces(part)
    elif is_dataclass(thing) and not isinstance(thing, type):
        yield from (kind, *_pieces({f.name: getattr(thing, f.name) for f in fields(thing)}))
    elif isinstance(thing, functools.partial):
        yield from (b"partial", *_pieces((thing.func, thing.args, thing.keywords)))
    elif isinstance(thing, types.FunctionType):
        yield from _of_function(thing)
    elif _is_model(thing):
        yield from _of_model(thing)
    elif isinstance(thing, types.ModuleType | type | types.BuiltinFunctionType | np.ufunc):
        yield from (kind, str(getattr(thing, "__name__", "")).encode())
    else:
        raise TypeError(
            f"cannot tell whether a {type(thing).__name__} has changed; expected a function, "
            f"functools.partial of one, a Keras model, an array, or plain values"
        )


def _of_function(function: types.FunctionType) -> Iterator[bytes]:
    yield from (b"function", function.__module__.encode(), function.__qualname__.encode())
    yield from _of_code(function.__code__)
    yield from _pieces((function.__defaults__, function.__kwdefaults__))
    for cell in function.__closure__ or ():
        if cell.cell_contents is not function:  # it may call itself
            yield from _pieces(cell.cell_contents)


def _of_code(code: types.CodeType) -> Iterator[bytes]:
    yield from (b"code", code.co_code, repr(code.co_names).encode())
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _of_code(constant)
        else:  # a set's order differs from process to process
            told = sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant
            yield repr(told).encode()


def _is_model(thing: Any) -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(thing, keras.Model)


def _of_model(model: Any) -> Iterator[bytes]:
    """Layers and weights, but not the names that Keras counts up anew in each process."""
    text = json.dumps(json.loads(model.to_json()), sort_keys=True)
    for k, layer in enumerate(model._flatten_layers(include_self=True, recursive=True)):
        text = text.replace(f'"{layer.name}"', f'"layer {k}"')
    yield from (b"model", text.encode())
    for weights in model.get_weights():
        yield from _pieces(weights)
