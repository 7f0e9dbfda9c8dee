"""The tables of the page on archives: what was measured, what happened, and what follows."""

from __future__ import annotations

import json
from typing import Any

from course_data import ROOT, Course

MEASURED = ROOT / "data" / "scale.json"
FAULTS = ROOT / "data" / "scale_faults.json"
MISSING = "This has not been measured yet; `python benchmarks/{}` does that."
WAYS = {  # of the step `overhead`
    "plain, 2 threads": "the plain call, two threads",
    "this process": "`explain_dataset` in this process, two threads",
    "1 x 2": "one worker, two threads",
    "1 x 1": "one worker, one thread",
    "2 x 1": "two workers, one thread each",
}
MANY = 1_000_000
WORKERS = (1, 2, 10, 100, 1000)


def _read(path: Any) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def overhead(course: Course) -> str:
    """What going through chunks and a cluster costs beside the plain call."""
    measured = _read(MEASURED)
    if "overhead" not in measured:
        return MISSING.format("scale.py")
    step = measured["overhead"]
    lines = [
        f"{step['images']} plates, Grad-CAM, warm; medians of {step['rounds']} rounds, in which "
        f"all ways took turns. The machine has {measured['machine']['cores']} cores, and its load "
        f"was {step['load']:.1f} at the end. Where the load is above the number of cores, wall "
        "time is shared with others' work, and processor time is the fairer measure.",
        "",
        "| way | seconds | beside the plain call | processor seconds | beside the plain call |",
        "|---|--:|--:|--:|--:|",
    ]
    for way, name in WAYS.items():
        wall, own = step["over_plain"][way], step["processor_over_plain"][way]
        lines.append(
            f"| {name} | {step['seconds'][way]:.2f} | {wall:.2f} | {step['processor'][way]:.2f} "
            f"| {own:.2f} |"
        )
    gain = step["two_workers_over_one"]
    two, one = (step["processor"][way] / step["seconds"][way] for way in ("2 x 1", "1 x 1"))
    lines += [
        "",
        f"Two workers of one thread each are {gain:.2f} times as fast as one of them. In that time "
        f"the machine gave the two and their client {two:.1f} cores, and the one {one:.1f}: more "
        "cannot be gained than it gives.",
    ]
    return "\n".join(lines)


def whole(course: Course) -> str:
    """Ten thousand plates from start to end, and where the time went."""
    measured = _read(MEASURED)
    runs = [measured[s] for s in ("grad_cam", "integrated_gradients") if s in measured]
    if not runs:
        return MISSING.format("scale.py")
    lines = [
        "| | " + " | ".join(run["method"] for run in runs) + " |",
        "|---|" + "--:|" * len(runs),
    ]
    rows = {
        "plates": lambda r: f"{r['images']:,}",
        "workers, one thread each": lambda r: str(r["workers"]),
        "start to end, seconds": lambda r: f"{r['seconds']:.0f}",
        "start $s$: cluster, TensorFlow, first look, seconds": lambda r: f"{_start(r):.0f}",
        "reading a chunk $r$, seconds": lambda r: f"{_chunk(r, 'read'):.3f}",
        "explaining an image $c$, milliseconds": lambda r: f"{1000 * _compute(r):.1f}",
        "writing a chunk $w$, seconds": lambda r: f"{_chunk(r, 'write'):.3f}",
        "images of a chunk $k$": lambda r: str(r["chunk"]),
        "most memory of a worker, MB": lambda r: f"{r['memory'] / 1e6:,.0f}",
        "the archive (float16), MB": lambda r: f"{r['bytes'] / 1e6:,.0f}",
        "load of the machine": lambda r: f"{r['load']:.1f}",
    }
    lines += [f"| {name} | {' | '.join(map(tell, runs))} |" for name, tell in rows.items()]
    return "\n".join(lines)


def _start(run: dict[str, Any]) -> float:
    return run["cluster"] + run["terms"]["start"]


def _chunk(run: dict[str, Any], term: str) -> float:
    return run["terms"][term] / -(-run["images"] // run["chunk"])


def _compute(run: dict[str, Any]) -> float:
    return run["terms"]["compute"] / run["images"]


def million(course: Course) -> str:
    """The formula with the measured terms, for a million images."""
    measured = _read(MEASURED)
    runs = [measured[s] for s in ("grad_cam", "integrated_gradients") if s in measured]
    if not runs or "dispatch" not in measured:
        return MISSING.format("scale.py")
    dispatch = measured["dispatch"]["seconds_a_chunk"]["Dask alone"]
    lines = [
        f"The scheduler needs $d$ = {1000 * dispatch:.1f} ms for a chunk (measured with "
        f"{measured['dispatch']['chunks']:,} chunks of nothing on two workers).",
        "",
        "| | "
        + " | ".join(f"{n:,} worker{'s' * (n > 1)}" for n in WORKERS)
        + " | $N^*$ | MB/s at $N^*$ |",
        "|---|" + "--:|" * (len(WORKERS) + 2),
    ]
    for run in runs:
        each = _chunk(run, "read") + run["chunk"] * _compute(run) + _chunk(run, "write")
        chunks = -(-MANY // run["chunk"])
        hours = [(_start(run) + chunks * max(each / n, dispatch)) / 3600 for n in WORKERS]
        most = each / dispatch
        traffic = run["chunk"] * (run["bytes_in"] + run["bytes"] / run["images"]) / dispatch
        told = " | ".join(f"{h:.1f} h" if h >= 1 else f"{60 * h:.1f} min" for h in hours)
        lines.append(f"| {run['method']} | {told} | {most:,.0f} | {traffic / 1e6:,.0f} |")
    return "\n".join(lines)


def faults(course: Course) -> str:
    """What befell real runs, and what became of them."""
    measured = _read(FAULTS)
    if not measured:
        return MISSING.format("scale_faults.py")
    lines = [
        f"{measured['images']} images in {measured['chunks']} chunks where nothing else is said.",
        "",
        "| fault | what the run did or said | chunks kept | done more than once | final archive |",
        "|---|---|--:|--:|---|",
    ]
    for fault in measured["faults"]:
        kept = "-" if fault["kept"] is None else fault["kept"]
        equal = "equal to the undisturbed one" if fault["equal"] else "**differs**"
        said = fault["said"].replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| {fault['name']} | {said} | {kept} | {fault['again']} | {equal} |")
    return "\n".join(lines)
