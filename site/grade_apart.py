"""Grade submissions where they can reach nothing: no gradebook, no network, no process of others.

`python site/grade_apart.py COURSE LAB [STUDENT ...]` runs `nbgrader autograde` on one submission at
a time, in namespaces of Linux (`unshare`): the file system is read-only but for a fresh course
folder that holds this submission alone, the real course folder is empty, and whatever is left
running ends with it.  Then the marks, and nothing else, are written into the real gradebook.
What is still in reach: the lab's own hidden tests, and files that this user may read.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import labs

NAMESPACES = ["unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--fork"]
# $1: the folder that stays writable; $2: the one that vanishes; then the command.
INSIDE = """
refuse() { echo "$1 cannot be closed to submissions" >&2; exit 1; }
ip link set lo up  # the kernel talks to nbgrader over it
mount --bind "$1" "$1"
while read -r _ place _; do
    place=$(printf %b "$place")  # a space is written as an octal number
    case "$place" in "$1" | /proc* | /sys* | /dev*) continue ;; esac
    mount -o remount,bind,ro "$place" || refuse "$place"
done < /proc/self/mounts
mount -t tmpfs none "$2" || refuse "$2"
cd "$1/course" && shift 2 && exec "$@"
"""


def available() -> str:
    """Why submissions cannot be graded apart on this machine; empty if they can."""
    missing = [name for name in ("unshare", "ip", "mount") if not shutil.which(name)]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: util-linux, iproute2)"
    tried = subprocess.run([*NAMESPACES, "--mount-proc", "true"], capture_output=True, text=True)
    return tried.stderr.strip()


def grade(course: Path, lab: str, student: str, options: list[str]) -> str:
    """Grade one submission, note its marks in the course's gradebook, say what happened."""
    with tempfile.TemporaryDirectory(prefix="apart-") as folder:
        apart = Path(folder, "course")
        labs.make(apart, [course / "source" / lab / f"{lab}.ipynb"])
        handed_in = Path("submitted", student, lab)
        shutil.copytree(course / handed_in, apart / handed_in, symlinks=True)
        done = autograde(Path(folder), course, lab, options)
        if done.returncode:
            return f"{student}: NOT GRADED\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        executed = Path("autograded", student, lab)
        shutil.rmtree(course / executed, ignore_errors=True)
        shutil.copytree(apart / executed, course / executed, symlinks=True)
        return f"{student}: {transferred(apart, course, lab, student):g} points by tests"


def autograde(
    folder: Path, course: Path, lab: str, options: list[str]
) -> subprocess.CompletedProcess[str]:
    """Run nbgrader inside; all temporary files go into the folder that stays writable."""
    home = folder / "home"
    home.mkdir()
    places = dict.fromkeys(("HOME", "TMPDIR", "JUPYTER_RUNTIME_DIR", "XDG_CACHE_HOME"), str(home))
    nbgrader = [sys.executable, "-m", "nbgrader", "autograde", lab, *options]
    return subprocess.run(
        [*NAMESPACES, "--mount-proc", "sh", "-c", INSIDE, "sh", folder, course, *nbgrader],
        env=os.environ | places,
        capture_output=True,
        text=True,
        check=False,
    )


def transferred(apart: Path, course: Path, lab: str, student: str) -> float:
    """Write the marks into the course's gradebook, none above its maximum; return their sum."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{apart / 'gradebook.db'}") as book:
        grades = book.find_submission_notebook(lab, lab, student).grades
        found = {grade.name: grade.auto_score for grade in grades}
    total = 0.0
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        book.update_or_create_student(student)
        book.update_or_create_submission(lab, student)
        for grade in book.find_submission_notebook(lab, lab, student).grades:
            score = found.get(grade.name)
            grade.auto_score = None if score is None else min(max(score, 0), grade.max_score)
            grade.needs_manual_grade = score is None or grade.manual_score is not None
            total += grade.auto_score or 0
        book.db.commit()
    return total


def main(arguments: list[str] | None = None) -> int:
    """Grade the named submissions, or all; return 1 if one could not be graded."""
    parser = argparse.ArgumentParser(description="Grade submissions one by one, apart.")
    parser.add_argument("course", type=Path)
    parser.add_argument("lab")
    parser.add_argument("student", nargs="*")
    options, for_nbgrader = parser.parse_known_args(arguments)
    if reason := available():
        sys.exit(f"Submissions cannot be graded apart here: {reason}")
    course = options.course.resolve()
    present = sorted(path.parent.name for path in course.glob(f"submitted/*/{options.lab}"))
    failed = False
    for student in options.student or present:
        said = grade(course, options.lab, student, for_nbgrader)
        failed |= "NOT GRADED" in said
        print(said, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
