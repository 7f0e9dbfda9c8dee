"""Cards of data sets and of trained networks, from the lists and cards in data/."""

from __future__ import annotations

import collections
import csv
import json
from pathlib import Path
from typing import Any

from course_data import ROOT, Course

DATA = ROOT / "data"
USED_BY = {  # file of the registry -> the calls that read it
    "neu-det.zip": ("load_neu", "load_or_train"),
    "mnist.npz": ("load_mnist",),
    "tables/california_housing.csv": ("load_housing",),
    "tables/ai4i2020.csv": ("load_production",),
}


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def plates(course: Course) -> str:
    """The plates of NEU-DET: counts by class and part, and how far they overlap."""
    rows, pairs = _table(DATA / "neu_plates.tsv"), _table(DATA / "neu_overlaps.tsv")
    partnered = {name for pair in pairs for name in (pair["a"], pair["b"])}
    sheets = collections.Counter(row["overlap_component"] for row in rows)
    lines = [
        "| class | plates | train | validation | test | overlap another plate | sheets |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    classes = dict.fromkeys(row["name"].rpartition("_")[0] for row in rows)
    for name in (*classes, ""):
        own = [r for r in rows if not name or r["name"].rpartition("_")[0] == name]
        parts = collections.Counter(r["component"] for r in own)
        overlapping = sum(r["name"] in partnered for r in own)
        numbers = [len(own), parts["train"], parts["validation"], parts["test"], overlapping]
        numbers.append(len({r["overlap_component"] for r in own}))
        cells = " | ".join(f"{n:,}" for n in numbers)
        lines.append(f"| {name.replace('_', ' ') or '**all**'} | {cells} |")
    lines += [
        "",
        f"{len(pairs):,} pairs of plates show the same piece of steel; the largest group of plates "
        f"that hang together has {max(sheets.values())}. A *sheet* here is such a group, and the "
        "split keeps it on one side.",
    ]
    return "\n".join(lines)


def files(course: Course) -> str:
    """Every file that the course may fetch: what, terms, size, address, hash, who reads it."""
    registry = json.loads((DATA / "registry.json").read_text(encoding="utf-8"))
    lines = []
    for name, entry in registry.items():
        what = entry["what"].rstrip(".")
        lines += [
            f":::{{rubric}} {name}",
            ":::",
            "",
            f"{what}{'' if what.endswith('.') else '.'}",
            "",
        ]
        facts = {
            "licence": entry["licence"],
            "size": f"{entry['bytes'] / 1e6:,.1f} MB",
            "SHA-256": f"`{entry['sha256']}`" if entry.get("sha256") else "of its parts, see above",
        }
        if entry["urls"]:
            facts["address"] = "<br>".join(f"<{url}>" for url in entry["urls"])
        if name in USED_BY:
            facts["notebooks"] = course.links(course.notebooks_with(*USED_BY[name]))
        lines += [*_facts(facts), ""]
    return "\n".join(lines)


def licences(course: Course) -> str:
    """Under which terms the packages of the lock come, licence by licence."""
    packages = collections.defaultdict(list)
    for row in _table(DATA / "licences.tsv"):
        packages[row["licence"]].append(row["package"])
    lines = ["| licence | packages |", "|---|---|"]
    for licence, names in sorted(packages.items(), key=lambda item: -len(item[1])):
        lines.append(f"| {licence} | {len(names)}: {', '.join(names)} |")
    return "\n".join(lines)


def networks(course: Course) -> str:
    """The networks that were trained for the course: a table of all, then a card for each."""
    found = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((DATA / "weights").glob("*.json"))
    }
    lines = [
        "| network | data | parameters | test accuracy | weights |",
        "|---|---|--:|--:|---|",
    ]
    for name, card in found.items():
        link = f"[{name}](#{name.replace('_', '-')})"
        shipped = "shipped" if card["weights_shipped"] else "not shipped"
        lines.append(
            f"| {link} | {card['data']} | {card['parameters']:,} | {_accuracy(card)} | {shipped} |"
        )
    for name, card in found.items():
        lines += ["", *_network(name, card, course)]
    return "\n".join(lines)


def _accuracy(card: dict[str, Any]) -> str:
    mean, spread = card["test_accuracy_mean"], card["test_accuracy_spread"]
    several = f" ± {100 * spread:.1f}" if len(card["runs"]) > 1 else ""
    return f"{100 * mean:.1f}{several} %"


def _network(name: str, card: dict[str, Any], course: Course) -> list[str]:
    runs = card["runs"]
    recipe = ", ".join(
        f"{key.replace('_', ' ')} {_plain(value)}"
        for key, value in card["recipe"].items()
        if value not in ([], None)
    )
    architecture = f"models.{card['network']}"
    facts = {
        "architecture": f"{{py:obj}}`{architecture} <xai_utils.{architecture}>`",
        "data": f"{card['data']} ({card['source']}): "
        + ", ".join(f"{n:,} {part}" for part, n in card["images"].items()),
        "data's SHA-256": f"`{card['sha256_of_images_and_split']}`",
        "recipe": recipe,
        "trained": "; ".join(
            f"seed {r['seed']}: {r['seconds']:.0f} s, epoch {r['epoch']}, "
            f"{100 * r['test_accuracy']:.1f} %"
            for r in runs
        ),
        "versions": ", ".join(f"{k} {v}" for k, v in card["versions"].items()),
        "notebooks": course.links(course.notebooks_with(name)),
    }
    return [f"## {name}", "", *_facts(facts), "", *_by_class(runs[0])]


def _by_class(run: dict[str, Any]) -> list[str]:
    """Accuracy of each class; of a network that cheats also where its shortcut is gone."""
    columns = {"test": run["test_accuracy_by_class"]}
    if "deployment_accuracy_by_class" in run:
        columns["without the shortcut"] = run["deployment_accuracy_by_class"]
    rule = "|--:" * len(columns)
    lines = [f"| accuracy of class | {' | '.join(columns)} |", f"|---{rule}|"]
    for name in columns["test"]:
        cells = " | ".join(f"{100 * column[name]:.1f} %" for column in columns.values())
        lines.append(f"| {name.replace('_', ' ')} | {cells} |")
    return lines


def _facts(facts: dict[str, str]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {name} | {fact} |" for name, fact in facts.items())]


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)
