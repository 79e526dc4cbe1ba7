"""
How an executor ends: in time, by force, with the program, and past workers that never come up.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import wait
from typing import TYPE_CHECKING

import pytest

from tests.dropin.gate import Gate, pass_gate
from tests.patience import Stopwatch, wait_until
from tests.pool import talking
from tests.pool.work import double
from webworker_executor import BrokenWorkerPool, WebWorkerExecutor
from webworker_executor.launch.launcher import Child
from webworker_executor.pool import crew, process, stopping

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.script import ScriptRunner
    from webworker_executor.web.launchers import LauncherName


def ignore_and_sleep() -> None:
    """Ignore SIGTERM, say so, and sleep for long."""
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    talking.sleep_deaf()


def test_a_shutdown_has_an_end(launcher: LauncherName) -> None:
    """
    What is not done in time fails, its worker is ended, and what is done stays done.
    """
    pool = WebWorkerExecutor(2, launcher=launcher)
    stuck = pool.submit(talking.sleep_deaf)
    done = pool.submit(double, 4)
    stuck.messages().receive(20.0)
    assert 8 == done.result(20.0)
    with Stopwatch() as watch:
        started = time.monotonic()
        pool.shutdown(timeout=0.1)
        assert 5.0 > watch.since(started)
    with pytest.raises(BrokenWorkerPool, match="had not ended within the timeout"):
        stuck.result(0)
    assert 8 == done.result(0)


def test_a_worker_that_ignores_sigterm_is_killed() -> None:
    """
    A second later, so that the shutdown ends all the same.
    """
    pool = WebWorkerExecutor(1, launcher="fork")
    stuck = pool.submit(ignore_and_sleep)
    stuck.messages().receive(10.0)
    pool.shutdown(timeout=0.0)
    assert isinstance(stuck.exception(0), BrokenWorkerPool)


@pytest.mark.parametrize("how", ["kill_workers", "interrupt"])
def test_no_sigterm_comes_before_a_kill(
    launcher: LauncherName, gate: Gate, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """
    A task's own handler of SIGTERM would run, and its worker end otherwise than by SIGKILL.
    """
    sent, end = list[int](), Child.end

    def note(child: Child, number: int, rest: float = 0.0) -> None:
        sent.append(number)
        end(child, number, rest)

    monkeypatch.setattr(Child, "end", note)
    pool = WebWorkerExecutor(1, launcher=launcher)
    future = pool.submit(pass_gate, gate.path, None)
    gate.wait_for_begun(1)
    (worker,) = (pool._processes or {}).values()
    if how == "kill_workers":
        pool.kill_workers()
    else:
        pool.__exit__(KeyboardInterrupt, None, None)
    assert isinstance(future.exception(10.0), BrokenWorkerPool)
    # The reactor has sent what it was to send, and has seen the end.
    pool.shutdown()
    assert ({signal.SIGKILL}, -signal.SIGKILL) == ({*sent}, worker.exitcode)


def test_a_shutdown_in_time_fails_nothing(forked: WebWorkerExecutor) -> None:
    """
    The limit is one for what is not done.
    """
    future = forked.submit(double, 4)
    forked.options(priority=1).shutdown(timeout=30.0)
    assert 8 == future.result(0)
    forked.shutdown(timeout=0.0)


def test_a_shutdown_that_is_not_waited_for_has_an_end(forked: WebWorkerExecutor) -> None:
    """
    The reactor sees to it.
    """
    stuck = forked.submit(talking.sleep_deaf)
    forked.shutdown(wait=False, timeout=0.1)
    assert isinstance(stuck.exception(10.0), BrokenWorkerPool)


def test_callbacks_are_not_waited_for_after_the_end(forked: WebWorkerExecutor, gate: Gate) -> None:
    """
    A callback that does not return holds up nobody who has said how long.
    """
    may_return = threading.Event()
    has_begun = threading.Event()
    future = forked.submit(pass_gate, gate.path, None)

    def hold(_: object) -> None:
        has_begun.set()
        may_return.wait(20.0)

    # Before the task can end: added later, it would be called here.
    future.add_done_callback(hold)
    gate.open()
    assert has_begun.wait(10.0)
    forked.shutdown(timeout=0.1)
    assert not may_return.is_set()
    may_return.set()


@pytest.mark.parametrize("timeout", [-1.0, float("nan"), float("inf")])
def test_a_time_is_refused_that_is_none(forked: WebWorkerExecutor, timeout: float) -> None:
    """
    Nothing is shut down then.
    """
    with pytest.raises(ValueError, match="timeout must be 0 seconds or more"):
        forked.shutdown(timeout=timeout)
    assert 2 == forked.submit(double, 1).result(10.0)


def test_a_cancel_reaches_calls_that_wait_for_an_initializer(
    launcher: LauncherName, gate: Gate
) -> None:
    """
    One that never ends would keep them for ever.
    """
    pool = WebWorkerExecutor(
        2, launcher=launcher, initializer=pass_gate, initargs=(gate.path, None)
    )
    futures = [pool.submit(double, number) for number in range(5)]
    gate.wait_for_begun(1)
    pool.shutdown(wait=False, cancel_futures=True)
    assert set() == wait(futures, 10.0).not_done
    assert [True] * 5 == [future.cancelled() for future in futures]
    gate.open()
    pool.shutdown()


def test_a_cancel_reaches_calls_whose_worker_is_not_even_there(gate: Gate) -> None:
    """
    At once after the submit.
    """
    pool = WebWorkerExecutor(1, launcher="spawn", initializer=pass_gate, initargs=(gate.path, None))
    future = pool.submit(double, 1)
    pool.shutdown(wait=False, cancel_futures=True)
    assert set() == wait([future], 10.0).not_done
    assert future.cancelled()
    gate.open()
    pool.shutdown()


PROGRAM = """
import os, sys, threading, time
from webworker_executor import WebWorkerExecutor

def say(text):
    sys.stdout.write("begun\\n")
    sys.stdout.flush()
    open("begun", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.01)
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()

def go(*_):
    open("go", "w").close()

policy = sys.argv[1]
executor = WebWorkerExecutor(1, launcher="spawn", exit_policy=policy)
executor.submit(say, "first")
while not os.path.exists("begun"):
    time.sleep(0.01)
second = executor.submit(say, "second")
if policy == "wait":
    # The last one registered is called first.
    threading._register_atexit(go)
elif policy == "cancel":
    second.add_done_callback(go)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "lines"),
    [
        ("wait", ["begun", "first", "begun", "second"]),
        ("cancel", ["begun", "first"]),
        ("kill", ["begun"]),
    ],
)
def test_the_end_of_the_program(run_script: ScriptRunner, policy: str, lines: list[str]) -> None:
    """
    What is pending is finished, cancelled or dropped, and the program ends without noise.
    """
    done = run_script(PROGRAM, policy)
    assert (0, "") == (done.returncode, done.stderr)
    assert lines == done.stdout.split()


def test_a_policy_is_one_of_three() -> None:
    """
    Any other is refused when it is named.
    """
    with pytest.raises(ValueError, match="exit_policy must be 'wait', 'cancel' or 'kill'"):
        WebWorkerExecutor(1, exit_policy="maybe")  # type: ignore[arg-type]  # what it refuses


KEPT_OPEN = """
import sys
from webworker_executor import WebWorkerExecutor

sys.path.insert(0, "")
import worker_module

if __name__ == "__main__":
    with WebWorkerExecutor(1) as pool:
        pool.submit(worker_module.keep_open, "by_module").result()
        pool.submit(print, end="").result()
    with open("by_module") as file:
        print(file.read())
"""
WORKER_MODULE = """
def keep_open(path):
    global kept
    kept = open(path, "w")
    kept.write("all of it")
"""


def test_a_file_that_a_module_keeps_open_is_written_when_its_worker_ends(
    run_script: ScriptRunner, tmp_path: Path
) -> None:
    """
    As at the end of any interpreter.
    """
    (tmp_path / "worker_module.py").write_text(WORKER_MODULE)
    done = run_script(KEPT_OPEN, cwd=tmp_path)
    assert "all of it" == done.stdout.strip(), done.stderr


def hold_the_interpreter(path: Path) -> None:
    """Make a file, and sleep in C, so that no thread of this process hears anything."""
    import ctypes

    path.touch()
    ctypes.PyDLL(None).sleep(1000)


def stand_still(path: Path) -> None:
    """Make a file, and stop this process."""
    path.touch()
    os.kill(os.getpid(), signal.SIGSTOP)


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a worker that is to leave no five seconds."""
    monkeypatch.setattr(process, "CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(stopping, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(stopping, "DEAF_SECONDS", 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("initializer", [hold_the_interpreter, stand_still])
def test_a_shutdown_that_cancels_ends_a_worker_that_is_not_up(
    launcher: LauncherName,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    initializer: Callable[[Path], None],
) -> None:
    """
    Though it hears nothing: what lies there is cancelled without its help.
    """
    impatient(monkeypatch)
    path = tmp_path / "begun"
    pool = WebWorkerExecutor(1, launcher=launcher, initializer=initializer, initargs=(path,))
    future = pool.submit(double, 1)
    wait_until(path.exists)
    pool.shutdown(cancel_futures=True)
    assert future.cancelled()


@pytest.mark.slow
def test_a_shutdown_that_cancels_before_a_worker_has_its_link() -> None:
    """
    It takes back what was never sent.
    """
    for _ in range(20):
        pool = WebWorkerExecutor(2, launcher="spawn", initializer=time.sleep, initargs=(0.01,))
        futures = [pool.submit(double, number) for number in range(3)]
        pool.shutdown(cancel_futures=True)
        assert all(future.cancelled() or future.result(0) in {0, 2, 4} for future in futures)


@pytest.mark.slow
def test_a_shutdown_that_cancels_where_there_is_no_ledger(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    A worker that is not up and does not answer is ended.
    """
    impatient(monkeypatch)
    monkeypatch.setattr(crew, "CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(crew.Crew, "_ledger", lambda _: None)
    path = tmp_path / "begun"
    pool = WebWorkerExecutor(1, initializer=hold_the_interpreter, initargs=(path,))
    future = pool.submit(double, 1)
    wait_until(path.exists)
    pool.shutdown(cancel_futures=True)
    assert future.cancelled()


NEVER_UP = """
from pathlib import Path
from tests.patience import wait_until
from tests.pool.test_ending import double, hold_the_interpreter
from webworker_executor import WebWorkerExecutor
from webworker_executor.pool import process, stopping

process.CLOSE_SECONDS = stopping.ANSWER_SECONDS = stopping.DEAF_SECONDS = 0.1
path = Path("PATH")
options = {"initializer": hold_the_interpreter, "initargs": (path,)}
pool = WebWorkerExecutor(1, exit_policy="cancel", **options)
pool.submit(double, 1)
wait_until(path.exists)
"""


@pytest.mark.slow
def test_a_program_ends_though_a_worker_never_comes_up(
    run_script: ScriptRunner, tmp_path: Path
) -> None:
    """
    Where what waits is cancelled at its end.
    """
    done = run_script(NEVER_UP.replace("PATH", str(tmp_path / "begun")))
    assert (0, "") == (done.returncode, done.stderr)
