"""
What the process of a `Worker` uses, at one moment.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from webworker_executor.launch import procfs

if TYPE_CHECKING:
    from webworker_executor.web.life import Life


@dataclass(frozen=True)
class ProcessStatistics:
    """
    The process of a `Worker` at one moment.

    Attributes:
        pid: Its process id, ``None`` before it is created.
        state: ``"starting"``, ``"running"``, ``"closing"`` or ``"exited"``.
        uptime: Seconds since its start was asked for.
        cpu_seconds: Processor time of all its threads so far, ``None`` if that cannot be had. By
            ``uptime`` it is its utilization of one processor.
        memory_nbytes: Resident memory, ``None`` if that cannot be had.
        n_waiting: Messages that have come from it and that nobody has taken.
        buffered_nbytes: Bytes that were posted to it and wait for room in the kernel.
    """

    pid: int | None
    state: str
    uptime: float
    cpu_seconds: float | None
    memory_nbytes: int | None
    n_waiting: int
    buffered_nbytes: int


def take(life: Life, *, n_waiting: int, buffered_nbytes: int) -> ProcessStatistics:
    """Take the picture of a process; any thread."""
    pid = None if life.is_over else life.pid
    return ProcessStatistics(
        pid=life.pid,
        state=life.state,
        uptime=time.monotonic() - life.created_at,
        cpu_seconds=procfs.cpu_seconds_of(pid),
        memory_nbytes=procfs.memory_of(pid),
        n_waiting=n_waiting,
        buffered_nbytes=0 if life.is_over else buffered_nbytes,
    )
