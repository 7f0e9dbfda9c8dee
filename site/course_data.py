"""What the course says about itself: its notebooks, its README's table, the times of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(r"^\| (\d\d) \| \[([^\]]+)\]\(notebooks/([^)]+)\) \| (.+) \|$", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\(notebooks/([^)#]+)(?:#[^)]*)?\)")


class Course:
    """The notebooks that become pages, and what is known about their execution."""

    def __init__(self, source: Path, build: Path) -> None:
        self.source = source
        self.cells = {
            path.stem: json.loads(path.read_text(encoding="utf-8"))["cells"]
            for path in sorted((source / "notebooks").glob("*.ipynb"))
        }
        times = build / "times.json"
        self.times = json.loads(times.read_text(encoding="utf-8")) if times.exists() else None

    @property
    def titles(self) -> dict[str, str]:
        """The first heading of each notebook, by name."""
        return {name: self._title(name) for name in self.cells}

    def _title(self, name: str) -> str:
        first = "".join(self.cells[name][0]["source"]) if self.cells[name] else ""
        return first.splitlines()[0].removeprefix("# ") if first else name

    def readme_rows(self) -> list[tuple[str, str, str, str]]:
        """Number, title, file and promise of each notebook in the README's table."""
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        return [tuple(row) for row in ROW.findall(readme)]  # type: ignore[misc]

    def notebooks_with(self, *calls: str) -> list[str]:
        """The notebooks whose code uses one of these names."""
        pattern = re.compile(rf"\b(?:{'|'.join(calls)})\b")
        return [
            name
            for name, cells in self.cells.items()
            if any(c["cell_type"] == "code" and pattern.search("".join(c["source"])) for c in cells)
        ]

    def links(self, names: list[str]) -> str:
        """Links to notebooks by their numbers."""
        return ", ".join(f"[{name[:2]}](notebooks/{name}.ipynb)" for name in names) or "none"

    def without_dead_links(self, text: str) -> str:
        """Leave the words of a link to a notebook that is not here."""

        def kept(match: re.Match[str]) -> str:
            return match[0] if match[2].removesuffix(".ipynb") in self.cells else match[1]

        return LINK.sub(kept, text)
