"""
Name the states of a submitted call.

Not for what is called nor for its future: the pool adds those in a subclass. A changer must know: a
task is made for every submit, so it holds nothing that the rules do not read.
"""

from __future__ import annotations

from webworker_executor.rules.machine import Table, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from webworker_executor.rules.worker import Worker

__all__ = [
    "CANCELLED",
    "DONE",
    "NEW",
    "QUEUED",
    "SENT",
    "TASK_TABLE",
    "Survivor",
    "Task",
]

NEW: Final = "new"
QUEUED: Final = "queued"
SENT: Final = "sent"
DONE: Final = "done"
CANCELLED: Final = "cancelled"

# A task that was sent may have begun, and nobody but its worker knows. Therefore a sent task cannot
# be cancelled here: it must come back first (give_back), or the hand-over must not have happened
# after all (drop).
TASK_TABLE: Final[Table] = table(
    "task",
    {
        NEW: {"submit": QUEUED},
        QUEUED: {"send": SENT, "fail": DONE, "cancel": CANCELLED},
        SENT: {"finish": DONE, "fail": DONE, "give_back": QUEUED, "drop": CANCELLED},
        DONE: {},
        CANCELLED: {},
    },
)


class Task:
    """
    Be one submitted call, as the scheduler sees it.

    Args:
        ident: The number that names the task on the wire.

    Attributes:
        state: One of `NEW`, `QUEUED`, `SENT`, `DONE`, `CANCELLED`.
        worker: The worker it was last sent to; None before that and after it was given back.
        strikes: How many workers died with this task at their head though none had begun it.
        pin: The place it must run in; None for any.
        priority: Of the tasks that wait, one with a higher number runs earlier.
    """

    __slots__ = ("ident", "state", "strikes", "worker")
    # Of the class: nearly every task runs anywhere and in its turn, and shall not be larger for
    # those that do not.
    pin: int | None = None
    priority: int = 0

    def __init__(self, ident: int) -> None:
        self.ident = ident
        self.state: str = NEW
        self.worker: Worker | None = None
        self.strikes = 0

    def survive(self) -> bool:
        """
        Take note that its worker died while it ran.

        Returns:
            Whether it may run again.
        """
        return False

    @property
    def name(self) -> str:
        """
        Tell what people call it.

        Returns:
            The name of its class here; a call has that of its function.
        """
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<{type(self).__name__} #{self.ident} {self.state}>"


class Survivor:
    """
    Be what may run again when its worker dies.

    Attributes:
        retries: How many deaths of workers it still survives.
    """

    __slots__ = ()
    retries: int

    def survive(self) -> bool:
        """
        Take note that its worker died while it ran.

        Returns:
            Whether it may run again.
        """
        self.retries -= 1  # type: ignore[misc]  # a slot of each subclass
        return self.retries >= 0
