"""
Tests of `webworker_executor.web.in_turn`: one call at a time, in order, and nobody waits.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.link.inbox import Inbox
from tests.link.interrupts import broken_off
from tests.threads import run_together
from webworker_executor.web.in_turn import InTurn

if TYPE_CHECKING:
    from webworker_executor.web.events import EventsThread


def make(call: Callable[[], object]) -> None:
    """Be a place that makes calls at once."""
    call()


def test_a_call_that_is_slow_is_not_met_by_the_next(events: EventsThread) -> None:
    """
    Other calls go on beside it, those of its kind come after it, and in order.
    """
    turns, release = InTurn(), threading.Event()
    seen = Inbox[int]()

    def block() -> None:
        assert release.wait(20.0)
        seen(-1)

    turns.call(block, events.call)
    for number in range(100):
        turns.call(partial(seen, number), events.call)
    other = Inbox[str]()
    events.call(partial(other, "beside it"))
    assert "beside it" == other.get()
    assert seen.is_empty
    release.set()
    assert [-1, *range(100)] == seen.take(101)


def test_other_calls_have_their_turn_between(events: EventsThread) -> None:
    """
    Whoever has many that wait does not make them in one go.
    """
    turns, release = InTurn(), threading.Event()
    seen = Inbox[str]()
    turns.call(partial(release.wait, 20.0), events.call)

    def make_way() -> None:
        events.call(partial(seen, "between"))
        seen("one")

    for _ in range(2):
        turns.call(make_way, events.call)
    other = threading.Event()
    events.call(other.set)
    assert other.wait(20.0)
    release.set()
    assert ["one", "between", "one", "between"] == seen.take(4)


def test_threads_that_come_at_once_make_every_call_once() -> None:
    """
    None within another, and in order.
    """
    turns, waiting = InTurn(), queue.SimpleQueue[Callable[[], object]]()
    under_way, made = threading.Lock(), list[int]()

    def note(number: int) -> None:
        assert under_way.acquire(blocking=False)
        made.append(number)
        under_way.release()

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.get_nowait()()

    for number in range(2000):
        turns.call(partial(note, number), waiting.put)
    run_together(work, work, work, work)
    assert list(range(2000)) == made


def test_a_call_from_within_a_call_comes_after_it() -> None:
    """
    Also where calls are made at once.
    """
    turns = InTurn()
    seen: list[str] = []

    def call_again() -> None:
        turns.call(partial(seen.append, "second"), make)
        seen.append("first")

    turns.call(call_again, make)
    assert ["first", "second"] == seen


def test_a_call_that_raises_keeps_the_next_one_from_nothing() -> None:
    """
    What it raises goes to whoever makes it.
    """
    turns = InTurn()
    seen: list[str] = []
    with pytest.raises(ZeroDivisionError):
        turns.call(lambda: 1 // 0, make)
    turns.call(partial(seen.append, "next"), make)
    assert ["next"] == seen


def test_a_call_that_a_signal_handler_breaks_off_keeps_nobody_out() -> None:
    """
    Wherever it raises; and what was left behind is made with the next one.
    """
    turns = InTurn()
    seen: list[str] = []
    for step in broken_off(lambda: turns.call(partial(seen.append, "broken off"), make)):
        turns.call(partial(seen.append, "next"), make)
        assert "next" == seen.pop(), step
        assert ["broken off"] * len(seen) == seen
        seen.clear()
