"""
Whom a death is charged to, and what is said of it.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.dropin.gate import pass_gate
from tests.pool.work import double
from webworker_executor import WebWorkerExecutor, WorkerCrashedError

if TYPE_CHECKING:
    from tests.dropin.gate import Gate
    from tests.script import ScriptRunner
    from webworker_executor import PoolEvent


def test_the_running_task_pays_and_no_other(pool: WebWorkerExecutor, gate: Gate) -> None:
    """
    What waited in the dead worker runs elsewhere.
    """
    running = [pool.submit(pass_gate, gate.path, number) for number in range(2)]
    waiting = [pool.submit(double, number) for number in range(10)]
    pid, _ = gate.wait_for_begun(2)
    os.kill(pid, signal.SIGKILL)
    gate.open()
    assert [2 * number for number in range(10)] == [future.result(10.0) for future in waiting]
    failed = [future for future in running if future.exception(10.0) is not None]
    assert 1 == len(failed)
    with pytest.raises(WorkerCrashedError, match=rf"pid {pid}\) was killed by SIGKILL"):
        failed[0].result(0)


def test_the_death_of_an_idle_worker_is_charged_to_nobody(forked: WebWorkerExecutor) -> None:
    """
    It is told as a crash all the same, without a task.
    """
    events: list[PoolEvent] = []
    forked.observe(events.append)
    pid = forked.submit(os.getpid).result(10.0)
    (child,) = forked._processes.values()
    os.kill(pid, signal.SIGKILL)
    child.join(10.0)
    assert 4 == forked.submit(double, 2).result(10.0)
    forked.shutdown()
    dead = next(event for event in events if event.kind == "worker_exited")
    assert (pid, None, "SIGKILL", False) == (dead.pid, dead.task, dead.signal_name, dead.was_asked)
    assert [] == [event for event in events if event.kind == "task_crashed"]


STILL = """
import os, threading
from webworker_executor import WebWorkerExecutor
from webworker_executor.launch import escalation

def hold(is_held, is_over):
    with lock:
        is_held.set()
        is_over.wait()

if __name__ == "__main__":
    lock, is_held, is_over = threading.Lock(), threading.Event(), threading.Event()
    threading.Thread(target=hold, args=(is_held, is_over)).start()
    is_held.wait()
    os.register_at_fork(after_in_child=lock.acquire)
    escalation.STANDSTILL_SECONDS = 0.1
    with WebWorkerExecutor(1, launcher="fork") as pool:
        try:
            pool.submit(abs, -1).result()
        except Exception as error:
            print(error)
        is_over.set()
        print(pool.submit(abs, -2).result())
"""


def test_a_copy_that_waits_for_a_lock_for_ever_is_told_and_keeps_nobody_waiting(
    run_script: ScriptRunner,
) -> None:
    """
    The tries have an end, and the pool starts again when starting works again.
    """
    done = run_script(STILL, options=["-W", "ignore"])
    error, result = done.stdout.splitlines()
    assert "it waits for a lock that another thread of the program held" in error
    assert "2" == result
    assert 0 == done.returncode
