"""Compare our maps with other libraries' on the same networks and images; print one table.

Each row states what was compared and how far apart the two may be: the largest difference of a
pixel as a share of the map's largest value, the worst of the images.  SmoothGrad draws noise, so
there the distance between the libraries is measured in distances between two seeds of ours: about
1 where both draw from one distribution.  The exit code is 1 where a row is beyond its tolerance.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from environments import Worker
from run import PEERS, align, start
from work import BUILD, FOLDER, Item

IMAGES = 4
ROUNDING = 1e-4
KINKS = "rounding moves a ReLU's kink across a point on the way"
BIASES = "another definition: captum keeps negative biases where weights are clipped"
POOLING = "captum's do not sum to f(x) - f(b) where max pooling falls (shap's and ours do)"
ABSOLUTE = "absolute values, as xplique gives no others"
PATCHES = {"mnist": {"patch": 4}, "neu": {"patch": 20}}
NOISE = {"samples": 200, "noise": 0.15}
Row = tuple[Item, str, float | None, str]  # item, peer, tolerance, remark


def rows() -> list[Row]:
    """Everything that two libraries define in the same way."""
    found: list[Row] = []

    def add(
        method: str,
        peers: str,
        remark: str = "",
        note: str = "",
        tolerance: float | None = ROUNDING,
        **parameters: Any,
    ) -> None:
        for network in PATCHES:
            own = {**parameters, **(PATCHES[network] if method == "occlusion" else {})}
            if method == "occlusion":
                own["stride"] = own["patch"] // (2 if "overlap" in note else 1)
            images = 2 if method == "occlusion" else IMAGES
            item = Item(method, network, images, parameters=own, note=note)
            found.extend((item, peer, tolerance, remark) for peer in peers.split())

    add("saliency", "captum")
    add("saliency", "xplique", ABSOLUTE)
    for method in ("input_x_gradient", "guided_backprop", "deconvnet"):
        add(method, "captum xplique")
    for rule in ("midpoint", "gauss-legendre"):
        add("integrated_gradients", "captum", KINKS, rule, 2e-3, steps=20, quadrature=rule)
    add("integrated_gradients", "xplique", note="trapezoid", steps=20, quadrature="trapezoid")
    add("occlusion", "captum", note="overlapping")
    add("occlusion", "captum xplique", "xplique sums where windows overlap, so none do", "tiles")
    add("grad_cam", "captum xplique", "before resizing", "layer size")
    add("lrp", "captum", "", "epsilon", rule="epsilon", epsilon=0.01)
    add("lrp", "captum", "captum with its biases set to zero", "z+", rule="z+")
    one_zero = {"rule": "alpha-beta", "alpha": 1.0, "beta": 0.0}
    add("lrp", "captum", BIASES, "alpha 1, beta 0", None, **one_zero)
    add("deep_lift", "shap")
    add("deep_lift", "captum", POOLING, tolerance=None)
    for peer in ("captum", "xplique"):
        item = Item("smooth_grad", "mnist", IMAGES, parameters=NOISE)
        found.append((item, peer, 1.1, "in distances between two seeds"))
    return found


def saved(worker: Worker, entry: str, item: Item) -> np.ndarray | str:
    """A library's maps, channels squeezed where there is one, or what went wrong."""
    file = FOLDER / "map.npy"
    reply = worker.work("save", entry, item, file=str(file))
    if "error" in reply:
        return str(reply["error"])
    values = np.load(file)
    return values[..., 0] if values.ndim == 4 and values.shape[-1] == 1 else values


def relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference as a share of the map's largest value, the worst of the images."""
    theirs = theirs[:, 0] if theirs.ndim == ours.ndim + 1 else theirs
    if ours.shape != theirs.shape:
        raise ValueError(f"shapes {ours.shape} and {theirs.shape}")
    axes = tuple(range(1, ours.ndim))
    scale = np.maximum(np.abs(theirs).max(axis=axes), np.finfo(np.float32).tiny)
    return float((np.abs(ours - theirs).max(axis=axes) / scale).max())


def statistical(ours: np.ndarray, other_seed: np.ndarray, theirs: np.ndarray) -> float:
    """The distance to the peer's map in units of the distance between two seeds of ours."""

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.sqrt(np.mean((a - b) ** 2)))

    return distance(ours, theirs) / distance(ours, other_seed)


def compare(item: Item, peer: str, workers: list[Worker], remark: str = "") -> float | str:
    """How far ours and a peer's are apart, or why that is not known."""
    worker = next((w for w in workers if peer in w.entries), None)
    if worker is None:
        return "; ".join(str(w.problem) for w in workers if w.problem)
    theirs = saved(worker, peer, item)
    mine = item
    if item.method == "smooth_grad":
        mine = replace(item, parameters={**item.parameters, "seed": 0})
    ours = saved(workers[0], "ours", mine)
    for result in (ours, theirs):
        if isinstance(result, str):
            return result
    assert not isinstance(ours, str) and not isinstance(theirs, str)
    if item.method != "smooth_grad":
        return relative(np.abs(ours) if remark == ABSOLUTE else ours, theirs)
    other = saved(workers[0], "ours", replace(item, parameters={**item.parameters, "seed": 1}))
    return other if isinstance(other, str) else statistical(ours, other, theirs)


def main() -> None:
    """Compare, print, write, and fail where a row does."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--only", nargs="+", metavar="METHOD", help="these methods only")
    options.add_argument("--json", type=Path, default=BUILD / "agreement.json")
    chosen = options.parse_args()
    workers, sources = start(PEERS)
    lines, head = [], ["method", "with", "difference", "tolerance", "", "remark"]
    for network in PATCHES:
        reply = workers[-1].ask(
            "call", function="logits_difference", arguments={"network": network}
        )
        lines.append(_line(f"logits {network}", "captum", reply, 1e-4, "the PyTorch copy"))
    for item, peer, tolerance, remark in rows():
        if not chosen.only or item.method in chosen.only:
            found = compare(item, peer, workers, remark)
            reply = {"error": found} if isinstance(found, str) else {"value": found}
            lines.append(_line(item.name, peer, reply, tolerance, remark))
            print(item.name, peer, found, file=sys.stderr, flush=True)
    for worker in workers:
        worker.close()
    text = [
        [
            line["name"],
            line["with"],
            f"{line['value']:.1e}" if line["value"] is not None else "-",
            f"{line['tolerance']:.1e}" if line["tolerance"] else "-",
            line["verdict"],
            line["error"] or line["remark"],
        ]
        for line in lines
    ]
    print(align([head, *text], left=6))
    print(f"\nData: {sources}")
    chosen.json.write_text(json.dumps({"data": sources, "lines": lines}, indent=1) + "\n")
    sys.exit(any(line["verdict"] == "DIFFERS" for line in lines))


def _line(name: str, peer: str, reply: Any, tolerance: float | None, remark: str) -> dict[str, Any]:
    value = reply.get("value")
    error = (reply.get("error") or "").split("\n")[0][:120]
    if value is None:
        verdict = "not compared"
    elif tolerance is None:
        verdict = "reported"
    else:
        verdict = "ok" if value <= tolerance else "DIFFERS"  # NaN differs
    return {
        "name": name,
        "with": peer,
        "value": value,
        "tolerance": tolerance,
        "verdict": verdict,
        "remark": remark,
        "error": error,
    }


if __name__ == "__main__":
    main()
