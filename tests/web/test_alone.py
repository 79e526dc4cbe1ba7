"""
Tests of `webworker_executor.web.alone`: one at a time, and nobody waits.
"""

from __future__ import annotations

import threading

from tests.link.interrupts import broken_off, interrupted_at
from webworker_executor.web.alone import Alone


def test_who_comes_meanwhile_leaves_it() -> None:
    """In the same thread and in another; afterwards the next one has a turn."""
    alone = Alone()
    calls: list[str] = []

    def come_again() -> None:
        calls.append("first")
        alone.do(lambda: calls.append("within"))
        thread = threading.Thread(target=lambda: alone.do(lambda: calls.append("beside")))
        thread.start()
        thread.join()

    alone.do(come_again)
    alone.do(lambda: calls.append("next"))
    assert ["first", "next"] == calls


def test_a_call_that_a_signal_handler_breaks_off_keeps_nobody_out() -> None:
    """Wherever it raises."""
    alone = Alone()
    for step in broken_off(lambda: alone.do(list)):
        calls: list[int] = []
        alone.do(lambda step=step, calls=calls: calls.append(step))  # type: ignore[misc]  # its own
        assert [step] == calls


def test_one_of_two_calls_is_made_when_a_signal_handler_comes() -> None:
    """Wherever it does, at least one has its turn, and never one within the other."""
    for step in range(8):
        alone = Alone()
        under_way: list[str] = []
        made: list[str] = []

        def make(name: str, under_way: list[str] = under_way, made: list[str] = made) -> None:
            assert not under_way
            under_way.append(name)
            made.append(name)
            under_way.pop()

        def come(alone: Alone = alone) -> None:
            alone.do(lambda: make("handler"))

        with interrupted_at(step, come):
            alone.do(lambda: make("main"))
        assert made, step
