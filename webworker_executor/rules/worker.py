"""
Name the states of a worker's life, and what the rules know of each worker.

Not for its process, socket or pid: the pool keeps those under the worker's `ident`. A changer must
know: `inflight` order is the order in which the worker runs; who paid for a crash hangs on it.
"""

from __future__ import annotations

from collections import deque

from webworker_executor.rules.machine import Machine, Table, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar, Final

    from webworker_executor.rules.task import Task

__all__ = [
    "ASKED",
    "BARREN",
    "CLOSING",
    "DEAF",
    "DRAINING",
    "EXITED",
    "FREE",
    "LATE",
    "READY",
    "SILENT",
    "STARTING",
    "WITHHELD",
    "WORKER_TABLE",
    "Worker",
]

STARTING: Final = "starting"
READY: Final = "ready"
DEAF: Final = "deaf"
DRAINING: Final = "draining"
CLOSING: Final = "closing"
EXITED: Final = "exited"

# Any state may exit, since a process may die at any time. A worker that was asked to leave while it
# started may still say that it is ready: the two messages crossed. A deaf one does not answer, so
# what it had not begun was withheld from it, and it gets no more until it does.
WORKER_TABLE: Final[Table] = table(
    "worker",
    {
        STARTING: {"ready": READY, "close": CLOSING, "exit": EXITED},
        READY: {"drain": DRAINING, "deafen": DEAF, "close": CLOSING, "exit": EXITED},
        DEAF: {"hear": READY, "drain": DRAINING, "close": CLOSING, "exit": EXITED},
        DRAINING: {"close": CLOSING, "exit": EXITED},
        CLOSING: {"ready": CLOSING, "exit": EXITED},
        EXITED: {},
    },
)

# What stands between asking a worker for its unstarted tasks and asking again.
FREE: Final = "free"
ASKED: Final = "asked"
SILENT: Final = "silent"
BARREN: Final = "barren"
WITHHELD: Final = "withheld"

# What becomes of that where nothing was heard for a while: also who had none may have got some.
LATE: Final = {
    FREE: FREE,
    ASKED: SILENT,
    SILENT: SILENT,
    WITHHELD: WITHHELD,
    BARREN: FREE,
}

# What a change of threads may take, and more of the usual time than chance adds to it. Whoever is
# taken for late and is not is fed with the next answer.
LATE_SECONDS = 0.001
LATE_FACTOR = 4


class Worker(Machine):
    """
    Be one started process, as the scheduler sees it.

    Args:
        ident: The number of this process, never used again.
        slot: Its place among the workers, 0 to `max_workers - 1`; its replacement takes the same.
        birth: How many volleys of starts had failed when it was started, see `Births`.

    Attributes:
        answered: The number of the task that it answered last; 0 before the first.
        asked_at: When it was asked last for unstarted tasks, in seconds.
        inflight: The tasks it holds, in the order in which it runs them. Read it anew each time.
        n_sent: How many tasks it was ever given, less those that came back.
        n_seen: `n_sent` when it was last seen idle, see `Idleness`.
        seen_at: When it was first seen so, in seconds.
        head_since: When the first of its tasks became the first, in seconds.
        pace: Pessimistic moving average of its tasks' duration in seconds; None before the first.
        recall: `FREE`, `ASKED` (for unstarted tasks), `SILENT` (asked, and nobody counts on it any
            more), `WITHHELD` (told to begin none, and has not said that it heard), or `BARREN` (had
            none; wait for an answer).
        is_noted: Whether it notes in the ledger what it begins, so that it can be withheld from.
    """

    __slots__ = (
        "answered",
        "asked_at",
        "birth",
        "head_since",
        "ident",
        "inflight",
        "is_noted",
        "n_seen",
        "n_sent",
        "pace",
        "recall",
        "seen_at",
        "slot",
    )
    table: ClassVar[Table] = WORKER_TABLE

    def __init__(self, ident: int, slot: int, birth: int = 0) -> None:
        super().__init__()
        self.ident = ident
        self.slot = slot
        self.birth = birth
        self.inflight: deque[Task] = deque()
        self.answered = 0
        self.n_sent = 0
        self.n_seen = -1
        self.seen_at = 0.0
        self.head_since = 0.0
        self.pace: float | None = None
        self.recall: str = FREE
        self.asked_at = 0.0
        self.is_noted = False

    def is_late(self, now: float) -> bool:
        """
        Tell whether its first task takes longer than its tasks have taken.

        Args:
            now: The time in seconds.

        Returns:
            Whether to keep others from behind it. Of a worker that is stopped, or whose task keeps
            the interpreter to itself in C, they could not be had back.
        """
        return now - self.head_since > LATE_SECONDS + LATE_FACTOR * (self.pace or 0.0)

    def __repr__(self) -> str:
        return f"<Worker {self.ident} slot={self.slot} {self.state} inflight={len(self.inflight)}>"
