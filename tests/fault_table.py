"""The faults that the course promises to survive, read from the marks of the tests that cause them.

A test that is marked `fault` makes one row of the table in tests/faults/README.md and on the site:

    @pytest.mark.fault(
        "Data: downloads and archives",  # the part of the table
        "A zip archive with `../` in a name",  # the fault
        sees="`ValueError`: ... has the unsafe name ...",  # what the user sees
        kept="nothing is unpacked, nothing outside the folder is touched",
        guard=("xai_utils/_archive.py", "if not safe(name):", "if False:"),
    )

The `guard` is what stands between the fault and the user: in that file the first text becomes the
second, and the test must fail.  `python tests/fault_table.py --remove-guards [WORDS]` tries that
for all rows, or for those whose fault has the words, each in a copy of the project;
`python tests/fault_table.py` writes the table anew.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tests" / "faults" / "README.md"
PATIENCE = 240  # seconds; a test that hangs without its guard has failed, too
HEAD = """# What can go wrong, and what then happens

Each row was made by a test that lets the fault happen, on real files, real processes and real
servers of this machine. `make test` runs them all; `make guards` takes away, row by row, the lines
that stand between the fault and the user, and asks whether the test notices.
"""


@dataclass(frozen=True)
class Row:
    """One fault."""

    part: str
    fault: str
    sees: str
    kept: str
    guard: tuple[str, str, str]
    test: str  # as pytest calls it

    def __post_init__(self) -> None:
        path, old, new = self.guard
        found = (ROOT / path).read_text(encoding="utf-8").count(old)
        if found != 1 or old == new:
            raise ValueError(
                f"{self.test}: the guard {old!r} is {found} times in {path}, and becomes {new!r};"
                " it must be there once, and change"
            )


def rows(folder: Path = ROOT / "tests") -> list[Row]:
    """All rows, part by part, in the order in which the parts and faults are met."""
    found = [row for path in sorted(folder.rglob("test_*.py")) for row in _rows_of(path)]
    parts = sorted(dict.fromkeys(row.part for row in found))
    return [row for part in parts for row in found if row.part == part]


def _rows_of(path: Path) -> Iterator[Row]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                said = {each.arg: ast.literal_eval(each.value) for each in mark.keywords}
                first = [ast.literal_eval(each) for each in mark.args]
                where = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
                yield Row(*first, test=f"{where.as_posix()}::{node.name}", **said)


def markdown(table: list[Row]) -> str:
    """The table, one for each part."""
    lines = [HEAD]
    for part in dict.fromkeys(row.part for row in table):
        lines += [
            f"## {part}",
            "",
            "| what happens | what you see | what is kept |",
            "|---|---|---|",
        ]
        lines += [f"| {r.fault} | {r.sees} | {r.kept} |" for r in table if r.part == part]
        lines += [""]
    return "\n".join(lines)


def noticed(row: Row) -> str:
    """What the row's test does in a copy of the project without the guard: "" if it passes."""
    path, old, new = row.guard
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "course")
        tracked = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, check=True,
        )  # fmt: skip
        for name in filter(None, tracked.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        broken = (copy / path).read_text(encoding="utf-8").replace(old, new)
        (copy / path).write_text(broken, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", row.test]
        environment = os.environ | {"PYTHONPATH": str(copy), "CI": ""}
        try:
            done = subprocess.run(
                command, cwd=copy, env=environment, capture_output=True, text=True,
                timeout=PATIENCE, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "hangs"
    failed = re.search(r"^E +(.+)", done.stdout, re.MULTILINE)
    if done.returncode == 1:
        return failed[1] if failed else "fails"
    if done.returncode == 0 and " passed" in done.stdout:
        return ""
    raise RuntimeError(f"{row.test} did not run: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def remove_guards(chosen: list[Row], at_once: int) -> int:
    """Take the guards away one at a time, and say what each test does; the number unnoticed."""
    unnoticed = 0
    with ThreadPoolExecutor(at_once) as pool:
        for row, failure in zip(chosen, pool.map(noticed, chosen), strict=True):
            print(f"{row.fault}\n    {failure[:100] or 'NOT NOTICED by ' + row.test}", flush=True)
            unnoticed += not failure
    print(f"{len(chosen) - unnoticed} of {len(chosen)} removed guards were noticed.")
    return unnoticed


def main() -> int:
    """Write the table, or try the guards."""
    parser = argparse.ArgumentParser(description="The table of faults.")
    parser.add_argument("--remove-guards", nargs="?", const="", metavar="WORDS")
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    if options.remove_guards is None:
        TABLE.write_text(markdown(rows()), encoding="utf-8")
        return 0
    chosen = [row for row in rows() if options.remove_guards.lower() in row.fault.lower()]
    return int(bool(remove_guards(chosen, options.at_once)))


if __name__ == "__main__":
    sys.exit(main())
