"""
A worker as the host sees it: a place in a pool, and the channel to whatever process is in it.

Not for tasks: the pool has those. Whoever changes this must know that the place outlives its
processes: messages wait for the next one, and only the end of the executor is the end of the
channel.
"""

from __future__ import annotations

from webworker_executor.link.flag import Flag
from webworker_executor.web.dispatch import dispatcher_through
from webworker_executor.web.messaging import MessageTarget

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import Any, Protocol

    from webworker_executor.web.dispatch import Call, Dispatcher
    from webworker_executor.wire.frame import Parts
    from webworker_executor.wire.transfer import Step

    class Places(Protocol):
        """Who knows the processes by their places."""

        def pid_of(self, slot: int) -> int | None:
            """Tell the process id of the process in place, or ``None``."""

        def state_of(self, slot: int) -> str:
            """Say in a few words what the process in place is doing."""

        def unsent_nbytes(self, slot: int) -> int:
            """Tell how many bytes wait for the kernel, or for a process."""

    class Owner(Protocol):
        """The pool."""

        @property
        def crew(self) -> Places:
            """The processes."""

        @property
        def lock(self) -> AbstractContextManager[object]:
            """Comes before the lock of any link."""

        def post_message(self, index: int, parts: Parts, fds: Sequence[Any], *going: Step) -> None:
            """Send the parts of a frame to the process in place, starting one if need be."""

        def when_written(self, index: int, call: Call) -> None:
            """Make a call when nothing waits for a place any more, or never will be read."""

        def call_back(self, call: Call) -> None:
            """Make a call on the events thread."""


class PoolWorker(MessageTarget):
    """
    One of an executor's workers.

    The index stays when the process is replaced; messages go to the process that is there. Not
    made by hand: take it from ``executor.workers``. It is talked to as any port or worker is: with
    ``post_message``, ``onmessage``, ``receive``, iteration; in the worker ``scope`` is the other
    end, where messages are delivered between tasks.

    Args:
        index: The place in the pool, from 0.
        owner: The pool.

    Attributes:
        index: As given.
        onclose: Called when the executor has ended, and all its messages have been delivered.

    Source: HTML, ``Worker``.
    """

    def __init__(self, index: int, owner: Owner) -> None:
        super().__init__()
        self.index = index
        self._owner = owner
        self._is_disowned = False

    def __repr__(self) -> str:
        return f"<PoolWorker {self.index} {self._owner.crew.state_of(self.index)}>"

    @property
    def pid(self) -> int | None:
        """The process id of the process in place, ``None`` while none is there or known of."""
        return self._owner.crew.pid_of(self.index)

    @property
    def buffered_amount(self) -> int:
        """
        How many bytes were posted and still wait: for room in the kernel, or, large buffers, for
        the worker to take them out of shared memory.
        """
        with self._owner.lock:
            return self._owner.crew.unsent_nbytes(self.index) + self._unread_nbytes()

    def _wait_until_written(self, timeout: float | None) -> bool:
        written = Flag()
        self._owner.when_written(self.index, written.set)
        return written.wait(timeout)

    def _post(self, parts: Parts, fds: Sequence[Any], *going: Step) -> None:
        self._owner.post_message(self.index, parts, fds, *going)

    def _source(self) -> PoolWorker:
        return self

    def _here(self) -> Dispatcher:
        return dispatcher_through(self._owner.call_back)

    def _disown(self) -> None:
        """In a forked copy of the program: let nothing come any more, and tell nobody."""
        self._is_disowned = self._has_ended = self._has_told_end = True
        self._inbox.clear()

    def _why_ended(self) -> str:
        if self._is_disowned:
            return (
                f"worker {self.index} belongs to the process that this one was forked from, which "
                "alone hears of it. Make an executor of its own here."
            )
        return (
            f"worker {self.index} has ended and left no message; its executor was shut down or "
            "broke"
        )
