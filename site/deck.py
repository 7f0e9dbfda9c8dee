"""What of a notebook goes onto slides, and what a speaker says to it.

A cell whose metadata say ``slideshow.slide_type`` = ``slide`` begins a slide, ``fragment`` adds to
the one before; all other text becomes speaker notes.  Of a cell's text the slide shows only what
the notebook sets off itself: headings, formulas, tables, lists, sentences in bold or with a lead
such as **What to see**.  So a talk and a notebook cannot say different things.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import Any

LINES = 12  # no longer code is on a slide
WORDS, FEW = 45, 8  # no longer sentence; after a shorter one the next is shown, too
ROWS, ITEMS = 9, 6  # no longer table or list

HEADING = re.compile(r"^(#{1,4})\s+(.*?)\s*$")
FENCE = re.compile(r"^(```|~~~)")
FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)
FORMULA = re.compile(r"\$\$.*?\$\$", re.DOTALL)
LEAD = re.compile(
    r"^(?:\([^)]*\)\s*)?\*\*((?:[^*?\s]+\s){0,6}[^*?\s]+?)"  # **a few words
    r"(?:[:.]\*\*|\*\*(?:\s*\([^)]*\))?[:.])\s+"  # :** or **: or ** (aside):
)
CLAIM = re.compile(r"^(?:\*[^*]+[.?]\*|\*\*[^*]+\?\*\*)(?!\*)")
BOLD = re.compile(r"\*\*([^*]+)\*\*")
FIRST = re.compile(r"^\*{0,2}[a-z]")
ITEM = re.compile(r"^(?:[-*]|\d+\.)\s+")
END = re.compile(r"(?<!\bal)(?<!\bvs)(?<!\b[A-Z])([.?!][\"”)*]*)\s+(?=[A-Z*$`\"“(])")
MARK = re.compile(r"^\s*#\s*NBVAL_CHECK_OUTPUT\s*$\n?", re.MULTILINE)
SILENT = {"exercises", "sources"}  # sections that are no part of a talk
BLOCKS = ("formula", "table", "list")
AIMS = "What you will be able to do"  # under it nothing is shown
SEE = ("What to see", "How to read")  # leads that a figure's own sentence needs no longer
ABSENT = ("Next", "You need", "Time")  # leads for readers only


@dataclass
class Slide:
    """One slide: headings, parts in order as (kind, content), and the words for the speaker.

    Kinds: "text", "list", "table", "formula" (Markdown), "code", "output" (plain), "picture"
    (MIME type, data, alternative text).
    """

    title: str
    above: str = ""  # the heading over the title
    parts: list[tuple[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    remarked: bool = False  # the sentence after its figure or output is there

    def has(self, *kinds: str) -> bool:
        """Whether a part of one of these kinds is on the slide."""
        return any(kind in kinds for kind, _ in self.parts)


@dataclass
class Talk:
    """The slides so far, the headings where we stand, and what waits for the next slide."""

    slides: list[Slide] = field(default_factory=list)
    headings: dict[int, str] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    claims: list[str] = field(default_factory=list)

    def begin(self, parts: list[tuple[str, Any]]) -> Slide:
        """Begin a slide under the headings that hold here."""
        *over, title = (self.headings[level] for level in sorted(self.headings))
        above = over[-1] if len(over) > 1 else ""  # not the notebook's own title
        slide = Slide(title, above, parts, self.waiting)
        self.slides.append(slide)
        self.waiting = []
        return slide

    def enter(self, level: int, heading: str) -> None:
        """Stand under a new heading."""
        self.headings = {k: v for k, v in self.headings.items() if k < level} | {level: heading}
        self.claims = []


def slides(cells: list[dict[str, Any]]) -> list[Slide]:
    """The slides of a notebook's cells; empty when none is marked.

    Raises ValueError when a cell is marked that has nothing to show.
    """
    talk = Talk()
    for number, cell in enumerate(cells):
        kind = cell["metadata"].get("slideshow", {}).get("slide_type", "notes")
        if kind == "skip" or "solution" in cell["metadata"].get("tags", []):
            continue
        before = [len(slide.parts) for slide in talk.slides]
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            _text(talk, source, kind)
        elif kind in ("slide", "fragment"):
            _code(talk, cell, source, kind)
        elif talk.slides:  # what is said next is about this cell, which nobody sees
            talk.slides[-1].remarked = True
        marked = kind in ("slide", "fragment")
        if marked and before == [len(slide.parts) for slide in talk.slides]:
            raise ValueError(
                f"cell {number} ({source[:40]!r}) is marked {kind!r} and has nothing for a slide: "
                f"no figure, output, formula, table, list, no bold sentence, and no code of at "
                f"most {LINES} lines"
            )
    return talk.slides


# --- text ----------------------------------------------------------------------------------------


def _text(talk: Talk, source: str, kind: str) -> None:
    for level, heading, body in sections(source):
        if level:
            talk.enter(level, heading)
        if talk.headings.get(2, "").lower() in SILENT:
            continue
        marked = kind in ("slide", "fragment")
        show = set_off(body, heading, title=level == 1) if marked else []
        if show and (level or (kind == "slide" and any(k in BLOCKS for k, _ in show))):
            talk.begin(show).notes.append(body)
        elif level:
            talk.waiting.append(body)
            talk.claims += claims(body)
        else:
            _remark(talk, body, show if kind == "fragment" else [])
            talk.claims = claims(body)


def _remark(talk: Talk, body: str, show: list[tuple[str, Any]]) -> None:
    """Words after something that was shown: they go to its slide, the first sentence visibly."""
    if not talk.slides:
        talk.waiting.append(body)
        return
    last = talk.slides[-1]
    last.notes.append(body)
    last.parts += show
    first = _paragraphs(body)[:1]
    if last.has("picture", "output") and not last.remarked and not any(map(CLAIM.match, first)):
        said = [sentence for sentence in _said(first, True) if not sentence.endswith(":")]
        last.parts += [("text", sentence) for sentence in said[:2]]
        last.remarked = True


def claims(body: str) -> list[str]:
    """What is claimed before it is checked: paragraphs' first sentences that stand in italics."""
    found = [CLAIM.match(paragraph) for paragraph in _paragraphs(body)]
    return [match[0] for match in found if match]


def sections(source: str) -> list[tuple[int, str, str]]:
    """Cut Markdown at its headings: (level, heading, text below); level 0 before the first one."""
    found: list[tuple[int, str, list[str]]] = [(0, "", [])]
    fenced = False
    for line in source.splitlines():
        fenced ^= bool(FENCE.match(line))
        heading = None if fenced else HEADING.match(line)
        if heading:
            found.append((len(heading[1]), heading[2], []))
        else:
            found[-1][2].append(line)
    cut = [(level, heading, "\n".join(lines).strip()) for level, heading, lines in found]
    return [part for part in cut if part[0] or part[2]]


def _paragraphs(body: str) -> list[str]:
    text = FORMULA.sub(lambda match: match[0].replace("\n\n", "\n"), FOLDED.sub("", body))
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def set_off(body: str, heading: str = "", *, title: bool = False) -> list[tuple[str, Any]]:
    """The parts of a section that stand out: formulas, tables, lists, sentences."""
    parts: list[tuple[str, Any]] = []
    paragraphs = _paragraphs(body)
    for paragraph, following in zip(paragraphs, [*paragraphs[1:], ""], strict=False):
        block = _block(paragraph, heading == "Questions")
        if block:
            parts += block
        elif heading == "Summary" and not LEAD.match(paragraph):
            parts.append(("list", "\n".join(f"- {one}" for one in sentences(paragraph))))
        elif title:
            parts += [("text", sentence) for sentence in _opening(paragraph)]
        else:
            said = _said([paragraph], False)
            if _block(following, False) and not LEAD.match(paragraph):
                leading = [s for s in sentences(paragraph) if not s.startswith("(")][-1:]
                said = list(dict.fromkeys([*said, *_short(leading)]))
            parts += [("text", sentence) for sentence in said]
    return parts


def _block(paragraph: str, whole: bool) -> list[tuple[str, Any]]:
    """The formulas, the table or the list that a paragraph is; `whole`: items are not cut."""
    rows = paragraph.splitlines() or [""]
    if formulas := FORMULA.findall(paragraph):
        return [("formula", formula) for formula in formulas]
    if rows[0].startswith("|"):
        return [("table", paragraph)] if len(rows) <= ROWS + 2 else []
    if ITEM.match(rows[0]):
        marks = [(row, found.end()) for row in rows if (found := ITEM.match(row))]
        items = [row if whole else row[:end] + sentences(row[end:])[0] for row, end in marks]
        return [("list", "\n".join(items))] if len(items) <= ITEMS else []
    return []


def sentences(text: str) -> list[str]:
    """Cut a paragraph into its sentences; what is bold stays in one piece."""
    found = [""]
    for piece in END.sub("\\1\0", text.strip()).split("\0"):
        if found[-1].count("**") % 2:
            found[-1] += f" {piece}"
        else:
            found.append(piece)
    return found[1:]


def _short(given: list[str]) -> list[str]:
    return [sentence for sentence in given if len(sentence.split()) <= WORDS]


def _opening(paragraph: str) -> list[str]:
    """Of the words under a notebook's title: how they begin, and what they ask."""
    first, *others = sentences(paragraph)
    return [first, *(s for s in others if "?" in s or BOLD.search(s))][:4]


def _said(paragraphs: list[str], always: bool) -> list[str]:
    """The sentences of paragraphs that are set off; `always`: else the very first one."""
    said: list[str] = []
    for paragraph in paragraphs:
        lead = LEAD.match(paragraph)
        if lead and lead[1].startswith(ABSENT):
            continue
        told = sentences(paragraph[lead.end() :] if lead else paragraph)
        told[0] = FIRST.sub(lambda match: match[0].upper(), told[0])
        if len(told) > 1 and len(told[0].split()) < FEW:  # "A fog." says too little alone
            told[:2] = [" ".join(told[:2])]
        claim = CLAIM.match(paragraph)
        chosen = [claim[0]] if claim else told[:1] if lead or always else []
        if lead and not lead[1].startswith(SEE):
            chosen[0] = f"**{lead[1]}**: {chosen[0]}"
        strong = [s for s in told if any(len(b.split()) > 2 for b in BOLD.findall(s))]
        said += _short(list(dict.fromkeys(chosen + strong)))
    return said


# --- code ----------------------------------------------------------------------------------------


def _code(talk: Talk, cell: dict[str, Any], source: str, kind: str) -> None:
    parts = [("picture", picture) for picture in pictures(cell)]
    tags = cell["metadata"].get("tags", [])
    if talk.headings.get(2) == AIMS:
        del talk.headings[2]
    if not parts and not {"check", "hide-input"} & set(tags) and (code := short(source)):
        parts.append(("code", code))
    parts += [] if parts and parts[0][0] == "picture" else printed(cell)
    if kind == "fragment" and talk.slides and not talk.waiting:
        talk.slides[-1].parts += parts
    elif parts:
        claims = [("text", claim) for claim in talk.claims] if "check" in tags else []
        talk.begin(claims + parts)
        talk.claims = []


def pictures(cell: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The pictures that a cell shows: MIME type, data, alternative text."""
    return [
        (mime, "".join(data), output.get("metadata", {}).get(mime, {}).get("alt", ""))
        for output in cell.get("outputs", [])
        for mime, data in output.get("data", {}).items()
        if mime.startswith("image/")
    ]


def printed(cell: dict[str, Any]) -> list[tuple[str, str]]:
    """What a cell prints; tables that it shows as Markdown stay Markdown."""
    found: list[tuple[str, str]] = []
    for output in cell.get("outputs", []):
        if text := "".join(output.get("text", "")).strip("\n"):
            found.append(("output", text))
        elif text := FOLDED.sub("", "".join(output.get("data", {}).get("text/markdown", ""))):
            found.append(("table", text.strip()))
    return found


def short(source: str) -> str:
    """Code that fits a slide: all of it, else the first function that does; else nothing."""
    code = MARK.sub("", source).strip()
    lines = code.splitlines()
    if len(lines) <= LINES:
        return code
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef) and node.end_lineno:
            begin = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if node.end_lineno - begin < LINES:
                return "\n".join(lines[begin - 1 : node.end_lineno])
    return ""
