"""
Results as they come, by futures that the test resolves and by workers.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest

from tests.pool.work import double, exit_at, fail_at, pid_of, wait_at
from webworker_executor import WebWorkerExecutor, WorkerCrashedError
from webworker_executor.pool.unordered import as_they_come

if TYPE_CHECKING:
    from tests.dropin.gate import Gate


def test_what_is_done_first_comes_first() -> None:
    """
    The order of the calls is none of its business.
    """
    first, second, third = futures = [Future[Any]() for _ in range(3)]
    results = as_they_come(deque(futures), None, None, None)
    third.set_result(3)
    assert 3 == next(results)
    first.set_result(1)
    assert 1 == next(results)
    second.set_result(2)
    assert [2] == list(results)


def test_it_waits_for_whatever_comes() -> None:
    """
    The thread that asks sleeps until a result is there.
    """
    futures = [Future[Any]() for _ in range(3)]
    results = as_they_come(deque(futures), None, None, None)
    timer = threading.Timer(0.01, futures[1].set_result, ["two"])
    timer.start()
    assert "two" == next(results)
    timer.join()
    results.close()  # type: ignore[attr-defined]  # a generator
    assert [True, False, True] == [future.cancelled() for future in futures]


@pytest.mark.parametrize("chunksize", [None, 1, 7])
def test_each_result_comes_once(forked: WebWorkerExecutor, chunksize: int | None) -> None:
    """
    However the calls are cut into tasks, of executors and of views.
    """
    for executor in (forked, forked.options(retries=1)):
        results = executor.map_unordered(double, range(500), chunksize=chunksize)
        assert sorted(map(double, range(500))) == sorted(results)


def test_a_slow_call_keeps_no_other_waiting(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    All others are there before it ends.
    """
    results = pool.map_unordered(wait_at, [gate.path] * 20, [0] * 20, range(20), chunksize=1)
    quick = list(itertools.islice(results, 19))
    assert set(range(1, 20)) == set(quick)
    gate.open()
    assert [0] == list(results)


def test_a_buffersize_bounds_what_is_read(forked: WebWorkerExecutor) -> None:
    """
    An endless iterable is read so far ahead as results are taken.
    """
    counter = itertools.count()
    results = forked.map_unordered(double, counter, buffersize=3)
    taken = sorted(itertools.islice(results, 10))
    assert 13 == next(counter)
    assert set(taken) <= {2 * number for number in range(13)}
    results.close()  # type: ignore[attr-defined]  # a generator


def test_the_first_exception_that_comes_ends_it(forked: WebWorkerExecutor) -> None:
    """
    Results before it may be of calls behind it.
    """
    results = forked.map_unordered(fail_at, [70] * 100, range(100), chunksize=1)
    with pytest.raises(ValueError, match="bad 70"):
        list(results)
    assert [] == list(results)


def test_a_death_is_one_of_the_exceptions(pool: WebWorkerExecutor) -> None:
    """
    And the executor goes on.
    """
    with pytest.raises(WorkerCrashedError):
        list(pool.map_unordered(exit_at, [b""] * 9, range(9), chunksize=1))
    assert pool.submit(pid_of, None).result() > 0


def test_arguments_are_looked_at_as_those_of_map(forked: WebWorkerExecutor) -> None:
    """
    At the call.
    """
    with pytest.raises(ValueError, match="chunksize must be"):
        forked.map_unordered(double, [1], chunksize=0)
    with pytest.raises(TimeoutError):
        list(forked.map_unordered(double, range(9), timeout=-1))
