"""
Listeners: the entries in the list of an event target, and how many are called one after another.

Not for the list itself: see ``target``. A worker imports this module at its start, so it imports
the least.
"""

from __future__ import annotations

from _weakref import ref

from webworker_executor.web.event import ErrorEvent, Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from typing import Any, Protocol, TypeVar

    from webworker_executor.web.abort import AbortSignal
    from webworker_executor.web.target import EventTarget

    class EventListener(Protocol):
        """An object that is called through a method."""

        def handle_event(self, event: Any, /) -> object:
            """Take an event."""

    T = TypeVar("T")
    Callback = Callable[[Any], object] | EventListener

# Each look at `thing.method` makes a new object. These compare by the thing and the method, in C.
_METHODS = frozenset({type(Event("").prevent_default), type([].append), type([].__len__)})


async def _nothing() -> None:
    """Be of the type that calling an ``async def`` makes."""


_sample = _nothing()
_Coroutine = type(_sample)
_sample.close()


def identity(callback: object) -> Hashable:
    """
    Give what tells a callback from another, also where each look at it makes a new object.

    By no code of a user, whose objects may compare as they like, or not be hashable at all.
    """
    return callback if callback.__class__ in _METHODS else id(callback)


def is_callback(value: object) -> bool:
    return callable(value) or hasattr(value, "handle_event")


class Listener:
    """
    One entry in a target's list.

    Args:
        target: Whose list it is; kept by its callers only.
        type: The type of the events.
        key: What the entry is found by.
        callback: What is called.
        signal: Removes it when it aborts. The entry keeps the signal, so that it can still abort;
            the signal does not keep the entry, or one that lives long would keep whatever has ever
            listened with it.
    """

    __slots__ = (
        "__weakref__",
        "callback",
        "is_handler",
        "is_once",
        "is_removed",
        "key",
        "signal",
        "target",
        "type",
    )

    def __init__(
        self,
        target: EventTarget,
        type: str,
        key: Hashable,
        callback: Callback,
        signal: AbortSignal | None = None,
    ) -> None:
        self.target = ref(target)
        self.type = type
        self.key = key
        self.callback = callback
        self.is_once = False
        self.is_handler = False
        self.is_removed = False
        self.signal = signal

    def call(self, event: Event) -> None:
        """Call the callback, and mind what a handler answers."""
        callback = self.callback
        # Looked up for each call, as JavaScript does.
        call = callback if callable(callback) else callback.handle_event
        event._frame = None
        answer = call(event)
        if answer is None:
            return
        if answer.__class__ is _Coroutine:
            from webworker_executor.web.coroutine import run

            run(answer, self.target())
            return
        # From an error's handler True is "handled", from any other False is "do not".
        if self.is_handler and answer is isinstance(event, ErrorEvent):
            event.prevent_default()

    def leave(self) -> None:
        """Remove the entry from its target: its signal has aborted."""
        target = self.target()
        if target is not None:
            target._discard(self)


def call_each(
    items: Iterable[T],
    call: Callable[[T], object],
    report: Callable[[Exception], object] | None = None,
) -> None:
    """
    Make a call for each item, whatever the calls before it have raised.

    Args:
        items: What the calls are made with.
        call: Called with one item.
        report: Takes each ``Exception``, if given.

    Raises:
        BaseException: The first that is not reported, after the other calls.
    """
    interrupt: BaseException | None = None
    for item in items:
        try:
            call(item)
        except BaseException as exc:
            if report is not None and isinstance(exc, Exception):
                report(exc)
            else:
                interrupt = interrupt or exc
    if interrupt is not None:
        try:
            raise interrupt
        finally:
            # The exception refers to this frame, which must not refer to it.
            del interrupt
