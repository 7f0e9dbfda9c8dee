"""Link the glossary's terms where a notebook first uses them."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

LEFT_ALONE = (nodes.reference, nodes.literal, nodes.math, nodes.title, nodes.raw, nodes.term)


class LinkTerms(SphinxPostTransform):
    """The first use of each term in a notebook's prose leads to its definition."""

    default_priority = 500

    def run(self, **kwargs: Any) -> None:
        """Rewrite the text of one page."""
        if not self.env.docname.startswith("notebooks/"):
            return
        terms = self.env.get_domain("std")._terms  # lower-case term -> page, anchor
        if not terms:
            return
        self.left = dict(terms)
        names = "|".join(re.escape(t) for t in sorted(terms, key=len, reverse=True))
        pattern = re.compile(rf"(?<![\w-])({names})(?![\w-])", re.IGNORECASE)
        for text in list(self.document.findall(nodes.Text)):
            if not _is_prose(text):
                continue
            parts = self._linked(str(text), pattern)
            if parts:
                text.parent.replace(text, parts)

    def _linked(self, text: str, pattern: re.Pattern[str]) -> list[nodes.Node]:
        parts: list[nodes.Node] = []
        end = 0
        for match in pattern.finditer(text):
            place = self.left.pop(match[0].lower(), None)
            if place is None:
                continue
            self.left = {t: p for t, p in self.left.items() if not _same(t, match[0].lower())}
            page, anchor = place
            target = self.app.builder.get_relative_uri(self.env.docname, page)
            parts += [nodes.Text(text[end : match.start()])] if match.start() > end else []
            parts.append(
                nodes.reference(
                    "", match[0], refuri=f"{target}#{anchor}", internal=True, classes=["term"]
                )
            )
            end = match.end()
        return [*parts, nodes.Text(text[end:])] if parts and text[end:] else parts


def _same(one: str, other: str) -> bool:
    """Singular and plural of a term are linked once."""
    return one.removesuffix("s") == other.removesuffix("s")


def _is_prose(text: nodes.Text) -> bool:
    node, inside = text.parent, False
    while node is not None:
        if isinstance(node, LEFT_ALONE):
            return False
        inside = inside or isinstance(node, nodes.paragraph)
        node = node.parent
    return inside


def setup(app: Any) -> dict[str, bool]:
    """Register the transform; the signature is Sphinx's."""
    app.add_post_transform(LinkTerms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
