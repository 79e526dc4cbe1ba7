"""
Tests of `webworker_executor.link.flag`: who waits is woken, and who sets never waits.
"""

from __future__ import annotations

import itertools
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.patience import wait_until
from webworker_executor.link.flag import Flag

if TYPE_CHECKING:
    from collections.abc import Callable


def test_everybody_is_woken() -> None:
    """Who waits, and who comes later, until it is taken back."""
    flag, woken = Flag(), list[bool]()
    threads = [threading.Thread(target=lambda: woken.append(flag.wait(20.0))) for _ in range(5)]
    for thread in threads:
        thread.start()
    flag.set()
    for thread in threads:
        thread.join(20.0)
    assert [True] * 5 == woken
    assert flag.is_set()
    assert flag.wait()
    flag.clear()
    assert not flag.is_set()


@pytest.mark.parametrize("timeout", [-1.0, 0, 0.01])
def test_a_wait_in_vain(timeout: float) -> None:
    """It ends in time, and leaves nothing behind."""
    flag = Flag()
    assert not flag.wait(timeout)
    assert not flag._sleepers


class Stop(Exception):
    pass


def was_struck(number: int, call: Callable[[], object]) -> bool:
    """Raise where so many functions were entered or left; False if there are not so many."""
    n_events = 0

    def strike(_: object, event: str, __: object) -> None:
        nonlocal n_events
        n_events += event in {"call", "c_return"}
        if n_events == number:
            raise Stop

    sys.setprofile(strike)
    try:
        call()
    except Stop:
        return True
    finally:
        sys.setprofile(None)
    return False


def test_a_handler_that_raises_in_a_wait_holds_nobody_up() -> None:
    """At whatever call: the flag can be set, and the next wait ends."""
    for number in itertools.count(1):
        flag = Flag()
        was_raised = was_struck(number, lambda flag=flag: flag.wait(0.001))  # type: ignore[misc]  # bound early
        waiter = threading.Thread(target=flag.wait, args=(20.0,), daemon=True)
        setter = threading.Thread(target=flag.set, daemon=True)
        for thread in (waiter, setter):
            thread.start()
        for thread in (waiter, setter):
            thread.join(20)
            assert not thread.is_alive(), f"after {number} calls"
        if not was_raised:
            break
    assert number > 5


def test_a_handler_that_raises_as_it_is_set_leaves_nobody_asleep() -> None:
    """At whatever call: all are woken when it is set again."""
    for number in itertools.count(1):
        flag = Flag()
        waiters = [threading.Thread(target=flag.wait, daemon=True) for _ in range(2)]
        for waiter in waiters:
            waiter.start()
        wait_until(lambda flag=flag: len(flag._sleepers) == 2)  # type: ignore[misc]  # bound early
        was_raised = was_struck(number, flag.set)
        flag.set()
        for waiter in waiters:
            waiter.join(20)
            assert not waiter.is_alive(), f"after {number} calls"
        if not was_raised:
            break
    assert number > 2
