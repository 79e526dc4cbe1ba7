"""
Name what the scheduler may ask for.

Not for performing it: the pool does, in the order given. A changer must know: a Send is made for
about every task, and a class with slots is made in 0.17 us where a NamedTuple takes 0.31 (CPython
3.13, a shared 2-core machine) and a frozen dataclass more.
"""

from __future__ import annotations

from collections.abc import Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from webworker_executor.rules.task import Task
    from webworker_executor.rules.worker import Worker

__all__ = [
    "Action",
    "Alarm",
    "Break",
    "Cancel",
    "Fail",
    "GiveUp",
    "Recall",
    "Retire",
    "Retry",
    "Send",
    "Start",
    "Stopped",
    "Withhold",
]


class _Record:
    # What a dataclass does, without the module of that name, which imports inspect: 7 ms.
    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]  # what can change has none

    def __repr__(self) -> str:
        fields = (f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({', '.join(fields)})"


class Start(_Record):
    """
    Start a process for this worker.

    `worker_ready`, `worker_exited` or `start_failed` tells how that went.
    """

    __slots__ = __match_args__ = ("worker",)

    def __init__(self, worker: Worker) -> None:
        self.worker = worker


class Send(_Record):
    """Send these tasks to the worker, in order."""

    __slots__ = __match_args__ = ("worker", "tasks")  # in the order of the arguments

    def __init__(self, worker: Worker, tasks: list[Task]) -> None:
        self.worker = worker
        self.tasks = tasks


class Recall(_Record):
    """
    Ask the worker for up to `count` tasks that it has not begun, the last ones first.

    `tasks_returned` tells which came back, also if none did.
    """

    __slots__ = __match_args__ = ("worker", "count")  # in the order of the arguments

    def __init__(self, worker: Worker, count: int) -> None:
        self.worker = worker
        self.count = count


class Withhold(_Record):
    """
    Have the worker begin nothing more of what it holds, without its help.

    `tasks_withheld` tells what it had begun by then, and `worker_hears` that it has heard. From one
    that is not up and turns out to have no entry in the ledger it is asked for instead.
    """

    __slots__ = __match_args__ = ("worker",)

    def __init__(self, worker: Worker) -> None:
        self.worker = worker


class Retire(_Record):
    """Ask the worker to leave. It holds no task."""

    __slots__ = __match_args__ = ("worker",)

    def __init__(self, worker: Worker) -> None:
        self.worker = worker


class Fail(_Record):
    """Fail the task: the worker's death is charged to it."""

    __slots__ = __match_args__ = ("task", "worker")

    def __init__(self, task: Task, worker: Worker) -> None:
        self.task = task
        self.worker = worker


class Retry(_Record):
    """Tell that the task survives the worker's death, and waits to run again."""

    __slots__ = __match_args__ = ("task", "worker")

    def __init__(self, task: Task, worker: Worker) -> None:
        self.task = task
        self.worker = worker


class Cancel(_Record):
    """Cancel these tasks, which never ran."""

    __slots__ = __match_args__ = ("tasks",)

    def __init__(self, tasks: list[Task]) -> None:
        self.tasks = tasks


class Break(_Record):
    """Fail these tasks and end every worker: the pool is broken, by `worker` if that is known."""

    __slots__ = __match_args__ = ("reason", "tasks", "worker")

    def __init__(self, reason: str, tasks: list[Task], worker: Worker | None = None) -> None:
        self.reason = reason
        self.tasks = tasks
        self.worker = worker


class GiveUp(_Record):
    """Fail these tasks: no worker could be started for them. The pool goes on."""

    __slots__ = __match_args__ = ("tasks",)

    def __init__(self, tasks: list[Task]) -> None:
        self.tasks = tasks


class Alarm(_Record):
    """Report `clock(now)` once `now` is `at`, in seconds on the clock that stamps the events."""

    __slots__ = __match_args__ = ("at",)

    def __init__(self, at: float) -> None:
        self.at = at


class Stopped(_Record):
    """Conclude the shutdown: no task and no worker is left."""

    __slots__ = __match_args__ = ()


Action: TypeAlias = (
    Start
    | Send
    | Recall
    | Withhold
    | Retire
    | Fail
    | Retry
    | Cancel
    | Break
    | GiveUp
    | Alarm
    | Stopped
)
Actions: TypeAlias = Sequence[Action]
