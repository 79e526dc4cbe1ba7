"""
Events: what a listener is called with.

Not for the order in which listeners are called: see ``target``. A worker imports this module at its
start, so it imports nothing but the clock; and it makes an event for each message, so an event is
slots and no more.
"""

from __future__ import annotations

from time import monotonic

from webworker_executor.wire.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Event:
    """
    Something that happened, as its listeners are told.

    Args:
        type: What happened: the name that listeners are added for.
        cancelable: Whether ``prevent_default`` has an effect.
        bubbles: Kept for those who ask. No target here has a parent that an event could rise to.

    Attributes:
        type: As given.
        target: Where it was dispatched, ``None`` before; it stays afterwards.
        current_target: The same while listeners run, ``None`` before and afterwards.
        bubbles: As given.
        cancelable: As given.
        default_prevented: Whether a listener has called ``prevent_default`` with effect.
        time_stamp: When the event was made, in seconds of ``time.monotonic()``.

    Source: DOM, "Interface Event".
    """

    # What whoever is broken off goes on with, until a listener has the event: of a message the
    # frame, which is put back; of an abort the listener.
    __slots__ = (
        "_frame",
        "_is_dispatching",
        "_is_stopped",
        "bubbles",
        "cancelable",
        "current_target",
        "default_prevented",
        "target",
        "time_stamp",
        "type",
    )

    def __init__(self, type: str, *, cancelable: bool = False, bubbles: bool = False) -> None:
        self.type = type
        self.cancelable = cancelable
        self.bubbles = bubbles
        self.default_prevented = False
        self.target: Any = None
        self.current_target: Any = None
        self.time_stamp = monotonic()
        self._frame: Any = None
        self._is_dispatching = False
        self._is_stopped = False

    def prevent_default(self) -> None:
        """
        Ask that what usually follows does not: an error that is handled is not reported further.

        No effect on an event that is not ``cancelable``.

        Source: DOM, ``Event.preventDefault``.
        """
        if self.cancelable:
            self.default_prevented = True

    def stop_propagation(self) -> None:
        """
        Keep the event from targets above this one: there are none, and nothing changes.

        For code that comes from the Web. The other listeners of the target are called.

        Source: DOM, ``Event.stopPropagation``.
        """

    def stop_immediate_propagation(self) -> None:
        """
        Keep the event from the listeners that come after this one.

        Called before the event is dispatched, it keeps the event from all of them.

        Source: DOM, ``Event.stopImmediatePropagation``.
        """
        self._is_stopped = True

    def __repr__(self) -> str:
        return f"<{self.__class__.__name__} {self.type!r}>"


class MessageEvent(Event):
    """
    A message that arrived, or one that could not be read.

    Args:
        data: The receiver's own copy of what was posted.
        source: Who posted it, where that is known.
        ports: The ports that were transferred, in the order of the sender's list.
        fds: The descriptors that came along; whoever receives the event owns them.
        origin: Where the sender is at home; ``""`` between processes of one program.
        last_event_id: Of a stream of events; ``""`` for messages of workers.
        error: Why the message could not be unpacked. Its type is ``"messageerror"`` then.

    Attributes:
        type: ``"message"``, or ``"messageerror"``.
        data: As given; ``None`` for an error.
        source: As given: the worker that posted it where the host receives, ``None`` in a worker.
        ports: A tuple.
        fds: A tuple.
        origin: As given.
        last_event_id: As given.
        error: As given, ``None`` for a message.

    Source: HTML, "The MessageEvent interface"; ``fds`` are this package's own.
    """

    __slots__ = ("data", "error", "fds", "last_event_id", "origin", "ports", "source")

    def __init__(
        self,
        data: Any = None,
        source: Any = None,
        *,
        ports: tuple[Any, ...] = (),
        fds: tuple[int, ...] = (),
        origin: str = "",
        last_event_id: str = "",
        error: BaseException | None = None,
    ) -> None:
        # As the base does, without the call: one is made for each message.
        self.type = "message" if error is None else "messageerror"
        self.cancelable = self.bubbles = self.default_prevented = False
        self.target = self.current_target = self._frame = None
        self.time_stamp = monotonic()
        self._is_dispatching = self._is_stopped = False
        self.data = data
        self.source = source
        self.ports = ports if ports.__class__ is tuple else tuple(ports)
        self.fds = fds if fds.__class__ is tuple else tuple(fds)
        self.origin = origin
        self.last_event_id = last_event_id
        self.error = error

    @property
    def fd(self) -> int | None:
        """The first of ``fds``, ``None`` if there is none."""
        return self.fds[0] if self.fds else None

    def __repr__(self) -> str:
        if self.error is not None:
            return f"<MessageEvent error={shown(self.error)}>"
        return f"<MessageEvent data={shown(self.data)}>"


class ErrorEvent(Event):
    """
    An exception that nobody caught, somewhere else.

    A listener that calls ``prevent_default()`` has handled it, and so has an ``onerror`` that
    returns ``True``; then it is not reported further.

    Args:
        message: The exception's type and text.
        filename: The absolute path of the file it was raised in, ``""`` if not known. What this
            package has raised stands where it was called, and a ``SyntaxError`` of a script that
            was imported stands in that.
        lineno: The line, from 1; 0 if not known.
        colno: The column, from 1; 0 if not known.
        error: The exception, or a copy of it where it crossed from another process.
        traceback: Its traceback as Python prints it, ``""`` if not known.

    Attributes:
        type: Always ``"error"``.
        message: As given, like all the others.

    Source: HTML, "The ErrorEvent interface"; ``traceback`` is this package's own.
    """

    __slots__ = ("colno", "error", "filename", "lineno", "message", "traceback")

    def __init__(
        self,
        message: str = "",
        filename: str = "",
        lineno: int = 0,
        colno: int = 0,
        error: BaseException | None = None,
        traceback: str = "",
    ) -> None:
        super().__init__("error", cancelable=True)
        self.message = message
        self.filename = filename
        self.lineno = lineno
        self.colno = colno
        self.error = error
        self.traceback = traceback

    def __repr__(self) -> str:
        place = f" at {self.filename}:{self.lineno}" if self.filename else ""
        return f"<ErrorEvent {shown(self.message)}{place}>"


class CloseEvent(Event):
    """
    The other side of a port is gone: closed, collected or dead; no message will come any more.

    Attributes:
        type: Always ``"close"``.

    Source: HTML, "Message ports", the ``close`` event.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("close")

    def __repr__(self) -> str:
        return "<CloseEvent>"


class ExitEvent(Event):
    """
    The process of a worker has ended; the last event of its worker.

    Messages that nobody has listened for, nor received, can still be.

    Args:
        code: Its exit status, ``None`` when a signal ended it or the status is not known.
        signal: The number of the signal that ended it, ``None`` when none did.

    Attributes:
        type: Always ``"exit"``.
        code: As given.
        signal: As given.

    Source: Node.js, the ``exit`` event of a child process.
    """

    __slots__ = ("code", "signal")

    def __init__(self, code: int | None, signal: int | None = None) -> None:
        super().__init__("exit")
        self.code = code
        self.signal = signal

    def __repr__(self) -> str:
        return f"<ExitEvent code={self.code} signal={self.signal}>"
