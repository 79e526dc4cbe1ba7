"""
What comes from a worker, in the order in which listeners hear of it.

First comes ``online``, then messages and errors as the worker wrote them, then ``close``, then
``exit``; after ``terminate`` nothing comes but ``exit``. Not for what goes to a worker: `worker`
has that. Whoever changes this must know that a message nobody listens for waits for ``receive``,
but holds up neither an error nor the end: a program must hear of that, also if it never reads.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from webworker_executor.web.event import CloseEvent, ErrorEvent, Event, ExitEvent
from webworker_executor.web.messaging import MessageTarget
from webworker_executor.web.target import EventHandler
from webworker_executor.web.uncaught import error_event, is_passed_on, tell_last
from webworker_executor.wire import codec
from webworker_executor.wire.failure import unpack_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webworker_executor.web.event import MessageEvent
    from webworker_executor.web.listener import Listener
    from webworker_executor.wire.frame import Frame

_FROM_WORKER = frozenset({"online", "message", "messageerror", "error", "close"})


class WorkerTarget(MessageTarget):
    """
    The events of a worker; the base of the one that users see.
    """

    ononline = EventHandler("online")
    onerror = EventHandler("error")
    onexit = EventHandler("exit")
    # Whether whoever made it was given a future, which says why it did not come up.
    _has_future = False

    def __init__(self) -> None:
        super().__init__()
        # Errors, each with how many messages came before it.
        self._errors: deque[tuple[int, Callable[[], Event]]] = deque()
        self._n_arrived = 0
        # Whether the process is ready, and nobody has been told so.
        self._owes_online = False
        # Whether somebody has; which `ononline` was told last; what tells that one alone.
        self._has_told_online = False
        self._told_handler: object = None
        self._late_online: Event | None = None
        self._failure: BaseException | None = None
        self._is_dead = False
        self._exit: ExitEvent | None = None
        self._has_told_exit = False

    def _keep(self, *, is_kept: bool) -> None:
        """Keep this object alive, or do not; for the subclass."""
        raise NotImplementedError

    def _die(self) -> None:
        """Tell nothing more but the exit."""
        self._is_dead = True
        self._inbox.clear()
        self._errors.clear()
        # Whoever waits for a message waits in vain.
        self._ended()

    def _disown(self) -> None:
        """In a forked copy of the program: let nothing come any more, and tell nobody."""
        self._is_dead = self._has_ended = self._has_told_end = self._has_told_exit = True
        self._inbox.clear()
        self._errors.clear()

    # -- what the process does; on the reactor's thread

    def _source(self) -> WorkerTarget:
        return self

    def _came_up(self) -> None:
        self._owes_online = True
        self._stir()

    def _arrive(self, frame: Frame) -> None:
        if not self._is_dead:
            self._n_arrived += 1
            super()._arrive(frame)

    def _error_came(self, frame: Frame) -> None:
        self._add_error(lambda: _unpacked_error(frame))

    def _failed(self, error: BaseException) -> None:
        from webworker_executor.errors import ProtocolError

        if isinstance(error, ProtocolError):
            self._add_error(lambda: error_event(error))
        else:
            # HTML: a script that does not load is a plain event. The futures have the exception.
            self._failure = error
            self._add_error(lambda: Event("error"))

    def _add_error(self, make: Callable[[], Event]) -> None:
        if not self._is_dead:
            self._errors.append((self._n_arrived, make))
            self._stir()

    def _has_exited(self, exitcode: int | None) -> None:
        was_killed = exitcode is not None and exitcode < 0
        code = None if was_killed else exitcode
        number = -exitcode if exitcode is not None and was_killed else None
        # In this order: whoever sees the exit sees the end, and tells of that first.
        self._has_ended = True
        self._exit = ExitEvent(code, number)
        self._ended()

    # -- what listeners hear

    def _has_work(self) -> bool:
        if not self._is_dead and (self._errors or self._is_online_due() or super()._has_work()):
            return True
        # Nobody has ever listened where there is no dispatcher.
        has_exited = self._exit is not None and not self._has_told_exit
        return has_exited and self._dispatcher is not None

    def _next_event(self) -> MessageEvent | CloseEvent | None:
        # Looked at first: what came before it, and may come at this moment, is told before it.
        event: Any = None
        exited = self._exit
        if not self._is_dead:
            event = self._next_online() or self._next_error() or super()._next_event()
            if event is None and exited is not None and not self._has_told_end:
                # Messages wait that nobody listens for. What follows the exit is nothing but them.
                event = CloseEvent()
                self._has_told_end = True
        if event is None and exited is not None and not self._has_told_exit:
            self._has_told_exit = True
            event = exited
        return event  # type: ignore[no-any-return]  # also an ErrorEvent or ExitEvent, which dispatch as well

    def _is_online_due(self) -> bool:
        if self._owes_online:
            return self._has_listeners("online")
        return self._has_told_online and self._is_handler_new() and not self._has_told_exit

    @property
    def _has_come_up(self) -> bool:
        return self._owes_online or self._has_told_online

    def _is_handler_new(self) -> bool:
        """Whether an ``ononline`` is set that has not been told."""
        handler = self.ononline
        return handler is not None and handler is not self._told_handler

    def _next_online(self) -> Event | None:
        if not self._is_online_due():
            return None
        event = Event("online")
        if not self._owes_online:
            # The others have been told before.
            self._late_online = event
        self._owes_online, self._has_told_online = False, True
        return event

    def _listeners_for(self, event: Event) -> Iterator[Listener]:
        if event is not self._late_online:
            return super()._listeners_for(event)
        self._late_online = None
        return iter([each for each in self._listeners["online"].values() if each.is_handler])

    def _handler_set(self, type: str) -> None:
        super()._handler_set(type)
        if type == "online":
            # Also when it replaces another, of which no list tells.
            self._stir()

    def _next_error(self) -> Event | None:
        try:
            n_before, make = self._errors[0]
            if self._is_delivering() and self._n_arrived - len(self._inbox) < n_before:
                return None
            self._errors.popleft()
        except IndexError:
            # Another thread terminated the worker meanwhile.
            return None
        return make()

    def dispatch_event(self, event: Event) -> bool:
        """Call the listeners for an event; see ``EventTarget.dispatch_event``."""
        if self._is_dead and event is not self._exit and event.type in _FROM_WORKER:
            return True
        if event.type == "online":
            self._told_handler = self.ononline
        is_last = event is self._exit
        is_heard = self._has_listeners(event.type)
        is_unhandled = super().dispatch_event(event)
        if is_last:
            self._listeners_changed("exit")
        if event.type == "error" and not (self._has_future and not self._has_come_up):
            origin = repr(self)
            if isinstance(event, ErrorEvent):
                if is_unhandled and (is_passed_on() or not is_heard):
                    tell_last(event, origin)
            elif self._failure is not None and not is_heard:
                # A plain event cannot be prevented, as in HTML: who listens has it.
                tell_last(error_event(self._failure), origin)
        return is_unhandled

    def _listeners_changed(self, type: str) -> None:
        super()._listeners_changed(type)
        if type == "online" and self.ononline is None:
            # No longer kept; and whoever sets it anew means to be told.
            self._told_handler = None
        is_awaited = not self._has_told_exit and any(self._listeners.values())
        self._keep(is_kept=is_awaited)


def _unpacked_error(frame: Frame) -> ErrorEvent:
    told: Any = codec.unpack(frame.payload, frame.buffers)
    message, filename, lineno, colno, text, failure = told
    error = None if failure is None else unpack_failure(failure)
    return ErrorEvent(message, filename, lineno, colno, error, text)
