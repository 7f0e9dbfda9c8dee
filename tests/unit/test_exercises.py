"""A verdict names the mistake, ends no notebook and lets no answer spoil what comes after."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from xai_utils import exercises

PAGE = np.arange(4.0)


def check_total(total: Any) -> str:
    found = total(PAGE)
    if found == PAGE.sum() - 1:  # an assert would have pytest's own words in its message
        raise AssertionError("one is missing: count the last pixel, too")
    if not np.isclose(found, PAGE.sum()):
        raise AssertionError(f"the sum is {PAGE.sum():.0f}, not {found:.0f}")
    return "the page holds 6"


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def verdict(answer: Any) -> str:
    return exercises.check("1", check_total, answer).words


def test_a_right_answer(capsys: pytest.CaptureFixture[str]) -> None:
    found = exercises.check("1", check_total, lambda page: page.sum())
    assert found.passed
    assert said(capsys) == found.words == "Exercise 1: right. The page holds 6."


def test_a_check_may_have_nothing_to_add() -> None:
    assert exercises.check("2b", lambda answer: None, 3).words == "Exercise 2b: right."


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("a map sums to 1", "A map sums to 1."),
        ("γ = 0 is LRP-0", "γ = 0 is LRP-0."),
        ("w (x - mean)", "w (x - mean)."),
        ("`f` is asked?", "`f` is asked?"),
    ],
)
def test_what_is_said_becomes_a_sentence(said: str, words: str) -> None:
    assert exercises.check("1", lambda answer: said, 3).words == f"Exercise 1: right. {words}"


def test_each_mistake_has_its_hint() -> None:
    assert verdict(lambda page: 5) == (
        "Exercise 1: not yet. One is missing: count the last pixel, too."
    )
    assert verdict(lambda page: 9) == "Exercise 1: not yet. The sum is 6, not 9."
    assert not exercises.check("1", check_total, lambda page: 9).passed


def total(page: Any) -> Any: ...


@pytest.mark.parametrize("stub", [total, lambda page: ..., lambda page: (1, ...)])
def test_a_stub_that_is_a_function(stub: Any) -> None:
    assert "not yet. The stub is still there: `total` returns nothing yet" in verdict(stub)


@pytest.mark.parametrize("stub", [..., None, [1, ...]])
def test_a_stub_that_is_a_value(stub: Any) -> None:
    assert "The stub is still there: `total` has no value yet. Write" in verdict(stub)


def test_an_answer_that_fails_says_where() -> None:
    def failing(page: Any) -> Any:
        return helper(page)

    def helper(page: Any) -> Any:
        raise ValueError("no such page")

    line = helper.__code__.co_firstlineno + 1
    assert verdict(failing) == (
        f"Exercise 1: not yet. Your code raises ValueError: no such page (line {line})."
    )
    # Deep inside a library, the line of the student's own cell counts.
    deep = verdict(lambda page: np.reshape(page, (3, 3)))
    assert f"(line {test_an_answer_that_fails_says_where.__code__.co_firstlineno + 12})" in deep


def test_an_assert_of_the_answer_is_no_hint() -> None:
    def failing(page: Any) -> Any:
        raise AssertionError

    assert "Your code raises AssertionError (line" in verdict(failing)


def test_a_check_may_ask_for_an_error() -> None:
    def refuses(answer: Any) -> None:
        try:
            answer(-1)
        except ValueError:
            return
        raise AssertionError("a negative number should be refused by a ValueError")

    assert exercises.check("1", refuses, lambda n: [0][:n] or int("x")).passed
    found = exercises.check("1", refuses, lambda n: n)
    assert found.words.endswith("not yet. A negative number should be refused by a ValueError.")


def test_an_answer_of_another_form_is_no_crash() -> None:
    assert "has not the form that was asked for" in verdict(lambda page: "six")
    assert "TypeError" in verdict(lambda page: "six")


def test_a_check_that_misses_an_earlier_cell_does_not_blame_the_answer() -> None:
    def check(answer: Any) -> None:
        assert answer == earlier  # type: ignore[name-defined]  # noqa: F821

    words = exercises.check("1", check, 3).words
    assert "Run the cells above first: the check raises NameError: name 'earlier'" in words


def test_an_answer_cannot_spoil_what_it_gets() -> None:
    pages, table = [np.ones(3), {"a": np.ones(2)}], pd.DataFrame({"a": [1.0]})

    def spoiling(pages: Any, *, table: Any) -> int:
        pages[0][:] = pages[1]["a"][:] = 0
        pages.clear()
        table.loc[0, "a"] = 0
        return 1

    def check(spoiling: Any, values: Any) -> None:
        spoiling(pages, table=table)
        values += 1

    values = np.zeros(2)
    assert exercises.check("1", check, spoiling, values).passed
    assert len(pages) == 2 and pages[0].all() and pages[1]["a"].all()  # type: ignore[index]
    assert table.loc[0, "a"] == 1 and not values.any()


def test_the_paragraph_is_narrow_and_a_notebook_shows_it_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = exercises.check("1", check_total, total)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= exercises.WIDTH
    assert found._ipython_display_() is None
    assert capsys.readouterr().out == ""


def test_a_check_that_asks_for_other_answers_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"parameters \(total\), and 2 answer"):
        exercises.check("1", check_total, total, total)
