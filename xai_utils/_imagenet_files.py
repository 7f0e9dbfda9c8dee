"""Where the ImageNet networks' weights and the classes' names come from, and that they are right.

Keras's own files are known by Keras's MD5, or, where Keras states none (both MobileNets), by their
size and by fitting the network.  Beside the places that `storage` knows, Keras's own cache counts.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pooch

from . import storage
from .storage import Entry, Located

FOLDER = "imagenet/"
INDEX = FOLDER + "imagenet_class_index.json"
MD5 = {  # as stated in keras/src/applications
    "vgg16_weights_tf_dim_ordering_tf_kernels.h5": "64373286793e3c8b2b4e3219cbf3544b",
    "inception_v3_weights_tf_dim_ordering_tf_kernels.h5": "9a0d58056eeedaa3f26cb7ebd46da564",
    "resnet50_weights_tf_dim_ordering_tf_kernels.h5": "2cb95161c43110f7111970584f804107",
}


def find(what: str, files: Sequence[str], *, download: bool) -> tuple[str, Located]:
    """The first of these files that is at hand, else the first that can be downloaded.

    Args:
        what: the files' common name in an error, e.g. "weights of VGG16".
        files: names in the registry's folder ``imagenet/``, the preferred one first.
        download: whether the network may be asked; ``XAI_OFFLINE=1`` forbids it anyway.

    Returns:
        The file's name and where it lies.

    Raises:
        storage.Unavailable: none is at hand; says what is missing, how large, where it goes.
        storage.DamagedFile: see `storage.fetch`.
    """
    registry = storage.load_registry()
    entries = [registry[FOLDER + file] for file in files]
    tried: list[str] = []
    for look in (_mirror_or_cache, _keras_cache, *([_anywhere] if download else [])):
        for entry in entries:
            found = look(entry, tried)
            if found is not None:
                return Path(entry.name).name, found
    if not download:
        tried.append("URLs: not asked, because no download was allowed")
    raise storage.Unavailable(what, list(dict.fromkeys(tried)), _remedy(entries))


def class_names() -> tuple[str, ...]:
    """The names of the 1,000 ImageNet classes, or their numbers, which is then said."""
    try:
        return read_names()
    except storage.Unavailable as missing:
        missing.instead("the classes' numbers")
        return tuple(f"class {k}" for k in range(1000))


def read_names() -> tuple[str, ...]:
    """The names of the 1,000 ImageNet classes.

    Raises:
        storage.Unavailable, storage.DamagedFile: see `find`.
    """
    path = find("names of the ImageNet classes", [Path(INDEX).name], download=True)[1].path
    index = json.loads(path.read_text(encoding="utf-8"))
    return tuple(index[str(k)][1].replace("_", " ") for k in range(len(index)))


def names_remedy() -> str:
    """What file holds the names of the ImageNet classes, and where it goes."""
    return _remedy([storage.load_registry()[INDEX]])


def keras_folder() -> Path:
    """Where Keras keeps what it has downloaded; Keras is not imported to find out."""
    home = os.environ.get("KERAS_HOME", "").strip() or "~/.keras"
    return Path(os.path.expanduser(home), "models")  # where there is no home, no such folder


def check_of(entry: Entry) -> Callable[[Path], None]:
    """Raise ValueError when a file has not the entry's size and hash."""
    md5 = MD5.get(Path(entry.name).name)
    stated = [("sha256", entry.sha256), ("md5", md5)]

    def check(path: Path) -> None:
        size = path.stat().st_size
        if size != entry.bytes:
            raise ValueError(f"it has {size:,} bytes, expected {entry.bytes:,}")
        for algorithm, expected in stated:
            if expected is not None and pooch.file_hash(str(path), alg=algorithm) != expected:
                raise ValueError(f"its {algorithm.upper()} is not the one stated, {expected}")

    return check


def _mirror_or_cache(entry: Entry, tried: list[str]) -> Located | None:
    return _fetch(replace(entry, urls=()), tried)


def _anywhere(entry: Entry, tried: list[str]) -> Located | None:
    return _fetch(entry, tried) if entry.urls else None


def _fetch(entry: Entry, tried: list[str]) -> Located | None:
    try:
        return storage.fetch(entry.name, verify=check_of(entry), registry={entry.name: entry})
    except storage.Unavailable as missing:
        tried += [line for line in missing.tried if line != "URLs: none is known"]
        return None


def _keras_cache(entry: Entry, tried: list[str]) -> Located | None:
    path = keras_folder() / Path(entry.name).name
    if not path.is_file():
        tried.append(f"Keras's cache: no {path.name} in {path.parent}")
        return None
    try:
        check_of(entry)(path)
    except (ValueError, OSError) as error:
        damage = f"{path} in Keras's cache is damaged: {error}"
        if storage.real_only():
            raise storage.DamagedFile(f"{damage}; XAI_DATA=real accepts no damaged file") from error
        warnings.warn(f"{damage}; it is not used", UserWarning, stacklevel=2)
        tried.append(f"Keras's cache: {path.name} is damaged: {error}")
        return None
    return Located(path, "Keras's cache")


def _remedy(entries: Sequence[Entry]) -> str:
    """What is missing, how large it is, from where it comes and where it goes."""
    needed = " or ".join(map(_described, entries))
    names = storage.load_registry().get(INDEX)
    # Whoever carries the weights here by hand would come back for the names.
    if names is not None and names not in entries and not _at_hand(names):
        needed += f"; and for the names of the classes {_described(names)}"
    return (
        f"Needed is {needed}. Save it under {storage.cache_folder()}, or in a folder that "
        f"XAI_DATA_DIR names, each time in the folder {FOLDER} there."
    )


def _described(entry: Entry) -> str:
    mega = entry.bytes / 1e6
    size = f"{mega:.1f} MB" if mega >= 0.1 else f"{entry.bytes / 1e3:.0f} kB"
    return f"{entry.name} ({size}; {entry.urls[0] if entry.urls else entry.what})"


def _at_hand(entry: Entry) -> bool:
    """Whether there is such a file, right or damaged, without a download."""
    folders = [storage.mirror_folder(), storage.cache_folder()]
    places = [folder / entry.name for folder in folders if folder is not None]
    return any(p.is_file() for p in [*places, keras_folder() / Path(entry.name).name])
