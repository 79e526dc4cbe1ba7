"""
A task that listens is asked to stop, and any other is stopped together with its worker.
"""

from __future__ import annotations

import gc
import math
import os
import random
import select
import signal
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tests.dropin.gate import pass_gate
from tests.patience import wait_until
from tests.pool import talking
from webworker_executor import (
    AbortController,
    PortClosedError,
    SharedBuffer,
    TaskAborted,
    TaskTimeout,
    WebWorkerExecutor,
    WorkerCrashedError,
    WorkerFuture,
    scope,
)
from webworker_executor.launch import procfs
from webworker_executor.pool import process, stopping
from webworker_executor.rules.worker import DEAF, READY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dropin.gate import Gate
    from tests.script import ScriptRunner
    from webworker_executor.web.launchers import LauncherName


def first_message(future: WorkerFuture[Any]) -> object:
    """Wait for the first message of a task."""
    return future.messages().receive(10.0).data


def test_a_task_that_listens_keeps_its_worker(launcher: LauncherName) -> None:
    """
    The future fails at once, the task sees the reason, and the worker goes on.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        future = pool.submit(talking.heed)
        pid = first_message(future)
        assert future.abort("enough", grace=20.0)
        with pytest.raises(TaskAborted, match=r"talking\.heed was aborted: enough") as caught:
            future.result(0)
        assert "enough" == caught.value.reason
        assert pid == pool.submit(talking.pid).result(10.0)
        assert "enough" == pool.submit(talking.reason_left_behind).result(10.0)


def test_an_hour_to_end_in_keeps_no_worker(forked: WebWorkerExecutor) -> None:
    """
    A task that was given as long may end at once, and its process after it.
    """
    future = forked.submit(talking.heed)
    pid = first_message(future)
    dead = weakref.ref(next(iter(forked._pool.crew.processes.values())))
    future.abort(grace=3600.0)
    with pytest.raises(WorkerCrashedError):
        forked.submit(os._exit, 1).result(10.0)
    assert pid != forked.submit(talking.pid).result(10.0)

    def is_gone() -> bool:
        gc.collect()
        return dead() is None

    wait_until(is_gone)


def test_listeners_hear_of_the_abort(forked: WebWorkerExecutor) -> None:
    """
    In a thread of their own, because the main thread is busy with the task.
    """
    future = forked.submit(talking.listen_for_abort)
    pid = first_message(future)
    future.abort(grace=20.0)
    assert [False] == forked.submit(talking.reason_left_behind).result(10.0)
    assert pid == forked.submit(talking.pid).result(10.0)


def test_an_abort_cancels_what_is_async(forked: WebWorkerExecutor) -> None:
    """
    It has asked nobody to be told, and its worker goes on all the same.
    """
    future = forked.submit(talking.rest)
    pid = first_message(future)
    future.abort("enough", grace=20.0)
    assert "enough" == forked.submit(talking.reason_left_behind).result(10.0)
    assert pid == forked.submit(talking.pid).result(10.0)


def test_an_abort_ends_a_wait_for_messages(forked: WebWorkerExecutor) -> None:
    """
    Nobody will post any more, so that ``receive`` raises the reason.
    """
    future = forked.submit(talking.greet_and_wait)
    pid = first_message(future)
    # It says that it waits when it begins to; until then it counts as deaf.
    _wait_until_it_heeds(future)
    future.abort(grace=20.0)
    assert pid == forked.submit(talking.pid).result(10.0)


def _wait_until_it_heeds(future: WorkerFuture[Any]) -> None:
    deadline = threading.Event()
    for _ in range(1000):
        if future.messages().heeds:
            return
        deadline.wait(0.01)
    raise AssertionError("the task does not heed")


def test_a_reason_that_cannot_be_sent_stops_a_task_as_well(forked: WebWorkerExecutor) -> None:
    """
    The task sees its text.
    """
    future = forked.submit(talking.heed)
    first_message(future)
    future.abort(reason := threading.Lock(), grace=20.0)
    assert repr(reason) == forked.submit(talking.reason_left_behind).result(10.0)


class Mute:
    """What can neither be sent nor told."""

    def __reduce__(self) -> NoReturn:
        raise ZeroDivisionError

    __str__ = __repr__ = __reduce__


@pytest.mark.parametrize("is_signal", [False, True])
def test_a_reason_that_cannot_be_told_stops_a_task_as_well(
    forked: WebWorkerExecutor, is_signal: bool
) -> None:
    """
    The task sees of what type it is.
    """
    controller, reason = AbortController(), Mute()
    future = forked.options(signal=controller.signal).submit(talking.heed)
    first_message(future)
    if is_signal:
        controller.abort(reason)
    else:
        assert future.abort(reason, grace=20.0)
        seen = forked.submit(talking.reason_left_behind).result(10.0)
        assert "<Mute object that cannot be shown>" == seen
    with pytest.raises(TaskAborted, match="Mute object that cannot be shown") as caught:
        future.result(10.0)
    assert reason is caught.value.reason


def test_a_task_that_only_looks_is_ended_after_the_grace(forked: WebWorkerExecutor) -> None:
    """
    SIGTERM, and SIGKILL if that does not help.
    """
    future = forked.submit(talking.heed_and_ignore)
    pid = first_message(future)
    future.abort(grace=0.1)
    assert pid != forked.submit(talking.pid).result(10.0)


def test_a_task_that_never_looked_is_ended_at_once(pool: WebWorkerExecutor) -> None:
    """
    Whatever the grace is.
    """
    future = pool.submit(talking.sleep_deaf)
    pid = first_message(future)
    future.abort(grace=60.0)
    assert pid not in pool.run_on_all(talking.pid)


@pytest.mark.parametrize("grace", [-1.0, math.inf, math.nan])
def test_a_grace_that_cannot_be(forked: WebWorkerExecutor, gate: Gate, grace: float) -> None:
    """
    It is refused, and the task goes on.
    """
    future = forked.submit(pass_gate, gate.path, "through")
    with pytest.raises(ValueError, match="grace must be 0 seconds or more"):
        future.abort(grace=grace)
    gate.open()
    assert "through" == future.result(10.0)


def test_a_task_that_waits_in_its_worker_never_begins(
    forked: WebWorkerExecutor, gate: Gate
) -> None:
    """
    Also if it was handed out ahead, behind another.
    """
    for _ in forked.map(abs, range(100)):
        pass
    first = forked.submit(pass_gate, gate.path, "first")
    gate.wait_for_begun(1)
    second = forked.submit(talking.state, "made")
    second.abort()
    gate.open()
    assert "first" == first.result(10.0)
    assert isinstance(second.exception(10.0), TaskAborted)
    assert 4 == forked.submit(abs, -4).result(10.0)


def test_an_abort_before_the_worker_is_up_ends_no_worker() -> None:
    """
    The worker passes the task over.
    """
    with WebWorkerExecutor(1, launcher="spawn") as pool:
        future = pool.submit(talking.sleep_deaf)
        assert future.abort(grace=20.0)
        assert 3 == pool.submit(abs, -3).result(10.0)


def test_a_task_whose_time_is_over_leaves_its_stack(
    launcher: LauncherName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The error shows what it was doing, also where it held the interpreter in C.
    """
    # On a crowded machine it takes more than the millisecond that it is worth.
    monkeypatch.setattr(stopping, "LAST_LOOK_SECONDS", 20.0)
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        future = pool.options(timeout=0.05).submit(sum, range(1 << 62))
        error = future.exception(10.0)
        late = pool.options(timeout=0.05).submit(time.sleep, 60).exception(10.0)
        # What returns for any signal does not for that which asks for the stack.
        idle = pool.options(timeout=0.05).submit(signal.pause).exception(10.0)
    for each in (error, late, idle):
        assert isinstance(each, TaskTimeout)
        assert each.stack is not None
        assert "loop.py" in each.stack
        assert [f"What its worker was doing:\n{each.stack}"] == each.__notes__


@pytest.mark.slow
def test_a_worker_that_cannot_tell_is_stopped_all_the_same(
    forked: WebWorkerExecutor,
) -> None:
    """
    A stopped process is not waited for.
    """
    pid = forked.submit(os.getpid).result(10.0)
    error = forked.options(timeout=0.05).submit(os.kill, pid, signal.SIGSTOP).exception(10.0)
    assert isinstance(error, TaskTimeout)
    assert None is error.stack
    assert pid != forked.submit(os.getpid).result(10.0)


def test_a_task_that_holds_the_interpreter_is_ended(launcher: LauncherName) -> None:
    """
    Though its worker cannot even hear that it shall end.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        shared = SharedBuffer(1)
        future = pool.submit(talking.hold_the_interpreter, shared)
        wait_until(lambda: memoryview(shared)[0])
        # So long a grace is for those who have heard.
        future.abort(grace=1000.0)
        assert 3 == pool.submit(abs, -3).result(20.0)


def test_a_stopped_worker_is_ended(launcher: LauncherName) -> None:
    """
    By SIGKILL, because nothing else reaches it.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        future = pool.submit(talking.sleep_deaf)
        os.kill(int(str(first_message(future))), signal.SIGSTOP)
        future.abort(grace=0.1)
        assert 3 == pool.submit(abs, -3).result(10.0)


def test_a_task_may_clean_up_when_it_is_told_to_end() -> None:
    """
    Its handler of SIGTERM runs once, and the worker goes on if that does not end it.
    """
    # Not forked: in a process forked by another thread than the main one, CPython 3.13.0 runs
    # handlers only when a system call was interrupted.
    with WebWorkerExecutor(1, launcher="spawn") as pool:
        future = pool.submit(talking.catch_terminations)
        pid = first_message(future)
        future.abort(grace=20.0)
        assert (pid, 1) == pool.submit(talking.caught_terminations).result(10.0)


def test_a_worker_that_hears_late_is_told_once() -> None:
    """
    Its host has sent the signal by then, and so it does not do so itself.
    """
    with WebWorkerExecutor(1, launcher="spawn") as pool:
        future = pool.submit(talking.catch_terminations)
        pid = int(str(first_message(future)))
        os.kill(pid, signal.SIGSTOP)
        future.abort(grace=20.0)
        wait_until(lambda: has_pending(pid, signal.SIGTERM))
        os.kill(pid, signal.SIGCONT)
        assert (pid, 1) == pool.submit(talking.caught_terminations).result(10.0)


def has_pending(pid: int, number: int) -> bool:
    """Whether a signal waits for a process as a whole."""
    status = Path("/proc", str(pid), "status").read_text()
    (pending,) = (line for line in status.splitlines() if line.startswith("ShdPnd:"))
    return bool(int(pending.split()[1], 16) >> number - 1 & 1)


@pytest.mark.slow
def test_an_abort_hits_no_other_task(launcher: LauncherName) -> None:
    """
    Though the task ends just then, and the next one begins in the same worker.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        for number in range(100):
            assert number == pool.submit(talking.spin, 0.0, number).result(10.0)
        for _ in range(300):
            victim = pool.submit(talking.spin, 0.001, "victim")
            others = [pool.submit(talking.spin, 0.0, number) for number in range(5)]
            deadline = time.perf_counter() + random.random() * 0.002
            while time.perf_counter() < deadline:
                pass
            victim.abort(grace=random.choice([0.0, 0.01, 5.0]))
            assert list(range(5)) == [future.result(10.0) for future in others]


def _started(
    pool: WebWorkerExecutor, task: Callable[[], None], seconds: float
) -> tuple[WorkerFuture[Any], int]:
    """
    Submit a task that starts a program, and return the future and the pid of that.

    On a crowded machine its time may be over before it has: then it gets more.
    """
    while True:
        future = pool.options(timeout=seconds).submit(task)
        try:
            pid = first_message(future)
        except PortClosedError:
            assert seconds < 10.0
            seconds *= 4
        else:
            assert isinstance(pid, int)
            return future, pid


@pytest.mark.slow
@pytest.mark.parametrize("how", ["abort", "timeout", "kill_workers", "terminate_workers"])
def test_what_a_task_has_started_ends_with_it(launcher: LauncherName, how: str) -> None:
    """
    A program that runs in the worker's own process group, as those of `subprocess` do.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        future, pid = _started(pool, talking.run_program, 0.5 if how == "timeout" else 60.0)
        pidfd = os.pidfd_open(pid)
        try:
            if how == "abort":
                future.abort(grace=0.1)
            elif how != "timeout":
                getattr(pool, how)()
            assert select.select([pidfd], [], [], 10.0)[0]
        finally:
            os.close(pidfd)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["abort", "timeout", "terminate_workers"])
def test_what_a_task_has_started_is_killed_if_need_be(launcher: LauncherName, how: str) -> None:
    """
    The worker has ended by SIGTERM long before: nobody is left behind for that.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        seconds = 1.0 if how == "timeout" else 60.0
        future, pid = _started(pool, talking.run_stubborn_program, seconds)
        pidfd = os.pidfd_open(pid)
        try:
            if how == "abort":
                future.abort(grace=0.1)
            elif how != "timeout":
                pool.terminate_workers()
            assert select.select([pidfd], [], [], 10.0)[0]
        finally:
            os.close(pidfd)


@pytest.mark.slow
def test_what_a_task_has_started_has_its_time_to_end(tmp_path: Path) -> None:
    """
    As long as the worker would have had, which has ended at once.
    """
    with WebWorkerExecutor(1) as pool:
        future = pool.submit(talking.run_tidy_program, str(tmp_path / "tidied"))
        first_message(future)
        future.abort(grace=20.0)
        wait_until((tmp_path / "tidied").exists)


@pytest.mark.slow
def test_what_a_stopped_task_has_started_ends_with_the_program(run_script: ScriptRunner) -> None:
    """
    Nobody would end it later.
    """
    ended = run_script(
        "from tests.pool import talking\n"
        "from webworker_executor import WebWorkerExecutor\n"
        "with WebWorkerExecutor(1) as pool:\n"
        "    future = pool.submit(talking.run_stubborn_program)\n"
        "    print(next(iter(future.messages())).data)\n"
        "    future.abort(grace=60.0)\n"
    )
    assert "" == ended.stderr
    pid = int(ended.stdout)
    wait_until(lambda: procfs.state_of(pid) in {None, "Z"})


@pytest.mark.slow
def test_what_a_task_has_started_outlives_the_end_of_its_executor(launcher: LauncherName) -> None:
    """
    Where nobody is stopped, nothing is.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        pid = pool.submit(talking.start_program).result(10.0)
    assert procfs.state_of(pid) not in {None, "Z"}
    os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["abort", "cancel"])
def test_what_lies_in_a_worker_that_is_not_up_is_dropped(
    launcher: LauncherName, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """
    So that the worker has nothing left to do, and no shutdown waits for it.
    """
    monkeypatch.setattr(process, "CLOSE_SECONDS", 0.1)
    pool = WebWorkerExecutor(1, launcher=launcher, initializer=time.sleep, initargs=(1000,))
    future = pool.submit(abs, -1)
    wait_until(lambda: future.worker is not None)
    assert getattr(future, how)()
    pool.shutdown()
    assert future.done()
    statistics = pool.statistics()
    assert (how == "abort", how == "cancel") == (statistics.n_aborted, statistics.n_cancelled)


def test_a_cancel_tells_the_truth_while_a_worker_comes_up(tmp_path: Path) -> None:
    """
    It does so at that very line: what was cancelled has not run, and anything else has.
    """
    n_cancelled = 0
    for number in range(40):
        path = tmp_path / str(number)
        with WebWorkerExecutor(1, launcher="fork") as pool:
            future = pool.submit(path.touch)
            deadline = time.perf_counter() + random.random() * 0.01
            while time.perf_counter() < deadline:
                pass
            was_cancelled = future.cancel()
            assert was_cancelled == future.cancelled()
            assert 3 == pool.submit(abs, -3).result(10.0)
        assert was_cancelled != path.exists()
        n_cancelled += was_cancelled
    assert n_cancelled


@pytest.mark.slow
def test_a_worker_that_has_not_come_to_what_is_aborted_and_hears_nothing(
    launcher: LauncherName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    It is asked, given up and replaced.
    """
    for name in ("ANSWER_SECONDS", "DEAF_SECONDS"):
        monkeypatch.setattr(stopping, name, 0.2)
    monkeypatch.setattr(process, "CLOSE_SECONDS", 0.1)
    with WebWorkerExecutor(2, launcher=launcher) as pool:
        pids = {*pool.run_on_all(talking.pid)}
        for pid in pids:
            os.kill(int(str(pid)), signal.SIGSTOP)
        futures = [pool.submit(abs, -1), pool.submit(abs, -2)]
        assert [True, True] == [future.abort(grace=0.1) for future in futures]
        assert pool.submit(talking.pid).result(20.0) not in pids


@pytest.mark.slow
def test_a_worker_that_hears_late_what_was_aborted_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It was withheld from, and says so before it is given up.
    """
    monkeypatch.setattr(stopping, "ANSWER_SECONDS", 0.05)
    with WebWorkerExecutor(1, launcher="fork") as pool:
        pid = pool.submit(os.getpid).result(10.0)
        os.kill(pid, signal.SIGSTOP)
        future = pool.submit(abs, -1)
        assert future.abort(grace=0.05)
        (worker,) = pool._pool._scheduler.workers
        wait_until(lambda: not worker.inflight)
        assert worker.state is DEAF
        os.kill(pid, signal.SIGCONT)
        assert pid == pool.submit(os.getpid).result(10.0)


@pytest.mark.slow
def test_a_handler_in_a_worker_does_not_end_it_with_an_abort(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    While it runs no task is begun; the worker answers all the same, and gives the task back.
    """
    monkeypatch.setattr(stopping, "ANSWER_SECONDS", 0.5)
    with WebWorkerExecutor(1, launcher="fork") as pool:
        pid = pool.submit(hold_at_messages).result(10.0)
        pool.workers[0].post_message(gate.path)
        gate.wait_for_begun(1)
        future = pool.submit(abs, -1)
        assert future.abort(grace=0.0)
        (worker,) = pool._pool._scheduler.workers
        wait_until(lambda: not worker.inflight)
        assert worker.state is READY
        gate.open()
        assert pid == pool.submit(os.getpid).result(10.0)


def hold_at_messages() -> int:
    """Have each message wait at the gate that it names."""
    scope.onmessage = lambda event: pass_gate(event.data, None)
    return os.getpid()


@pytest.mark.slow
def test_a_shutdown_that_cancels_takes_what_a_stopped_worker_has_not_begun(
    launcher: LauncherName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    And ends the worker, which would never leave.
    """
    monkeypatch.setattr(stopping, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(process, "CLOSE_SECONDS", 0.1)
    pool = WebWorkerExecutor(1, launcher=launcher)
    os.kill(pool.submit(os.getpid).result(20.0), signal.SIGSTOP)
    future = pool.submit(abs, -1)
    pool.shutdown(cancel_futures=True)
    assert future.cancelled()
