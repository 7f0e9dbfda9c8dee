"""Commit the notebooks that students open into a git repository, for nbgitpuller to hand out.

`python site/handout.py FOLDER`; again after every change: a student's next click on the link merges
it into what they have written.  The labs are not in it, because their solutions are inside them.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[1]
FOR_STUDENTS = ("notebooks/*.ipynb", "LICENSE")
FIRST = "00_start_here.ipynb"
AUTHOR = ["-c", "user.name=The course", "-c", "user.email=course@localhost"]


def git(folder: Path, *words: str) -> str:
    """Run git in a folder; raises `subprocess.CalledProcessError` where git fails."""
    command = ["git", "-C", str(folder), *AUTHOR, *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def make(folder: Path, source: Path = ROOT) -> bool:
    """Bring the repository in a folder up to date; say whether anything has changed."""
    if not (folder / ".git").exists():
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "--quiet", "--initial-branch=main")
    for old in folder.glob("*.ipynb"):
        old.unlink()  # what is no longer part of the course
    for path in (path for pattern in FOR_STUDENTS for path in source.glob(pattern)):
        shutil.copy(path, folder)
    git(folder, "add", "--all")
    if not git(folder, "status", "--porcelain"):
        return False
    git(folder, "commit", "--quiet", "--message", "The notebooks of the course")
    return True


def link(folder: Path) -> str:
    """What stands behind a hub's address in the link for students: pull, then open the first."""
    where = {"repo": f"file://{folder}", "branch": "main", "targetpath": "course"}
    opened = {"urlpath": f"lab/tree/course/{FIRST}"}
    return f"/hub/user-redirect/git-pull?{urlencode(where | opened)}"


def main(arguments: list[str] | None = None) -> int:
    """Make the handout; return the exit status."""
    parser = argparse.ArgumentParser(description="Commit the notebooks for students.")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "handout")
    folder = parser.parse_args(arguments).folder.resolve()
    print(f"{folder}: {'committed' if make(folder) else 'nothing has changed'}")
    print(f"The link for students, behind the hub's address: {link(folder)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
