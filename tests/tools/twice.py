"""Execute notebooks twice, and say which outputs are not the same byte for byte.

    python tests/tools/twice.py [--threads 2 2] [WORDS of their names]

Texts and pictures are compared, but for the cells that show times, which say so by
`# NBVAL_IGNORE_OUTPUT`.  With another number of threads the second time, sums are rounded in
another order, so pictures may differ where the printed digits do not: `make matrix` compares those.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "site"), str(ROOT / "tests")]
import kernels  # noqa: E402
from notebook_comparison import IGNORED  # noqa: E402


def shown(run: kernels.Run) -> dict[int, tuple[str, str]]:
    """Code cell -> its texts and its pictures, each in one string."""
    found = {}
    for number, cell in enumerate(run.notebook.cells):
        if cell.cell_type != "code" or IGNORED.search(cell.source):
            continue
        outputs = json.loads(json.dumps(cell.outputs))
        pictures = [o["data"].pop(kind) for o in outputs for kind in [*o.get("data", {})]
                    if kind.startswith("image/")]  # fmt: skip
        for output in outputs:
            output.pop("execution_count", None)
        found[number] = (json.dumps(outputs, sort_keys=True), json.dumps(pictures))
    return found


def differences(path: Path, threads: list[int]) -> list[str]:
    """What is not the same in two executions of a notebook."""
    runs = [kernels.execute(path, os.environ | kernels.threads(count)) for count in threads]
    if failures := [run.failure for run in runs if run.failure]:
        return failures
    first, second = map(shown, runs)
    kinds = ("text", "picture")
    return [
        f"cell {number}: another {kind}"
        for number in first
        for kind, one, other in zip(kinds, first[number], second[number], strict=True)
        if one != other
    ]


def main() -> int:
    """Compare, notebook by notebook."""
    parser = argparse.ArgumentParser(description="Execute notebooks twice and compare.")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--threads", type=int, nargs=2, default=[2, 2])
    options = parser.parse_args()
    different = 0
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if options.words and not any(word in path.name for word in options.words):
            continue
        found = differences(path, options.threads)
        different += bool(found)
        print(f"{path.name}: {'; '.join(found) or 'the same'}", flush=True)
    return int(bool(different))


if __name__ == "__main__":
    sys.exit(main())
