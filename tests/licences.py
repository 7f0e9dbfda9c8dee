"""Under which terms the packages of the lock may be used, read from what they say of themselves.

`python tests/licences.py` writes `data/licences.tsv` anew; a test keeps it equal to the lock and
to the packages that are installed, and accepts no licence that is not in `COMPATIBLE`.
"""

from __future__ import annotations

import csv
import io
import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK, TABLE = ROOT / "requirements.lock", ROOT / "data" / "licences.tsv"
COLUMNS = ("package", "licence", "stated")

# The course is MIT and hands out none of these packages: it asks for them, and each comes from its
# own authors. Permissive terms are compatible with that, and so are those of the Mozilla licence,
# which bind only changes of its own files.
COMPATIBLE = {
    *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT"),
    *("MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Public-Domain", "Zlib"),
    "Apache-2.0 WITH LLVM-exception",
}
# What packages call a licence, in the words of SPDX where it is told apart; "BSD" is what those
# say who do not say with how many clauses.
CALLED = {
    r"BSD[- ]2[- ]Clause.*": "BSD-2-Clause",
    r"(BSD[- ]3[- ]Clause|3-Clause BSD).*": "BSD-3-Clause",
    r"BSD( License)?": "BSD",
    r"Apache( Software)?( License)?[-, ]*(Version )?(2\.0)?": "Apache-2.0",
    r"MIT( License)?": "MIT",
    r"MPL-2\.0|Mozilla Public License 2\.0.*": "MPL-2.0",
    r"ISC( License)?( \(ISCL\))?": "ISC",
    r"PSFL?|PSF-2\.0|Python Software Foundation License": "PSF-2.0",
    r"MPL-2\.0 AND MIT": "MPL-2.0 AND MIT",
    r"Public Domain": "Public-Domain",
}
# Read by hand: those whose metadata say nothing, and those that no Linux machine installs.
BY_HAND = {
    "appnope": "BSD-2-Clause",
    "axe-playwright-python": "MIT AND MPL-2.0",  # axe-core lies in it
    "colorama": "BSD-3-Clause",
    "docutils": "Public-Domain AND BSD-2-Clause AND PSF-2.0",  # its GPL file is not in the package
    "namex": "Apache-2.0",
    "pywinpty": "MIT",
}


def locked() -> list[str]:
    """The names in the lock, each once."""
    text = LOCK.read_text(encoding="utf-8")
    return list(dict.fromkeys(re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE)))


def licence(package: str) -> tuple[str, str]:
    """What a package states, in SPDX's words, and where; two empty texts if nothing is understood.

    Raises:
        PackageNotFoundError: it is not installed, and not known by hand.
    """
    if package in BY_HAND:
        return BY_HAND[package], "its licence file, read by hand"
    about = metadata.metadata(package)
    if expression := about.get("License-Expression"):
        return expression, "expression"
    lines = (about.get("License") or "").strip().splitlines()
    if len(lines) == 1 and (known := _spdx(lines[0])):
        return known, "name"
    kinds = [c.rsplit(" :: ", 1)[1] for c in about.get_all("Classifier") or [] if "License ::" in c]
    found = [known for kind in kinds if (known := _spdx(kind))]
    return (" OR ".join(found), "classifier") if len(found) == len(kinds) and found else ("", "")


def _spdx(words: str) -> str:
    for pattern, name in CALLED.items():
        if re.fullmatch(pattern, words.strip(), re.IGNORECASE):
            return name
    return ""


def compatible(expression: str) -> bool:
    """Whether an expression leaves a way that is in `COMPATIBLE`: all of AND, one of OR."""
    alternatives = re.split(r" OR ", expression.replace("(", "").replace(")", ""))
    return any(all(part in COMPATIBLE for part in one.split(" AND ")) for one in alternatives)


def rows() -> list[tuple[str, str, str]]:
    """The table: every package of the lock, its licence, and where that is stated."""
    return [(package, *licence(package)) for package in sorted(locked())]


def written(table: list[tuple[str, str, str]]) -> str:
    memory = io.StringIO()
    csv.writer(memory, delimiter="\t", lineterminator="\n").writerows([COLUMNS, *table])
    return memory.getvalue()


if __name__ == "__main__":
    TABLE.write_text(written(rows()), encoding="utf-8")
