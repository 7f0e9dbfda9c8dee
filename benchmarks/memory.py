"""How much memory an explanation takes beyond its result: print one table.

Each method runs in a process of its own on the steel network: once to warm up, then on N images, on
4 N images, and on N images with four times the samples, steps or windows.  What is counted is the
high-water mark of the process above where it stood before the call, less the result.  A batch's
activations are in it always; independent of the work means that the numbers are about equal.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from run import align
from work import BUILD, FOLDER, ROOT, Item

MEGA = 1024**2
REPEAT = 3
AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "131072"}  # glibc gives large blocks back when they are freed
WORK: list[
    tuple[Item, dict[str, Any] | None]
] = [  # what is run, and what makes it four times finer
    (Item("saliency", "neu", 32), None),
    (Item("smooth_grad", "neu", 4, parameters={"samples": 16}), {"samples": 64}),
    (Item("integrated_gradients", "neu", 4, parameters={"steps": 16}), {"steps": 64}),
    (
        Item("occlusion", "neu", 2, parameters={"patch": 20, "stride": 20}),
        {"patch": 20, "stride": 10},
    ),
    (
        Item(
            "occlusion",
            "neu",
            2,
            parameters={"patch": 20, "stride": 20, "incremental": False},
            note="plain",
        ),
        {"patch": 20, "stride": 10, "incremental": False},
    ),
    (Item("rise", "neu", 2, parameters={"masks": 64}), {"masks": 256}),
    (Item("grad_cam", "neu", 32), None),
    (Item("guided_backprop", "neu", 32), None),
    (Item("lrp", "neu", 32, parameters={"rule": "epsilon"}, note="epsilon"), None),
    (Item("deep_lift", "neu", 32), None),
]


def high_water() -> int:
    """The most memory that this process has held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status")
    if status.is_file():  # unlike the number above it can be set back
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return peak if sys.platform == "darwin" else peak * 1024


def set_back() -> int:
    """Start a new high-water mark where the system can; returns where it stands."""
    gc.collect()
    with contextlib.suppress(OSError):  # else only growth above the highest mark so far is seen
        Path("/proc/self/clear_refs").write_text("5")
    return high_water()


def one(item: Item, finer: dict[str, Any] | None, images: int) -> dict[str, float]:
    """Megabytes beyond the result on N images, on 4 N, and on N with finer work."""
    import ours

    function = ours.find(item.method)
    model, data = ours.network(item.network)

    def grown(n: int, parameters: dict[str, Any]) -> float:
        copies = -(-n // len(data.images))
        x, classes = data.images.repeat(copies, axis=0)[:n], int(data.target[0])
        seen = []
        for _ in range(REPEAT):  # the least of some: allocators keep what they once had
            before = set_back()
            result = function(model, x, classes, **parameters)
            seen.append((high_water() - before - result.nbytes) / MEGA)
            del result
        return min(seen)

    found = {"N": grown(images, item.parameters), "4 N": grown(4 * images, item.parameters)}
    if finer is not None:
        found["4 x finer"] = grown(images, finer)
    return found


def in_process(item: Item, finer: dict[str, Any] | None, images: int) -> dict[str, Any]:
    """`one` in a process of its own."""
    order = json.dumps([item.as_json(), finer, images])
    paths = os.pathsep.join([str(Path(__file__).parent), str(ROOT)])
    done = subprocess.run(
        [sys.executable, __file__, "--one", order],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": "-1", **AT_ONCE},
    )
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1][:160]}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    """Measure, print, write."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--quick", action="store_true", help="half the images")
    options.add_argument("--only", nargs="+", metavar="METHOD", help="these methods only")
    options.add_argument("--one", help=argparse.SUPPRESS)
    options.add_argument("--json", type=Path, default=BUILD / "memory.json")
    chosen = options.parse_args()
    if chosen.one:
        item, finer, images = json.loads(chosen.one)
        print(json.dumps(one(Item(**item), finer, images)))
        return
    if not (FOLDER / "neu.npz").is_file():
        from work import prepare

        prepare()
    head = ["method", "N", "result MB", "N: MB", "4 N: MB", "4 x finer: MB"]
    rows, written = [head], {}
    for item, finer in WORK:
        if chosen.only and item.method not in chosen.only:
            continue
        images = max(1, item.images // 2) if chosen.quick else item.images
        found = in_process(item, finer, images)
        written[item.name] = {"images": images, **found}
        result = (
            images * 200 * 200 * 4 / MEGA if item.method != "grad_cam" else images * 2500 / MEGA
        )
        cells = [f"{found[k]:.0f}" if k in found else "-" for k in ("N", "4 N", "4 x finer")]
        rows.append([item.name, str(images), f"{result:.1f}", *cells])
        print(item.name, found, file=sys.stderr, flush=True)
    print(f"megabytes beyond the result, high-water mark of a process\n\n{align(rows, left=1)}")
    chosen.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
