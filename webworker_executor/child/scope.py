"""
The scope: a worker as it looks from inside.

``from webworker_executor import scope`` works anywhere; outside a worker its ``is_worker`` is false
and posting raises. In a worker of an executor ``loop`` delivers messages, between tasks; in one
that runs a script ``turns`` does; both on the main thread, one at a time. A worker imports this
module at its start, so it imports the least.
"""

from __future__ import annotations

import sys

from webworker_executor.child.host_target import HostTarget
from webworker_executor.web.dispatch import running_loop
from webworker_executor.web.event import MessageEvent
from webworker_executor.web.inbox import raise_interrupt
from webworker_executor.web.message import REGISTERED
from webworker_executor.web.target import EventHandler
from webworker_executor.wire.frame import ident_of, readdress
from webworker_executor.wire.kinds import MESSAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from webworker_executor.child.navigator import WorkerNavigator
    from webworker_executor.child.turns import Turns
    from webworker_executor.web.event import Event
    from webworker_executor.web.location import WorkerLocation
    from webworker_executor.wire.frame import Parts
    from webworker_executor.wire.transfer import Step


class Scope(HostTarget):
    """
    What a worker process knows of itself, and its end of the channel to whoever started it.

    A message waits until somebody listens for ``message`` or calls ``receive``. What a handler
    raises does not end the worker. In the worker of an executor it is written to standard error. In
    a ``Worker`` it is an ``ErrorEvent`` here first; if that is not handled, by a listener that
    calls ``prevent_default()`` or an ``onerror`` that returns ``True``, it is one there.

    Attributes:
        is_worker: Whether this process is a worker.
        index: In a worker of an executor its place, 0 to ``max_workers - 1``, else ``None``. A
            worker that takes the place of a dead one has its index.
        name: The name of the worker, or of its executor, as given to it.
        worker_data: A copy of what was given as ``worker_data``, or ``None``.
        worker_state: A dictionary for what tasks leave to those that come after them; it lives as
            long as the process.
        onmessage: Called with each message, on the main thread.
        onmessageerror: Called with each message that could not be unpacked, while there is an
            ``onmessage``: one that waits is not unpacked.
        onerror: Called with an ``ErrorEvent`` for each exception that nobody caught, in any thread.
        onclose: Called when the other side asks the worker to end; it can still post.

    Source: HTML, ``DedicatedWorkerGlobalScope``.
    """

    onerror = EventHandler("error")

    def __init__(self) -> None:
        super().__init__()
        self.is_worker = False
        self.index: int | None = None
        self.name = ""
        self.worker_data: Any = None
        self.worker_state: dict[Any, Any] = {}
        self._send: Callable[..., None] | None = None
        self._turns: Turns | None = None
        self._href = ""

    def __reduce__(self) -> str:
        # By name: wherever it is unpacked, it is that process's own.
        return "scope"

    def __repr__(self) -> str:
        if not self.is_worker:
            return "<scope: not a worker>"
        if self._turns is not None:
            return f"<scope of worker {self.name!r}>"
        return f"<scope of worker {self.index} of executor {self.name!r}>"

    # -- messages

    def post_message(
        self, message: Any, transfer: Iterable[Any] | None = (), *, fds: Iterable[Any] = ()
    ) -> None:
        """
        Send a copy of a value to whoever started the worker.

        Takes and raises what ``MessagePort.post_message`` does; nothing was sent then.

        Raises:
            RuntimeError: This process is no worker.

        Source: HTML, ``DedicatedWorkerGlobalScope.postMessage``.
        """
        if self._send is None:
            raise RuntimeError(
                "post_message() was called outside a worker. In the program itself, use "
                "worker.post_message() or executor.workers[i].post_message() to talk to a worker."
            )
        super().post_message(message, transfer, fds=fds)

    def _post(self, parts: Parts, fds: Sequence[Any], *going: Step) -> None:
        assert self._send is not None  # asked for by post_message
        counting = self._counting(parts)
        if counting:
            parts = readdress(parts, MESSAGE, ident_of(parts) | REGISTERED)
        self._send(parts, fds, None, *going, *counting)

    def _schedule(self) -> None:
        # The main thread looks for itself, between one thing and the next.
        return

    def _look(self) -> None:
        if self._turns is not None:
            self._turns.look(0.0)

    def _await_arrival(self, timeout: float | None) -> None:
        if self._turns is None:
            raise RuntimeError(
                "scope.receive() waits in the script of a Worker only. In a task of an executor "
                "set scope.onmessage, whose messages come between tasks."
            )
        self._turns.look(timeout)

    def _must_drain(self) -> bool:
        is_leaving = self._turns is not None and self._turns.is_asked
        return not is_leaving and super()._must_drain()

    def _begin_await(self, loop: AbstractEventLoop) -> None:
        self._script("areceive()").attach(loop, step=1)

    def _end_await(self, loop: AbstractEventLoop) -> None:
        self._script("areceive()").attach(loop, step=-1)

    def _listeners_changed(self, type: str) -> None:
        super()._listeners_changed(type)
        loop = running_loop()
        if type in ("message", "close") and loop is not None and self._turns is not None:
            # The script has a loop of its own, which it may never leave.
            self._turns.attach(loop, step=1)

    def _deliver_waiting(self) -> None:
        """Dispatch what waits and is listened for; on the main thread, between tasks."""
        while self._has_work():
            self._deliver()

    def _deliver(self) -> None:
        event = None
        try:
            event = self._next_event()
            if event is None:
                return
            if isinstance(event, MessageEvent) and not self._is_heard(event):
                assert event.error is not None
                raise_interrupt(event)
                self._report_error(event.error)
                return
            self.dispatch_event(event)
            raise_interrupt(event)
        except BaseException as exc:
            if event is not None and event._frame is not None:
                self._inbox.appendleft(event._frame)
            if self._turns is not None:
                # How a script ends, and what else nobody may keep from it.
                raise
            self._report_error(exc)

    def _is_heard(self, event: MessageEvent) -> bool:
        return event.error is None or self._has_listeners("messageerror")

    def _has_work(self) -> bool:
        return bool(self._inbox) and self._is_delivering()

    def _report(self, exc: Exception) -> None:
        self._report_error(exc)

    def _report_error(self, exc: BaseException) -> None:
        if self._turns is not None:
            self._turns.report(exc)
        else:
            # The worker outlives a handler that fails, as HTML's "report an exception" says.
            sys.excepthook(type(exc), exc, exc.__traceback__)

    # -- the script of a Worker

    def _script(self, name: str) -> Turns:
        if self._turns is None:
            raise RuntimeError(
                f"scope.{name} is for the script of a Worker; here it has nothing to act upon"
            )
        return self._turns

    @property
    def closing(self) -> bool:
        """Whether the worker is about to end: nothing more will be delivered."""
        return self._turns is not None and self._turns.is_closing

    @property
    def location(self) -> WorkerLocation:
        """Where the script was loaded from."""
        from webworker_executor.web.location import WorkerLocation

        return WorkerLocation(self._href)

    @property
    def navigator(self) -> WorkerNavigator:
        """What the worker runs on."""
        from webworker_executor.child.navigator import navigator

        return navigator

    def close(self) -> None:
        """
        End the worker after what it does right now; what was posted is still sent.

        No listener is told of what waits, though ``receive`` still takes it, and no timer fires.
        A script that runs an asyncio loop of its own ends that itself: the worker waits for it. The
        process exits with 0.

        Raises:
            RuntimeError: This is no ``Worker``'s script; the workers of an executor belong to it.

        Source: HTML, ``DedicatedWorkerGlobalScope.close``.
        """
        self._script("close()").close()

    def import_scripts(self, *paths: str) -> None:
        """
        Run more files in the namespace of the script, one after the other.

        Args:
            *paths: Paths or ``file:`` URLs, relative to the script. None is fine.

        Raises:
            NetworkError: A file cannot be read; those before it have run.
            TypeError: The script is a module or a callable, which import.
            Exception: What a file raises, ``SyntaxError`` included; those after it do not run.
            RuntimeError: This is no ``Worker``'s script.

        Source: HTML, ``importScripts``.
        """
        self._script("import_scripts()").import_scripts(paths)

    def set_timeout(self, callback: Callable[..., object], delay: float = 0.0, *args: Any) -> int:
        """
        Call something once, some time later, on the main thread.

        Args:
            callback: What is called.
            delay: Seconds, not milliseconds; less than 0 counts as 0.
            *args: What it is called with.

        Returns:
            A number for ``clear_timeout``.

        Raises:
            TypeError: The callback cannot be called, or the delay is no number.
            RuntimeError: This is no ``Worker``'s script.

        Source: HTML, ``setTimeout``.
        """
        return self._script("set_timeout()").set_timer(callback, delay, args)

    def set_interval(self, callback: Callable[..., object], delay: float, *args: Any) -> int:
        """
        Call something again and again, ``delay`` seconds after it was called last.

        Args:
            callback: What is called.
            delay: Seconds, not milliseconds; less than 0 counts as 0.
            *args: What it is called with.

        Returns:
            A number for ``clear_interval``.

        Raises:
            TypeError: The callback cannot be called, or the delay is no number.
            RuntimeError: This is no ``Worker``'s script.

        Source: HTML, ``setInterval``.
        """
        return self._script("set_interval()").set_timer(callback, delay, args, repeats=True)

    def clear_timeout(self, ident: int | None) -> None:
        """
        Call something no more.

        Args:
            ident: What ``set_timeout`` has returned; one that stands for nothing is ignored.

        Raises:
            RuntimeError: This is no ``Worker``'s script.

        Source: HTML, ``clearTimeout``.
        """
        self._script("clear_timeout()").clear_timer(ident)

    def clear_interval(self, ident: int | None) -> None:
        """
        Call something no more; the same as ``clear_timeout``, for HTML has one list for both.

        Args:
            ident: What ``set_interval`` has returned; one that stands for nothing is ignored.

        Raises:
            RuntimeError: This is no ``Worker``'s script.

        Source: HTML, ``clearInterval``.
        """
        self.clear_timeout(ident)

    def queue_microtask(self, callback: Callable[[], object]) -> None:
        """
        Call something as soon as what runs now has returned, before anything else.

        Within a coroutine that is in the loop's next round. Also after ``close``.

        Args:
            callback: What is called, without arguments.

        Raises:
            TypeError: The callback cannot be called.
            RuntimeError: This is no ``Worker``'s script.

        Source: HTML, ``queueMicrotask``.
        """
        self._script("queue_microtask()").queue_microtask(callback)

    def report_error(self, error: BaseException) -> None:
        """
        Treat an exception as if nobody had caught it.

        One that was never raised is told of as if it had been raised by the caller.

        Args:
            error: The exception.

        Raises:
            TypeError: It is no exception.

        Source: HTML, ``reportError``, which takes anything; in Python only exceptions are thrown.
        """
        if not isinstance(error, BaseException):
            from webworker_executor.wire.shown import shown

            raise TypeError(f"report_error() takes an exception, not {shown(error)}")
        if error.__traceback__ is None:
            from types import TracebackType

            caller = sys._getframe(1)
            error.__traceback__ = TracebackType(None, caller, caller.f_lasti, caller.f_lineno)
        self._report_error(error)

    def dispatch_event(self, event: Event) -> bool:
        """Call the listeners for an event; see ``EventTarget.dispatch_event``."""
        if self._turns is not None:
            # `def onmessage(event)` in the script is as good as an assignment here.
            self._turns.adopt_handlers()
        return super().dispatch_event(event)

    def _is_delivering(self) -> bool:
        if self._turns is not None:
            self._turns.adopt_handlers()
        return super()._is_delivering()


scope = Scope()
