"""
A flag that threads wait for: an event whose setter never waits.

Not for counting. What a changer must know: ``threading.Event`` has a lock that is taken by code of
Python. A signal handler that raises in the midst of that leaves it taken, and whoever sets the
event, which is the reactor as a rule, waits for ever. Here whoever waits leaves word first and
looks then, and whoever sets stores first and looks for word then; so one of them sees the other.
"""

from __future__ import annotations

import _thread
from collections import deque
from operator import methodcaller

_release = methodcaller("release")


def wake_all(sleepers: deque[_thread.LockType]) -> None:
    """Wake all who wait, each with a lock that it has taken; any thread, and signal handlers."""
    try:
        # Within C: whoever was taken out is woken, though a signal handler raises.
        deque(map(_release, iter(sleepers.popleft, None)), maxlen=0)
    except IndexError:
        # That was the last one.
        return


class Flag:
    """As much of ``threading.Event`` as is needed; in a forked process, too."""

    __slots__ = ("_is_set", "_sleepers")

    def __init__(self) -> None:
        self._is_set = False
        self._sleepers: deque[_thread.LockType] = deque()

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake all who wait; any thread, and signal handlers."""
        self._is_set = True
        wake_all(self._sleepers)

    def clear(self) -> None:
        """Take it back; who has been woken by then stays so."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most ``timeout`` seconds; and say whether it was."""
        sleeper = _thread.allocate_lock()
        sleeper.acquire()
        self._sleepers.append(sleeper)
        is_woken = False
        try:
            if not self._is_set:
                is_woken = sleeper.acquire(timeout=-1 if timeout is None else max(0.0, timeout))
        finally:
            if not is_woken:
                try:
                    self._sleepers.remove(sleeper)
                except ValueError:
                    # It has just been woken.
                    is_woken = True
        return is_woken or self._is_set
