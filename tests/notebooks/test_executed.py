"""The committed notebooks executed again: they work, and say and show what is stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

import exercise_rules
import kernels
import notebook_rules as rules
from notebook_comparison import changed_claims, changed_figures

Execute = Callable[[Path], kernels.Run]


def test_it_works_on_embedded_data(notebook: Path, embedded: Execute) -> None:
    run = embedded(notebook)
    assert run.failure is None, run.failure
    assert "embedded" in run.data, f"{notebook.name} ran on {run.data}"
    found = exercise_rules.problems(run.notebook, notebook.stem)
    assert not found, f"{notebook.name}, executed again:\n" + "\n".join(found)


def test_it_works_on_real_data(notebook: Path, real: Execute) -> None:
    run = real(notebook)
    assert run.failure is None, run.failure
    assert "embedded" not in run.data, f"{notebook.name} ran on {run.data}"
    found = rules.problems(rules.normalise(run.notebook), notebook)
    assert not found, f"{notebook.name}, executed again:\n" + "\n".join(found)


def test_it_says_what_is_stored(
    notebook: Path, real: Execute, request: pytest.FixtureRequest
) -> None:
    found = list(changed_claims(request.session, notebook, real(notebook).notebook))
    assert not found, "\n".join(found)


def test_it_shows_what_is_stored(notebook: Path, real: Execute) -> None:
    stored = nbformat.read(notebook, as_version=4)
    found = list(changed_figures(notebook.name, stored, real(notebook).notebook))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("data", ["embedded", "real"])
def test_each_wrong_answer_gets_its_own_hint(
    notebook: Path, data: str, request: pytest.FixtureRequest
) -> None:
    """The stub's and the solution's verdicts stand in the executed notebook: see its rules."""
    run = request.getfixturevalue(data)(notebook)
    wrong = exercise_rules.wrong_answers(notebook.stem)
    found = exercise_rules.misjudged(run.notebook, wrong, run.told)
    assert not found, f"{notebook.name} on {data} data:\n" + "\n".join(found)
