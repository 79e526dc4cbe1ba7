"""
What a worker posts to its host: how much of it nobody there has taken yet.

The host reads a worker's socket whatever it is busy with, so that results come at once; what is
posted therefore waits there, and the kernel cannot tell the writer of it. Instead one message in
some 128 KiB is registered: the host acknowledges it when somebody takes it. Few talk that much, and
for those who do not this costs an addition per message. A worker imports this module at its start,
so it imports the least.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from time import monotonic

from webworker_executor.web.messaging import MessageTarget
from webworker_executor.wire.place import LadenParts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from webworker_executor.wire.frame import Parts
    from webworker_executor.wire.transfer import Step

REGISTERED_NBYTES = 1 << 17
# What lies with a reader uncounted, as with a port. More than is ever left without a receipt.
FREE_NBYTES = 1 << 20


class HostTarget(MessageTarget):
    """
    A channel to the host.
    """

    _posts_to_host = True

    def __init__(self) -> None:
        super().__init__()
        # Of registered messages that are on their way or wait: the bytes of each, and of those
        # between it and the one before.
        self._unacknowledged: deque[int] = deque()
        self._n_since = 0

    def _counting(self, parts: Parts) -> Sequence[Step]:
        """
        Return what counts a message that is to be a registered one; nothing if it is to be none.

        Args:
            parts: The message, which is about to leave.
        """
        # Of two threads that add at once one may be forgotten: a receipt is late by that much. And
        # what a signal handler keeps from leaving after this makes the next one come early.
        nbytes, limit = self._n_since + sum(map(len, parts)), REGISTERED_NBYTES
        if parts.__class__ is LadenParts:
            # A receipt takes 60 us. Of the smallest, one in four has one.
            nbytes, limit = nbytes + parts.nbytes, FREE_NBYTES
        if nbytes < limit:
            self._n_since = nbytes
            return ()
        # As it is queued, or there would be a receipt to wait for that nobody owes; and before,
        # because it may come at any time from then on.
        return partial(self._unacknowledged.append, nbytes), partial(setattr, self, "_n_since", 0)

    def _acknowledged(self) -> None:
        """Hear that a registered message was taken; on the control thread."""
        try:
            self._unacknowledged.popleft()
        except IndexError:
            # It was for an earlier attempt at the same task.
            return
        self._waiters.wake()

    @property
    def buffered_amount(self) -> int:
        """
        How many bytes were posted and nobody in the program has taken, apart from one MiB.

        Source: HTML, ``WebSocket.bufferedAmount``.
        """
        return max(0, sum(self._unacknowledged) + self._n_since - FREE_NBYTES)

    def drain(self, timeout: float | None = None) -> None:
        """
        Wait until somebody in the program has taken what was posted, but for the last MiB.

        What was posted arrives in any case, even if this process dies. Wait now and then, and the
        program need not keep more than that for those who read slowly.

        Args:
            timeout: Seconds to wait at most; ``None`` waits as long as nobody reads, but not when
                the program waits for the end of the executor or wants this worker to end.

        Raises:
            TypeError: ``timeout`` is no number.
            ValueError: It is NaN.
            TimeoutError: It took longer. Nothing is lost.
            BaseException: In a task that is aborted, the reason if that is an exception, else an
                ``AbortError``.
        """
        super().drain(timeout)

    def _wait_until_written(self, timeout: float | None) -> bool:
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            if not self._must_drain():
                return True
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                return False
            self._sleep(left, self._must_drain)

    def _wait_until_taken(self, deadline: float | None) -> bool:
        # What goes in shared memory is counted as the rest, and so it has been waited for.
        return True

    def _must_drain(self) -> bool:
        return self.buffered_amount > 0 and not self._has_ended
