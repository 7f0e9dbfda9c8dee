"""What the environment's variables ask of `storage`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs


def real_only() -> bool:
    """Whether XAI_DATA=real: no stand-in for a missing file and no damaged file is accepted."""
    return _setting("XAI_DATA", {"": False, "real": True})


def offline() -> bool:
    """Whether XAI_OFFLINE=1: the network is not asked."""
    return _setting("XAI_OFFLINE", {"": False, "0": False, "1": True})


def mirror_folder() -> Path | None:
    """The folder that XAI_DATA_DIR names, None when it is not set; ValueError if it is missing."""
    given = os.environ.get("XAI_DATA_DIR", "").strip()
    folder = Path(os.path.expanduser(given))
    if given and not folder.is_dir():
        raise ValueError(f"XAI_DATA_DIR={given} is not a folder: correct it, or unset it")
    return folder if given else None


def cache_folder() -> Path:
    """The folder where downloads are kept; it need not exist yet.

    It begins with ``~`` where the system knows no home directory: nothing is there, and nothing may
    be written there.
    """
    given = os.environ.get("XAI_CACHE_DIR", "").strip()
    if given:
        return Path(os.path.expanduser(given))
    try:
        return platformdirs.user_cache_path("xai_utils", appauthor=False)
    except RuntimeError:  # a user without an account, as in some containers
        return Path("~", ".cache", "xai_utils")


def _setting(variable: str, meaning: Mapping[str, bool]) -> bool:
    given = os.environ.get(variable, "").strip()
    if given not in meaning:
        known = ", ".join(repr(value) for value in meaning if value)
        raise ValueError(f"{variable}={given!r} means nothing here: expected {known}, or unset it")
    return meaning[given]
