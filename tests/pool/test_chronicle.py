"""
What happens in a pool is told once: to loggers, to observers, and to nobody who has not asked.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.dropin.gate import pass_gate
from tests.pool.work import double, refuse
from webworker_executor import WebWorkerExecutor, WorkerCrashedError
from webworker_executor.pool.chronicle import Chronicle

if TYPE_CHECKING:
    from tests.dropin.gate import Gate
    from tests.script import ScriptRunner
    from webworker_executor import PoolEvent


def test_a_crash_is_told_from_the_first_worker_to_the_next() -> None:
    """
    Up, dead, the task failed, another in its place, and out: with pids, places and signals.
    """
    events: list[PoolEvent] = []
    with WebWorkerExecutor(1, launcher="fork", name="resize") as pool:
        pool.observe(events.append)
        with pytest.raises(WorkerCrashedError):
            pool.submit(signal.raise_signal, signal.SIGKILL).result(10.0)
        pid = pool.submit(os.getpid).result(10.0)
    kinds = [event.kind for event in events]
    assert [
        "worker_started",
        "worker_exited",
        "task_crashed",
        "worker_started",
        "worker_exited",
    ] == kinds
    first, dead, failed, second, gone = events
    assert [0] * 5 == [event.worker for event in events]
    assert first.pid == dead.pid == failed.pid != pid
    assert pid == second.pid == gone.pid
    assert ("_signal.raise_signal", "SIGKILL", -9) == (dead.task, dead.signal_name, dead.exitcode)
    assert ("_signal.raise_signal", "SIGKILL", -9) == (
        failed.task,
        failed.signal_name,
        failed.exitcode,
    )
    assert (False, True, 0) == (dead.was_asked, gone.was_asked, gone.exitcode)
    assert f"resize: worker 0 (pid {pid}) is up, in the place of pid {first.pid}" == second.text
    assert sorted(event.time for event in events) == [event.time for event in events]


def test_stopped_and_retried_tasks_are_told(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    With the task's name and the worker that had it.
    """
    events: list[PoolEvent] = []
    forked.observe(events.append)
    late = forked.options(timeout=0.05).submit(time.sleep, 60)
    assert isinstance(late.exception(10.0), TimeoutError)
    running = forked.submit(pass_gate, gate.path, 1)
    gate.wait_for_begun(1)
    assert running.abort("enough")
    with pytest.raises(WorkerCrashedError):
        forked.options(retries=1).submit(os._exit, 3).result(10.0)
    gate.open()
    forked.shutdown()
    told = [event for event in events if event.kind.startswith("task")]
    assert ["task_timed_out", "task_aborted", "task_retried", "task_crashed"] == [
        event.kind for event in told
    ]
    assert ["time.sleep", "tests.dropin.gate.pass_gate", "posix._exit", "posix._exit"] == [
        event.task for event in told
    ]
    assert "enough" in told[1].text
    assert [0] * 4 == [event.worker for event in told]


def test_a_broken_pool_is_told_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    """
    As an error in the log; the worker whose initializer failed is no crash.
    """
    events: list[PoolEvent] = []
    with WebWorkerExecutor(1, launcher="fork", initializer=refuse, initargs=("no",)) as pool:
        pool.observe(events.append)
        assert pool.submit(double, 1).exception(10.0) is not None
    kinds = {event.kind: event for event in events}
    assert {"worker_exited", "pool_broken"} == set(kinds)
    assert kinds["worker_exited"].was_asked
    assert "because its initializer failed" in kinds["worker_exited"].text
    assert "the initializer of a worker raised" in kinds["pool_broken"].text
    assert logging.ERROR in [
        record.levelno for record in caplog.records if "initializer of a worker" in record.message
    ]


def test_each_fact_is_one_line_at_its_level(caplog: pytest.LogCaptureFixture) -> None:
    """
    A death that nobody asked for is a warning, a replacement is worth knowing, the rest is detail.
    """
    caplog.set_level(logging.DEBUG, "webworker_executor.pool")
    with WebWorkerExecutor(1, launcher="fork") as pool:
        with pytest.raises(WorkerCrashedError):
            pool.submit(os._exit, 3).result(10.0)
        pool.submit(double, 1).result(10.0)
    lines = [
        (record.name.rpartition(".")[2], record.levelname)
        for record in caplog.records
        if record.name.startswith("webworker_executor.pool.")
    ]
    assert [
        ("workers", "DEBUG"),
        ("workers", "WARNING"),
        ("tasks", "DEBUG"),
        ("workers", "INFO"),
        ("workers", "DEBUG"),
    ] == lines
    warning = next(record for record in caplog.records if record.levelname == "WARNING")
    assert "exited with status 3 while running posix._exit" in warning.message


def test_observers_run_on_the_events_thread_and_may_raise(
    forked: WebWorkerExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    """
    What one raises is logged, and the next is told all the same.
    """
    threads: list[str] = []

    def fail(event: PoolEvent) -> None:
        raise ValueError(f"no {event.kind}")

    def note(event: PoolEvent) -> None:
        threads.append(threading.current_thread().name)

    forked.observe(fail)
    forked.observe(note)
    forked.submit(double, 1).result(10.0)
    forked.shutdown()
    assert ["webworker-events"] * 2 == threads
    raised = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert ["no worker_started", "no worker_exited"] == raised


def test_an_observer_may_submit_and_may_leave(forked: WebWorkerExecutor) -> None:
    """
    It runs under no lock; what ``observe`` returned ends it.
    """
    events: list[PoolEvent] = []
    results: list[int] = []
    has_left = threading.Event()

    def submit(event: PoolEvent) -> None:
        events.append(event)
        results.append(forked.submit(double, 21).result(10.0))
        stop()
        has_left.set()

    stop = forked.observe(submit)
    forked.submit(double, 1).result(10.0)
    assert has_left.wait(10.0)
    forked.shutdown()
    assert (["worker_started"], [42]) == ([event.kind for event in events], results)
    stop()


def test_a_slow_observer_has_one_fact_after_the_other(forked: WebWorkerExecutor) -> None:
    """
    Callbacks go on beside it, and it is not called again before it has returned.
    """
    go_on, under_way = threading.Event(), threading.Lock()
    kinds: list[str] = []

    def observe(event: PoolEvent) -> None:
        assert under_way.acquire(blocking=False)
        assert go_on.wait(20.0)
        kinds.append(event.kind)
        under_way.release()

    forked.observe(observe)
    with pytest.raises(WorkerCrashedError):
        forked.submit(signal.raise_signal, signal.SIGKILL).result(10.0)
    forked.submit(double, 1).add_done_callback(lambda _: go_on.set())
    forked.shutdown()
    assert go_on.is_set()
    assert [
        "worker_started",
        "worker_exited",
        "task_crashed",
        "worker_started",
        "worker_exited",
    ] == kinds


def test_an_observer_that_came_twice_leaves_once() -> None:
    """
    Each ``observe`` is one, and what it returned ends that one.
    """
    seen: list[PoolEvent] = []
    note = seen.append
    chronicle = Chronicle("", lambda call: call())
    stop = chronicle.observe(note)
    chronicle.observe(note)
    stop()
    stop()
    chronicle.pool_broken("as asked")
    assert ["pool_broken"] == [event.kind for event in seen]


def test_only_what_can_be_called_observes(forked: WebWorkerExecutor) -> None:
    """
    The mistake is told at the call.
    """
    with pytest.raises(TypeError, match="observer must be callable, not str"):
        forked.observe("print")  # type: ignore[arg-type]  # that is the test


def test_nobody_is_called_where_nobody_asks() -> None:
    """
    A fact at a level that is not logged, without observers, calls nothing.
    """
    calls: list[object] = []
    chronicle = Chronicle("", calls.append)
    chronicle._tell(logging.getLogger("webworker_executor.pool.tasks"), 1, "task_crashed", "no")
    assert [] == calls


QUIET = """
import os
from webworker_executor import WebWorkerExecutor, WorkerCrashedError

if __name__ == "__main__":
    with WebWorkerExecutor(1) as pool:
        try:
            pool.submit(os._exit, 3).result(20)
        except WorkerCrashedError as error:
            print("told")
"""


def test_a_program_without_logging_reads_nothing_twice(run_script: ScriptRunner) -> None:
    """
    What a future tells is not printed to standard error as well.
    """
    done = run_script(QUIET)
    assert ("told\n", "", 0) == (done.stdout, done.stderr, done.returncode)
