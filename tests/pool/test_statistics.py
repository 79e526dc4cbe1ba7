"""
The statistics of an executor add up, and cost its tasks nothing.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import wait
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING

import pytest

from tests.dropin.gate import pass_gate
from tests.patience import wait_until
from tests.pool.work import Unpackable, double, fail_at, pid_of
from webworker_executor import BrokenWorkerPool, WebWorkerExecutor, WorkerCrashedError

if TYPE_CHECKING:
    from tests.dropin.gate import Gate
    from webworker_executor import ExecutorStatistics


def check_sum(statistics: ExecutorStatistics) -> None:
    parts = (
        statistics.n_pending,
        statistics.n_running,
        statistics.n_done,
        statistics.n_failed,
        statistics.n_cancelled,
        statistics.n_crashed,
        statistics.n_timed_out,
        statistics.n_aborted,
    )
    assert statistics.n_submitted == sum(parts)
    assert min(parts) >= 0


def test_an_executor_that_was_never_used_has_done_nothing() -> None:
    """
    All counts are 0, and asking starts nothing.
    """
    pool = WebWorkerExecutor(2)
    statistics = pool.statistics()
    assert (0, 0, ()) == (statistics.n_submitted, statistics.n_workers_started, statistics.workers)
    check_sum(statistics)
    pool.shutdown()


def test_tasks_are_counted_by_how_they_ended(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Done, failed, not packed, cancelled, aborted, timed out: each once.
    """
    assert 4 == forked.submit(double, 2).result(10.0)
    assert forked.submit(fail_at, 1, 1).exception(10.0) is not None
    assert forked.submit(double, Unpackable()).exception(10.0) is not None  # type: ignore[call-overload]  # what it does not take
    late = forked.options(timeout=0.05).submit(time.sleep, 60)
    assert isinstance(late.exception(10.0), TimeoutError)
    running = forked.submit(pass_gate, gate.path, 1)
    gate.wait_for_begun(1)
    cancelled = forked.submit(double, 1)
    waiting = forked.submit(double, 1)
    assert cancelled.cancel()
    assert running.abort()
    assert 2 == waiting.result(10.0)
    gate.open()
    statistics = forked.statistics()
    check_sum(statistics)
    counts = (
        statistics.n_submitted,
        statistics.n_done,
        statistics.n_failed,
        statistics.n_cancelled,
        statistics.n_timed_out,
        statistics.n_aborted,
        statistics.n_crashed,
    )
    assert (7, 2, 2, 1, 1, 1, 0) == counts


def test_crashes_retries_and_replacements_are_counted(forked: WebWorkerExecutor) -> None:
    """
    A task that ran again and did well is done, and its first worker died.
    """
    with pytest.raises(WorkerCrashedError):
        forked.submit(os._exit, 3).result(10.0)
    with pytest.raises(WorkerCrashedError):
        forked.options(retries=2).submit(os._exit, 3).result(10.0)
    assert 4 == forked.submit(double, 2).result(10.0)
    statistics = forked.statistics()
    check_sum(statistics)
    assert (2, 2, 1) == (statistics.n_crashed, statistics.n_retried, statistics.n_done)
    started, died = statistics.n_workers_started, statistics.n_workers_died
    assert (5, 4, 4) == (started, died, statistics.n_workers_replaced)


def test_what_was_stopped_is_not_retried(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    However often it may run again when its worker dies: it is counted once, and for what it was.
    """
    view = forked.options(retries=2, cancel_running=True)
    aborted = view.submit(pass_gate, gate.path, 1)
    gate.wait_for_begun(1)
    assert aborted.abort()
    assert 4 == forked.submit(double, 2).result(10.0)
    cancelled = view.submit(pass_gate, gate.path, 2)
    gate.wait_for_begun(2)
    assert cancelled.cancel()
    assert 6 == forked.submit(double, 3).result(10.0)
    statistics = forked.statistics()
    check_sum(statistics)
    assert (1, 1) == (statistics.n_aborted, statistics.n_cancelled)
    assert (0, 2) == (statistics.n_retried, statistics.n_done)


def test_what_runs_and_what_waits_is_told(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    Each worker says what it runs, since when, and how large it is.
    """
    futures = [pool.submit(pass_gate, gate.path, number) for number in range(5)]
    pids = gate.wait_for_begun(2)
    # A worker may have begun before the pool has heard that it is up.
    wait_until(lambda: {"busy"} == {worker.state for worker in pool.statistics().workers})
    statistics = pool.statistics()
    check_sum(statistics)
    assert (5, 2, 3) == (statistics.n_submitted, statistics.n_running, statistics.n_pending)
    assert set(pids) == {worker.pid for worker in statistics.workers}
    for worker in statistics.workers:
        assert ("busy", 0) == (worker.state, worker.n_done)
        assert "tests.dropin.gate.pass_gate" == worker.task
        assert worker.uptime > 0
        assert worker.memory_nbytes is not None
        assert worker.memory_nbytes > 1 << 20
    gate.open()
    wait(futures, 10.0)
    after = pool.statistics()
    check_sum(after)
    assert (5, 0, 0) == (after.n_done, after.n_running, after.n_pending)
    assert 5 == sum(worker.n_done for worker in after.workers)
    assert {"idle"} == {worker.state for worker in after.workers}


def test_a_broken_pool_has_failed_its_tasks(gate: Gate) -> None:
    """
    What ran and what waited counts as failed.
    """
    with WebWorkerExecutor(1, launcher="fork", on_crash="break") as pool:
        futures = [pool.submit(pass_gate, gate.path, number) for number in range(3)]
        (pid,) = gate.wait_for_begun(1)
        os.kill(pid, signal.SIGKILL)
        for future in futures:
            assert isinstance(future.exception(10.0), BrokenWorkerPool)
        statistics = pool.statistics()
    check_sum(statistics)
    assert (3, 3, 0) == (statistics.n_submitted, statistics.n_failed, statistics.n_done)


def test_the_counts_agree_while_many_submit(pool: WebWorkerExecutor) -> None:
    """
    Every picture adds up, whatever other threads do meanwhile.
    """

    def submit() -> None:
        wait([pool.submit(double, number) for number in range(300)], 20.0)

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        check_sum(pool.statistics())
    for thread in threads:
        thread.join()
    statistics = pool.statistics()
    assert (1200, 1200) == (statistics.n_submitted, statistics.n_done)


def test_the_picture_does_not_change() -> None:
    """
    It is a record of one moment.
    """
    with WebWorkerExecutor(1, launcher="fork") as pool:
        statistics = pool.statistics()
        pool.submit(pid_of, 0).result(10.0)
    assert 0 == statistics.n_submitted
    with pytest.raises(FrozenInstanceError):
        statistics.n_done = 5  # type: ignore[misc]  # that is the test
