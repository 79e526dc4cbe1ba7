"""
How much memory there is: that of the machine, or of the control group that a container is.

Not for that of a process: see ``launch.procfs``.

Source: proc_meminfo(5); the kernel's "Control Group v2", ``memory.max`` and ``memory.current``.
"""

from __future__ import annotations

import contextlib
import os

# What a control group may have, and what it has: of the second version, then of the first.
_GROUP_FILES = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def total_nbytes() -> int:
    """Return how many bytes of memory this program could have at the very most."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([total, *(limit for limit, _ in _groups())])


def available_nbytes() -> int:
    """
    Return how many bytes may be taken now without the kernel's having to kill somebody for them.

    A guess: what the kernel could give back of its caches counts in part only.
    """
    # Where the kernel tells nothing more, all that is there may be.
    free = [total_nbytes(), *(limit - used for limit, used in _groups())]
    with contextlib.suppress(OSError), open("/proc/meminfo", encoding="ascii") as file:
        lines = filter(lambda line: line.startswith("MemAvailable:"), file)
        free += [1024 * int(line.split()[1]) for line in lines]
    return max(0, min(free))


def _groups() -> list[tuple[int, int]]:
    found = []
    for limit, used in _GROUP_FILES:
        try:
            found.append((_number(limit), _number(used)))
        except (OSError, ValueError):
            # There is none of this version, or it may have all there is ("max").
            continue
    return found


def _number(name: str) -> int:
    with open(f"/sys/fs/cgroup/{name}", encoding="ascii") as file:
        return int(file.read())
