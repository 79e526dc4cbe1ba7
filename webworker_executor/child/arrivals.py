"""
What comes to a script: the wait on its main thread for frames and for calls, and the reading.

Not for what is done then, or in which order: see ``turns``. A worker of an executor reads in
``data_end``, which is quicker: what a signal handler raises between its tasks ends the process.

The thing to know before a change: a script's signal handler may raise between any two calls, and
may come back here to read. ``intake`` holds what must not be lost; and whoever reads within a wait
ends that wait.
"""

from __future__ import annotations

import posix
import select

from webworker_executor.link.intake import NOW, Intake
from webworker_executor.link.signals import is_of_a_handler
from webworker_executor.wire.kinds import CLOSE, MESSAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.child.loop import Loop
    from webworker_executor.child.scope import Scope
    from webworker_executor.wire.frame import Frame

KINDS = frozenset({MESSAGE, CLOSE})


class Arrivals:
    """
    The reader of a script's data link; on the main thread.

    Args:
        loop: Has the data link, and listens for calls.
        scope: Gets the messages.

    Attributes:
        is_let_go: Whether nobody holds the worker any more: it leaves when there is nothing to do.
        is_waiting: Whether the main thread waits; within a signal handler, whether it came there.
    """

    def __init__(self, loop: Loop, scope: Scope) -> None:
        self._loop = loop
        self._scope = scope
        self._intake = Intake(loop._data, KINDS, loop._todo)
        self._both = self._new_poller()
        self.is_let_go = self.is_waiting = False

    def _new_poller(self) -> select.poll:
        both = select.poll()
        both.register(self._loop._data.fileno(), select.POLLIN)
        both.register(self._loop._alarm, select.POLLIN)
        return both

    def take_over(self) -> Frame:
        """Return the frame before the first message, and read all that comes after it."""
        frame = self._loop.next_frame()
        self._intake.adopt(*self._loop._decoder.residue())
        return frame

    def wait(self, limit: Callable[[], float]) -> None:
        """
        Wait for frames and for calls, and read once.

        Args:
            limit: Called before the wait, returns how many seconds it may take. Whatever a handler
                has done before is seen by it, and whatever one does later ends the wait.
        """
        is_within = self.is_waiting
        # One that waits refuses to do so twice.
        both = self._new_poller() if is_within else self._both
        self.is_waiting = True
        try:
            seconds = limit()
            # What a handler that raised has left undecoded does not make the socket readable.
            ready = both.poll(0.0 if self._intake.is_behind else seconds * 1000.0)
        finally:
            self.is_waiting = is_within
        if (self._loop._alarm, select.POLLIN) in ready:
            self._hush()
        try:
            self._intake.read(NOW)
        except EOFError:
            # The host is gone.
            posix._exit(1)
        except BlockingIOError as error:
            if is_of_a_handler(error):
                raise

    def _hush(self) -> None:
        try:
            posix.eventfd_read(self._loop._alarm)
        except BlockingIOError:
            # Taken already, by a wait within a script.
            pass

    def end_wait(self) -> None:
        """Have the wait end that the main thread is in."""
        posix.eventfd_write(self._loop._alarm, 1)

    def sort(self) -> None:
        """Give to the scope what was read."""
        try:
            self._sort()
        finally:
            # Also what was read before that was broken off.
            if self._scope._inbox or self.is_let_go:
                self._scope._stir()

    def _sort(self) -> None:
        todo, scope = self._loop._todo, self._scope
        inbox = scope._inbox
        while todo:
            # In one breath: before the last of these steps there is no call after which a signal
            # handler could raise.
            frame = todo[0]
            del todo[0]
            if frame.kind == MESSAGE:
                inbox.append(frame)
            else:
                self.is_let_go = scope._has_ended = True
                # For what else there is to do at the end; and if this is a signal handler, whoever
                # it has interrupted may have looked for the last time.
                scope._ended()
                self.end_wait()
