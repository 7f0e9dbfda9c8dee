"""Exercises are generated from their solutions, and each way of breaking one is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import exercise_rules as rules
import kernels
import notebook_rules

NAME = "99_sound"
STUB, CHECK, SOLUTION = 1, 2, 4  # places of the first exercise's cells

SOLUTIONS = {
    "1": '''
def total(page):
    """The sum of a page."""
    page = page[page > 0]
    # BEGIN ANSWER
    found = 0
    for value in page:
        found += value
    return found
    # END ANSWER


exercises.check("1", check_1, total)
print(total(page))''',
    "2": """
width = len(page)
# BEGIN ANSWER
half = width // 2
left, right = page[:half].sum(), page[half:].sum()
# END ANSWER
exercises.check("2", check_2, left, right)""",
}
STUBS = {
    "1": '''
def total(page):
    """The sum of a page."""
    page = page[page > 0]
    ...  # your code here''',
    "2": """
width = len(page)
left = ...  # your code here
right = ...  # your code here""",
}
CHECKS = {
    "1": """
def check_1(total):
    assert total(page) == 6, "the last pixel is missing"


exercises.check("1", check_1, total)""",
    "2": """
def check_2(left, right):
    assert left < right, "the halves are exchanged"


exercises.check("2", check_2, left, right)""",
}
WRONG = {
    "1": [("last pixel", "return sum(page[:-1])"), ("twice", "return 2 * sum(page)")],
    "2": [("exchanged", "left, right = 2, 1"), ("whole", "left = right = 6")],
}


def cell(source: str, output: str, *tags: str) -> NotebookNode:
    outputs = [new_output("stream", text=output)] if output else []
    return new_code_cell(source.strip(), outputs=outputs, metadata={"tags": list(tags)})


def sound() -> NotebookNode:
    """A notebook with two exercises and no fault."""
    cells = []
    for name, solution in SOLUTIONS.items():
        not_yet = f"Exercise {name}: not yet. The stub is\nstill there.\n"
        right = f"Exercise {name}: right.\n"
        cells += [
            new_markdown_cell(f"**{name}** (easy, 10 minutes). Do it."),
            cell(STUBS[name], "", "exercise"),
            cell(CHECKS[name], not_yet, "check-answer", "hide-input"),
            new_markdown_cell("<details>So.</details>", metadata={"tags": ["solution"]}),
            cell(solution, right, "solution", "hide-input"),
        ]
    notebook = new_notebook(cells=cells)
    rules.generate(notebook)
    return notebook


def replaced(place: int, old: str, new: str) -> Callable[[NotebookNode], None]:
    def spoil(notebook: NotebookNode) -> None:
        assert old in notebook.cells[place].source
        notebook.cells[place].source = notebook.cells[place].source.replace(old, new)

    return spoil


def tagged(place: int, *tags: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[place].metadata.update(tags=list(tags))


def printed(place: int, text: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[place].outputs[0].update(text=text)


def without(place: int) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells.pop(place)


def both(*spoils: Callable[[NotebookNode], None]) -> Callable[[NotebookNode], None]:
    def spoil(notebook: NotebookNode) -> None:
        for each in spoils:
            each(notebook)

    return spoil


SPECIMENS: dict[str, tuple[Callable[[NotebookNode], None], str]] = {
    "stub edited by hand": (replaced(STUB, "...  #", "return 0  #"), "not what the solution gives"),
    "solution edited alone": (replaced(SOLUTION, "(page):", "(p):"), "not what the solution gives"),
    "no markers": (replaced(SOLUTION, "# BEGIN ANSWER", "# here"), "between `# BEGIN ANSWER`"),
    "a second answer": (
        replaced(SOLUTION, "# END ANSWER", "# END ANSWER\n    # BEGIN ANSWER\n    # END ANSWER"),
        "one answer between",
    ),
    "no hint": (replaced(CHECK, ', "the last pixel is missing"', ""), "each with a hint"),
    "no assert": (replaced(CHECK, "assert total(page) == 6, ", ""), "needs asserts"),
    "check of another answer": (replaced(CHECK, "_1, total)", "_1, page)"), "the same line"),
    "open check": (tagged(CHECK, "check-answer"), "check-answer cell is not folded"),
    "open solution": (
        lambda nb: nb.cells[SOLUTION].metadata.pop("jupyter"),
        "solution cell is not folded",
    ),
    "stub that passes": (printed(CHECK, "Exercise 1: right.\n"), "does not say 'not yet."),
    "stub that fails otherwise": (
        printed(CHECK, "Exercise 1: not yet. Your code raises NameError.\n"),
        "does not say 'not yet. The stub is'",
    ),
    "solution that fails": (printed(SOLUTION, "Exercise 1: not yet. No.\n"), "not say 'right.'"),
    "task without minutes": (replaced(0, ", 10 minutes", ""), "open each task by"),
    "numbers exchanged": (replaced(5, "**2**", "**3**"), "number both 1, 2"),
    "too many": (lambda nb: nb.cells.extend(more()), "5 checked exercises; 2 to 4"),
}


def more() -> list[NotebookNode]:
    """Exercises 3 to 5."""
    cells = []
    for name in "345":
        for each in copy.deepcopy(sound().cells[:5]):
            each.source = each.source.replace('"1"', f'"{name}"').replace("**1**", f"**{name}**")
            for output in each.get("outputs", []):
                output.text = output.text.replace("1", name)
            cells.append(each)
    return cells


def test_a_sound_notebook_passes() -> None:
    assert rules.problems(sound(), NAME) == []
    assert rules.wrong_problems(sound(), WRONG) == []


def test_the_stub_is_the_solution_without_the_answer() -> None:
    for name, solution in SOLUTIONS.items():
        assert rules.stub(solution.strip()) == STUBS[name].strip()
        compile(rules.stub(solution), name, "exec")


@pytest.mark.parametrize("name", SPECIMENS)
def test_each_fault_is_found_and_nothing_else(name: str) -> None:
    spoil, sentence = SPECIMENS[name]
    notebook = sound()
    spoil(notebook)
    found = rules.problems(notebook, NAME)
    assert len(found) == 1, found
    assert sentence in found[0]


def test_a_missing_check_is_found() -> None:
    notebook = sound()
    del notebook.cells[CHECK]
    found = "\n".join(rules.problems(notebook, NAME))
    assert "1 checked exercises; 2 to 4 are wanted" in found
    assert "5 cells of exercises, 1 whole exercises" in found


def test_without_checked_exercises_a_notebook_is_refused() -> None:
    assert len(rules.problems(new_notebook(cells=[]), NAME)) == 1
    assert rules.problems(new_notebook(cells=[]), "00_start_here") == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"1": WRONG["1"][:1]}, "exercise 1: 1 wrong answers, 2 are wanted"),
        ({"1": []}, "exercise 1: 0 wrong answers"),
        ({"1": [("last pixel", "a"), ("pixel", "b")]}, "two wrong answers share the hint 'pixel'"),
        ({"1": [("last", "a"), ("last", "b")]}, "two wrong answers share the hint 'last'"),
        ({"3": WRONG["1"]}, "exercise 3 does not exist"),
    ],
)
def test_wrong_answers_that_prove_too_little(wrong: rules.WrongAnswers, sentence: str) -> None:
    found = rules.wrong_problems(sound(), {**WRONG, **wrong})
    assert any(sentence in fault for fault in found), found


def test_an_attempt_is_the_stub_with_a_wrong_answer_and_the_call() -> None:
    first, *_, last = rules.attempts(sound(), WRONG)
    assert first == (
        'def total(page):\n    """The sum of a page."""\n    page = page[page > 0]\n'
        '    return sum(page[:-1])\n\nexercises.check("1", check_1, total)'
    )
    assert last == (
        'width = len(page)\nleft = right = 6\n\nexercises.check("2", check_2, left, right)'
    )


VERDICTS = [
    f"Exercise {name}: not yet. See the {hint}." for name in WRONG for hint, _ in WRONG[name]
]


@pytest.mark.parametrize(
    ("place", "verdict", "sentence"),
    [
        (0, "Exercise 1: right.", "exercise 1, for 'last pixel', was told 'Exercise 1: right.'"),
        (0, VERDICTS[1], "exercise 1, for 'last pixel'"),
        (1, VERDICTS[1] + " Or last pixel.", "exercise 1, for 'twice'"),
        (2, "NameError: x", "exercise 2, for 'exchanged', was told 'NameError: x'"),
        (3, "", "exercise 2, for 'whole', was told ''"),
    ],
)
def test_a_wrong_answer_must_be_told_its_own_hint(place: int, verdict: str, sentence: str) -> None:
    assert rules.misjudged(sound(), WRONG, VERDICTS) == []
    told = [*VERDICTS[:place], verdict, *VERDICTS[place + 1 :]]
    (fault,) = rules.misjudged(sound(), WRONG, told)
    assert sentence in fault


def test_wrong_answers_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "99.py").write_text(f"WRONG = {WRONG!r}\n")
    assert rules.wrong_answers(NAME, tmp_path) == WRONG
    assert rules.wrong_answers("98_none", tmp_path) == {}


def test_fixing_writes_the_stub_and_folds_what_is_to_be_folded(tmp_path: Path) -> None:
    path, notebook = tmp_path / "99_sound.ipynb", sound()
    notebook.cells[STUB].source = "total = sum"
    for place in (CHECK, SOLUTION):
        del notebook.cells[place].metadata["jupyter"]
    nbformat.write(notebook, path)
    notebook_rules.main(["--fix", str(path)])
    fixed = nbformat.read(path, as_version=4)
    assert rules.problems(fixed, NAME) == []
    assert fixed.cells[STUB].source == STUBS["1"].strip()


MENDED = """
def total(page):
    found = 0
    # BEGIN ANSWER
    # WAS: for value in page[:-1]:
    # WAS:     found += value
    for value in page:
        found += value
    # END ANSWER
    return found


exercises.check("1", check_1, total)"""


def to_mend() -> NotebookNode:
    """A notebook with one program to mend and no fault of its own."""
    notebook = sound()
    del notebook.cells[5:]
    notebook.cells[SOLUTION].source = MENDED.strip()
    notebook.cells[CHECK].outputs[0].text = "Exercise 1: not yet. The last pixel is missing.\n"
    rules.generate(notebook)
    return notebook


def test_a_program_to_mend_is_given_as_it_was() -> None:
    notebook = to_mend()
    assert notebook.cells[STUB].source == (
        "def total(page):\n    found = 0\n    for value in page[:-1]:\n        found += value\n"
        "    return found"
    )
    assert rules.problems(notebook, NAME) == []


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (replaced(SOLUTION, "# WAS: for value in page[:-1]", "# WAS: for value in []"), "the stub"),
        (printed(CHECK, "Exercise 1: right.\n"), "does not say 'not yet.'"),
        (printed(CHECK, "Exercise 1: not yet. The stub is still there.\n"), "does not run"),
        (printed(CHECK, "Exercise 1: not yet. Your code raises TypeError.\n"), "does not run"),
    ],
)
def test_a_program_to_mend_that_is_no_exercise(
    spoil: Callable[[NotebookNode], None], sentence: str
) -> None:
    notebook = to_mend()
    spoil(notebook)
    (fault,) = rules.problems(notebook, NAME)
    assert sentence in fault


def test_the_fault_has_a_hint_of_its_own() -> None:
    wrong = {"1": [("last pixel", "return 0"), ("twice", "return 2 * sum(page)")]}
    told = [f"Exercise 1: not yet. See {hint}." for hint, _ in wrong["1"]]
    (fault,) = rules.misjudged(to_mend(), wrong, told)
    assert fault == "exercise 1 says 'last pixel' before it is answered"


LIVE = {
    "1": """
def total(page):
    # BEGIN ANSWER
    return sum(page)
    # END ANSWER


exercises.check("1", check_1, total)""",
    "2": """
# BEGIN ANSWER
best = max(page)
# END ANSWER
exercises.check("2", check_2, best)
print("best:", best)""",
}
LIVE_CHECKS = {
    "1": """
def check_1(total):
    found = total(page)
    assert found != 3, "the last one is missing"
    assert found == 7, f"the sum is 7, not {found}"


exercises.check("1", check_1, total)""",
    "2": """
def check_2(best):
    assert best != 2, "that is the place, not the value"
    assert best == 4, f"the largest is 4, not {best}"


exercises.check("2", check_2, best)""",
}
LIVE_WRONG = {
    "1": [("last one", "return sum(page[:-1])"), ("sum is 7", "page.clear()\nreturn sum(page)")],
    "2": [("the place", "best = page.index(max(page))"), ("largest is", "best = min(page)")],
}


def live(folder: Path, checks: dict[str, str]) -> tuple[Path, list[str]]:
    """A notebook that was not executed yet, and the attempts at its exercises."""
    cells = [new_code_cell("from xai_utils import exercises\n\npage = [1, 2, 4]")]
    for name, solution in LIVE.items():
        cells += [
            new_markdown_cell(f"**{name}** (easy, 10 minutes). Do it."),
            cell("by hand", "", "exercise"),
            cell(checks[name], "", "check-answer", "hide-input"),
            cell(solution, "", "solution", "hide-input"),
        ]
    notebook = new_notebook(cells=cells)
    rules.generate(notebook)
    nbformat.write(notebook, folder / "99_live.ipynb")
    return folder / "99_live.ipynb", rules.attempts(notebook, LIVE_WRONG)


def test_executed_exercises_keep_what_the_rules_ask(tmp_path: Path) -> None:
    path, attempts = live(tmp_path, LIVE_CHECKS)
    run = kernels.execute(path, None, attempts)
    assert run.failure is None
    assert rules.problems(run.notebook, NAME) == []
    assert rules.misjudged(run.notebook, LIVE_WRONG, run.told) == []


def test_a_check_that_has_lost_an_assert_is_found_by_execution(tmp_path: Path) -> None:
    hint = '    assert found != 3, "the last one is missing"\n'
    right = '    assert found == 7, f"the sum is 7, not {found}"\n'
    for lost, fault in ((hint, "for 'last one', was told"), (right, "for 'sum is 7', was told")):
        checks = LIVE_CHECKS | {"1": LIVE_CHECKS["1"].replace(lost, "")}
        path, attempts = live(tmp_path, checks)
        run = kernels.execute(path, None, attempts)
        assert rules.problems(run.notebook, NAME) == []
        (found,) = rules.misjudged(run.notebook, LIVE_WRONG, run.told)
        assert fault in found
