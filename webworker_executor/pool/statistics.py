"""
What an executor has done so far, and what each of its workers is doing: a picture of one moment.

Not for single events (``chronicle``). The hot paths count nothing but the tasks that were taken; a
changer must know that tasks which did well are never counted: they are what is left.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from webworker_executor.launch import procfs
from webworker_executor.rules.worker import DEAF, READY, STARTING

if TYPE_CHECKING:
    from webworker_executor.pool.pool import Pool
    from webworker_executor.pool.process import WorkerProcess

# Of a worker that runs nothing.
_STATES = {STARTING: "starting", READY: "idle", DEAF: "deaf"}


@dataclass(frozen=True)
class WorkerStatistics:
    """
    One worker process.

    Attributes:
        index: Its place in the executor, from 0. Beside one that leaves stands its replacement.
        pid: Its process id, ``None`` while it is being created.
        state: ``"starting"``, ``"idle"``, ``"busy"``, ``"deaf"`` (it holds no task, and gets none
            until it answers: it is stopped, say) or ``"leaving"``.
        task: What it is running, as ``module.function``.
        n_held: How many tasks it holds, the running one included.
        n_done: How many tasks it has done, however they ended.
        uptime: Seconds since its start was asked for.
        memory_nbytes: Resident memory, ``None`` if that cannot be had.
    """

    index: int
    pid: int | None
    state: str
    task: str | None
    n_held: int
    n_done: int
    uptime: float
    memory_nbytes: int | None


@dataclass(frozen=True)
class ExecutorStatistics:
    """
    An executor at one moment.

    ``n_submitted`` is the sum of what follows it, up to ``n_aborted``. A chunk of ``map`` is one
    task, however many calls it holds.

    Attributes:
        n_submitted: Tasks that were ever submitted.
        n_pending: Of them those that wait, in the program or in a worker.
        n_running: Those that run.
        n_done: Those that have a result.
        n_failed: Those that raised, did not pack or unpack, or were failed by a broken pool.
        n_cancelled: Those that were cancelled, before they began or with ``cancel_running``.
        n_crashed: Those that failed with the death of their worker.
        n_timed_out: Those that were stopped because their time was over.
        n_aborted: Those that were aborted.
        n_retried: How often a task had to run again after the death of its worker. What the worker
            itself tries again, for an exception, is not known here.
        n_workers_started: Workers that came up.
        n_workers_died: Those that ended though nobody had asked them to.
        n_workers_replaced: Those that came up in the place of another.
        workers: The processes that are there.
    """

    n_submitted: int
    n_pending: int
    n_running: int
    n_done: int
    n_failed: int
    n_cancelled: int
    n_crashed: int
    n_timed_out: int
    n_aborted: int
    n_retried: int
    n_workers_started: int
    n_workers_died: int
    n_workers_replaced: int
    workers: tuple[WorkerStatistics, ...]


def take(pool: Pool) -> ExecutorStatistics:
    """Take the picture of a pool; any thread."""
    promises, chronicle, tally = pool.promises, pool.chronicle, pool.promises.tally
    # Before the lock, which whoever submits waits for; one that is born meanwhile has none yet.
    pids = [process.pid for process in list(pool.crew.processes.values())]
    memory = {pid: procfs.memory_of(pid) for pid in pids}
    with pool.lock:
        # Copies: a signal handler may submit or end something at any line, lock or not.
        processes = list(pool.crew.processes.values())
        workers = tuple(_worker(process, memory.get(process.pid)) for process in processes)
        # What was aborted stays in the table until its worker has answered.
        n_unresolved = sum(not call.future.done() for call in list(promises.calls.values()))
        n_taken, n_bad = promises.n_taken, tally.n_ended_badly
        n_running = min(n_unresolved, sum(worker.task is not None for worker in workers))
        return ExecutorStatistics(
            n_submitted=n_taken + tally.n_unpackable,
            n_pending=n_unresolved - n_running,
            n_running=n_running,
            n_done=max(0, n_taken - n_unresolved - n_bad),
            n_failed=tally.n_failed + tally.n_unpackable,
            n_cancelled=tally.n_cancelled,
            n_crashed=tally.n_crashed,
            n_timed_out=tally.n_timed_out,
            n_aborted=tally.n_aborted,
            n_retried=tally.n_retried,
            n_workers_started=chronicle.n_started,
            n_workers_died=chronicle.n_died,
            n_workers_replaced=chronicle.n_replaced,
            workers=workers,
        )


def _worker(process: WorkerProcess, memory_nbytes: int | None) -> WorkerStatistics:
    worker = process.worker
    head = process.running()
    state = _STATES.get(worker.state, "leaving") if head is None else "busy"
    return WorkerStatistics(
        index=worker.slot,
        pid=process.pid,
        state=state,
        task=None if head is None else head.fn_name,
        n_held=len(worker.inflight),
        n_done=worker.n_sent - len(worker.inflight),
        uptime=time.monotonic() - process.created_at,
        memory_nbytes=memory_nbytes,
    )
