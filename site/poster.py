"""Take the picture of the README and of the site's first page out of the first notebook."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
POSTER = ROOT / "site" / "poster.png"


def first_picture(notebook: Path) -> bytes:
    """The first PNG among a stored notebook's outputs."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            if png := output.get("data", {}).get("image/png"):
                return base64.b64decode(png)
    raise ValueError(f"{notebook.name} holds no picture: execute it first (make store)")


if __name__ == "__main__":
    try:
        POSTER.write_bytes(first_picture(ROOT / "notebooks" / "00_start_here.ipynb"))
    except ValueError as error:
        sys.exit(str(error))
