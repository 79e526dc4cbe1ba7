"""
The processes of a session: how a measured program and all that it started are found and ended.

Not for process groups: our own workers, and others', leave the group of their program, but none
leaves its session. Whoever changes this must know that a measured interpreter imports it too.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from time import monotonic, sleep


def processes_of(session: int) -> list[int]:
    """
    List the processes of a session.

    Args:
        session: The pid of the process that began it.

    Returns:
        Their pids, without those that are dead and not yet collected.
    """
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        # It may end between any two of these steps.
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as stream:
            # What stands before the last parenthesis is the program's name, and may be anything.
            fields = stream.read().rpartition(b")")[2].split()
            if int(fields[3]) == session and fields[0] not in b"ZX":
                found.append(int(name))
    return found


def end_session(session: int, grace: float) -> None:
    """
    Wait until no process of a session is left, and kill those that stay.

    Args:
        session: The pid of the process that began it.
        grace: Seconds that they have to end by themselves: a pool's helper tidies up when the
            program is gone.
    """
    deadline = monotonic() + grace
    give_up = deadline + 5.0
    while (pids := processes_of(session)) and monotonic() < give_up:
        if monotonic() >= deadline:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        # The kernel has no event for the end of a process that is not our child.
        sleep(0.005)
