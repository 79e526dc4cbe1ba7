"""
The terms of a task: its time, its place, its signal, its tries.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from concurrent.futures import wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import pass_gate
from tests.patience import Stopwatch
from tests.pool import talking
from tests.pool.work import add, double, note, sleep_first, wait_first
from webworker_executor import (
    AbortController,
    AbortSignal,
    MessageChannel,
    TaskAborted,
    TaskTimeout,
    WebWorkerExecutor,
    WorkerCrashedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.dropin.gate import Gate
    from webworker_executor import WorkerFuture
    from webworker_executor.pool.options import ExecutorView
    from webworker_executor.web.launchers import LauncherName


# -- time


def test_a_callable_without_a_hash(forked: WebWorkerExecutor) -> None:
    """
    It is as good as any, on whatever terms.
    """
    assert 5 == forked.options(timeout=30.0).submit(Unhashable(2), 3).result(10.0)
    assert 5 == forked.options(soft_timeout=30.0, retries=1).submit(Unhashable(2), 3).result(10.0)


@dataclass
class Unhashable:
    number: int

    def __call__(self, other: int) -> int:
        return self.number + other


@pytest.mark.parametrize(
    ("task", "outcome"),
    [
        (talking.sleep_and_save, "saved"),
        (talking.wait_and_save, "saved"),
        (talking.sleep_async_and_save, "saved"),
        (talking.finish_early, "finished"),
    ],
)
def test_a_task_is_told_that_its_time_is_over(
    launcher: LauncherName, task: Callable[[], str], outcome: str
) -> None:
    """
    By an exception, its signal, or a cancel of its loop; what it makes of it is its outcome.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        pid, before = pool.submit(os.getpid).result(10.0), pool.submit(talking.alarm).result(10.0)
        view = pool.options(soft_timeout=0.1 if outcome == "saved" else 60.0, timeout=60.0)
        assert outcome == view.submit(task).result(10.0)
        # And no more afterwards: the alarm is off, and whoever had the signal before has it.
        assert 0.0 == before[0]
        assert before == pool.submit(talking.alarm).result(10.0)
        assert pid == pool.submit(os.getpid).result(10.0)


def test_the_time_that_is_over_is_raised(pool: WebWorkerExecutor) -> None:
    """
    Where the task stands; each attempt has its own.
    """
    view = pool.options(soft_timeout=0.05, retries=1, retry_on=TimeoutError)
    with pytest.raises(TimeoutError, match=r"more than its soft_timeout of 0\.05 s") as caught:
        view.submit(time.sleep, 60.0).result(10.0)
    assert not isinstance(caught.value, TaskTimeout)
    with pytest.raises(TimeoutError, match="soft_timeout"):
        list(view.map(time.sleep, [0.0, 60.0]))


def test_the_time_of_a_coroutine_is_over(pool: WebWorkerExecutor) -> None:
    """
    That is what it raises, and no CancelledError, unless it has made one itself.
    """
    with pytest.raises(TimeoutError, match="soft_timeout") as caught:
        pool.options(soft_timeout=0.05).submit(talking.rest).result(10.0)
    assert not isinstance(caught.value, TaskTimeout)
    with pytest.raises(asyncio.CancelledError):
        pool.options(soft_timeout=60.0).submit(talking.give_up_by_itself).result(10.0)


def test_a_task_that_takes_too_long_is_stopped(launcher: LauncherName) -> None:
    """
    It alone fails, with a TimeoutError that says what to do.
    """
    with WebWorkerExecutor(2, launcher=launcher) as pool:
        late = pool.options(timeout=0.1).submit(talking.sleep_deaf)
        good = pool.options(timeout=30.0).submit(double, 2)
        with pytest.raises(TaskTimeout, match=r"sleep_deaf ran for more than 0\.1 s") as caught:
            late.result(10.0)
        assert isinstance(caught.value, TimeoutError)
        assert 4 == good.result(10.0)
        assert 6 == pool.submit(double, 3).result(10.0)


def test_the_clock_starts_with_the_task(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Time in the queue does not count.
    """
    first = forked.submit(pass_gate, gate.path, None)
    gate.wait_for_begun(1)
    waiting = forked.options(timeout=0.2).submit(talking.sleep_deaf)
    # The very time that it waits in the queue.
    assert set() == wait([waiting], 0.4).done
    opened_at = time.monotonic()
    gate.open()
    first.result(10.0)
    assert isinstance(waiting.exception(10.0), TaskTimeout)
    assert time.monotonic() - opened_at >= 0.2


@pytest.mark.slow
def test_a_task_that_listens_outlives_its_time_with_its_worker(forked: WebWorkerExecutor) -> None:
    """
    Its signal gives a TimeoutError as the reason.
    """
    # Within its time it must have said that it listens.
    future = forked.options(timeout=2.0).submit(talking.heed)
    pid = future.messages().receive(10.0).data
    assert isinstance(future.exception(10.0), TaskTimeout)
    assert pid == forked.submit(talking.pid).result(10.0)
    assert isinstance(forked.submit(talking.reason_left_behind).result(10.0), TimeoutError)


def test_nothing_stays_of_times_that_were_kept(forked: WebWorkerExecutor) -> None:
    """
    A thousand tasks with a time of an hour leave neither alarms nor entries behind.
    """
    assert 499_500 == sum(forked.options(timeout=3600.0).map(abs, range(1000)))
    talks = forked._pool.crew.talks
    assert {} == talks.waiting
    assert {} == talks._deadlines


# -- place


def test_pinned_tasks_run_in_their_place(pool: WebWorkerExecutor) -> None:
    """
    In order, whatever else the executor does.
    """
    others = [pool.submit(double, number) for number in range(50)]
    views = [pool.options(worker=place) for place in (0, 1)]
    pinned = [views[number % 2].submit(talking.index) for number in range(50)]
    assert [0, 1] * 25 == [future.result(20.0) for future in pinned]
    assert [2 * number for number in range(50)] == [future.result(10.0) for future in others]


def test_a_pinned_task_waits_for_its_worker(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    Though the other one is idle.
    """
    first = pool.options(worker=0).submit(pass_gate, gate.path, "first")
    gate.wait_for_begun(1)
    second = pool.options(worker=0).submit(talking.index)
    assert 1 == pool.options(worker=1).submit(talking.index).result(10.0)
    assert not second.running()
    gate.open()
    assert ("first", 0) == (first.result(10.0), second.result(10.0))


def test_a_pinned_task_outlives_the_worker_before_it(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    It runs in the process that takes the place.
    """
    first = pool.options(worker=1).submit(pass_gate, gate.path, None)
    (pid,) = gate.wait_for_begun(1)
    second = pool.options(worker=1).submit(talking.index)
    os.kill(pid, signal.SIGKILL)
    assert isinstance(first.exception(10.0), WorkerCrashedError)
    assert 1 == second.result(10.0)


def test_pinned_tasks_run_when_workers_are_replaced() -> None:
    """
    One task for each process, and still all run in their place.
    """
    with WebWorkerExecutor(2, max_tasks_per_child=1, launcher="zygote") as pool:
        futures = [pool.options(worker=number % 2).submit(talking.index) for number in range(8)]
        assert [0, 1] * 4 == [future.result(20.0) for future in futures]


def test_shutdown_runs_what_is_pinned(launcher: LauncherName) -> None:
    """
    Also in places where no worker is yet.
    """
    with WebWorkerExecutor(3, launcher=launcher) as pool:
        futures = [pool.options(worker=place).submit(talking.index) for place in (2, 0, 2)]
    assert [2, 0, 2] == [future.result(0) for future in futures]


def test_run_on_all_reaches_each_worker(launcher: LauncherName) -> None:
    """
    The results come by place; what is left in a worker stays there.
    """
    with WebWorkerExecutor(3, launcher=launcher) as pool:
        assert [0, 1, 2] == pool.run_on_all(talking.index)
        assert 3 == len(set(pool.run_on_all(talking.pid)))
        with pytest.raises(ConnectionError, match="attempt 1"):
            pool.run_on_all(talking.fail_before, 2)
        assert [1, 1, 1] == pool.run_on_all(talking.state, "tried")


# -- signals


def test_a_signal_aborts_what_runs(forked: WebWorkerExecutor) -> None:
    """
    It fails with the reason, and its worker goes on.
    """
    controller = AbortController()
    future = forked.options(signal=controller.signal).submit(talking.heed)
    pid = future.messages().receive(10.0).data
    controller.abort("enough")
    error = future.exception(10.0)
    assert isinstance(error, TaskAborted)
    assert "enough" == error.reason
    assert pid == forked.submit(talking.pid).result(10.0)
    assert "enough" == forked.submit(talking.reason_left_behind).result(10.0)


def test_a_signal_aborts_what_waits(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    All fail with the reason, and never ran.
    """
    controller = AbortController()
    view = forked.options(signal=controller.signal)
    before = forked.submit(pass_gate, gate.path, 1)
    gate.wait_for_begun(1)
    futures = [view.submit(note, number) for number in range(5)]
    controller.abort("enough")
    for future in futures:
        error = future.exception(10.0)
        assert isinstance(error, TaskAborted)
        assert "enough" == error.reason
    gate.open()
    assert 1 == before.result(10.0)
    assert ["end"] == forked.submit(note, "end").result(10.0)


@pytest.mark.parametrize("round_", range(10))
def test_what_waits_does_not_begin_in_the_place_of_what_runs(
    forked: WebWorkerExecutor, round_: int
) -> None:
    """
    A task that ends at once, because it is aborted, does not let the next of the same signal begin.
    """
    controller = AbortController()
    view = forked.options(signal=controller.signal)
    futures = [view.submit(talking.note_and_heed, number) for number in range(400)]
    assert 0 == futures[0].messages().receive(10.0).data
    controller.abort()
    assert all(isinstance(future.exception(10.0), TaskAborted) for future in futures)
    assert [0] == forked.submit(talking.numbers_left_behind).result(10.0)


def test_a_signal_that_has_aborted_lets_nothing_begin(forked: WebWorkerExecutor) -> None:
    """
    The future has failed when ``submit`` returns.
    """
    future = forked.options(signal=AbortSignal.abort("before")).submit(double, 1)
    with pytest.raises(TaskAborted, match="double was aborted: before"):
        future.result(0)


def test_a_signal_forgets_tasks_that_are_done(forked: WebWorkerExecutor) -> None:
    """
    One that lives long does not keep what was ever submitted with it.
    """
    controller = AbortController()
    view = forked.options(signal=controller.signal)
    assert [0, 2, 4] == [view.submit(double, number).result(10.0) for number in range(3)]
    # What a result sets off may come a moment after it.
    forked.shutdown()
    assert not controller.signal._algorithms


# -- messages and things given away


def test_onmessage_is_set_before_the_task_can_post(forked: WebWorkerExecutor) -> None:
    """
    And gets everything.
    """
    heard: list[object] = []
    view = forked.options(onmessage=lambda event: heard.append(event.data))
    view.submit(talking.post, 1, 2).result(10.0)
    forked.shutdown()
    assert [1, 2] == heard


def test_transferred_arguments_are_given_up(pool: WebWorkerExecutor) -> None:
    """
    A buffer is empty here, a port works there, and errors name the user's function.
    """
    data = bytearray(b"payload")
    with MessageChannel() as channel:
        view = pool.options(transfer=[data, channel.port2])
        assert b"payload" == view.submit(_take, data, port=channel.port2).result(10.0)
        assert b"" == data
        assert channel.port2.detached
        assert "from the task" == channel.port1.receive(10.0).data
    with pytest.raises(TaskTimeout, match=r"talking\.sleep_deaf"):
        pool.options(transfer=[data], timeout=0.05).submit(talking.sleep_deaf).result(10.0)


def _take(data: bytearray, port: Any) -> bytes:
    port.post_message("from the task")
    return bytes(data)


# -- tries


def test_a_task_may_survive_its_worker(launcher: LauncherName, tmp_path: Path) -> None:
    """
    It runs again in another one.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        future = pool.options(retries=1).submit(talking.die_once, str(tmp_path / "once"))
        assert "survived" == future.result(10.0)


def test_a_task_survives_so_often_and_no_more(forked: WebWorkerExecutor) -> None:
    """
    Then it fails as any other, and its shutdown is not held up.
    """
    future: WorkerFuture[Any] = forked.options(retries=2).submit(talking.greet_and_die)
    assert isinstance(future.exception(20.0), WorkerCrashedError)
    assert ["last words"] * 3 == [event.data for event in future.messages()]


def test_a_task_may_be_run_again_for_what_it_raises(forked: WebWorkerExecutor) -> None:
    """
    Of the types that are named, so many times.
    """
    view = forked.options(retries=2, retry_on=ConnectionError)
    assert 3 == view.submit(talking.fail_before, 3).result(10.0)
    with pytest.raises(ConnectionError, match="attempt 6"):
        view.submit(talking.fail_before, 100).result(10.0)
    with pytest.raises(ConnectionError, match="attempt 7"):
        view.options(retry_on=ValueError).submit(talking.fail_before, 100).result(10.0)


def test_a_retried_task_that_is_aborted_stays_aborted(forked: WebWorkerExecutor) -> None:
    """
    Its worker's death is no reason to begin again.
    """
    future = forked.options(retries=5).submit(talking.sleep_deaf)
    future.messages().receive(10.0)
    future.abort()
    with Stopwatch() as watch:
        started = time.monotonic()
        assert 2 == forked.submit(double, 1).result(10.0)
        assert watch.since(started) < 5.0


# -- the view


def test_a_view_maps_as_the_executor_does(forked: WebWorkerExecutor) -> None:
    """
    With chunks and with back-pressure, though nobody keeps the view.
    """
    numbers = range(20)
    expected = [2 * number for number in numbers]
    assert expected == list(forked.options(timeout=30.0).map(double, numbers))
    assert expected == list(forked.options(timeout=30.0).map(double, numbers, chunksize=3))
    assert expected == list(forked.options(timeout=30.0).map(double, numbers, buffersize=2))
    assert [3, 7] == list(forked.options(worker=0).starmap(add, [(1, 2), (3, 4)]))


def test_views_of_views_add_up(pool: WebWorkerExecutor) -> None:
    """
    The later terms win.
    """
    view = pool.options(worker=0, timeout=9.0).options(worker=1)
    assert 1 == view.submit(talking.index).result(10.0)
    assert f"<ExecutorView timeout=9.0 worker=1 of {pool!r}>" == repr(view)


def test_a_view_tells_only_what_differs(pool: WebWorkerExecutor) -> None:
    """
    What is given as it is by default is not told.
    """
    assert f"<ExecutorView of {pool!r}>" == repr(pool.options())
    assert repr(pool.options()) == repr(pool.options(retries=0, retry_on=None, transfer=None))


def test_a_call_that_cannot_be_packed_fails_its_future(forked: WebWorkerExecutor) -> None:
    """
    As with the executor's own ``submit``.
    """
    with pytest.raises(TypeError, match="cannot pickle"):
        forked.options(timeout=1.0).submit(double, threading.Lock()).result(10.0)  # type: ignore[call-overload]  # what it does not take


def test_a_view_ends_with_its_executor(forked: WebWorkerExecutor) -> None:
    """
    Shutting down either shuts down both, and no entry stays.
    """
    view = forked.options(timeout=5.0)
    assert 2 == view.submit(double, 1).result(10.0)
    view.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        view.submit(double, 1)
    assert {} == forked._pool.crew.talks.waiting


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"soft_timeout": 0}, ValueError, "soft_timeout must be more than 0"),
        ({"soft_timeout": "1"}, TypeError, "soft_timeout must be"),
        ({"timeout": 0}, ValueError, "timeout must be more than 0"),
        ({"timeout": 1, "soft_timeout": 3}, ValueError, "no more than timeout, which is 1, not 3:"),
        ({"retries": -1}, ValueError, "retries must be 0 or more"),
        ({"retry_on": (ValueError, int)}, TypeError, "retry_on holds types of exceptions"),
        ({"signal": AbortController()}, TypeError, "give its signal"),
        ({"worker": 2}, ValueError, "this executor has 2, from 0"),
        ({"worker": -1}, ValueError, "there is no worker -1"),
        ({"worker": 0.5}, TypeError, "worker must be an integer, not float"),
        ({"retries": None}, TypeError, "retries must be an integer, not NoneType"),
        ({"onmessage": 3}, TypeError, "onmessage must be callable"),
        ({"window": 0}, ValueError, "window must be at least 1"),
        ({"retry_on": "x"}, TypeError, "^retry_on must be a type of exceptions or several, not"),
        ({"retry_on": 3}, TypeError, "^retry_on must be a type of exceptions or several, not 3"),
        ({"retry_on": [3]}, TypeError, "retry_on holds types of exceptions, which 3 is not"),
        ({"transfer": 3}, TypeError, "^transfer must be a list of things to send, not 3"),
        ({"bogus": 2}, TypeError, r"options\(\) got an unexpected keyword argument 'bogus'"),
    ],
)
def test_terms_that_cannot_be(options: dict[str, Any], error: type[Exception], text: str) -> None:
    """
    They are refused when they are named, by a view as by the executor.
    """
    with WebWorkerExecutor(2) as pool:
        for owner in (pool, pool.options(priority=1)):
            with pytest.raises(error, match=text):
                owner.options(**options)


def test_a_view_of_a_view_changes_what_is_given() -> None:
    """
    The rest stays; ``None`` is what it is for the executor.
    """
    with WebWorkerExecutor(2) as pool:
        view = pool.options(timeout=5.0, retry_on=ValueError, priority=3)
        assert (5.0, (ValueError,), 4) == _some(view.options(priority=4))
        assert (None, (WorkerCrashedError,), 3) == _some(view.options(timeout=None, retry_on=None))
        assert () == view.options(transfer=None)._terms.transfer
        # For these tasks the limit of all counts for nothing.
        assert 2.0 == pool.options(soft_timeout=5.0).options(timeout=2.0)._terms.timeout


def _some(view: ExecutorView) -> tuple[object, ...]:
    return view._terms.timeout, view._terms.retry_on, view._terms.priority


def test_terms_take_what_counts_as_an_integer() -> None:
    """
    Such as the integers of numpy, which become plain ones.
    """

    class One:
        def __index__(self) -> int:
            return 1

    with WebWorkerExecutor(2) as pool:
        assert 1 == pool.options(worker=One()).worker  # type: ignore[arg-type]  # as numpy's


@pytest.mark.parametrize("fn", [sleep_first, wait_first])
def test_a_retry_after_a_soft_timeout_has_its_own_time(
    forked: WebWorkerExecutor, tmp_path: Path, fn: Callable[[str], Any]
) -> None:
    """
    Its signal has not aborted, also of what is async.
    """
    view = forked.options(soft_timeout=0.5, retries=1, retry_on=TimeoutError)
    assert "second" == view.submit(fn, str(tmp_path / "first")).result(20.0)
