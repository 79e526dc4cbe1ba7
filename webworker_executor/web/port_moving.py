"""
The move of a port: whoever packs it freezes it, and gives it up when all else was packed.

Not for what goes into the message: see ``port_record``. Whoever changes this must know that packing
may fail after the port was frozen, and that messages may come and go in other threads meanwhile:
until the commit everything can be given back.
"""

from __future__ import annotations

from itertools import repeat
from operator import call
from typing import TYPE_CHECKING, Any

from webworker_executor.errors import DataCloneError
from webworker_executor.web import port_record
from webworker_executor.web.untransferable import is_marked_as_untransferable

if TYPE_CHECKING:
    from webworker_executor.web.port import MessagePort
    from webworker_executor.wire.frame import Frame
    from webworker_executor.wire.transfer import Parcel

OPEN, FROZEN, DETACHED = "open", "frozen", "detached"


def check_movable(port: MessagePort, name: str) -> None:
    """
    Check whether a port can be transferred.

    Args:
        port: The port.
        name: What the error calls it.

    Raises:
        DataCloneError: It cannot.
    """
    why = None
    if is_marked_as_untransferable(port):
        why = "was marked as untransferable: other code goes on to use it"
    elif port._is_disowned:
        why = "belongs to the process that this one was forked from"
    elif port._state is not OPEN:
        why = "is being transferred" if port._state is FROZEN else f"is {port._state} already"
    elif port._has_ended and not port._inbox:
        why = "has ended: the other side is gone, and no message is left"
    elif "reader" in port._claims or port._awaited:
        why = "is being waited on in receive()"
    if why is not None:
        raise DataCloneError(f"{name} {why}, and cannot be transferred", port)


def freeze(port: MessagePort, parcel: Parcel) -> tuple[Any, ...]:
    """
    Put a port into a parcel, which it leaves this process with, or not.

    Returns:
        What the receiving side makes a port of.

    Raises:
        DataCloneError: It is not to be transferred, or cannot be.
    """
    if not (parcel.is_moved(port) or parcel.moves_ports):
        raise DataCloneError(
            f"{port!r} is in the message and not in its transfer list; a port cannot be "
            "copied: list it, and it moves; in the call of a proxy, which has no list, send "
            "transfer(port, [port])",
            port,
        )
    parcel.has_port = True
    move = _Move(port)
    # Before there is something to give back: a signal handler may raise right after there is.
    parcel.rollbacks.append(move.take_back)
    check_movable(port, repr(port))
    move.has_frozen = True
    port._state = FROZEN
    while "reader" in port._claims:
        # A thread has begun to wait meanwhile; it may have given up again by the second look.
        port._state = OPEN
        move.has_frozen = False
        check_movable(port, repr(port))
        move.has_frozen = True
        port._state = FROZEN
    parcel.commits.append(port._detach)
    try:
        return port_record.freeze(port._link, port._inbox, move.frames, parcel)
    except ValueError as error:
        raise DataCloneError(f"{port!r} cannot be transferred: {error}", port) from error


class _Move:
    """
    What is given back where a port stays.

    Args:
        port: The port.

    Attributes:
        has_frozen: Whether it was this move that has frozen it.
        frames: What was taken out of its inbox.
    """

    __slots__ = ("_port", "frames", "has_frozen")

    def __init__(self, port: MessagePort) -> None:
        self._port = port
        self.has_frozen = False
        self.frames: list[Frame] = []

    def take_back(self) -> None:
        """Go on as before; once more where a signal handler has broken it off."""
        port, frames = self._port, self.frames
        if not self.has_frozen:
            return
        if port._state is FROZEN:
            # The last first, each out of one and into the other within C.
            port._inbox.extendleft(map(call, repeat(frames.pop, len(frames))))
            if port._link is not None:
                port._link.thaw()
            port._state = OPEN
        if port._state is OPEN:
            port._stir()
