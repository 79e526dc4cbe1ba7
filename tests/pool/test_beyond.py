"""
Tests of `webworker_executor.pool.beyond`: what an executor can do that the stdlib's cannot.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING

import pytest

from tests.pool.work import double
from webworker_executor import DataCloneError, scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webworker_executor import WebWorkerExecutor

TIMEOUT = 20.0


def place() -> tuple[int | None, int]:
    return scope.index, os.getpid()


def fail_in_the_second() -> int | None:
    if scope.index == 1:
        raise ValueError("in the second")
    return scope.index


def answer_with_place() -> None:
    scope.onmessage = lambda event: scope.post_message((scope.index, event.data))


def count_to(limit: int) -> Iterator[int]:
    yield from range(limit)


class Counter:
    """
    A state that lives in a worker.
    """

    def __init__(self, start: int) -> None:
        self.value = start

    def add(self, number: int) -> int:
        self.value += number
        return self.value


def test_run_on_all_reaches_every_place(pool: WebWorkerExecutor) -> None:
    """
    Each worker runs the call once, and the results stand by place.
    """
    results = pool.run_on_all(place)
    assert list(range(pool.size)) == [index for index, _ in results]
    assert pool.size == len({pid for _, pid in results})


def test_run_on_all_raises_what_a_worker_raised(pool: WebWorkerExecutor) -> None:
    """
    One failure fails the whole, when all have ended.
    """
    with pytest.raises(ValueError, match="in the second"):
        pool.run_on_all(fail_in_the_second)
    assert 2 == pool.submit(double, 1).result(TIMEOUT)


def test_broadcast_reaches_every_place(pool: WebWorkerExecutor) -> None:
    """
    Also those that nobody has started yet, once each and in order.
    """
    pool.broadcast("first")
    pool.broadcast("second")
    pool.run_on_all(answer_with_place)
    heard = [[worker.receive(TIMEOUT).data for _ in range(2)] for worker in pool.workers]
    assert [[(place, "first"), (place, "second")] for place in range(pool.size)] == heard


def test_broadcast_of_what_cannot_be_sent(pool: WebWorkerExecutor) -> None:
    """
    Nobody gets anything, and after the end of the executor nothing can be.
    """
    with pytest.raises(DataCloneError):
        pool.broadcast(Lock())
    pool.broadcast("sent")
    pool.run_on_all(answer_with_place)
    assert ["sent"] * pool.size == [worker.receive(TIMEOUT).data[1] for worker in pool.workers]
    pool.shutdown()
    with pytest.raises(RuntimeError, match="takes no messages any more"):
        pool.broadcast("too late")


def test_a_stream_an_actor_and_terms_are_at_hand(pool: WebWorkerExecutor) -> None:
    """
    The executor's own methods make them.
    """
    assert [0, 1, 2] == list(pool.stream(count_to, 3))
    counter = pool.actor(Counter, 5)
    assert [6, 8] == [counter.add(n).result(TIMEOUT) for n in (1, 2)]
    assert 42 == pool.options(timeout=TIMEOUT).submit(double, 21).result(TIMEOUT)
