"""What looks at the pages sees their faults: broken specimens."""

from __future__ import annotations

from pathlib import Path

import pytest

import web


def test_what_is_dead_or_foreign_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="gone.html">x</a><a href="#gone">x</a><a href="b.html#there">x</a>'
        '<img src="gone.png"><script src="https://cdn.example/x.js"></script>'
        '<a href="https://example.org/">fine</a>'
    )
    (tmp_path / "b.html").write_text('<p id="there"></p><link href="//cdn.example/x.css">')
    found = web.pages_of(tmp_path)
    assert web.dead_links(found) == ["a.html: gone.html", "a.html: #gone", "a.html: gone.png"]
    assert web.foreign(found) == [
        "a.html: https://cdn.example/x.js",
        "b.html: //cdn.example/x.css",
    ]


@pytest.mark.slow
def test_a_browser_notices_every_fault(tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text(
        '<!doctype html><html lang="en"><title>Bad</title><main><h1>Bad</h1><img src="gone.png">'
        '<p style="color:#bbb;background:#fff">pale</p><div style="width:900px">wide</div></main>'
        "<script>fetch('http://cdn.invalid/x.js').catch(() => 0); nothing()</script></html>"
    )
    (tmp_path / "good.html").write_text(
        '<!doctype html><html lang="en"><title>Good</title><main><h1>Good</h1></main></html>'
    )
    with web.browser(tmp_path) as (chrome, root):
        bad, good = (web.visit(chrome, root, f"{name}.html") for name in ("bad", "good"))
    assert bad.foreign == ["http://cdn.invalid/x.js"]
    assert any("gone.png" in line for line in bad.failed)
    assert any("nothing is not defined" in line for line in bad.errors)
    found = [line.split()[1] for line in bad.violations]
    assert {"image-alt", "color-contrast"} <= set(found)
    assert bad.phone_width > 390
    assert bad.megabytes > 0.0001
    assert not good.violations
    assert not good.foreign
    assert good.phone_width == 390
