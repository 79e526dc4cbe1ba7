"""
A future that owns nothing until somebody needs it: its states, its sleepers, its locks.
"""

from __future__ import annotations

import _thread
import contextlib
import threading
from collections import deque
from concurrent.futures import ALL_COMPLETED, CancelledError, Future, as_completed, wait
from concurrent.futures._base import CANCELLED_AND_NOTIFIED, FINISHED, _AllCompletedWaiter
from typing import TYPE_CHECKING, Any

import pytest

from tests.link.inbox import Inbox
from tests.link.interrupts import WAITING, broken_off
from webworker_executor.web import lazy
from webworker_executor.web.lazy import LazyFuture, _is_anybody_counting

if TYPE_CHECKING:
    from collections.abc import Callable


class Settled(LazyFuture["Any"]):
    """
    One whose deferred calls run on a thread of their own, as those of a pool do.
    """

    deferred: threading.Thread

    def _defer(self, call: Callable[[], object]) -> None:
        self.deferred = threading.Thread(target=call)
        self.deferred.start()


def test_nothing_is_made_before_it_is_needed() -> None:
    """
    A future that is submitted, resolved and read has no lock and no list.
    """
    future = Settled()
    future._settle(FINISHED, 1)
    assert 1 == future.result()
    assert {} == future.__dict__


def test_an_unknown_attribute_is_refused() -> None:
    """
    Making on demand does not make what nobody knows.
    """
    with pytest.raises(AttributeError, match="'Settled' object has no attribute 'reslut'"):
        _ = Settled().reslut


def test_every_sleeper_is_woken() -> None:
    """
    Any number of threads may wait for one future.
    """
    future, results = Settled(), list[object]()
    threads = [
        threading.Thread(target=lambda: results.append(future.result(20.0))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    future._settle(FINISHED, 1)
    for thread in threads:
        thread.join(20.0)
    assert [1] * 8 == results


@pytest.mark.parametrize("timeout", [0.01, 0, -1.0])
def test_a_wait_in_vain_leaves_nothing_behind(timeout: float) -> None:
    """
    Polling with ``result(timeout)`` does not make the future grow.
    """
    future = Settled()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            future.result(timeout)
    assert 0 == len(future._sleepers)


def test_cancelled_is_told_to_sleepers() -> None:
    """
    Who waits for a cancelled future gets ``CancelledError``.
    """
    future = Settled()
    future._settle(CANCELLED_AND_NOTIFIED)
    with pytest.raises(CancelledError):
        future.result()


def test_the_setters_of_the_standard_library_work() -> None:
    """
    ``set_result`` and ``set_exception`` resolve it, and wake who sleeps.
    """
    future = Settled()
    sleeper = threading.Thread(target=future.result)
    sleeper.start()
    assert future.set_running_or_notify_cancel()
    future.set_result(1)
    sleeper.join(20.0)
    assert 1 == future.result(0)
    assert {future} == wait([future], 0).done


def test_callbacks_run_once_whoever_comes_first() -> None:
    """
    A callback that is added while the future is being resolved is neither lost nor called twice.
    """
    for _ in range(500):
        future, seen = Settled(), list[Future[Any]]()
        adder = threading.Thread(target=future.add_done_callback, args=(seen.append,))
        adder.start()
        future._settle(FINISHED, 1)
        adder.join(20.0)
        assert [future] == seen


def test_two_threads_wake_at_once() -> None:
    """
    Whoever adds a callback wakes sleepers, too; the last one is woken by one of the two.
    """

    class Taken(deque[Any]):
        """The sleepers, whom another thread takes as soon as it was seen that there are some."""

        def __bool__(self) -> bool:
            is_any = len(self) > 0
            while is_any and len(self):
                self.popleft().release()
            return is_any

    future, sleeper = Settled(), _thread.allocate_lock()
    sleeper.acquire()
    future._sleepers = Taken([sleeper])
    future._settle(FINISHED, 1)
    assert not sleeper.locked()


def test_wait_counts_right_while_futures_end() -> None:
    """
    ``wait`` returns when all are done and not before, though they end while it counts them.
    """
    for _ in range(300):
        futures = [Settled() for _ in range(20)]
        ender = threading.Thread(target=lambda fs=futures: [f._settle(FINISHED) for f in fs])
        ender.start()
        outcome = wait(futures, 20.0, ALL_COMPLETED)
        ender.join(20.0)
        for future in futures:
            if "deferred" in future.__dict__:
                future.deferred.join(20.0)
        assert set(futures) == outcome.done


def test_nothing_changes_while_somebody_counts() -> None:
    """
    The state stays as it is while ``wait`` holds the lock, and changes when it lets go.
    """
    future = Settled()
    with future._condition:
        ender = threading.Thread(target=future._settle, args=(FINISHED, 1))
        ender.start()
        ender.join(20.0)
        assert not future.done()
    assert 1 == future.result(20.0)
    future.deferred.join(20.0)


def test_a_slow_count_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    However long ``wait`` takes to lock many futures, nobody takes their locks from it.
    """
    monkeypatch.setattr(lazy, "PATIENCE", 0.01)
    looks = Inbox[bool]()

    def look() -> bool:
        is_counting = _is_anybody_counting()
        looks(is_counting)
        return is_counting

    monkeypatch.setattr(lazy, "_is_anybody_counting", look)
    # It locks them in the order of their ids: the last one keeps it from going on.
    futures = sorted([Settled() for _ in range(10)], key=id)
    outcomes = Inbox[set[Future[Any]]]()
    with futures[-1]._condition:
        counter = threading.Thread(target=lambda: outcomes(wait(futures, 20.0).done))
        counter.start()
        while futures[0]._condition.acquire(False):
            futures[0]._condition.release()
        futures[0]._settle(FINISHED, 1)
        assert [True] * 5 == looks.take(5)
        assert not futures[0].done()
    for future in futures[1:]:
        future._settle(FINISHED, 1)
    counter.join(20.0)
    assert set(futures) == outcomes.get()
    for future in futures:
        if "deferred" in future.__dict__:
            future.deferred.join(20.0)


def test_a_lock_that_was_torn_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A thread that left ``wait`` by an exception with the lock in hand delays the future, no more.
    """
    monkeypatch.setattr(lazy, "PATIENCE", 0.01)
    future, is_held, is_over = Settled(), threading.Event(), threading.Event()

    def leave_it_held() -> None:
        future._condition.acquire()
        is_held.set()
        is_over.wait(20.0)

    torn = threading.Thread(target=leave_it_held)
    torn.start()
    assert is_held.wait(20.0)
    try:
        future._settle(FINISHED, 1)
        assert 1 == future.result(20.0)
        future.deferred.join(20.0)
        assert {future} == wait([future], 0).done
    finally:
        is_over.set()
        torn.join(20.0)


def test_who_is_falling_asleep_keeps_his_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A thread holds the lock of what it waits for when it falls asleep, and counts nothing then.
    """
    monkeypatch.setattr(lazy, "PATIENCE", 0.1)
    monkeypatch.setattr(lazy, "N_MOMENTS", 200)
    looks = Inbox[None]()

    def look() -> bool:
        looks(None)
        return False

    monkeypatch.setattr(lazy, "_is_anybody_counting", look)
    future, waiter = Settled(), _AllCompletedWaiter(1, stop_on_exception=False)
    with future._condition:
        future._waiters.append(waiter)
    lock: Any = waiter.event._cond  # type: ignore[attr-defined]  # of threading
    with lock:
        future._settle(FINISHED, 1)
        # By now the lock seems to be torn.
        looks.take(2)
        assert not future.done()
    future.deferred.join(20.0)
    assert waiter.event.is_set()
    assert lock is waiter.event._cond  # type: ignore[attr-defined]  # of threading


# A lock of the library that was broken off may be let go of without having been taken.


def wait_a_moment(futures: list[Settled]) -> None:
    with contextlib.suppress(RuntimeError):
        wait(futures, 0.001)


def take_as_completed(futures: list[Settled]) -> None:
    with contextlib.suppress(TimeoutError, RuntimeError):
        list(as_completed(futures, 0.001))


@pytest.mark.parametrize("count", [wait_a_moment, take_as_completed])
def test_a_count_that_is_broken_off_anywhere_holds_nobody_up(
    count: Callable[[list[Settled]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Whatever the standard library has left locked, the future ends, and others who count see it.
    """
    monkeypatch.setattr(lazy, "PATIENCE", 0.001)
    futures = [Settled()]
    for _ in broken_off(lambda: count(futures), within=WAITING):
        future = futures.pop()
        ender = threading.Thread(target=future._settle, args=[FINISHED, 1], daemon=True)
        ender.start()
        assert 1 == future.result(20.0)
        ender.join(20.0)
        assert {future} == wait([future], 20.0).done
        futures.append(Settled())
