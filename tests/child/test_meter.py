"""
A worker leaves when it has grown too large, and is held to a limit while it runs a task.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
from concurrent.futures import wait
from typing import TYPE_CHECKING

import pytest

from tests.pool import talking
from tests.pool.work import add, double, grow, hold, hold_many
from webworker_executor import WebWorkerExecutor, WorkerCrashedError
from webworker_executor.child.meter import own_nbytes

if TYPE_CHECKING:
    from webworker_executor import PoolEvent
    from webworker_executor.web.launchers import LauncherName

MIB = 1 << 20


def limits() -> tuple[int, int]:
    """Return the limit that holds in a task."""
    return resource.getrlimit(resource.RLIMIT_DATA)


def die_of(number: int) -> None:
    """Die as C code does that gets no memory."""
    os.kill(os.getpid(), number)


def test_own_memory_is_what_was_made_here() -> None:
    """
    It grows with what is kept.
    """
    before = own_nbytes()
    kept = bytearray(b"x") * (64 * MIB)
    assert 60 * MIB < own_nbytes() - before < 80 * MIB
    assert kept


def test_a_worker_that_has_grown_is_replaced(
    launcher: LauncherName, caplog: pytest.LogCaptureFixture
) -> None:
    """
    After its task, whose result counts; and somebody says so.
    """
    caplog.set_level(logging.INFO, "webworker_executor.pool.workers")
    events: list[PoolEvent] = []
    with WebWorkerExecutor(1, launcher=launcher, max_memory_per_child=400 * MIB) as pool:
        pool.observe(events.append)
        first = pool.submit(talking.pid).result(20.0)
        assert first == pool.submit(grow, 10 * MIB).result(20.0)
        assert first == pool.submit(grow, 420 * MIB).result(20.0)
        assert first != pool.submit(talking.pid).result(20.0)
        assert 0 == pool.statistics().n_crashed
    (event,) = [event for event in events if event.kind == "worker_outgrew"]
    assert (0, first) == (event.worker, event.pid)
    assert "max_memory_per_child" in event.text
    assert event.text in caplog.messages


def test_what_is_held_for_a_moment_does_not_count() -> None:
    """
    Only what is left after a task.
    """
    with WebWorkerExecutor(1, launcher="spawn", max_memory_per_child=200 * MIB) as pool:
        first = pool.submit(hold, 300 * MIB).result(20.0)
        assert first == pool.submit(talking.pid).result(20.0)


def test_what_a_grown_worker_was_given_runs_elsewhere() -> None:
    """
    None of many is lost, and none runs twice, though every worker leaves after each task.
    """
    with WebWorkerExecutor(2, launcher="fork", max_memory_per_child=1) as pool:
        futures = [pool.submit(add, number, 1) for number in range(40)]
        assert set() == wait(futures, 60.0).not_done
        assert list(range(1, 41)) == [future.result(0) for future in futures]
        pids = {pool.submit(talking.pid).result(20.0) for _ in range(3)}
        assert 3 == len(pids)


def test_a_task_that_wants_too_much_fails_alone(launcher: LauncherName) -> None:
    """
    With MemoryError, at once or bit by bit, and its worker goes on.
    """
    with WebWorkerExecutor(1, launcher=launcher, memory_limit=800 * MIB) as pool:
        pid = pool.submit(talking.pid).result(20.0)
        assert isinstance(pool.submit(hold, 900 * MIB).exception(20.0), MemoryError)
        assert isinstance(pool.submit(hold_many, 900 * MIB).exception(60.0), MemoryError)
        assert pid == pool.submit(hold, 10 * MIB).result(20.0)


def test_the_limit_holds_in_tasks_only() -> None:
    """
    The worker's own needs are met.
    """
    with WebWorkerExecutor(1, launcher="fork", memory_limit=800 * MIB) as pool:
        assert 800 * MIB == pool.submit(limits).result(10.0)[0]
        assert limits()[1] == pool.submit(limits).result(10.0)[1]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_tells_of_the_limit(number: int) -> None:
    """
    C code seldom survives the want of memory.
    """
    with WebWorkerExecutor(1, launcher="fork", memory_limit=800 * MIB) as pool:
        with pytest.raises(WorkerCrashedError, match=r"at most 800 MiB \(memory_limit\)"):
            pool.submit(die_of, number).result(20.0)
        assert 4 == pool.submit(double, 2).result(10.0)


def test_a_worker_may_be_both_limited_and_replaced() -> None:
    """
    Neither forgets the other.
    """
    with WebWorkerExecutor(
        1, launcher="spawn", memory_limit=800 * MIB, max_memory_per_child=200 * MIB
    ) as pool:
        first = pool.submit(grow, 300 * MIB).result(20.0)
        assert first != pool.submit(talking.pid).result(20.0)
        assert isinstance(pool.submit(hold, 900 * MIB).exception(20.0), MemoryError)
