"""Let every fault of `tests/chunk_faults.py` happen to a run; write data/scale_faults.json.

``python benchmarks/scale_faults.py``: some minutes.  The tests ask the same functions whether what
became of it is right; this program keeps what they say, for the site's table.
"""

from __future__ import annotations

import datetime
import json
import sys
import tempfile
from pathlib import Path

from work import ROOT

from xai_utils._kept import write_whole

sys.path.insert(0, str(ROOT / "tests"))
import chunk_faults

RESULT = ROOT / "data" / "scale_faults.json"


def main() -> None:
    """One fault after the other, each in a folder of its own."""
    found = []
    for name, happen in chunk_faults.FAULTS.items():
        if name == "full_disk" and (problem := chunk_faults.small_disks()):
            print(f"{name}: not tried, no small disk can be mounted here: {problem}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            fault = happen(Path(folder))
        print(fault, flush=True)
        found.append(fault._asdict())
    about = {
        "date": datetime.date.today().isoformat(),
        "images": chunk_faults.N,
        "chunks": chunk_faults.CHUNKS,
    }
    write_whole(RESULT, json.dumps(about | {"faults": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
