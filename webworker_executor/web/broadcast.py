"""
Broadcast channels: what one posts, all others of the same name hear, in all processes of a program.

Not for ports or descriptors: what goes to many cannot be moved. Nor for the way: see ``station``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from webworker_executor.errors import DataCloneError, InvalidStateError
from webworker_executor.web.message import refuse
from webworker_executor.web.messaging import MessageTarget
from webworker_executor.web.port import MessagePort
from webworker_executor.web.station import take_seat
from webworker_executor.wire import codec
from webworker_executor.wire.transfer import Parcel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from webworker_executor.web.seat import Seat


_ONE_BY_ONE = (
    "a BroadcastChannel carries plain values: what has a descriptor or moves, such as a port, a "
    "SharedBuffer or an AbortSignal, goes to one receiver; post it to each over a MessagePort"
)


class _ForMany(Parcel):
    """The parcel of what goes to many: nothing can be put in, and whoever tries hears why."""

    __slots__ = ()

    def is_moved(self, item: object) -> bool:
        """Refuse ports, which ask before they put anything in; all else goes as a copy or not."""
        if isinstance(item, MessagePort):
            self.move(item)
        return False

    def move(self, item: object) -> None:
        """Refuse what is to be moved."""
        raise DataCloneError(_ONE_BY_ONE, item)

    def add(self, fd: object) -> int:
        """Refuse a descriptor."""
        raise DataCloneError(_ONE_BY_ONE)


class BroadcastChannel(MessageTarget):
    """
    A channel that all who open it by the same name share.

    What is posted arrives at all others, in this process and in all processes of the same program:
    the one that began it, its workers, and theirs; from one sender in the order in which it posted.
    Not at the channel that posts. It needs no start.

    Args:
        name: Any text; what is no text is turned into it.

    Attributes:
        name: As given.

    Raises:
        OSError: No descriptor is left.
        RuntimeError: The program is ending, and no thread can be started.

    Source: HTML, "Broadcasting to other browsing contexts".
    """

    def __init__(self, name: object) -> None:
        super().__init__()
        self.name = str(name)
        self._is_closed = False
        self._seat: Seat | None = None
        take_seat(self.name, self)

    def __repr__(self) -> str:
        return f"<BroadcastChannel {self.name!r}{' closed' if self._is_closed else ''}>"

    def __reduce__(self) -> NoReturn:
        self._refuse_to_be_sent("open another one by the same name there")

    def post_message(  # the others are there to be refused
        self, message: Any, transfer: Iterable[Any] | None = (), *, fds: Iterable[Any] = ()
    ) -> None:
        """
        Send a copy of a value to all others. Never waits for one who does not read.

        Args:
            message: Anything that pickles, or that ``cloudpickle`` can pack.
            transfer: Nothing: what moves can go to one only. Taken as by ``MessagePort``.
            fds: Nothing, likewise.

        Raises:
            InvalidStateError: The channel was closed.
            DataCloneError: Something in the message cannot be sent.
            TypeError: ``transfer`` or ``fds`` holds something.
            Exception: Whatever the value's own hooks raise.

        Source: HTML, ``BroadcastChannel.postMessage``.
        """
        seat = self._seat
        if self._is_closed or seat is None or seat.station.is_disowned:
            raise InvalidStateError(
                f"{self!r} is closed, or belongs to the process that this one was forked from; "
                "open another one"
            )
        if transfer or fds:
            raise TypeError("nothing can be transferred to many; post it over a MessagePort")
        try:
            packed = codec.pack(message, parcel=_ForMany)
        except Exception as exc:
            refuse(message, exc)
        seat.station.post(seat.number, packed.payload, packed.buffers)  # type: ignore[arg-type]  # no shelf: bytes

    def close(self) -> None:
        """
        Hear no more: what was posted and not yet delivered is dropped. Closing twice is fine.

        Source: HTML, ``BroadcastChannel.close``.
        """
        # Each step may be done again, where a signal handler has broken it off.
        self._is_closed = True
        self._has_ended = self._has_told_end = True
        self._inbox.clear()
        self._waiters.wake()
        seat = self._seat
        if seat is not None:
            seat.leave()
            self._seat = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_delivering(self) -> bool:
        return not self._is_closed and super()._is_delivering()

    def _listeners_changed(self, type: str) -> None:
        super()._listeners_changed(type)
        seat = self._seat
        if type == "message" and seat is not None:
            seat.station.keep(seat.number, self, self._has_listeners(type))

    def _why_ended(self) -> str:
        return f"{self!r} was closed on this side; nothing comes to it any more"
