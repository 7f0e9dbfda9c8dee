"""What stands under a figure: network, weights, data, seeds, versions, stand-ins, faults.

Read off the names of the notebook that made it, so a caption says what was used, not what was
planned.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from . import __version__, training
from ._networks import Network
from ._photos import Photo

ARTICLES = {
    "A": 'A. Rivera Martínez 2022, "The XAI Problem in Machine Learning" (blog)',
    "B": '"Explainable AI", on occlusion and integrated gradients (blog)',
    "C": '"XAI: eXplainable AI", a university course page',
    "D": '"Understanding and Debugging Deep Learning Models" (InfoQ)',
    "E": 'M. Coimbra & H. Oliveira, "Computer Vision - TP14, Explainable AI" (lecture slides)',
}
PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "shap", "lime", "matplotlib")
SEED = re.compile(
    r"\b(?:default_rng|RandomState)\([^()\n]*\)|\b(?:random_state|seeds?)=[\w\[\], ]+"
)


class Entry(NamedTuple):
    """A line of ``data/figures.tsv``.

    Attributes:
        figure: name of the file: the id, and the number of the picture from the second on.
        what: one sentence.
        network, data: names that hold them in the notebook (``model``, ``board.model``), separated
            by commas; may be empty.
        original: the article's network, where it is one that everybody knows.
        photo: ``article's=ours``, where the article's photograph may not be published.
        fault: what was wrong in the original; empty where nothing was found.
    """

    figure: str
    what: str
    network: str
    data: str
    original: str
    photo: str
    fault: str

    @property
    def id(self) -> str:
        """The article's figure: ``C2`` for ``C2-2``."""
        return self.figure.partition("-")[0]


def caption(
    entry: Entry,
    notebook: str,
    namespace: Mapping[str, Any],
    sources: Sequence[str],
    words: str,
    unread: Sequence[str],
) -> str:
    """The caption of a figure, one line a fact: ``What: ...``, ``Network: ...``, and so on.

    Args:
        entry: its line in the table.
        notebook: where it is made.
        namespace: the notebook's names, as they are when the figure is shown.
        sources: the code of the cells that were run.
        words: alternative text.
        unread: what of it cannot be read in grey, from `_colour_vision.faults`.

    Raises:
        RuntimeError: the table names something that the notebook does not have.
    """
    networks = [_held(entry, name, namespace) for name in _names(entry.network)]
    data = [
        thing
        for name in _names(entry.data)
        for thing in _photos_in(_held(entry, name, namespace), words)
    ]
    lines = {
        "Figure": f"{entry.figure}, notebook {notebook}",
        "What": entry.what,
        "Article": ARTICLES[entry.figure[0]],
        "Fault in the original": entry.fault or "none found",
        "Network": "; ".join(map(_network, networks)) or "none",
        "Weights": "; ".join(dict.fromkeys(filter(None, map(_weights, networks)))) or "none",
        "Data": "; ".join(map(_data, data)) or "none",
        "Licence": "; ".join(dict.fromkeys(_licence(x) for x in data)) or "that of the course",
        "Seeds": ", ".join(_seeds(sources)) or "none",
        "Versions": ", ".join(
            [f"xai_utils {__version__}", *(f"{p} {version(p)}" for p in PACKAGES)]
        ),
        "Stand-in": "; ".join(_stand_ins(entry, networks, data)) or "no",
        "In grey and to colour-blind eyes": "; ".join(unread) or "no fault found",
        "In words": words,
    }
    return "".join(f"{key}: {' '.join(text.split())}\n" for key, text in lines.items())


def _names(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]


def _held(entry: Entry, name: str, namespace: Mapping[str, Any]) -> Any:
    first, *attributes = name.split(".")
    if first not in namespace:
        raise RuntimeError(
            f"data/figures.tsv says that {entry.figure} rests on {name!r}, which its notebook does "
            f"not have: name what the notebook calls it"
        )
    return functools.reduce(getattr, attributes, namespace[first])


def _photos_in(thing: Any, words: str) -> list[Any]:
    """Of many photographs those that the figure's words name; anything else as it is."""
    if not isinstance(thing, list | tuple):
        return [thing]
    return [photo for photo in thing if re.search(rf"\b{re.escape(photo.name)}\b", words)] or [
        *thing
    ]


def _network(network: Any) -> str:
    if isinstance(network, Network):
        return network.name
    if hasattr(network, "count_params"):
        return f"{network.name}, {network.count_params():,} parameters"
    return type(network).__name__


def _weights(network: Any) -> str:
    if isinstance(network, Network):
        return f"{network.weights}, from {network.source}"
    name = training.shipped_as(network)
    if name is None:
        return "fitted in the notebook"
    about = training.card(name)
    seed = training.RECIPES[name].seeds[0]
    return (
        f"data/weights/{name}, trained on {about['data']} with seed {seed}, right on "
        f"{next(r['test_accuracy'] for r in about['runs'] if r['seed'] == seed):.1%} of the test"
    )


def _data(thing: Any) -> str:
    return f"{'photograph ' if isinstance(thing, Photo) else ''}{thing.name} ({thing.source})"


def _licence(thing: Any) -> str:
    if "embedded" in thing.source:
        return "that of the course"
    stated = getattr(thing, "licence", "not stated") != "not stated"
    if not stated and thing.source != "file":  # data that data/README.md tells about
        return "that of the data, see data/README.md"
    if not stated:
        return f"of photograph {thing.name}: not stated, so do not publish this figure"
    return f"of photograph {thing.name}: {thing.licence}"


def _seeds(sources: Sequence[str]) -> Iterator[str]:
    """Every seed that the cells name, once."""
    found = (m.group().strip(" ,") for source in sources for m in SEED.finditer(source))
    return iter(dict.fromkeys(text for text in found if re.search(r"\d", text)))


def _stand_ins(entry: Entry, networks: Sequence[Any], data: Sequence[Any]) -> Iterator[str]:
    """What was used in another's place."""
    for network in networks:
        if isinstance(network, Network) and entry.original not in ("", network.name):
            yield f"{network.name} stands for the article's {entry.original}"
    for thing in data:
        if "embedded" in thing.source:
            yield "in place of the real data: " + thing.source.removeprefix("embedded default: ")
    if entry.photo:
        articles, ours = entry.photo.split("=")
        if any(getattr(thing, "name", "") == ours for thing in data):
            yield f"the photograph {ours} stands for the article's {articles}"
        elif any(getattr(thing, "name", "") == articles for thing in data):
            yield f"another photograph of a {articles} than the article's"
