"""
Tests of `webworker_executor.wire.report`: the text is the standard library's.
"""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from tests.wire import broken
from tests.wire.crossing import raised
from webworker_executor.wire import report
from webworker_executor.wire.report import MAX_TEXT_NCHARS, failure_text, text_of

if TYPE_CHECKING:
    import pytest


def expected(exc: BaseException) -> str:
    """
    Return the standard library's text.
    """
    return "".join(traceback.format_exception(exc))


def sink(depth: int, exc: BaseException) -> None:
    """
    Raise an exception some frames down.
    """
    if depth:
        sink(depth - 1, exc)
    raise exc


def noted(exc: BaseException, notes: Any) -> BaseException:
    """
    Give an exception notes, odd ones too.
    """
    exc.__notes__ = notes
    return exc


leaves = st.one_of(
    st.builds(ValueError, st.text()),
    st.builds(KeyError, st.integers()),
    st.builds(broken.Silent, st.text()),
    st.builds(broken.Slotted, st.none()),
    st.builds(SystemExit, st.none()),
    st.builds(
        lambda name: AttributeError("a", name=name, obj=sys), st.sampled_from(["pathh", "x"])
    ),
    st.builds(lambda: SyntaxError("bad", ("nowhere.py", 1, 2, "a b", 1, 3))),
    st.builds(noted, st.builds(ValueError, st.text()), st.lists(st.text()) | st.just(5)),
)


def linked(exc: Exception, cause: Any, context: Any, hide: bool, depth: int) -> BaseException:
    """
    Link and raise an exception.
    """
    exc.__cause__, exc.__context__, exc.__suppress_context__ = cause, context, hide
    try:
        sink(depth, exc)
    except BaseException as error:
        return error
    raise AssertionError


trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(
            linked, leaves, st.none() | inner, st.none() | inner, st.booleans(), st.integers(0, 6)
        ),
        st.builds(BaseExceptionGroup, st.just("g"), st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=6,
)


@given(trees)
def test_text_equals_the_standard_librarys(exc: Any) -> None:
    """
    Whatever the tree, the text is what `traceback.format_exception` gives.
    """
    assert expected(exc) == failure_text(exc, exc.__traceback__)


def test_circles_are_told_as_the_standard_library_does() -> None:
    """
    A circle of causes or contexts ends where the standard library ends it.
    """
    first, second, third = [raised(ValueError(each)) for each in "abc"]
    first.__cause__, second.__cause__, third.__cause__ = second, third, second
    second.__context__, third.__context__ = first, first
    third.__suppress_context__ = False
    assert expected(first) == failure_text(first, first.__traceback__)


def test_chain_of_a_falsy_exception_is_told() -> None:
    """
    Where the standard library forgets the cause of an exception that is false, this text does not.
    """
    exc: Any = raised(broken.Falsy(), raised(KeyError("k")))
    text = failure_text(exc, exc.__traceback__)
    assert f"{expected(exc.__cause__)}\nThe above exception" in text
    assert text.endswith("\ntests.wire.broken.Falsy\n")


def test_repeated_lines_are_told_once() -> None:
    """
    The lines of a recursion are counted, not repeated.
    """
    for depth in (2, 3, 4, 9):
        exc: Any = linked(ValueError(depth), None, None, False, depth)
        assert expected(exc) == failure_text(exc, exc.__traceback__)


def test_a_long_chain_of_what_was_never_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Each link is told without the standard library, which looks at the rest of the chain for each.
    """
    exc = ValueError(0)
    for number in range(1, 100):
        above = ValueError(number)
        above.__context__ = exc
        exc = above
    text = expected(exc)
    monkeypatch.delattr(report, "_slowly")
    assert text == failure_text(exc, None)


def test_limit_of_the_user_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    `sys.tracebacklimit` shortens the text as it does elsewhere.
    """
    exc: Any = linked(ValueError("x"), None, None, False, 3)
    monkeypatch.setattr(sys, "tracebacklimit", 1, raising=False)
    assert expected(exc) == failure_text(exc, exc.__traceback__)


def test_enormous_text_is_cut_in_the_middle() -> None:
    """
    The text's beginning and end are kept, the middle is counted.
    """
    text = failure_text(raised(ValueError("a" * 3 * MAX_TEXT_NCHARS)), None)
    assert MAX_TEXT_NCHARS < len(text) < MAX_TEXT_NCHARS + 100
    assert "characters left out" in text


def test_text_of_a_value_never_raises() -> None:
    """
    A `__str__` that exits or recurses is told as such.
    """
    assert "<Silent: str() failed>" == text_of(broken.Silent())
    assert "<Endless: str() failed>" == text_of(broken.Endless())
    assert "5" == text_of(5)
