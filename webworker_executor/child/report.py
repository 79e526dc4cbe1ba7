"""
What becomes of an exception that the script of a worker did not catch.

The scope hears of it first; what is not handled there goes to the host. Not for whether the worker
lives on: see ``turns``.
"""

from __future__ import annotations

import _thread
import sys
from _pickle import dumps
from collections import deque

from webworker_executor.web.uncaught import error_event, own_frames
from webworker_executor.wire.failure import pack_failure
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import ERROR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from webworker_executor.child.scope import Scope
    from webworker_executor.web.event import ErrorEvent
    from webworker_executor.wire.frame import Parts


class Reporter:
    """
    Tells the scope, then the host; made on the main thread.

    Args:
        scope: Whose listeners for ``error`` come first.
        post: Sends a frame.
        call_soon: Has the main thread call something.
        went_unhandled: Called after an error was sent to the host; in the thread that reports it.

    Source: HTML, "report an exception".
    """

    def __init__(
        self,
        scope: Scope,
        post: Callable[[Parts, Sequence[Any]], object],
        call_soon: Callable[[Callable[[], object]], object],
        went_unhandled: Callable[[], object],
    ) -> None:
        self._scope = scope
        self._post = post
        self._call_soon = call_soon
        self._went_unhandled = went_unhandled
        self._thread = _thread.get_ident()
        # Of other threads, for the listeners here.
        self._late: deque[BaseException] = deque()
        # What listeners for an error have raised themselves, while they are called.
        self._more: list[BaseException] | None = None

    def report(self, error: BaseException) -> None:
        """Tell of an exception; from any thread. Listeners hear of it on the main one."""
        if self._thread != _thread.get_ident():
            if self._scope._has_listeners("error"):
                self._late.append(error)
                self._call_soon(self.report_late)
            else:
                # Now: a script that waits in a loop of its own makes no calls.
                self._send(error_event(error, own_frames(error.__traceback__)))
            return
        if self._more is not None:
            # Of a listener for an error: asking the listeners again might never end.
            self._more.append(error)
            return
        self.pass_on(error_event(error, own_frames(error.__traceback__)))

    def report_late(self) -> None:
        """Tell of what other threads have left; on the main thread."""
        while self._late:
            self.report(self._late.popleft())

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
        self._went_unhandled()


def hear_threads(report: Callable[[BaseException], object]) -> None:
    """
    Report what a thread did not catch, which would be written to standard error otherwise.

    A program that sets a ``threading.excepthook`` of its own has that.

    Source: HTML, which has one "report an exception" for whatever a worker runs.
    """

    def excepthook(args: Any) -> None:
        if args.exc_type is SystemExit:
            return
        try:
            report(args.exc_type() if args.exc_value is None else args.exc_value)
        except Exception:
            # Of a process that the script has forked, for one.
            native(args)

    native: Callable[[Any], object] = _thread._excepthook
    # A worker at its start has no need of threading, which takes its hook from here.
    _thread._excepthook = excepthook
    threading: Any = sys.modules.get("threading")
    if threading is not None and threading.excepthook is threading.__excepthook__:
        threading.excepthook = excepthook
