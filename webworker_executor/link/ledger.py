"""
The ledger: shared memory in which each worker notes the task it has begun, and when.

It is written by a worker before each task and read by the host above all after that worker's death.
That tells a task that was running, which must fail, from one that merely lay in the dead worker's
socket, which can run elsewhere. The host writes there, too: so it takes back what a worker that
hears nothing has not begun. Nobody waits on it and nothing else depends on it: where the kernel
refuses ``memfd_create`` there is no ledger, the first task in line is taken for begun, and what
lies in a worker that hears nothing waits for it.
"""

from __future__ import annotations

import mmap
import os
import sys

from webworker_executor.link.fds import lifted
from webworker_executor.wire.kinds import LEDGER_ENTRY, LEDGER_ENTRY_NBYTES

UNKNOWN_ENTRY = -1


class Ledger:
    """
    A page of entries, one for each process that may live at the same time.

    The ledger owns its descriptor and its mapping; both go with ``close``.

    Args:
        n_entries: How many processes can have an entry at a time.

    Raises:
        OSError: No memory or no descriptor is left, or ``memfd_create`` is refused.

    Source: memfd_create(2), mmap(2).
    """

    def __init__(self, n_entries: int) -> None:
        self._free = list(range(n_entries - 1, -1, -1))
        nbytes = max(n_entries * LEDGER_ENTRY_NBYTES, mmap.PAGESIZE)
        self.fd = lifted(os.memfd_create("webworker-ledger", os.MFD_CLOEXEC))
        try:
            os.ftruncate(self.fd, nbytes)
            # Before 3.13 a mapping keeps a descriptor of its own.
            if sys.version_info >= (3, 13):
                self._map = mmap.mmap(self.fd, nbytes, trackfd=False)
            else:
                self._map = mmap.mmap(self.fd, nbytes)
        except BaseException:
            os.close(self.fd)
            raise

    @property
    def is_full(self) -> bool:
        """Whether all entries are in use."""
        return not self._free

    def claim(self) -> int:
        """Take an entry that nobody uses, cleared; ``UNKNOWN_ENTRY`` when all are in use."""
        if not self._free:
            return UNKNOWN_ENTRY
        entry = self._free.pop()
        LEDGER_ENTRY.pack_into(self._map, entry * LEDGER_ENTRY_NBYTES, 0.0, 0)
        self._map[entry * LEDGER_ENTRY_NBYTES + LEDGER_ENTRY.size] = 0
        return entry

    def release(self, entry: int) -> None:
        """Give an entry back; its process must be dead."""
        if entry != UNKNOWN_ENTRY:
            self._free.append(entry)

    def begun(self, entry: int) -> int | None:
        """Return the task that was begun last, 0 before the first, ``None`` if not known."""
        if entry == UNKNOWN_ENTRY:
            return None
        _, ident = LEDGER_ENTRY.unpack_from(self._map, entry * LEDGER_ENTRY_NBYTES)
        return int(ident)

    def begun_at(self, entry: int, ident: int) -> float | None:
        """
        Return when a task was begun, ``None`` if it is not the one that was begun last.

        Args:
            entry: Of the process.
            ident: The task's number.
        """
        # The time was stored first: it is that of the task, or of a later one, which the second
        # look would see.
        if self.begun(entry) != ident:
            return None
        started, last = LEDGER_ENTRY.unpack_from(self._map, entry * LEDGER_ENTRY_NBYTES)
        return float(started) if last == ident else None

    def withhold(self, entry: int, number: int) -> None:
        """
        Keep a process from beginning anything more until it comes to the mark of that number.

        It notes a task first and looks here then. So what it comes to after this it passes over,
        and what it had begun before, or is about to pass over, stands in its entry a moment later,
        whatever has become of the process.

        Args:
            entry: Of the process, which has one.
            number: Of the recall of everything; the same again changes nothing.
        """
        self._map[entry * LEDGER_ENTRY_NBYTES + LEDGER_ENTRY.size] = number & 0xFF

    def close(self) -> None:
        """Free the memory on this side; the processes keep theirs."""
        self._map.close()
        os.close(self.fd)
