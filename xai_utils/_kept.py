"""What is kept in files: written whole or not at all, known by a fingerprint of what it is of."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
import types
import uuid
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

PART = ".part"  # how the name of a file ends that is still being written


def write_whole(path: Path, text: str) -> None:
    """Write a file so that no reader, and no later run, ever sees half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}{PART}")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def digest(thing: Any) -> str:
    """The SHA-256 of what a thing is made of: equal in every process as long as it is the same.

    Knows numbers, texts, arrays, sequences, mappings, dataclasses, `functools.partial`, Keras
    models (layers and weights), functions (name, code, defaults, and what they close over; not what
    they call), and the methods of what it knows.

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
    elif isinstance(thing, types.MethodType):
        yield from (b"method", *_pieces((thing.__func__, thing.__self__)))
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
