"""
What becomes of an exception that the script of a worker did not catch.

The worker lives on. The scope hears of it first; what is not handled there goes to the host.
"""

from __future__ import annotations

from _pickle import dumps

from webworker_executor.web.uncaught import error_event
from webworker_executor.wire.failure import pack_failure
from webworker_executor.wire.frame import ERROR, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Any

    from webworker_executor.child.scope import Scope
    from webworker_executor.web.event import ErrorEvent
    from webworker_executor.wire.frame import Parts

_OWN = __file__.rpartition("/")[0].rpartition("/")[0] + "/"


class Reporter:
    """
    Tells the scope, then the host.

    Args:
        scope: Whose listeners for ``error`` come first.
        post: Sends a frame.

    Source: HTML, "report an exception".
    """

    def __init__(self, scope: Scope, post: Callable[[Parts, Sequence[Any]], object]) -> None:
        self._scope = scope
        self._post = post
        # What listeners for an error have raised themselves, while they are called.
        self._more: list[BaseException] | None = None

    def report(self, error: BaseException) -> None:
        """Tell of an exception; on the main thread."""
        if self._more is not None:
            # Of a listener for an error: asking the listeners again might never end.
            self._more.append(error)
            return
        self.pass_on(error_event(error, own_frames(error.__traceback__)))

    def pass_on(self, event: ErrorEvent, origin: str = "") -> None:
        """
        Tell of an error, one from a worker of this worker included.

        Args:
            event: The error; once it was dispatched elsewhere, a new one is made of it.
            origin: Not of interest here: the host knows only this worker.
        """
        if event.target is not None:
            event = type(event)(
                event.message,
                event.filename,
                event.lineno,
                event.colno,
                event.error,
                event.traceback,
            )
        self._more = []
        try:
            is_handled = not self._scope.dispatch_event(event)
        finally:
            more, self._more = self._more, None
        if not is_handled:
            self._send(event)
        for error in more:
            self._send(error_event(error, own_frames(error.__traceback__)))

    def _send(self, event: ErrorEvent) -> None:
        error = event.error
        skip = 0 if error is None else own_frames(error.__traceback__)
        failure = None if error is None else pack_failure(error, skip)
        told = (event.message, event.filename, event.lineno, event.colno, event.traceback, failure)
        # Builtin types only; what the user's classes make of an exception is bytes already.
        self._post(encode(ERROR, 0, dumps(told, 5)), ())


def own_frames(trace: TracebackType | None) -> int:
    """Count the outermost frames that are this package's, which nobody wants to see."""
    count = 0
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN):
        count += 1
        trace = trace.tb_next
    return count
