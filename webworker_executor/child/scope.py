"""
The scope: a worker as it looks from inside.

``from webworker_executor import scope`` works anywhere; outside a worker its ``is_worker`` is false
and posting raises. A worker's ``loop`` fills it in. Messages are delivered on the worker's main
thread, between tasks, one at a time.
"""

from __future__ import annotations

import sys
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from webworker_executor.web.event import MessageEvent


class Scope:
    """
    What a worker process knows of itself, and its end of the channel to the host.

    Attributes:
        is_worker: Whether this process is a worker.
        index: The worker's place in its pool, 0 to ``max_workers - 1``, or ``None``. A worker that
            takes the place of a dead one has its index.
        name: The name of the executor, as given to it.
        worker_data: A copy of what the executor was given as ``worker_data``, or ``None``.
    """

    def __init__(self) -> None:
        self.is_worker = False
        self.index: int | None = None
        self.name = ""
        self.worker_data: Any = None
        self._send: Callable[[object], None] | None = None
        self._onmessage: Callable[[MessageEvent], object] | None = None
        self._waiting: deque[MessageEvent] = deque()

    def __reduce__(self) -> str:
        # By name: wherever it is unpacked, it is that process's own.
        return "scope"

    def __repr__(self) -> str:
        if not self.is_worker:
            return "<scope: not a worker>"
        return f"<scope of worker {self.index} of executor {self.name!r}>"

    @property
    def onmessage(self) -> Callable[[MessageEvent], object] | None:
        """
        Called with each message from the host, between tasks, on the main thread.

        Messages that came before it was set are kept and delivered at the next pause. What it
        raises is written to standard error and the worker goes on.

        Source: HTML, ``DedicatedWorkerGlobalScope.onmessage``.
        """
        return self._onmessage

    @onmessage.setter
    def onmessage(self, handler: Callable[[MessageEvent], object] | None) -> None:
        if handler is not None and not callable(handler):
            raise TypeError(
                f"onmessage must be callable or None, not {type(handler).__name__}; "
                "it is called with one MessageEvent"
            )
        self._onmessage = handler

    def post_message(self, message: object) -> None:
        """
        Send a copy of a value to the host, where ``worker.onmessage`` or ``receive()`` takes it.

        Args:
            message: Anything that pickles (or that ``cloudpickle`` can pack).

        Raises:
            RuntimeError: This process is no worker.
            Exception: What packing the value raises; nothing was sent then.

        Source: HTML, ``DedicatedWorkerGlobalScope.postMessage``.
        """
        if self._send is None:
            raise RuntimeError(
                "post_message() was called outside a worker. In the program itself, use "
                "executor.workers[i].post_message() to talk to a worker."
            )
        self._send(message)

    def _receive(self, event: MessageEvent) -> None:
        self._waiting.append(event)

    def _deliver(self) -> None:
        """Hand waiting messages to the handler; between tasks only."""
        while self._waiting and self._onmessage is not None:
            try:
                self._onmessage(self._waiting.popleft())
            except BaseException:
                # The worker outlives a handler that fails, as HTML's "report an exception" says.
                sys.excepthook(*sys.exc_info())


scope = Scope()
