"""
A worker's end of the data link: frames come in and go out, descriptors and shared memory with them.

What is done with frames is in ``loop`` and ``turns``. A worker imports this at its start.
"""

from __future__ import annotations

import _thread
import posix
from _functools import partial  # type: ignore[import-not-found]  # typeshed has no stub for it
from _operator import call
from collections import deque

from webworker_executor.link.outbox import Outbox, entry
from webworker_executor.link.rights import receive
from webworker_executor.web import running
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.kinds import TO_WORKER
from webworker_executor.wire.place import LentParts

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Sequence
    from typing import Any

    from webworker_executor.link.exchange import Exchange
    from webworker_executor.wire.frame import Frame
    from webworker_executor.wire.place import Place
    from webworker_executor.wire.transfer import Step

# What runs where a script does: code of a user, but no task that the host knows by a number.
NO_TASK = -1


class DataEnd:
    """
    The socket of a worker, for its main thread and whoever else posts.

    Args:
        data: Blocking; owned from here.

    Attributes:
        running: The number of the task that runs, 0 between tasks; `NO_TASK` while a script does.
        is_copy: Whether code of a user has forked this process; then it must never answer.
    """

    def __init__(self, data: _socket.socket) -> None:
        self._data = data
        self._decoder = FrameDecoder(TO_WORKER)
        # What has come and is not begun. The main thread takes from the left, the control thread
        # gives back from the right; both are single steps of a deque.
        self._todo: deque[Frame] = deque()
        # Held by who reads the socket and feeds the decoder, so that frames stay in order.
        self._reading = _thread.allocate_lock()
        # Held by who writes a frame: threads that a task started may post messages. Reentrant: a
        # signal handler of a task may post, too, while this very thread holds it.
        self._writing = _thread.RLock()
        self._outbox = Outbox(data, waits=True)
        self._is_sending = False
        self._exchange: Exchange | None = None
        self.running = 0
        self._main = _thread.get_ident()
        self.is_copy = False
        posix.register_at_fork(after_in_child=self._mark_copy)

    def _mark_copy(self) -> None:
        # A task forked, and this is the copy: it must never answer for the worker.
        self.is_copy = True
        # The lock of that may be held by a thread that is not here.
        running.divisible = None

    def end_copy(self) -> None:
        """End the process if it is a copy that code of a user has forked and that came back."""
        if self.is_copy:
            posix._exit(0)

    # -- reading

    def _read(self, flags: int) -> None:
        decoder = self._decoder
        vacancy = decoder.vacancy()
        try:
            if vacancy is None:
                data, fds = receive(self._data, None, flags)
                frames = decoder.feed(data, fds) if data else None
            else:
                with vacancy:
                    nbytes, fds = receive(self._data, vacancy, flags)
                frames = decoder.filled(nbytes, fds) if nbytes else None
        except ConnectionError:
            # The host has closed the link with something unread in it, and kills this process.
            posix._exit(1)
        except BlockingIOError:
            if not flags:
                # A task made the socket non-blocking.
                self._data.setblocking(True)
            return
        if frames is None:
            posix._exit(1)
        if decoder.is_sharing:
            decoder.is_sharing = False
            frames = self._shared().resolve(frames)
        self._todo.extend(frames)
        if decoder.error is not None:
            raise decoder.error

    # -- shared memory

    def _shared(self) -> Exchange:
        if self._exchange is None:
            from webworker_executor.link.exchange import Exchange

            self._exchange = Exchange([self._wake])
        return self._exchange

    def _shelve(self, buffers: Sequence[memoryview]) -> Sequence[Place] | None:
        from webworker_executor.link.memory import store

        return store.shelve(buffers)

    def _note(self) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.has_notes:
            with self._writing:
                self._send([exchange.notes()])

    def _wake(self) -> None:
        # The main thread sees to it before it waits again. If it is waiting, this is not it.
        if not self.running and _thread.get_ident() != self._main:
            _thread.start_new_thread(self._note, ())

    # -- writing

    def _send(self, parts: list[bytes | memoryview], fds: Sequence[Any] = (), *going: Step) -> None:
        """
        Write a frame and whatever waits before it; with ``_writing`` in hand.

        If a signal handler raises meanwhile, what is left goes ahead of the next frame. What one
        sends meanwhile waits for its turn, and has been written when the outer call returns. Calls
        ``going`` as ``MessageTarget._post`` does.
        """
        is_plain = len(parts) == 1 and not (fds or going) and parts.__class__ is list
        if not is_plain or self._exchange is not None:
            self._queue(parts, fds, *going)
        elif self._is_sending:
            self._outbox.append(parts)
        else:
            # What most answers are.
            self._is_sending = True
            try:
                self._outbox.write_alone(parts)
            except BlockingIOError:
                self._data.setblocking(True)
            finally:
                self._is_sending = False
        if not self._outbox.is_empty:
            self._write()

    def _write(self) -> None:
        while not self._is_sending and not self._outbox.is_empty:
            self._is_sending = True
            try:
                self._outbox.write()
            except BlockingIOError:
                # A task made the socket non-blocking.
                self._data.setblocking(True)
            finally:
                self._is_sending = False

    def _queue(self, parts: list[bytes | memoryview], fds: Sequence[Any], *going: Step) -> None:
        put, exchange = self._outbox.put, self._exchange
        if parts.__class__ is LentParts:
            exchange = self._shared()
            going = *going, partial(*exchange.lend(parts.lease, put))
        if exchange is not None and exchange.has_notes:
            exchange.hand_over(put)
        # Noted and queued in one step of C: else a handler's exception leaves one of the two.
        _ = [*map(call, (*going, partial(put, entry(parts, fds))))]

    def post(
        self,
        parts: list[bytes | memoryview],
        fds: Sequence[Any],
        check: Callable[[], object] | None = None,
        *going: Step,
    ) -> None:
        """
        Send a frame to the host; in the thread of the caller, between whole frames.

        What a task says passes a ``check``, so that none of it follows the task's answer. Calls
        ``going`` as ``MessageTarget._post`` does.
        """
        if self.is_copy:
            raise RuntimeError("a process that a task forked has no channel of its own to the host")
        try:
            with self._writing:
                if check is not None:
                    check()
                self._send(parts, fds, *going)
        except BaseException:
            if not self._outbox.is_empty:
                # Of a signal handler. What was queued is written, though nobody stands here any
                # more.
                _thread.start_new_thread(self._write_on, ())
            raise

    def _write_on(self) -> None:
        try:
            with self._writing:
                self._write()
        except OSError:
            # The host is gone, and its workers end.
            return
