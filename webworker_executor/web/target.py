"""
Event targets: who is called when something happens, and in which order.

Not for threads: listeners run where ``dispatch_event`` is called. A worker imports this module at
its start, so it imports the least. Whoever changes it must know that listeners come and go in any
thread, in signal handlers and in finalizers at any line: there is no lock, and what changes the
lists are single calls into C.
"""

from __future__ import annotations

from webworker_executor.web.event import Event
from webworker_executor.web.late import MAKES_DICT_LATE
from webworker_executor.web.listener import Listener, call_each, identity, is_callback
from webworker_executor.web.uncaught import report_here
from webworker_executor.wire.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from webworker_executor.web.abort import AbortSignal
    from webworker_executor.web.listener import Callback


class EventTarget:
    """
    Something that events happen to.

    May be used from any thread. Listeners run in the thread that dispatches, in the order in which
    they were added.

    Source: DOM, "Interface EventTarget".
    """

    def __init__(self) -> None:
        self._listeners: dict[str, dict[Hashable, Listener]] = {}
        if MAKES_DICT_LATE:
            _ = self.__dict__

    def add_event_listener(
        self,
        type: str,
        callback: Callback | None,
        *,
        once: bool = False,
        signal: AbortSignal | None = None,
    ) -> None:
        """
        Call something for each event of a type from now on.

        The same callback for the same type is added once; it keeps its first place and options.
        Added while an event is dispatched, it does not get that one.

        Args:
            type: The type of the events.
            callback: Called with one event, or an object whose ``handle_event`` is. What it returns
                is ignored, and what it raises is reported without touching the others. ``None`` is
                ignored.
            once: Remove it before its first call.
            signal: Removes it when it aborts. Nothing is added if it has aborted already.

        Raises:
            TypeError: The callback can neither be called nor has it a ``handle_event``; or the
                signal is none.

        Source: DOM, ``EventTarget.addEventListener``.
        """
        if signal is not None and not hasattr(signal, "_follow"):
            raise TypeError(
                f"signal must be an AbortSignal, not {shown(signal)}; of a controller, give its "
                "signal"
            )
        if callback is None:
            return
        if not is_callback(callback):
            raise TypeError(
                f"a listener must be callable or have a method handle_event(event), which "
                f"{shown(callback)} has not; it is called with one event"
            )
        if signal is not None and signal.aborted:
            return
        listener = Listener(self, type, identity(callback), callback, signal)
        listener.is_once = once
        # What follows is done for one that was there, too: a signal handler may have broken off the
        # call that added it, and whoever calls again is to have all of it.
        listener = self._listeners_of(type).setdefault(listener.key, listener)
        # Added first: an abort in another thread finds either the listener or this thread.
        if listener.signal is not None and not listener.signal._follow(listener):
            self._discard(listener)
        self._listeners_changed(type)

    def remove_event_listener(self, type: str, callback: Callback | None) -> None:
        """
        Call something no more; no effect if it was not added.

        One that has not yet been called for an event under way is not called for it any more.

        Args:
            type: The type it was added for.
            callback: The same callback.

        Source: DOM, ``EventTarget.removeEventListener``.
        """
        self._remove(type, identity(callback))

    def dispatch_event(self, event: Event) -> bool:
        """
        Call the listeners for an event, in this thread, before returning.

        Args:
            event: May be dispatched again afterwards.

        Returns:
            False if a listener has prevented the default, True otherwise.

        Raises:
            InvalidStateError: The event is being dispatched already.
            TypeError: It is no event.
            BaseException: What is no ``Exception`` and was raised by a listener, such as
                ``KeyboardInterrupt``: the first one, after the other listeners have been called.

        Source: DOM, ``EventTarget.dispatchEvent``.
        """
        if not isinstance(event, Event):
            raise TypeError(
                f"dispatch_event() takes an Event, not {event.__class__.__name__}; make one with "
                "Event(type)"
            )
        if event._is_dispatching:
            from webworker_executor.errors import InvalidStateError

            raise InvalidStateError(
                f"{event!r} is being dispatched already, and has one target at a time; make a new "
                "event, or dispatch it when the listeners have returned"
            )
        event._is_dispatching = True
        event.target = event.current_target = self
        try:
            call_each(
                self._listeners_for(event), lambda listener: listener.call(event), self._report
            )
        finally:
            event.current_target = None
            event._is_dispatching = event._is_stopped = False
        return not event.default_prevented

    def _listeners_for(self, event: Event) -> Iterator[Listener]:
        # One step of C over all values: nobody can come or go meanwhile.
        for listener in tuple(self._listeners.get(event.type, {}).values()):
            if event._is_stopped:
                return
            if self._may_call(listener):
                yield listener

    def _may_call(self, listener: Listener) -> bool:
        # Of two threads that dispatch at the same time, one removes it.
        return not (listener.is_removed or (listener.is_once and not self._discard(listener)))

    def _listeners_of(self, type: str) -> dict[Hashable, Listener]:
        listeners = self._listeners.get(type)
        return self._listeners.setdefault(type, {}) if listeners is None else listeners

    def _remove(self, type: str, key: Hashable) -> None:
        listener = self._listeners.get(type, {}).pop(key, None)
        if listener is not None:
            listener.is_removed = True
        # Also where it was gone, as after a removal that a signal handler has broken off.
        if type in self._listeners:
            self._listeners_changed(type)

    def _discard(self, listener: Listener) -> bool:
        """Remove exactly this entry; False if somebody else has."""
        listeners = self._listeners_of(listener.type)
        found = None if listener.is_removed else listeners.pop(listener.key, None)
        if found is not None and found is not listener:
            # Between the two looks the callback was removed and added anew.
            listeners.setdefault(found.key, found)
        # Also where it was gone, as after a removal that a signal handler has broken off.
        listener.is_removed = True
        self._listeners_changed(listener.type)
        return found is listener

    def _has_listeners(self, type: str) -> bool:
        """Whether an event of a type would be heard."""
        return bool(self._listeners.get(type))

    def _listeners_changed(self, type: str) -> None:
        """Follow the change of a list; for subclasses. Called after it, in the same thread."""

    def _handler_set(self, type: str) -> None:
        """Follow the setting of ``on<type>`` to a callback; for subclasses: a port starts."""

    def _report(self, exc: Exception) -> None:
        """Tell of what a listener raised; in a worker that is not the program's log."""
        if report_here(exc):
            return
        import logging

        logging.getLogger("webworker_executor.web").error(
            "a listener of %r failed", self, exc_info=exc
        )


class EventHandler:
    """
    An attribute ``on<type>`` of a target: one callback more, which is assigned.

    A callback takes its place among the listeners when it is assigned. Another one that replaces it
    keeps that place. ``None`` and whatever else cannot be called make it ``None``, and give the
    place up. An event is prevented by returning ``False``, an ``ErrorEvent`` by returning ``True``:
    it has been handled.

    Args:
        type: The type of the events.

    Source: HTML, "Event handlers": the handler processing algorithm, activation, deactivation.
    """

    __slots__ = ("_type",)

    def __init__(self, type: str) -> None:
        self._type = type

    def __get__(self, target: EventTarget | None, owner: type) -> Callback | None:
        if target is None:
            return self  # type: ignore[return-value]  # overloads would import typing in workers
        # The attribute itself is the key: no callback of a user can be taken for it.
        listener = target._listeners.get(self._type, {}).get(self)
        return None if listener is None else listener.callback

    def __set__(self, target: EventTarget, callback: Callback | None) -> None:
        if callback is None or not is_callback(callback):
            target._remove(self._type, self)
            return
        new = Listener(target, self._type, self, callback)
        new.is_handler = True
        listener = target._listeners_of(self._type).setdefault(self, new)
        listener.callback = callback
        if listener is new:
            target._listeners_changed(self._type)
        target._handler_set(self._type)
