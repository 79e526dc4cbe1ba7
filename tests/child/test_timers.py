"""
Tests of `webworker_executor.child.timers`: what is due when.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.child import timers as module
from webworker_executor.child.timers import Timers


@given(st.lists(st.floats(-1, 10), max_size=20))
def test_they_come_in_the_order_of_their_times(delays: list[float]) -> None:
    """
    The earlier comes first; of those due at the same time, the one that was asked for first.
    """
    timers = Timers()
    for number, delay in enumerate(delays):
        timers.add(0.0, delay, print, (number,))
    came = []
    while (timer := timers.take(10.0)) is not None:
        came.append(timer.args[0])
    expected = sorted(range(len(delays)), key=lambda number: (max(0.0, delays[number]), number))
    assert expected == came
    assert 0 == len(timers)


def test_nothing_comes_too_early() -> None:
    """
    A timer is taken at its time, and not before.
    """
    timers = Timers()
    assert None is timers.next_at()
    timers.add(1.0, 2.0, print, ())
    assert 3.0 == timers.next_at()
    assert None is timers.take(2.9)
    assert timers.take(3.0) is not None
    assert None is timers.take(100.0)


def test_one_that_repeats() -> None:
    """
    It is due again its interval after it was taken, until it is cleared.
    """
    timers = Timers()
    ident = timers.add(0.0, 1.0, print, (), repeats=True)
    assert timers.take(1.5) is not None
    assert 2.5 == timers.next_at()
    timers.clear(ident)
    assert None is timers.next_at()


def test_cleared_timers_do_not_pile_up() -> None:
    """
    Time-outs that are cleared long before they are due take no room, and numbers stay unique.
    """
    timers = Timers()
    last = 0
    for _ in range(1000):
        ident = timers.add(0.0, 1000.0, print, ())
        assert ident > last
        last = ident
        timers.clear(ident)
    assert not timers._added
    for _ in range(1000):
        ident = timers.add(0.0, 1000.0, print, ())
        timers.next_at()
        timers.clear(ident)
    timers.clear(None)
    timers.clear(5)
    assert len(timers._heap) < 100


def test_threads_that_add_at_once_do_not_share_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A timer that another thread adds in the midst of an ``add`` is one more.
    """
    timers = Timers()

    class Met(module.Timer):
        """One in whose making another thread has its turn."""

        def __init__(self, *args: Any) -> None:
            monkeypatch.undo()
            other = threading.Thread(target=timers.add, args=(0.0, 1.0, print, ("other",)))
            other.start()
            other.join()
            super().__init__(*args)

    monkeypatch.setattr(module, "Timer", Met)
    timers.add(0.0, 1.0, print, ("one",))
    came = [timers.take(2.0), timers.take(2.0)]
    assert {("one",), ("other",)} == {timer.args for timer in came if timer is not None}
    assert 0 == len(timers)


def test_one_that_is_cleared_while_it_is_taken() -> None:
    """
    A thread may clear a timer when it has been found to be due.
    """
    timers = Timers()
    ident = timers.add(0.0, 1.0, print, ("cleared",))
    timers.add(0.0, 1.0, print, ("next",))

    class Met(list[tuple[float, int, int]]):
        """A heap at which another thread has its turn, after the second look."""

        n_looks = 0

        def __getitem__(self, index: Any) -> Any:
            first = super().__getitem__(index)
            self.n_looks += 1
            if self.n_looks == 2:
                timers.clear(ident)
            return first

    assert 1.0 == timers.next_at()
    timers._heap = Met(timers._heap)
    timer = timers.take(2.0)
    assert timer is not None
    assert ("next",) == timer.args


@pytest.mark.parametrize(("callback", "delay"), [(5, 1.0), (print, "1"), (print, None)])
def test_wrong_use(callback: Any, delay: Any) -> None:
    """
    What cannot be called, or is no time, is refused.
    """
    with pytest.raises(TypeError):
        Timers().add(0.0, delay, callback, ())
