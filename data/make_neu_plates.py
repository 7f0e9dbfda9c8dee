"""Write `neu_overlaps.tsv` and `neu_plates.tsv`: which plates overlap, and who is on which side.

    XAI_DATA_DIR=... python data/make_neu_plates.py          takes some minutes

Reads `neu-det.zip` as `xai_utils.storage` finds it; the manifest's hashes are those of the plates
already listed in `neu_plates.tsv`, so another archive cannot slip in.  Both results are the same
every time.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xai_utils import _readers, datasets
from xai_utils.overlaps import Overlap, components, find_overlaps, split_by_component

HERE = Path(__file__).resolve().parent
PER_CLASS = {"test": 50, "validation": 25}


def random_split(labels: NDArray[np.int64], seed: int = 0) -> NDArray[np.str_]:
    """The usual split, blind to overlaps, with the same counts: ``(N,)``."""
    alone = np.arange(len(labels))  # every plate is a component of its own
    return split_by_component(labels, alone, PER_CLASS, seed=seed)


def write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    """Write a table of tab-separated values, whole or not at all."""
    partial = path.with_suffix(".part")
    with partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(header)
        table.writerows(rows)
    os.replace(partial, path)


def main() -> None:
    """Find the overlaps, make both splits, write both tables."""
    os.environ["XAI_DATA"] = "real"
    plates = _readers.neu_plates()
    neu = datasets.load_neu()
    found = find_overlaps(neu.images[..., 0], neu.labels)
    component = components(len(neu), [(o.a, o.b) for o in found])
    by_component = split_by_component(neu.labels, component, PER_CLASS)
    at_random = random_split(neu.labels)

    def row(o: Overlap) -> list[object]:
        numbers = [f"{o.correlation:.4f}", o.dy, o.dx, f"{o.difference:.2f}", f"{o.share:.3f}"]
        return [neu.names[o.a], neu.names[o.b], *numbers]

    header = ["a", "b", "correlation", "dy", "dx", "mean_abs_difference", "share"]
    write(HERE / "neu_overlaps.tsv", header, [row(o) for o in found])
    rows = [
        p | {"overlap_component": c, "component": s, "random": r}
        for p, c, s, r in zip(plates, component.tolist(), by_component, at_random, strict=True)
    ]
    write(HERE / "neu_plates.tsv", list(rows[0]), [list(r.values()) for r in rows])
    sizes = np.bincount(component)
    print(
        f"{len(found)} pairs of plates overlap; {len(sizes)} components, the largest of "
        f"{sizes.max()}; {int((sizes[component] > 1).sum())} plates have a partner",
        file=sys.stdout,
    )


if __name__ == "__main__":
    main()
