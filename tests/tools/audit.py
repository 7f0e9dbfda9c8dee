"""Ask the package index which versions of the lock have known faults: `make audit`.

Every fault that is found must be mended by a newer version, or stand in `accepted.tsv` with the
reason why it does no harm here.  An entry that nothing asks for any more must go.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE.parents[1] / "requirements.lock"
ACCEPTED = HERE / "accepted.tsv"
COLUMNS = ["fault", "package", "why"]


def accepted() -> dict[tuple[str, str], str]:
    """Fault and package -> why it does no harm."""
    with ACCEPTED.open(encoding="utf-8", newline="") as file:
        first, *rows = csv.reader(file, delimiter="\t")
    if first != COLUMNS or not all(len(row) == 3 and all(row) for row in rows):
        raise ValueError(f"{ACCEPTED}: expected {', '.join(COLUMNS)} on every line, none empty")
    return {(fault, package): why for fault, package, why in rows}


def verdict(answer: str, known: dict[tuple[str, str], str]) -> tuple[list[str], bool]:
    """What pip-audit's JSON says beside what is accepted: lines, and whether all is well."""
    packages = json.loads(answer)["dependencies"]
    skipped = [p for p in packages if "skip_reason" in p]
    faults = {
        (fault["id"], p["name"]): (p["version"], ", ".join(fault["fix_versions"]) or "none yet")
        for p in packages
        for fault in p.get("vulns", [])
    }
    lines = [f"The index answered for {len(packages) - len(skipped)} of {len(packages)} packages."]
    lines += [f"no answer for {p['name']}: {p['skip_reason']}" for p in skipped[:3]]
    for (fault, name), (version, mended) in faults.items():
        why = known.get((fault, name))
        said = f"accepted: {why}" if why else "NOT ACCEPTED"
        lines.append(f"{name} {version}: {fault}, mended in {mended}; {said}")
    gone = [key for key in known if key not in faults]
    lines += [f"no longer found, take it out of {ACCEPTED.name}: {' '.join(key)}" for key in gone]
    return lines, not gone and not skipped and all(key in known for key in faults)


def main() -> int:
    """Ask, and say what was found: 0 nothing is left to do, 1 something is, 2 nobody knows."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--require-hashes"]
    command += ["--disable-pip", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        print(f"pip-audit got no answer:\n{done.stderr[-2000:]}")
        return 2
    lines, well = verdict(done.stdout, accepted())
    print("\n".join(lines))
    if lines[0].startswith("The index answered for 0 "):
        print("So nothing is known: ask again where the index itself, not a mirror, is reached.")
        return 2
    return int(not well)


if __name__ == "__main__":
    sys.exit(main())
