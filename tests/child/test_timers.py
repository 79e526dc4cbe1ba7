"""
Tests of `webworker_executor.child.timers`: what is due when.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    timers.clear(None)
    timers.clear(5)
    assert len(timers._heap) < 100


@pytest.mark.parametrize(("callback", "delay"), [(5, 1.0), (print, "1"), (print, None)])
def test_wrong_use(callback: Any, delay: Any) -> None:
    """
    What cannot be called, or is no time, is refused.
    """
    with pytest.raises(TypeError):
        Timers().add(0.0, delay, callback, ())
