"""What a misspelt name was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(given: str, known: Iterable[str], most: int = 3) -> str:
    """``"did you mean 'grad_cam'?"``, or nothing where no name is near.

    Case, underscores and hyphens do not count: they are what people forget.

    Args:
        given: the name that is not known.
        known: those that are.
        most: how many to suggest.
    """
    plain: dict[str, str] = {}
    for name in known:
        plain.setdefault(_plain(name), name)
    near = difflib.get_close_matches(_plain(given), list(plain), n=most, cutoff=0.7)
    return f"did you mean {' or '.join(repr(plain[name]) for name in near)}?" if near else ""


def or_known(given: str, known: Iterable[str]) -> str:
    """``"did you mean 'grad_cam'? Known: ..."``, or, where no name is near, only what is known."""
    names = list(known)
    near = did_you_mean(given, names)
    return f"{near} Known: {', '.join(names)}" if near else f"known: {', '.join(names)}"


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
