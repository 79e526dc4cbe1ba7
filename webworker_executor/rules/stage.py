"""
Name the states of a whole pool's life.

Not for its tasks or workers. A changer must know: broken and shutting down are independent of each
other in what users do, hence four states, and none of them is a pair of booleans.
"""

from __future__ import annotations

from webworker_executor.rules.machine import Table, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["BROKEN", "BROKEN_SHUTTING", "OPEN", "POOL_TABLE", "SHUTTING", "STOPPED"]

OPEN: Final = "open"
SHUTTING: Final = "shutting"
BROKEN: Final = "broken"
BROKEN_SHUTTING: Final = "broken_shutting"
STOPPED: Final = "stopped"

POOL_TABLE: Final[Table] = table(
    "pool",
    {
        OPEN: {"shutdown": SHUTTING, "break": BROKEN},
        SHUTTING: {"shutdown": SHUTTING, "break": BROKEN_SHUTTING, "stop": STOPPED},
        BROKEN: {"shutdown": BROKEN_SHUTTING, "break": BROKEN},
        BROKEN_SHUTTING: {
            "shutdown": BROKEN_SHUTTING,
            "break": BROKEN_SHUTTING,
            "stop": STOPPED,
        },
        STOPPED: {"shutdown": STOPPED},
    },
)
