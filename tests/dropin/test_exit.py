"""A program that ends with an executor in hand ends as with the stdlib's, without noise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.script import PACKAGE_ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.script import ScriptRunner

pytestmark = pytest.mark.slow

BEGIN = """
import atexit, os, sys, threading, time
from webworker_executor import WebWorkerExecutor

executor = WebWorkerExecutor(2, launcher=sys.argv[1])

def say(text):
    time.sleep(0.1)  # work that is still going on when the program ends
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize(
    ("end", "stdout", "status"),
    [
        ("for _ in range(3): executor.submit(say, 'done')", "done\ndone\ndone\n", 0),
        ("executor.submit(say, 'done'); executor.shutdown(wait=False)", "done\n", 0),
        ("executor.submit(say, 'done'); del executor", "done\n", 0),
        ("executor.submit(say, 'done'); sys.exit(3)", "done\n", 3),
        ("executor.submit(abs, 1).result()", "", 0),
        ("", "", 0),
        ("executor.submit(os._exit, 1).exception(); print('crashed')", "crashed\n", 0),
        ("executor.itself = executor; executor.submit(say, 'done'); del executor", "done\n", 0),
        (
            "executor.submit(abs, 1)\n"
            "with executor: executor.submit(say, 'done')\n"
            "executor.shutdown()",
            "done\n",
            0,
        ),
    ],
    ids=[
        "pending",
        "not waited for",
        "dropped",
        "with a status",
        "idle",
        "unused",
        "after a crash",
        "in a cycle",
        "closed",
    ],
)
def test_pending_work_completes_without_noise(
    run_script: ScriptRunner, launcher: str, end: str, stdout: str, status: int
) -> None:
    """The work is done, the status is the program's, and nothing is said."""
    completed = run_script(BEGIN + end, launcher)
    assert (stdout, "", status) == (completed.stdout, completed.stderr, completed.returncode)


def test_a_submit_while_the_program_ends(run_script: ScriptRunner, launcher: str) -> None:
    """
    From another thread it is done or refused, but never taken and forgotten.

    From Python 3.12 a program that ends cannot fork any more: then the future says so.
    """
    program = """
def late():
    try:
        future = executor.submit(say, "done")
    except RuntimeError as exc:
        print("refused" if "cannot schedule new futures after" in str(exc) else exc)
    else:
        error = future.exception()
        if error is not None:
            print(type(error).__name__, "fork at interpreter shutdown" in str(error.__cause__))

threading.Thread(target=late).start()
"""
    completed = run_script(BEGIN + program, launcher)
    expected = {"done\n", "refused\n"}
    if launcher == "fork" and sys.version_info >= (3, 12):
        expected.add("BrokenWorkerPool True\n")
    assert completed.stdout in expected
    assert ("", 0) == (completed.stderr, completed.returncode)


def test_a_worker_that_is_born_while_the_program_ends(
    run_script: ScriptRunner, launcher: str
) -> None:
    """It is a process like any other, and may have something done at its own exit."""
    if launcher == "fork" and sys.version_info >= (3, 12):
        pytest.skip("a program that ends cannot fork any more")
    program = """
host = os.getpid()

def prepare():
    threading._register_atexit(lambda: say("left"))
    return "done"

def late():
    if os.getpid() == host:
        print(executor.submit(prepare).result(), flush=True)

# From Python 3.12 no thread can be started then; these are there.
kept = WebWorkerExecutor(1, launcher=sys.argv[1])
kept.submit(abs, 1).result()
threading._register_atexit(late)
"""
    completed = run_script(BEGIN + program, launcher)
    assert ("done\nleft\n", "", 0) == (completed.stdout, completed.stderr, completed.returncode)


def test_an_exception_in_the_with_block(run_script: ScriptRunner, launcher: str) -> None:
    """The program's own traceback is all that is said, after the work is done."""
    program = "with executor:\n    executor.submit(say, 'done')\n    raise ValueError('mine')\n"
    completed = run_script(BEGIN + program, launcher)
    assert ("done\n", 1) == (completed.stdout, completed.returncode)
    assert 1 == completed.stderr.count("Traceback")
    assert completed.stderr.endswith("ValueError: mine\n")


def test_submit_at_exit_is_refused(run_script: ScriptRunner, launcher: str) -> None:
    """In an exit handler `submit` raises RuntimeError, as the stdlib's does."""
    program = """
@atexit.register
def late():
    try:
        executor.submit(abs, 1)
    except RuntimeError as exc:
        print(exc)

executor.submit(abs, 1).result()
"""
    completed = run_script(BEGIN + program, launcher)
    assert ("", 0) == (completed.stderr, completed.returncode)
    assert completed.stdout.startswith("cannot schedule new futures after")


def test_pending_work_completes_before_exit_handlers(
    run_script: ScriptRunner, launcher: str
) -> None:
    """Exit handlers find the results."""
    program = """
atexit.register(lambda: print(future.result(timeout=0)))
executor.submit(say, "work")
future = executor.submit(abs, -5)
"""
    completed = run_script(BEGIN + program, launcher)
    assert ("work\n5\n", "", 0) == (completed.stdout, completed.stderr, completed.returncode)


def test_a_submit_that_fails_while_the_program_ends(
    run_script: ScriptRunner, launcher: str
) -> None:
    """What it ends in is not hidden by a module that cannot be imported any more."""
    program = """
executor.submit(abs, 1).result()
lock = threading.Lock()

def late():
    print(type(executor.submit(abs, lock).exception()).__name__)
    executor.shutdown()
    try:
        executor.submit(abs, 1)
    except RuntimeError as exc:
        print(exc)

threading._register_atexit(late)
"""
    completed = run_script(BEGIN + program, launcher)
    assert completed.stdout.splitlines() == [
        "TypeError",
        "cannot schedule new futures after shutdown",
    ]
    assert ("", 0) == (completed.stderr, completed.returncode)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_workers_leave_with_a_killed_program(
    tmp_path: Path, launcher: str, number: signal.Signals
) -> None:
    """Whatever ends the program ends its workers, though they are busy."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    program = """
import os, sys, time
from webworker_executor import WebWorkerExecutor

def work(fifo):
    with open(fifo, "w") as stream:
        stream.write(f"{os.getpid()}\\n")
    while True:
        sum(range(10**9))

executor = WebWorkerExecutor(2, launcher=sys.argv[1])
for future in [executor.submit(work, sys.argv[2]) for _ in range(2)]:
    future.result()
"""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)}
    with (
        open(os.open(fifo, os.O_RDWR)) as stream,
        subprocess.Popen(
            [sys.executable, "-c", program, launcher, str(fifo)], env=environment
        ) as process,
    ):
        pidfds = [os.pidfd_open(int(stream.readline())) for _ in range(2)]
        process.send_signal(number)
        try:
            for pidfd in pidfds:
                _wait_for_exit(pidfd, timeout=20.0)
        finally:
            for pidfd in pidfds:
                os.close(pidfd)
            process.kill()


def _wait_for_exit(pidfd: int, timeout: float) -> None:
    import select

    ready, _, _ = select.select([pidfd], [], [], timeout)
    if not ready:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert ready, "a worker outlived the program"
