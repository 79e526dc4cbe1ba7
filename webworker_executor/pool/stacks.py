"""
The Python stacks of all workers of a pool: asked for together, and waited for no longer than told.

How one process is asked is told in ``witness``; here, what is said of one that gives no answer.
"""

from __future__ import annotations

import functools
import threading
import time

from webworker_executor.launch import procfs
from webworker_executor.rules.worker import STARTING
from webworker_executor.web.seconds import check_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.pool.pool import Pool
    from webworker_executor.pool.process import WorkerProcess
    from webworker_executor.web.pool_worker import PoolWorker

# What the kernel calls states of a process in which it answers nobody. proc_pid_stat(5).
SILENT = {
    "T": "stopped by a signal such as SIGSTOP; it goes on after SIGCONT",
    "t": "stopped by a debugger",
    "Z": "dead",
    "X": "dead",
}
# How long the reactor may take to let go of those that gave no answer.
HAND_BACK_SECONDS = 1.0


class _Roll:
    """The answers of some processes; on the reactor's thread, but for ``wait``."""

    def __init__(self, processes: list[WorkerProcess]) -> None:
        self.answers: dict[WorkerProcess, str] = {}
        self._processes = processes
        self._callbacks: dict[WorkerProcess, Callable[[str], None]] = {}
        self._is_done = threading.Event()
        self._is_over = threading.Event()

    def ask(self) -> None:
        for process in self._processes:
            state = procfs.state_of(process.pid)
            if process.witness is None or process.child is None or state in SILENT:
                self.answers[process] = ""
                continue
            callback = functools.partial(self._answered, process)
            self._callbacks[process] = callback
            process.witness.ask(process.child, callback)
        self._look()

    def _answered(self, process: WorkerProcess, text: str) -> None:
        self.answers[process] = text
        self._look()

    def _look(self) -> None:
        if len(self.answers) == len(self._processes):
            self._is_done.set()

    def finish(self) -> None:
        for process, callback in self._callbacks.items():
            if process.witness is not None and process not in self.answers:
                self.answers[process] = process.witness.forget(callback)
        self._is_over.set()

    def wait(self, timeout: float, call_soon: Callable[[Callable[[], None]], None]) -> None:
        try:
            self._is_done.wait(timeout)
        finally:
            # Also when a signal handler raises: whoever is still asked would be asked for ever.
            call_soon(self.finish)
        self._is_over.wait(HAND_BACK_SECONDS)


def dump(pool: Pool, timeout: float) -> dict[PoolWorker, str]:
    """
    Ask every worker of a pool.

    Args:
        pool: Whose workers.
        timeout: Seconds to wait at most.

    Raises:
        ValueError: ``timeout`` is negative or infinite.
        TypeError: It is no number.
    """
    check_seconds("timeout", timeout)
    if pool.stopped.is_set():
        # Or this is a forked copy of the program, whose workers are not its own.
        return {}
    with pool.lock:
        processes = sorted(
            pool.crew.processes.values(), key=lambda each: (each.worker.slot, each.created_at)
        )
    texts: dict[PoolWorker, list[str]] = {}
    if processes:
        roll = _Roll(processes)
        pool.crew.call_soon(roll.ask)
        roll.wait(timeout, pool.crew.call_soon)
        for process in processes:
            text = roll.answers.get(process, "")
            block = f"{heading(process)}\n{text or _silence(process, timeout)}\n"
            texts.setdefault(pool.workers[process.worker.slot], []).append(block)
    return {worker: "\n".join(blocks) for worker, blocks in texts.items()}


def heading(process: WorkerProcess) -> str:
    """Return the line that stands above the stacks of a process."""
    name = f"worker {process.worker.slot} (pid {process.pid})"
    task = process.running()
    now = time.monotonic()
    if task is not None:
        started = process.begun_at(task.ident)
        seconds = "" if started is None else f" for {now - started:.1f} s"
        return f"{name}, running {task.fn_name}{seconds}:"
    if process.worker.state is STARTING:
        return f"{name}, starting for {now - process.created_at:.1f} s:"
    return f"{name}, idle:"


def _silence(process: WorkerProcess, timeout: float) -> str:
    state = procfs.state_of(process.pid)
    if process.pid is None:
        why = "it is being created"
    elif process.child is None or not process.child.is_alive() or state is None:
        why = "it has ended"
    elif state in SILENT:
        why = f"it is {SILENT[state]}"
    elif process.witness is None:
        why = "no descriptor was left for its answer when it was started"
    else:
        why = f"none came in {timeout} s; the kernel calls its state {state}"
    return f"  <no answer: {why}>"
