"""Measures every method of the course and writes build/scoreboard.{csv,html}.

``python data/make_scoreboard.py`` runs all networks and, where all data are real, also rewrites
data/scoreboard.csv.  What is done is kept in build/scoreboard/, so an interrupted run goes on where
it stopped; ``--fresh`` forgets it.  ``--images 12`` tries it out, ``--network neu_gap`` runs one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from pathlib import Path

from xai_utils import scoreboard
from xai_utils.datasets import DATA
from xai_utils.evaluation import Scoreboard, draw, summary_html

BUILD = DATA.parent / "build"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure every method of the course.")
    parser.add_argument("--network", action="append", choices=scoreboard.NETWORKS)
    parser.add_argument("--images", type=int, help="only so many test images of each network")
    parser.add_argument("--fresh", action="store_true", help="forget partial results")
    options = parser.parse_args()
    kept = BUILD / "scoreboard" / (f"{options.images} images" if options.images else "whole")
    if options.fresh:
        shutil.rmtree(kept, ignore_errors=True)
    boards: list[Scoreboard] = []
    done: set[str] = set()
    real = True
    for network in options.network or scoreboard.NETWORKS:
        board = scoreboard.load(network)
        if board.network in done:  # synthetic steel stands in for the real plates
            continue
        done.add(board.network)
        real &= "embedded" not in board.test.source
        print(f"{board.network}: {len(board.test)} images, {board.test.source}", flush=True)
        started = time.perf_counter()
        boards.append(scoreboard.run(board, kept, options.images))
        print(f"{board.network}: {time.perf_counter() - started:.0f} s", flush=True)
    text = scoreboard.written(boards)
    replace(BUILD / "scoreboard.csv", text)
    replace(BUILD / "scoreboard.html", page(scoreboard.read(BUILD / "scoreboard.csv")))
    if real and not options.images and not options.network:
        replace(DATA / "scoreboard.csv", text)


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
