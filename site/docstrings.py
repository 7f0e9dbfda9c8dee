"""The docstrings of xai_utils as pages: their names become links, their sources citations."""

from __future__ import annotations

import contextlib
import inspect
import re
from typing import Any

from sphinx.util.inspect import stringify_signature

from citations import cite_in_docstring

PACKAGE = "xai_utils"
# "Arguments, errors: as for `grad_cam`." and the like begin a paragraph of their own.
LEAD = re.compile(r"^(Source|Arguments[^:`]*):\s", re.MULTILINE)
LITERAL = re.compile(r"(`+[^`]*`+)")


def rewrite(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Link what a docstring cites, set its leading words bold (`autodoc-process-docstring`)."""
    text = cite_in_docstring("\n".join(lines))
    text = LEAD.sub(lambda m: f"**{m[1]}:** ", text)
    # Bars are absolute values here, not reStructuredText's substitutions.
    parts = LITERAL.split(text)
    parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
    lines[:] = "".join(parts).split("\n")


def as_written(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str | None] | None:
    """Show types as the source has them: `ArrayLike`, not what it stands for."""
    if what not in ("function", "method"):
        return None
    found = inspect.signature(obj)
    parameters = list(found.parameters.values())
    if parameters and parameters[0].name in ("self", "cls"):
        found = found.replace(parameters=parameters[1:])
    result = found.return_annotation
    written = stringify_signature(found, show_return_annotation=False)
    return written, result if isinstance(result, str) else None


def resolve(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Find names that a docstring writes as the code does: `scores.explain`, `DATA`.

    What is private or a parameter is no object of the reference; it is shown as code.
    """
    if node.get("refdomain") != "py":
        return None
    domain, target = env.get_domain("py"), node["reftarget"]
    for candidate in (f"{PACKAGE}.{target}", f"{node.get('py:module')}.{target}"):
        if candidate in domain.objects:
            with contextlib.suppress(LookupError):
                return domain.resolve_xref(
                    env, node["refdoc"], app.builder, "obj", candidate, node, contnode
                )
    return None


def setup(app: Any) -> dict[str, bool]:
    """Connect the hooks; the signature is Sphinx's."""
    app.connect("autodoc-process-docstring", rewrite)
    app.connect("autodoc-process-signature", as_written)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
