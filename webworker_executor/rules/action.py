"""
Name what the scheduler may ask for.

Not for performing it: the pool does, in the order given. A changer must know: a Send is made for
about every task, and a class with slots is made in 0.17 us where a NamedTuple takes 0.31 (CPython
3.13, a shared 2-core machine) and a frozen dataclass more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from webworker_executor.rules.task import Task
    from webworker_executor.rules.worker import Worker

__all__ = [
    "Action",
    "Alarm",
    "Break",
    "Cancel",
    "Fail",
    "Recall",
    "Retire",
    "Send",
    "Start",
    "Stopped",
]


@dataclass(slots=True)
class Start:
    """
    Start a process for this worker.

    `worker_ready`, `worker_exited` or `start_failed` tells how that went.
    """

    worker: Worker


@dataclass(slots=True)
class Send:
    """Send these tasks to the worker, in order."""

    worker: Worker
    tasks: list[Task]


@dataclass(slots=True)
class Recall:
    """
    Ask the worker for up to `count` tasks that it has not begun, the last ones first.

    `tasks_returned` tells which came back, also if none did.
    """

    worker: Worker
    count: int


@dataclass(slots=True)
class Retire:
    """Ask the worker to leave. It holds no task."""

    worker: Worker


@dataclass(slots=True)
class Fail:
    """Fail the task: the worker's death is charged to it."""

    task: Task
    worker: Worker


@dataclass(slots=True)
class Cancel:
    """Cancel these tasks, which never ran."""

    tasks: list[Task]


@dataclass(slots=True)
class Break:
    """Fail these tasks and end every worker: the pool is broken, by `worker` if that is known."""

    reason: str
    tasks: list[Task]
    worker: Worker | None = None


@dataclass(slots=True)
class Alarm:
    """Report `clock(now)` once `now` is `at`, in seconds on the clock that stamps the events."""

    at: float


@dataclass(slots=True)
class Stopped:
    """Conclude the shutdown: no task and no worker is left."""


Action: TypeAlias = Start | Send | Recall | Retire | Fail | Cancel | Break | Alarm | Stopped
Actions: TypeAlias = Sequence[Action]
