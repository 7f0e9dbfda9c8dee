"""Exercises with one source: the solution, from which the stub is generated.

In a section "Exercises" each exercise has, in this order: a task in words; a code cell tagged
`exercise`, the stub; a code cell tagged `check-answer`; words and a code cell tagged `solution`.
The solution's code up to `exercises.check(...)`, with the lines between `# BEGIN ANSWER` and
`# END ANSWER` taken out, is the stub; what follows the call may show more, such as a table.

A program to mend is an exercise, too. Its answer begins with comment lines `# WAS: ...`: they are
the faulty lines, and what the student gets in the answer's place instead of `...`.

Wrong answers, `tests/notebooks/wrong_answers/NN.py`, name for each exercise a distinctive part of
the hint and the lines that a student may have written instead of the answer:
`WRONG = {"1": [("part of the hint", "lines"), ...], ...}`.
"""

from __future__ import annotations

import ast
import re
import runpy
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

NO_EXERCISES = {"00"}
WRONG_ANSWERS = Path(__file__).parent / "notebooks" / "wrong_answers"
FEWEST, MOST = 2, 4  # exercises in a notebook, not counting programs to mend
FEWEST_WRONG = 2  # wrong answers to an exercise
HERE = "...  # your code here"
BEGIN, END = "# BEGIN ANSWER", "# END ANSWER"
BLOCK = re.compile(rf"^( *){BEGIN}\n(.*?)^\1{END}\n", re.MULTILINE | re.DOTALL)
WAS = re.compile(r"^ *# WAS: ?(.*)\n", re.MULTILINE)
CALL = re.compile(r'^exercises\.check\("(\w+)", (\w+), ([\w, ]+)\)$', re.MULTILINE)
TASK = re.compile(r"^\*\*(\w+)\*\* \((easy|medium|hard), \d+ minutes\)\. \S", re.MULTILINE)
ROLES = ("exercise", "check-answer", "solution")

WrongAnswers = Mapping[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class Exercise:
    """The cells of one exercise."""

    name: str
    stub: NotebookNode
    check: NotebookNode
    solution: NotebookNode


def role(cell: NotebookNode) -> str:
    """Which of an exercise's three code cells this is; empty for any other cell."""
    tags = cell.metadata.get("tags", []) if cell.cell_type == "code" else []
    return next((role for role in ROLES if role in tags), "")


def exercises(notebook: NotebookNode) -> list[Exercise]:
    """The exercises of a notebook; only whole ones, `problems` names what others lack."""
    cells = [cell for cell in notebook.cells if role(cell)]
    trios = zip(cells, cells[1:], cells[2:], strict=False)
    found = [trio for trio in trios if tuple(map(role, trio)) == ROLES]
    return [Exercise(_called(trio[1])[0], *trio) for trio in found]


def _call(cell: NotebookNode) -> str:
    match = CALL.search(cell.source)
    return match[0] if match else ""


def _called(cell: NotebookNode) -> tuple[str, str, str]:
    """Name, check and answers of a cell's `exercises.check(...)`; empty ones without it."""
    match = CALL.search(cell.source)
    return (match[1], match[2], match[3]) if match else ("", "", "")


def asked(solution: str) -> str:
    """The part of a solution that asks the student for the answer: all before the check's call."""
    match = CALL.search(solution)
    return (solution[: match.start()] if match else solution).rstrip() + "\n"


def stub(solution: str) -> str:
    """The student's cell out of the solution's.

    Of a program to mend it has the faulty lines. Otherwise the answer's place is kept by `...`
    inside a function; outside, each name that the check asks for and the answer gives becomes
    `name = ...`.
    """
    answers = _called(NotebookNode(source=solution))[2].split(", ")

    def emptied(match: re.Match[str]) -> str:
        if faulty := WAS.findall(match[2]):
            return "".join(f"{match[1]}{line}\n" if line else "\n" for line in faulty)
        given = {n.id for n in ast.walk(ast.parse(textwrap.dedent(match[2]))) if _is_target(n)}
        names = [] if match[1] else [name for name in answers if name in given]
        lines = [f"{name} = {HERE}" for name in names] or [HERE]
        return "".join(f"{match[1]}{line}\n" for line in lines)

    return BLOCK.sub(emptied, asked(solution)).rstrip()


def is_to_mend(exercise: Exercise) -> bool:
    """Whether the student gets a program with a fault, and not a place to fill."""
    return bool(WAS.search(exercise.solution.source))


def _is_target(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def with_answer(solution: str, answer: str) -> str:
    """The student's cell with `answer` in the place of the solution's lines."""
    lines = textwrap.dedent(answer).strip("\n") + "\n"
    return BLOCK.sub(lambda match: textwrap.indent(lines, match[1]), asked(solution)).rstrip()


def generate(notebook: NotebookNode) -> None:
    """Write every stub of a notebook from its solution, and fold what is to be folded."""
    for exercise in exercises(notebook):
        exercise.stub.source = stub(exercise.solution.source)
        for cell in (exercise.check, exercise.solution):
            cell.metadata["jupyter"] = {"source_hidden": True}


def wrong_answers(name: str, folder: Path = WRONG_ANSWERS) -> WrongAnswers:
    """The prepared wrong answers to a notebook's exercises; none when there is no file."""
    path = folder / f"{name[:2]}.py"
    return runpy.run_path(str(path))["WRONG"] if path.exists() else {}


def problems(notebook: NotebookNode, name: str) -> list[str]:
    """What is wrong with a notebook's exercises, one sentence per fault."""
    if name[:2] in NO_EXERCISES:
        return []
    found = exercises(notebook)
    faults = [*_whole(notebook, found)]
    for exercise in found:
        faults += [f"exercise {exercise.name}: {fault}" for fault in _faults(exercise)]
    return faults


def _whole(notebook: NotebookNode, found: list[Exercise]) -> Iterator[str]:
    written = [exercise for exercise in found if not is_to_mend(exercise)]
    if (written or not found) and not FEWEST <= len(written) <= MOST:
        yield f"{len(written)} checked exercises; {FEWEST} to {MOST} are wanted"
    cells = sum(role(cell) in ROLES for cell in notebook.cells)
    if cells != 3 * len(found):
        yield (
            f"{cells} cells of exercises, {len(found)} whole exercises: each has an `exercise`, "
            f"a `check-answer` and a `solution` cell, in this order"
        )
    tasks = [m[1] for c in notebook.cells if c.cell_type == "markdown" for m in _tasks(c)]
    names = [exercise.name for exercise in found]
    if names != tasks or names != [str(k + 1) for k in range(len(names))]:
        yield (
            f"the tasks are numbered {tasks}, the checks {names}: number both 1, 2, ... and open "
            f"each task by `**1** (easy, 10 minutes). `"
        )


def _tasks(cell: NotebookNode) -> list[re.Match[str]]:
    return list(TASK.finditer(cell.source))


def _faults(exercise: Exercise) -> Iterator[str]:
    source = exercise.solution.source
    if len(BLOCK.findall(source)) != 1 or source.count(BEGIN) != 1 or source.count(END) != 1:
        yield f"the solution needs one answer between `{BEGIN}` and `{END}`"
    elif exercise.stub.source != stub(source):
        yield (
            "the stub is not what the solution gives: "
            "run `python tests/notebook_rules.py --fix` and execute"
        )
    if not _called(exercise.check)[0] or _called(exercise.check) != _called(exercise.solution):
        yield "check and solution do not have the same line `exercises.check(...)`"
    asserts = [n for n in ast.walk(ast.parse(exercise.check.source)) if isinstance(n, ast.Assert)]
    if not asserts or any(n.msg is None for n in asserts):
        yield "the check needs asserts, each with a hint as its message"
    for cell in (exercise.check, exercise.solution):
        shown = not cell.metadata.get("jupyter", {}).get("source_hidden")
        if shown or "hide-input" not in cell.metadata.get("tags", []):
            yield f"its {role(cell)} cell is not folded: tag it `hide-input`, then `--fix`"
    first = "not yet." if is_to_mend(exercise) else "not yet. The stub is"
    for cell, wanted in ((exercise.check, first), (exercise.solution, "right.")):
        if f"Exercise {exercise.name}: {wanted}" not in said(cell):
            yield f"its {role(cell)} cell does not say {wanted!r}, but {said(cell)[:90]!r}"
    if is_to_mend(exercise) and re.search("The stub is|Your code raises", said(exercise.check)):
        yield f"its program does not run, and a program to mend must: {said(exercise.check)[:90]!r}"


def said(cell: NotebookNode) -> str:
    """What a cell printed, in one line."""
    return " ".join("".join(o.get("text", "") for o in cell.outputs).split())


def wrong_problems(notebook: NotebookNode, wrong: WrongAnswers) -> list[str]:
    """What the prepared wrong answers to the checked exercises lack, before anybody runs them."""
    names = [exercise.name for exercise in exercises(notebook)]
    faults = [f"exercise {name} does not exist" for name in wrong if name not in names]
    for name in names:
        hints = [hint.lower() for hint, _ in wrong.get(name, [])]
        if len(hints) < FEWEST_WRONG:
            faults.append(f"exercise {name}: {len(hints)} wrong answers, {FEWEST_WRONG} are wanted")
        shared = [h for k, h in enumerate(hints) if any(h in g for g in hints[:k] + hints[k + 1 :])]
        faults += [f"exercise {name}: two wrong answers share the hint {h!r}" for h in shared]
    return faults


def attempts(notebook: NotebookNode, wrong: WrongAnswers) -> list[str]:
    """For each wrong answer, a cell that gives it and asks for the verdict."""
    return [
        f"{with_answer(exercise.solution.source, answer)}\n\n{_call(exercise.check)}"
        for exercise in exercises(notebook)
        for _, answer in wrong.get(exercise.name, [])
    ]


def misjudged(notebook: NotebookNode, wrong: WrongAnswers, told: Sequence[str]) -> list[str]:
    """The wrong answers whose verdict, in the order of `attempts`, is not their own hint alone."""
    faults, verdicts = [], iter(told)
    for exercise in exercises(notebook):
        hints = [hint for hint, _ in wrong.get(exercise.name, [])]
        told_now = said(exercise.check).lower()
        as_it_was = [hint for hint in hints if hint.lower() in told_now]
        faults += [f"exercise {exercise.name} says {h!r} before it is answered" for h in as_it_was]
        for hint in hints:
            words = next(verdicts, "")
            heard = [h for h in hints if h.lower() in words.lower()]
            if f"Exercise {exercise.name}: not yet." not in words or heard != [hint]:
                faults.append(f"exercise {exercise.name}, for {hint!r}, was told {words!r}")
    return faults
