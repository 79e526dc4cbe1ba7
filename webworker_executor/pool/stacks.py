"""
The Python stacks of all workers of a pool, each with a line on what the worker is doing.
"""

from __future__ import annotations

import time

from webworker_executor.launch import roll
from webworker_executor.rules.worker import STARTING
from webworker_executor.web.seconds import check_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from webworker_executor.pool.pool import Pool
    from webworker_executor.pool.process import WorkerProcess
    from webworker_executor.web.pool_worker import PoolWorker


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
        answers = roll.ask(processes, timeout, pool.crew.call_soon)
        for process in processes:
            text = answers.get(process, "")
            block = f"{heading(process)}\n{text or roll.silence(process, timeout)}\n"
            texts.setdefault(pool.workers[process.worker.slot], []).append(block)
    return {worker: "\n".join(blocks) for worker, blocks in texts.items()}


def heading(process: WorkerProcess) -> str:
    """Return the line that stands above the stacks of a process."""
    task = process.running()
    now = time.monotonic()
    if task is not None:
        started = process.begun_at(task.ident)
        seconds = "" if started is None else f" for {now - started:.1f} s"
        return f"{process.title}, running {task.fn_name}{seconds}:"
    if process.worker.state is STARTING:
        return f"{process.title}, starting for {now - process.created_at:.1f} s:"
    return f"{process.title}, idle:"
