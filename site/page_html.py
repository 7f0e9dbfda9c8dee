"""The last touch on each page's HTML, so that a phone and a screen reader can use it."""

from __future__ import annotations

import re
from typing import Any

TABLE = re.compile(r"<table\b.*?</table>", re.DOTALL)
SIGNATURE = re.compile(
    r'(<span class="sig-paren">\(</span>)\s*<dl>(.*?)</dl>\s*(<span class="sig-paren">\)</span>)',
    re.DOTALL,
)


def finish(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Rewrite the body of a page (`html-page-context`)."""
    if "body" in context:
        body = one_list_less(scrolling_tables(context["body"]))
        # An item of a list, which the role that Sphinx gives it may no longer be.
        context["body"] = body.replace('role="doc-biblioentry"', 'role="listitem"')


def scrolling_tables(body: str) -> str:
    """A wide table scrolls by itself, also by the keyboard."""
    frame = '<div class="wide" role="region" aria-label="Table" tabindex="0">'
    return TABLE.sub(lambda match: f"{frame}{match[0]}</div>", body)


def one_list_less(body: str) -> str:
    """Sphinx writes a long signature as a list of definitions without terms; lines will do."""

    def lines(match: re.Match[str]) -> str:
        inside = match[2].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
        return match[1] + inside + match[3]

    return SIGNATURE.sub(lines, body)


def setup(app: Any) -> dict[str, bool]:
    """Connect the hook; the signature is Sphinx's."""
    app.connect("html-page-context", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
