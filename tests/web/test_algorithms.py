"""
Tests of `webworker_executor.web.algorithms`: calls that are made once, when a signal aborts.
"""

from __future__ import annotations

from functools import partial

import pytest

from tests.link.interrupts import ctrl_c, interrupted_at
from webworker_executor.web.algorithms import Algorithms


def unexpected(error: Exception) -> None:
    raise AssertionError from error


def test_the_youngest_comes_first_and_each_once() -> None:
    """A second run calls what came since, and nothing again."""
    called: list[int] = []
    algorithms = Algorithms()
    for number in range(3):
        algorithms.add(partial(called.append, number))
    assert algorithms
    algorithms.run(unexpected)
    assert ([2, 1, 0], False) == (called, bool(algorithms))
    algorithms.add(partial(called.append, 3))
    algorithms.run(unexpected)
    assert [2, 1, 0, 3] == called


def test_what_was_taken_back_is_not_called() -> None:
    """Whoever takes it back knows whether it was in time; also from within another."""
    called: list[str] = []
    algorithms = Algorithms()
    first, second = partial(called.append, "first"), partial(called.append, "second")
    algorithms.add(first)
    algorithms.add(second)
    assert (True, False) == (algorithms.remove(second), algorithms.remove(second))

    def take_back() -> None:
        called.append(f"taken back: {algorithms.remove(first)}")

    algorithms.add(take_back)
    algorithms.run(unexpected)
    assert ["taken back: True"] == called


def test_what_one_raises_keeps_nobody_from_the_others() -> None:
    """An exception is told; what ends a program is raised when all were called."""
    called: list[str] = []
    told: list[Exception] = []

    def fail(error: BaseException) -> None:
        called.append("failed")
        raise error

    algorithms = Algorithms()
    mistake, interrupt = ValueError("x"), KeyboardInterrupt("y")
    algorithms.add(partial(called.append, "last"))
    algorithms.add(partial(fail, mistake))
    algorithms.add(partial(fail, interrupt))
    with pytest.raises(KeyboardInterrupt, match="y"):
        algorithms.run(told.append)
    assert (["failed", "failed", "last"], [mistake]) == (called, told)


def test_what_a_signal_handler_breaks_off_is_made_good_by_the_next_run() -> None:
    """Wherever it raises: each is called, and but for the one that was broken off, once."""

    step, is_through = 0, False
    while not is_through:
        called: list[int] = []
        algorithms = Algorithms()
        for number in range(3):
            algorithms.add(partial(called.append, number))
        try:
            with interrupted_at(step, ctrl_c):
                algorithms.run(unexpected)
                is_through = True
        except KeyboardInterrupt:
            algorithms.run(unexpected)
        assert ({0, 1, 2}, True) == (set(called), len(called) <= 4), step
        step += 1
    assert step > 10
