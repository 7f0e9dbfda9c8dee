"""Command line of the course's library: figures, your own photo explained, a mirror, training."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


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
    _add_explain(commands)
    mirror = commands.add_parser(
        "mirror",
        help="collect the course's files into a folder that XAI_DATA_DIR can name",
        description="Copy every file that the course may use into one folder, from XAI_DATA_DIR, "
        "the cache or its pinned address, each checked; what is there and right is left alone. "
        "Ends with status 1 when a file could not be got.",
    )
    mirror.add_argument("folder", type=Path, metavar="FOLDER")
    mirror.add_argument("only", nargs="*", metavar="NAME", help="such as 'tables/*'; else all")
    train = commands.add_parser("train", help="train networks again; rewrite weights and cards")
    train.add_argument("names", nargs="*", metavar="NAME", help="networks; all if none is named")
    train.add_argument("--seeds", type=int, nargs="+", help="only these seeds")
    return top


def _add_explain(commands: Any) -> None:
    explain = commands.add_parser(
        "explain",
        help="explain a network's answer to a photo of yours",
        description="Explain a network's answer to a photo by several methods, and check each: is "
        "the answer lost when what a map marks is hidden?",
    )
    explain.add_argument("photo", metavar="PHOTO", help="a file, such as photo.jpg")
    explain.add_argument(
        "--model",
        required=True,
        help="mobilenetv2, mobilenet, squeezenet, vgg16, resnet50, inceptionv3; or a file .keras",
    )
    explain.add_argument(
        "--method",
        default="grad_cam,integrated_gradients",
        help="one or more, separated by commas, without spaces; an unknown one lists all "
        "(%(default)s)",
    )
    explain.add_argument("--out", default="explained.png", metavar="FILE", help="%(default)s")
    explain.add_argument("--target", metavar="CLASS", help="name or number; else the predicted one")
    explain.add_argument(
        "--fit",
        choices=["crop", "pad", "squeeze"],
        help="how a photo of other proportions than the network's input is shown to it: its "
        "middle, all of it between bands, or all of it distorted (crop; squeeze for your model)",
    )
    explain.add_argument("--layer", help="for methods that read one; else the last with maps")
    explain.add_argument(
        "--scale", help="what your model takes a pixel for: 0-1, 0-255, tf (-1 to 1), torch, caffe"
    )
    explain.add_argument("--classes", metavar="FILE", help="your model's classes, one a line")


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and do what it asks for."""
    top = parser()
    options, rest = top.parse_known_args(arguments)
    if rest:
        top.error(f"unrecognized arguments: {' '.join(rest)}{_comma_hint(options, rest)}")
    if options.command == "figure":
        from .figures import draw

        with _errors_in_a_line():
            for path in draw(options.ids, options.out):
                print(path)
    elif options.command == "explain":
        with _errors_in_a_line():
            _explain(options)
    elif options.command == "mirror":
        from ._mirror import collect

        with _errors_in_a_line():
            missing = collect(options.folder, options.only)
        if missing:
            sys.exit(1)
    else:
        _train(top, options)


def _comma_hint(options: argparse.Namespace, rest: list[str]) -> str:
    """What to write where methods were separated by spaces."""
    if options.command != "explain":
        return ""
    from .own_images import METHODS

    more = [name.strip(",") for name in rest]
    if not set(more) <= set(METHODS):
        return ""
    joined = ",".join([options.method.strip(","), *more])
    return f"; separate methods by commas, without spaces: --method {joined}"


@contextlib.contextmanager
def _errors_in_a_line() -> Iterator[None]:
    """End with status 1 and what is wrong, without a traceback."""
    try:
        yield
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped")


def _explain(options: argparse.Namespace) -> None:
    from . import own_images
    from ._own_models import class_number, known_classes
    from ._photos import load_photo

    # What is wrong with the command is said before TensorFlow is imported.
    methods = [name.strip() for name in options.method.split(",") if name.strip()]
    own_images.check_methods(methods)
    out = own_images.checked_out(options.out)
    photo = load_photo(options.photo)
    classes = known_classes(options.model, options.classes)
    if options.target is not None and classes is not None:
        class_number(options.target, classes)
    _progress(f"loading {options.model} ...")
    network = own_images.load_network(options.model, scale=options.scale, classes=options.classes)
    found = own_images.explain(
        photo,
        network,
        methods,
        target=options.target,
        layer=options.layer,
        fit=options.fit,
        progress=_progress,
    )
    print(f"{network.title} on {found.photo}: {found.title}, logit {found.logit:.1f}")
    print("most probable:", ", ".join(f"{best.name} {best.score:.1%}" for best in found.best))
    if found.fit:
        print(f"fit: {found.fit}")
    for name, remark in found.remarks.items():
        print(f"{name}: {remark}")
    print(found.save(out))


def _progress(line: str) -> None:
    """To the terminal, so that what is printed can be kept without it."""
    print(line, file=sys.stderr, flush=True)


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
