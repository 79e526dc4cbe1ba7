"""
A worker as the host sees it: a place in a pool, and the channel to whatever process is in it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from webworker_executor.web.event import MessageEvent
from webworker_executor.wire import codec
from webworker_executor.wire.frame import MESSAGE, Frame, encode
from webworker_executor.wire.transfer import Parcel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from webworker_executor.wire.frame import Parts

Handler = Callable[[MessageEvent], object]


class PoolWorker:
    """
    One of an executor's workers.

    The index stays when the process is replaced; messages go to the process that is there. Not
    made by hand: take it from ``executor.workers``.

    Args:
        index: The place in the pool, from 0.
        post: Sends the parts of a frame to the process, starting one if there is none.
        call_later: Makes a call on the events thread.
        pid_of: Tells the process id of the process in place, or ``None``.
    """

    def __init__(
        self,
        index: int,
        post: Callable[[int, Parts, Sequence[Any]], None],
        call_later: Callable[[Callable[[], object]], None],
        pid_of: Callable[[int], int | None],
    ) -> None:
        self.index = index
        self._post = post
        self._call_later = call_later
        self._pid_of = pid_of
        self._arrived = threading.Condition()  # guards the fields below
        self._waiting: deque[Frame] = deque()
        self._onmessage: Handler | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        pid = self.pid
        return f"<PoolWorker {self.index} {'not running' if pid is None else f'pid={pid}'}>"

    @property
    def pid(self) -> int | None:
        """The process id of the process in place, ``None`` while there is none."""
        return self._pid_of(self.index)

    @property
    def onmessage(self) -> Handler | None:
        """
        Called with a ``MessageEvent`` for each message from the worker, on the events thread.

        Messages that came earlier are delivered first. While it is ``None``, messages wait for
        ``receive``. What it raises is logged on ``webworker_executor.web``.

        Source: HTML, ``Worker.onmessage``.
        """
        return self._onmessage

    @onmessage.setter
    def onmessage(self, handler: Handler | None) -> None:
        if handler is not None and not callable(handler):
            raise TypeError(
                f"onmessage must be callable or None, not {type(handler).__name__}; "
                "it is called with one MessageEvent"
            )
        with self._arrived:
            self._onmessage = handler
            if handler is not None:
                while self._waiting:
                    self._hand_over(handler, self._waiting.popleft())

    def post_message(self, message: object) -> None:
        """
        Send a copy of a value to the worker, where ``scope.onmessage`` gets it between tasks.

        Never blocks. A message to a worker that dies before it reads is lost with it.

        Args:
            message: Anything that pickles (or that ``cloudpickle`` can pack).

        Raises:
            RuntimeError: The executor has been shut down or this is a forked copy of it.
            BrokenWorkerPool: The pool is broken.
            Exception: What packing the value raises; nothing was sent then.

        Source: HTML, ``Worker.postMessage``.
        """
        packed = codec.pack(message, parcel=Parcel)
        parts = encode(MESSAGE, 0, packed.payload, packed.buffers, n_fds=len(packed.fds))
        self._post(self.index, parts, packed.fds)

    def receive(self, timeout: float | None = None) -> MessageEvent:
        """
        Wait for a message from the worker; only where no ``onmessage`` is set.

        Args:
            timeout: Seconds to wait at most; ``None`` waits until one comes or the pool ends.

        Returns:
            The next message, in order.

        Raises:
            TimeoutError: None came in time.
            PortClosedError: The executor has ended and no message is left.
            RuntimeError: ``onmessage`` is set, and takes them all.
        """
        if self._onmessage is not None:
            raise RuntimeError(
                "receive() gets nothing while onmessage is set; set it to None first"
            )
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._arrived:
            while not self._waiting:
                if self._is_closed:
                    from webworker_executor.errors import PortClosedError

                    raise PortClosedError(
                        f"worker {self.index} has ended and left no message; its executor was "
                        "shut down or broke"
                    )
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError(f"no message from worker {self.index} in {timeout} s")
                self._arrived.wait(left)
            frame = self._waiting.popleft()
        return self._event(frame)

    def _event(self, frame: Frame) -> MessageEvent:
        return MessageEvent(codec.unpack(frame.payload, frame.buffers, frame.fds), self)

    def _hand_over(self, handler: Handler, frame: Frame) -> None:
        # Unpacked where the handler runs, because unpacking runs a user's code, too.
        self._call_later(lambda: handler(self._event(frame)))

    def _arrive(self, frame: Frame) -> None:
        """Take a message; on the reactor's thread."""
        with self._arrived:
            if self._onmessage is not None:
                self._hand_over(self._onmessage, frame)
            else:
                self._waiting.append(frame)
                self._arrived.notify()

    def _close(self) -> None:
        """No message will come any more; whoever waits is woken."""
        with self._arrived:
            self._is_closed = True
            self._arrived.notify_all()
