"""Time every method against the floor under it and against other libraries; print one table.

``python benchmarks/run.py [--quick] [--ours] [--only METHOD ...] [--rounds N]`` (``make bench``).
The *floor* is what cannot be saved: as many bare passes through the network as the method needs, in
one compiled function at the best batch size.  Ours, floor and peers take turns, so that a slow
moment of the machine meets all of them, and each ratio is the median over the rounds of the ratio
within a round.  A peer that is missing or breaks is named and does not stop the rest.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from environments import Worker
from work import BUILD, ITEMS, Item

PEERS = [("peers_keras", "tensorflow"), ("peers_torch", "torch")]
ROUNDS, QUICK_ROUNDS = 5, 2
RATIOS = "medians of seconds / floor; under 10 % a difference means nothing"


def measure(item: Item, workers: list[Worker], rounds: int) -> dict[str, Any]:
    """Seconds of each entry in each round, its ratio to the floor, or its error."""
    entries = [(w, e) for w in workers for e in w.entries_for(item.method)]
    if not item.peers:
        entries = [(w, e) for w, e in entries if e in ("ours", "floor")]
    line: dict[str, Any] = {"name": item.name, "bar": item.bar, "item": item.as_json()}
    seconds: dict[str, list[float]] = {}
    errors: dict[str, str] = {}
    for worker, entry in entries:
        reply = worker.work("warm", entry, item)
        if "error" in reply:
            errors[entry] = reply["error"]
        else:
            seconds[entry] = []
    for _ in range(rounds):
        for worker, entry in entries:
            if entry in errors:
                continue
            reply = worker.work("time", entry, item)
            if "error" in reply:
                errors[entry] = reply["error"]
                del seconds[entry]
            else:
                seconds[entry].append(reply["seconds"])
    floor = seconds.get("floor", [])
    line["seconds"] = {e: statistics.median(s) for e, s in seconds.items()}
    line["ratios"] = {
        e: statistics.median(a / b for a, b in zip(s, floor, strict=True))
        for e, s in seconds.items()
        if floor and e != "floor"
    }
    line["errors"] = errors
    return line


def table(lines: list[dict[str, Any]], entries: list[str]) -> str:
    """One row an item: the floor in milliseconds, and everybody's ratio to it."""
    rows = [["method", "passes", "floor ms", "ours", "bar", *entries]]
    for line in lines:
        item, ratios = Item(**line["item"]), line["ratios"]

        def cell(entry: str, line: Any = line, ratios: Any = ratios) -> str:
            if entry in line["errors"]:
                return "none" if "LookupError" in line["errors"][entry] else "breaks"
            return f"{ratios[entry]:.2f}" if entry in ratios else "-"

        floor = line["seconds"].get("floor")
        rows.append(
            [
                item.name,
                f"{item.total} {item.passes}",
                f"{1000 * floor:.0f}" if floor else "breaks",
                cell("ours") + over(line),
                f"{item.bar:.2f}" if item.bar else "-",
                *(cell(entry) for entry in entries),
            ]
        )
    return align(rows, left=2)


def align(rows: list[list[str]], left: int) -> str:
    """Rows of text as a table, the first ``left`` columns to the left, a rule under the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [c.ljust(w) for c, w in zip(row[:left], widths[:left], strict=True)]
        cells += [c.rjust(w) for c, w in zip(row[left:], widths[left:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def over(line: dict[str, Any]) -> str:
    """A mark behind a ratio that misses its bar."""
    ratio = line["ratios"].get("ours")
    return " !" if ratio and line["bar"] and ratio > line["bar"] else ""


def versions() -> dict[str, str]:
    """What the numbers depend on."""
    import importlib.metadata

    names = ("tensorflow", "keras", "numpy", "lime", "shap")
    return {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        **{name: importlib.metadata.version(name) for name in names},
    }


def start(modules: list[tuple[str, str]]) -> tuple[list[Worker], dict[str, str]]:
    """The workers, ours first, with networks and images written; and where the data come from."""
    ours = Worker("ours")
    reply = ours.ask("prepare")
    if "error" in reply:
        sys.exit(f"benchmarks: {reply['error']}")
    workers = [ours]
    for module, environment in modules:
        worker = Worker(module, environment)
        if worker.problem:
            print(f"{module}: {worker.problem}", flush=True)
        workers.append(worker)
    return workers, reply["sources"]


def main() -> None:
    """Measure, print, write."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--quick", action="store_true", help="little work, 2 rounds: does it run?")
    options.add_argument("--only", nargs="+", metavar="METHOD", help="these methods only")
    options.add_argument("--ours", action="store_true", help="floor and ours, without the peers")
    options.add_argument("--rounds", type=int, help=f"rounds to take the median of ({ROUNDS})")
    options.add_argument("--json", type=Path, default=BUILD / "bench.json", help="where to write")
    chosen = options.parse_args()
    items = [item for item in ITEMS if not chosen.only or item.method in chosen.only]
    if not items:
        options.error(f"--only: choose from {', '.join(sorted({i.method for i in ITEMS}))}")
    rounds = chosen.rounds or (QUICK_ROUNDS if chosen.quick else ROUNDS)

    began = time.perf_counter()
    workers, sources = start([] if chosen.ours else PEERS)
    lines = []
    for item in items:
        line = measure(item.quick() if chosen.quick else item, workers, rounds)
        lines.append(line)
        past = time.perf_counter() - began
        print(f"{past:5.0f} s  {item.name}", file=sys.stderr, flush=True)
    for worker in workers:
        worker.close()
    entries = [e for w in workers for e in w.entries if e not in ("ours", "floor")]
    print(table(lines, entries))
    print(f"\n{RATIOS}.  Median of {rounds}.  Data: {sources}.")
    for line in lines:
        for entry, error in line["errors"].items():
            print(f"{line['name']}, {entry}: {error.splitlines()[0][:160]}")
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    written = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "quick": chosen.quick,
        "rounds": rounds,
        "minutes": round((time.perf_counter() - began) / 60, 1),
        "versions": versions(),
        "problems": {w.module: w.problem for w in workers if w.problem},
        "data": sources,
        "lines": lines,
    }
    chosen.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
