"""Find the works of references.bib in prose: by author and year, or by title."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

REFERENCES = Path(__file__).with_name("references.bib")
# A title in a list of sources stands in asterisks or in quotation marks.
TITLE = re.compile(r'(\*(?P<emphasised>[^*\n]+)\*|"(?P<quoted>[^"\n]+)")')


class Work(NamedTuple):
    """One entry: its key, its first author, the years it goes by, its title in plain words."""

    key: str
    author: str
    years: tuple[str, ...]
    title: str


def plain(text: str) -> str:
    """Letters and digits only, in lower case, with single spaces."""
    return " ".join(re.findall(r"\w+", text.lower()))


@functools.cache
def works() -> tuple[Work, ...]:
    """The entries of references.bib."""
    from pybtex.database import parse_file

    found = []
    for key, entry in parse_file(str(REFERENCES)).entries.items():
        author = " ".join(entry.persons["author"][0].last_names)
        years = (entry.fields["year"], *entry.fields.get("also", "").split())
        found.append(Work(key, author, years, plain(entry.fields["title"])))
    return tuple(found)


def titled(title: str) -> Work | None:
    """The work with that title, of which the part before the colon will do."""
    wanted = plain(title)
    exact = [w for w in works() if w.title == wanted]
    begun = [w for w in works() if f"{w.title} ".startswith(f"{wanted} ")]
    fitting = exact or begun
    return fitting[0] if len(fitting) == 1 and len(wanted) > 3 else None


def cite_in_docstring(text: str) -> str:
    """Turn "Zhou et al. 2016" and "Apley & Zhu (2020)" into references to the bibliography."""
    for work in works():
        text = _mention(work).sub(f":cite:t:`{work.key}`", text)
    return text


@functools.cache
def _mention(work: Work) -> re.Pattern[str]:
    others = r"(?:,\s+[\w-]+)*(?:\s+et\s+al\.?|\s+(?:&|and)\s+[\w-]+)?"
    return re.compile(
        rf"\b{re.escape(work.author)}{others},?\s+\(?(?:{'|'.join(work.years)})\b\)?(?!\d)"
    )


def link_sources(text: str, link: Callable[[str, str], str]) -> str:
    """Link what a notebook's list of sources names; `link` makes one of words and key."""
    return "\n".join(
        ";".join(_linked(part, link) for part in line.split(";")) for line in text.split("\n")
    )


def _linked(part: str, link: Callable[[str, str], str]) -> str:
    for match in TITLE.finditer(part):
        work = titled(match["emphasised"] or match["quoted"])
        if work:
            return part[: match.start()] + link(match[0], work.key) + part[match.end() :]
    for work in works():  # without a title: surname, no other sentence, year
        named = re.compile(rf"\b{re.escape(work.author)}\b[^*\";]*?\b(?:{'|'.join(work.years)})\b")
        if match := named.search(part):
            return part[: match.start()] + link(match[0], work.key) + part[match.end() :]
    return part


def named(mention: str) -> Work | None:
    """The work that "Zhou et al. 2016" means."""
    fitting = [work for work in works() if _mention(work).fullmatch(mention)]
    return fitting[0] if len(fitting) == 1 else None
