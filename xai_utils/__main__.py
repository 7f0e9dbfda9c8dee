"""Command line: ``python -m xai_utils train [NAME ...]``."""

from __future__ import annotations

import argparse


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and do what it asks for."""
    parser = argparse.ArgumentParser(prog="python -m xai_utils", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train networks again; rewrite weights and cards")
    train.add_argument("names", nargs="*", metavar="NAME", help="networks; all if none is named")
    train.add_argument("--seeds", type=int, nargs="+", help="only these seeds")
    options = parser.parse_args(arguments)

    from .training import RECIPES, train_and_ship

    unknown = [name for name in options.names if name not in RECIPES]
    if unknown:
        parser.error(f"unknown network {', '.join(unknown)}; known: {', '.join(RECIPES)}")
    for name in options.names or RECIPES:
        card = train_and_ship(name, options.seeds)
        print(f"{name}: test accuracy {card['test_accuracy_mean']:.4f}", flush=True)


if __name__ == "__main__":
    main()
