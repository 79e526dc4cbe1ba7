"""
What a process sets for itself before any code of the user runs: directory, limits, user.

Imported by workers at their start, so it imports the least. The order matters: a directory may be
open to the old user alone, and only that one may raise limits and choose another user.
"""

from __future__ import annotations

import posix

from webworker_executor.child import lifeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def apply(settings: Mapping[str, Any], host: int) -> None:
    """
    Set what was asked for.

    Args:
        settings: From ``launch.limits.settings``.
        host: The process id of whoever started this process.

    Raises:
        OSError: The kernel refuses one of them.
        ValueError: A limit lies above what this process may have.
    """
    if settings["cwd"] is not None:
        posix.chdir(settings["cwd"])
    if settings["umask"] is not None:
        posix.umask(settings["umask"])
    if settings["session"]:
        # The leader of a group cannot leave it for a session of its own: setsid(2).
        posix.setpgid(0, posix.getpgid(host))
        posix.setsid()
    if settings["cpus"] is not None:
        posix.sched_setaffinity(0, settings["cpus"])
    if settings["nice"]:
        posix.nice(settings["nice"])
    if settings["groups"] is not None:
        posix.setgroups(settings["groups"])
    if settings["gid"] is not None:
        posix.setgid(settings["gid"])
    if settings["rlimits"]:
        import resource

        for number, limits in settings["rlimits"].items():
            resource.setrlimit(number, limits)
    if settings["uid"] is not None:
        posix.setuid(settings["uid"])
    if settings["uid"] is not None or settings["gid"] is not None:
        # The kernel forgets it when the user changes (prctl(2)).
        lifeline.die_with_parent(host)
