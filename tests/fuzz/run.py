"""`make fuzz`: 10,000 examples by hypothesis, and ten minutes of atheris on the readers of files.

atheris has wheels for Linux only and is not part of the lock: it is installed, by its hashes, into
build/fuzz and leaves the environment as it is.  What it finds lies in build/fuzz/NAME; mend the
reader, and add the bytes to `readers._FOUND`, so that `make test` reads them ever after.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import readers

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "fuzz"
PACKAGES = BUILD / f"packages-{sys.version_info[0]}.{sys.version_info[1]}"
EXAMPLES = 10_000
# An input may take 20 s and 2 GB at the most: what takes more is a find, too.
LIMITS = ("-timeout=20", "-rss_limit_mb=2048", "-max_len=4096", "-print_final_stats=1")


def environment(**more: str) -> dict[str, str]:
    path = [str(p) for p in (ROOT, ROOT / "tests", PACKAGES)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path), "CUDA_VISIBLE_DEVICES": "-1"} | more


def properties() -> bool:
    """Draw 10,000 examples of the properties, say how many they were, and whether all held."""
    command = [sys.executable, "-m", "pytest", "-q", "--hypothesis-show-statistics"]
    command += ["-p", "no:cacheprovider", "tests/properties"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(HYPOTHESIS_PROFILE="fuzz"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    (BUILD / "properties.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    passing = sum(map(int, re.findall(r"(\d+) passing", done.stdout)))
    print(f"properties: {passing:,} examples held, see {BUILD / 'properties.txt'}")
    if done.returncode:
        print(done.stdout[-6000:], done.stderr[-2000:])
    return done.returncode == 0 and passing >= EXAMPLES


def install() -> None:
    """Bring atheris, by its hashes, beside the environment."""
    if (PACKAGES / "atheris").is_dir():
        return
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--target", str(PACKAGES)]
    command += ["--requirement", str(HERE / "requirements.txt")]
    subprocess.run(command, check=True)


def fuzz(name: str, seconds: int) -> bool:
    """Fuzz one reader, say how many files it read, and whether it stood."""
    folder = BUILD / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "corpus").mkdir(parents=True)
    for number, seed in enumerate([*readers.seeds(name), *readers.found(name)]):
        (folder / "corpus" / f"seed-{number}").write_bytes(seed)
    command = [sys.executable, str(HERE / "atheris_target.py"), name, str(folder / "corpus")]
    command += [*LIMITS, f"-max_total_time={seconds}", f"-artifact_prefix={folder}/"]
    with (folder / "log.txt").open("w") as log:
        done = subprocess.run(command, env=environment(), stdout=log, stderr=log, check=False)
    text = (folder / "log.txt").read_text(encoding="utf-8", errors="replace")
    runs = re.search(r"number_of_executed_units: (\d+)", text)
    verdict = "stood" if done.returncode == 0 else f"FELL, see {folder}"
    print(f"{name}: {int(runs[1]) if runs else 0:,} files in {seconds} s; {verdict}", flush=True)
    return done.returncode == 0


def main() -> int:
    """Run both and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="of atheris, all readers together")
    parser.add_argument("--only", choices=["properties", *readers.TARGETS])
    options = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    began, sound = time.monotonic(), True
    if options.only in (None, "properties"):
        sound &= properties()
    chosen = [n for n in readers.TARGETS if options.only in (None, n)]
    if chosen:
        install()
    for name in chosen:
        sound &= fuzz(name, max(1, options.seconds // len(chosen)))
    print(f"{'nothing found' if sound else 'FOUND'} in {time.monotonic() - began:.0f} s")
    return int(not sound)


if __name__ == "__main__":
    sys.exit(main())
