"""
Name the states of a worker that somebody made by hand, from its start to its exit.

Not for its process or its messages. A changer must know: any state may exit, since a process may
die at any time, and a worker that was asked to leave while it started may still say that it is
ready, because the two messages crossed.
"""

from __future__ import annotations

from typing import ClassVar, Final

from webworker_executor.rules.machine import Machine, Table, table

__all__ = ["CLOSING", "EXITED", "RUNNING", "SCRIPT_TABLE", "STARTING", "ScriptMachine"]

STARTING: Final = "starting"
RUNNING: Final = "running"
CLOSING: Final = "closing"
EXITED: Final = "exited"

SCRIPT_TABLE: Final[Table] = table(
    "script",
    {
        STARTING: {"ready": RUNNING, "close": CLOSING, "exit": EXITED},
        RUNNING: {"close": CLOSING, "exit": EXITED},
        CLOSING: {"ready": CLOSING, "close": CLOSING, "exit": EXITED},
        EXITED: {},
    },
)


class ScriptMachine(Machine):
    """
    Be in one state of a worker's life.

    Source: HTML, "run a worker", "terminate a worker".
    """

    __slots__ = ()
    table: ClassVar[Table] = SCRIPT_TABLE
