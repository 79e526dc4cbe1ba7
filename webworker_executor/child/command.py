"""
The moment before a foreign program: what ``launch.command`` starts, and what becomes the program.
"""

from __future__ import annotations

import posix
import sys

from webworker_executor.child import lifeline
from webworker_executor.child.surroundings import apply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# What a shell gives for a program that is there and cannot be run.
CANNOT_RUN = 126


def main(host: int, command: list[str], settings: Mapping[str, Any]) -> None:
    """
    Become the program; never returns.

    Args:
        host: The process id of whoever started this process.
        command: The path of its file, the name it is called by, and its arguments.
        settings: From ``launch.limits.settings``.
    """
    # It survives exec(2), except into a set-user-ID program.
    lifeline.die_with_parent(host)
    try:
        apply(settings, host)
        # The interpreter ignores some signals, and exec(2) would hand that down.
        _restore_signals()
        posix.execv(command[0], command[1:])
    except (OSError, ValueError) as error:
        sys.stderr.write(f"webworker: cannot run {command[0]}: {error}\n")
    posix._exit(CANNOT_RUN)


def _restore_signals() -> None:
    import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it

    for name in ("SIGPIPE", "SIGXFSZ", "SIGINT"):
        _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
