"""
What the kernel tells of a process under ``/proc``: its state, its memory, the signals on their way.

All of it may be out of date when it is read, and may be refused; a process that has ended has none.
"""

from __future__ import annotations

import os

_PAGE_NBYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def state_of(pid: int | None) -> str | None:
    """
    Return the letter by which the kernel calls the state of a process, ``None`` if it is gone.

    Source: proc_pid_stat(5).
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name of the program stands in parentheses, and may contain some.
            return file.read().rpartition(b") ")[2][:1].decode() or None
    except OSError:
        return None


def standing_of(pid: int) -> tuple[int, str, int] | None:
    """
    Return what tells whether a process gets on.

    Returns:
        How many threads it has; of the first one the letter of its state, and how often it has
        given up a processor or lost it. ``None`` if that cannot be had.

    Source: proc_pid_status(5), ``Threads``, ``State`` and ``voluntary_ctxt_switches``.
    """
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            told = dict(line.split(":", 1) for line in file)
        n_switches = int(told["voluntary_ctxt_switches"]) + int(told["nonvoluntary_ctxt_switches"])
        return int(told["Threads"]), told["State"].split()[0], n_switches
    except (OSError, ValueError, LookupError):
        return None


def memory_of(pid: int | None) -> int | None:
    """
    Return how much memory of a process is resident, in bytes; ``None`` if that cannot be had.

    Source: proc_pid_statm(5).
    """
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_NBYTES
    except (OSError, IndexError, ValueError):
        return None


def cpu_seconds_of(pid: int | None) -> float | None:
    """
    Return the processor time of all threads of a process, ``None`` if that cannot be had.

    Source: proc_pid_stat(5), ``utime`` and ``stime``.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
            return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND
    except (OSError, IndexError, ValueError):
        return None


def members_of(group: int) -> list[int]:
    """
    List the living processes of a process group; none if nothing can be had.

    Source: proc_pid_stat(5), ``pgrp``.
    """
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    state, _, its_group = file.read().rpartition(b") ")[2].split()[:3]
            except (OSError, ValueError):
                # It has just ended.
                continue
            if int(its_group) == group and state not in {b"Z", b"X"}:
                found.append(int(name))
    return found


def umask_of(pid: int) -> int | None:
    """
    Return the file mode creation mask of a process, ``None`` if that cannot be had.

    Of this process as well: umask(2) tells it by changing it, for all threads.

    Source: proc_pid_status(5), ``Umask``, since Linux 4.7.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            return next((int(line[6:], 8) for line in file if line.startswith(b"Umask:")), None)
    except OSError:
        return None


def threads_blocking(pid: int, number: int) -> dict[str, int]:
    """
    List the threads that a signal cannot be delivered to at the moment.

    A thread blocks a signal while it runs a handler for it; and the whole process is named while
    the signal waits for any thread.

    Args:
        pid: The process.
        number: The signal's.

    Returns:
        By the number of the thread, all the signals that it blocks, as bits; by ``"process"``, the
        one that waits for it. Empty if nothing can be had.

    Source: proc_pid_status(5), ``SigBlk`` and ``ShdPnd``; sigaction(2), ``SA_NODEFER``.
    """
    bit = 1 << number - 1
    found = {"process": _mask(f"/proc/{pid}/status", b"ShdPnd:") & bit}
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        # It has ended.
        return {}
    # One of them may end meanwhile, and says nothing of the others.
    for thread in threads:
        found[thread] = _mask(f"/proc/{pid}/task/{thread}/status", b"SigBlk:")
    return {name: mask for name, mask in found.items() if mask & bit}


def _mask(path: str, name: bytes) -> int:
    """Return a set of signals as bits; none of what has ended."""
    try:
        with open(path, "rb") as file:
            return next((int(line[len(name) :], 16) for line in file if line.startswith(name)), 0)
    except OSError:
        return 0
