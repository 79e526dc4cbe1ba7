"""
Tests of `webworker_executor.wire.stand_in`: global variables that do not pickle.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.wire import codec
from webworker_executor.wire.stand_in import stand_in_for

if TYPE_CHECKING:
    from tests.script import ScriptRunner

LOCK = threading.Lock()


@pytest.mark.parametrize(
    "value",
    [
        threading.Lock(),
        threading.RLock(),
        threading.local(),
        threading.Event(),
        threading.Condition(),
        threading.Semaphore(3),
        threading.BoundedSemaphore(3),
        threading.Barrier(2),
        queue.Queue(5),
        queue.LifoQueue(5),
        queue.PriorityQueue(5),
        queue.SimpleQueue(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_another_of_its_kind_is_made(value: Any) -> None:
    """
    As large, and with nothing in it.
    """
    packed = codec.pack(stand_in_for(value))
    other: Any = codec.unpack(packed.payload, packed.buffers)
    assert type(value) is type(other)
    assert value is not other
    for name in ("_value", "_initial_value", "parties", "maxsize"):
        assert getattr(value, name, None) == getattr(other, name, None)


@pytest.mark.parametrize("value", [open, iter([1]), threading.Condition(LOCK), {}])
def test_nothing_else_has_one(value: object) -> None:
    """
    Nobody knows what another one would lack.
    """
    assert stand_in_for(value) is None


OWN_LOCKS = """
import threading, queue
from webworker_executor import WebWorkerExecutor

lock, seen, event = threading.Lock(), threading.local(), threading.Event()
tasks = queue.Queue(3)

def count():
    with lock:
        seen.n = getattr(seen, "n", 0) + 1
        tasks.put_nowait(seen.n)
        was_set = event.is_set()
        event.set()
        return seen.n, tasks.qsize(), was_set

with WebWorkerExecutor(1, {method!r}) as pool:
    print([pool.submit(count).result() for _ in range(3)], event.is_set(), tasks.qsize())
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_each_worker_has_locks_and_queues_of_its_own(run_script: ScriptRunner, method: str) -> None:
    """
    For as long as it lives, and nobody else's.
    """
    ended = run_script(OWN_LOCKS.format(method=method))
    expected = "[(1, 1, False), (2, 2, True), (3, 3, True)] False 0"
    assert expected == ended.stdout.strip(), ended.stderr


INHERITED = """
import itertools, multiprocessing, threading
from webworker_executor import WebWorkerExecutor

context = multiprocessing.get_context("fork")
counter, numbers, event = context.Value("i", 0), (n for n in range(10)), threading.Event()
event.set()

def count(step):
    with counter.get_lock():
        counter.value += step
    return event.is_set(), next(numbers)

if __name__ == "__main__":
    with WebWorkerExecutor(1, context) as pool:
        print(list(pool.map(count, [1, 2], chunksize=1)), counter.value)
        print(pool.options(retries=1).submit(count, 3).result(), counter.value)
        del counter
        print(pool.submit(count, 4).result())
    with WebWorkerExecutor(1) as pool:
        try:
            pool.submit(count, 1).result()
        except TypeError as error:
            print(error.__notes__[0])
"""


def test_forked_workers_have_what_the_program_had(run_script: ScriptRunner) -> None:
    """
    Whatever it is, as it stood when they were forked; other workers cannot have it, which is told.
    """
    ended = run_script(INHERITED)
    assert [
        "[(True, 0), (True, 1)] 3",
        "(True, 2) 6",
        "(True, 3)",
        "count() of __main__ goes to the worker with its global variable 'numbers', which does not "
        "pickle. Make it in the worker, in an initializer; or have workers inherit it, by "
        "launcher='fork'.",
    ] == ended.stdout.splitlines(), ended.stderr
