"""Command line of the course's library: figures on demand, your own photo explained, training."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The command line; nothing heavy is imported to say what there is."""
    top = argparse.ArgumentParser(prog="python -m xai_utils", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    figure = commands.add_parser(
        "figure",
        help="make figures of the articles, for print",
        description="Run the notebooks' cells that define these figures; write PNG (300 dpi), SVG "
        "where it is a plot, and a caption of each.",
    )
    figure.add_argument("ids", nargs="+", metavar="ID", help="such as C2; A0 to E10")
    figure.add_argument(
        "--out", type=Path, default=Path("build/figures"), metavar="FOLDER", help="%(default)s"
    )
    train = commands.add_parser("train", help="train networks again; rewrite weights and cards")
    train.add_argument("names", nargs="*", metavar="NAME", help="networks; all if none is named")
    train.add_argument("--seeds", type=int, nargs="+", help="only these seeds")
    return top


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and do what it asks for."""
    top = parser()
    options = top.parse_args(arguments)
    if options.command == "figure":
        from .figures import draw

        try:
            for path in draw(options.ids, options.out):
                print(path)
        except (ValueError, RuntimeError, OSError) as error:
            sys.exit(f"error: {error}")
    else:
        _train(top, options)


def _train(top: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    from .training import RECIPES, train_and_ship

    unknown = [name for name in options.names if name not in RECIPES]
    if unknown:
        top.error(f"unknown network {', '.join(unknown)}; known: {', '.join(RECIPES)}")
    for name in options.names or RECIPES:
        card = train_and_ship(name, options.seeds)
        print(f"{name}: test accuracy {card['test_accuracy_mean']:.4f}", flush=True)


if __name__ == "__main__":
    main()
