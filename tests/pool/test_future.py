"""
A future by itself, with a stub for its owner, and its callbacks with real workers.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from concurrent.futures import (
    ALL_COMPLETED,
    FIRST_EXCEPTION,
    CancelledError,
    Future,
    as_completed,
    wait,
)
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.dropin.gate import pass_gate
from tests.patience import wait_until
from tests.pool.work import double
from tests.threads import run_together
from webworker_executor import TaskAborted, WebWorkerExecutor, WorkerFuture
from webworker_executor.pool.future import Answer, FailureAnswer
from webworker_executor.rules.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dropin.gate import Gate
    from webworker_executor import PoolWorker
    from webworker_executor.web.launchers import LauncherName


class StubOwner:
    """
    Writes down what a future tells its pool.
    """

    def __init__(self) -> None:
        self.cancelled_tasks: list[Task] = []
        self.callbacks: list[Callable[[], object]] = []
        self.lock = threading.RLock()
        self.workers: list[PoolWorker] = []

    def cancelled(self, task: Task) -> None:
        self.cancelled_tasks.append(task)

    def abort(self, task: Task, reason: object, grace: float) -> None:
        raise AssertionError("nobody aborts here")

    def cancel_handed_out(self, task: Task, *, runs_too: bool) -> None:
        if runs_too:
            self.cancelled_tasks.append(task)

    def started_at(self, task: Task) -> float | None:
        return None

    def lead(self, task: Task, timeout: float | None) -> None:
        pass

    def attend(self, task: Task) -> None:
        pass

    def call_back(self, call: Callable[[], object]) -> None:
        self.callbacks.append(call)


def make() -> tuple[WorkerFuture[Any], StubOwner, Task]:
    future: WorkerFuture[Any] = WorkerFuture()
    owner, task = StubOwner(), Task(1)
    future._owner = owner
    future._task = task
    return future, owner, task


def test_a_future_is_one_of_the_standard_library() -> None:
    """
    Whatever takes a ``concurrent.futures.Future`` takes ours.
    """
    assert isinstance(WorkerFuture(), Future)


def test_cancel_before_the_hand_over_tells_the_owner_once() -> None:
    """
    True means that the task will never run.
    """
    future, owner, task = make()
    assert future.cancel()
    assert future.cancel()
    assert [task] == owner.cancelled_tasks
    with pytest.raises(CancelledError):
        future.result(0)


def test_cancel_after_the_hand_over_is_refused() -> None:
    """
    False means that the task runs.
    """
    future, owner, _ = make()
    assert future._claim()
    assert not future.cancel()
    assert future.running()
    assert [] == owner.cancelled_tasks


def test_cancel_after_the_hand_over_stops_what_may_be_stopped() -> None:
    """
    Its owner is asked to, and nobody but the owner cancels it.
    """
    future, owner, task = make()
    future._cancels_running = True
    assert future._claim()
    assert not future.cancel()
    assert [task] == owner.cancelled_tasks
    future._cancel_by_owner()
    assert future.cancelled()


def test_a_cancelled_future_cannot_be_claimed() -> None:
    """
    A task that was cancelled in time is not handed to a worker.
    """
    future, _, _ = make()
    future.cancel()
    assert not future._claim()


def test_an_owners_cancel_wakes_who_waits() -> None:
    """
    ``wait`` returns for futures that a shutdown cancelled, as the standard library's does not.
    """
    future, owner, _ = make()
    waiting = threading.Thread(target=wait, args=([future], 10.0))
    waiting.start()
    future._cancel_by_owner()
    # Where that thread holds the lock just then, the rest is left to the owner.
    for call in owner.callbacks:
        call()
    waiting.join(20)
    assert not waiting.is_alive()
    assert {future} == wait([future], 0, ALL_COMPLETED).done


def test_only_the_first_outcome_counts() -> None:
    """
    A future that is resolved stays as it is.
    """
    future, _, _ = make()
    future._claim()
    future._finish(1)
    future._finish(2)
    future._finish(None, ValueError())
    assert 1 == future.result(0)


class Value(Answer):
    """One that fails as it does."""

    def __init__(self, open: Callable[[], object]) -> None:
        self.open = open

    def fail(self, error: BaseException) -> BaseException:
        return error


def test_an_answer_is_opened_once_by_who_asks() -> None:
    """
    Unpacking runs in the thread that asks for the value, and not before.
    """
    opened: list[int] = []

    def open_it() -> object:
        opened.append(threading.get_ident())
        return [1]

    future, _, _ = make()
    future._claim()
    future._finish(Value(open_it))
    assert future.done()
    assert [] == opened
    assert future.result() is future.result()
    assert [threading.get_ident()] == opened


def test_a_value_that_does_not_unpack_is_the_futures_exception() -> None:
    """
    An evil value fails its own task.
    """

    def open_it() -> object:
        raise SystemExit(3)

    future, _, _ = make()
    future._claim()
    future._finish(Value(open_it))
    assert isinstance(future.exception(), SystemExit)
    with pytest.raises(SystemExit):
        future.result()


def test_first_exception_sees_a_failure_unopened() -> None:
    """
    ``wait(return_when=FIRST_EXCEPTION)`` returns for an answer that nobody looked into.
    """
    good, bad = make()[0], make()[0]
    for future in (good, bad):
        future._claim()
    bad._finish(FailureAnswer(lambda: ValueError("late")))
    outcome = wait([good, bad], 5.0, FIRST_EXCEPTION)
    assert ({bad}, {good}) == (outcome.done, outcome.not_done)
    assert "late" == str(bad.exception())


def test_the_same_exception_is_given_each_time() -> None:
    """
    Programs compare exceptions by identity.
    """
    future, _, _ = make()
    future._claim()
    future._finish(FailureAnswer(lambda: ValueError("once")))
    with pytest.raises(ValueError, match="once") as caught:
        future.result()
    assert caught.value is future.exception()


def test_callbacks_are_handed_to_the_owner() -> None:
    """
    A user's callback does not run in the thread that resolves.
    """
    future, owner, _ = make()
    seen: list[Future[Any]] = []
    future.add_done_callback(seen.append)
    future._claim()
    future._finish(None)
    assert [] == seen
    for callback in owner.callbacks:
        callback()
    assert [future] == seen


@pytest.mark.parametrize("is_main", [True, False])
def test_what_wakes_a_loop_is_called_at_once_but_on_the_main_thread(is_main: bool) -> None:
    """
    A signal handler may raise there, and the loop would wait for ever.
    """
    future, owner, _ = make()
    loop = asyncio.new_event_loop()
    woken: list[object] = []
    loop.call_soon_threadsafe = lambda *call: woken.append(call)  # type: ignore[assignment]
    asyncio.wrap_future(future, loop=loop)
    future._claim()
    if is_main:
        future._finish(None)
    else:
        run_together(partial(future._finish, None))
    assert (not is_main, is_main) == (bool(woken), bool(owner.callbacks))
    for callback in owner.callbacks:
        callback()
    loop.close()
    assert 1 == len(woken)


def test_a_callback_added_late_runs_at_once() -> None:
    """
    A future that is done calls back where it is asked, as the standard library's.
    """
    future, _, _ = make()
    future._claim()
    future._finish(None)
    seen: list[Future[Any]] = []
    future.add_done_callback(seen.append)
    assert [future] == seen


def test_a_callback_of_a_cancelled_future_runs_once_whatever_it_does(gate: Gate) -> None:
    """
    A callback that shuts the pool down while its own future is being cancelled is not called twice.
    """
    seen: list[Future[Any]] = []
    with WebWorkerExecutor(1, launcher="fork") as pool:

        def shut(future: Future[Any]) -> None:
            seen.append(future)
            pool.shutdown(wait=False, cancel_futures=True)

        running = pool.submit(pass_gate, gate.path, 1)
        gate.wait_for_begun(1)
        future = pool.submit(double, 1)
        future.add_done_callback(shut)
        assert future.cancel()
        gate.open()
        assert 1 == running.result(10.0)
    assert [future] == seen


def test_callbacks_run_on_the_events_thread(pool: WebWorkerExecutor) -> None:
    """
    Callbacks run one after the other on a thread of their own, not on the I/O thread.
    """
    names: list[str] = []
    done = threading.Event()

    def note(_: Future[Any]) -> None:
        names.append(threading.current_thread().name)
        if len(names) == 3:
            done.set()

    for number in range(3):
        future = pool.submit(double, number)
        future.add_done_callback(note)
    assert done.wait(10.0)
    assert {"webworker-events", "MainThread"} >= set(names)


def test_a_callback_may_raise(
    forked: WebWorkerExecutor, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    """
    What a callback raises is logged, also SystemExit, and those after it run.
    """
    called: list[Future[Any]] = []
    with forked:
        futures = [forked.submit(pass_gate, gate.path, number) for number in range(2)]
        for future, error in zip(futures, (ValueError("callback"), SystemExit(3)), strict=True):

            def fail(_: Future[Any], error: BaseException = error) -> None:
                raise error

            # Before the task can end: added later, a callback raises where it is added.
            future.add_done_callback(fail)
            future.add_done_callback(called.append)
        gate.open()
        assert [0, 1] == [future.result(10.0) for future in futures]
        assert 6 == forked.submit(double, 3).result(10.0)
    assert set(futures) == set(called)
    assert ["ValueError", "SystemExit"] == [
        record.exc_info[0].__name__
        for record in caplog.records
        if record.name == "concurrent.futures" and record.exc_info and record.exc_info[0]
    ]


def test_a_callback_may_submit_block_and_wait(forked: WebWorkerExecutor) -> None:
    """
    A callback that waits for another task of the pool gets it.
    """
    results: list[int] = []
    done = threading.Event()

    def chain(_: Future[Any]) -> None:
        results.append(forked.submit(double, 21).result(10.0))
        done.set()

    forked.submit(double, 1).add_done_callback(chain)
    assert done.wait(10.0)
    assert [42] == results


def test_a_callback_may_shut_down(launcher: LauncherName) -> None:
    """
    A shutdown from a callback, waiting or not, does not hang.
    """
    done = threading.Event()
    pool = WebWorkerExecutor(1, launcher=launcher)

    def shut(_: Future[Any]) -> None:
        pool.shutdown(wait=True)
        done.set()

    pool.submit(double, 1).add_done_callback(shut)
    assert done.wait(20.0)
    pool.shutdown()


def test_a_slow_callback_keeps_no_result_waiting(forked: WebWorkerExecutor) -> None:
    """
    A callback that blocks its thread delays neither results nor, for long, other callbacks.
    """
    release, second = threading.Event(), threading.Event()
    forked.submit(double, 1).add_done_callback(lambda _: release.wait(20.0))
    other = forked.submit(double, 2)
    other.add_done_callback(lambda _: second.set())
    try:
        assert 4 == other.result(10.0)
        assert second.wait(10.0)
    finally:
        release.set()


def test_as_completed_takes_them(pool: WebWorkerExecutor) -> None:
    """
    Every future comes out of ``as_completed`` once.
    """
    futures = [pool.submit(double, number) for number in range(20)]
    assert set(futures) == set(as_completed(futures, 20.0))


def test_abort_of_a_running_task_fails_it_and_no_other(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    The aborted future fails at once, and the pool is whole afterwards.
    """
    future = pool.submit(pass_gate, gate.path, 1)
    gate.wait_for_begun(1)
    others = [pool.submit(double, number) for number in range(5)]
    assert future.abort("no longer wanted")
    with pytest.raises(TaskAborted, match="pass_gate was aborted: no longer wanted") as caught:
        future.result(0)
    assert "no longer wanted" == caught.value.reason
    assert [0, 2, 4, 6, 8] == [other.result(10.0) for other in others]
    assert not future.abort()


def test_abort_of_a_waiting_task_means_that_it_never_runs(
    forked: WebWorkerExecutor, gate: Gate
) -> None:
    """
    A task that waits is dropped, and its worker is not touched.
    """
    running = forked.submit(pass_gate, gate.path, 1)
    (pid,) = gate.wait_for_begun(1)
    waiting = forked.submit(pass_gate, gate.path, 2)
    assert waiting.abort()
    gate.open()
    assert 1 == running.result(10.0)
    assert pid == forked.workers[0].pid
    assert [pid] == gate.wait_for_begun(1)


def test_a_future_tells_where_and_when_its_task_runs(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    While it runs and afterwards; before, there is nothing to tell.
    """
    before = time.monotonic()
    future = pool.submit(pass_gate, gate.path, None)
    (pid,) = gate.wait_for_begun(1)
    worker, started = future.worker, future.started_at
    assert worker is not None
    assert worker is pool.workers[worker.index]
    # A zygote tells of it a moment after the worker has begun to work.
    wait_until(lambda: worker.pid is not None)
    assert pid == worker.pid
    assert started is not None
    assert before < started < time.monotonic()
    gate.open()
    future.result(10.0)
    assert (worker, started) == (future.worker, future.started_at)


def test_a_task_that_waits_has_not_started(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Neither has one that was cancelled, and a call that was never packed never will.
    """
    running = forked.submit(pass_gate, gate.path, None)
    waiting = [forked.submit(double, number) for number in range(3)]
    gate.wait_for_begun(1)
    cancelled = forked.submit(double, 1)
    assert cancelled.cancel()
    assert [None] * 3 == [future.started_at for future in waiting]
    gate.open()
    assert 4 == waiting[-1].result(10.0)
    assert (None, None) == (cancelled.worker, cancelled.started_at)
    starts = [running.started_at or 0.0, *(future.started_at or 0.0 for future in waiting)]
    assert 0.0 < min(starts)
    assert sorted(starts) == starts
    unpacked = forked.submit(double, threading.Lock())  # type: ignore[call-overload]  # what it does not take
    assert (None, None) == (unpacked.worker, unpacked.started_at)


@pytest.mark.parametrize("end", ["raise", "abort", "crash", "break"])
def test_a_task_that_fails_tells_it_too(gate: Gate, end: str) -> None:
    """
    However it failed, and whether somebody watched it or not.
    """
    on_crash: Literal["replace", "break"] = "break" if end == "break" else "replace"
    with WebWorkerExecutor(1, launcher="fork", on_crash=on_crash) as pool:
        if end == "raise":
            future = pool.submit(double, None)  # type: ignore[call-overload]  # what it does not take
        else:
            future = pool.submit(pass_gate, gate.path, None)
            (pid,) = gate.wait_for_begun(1)
        if end == "abort":
            assert future.abort()
        elif end != "raise":
            os.kill(pid, signal.SIGKILL)
        while not future.done():
            os.sched_yield()
        assert future.exception(0) is not None
        assert pool.workers[0] is future.worker
        assert future.started_at is not None


def test_a_future_cannot_be_sent(forked: WebWorkerExecutor) -> None:
    """
    It says so, and not what it happens to be made of.
    """
    future = forked.submit(abs, -1)
    with pytest.raises(TypeError, match=r"^a WorkerFuture cannot be sent: it belongs to"):
        forked.submit(print, future).result(10.0)
    assert 1 == future.result(10.0)
