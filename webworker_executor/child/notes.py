"""
A worker's side of the ledger: what it notes of its tasks there, and what the host tells it so.

The host puts the number of a recall behind the worker's note to have back whatever has not begun,
also where the worker hears nothing, and leaves marks with that number on both links. What the
worker comes to before the mark among its tasks it passes over: the host has it again. A worker
imports this module at its start.
"""

from __future__ import annotations

import posix
from collections import deque

from webworker_executor.wire.kinds import LEDGER_ENTRY, LEDGER_ENTRY_NBYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from mmap import mmap


class Notes:
    """
    The entry of a worker in the ledger, and the recalls of everything that it has come to.

    Args:
        answer: Tells the host that a recall was heard of: its number, and those of tasks that were
            passed over; with ``lock`` in hand.
        forget: Drops what came for a task by its number; any thread.
        lock: Held to answer; reentrant.
    """

    __slots__ = (
        "_answer",
        "_answered",
        "_at",
        "_begun",
        "_forget",
        "_heard",
        "_heard_aside",
        "_ledger",
        "_lock",
        "_passed",
        "_recall_at",
    )

    def __init__(
        self,
        answer: Callable[[int, Sequence[int]], object],
        forget: Callable[[int], object],
        lock: AbstractContextManager[object],
    ) -> None:
        self._answer = answer
        self._forget = forget
        self._lock = lock
        self._ledger: mmap | None = None
        self._at = self._recall_at = self._begun = 0
        # The numbers of recalls: whose mark came among the tasks, whose on the control link, and
        # which the host was told of.
        self._heard = self._heard_aside = self._answered = 0
        self._passed: deque[int] = deque()

    def map(self, fd: int, entry: int) -> None:
        """Map the ledger, and close its descriptor; without an entry nothing is noted."""
        if entry >= 0:
            from mmap import mmap

            self._ledger = mmap(fd, 0)
            self._at = entry * LEDGER_ENTRY_NBYTES
            self._recall_at = self._at + LEDGER_ENTRY.size
        posix.close(fd)

    def begin(self, started: float, ident: int) -> bool:
        """
        Note that a task begins, unless it was recalled with everything; on the main thread.

        Args:
            started: When, in seconds of the monotonic clock.
            ident: The task's number.

        Returns:
            Whether it is to be run.
        """
        ledger = self._ledger
        if ledger is None:
            return True
        at, heard = self._recall_at, self._heard & 0xFF
        if ledger[at] == heard:
            # Noted first and looked then: see `Ledger.withhold`.
            LEDGER_ENTRY.pack_into(ledger, self._at, started, ident)
            if ledger[at] == heard:
                self._begun = ident
                return True
            # What it began last: the host may not have read yet that this is done.
            LEDGER_ENTRY.pack_into(ledger, self._at, 0.0, self._begun)
        self._passed.append(ident)
        return False

    def come_to_mark(self, number: int) -> None:
        """Come to the mark among the tasks: those behind it are the worker's. The main thread."""
        self._heard = number
        self._tell()

    def come_to_mark_aside(self, number: int) -> None:
        """Come to the mark on the control link; on its thread."""
        self._heard_aside = number
        self._tell()

    def _tell(self) -> None:
        # By who comes second, main or control thread: a task that was passed over may be sent here
        # again after the answer, and shall not find what was on its way to it before. One at a
        # time: an answer that names such a task must not follow the one that lets it come.
        with self._lock:
            number = min(self._heard, self._heard_aside)
            if number <= self._answered:
                return
            self._answered = number
            # Others are only added meanwhile.
            idents = [self._passed.popleft() for _ in range(len(self._passed))]
            for ident in idents:
                self._forget(ident)
            self._answer(number, idents)
