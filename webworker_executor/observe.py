"""
Events of a pool: what has happened to its workers and tasks, in the past tense.

Not for events of the Web, which handlers get (``web.event``), nor for who tells whom: a pool keeps
its own chronicle. A changer must know: programs match on ``kind``, so a kind is never renamed.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

WORKER_STARTED = "worker_started"
WORKER_EXITED = "worker_exited"
WORKER_OUTGREW = "worker_outgrew"
TASK_CRASHED = "task_crashed"
TASK_RETRIED = "task_retried"
TASK_TIMED_OUT = "task_timed_out"
TASK_ABORTED = "task_aborted"
WORKERS_CANNOT_START = "workers_cannot_start"
POOL_BROKEN = "pool_broken"

KINDS = (
    WORKER_STARTED,
    WORKER_EXITED,
    WORKER_OUTGREW,
    TASK_CRASHED,
    TASK_RETRIED,
    TASK_TIMED_OUT,
    TASK_ABORTED,
    WORKERS_CANNOT_START,
    POOL_BROKEN,
)


class PoolEvent:
    """
    Something that has happened in an executor; it cannot be changed.

    Attributes:
        kind: ``"worker_started"``, ``"worker_exited"``, ``"worker_outgrew"``, ``"task_crashed"``,
            ``"task_retried"``, ``"task_timed_out"``, ``"task_aborted"``,
            ``"workers_cannot_start"`` or ``"pool_broken"``.
        text: All of it in one line for people, as it is logged.
        time: When the host learned of it, in seconds of ``time.time()``.
        worker: The place of the worker, from 0; ``None`` where none is concerned.
        pid: Its process id.
        exitcode: How it ended: its exit status, ``-signal`` if a signal killed it, ``None`` if it
            has not ended or the status is not known.
        signal_name: Such as ``"SIGKILL"``.
        task: What it was running, or what the task runs, as ``module.function``.
        was_asked: Whether the pool wanted the worker to end; ``False`` for a crash.
    """

    __slots__ = (
        "exitcode",
        "kind",
        "pid",
        "signal_name",
        "task",
        "text",
        "time",
        "was_asked",
        "worker",
    )
    __match_args__ = ("kind",)

    kind: str
    text: str
    time: float
    worker: int | None
    pid: int | None
    exitcode: int | None
    signal_name: str | None
    task: str | None
    was_asked: bool

    def __init__(
        self,
        kind: str,
        text: str,
        time: float,
        *,
        worker: int | None = None,
        pid: int | None = None,
        exitcode: int | None = None,
        signal_name: str | None = None,
        task: str | None = None,
        was_asked: bool = False,
    ) -> None:
        # Past the guard below; a dataclass would import `inspect`, which takes 7 ms.
        for name, value in (
            ("kind", kind),
            ("text", text),
            ("time", time),
            ("worker", worker),
            ("pid", pid),
            ("exitcode", exitcode),
            ("signal_name", signal_name),
            ("task", task),
            ("was_asked", was_asked),
        ):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"<PoolEvent {self.kind}: {self.text}>"

    def __reduce__(self) -> tuple[Callable[..., PoolEvent], tuple[dict[str, object]]]:
        # A copy is made as the event was, and not by setting what cannot be set.
        return _made_anew, ({name: getattr(self, name) for name in self.__slots__},)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an event that has happened cannot be changed ({name})")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an event that has happened cannot be changed ({name})")


def _made_anew(values: dict[str, Any]) -> PoolEvent:
    return PoolEvent(**values)
