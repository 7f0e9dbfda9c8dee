"""Tell a student whether an answer is right, and if not, which mistake it looks like."""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

WIDTH = 88  # columns of a notebook on a small screen


@dataclass(frozen=True)
class Verdict:
    """What `check` found: whether the answer has `passed`, and the `words` that were printed."""

    passed: bool
    words: str

    def _ipython_display_(self) -> None:
        """A notebook shows nothing more, because the words are printed already."""


class _NothingThere(Exception):
    """An answer, or what it returns, is still the stub's."""


def check(name: str, check: Callable[..., str | None], *answers: Any) -> Verdict:
    """Print in one paragraph whether `answers` pass the asserts of `check`, and return it.

    Args:
        name: The exercise's number, for the first words.
        check: A function with one parameter for each answer, named like it.  It asserts; the
            message of an assert is the hint that a student reads when it fails.  What it returns,
            if anything, is said when the answer is right.
        answers: What the student wrote, functions or values.  A function gets copies of its
            arrays, tables, lists and dictionaries, so that it cannot spoil what the notebook
            still needs.

    Returns:
        The verdict.  Nothing is raised for a wrong answer, an unfinished one, or one that fails:
        a notebook that is run as a whole goes on.

    Raises:
        TypeError: `check` does not have one parameter for each answer.
    """
    names = list(inspect.signature(check).parameters)
    if len(names) != len(answers):
        raise TypeError(
            f"{check.__name__} has the parameters ({', '.join(names)}), and {len(answers)} "
            f"answer(s) were given: give one answer for each parameter"
        )
    passed, words = _judge(check, dict(zip(names, answers, strict=True)))
    words = " ".join(f"Exercise {name}: {'right' if passed else 'not yet'}. {words}".split())
    print(textwrap.fill(words, WIDTH, break_long_words=False, break_on_hyphens=False))
    return Verdict(passed, words)


def _judge(check: Callable[..., str | None], answers: dict[str, Any]) -> tuple[bool, str]:
    failures: list[tuple[Exception, int]] = []
    try:
        handed = [_handed(name, answer, failures) for name, answer in answers.items()]
        return True, _sentence(check(*handed) or "")
    except _NothingThere as gap:
        return False, (
            f"The stub is still there: {gap}. Write your lines where `...  # your code here` "
            f"stands, run that cell, then this one."
        )
    except Exception as error:
        of_answer = [line for failure, line in failures if failure is error]
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        if of_answer:
            return False, f"Your code raises {said} (line {of_answer[0]})."
        if isinstance(error, AssertionError):
            return False, _sentence(str(error))
        if isinstance(error, NameError):
            return False, f"Run the cells above first: the check raises {said}."
        return False, (
            f"Your answer has not the form that was asked for, so that comparing it raises {said}."
        )


def _handed(name: str, answer: Any, failures: list[tuple[Exception, int]]) -> Any:
    """An answer as the check gets it: functions guarded, values copied."""
    if not isinstance(answer, FunctionType):
        return _present(_copied(answer), f"`{name}` has no value yet")

    @functools.wraps(answer)
    def guarded(*arguments: Any, **named: Any) -> Any:
        try:
            result = answer(*_copied(arguments), **_copied(named))
        except Exception as error:
            failures.append((error, _line(error, answer)))
            raise
        return _present(result, f"`{name}` returns nothing yet")

    return guarded


def _present(value: Any, otherwise: str) -> Any:
    parts = value if isinstance(value, tuple | list) else [value]
    if value is None or any(part is ... for part in parts):
        raise _NothingThere(otherwise)
    return value


def _copied(value: Any) -> Any:
    """Arrays, tables and collections anew; models and what else cannot be copied cheaply as is."""
    if type(value) in (list, tuple):
        return type(value)(_copied(part) for part in value)
    if type(value) is dict:
        return {key: _copied(part) for key, part in value.items()}
    return value.copy() if hasattr(value, "copy") else value


def _line(error: Exception, answer: FunctionType) -> int:
    """The last line of the answer's own cell that ran before the error; 0 when there is none."""
    line, step = 0, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == answer.__code__.co_filename:
            line = step.tb_lineno
        step = step.tb_next
    return line


def _sentence(words: str) -> str:
    """Hints are written like any message: small, without a full stop.  A symbol stays as it is."""
    words = words.strip()
    if re.match("a |[a-z]{2}", words):
        words = words[0].upper() + words[1:]
    return words + ("" if words.endswith((".", "?", "!")) or not words else ".")
