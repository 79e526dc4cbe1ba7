"""
The stacks of workers are seen whatever the workers do, and nobody is waited for.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.dropin.gate import pass_gate
from tests.patience import wait_until
from tests.pool.work import double, spin
from tests.threads import struck
from webworker_executor import WebWorkerExecutor, WorkerCrashedError
from webworker_executor.launch.procfs import state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dropin.gate import Gate
    from tests.script import ScriptRunner
    from webworker_executor import WorkerFuture
    from webworker_executor.web.launchers import LauncherName


def begin(pool: WebWorkerExecutor, task: Callable[[str], object], path: Path) -> WorkerFuture[Any]:
    """Submit a task, and wait until it has begun."""
    os.mkfifo(path)
    future = pool.submit(task, str(path))
    assert "begun" == path.read_text()
    return future


def count_for_ever(path: str) -> int:
    """Say that it begins, and stay in C with the interpreter's lock in hand."""
    Path(path).write_text("begun")
    return spin()


def pause(path: str) -> None:
    """Say that it begins, and wait for any signal."""
    Path(path).write_text("begun")
    signal.pause()


def wait_in_a_thread(path: str, value: int) -> int:
    """Wait at a gate in two threads."""
    thread = threading.Thread(target=pass_gate, args=(path, value))
    thread.start()
    pass_gate(path, value)
    thread.join()
    return value


def forget_handlers(path: str) -> None:
    """Change every handler a program may change, and wait at a gate."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    pass_gate(path, None)


def stop_self() -> int:
    """Stop this process as Ctrl-Z does."""
    os.kill(os.getpid(), signal.SIGSTOP)
    return 1


def fault(signal_number: int) -> None:
    """Die of a fault, as a bug in C code does."""
    os.kill(os.getpid(), signal_number)


def wait_for_state(pid: int, state: str) -> None:
    """Wait until the kernel says so of a process."""
    deadline = time.monotonic() + 10.0
    while state_of(pid) != state:
        assert time.monotonic() < deadline
        os.sched_yield()


def test_all_threads_of_all_workers_are_seen(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    In Python code, in C code that waits, and idle.
    """
    future = pool.submit(wait_in_a_thread, gate.path, 1)
    gate.wait_for_begun(2)
    assert 4 == pool.submit(double, 2).result(10.0)
    stacks = pool.dump_stacks(10.0)
    gate.open()
    assert 1 == future.result(10.0)
    texts = sorted(stacks.values(), key=len)
    assert set(stacks) <= set(pool.workers)
    assert "running tests.pool.test_stacks.wait_in_a_thread for " in texts[-1]
    assert 2 == texts[-1].count(" in pass_gate")
    assert 1 == texts[-1].count(" in wait_in_a_thread")
    if len(texts) > 1:
        assert "idle:" in texts[0]
        assert "entry.py" in texts[0]


def test_a_worker_that_holds_the_interpreter_in_c_is_seen(
    launcher: LauncherName, tmp_path: Path
) -> None:
    """
    No Python code of it can run, and its stack is there all the same.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        future = begin(pool, count_for_ever, tmp_path / "begun")
        (text,) = pool.dump_stacks(10.0).values()
        assert " in count_for_ever" in text
        assert future.running()
        future.abort()


def test_what_a_task_waits_for_in_c_goes_on(launcher: LauncherName, tmp_path: Path) -> None:
    """
    To be asked is not to be interrupted.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        future = begin(pool, pause, tmp_path / "begun")
        for _ in range(5):
            (text,) = pool.dump_stacks(10.0).values()
            assert " in pause" in text
        with pytest.raises(TimeoutError):
            future.result(0.2)
        future.abort(grace=0.0)


def test_asking_again_and_from_many_threads(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Everybody gets whole stacks, and the worker goes on with its work.
    """
    future = forked.submit(pass_gate, gate.path, 1)
    gate.wait_for_begun(1)
    texts: list[str] = []

    def ask() -> None:
        for _ in range(5):
            texts.extend(forked.dump_stacks(10.0).values())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gate.open()
    assert 1 == future.result(10.0)
    assert 20 == len(texts)
    assert [] == [text for text in texts if " in pass_gate" not in text]
    assert {2} == {text.count("most recent call first") for text in texts}


def test_a_stopped_worker_is_told_and_not_waited_for(forked: WebWorkerExecutor) -> None:
    """
    Its answer would come after SIGCONT.
    """
    pid = forked.submit(os.getpid).result(10.0)
    future = forked.submit(stop_self)
    wait_for_state(pid, "T")
    before = time.monotonic()
    (text,) = forked.dump_stacks(60.0).values()
    assert time.monotonic() - before < 30.0
    os.kill(pid, signal.SIGCONT)
    assert 1 == future.result(10.0)
    assert "running tests.pool.test_stacks.stop_self for " in text
    assert "<no answer: it is stopped by a signal such as SIGSTOP" in text


def test_a_worker_without_the_handler_lives_on(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    A task that has changed the handlers is not killed by the question; it is given up in time.
    """
    future = forked.submit(forget_handlers, gate.path)
    gate.wait_for_begun(1)
    (text,) = forked.dump_stacks(0.1).values()
    assert "<no answer: none came in 0.1 s" in text
    gate.open()
    assert None is future.result(10.0)


def test_a_worker_that_starts_is_seen(tmp_path: Path) -> None:
    """
    An initializer that hangs can be found.
    """
    path = str(tmp_path / "gate")
    os.mkfifo(path)
    os.mkfifo(f"{path}.begun")
    with WebWorkerExecutor(1, launcher="fork", initializer=pass_gate, initargs=(path, 1)) as pool:
        future = pool.submit(double, 2)
        with open(f"{path}.begun") as stream:
            stream.read()
        (text,) = pool.dump_stacks(10.0).values()
        with open(path, "w"):
            assert 4 == future.result(10.0)
    assert ", starting for " in text
    assert " in pass_gate" in text


def test_there_is_nothing_to_see_where_no_worker_is() -> None:
    """
    Neither before the first task nor after the end.
    """
    pool = WebWorkerExecutor(1, launcher="fork")
    assert {} == pool.dump_stacks()
    pool.submit(double, 1).result(10.0)
    pool.shutdown()
    assert {} == pool.dump_stacks()


@pytest.mark.parametrize("timeout", [-1.0, math.inf, math.nan])
def test_a_time_that_cannot_be(timeout: float) -> None:
    """
    It is refused when it is named.
    """
    with (
        WebWorkerExecutor(1) as pool,
        pytest.raises(ValueError, match="timeout must be 0 seconds or more"),
    ):
        pool.dump_stacks(timeout)


def test_a_handler_that_raises_leaves_no_worker_asked(
    forked: WebWorkerExecutor, gate: Gate
) -> None:
    """
    Whoever is thrown out of the wait does not leave behind what asks for ever.
    """

    future = forked.submit(forget_handlers, gate.path)
    gate.wait_for_begun(1)
    (process,) = forked._pool.crew.processes.values()
    witness = process.witness
    assert witness is not None
    with (
        pytest.raises(KeyboardInterrupt),
        struck(KeyboardInterrupt, lambda _: witness._askers),
    ):
        forked.dump_stacks(60.0)
    wait_until(lambda: not witness._askers)
    gate.open()
    assert future.result(10.0) is None


def test_workers_that_die_meanwhile_are_not_waited_for(pool: WebWorkerExecutor) -> None:
    """
    Whoever asks in a storm gets an answer for each that is there.
    """
    futures: list[WorkerFuture[Any]] = [pool.submit(os._exit, 3) for _ in range(5)]
    before = time.monotonic()
    while not all(future.done() for future in futures):
        for text in pool.dump_stacks(60.0).values():
            assert text.startswith("worker ")
    assert time.monotonic() - before < 40.0
    for future in futures:
        assert isinstance(future.exception(10.0), WorkerCrashedError)


ASK_IN_A_COPY = """
import os
from webworker_executor import WebWorkerExecutor

if __name__ == "__main__":
    with WebWorkerExecutor(1) as pool:
        pool.submit(abs, 1).result(20)
        if os.fork() == 0:
            os._exit(len(pool.dump_stacks(60)) + len(pool.statistics().workers[1:]))
        print(os.waitstatus_to_exitcode(os.wait()[1]), len(pool.dump_stacks(20)))
"""


def test_a_copy_of_the_program_asks_nobody(run_script: ScriptRunner) -> None:
    """
    The workers are its parent's, which can ask them all the same.
    """
    done = run_script(ASK_IN_A_COPY)
    assert ("0 1\n", 0) == (done.stdout, done.returncode)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_crash_has_the_last_stack(number: signal.Signals) -> None:
    """
    As an attribute of the error, and as a note that tracebacks show.
    """
    with WebWorkerExecutor(1) as pool, pytest.raises(WorkerCrashedError) as caught:
        pool.submit(fault, number).result(10.0)
    error = caught.value
    assert number.name == error.signal_name
    assert error.stack is not None
    assert " in fault" in error.stack
    assert error.stack.startswith("Fatal Python error: ")
    assert [f"The worker's last words:\n{error.stack}"] == error.__notes__
    assert error.stack == pickle.loads(pickle.dumps(error)).stack


def test_a_kill_leaves_no_stack(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    Nobody could write one.
    """
    future = forked.submit(pass_gate, gate.path, 1)
    (pid,) = gate.wait_for_begun(1)
    assert 1 == len(forked.dump_stacks(10.0))
    os.kill(pid, signal.SIGKILL)
    error = future.exception(10.0)
    assert isinstance(error, WorkerCrashedError)
    assert (None, False) == (error.stack, hasattr(error, "__notes__"))


def test_the_next_worker_can_be_asked_as_well(pool: WebWorkerExecutor) -> None:
    """
    Each has a pipe of its own, which goes with it.
    """
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        assert isinstance(pool.submit(os._exit, 1).exception(10.0), WorkerCrashedError)
        assert 4 == pool.submit(double, 2).result(10.0)
        assert pool.dump_stacks(10.0)
    assert len(os.listdir("/proc/self/fd")) < before + 20
