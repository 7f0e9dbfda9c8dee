"""Measures every method of the course and writes build/scoreboard.{csv,html}.

``python data/make_scoreboard.py`` runs all networks and, where all data are real, also rewrites
data/scoreboard.csv.  What is done is kept in build/scoreboard/, so an interrupted run goes on where
it stopped; ``--fresh`` forgets it.  ``--images 12`` tries it out, ``--network neu_gap`` runs one.

Much of the work is Python (ranks, masks), so two networks side by side with half of the cores each
are done sooner than one after the other with all of them: each is measured by a process of its own,
and this one then reads what they kept.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from xai_utils import scoreboard
from xai_utils.datasets import DATA, load_neu
from xai_utils.evaluation import Scoreboard, draw, summary_html

BUILD = DATA.parent / "build"
AT_ONCE = 2


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure every method of the course.")
    parser.add_argument("--network", action="append", choices=scoreboard.NETWORKS)
    parser.add_argument("--images", type=_count, help="only so many test images of each network")
    parser.add_argument("--fresh", action="store_true", help="forget partial results")
    parser.add_argument("--build", type=Path, default=BUILD, help="where results go")
    options = parser.parse_args()
    build: Path = options.build
    kept = build / "scoreboard" / (f"{options.images} images" if options.images else "whole")
    if options.fresh:
        shutil.rmtree(kept, ignore_errors=True)
    boards: list[Scoreboard] = []
    wanted = options.network or without_repeats()
    if len(wanted) > 1:
        few = ["--images", str(options.images)] if options.images else []
        if failed := side_by_side(wanted, [*few, "--build", str(build)]):
            sys.exit(
                f"Not measured: {', '.join(failed)} (see above); the next run takes it up there"
            )
    real = True
    for network in wanted:
        board = scoreboard.load(network)
        real &= "embedded" not in board.test.source
        print(f"{board.network}: {len(board.test)} images, {board.test.source}", flush=True)
        started = time.perf_counter()
        boards.append(scoreboard.run(board, kept, options.images))
        print(f"{board.network}: {time.perf_counter() - started:.0f} s", flush=True)
    text = scoreboard.written(boards)
    replace(build / "scoreboard.csv", text)
    replace(build / "scoreboard.html", page(scoreboard.read(build / "scoreboard.csv")))
    if real and not options.images and not options.network:
        replace(DATA / "scoreboard.csv", text)


def without_repeats() -> list[str]:
    """The networks; where synthetic steel stands in for the real plates, its own only."""
    stand_in = load_neu().masks is not None
    names = {n.replace("neu", "steel") if stand_in else n: n for n in scoreboard.NETWORKS}
    return list(names.values())


def _count(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError  # argparse says which option it was
    return number


def side_by_side(networks: list[str], options: list[str]) -> list[str]:
    """Measure each network in a process of its own, `AT_ONCE` at a time, with a share of the cores.

    Returns the networks whose process failed.
    """
    share = str(max(1, (os.cpu_count() or 1) // AT_ONCE))
    limits = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    shared = os.environ | dict.fromkeys(limits, share) | {"OMP_WAIT_POLICY": "PASSIVE"}

    def measured(numbered: tuple[int, str]) -> bool:
        line, network = numbered
        command = [sys.executable, __file__, "--network", network, *options]
        own = shared | {"TQDM_POSITION": str(line % AT_ONCE)}
        return subprocess.run(command, env=own).returncode == 0

    with ThreadPoolExecutor(AT_ONCE) as pool:
        fine = list(pool.map(measured, enumerate(networks)))
    return [network for network, good in zip(networks, fine, strict=True) if not good]


def page(board: Scoreboard) -> str:
    """A web page of its own: a figure and a table for each network."""
    parts = []
    for (data, network), own in board.groupby(["data", "network"], sort=False):
        metric = own["metric"].iloc[0]
        parts.append(f"<h2>{data}, {network}</h2>{svg(draw(own, metric))}{summary_html(own)}")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Scoreboard</title>'
        "<style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}"
        "td,th{padding:.3em .6em;border-bottom:1px solid #ddd;text-align:left}</style>"
        f"<h1>Scoreboard</h1>{''.join(parts)}</html>\n"
    )


def svg(figure: object) -> str:
    """A figure as a part of a page."""
    import io

    file = io.StringIO()
    figure.savefig(file, format="svg")  # type: ignore[attr-defined]
    text = file.getvalue()
    return text[text.index("<svg") :].replace("<svg ", '<svg role="img" aria-label="Ranking" ', 1)


def replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


if __name__ == "__main__":
    main()
