"""
How many processors this process may keep busy: by its affinity, and by the control group that a
container is.

Not for how many workers an executor has: as with the standard library, that is its own number.

Source: sched_getaffinity(2); the kernel's "Control Group v2", ``cpu.max``, and "CFS Bandwidth
Control" for the first version.
"""

from __future__ import annotations

import os

_GROUPS = "/sys/fs/cgroup"


def count_cpus() -> int:
    """Return how many processors may be busy with this process at a time, at least 1."""
    count = len(os.sched_getaffinity(0))
    for times in (_second_version(), _first_version()):
        quota, period = times
        if quota > 0 and period > 0:
            # Of one and a half, two can be busy.
            count = min(count, -(-quota // period))
    return max(1, count)


def _second_version() -> tuple[int, int]:
    # "150000 100000" are microseconds out of microseconds; "max 100000" are as many as there are.
    words = _read("cpu.max").split()
    return (_number(words[0]), _number(words[1])) if len(words) == 2 else (0, 0)


def _first_version() -> tuple[int, int]:
    # A quota of -1 is none.
    return _number(_read("cpu/cpu.cfs_quota_us")), _number(_read("cpu/cpu.cfs_period_us"))


def _read(name: str) -> str:
    try:
        with open(f"{_GROUPS}/{name}", encoding="ascii") as file:
            return file.read()
    except (OSError, ValueError):
        # There is none of this version.
        return ""


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0
