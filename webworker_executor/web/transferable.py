"""
Moving and copying values outside of messages: in tasks, and on the spot.

Not for the list of a message: see ``luggage``.
"""

from __future__ import annotations

from operator import call
from pickle import PicklingError
from typing import TYPE_CHECKING, Any, TypeVar

from webworker_executor.web.luggage import as_list, check
from webworker_executor.web.message import give_back, pack_message
from webworker_executor.web.movable import give_up_bytes
from webworker_executor.wire import codec
from webworker_executor.wire.apart import writable
from webworker_executor.wire.shown import shown
from webworker_executor.wire.transfer import current_parcel

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


class _Transfer:
    """A value with its own list of what is given up with it."""

    def __init__(self, value: object, transferables: tuple[object, ...]) -> None:
        self._value = value
        self._transferables = transferables

    def __repr__(self) -> str:
        return f"transfer({shown(self._value)}, {len(self._transferables)} things)"

    def __reduce__(self) -> Any:
        parcel = current_parcel()
        if parcel is None:
            raise PicklingError("what is to be transferred goes in a message or a task")
        for item in self._transferables:
            parcel.move(item)
            if isinstance(item, bytearray):
                give_up_bytes(parcel, item)
        return _receive_value, (self._value,)


def _receive_value(value: T) -> T:
    return value


def transfer(value: T, transferables: Iterable[object]) -> T:
    """
    Mark a value, so that parts of it are given up where it is sent, instead of copied.

    For arguments and results of tasks, which have no transfer list. Ports in them move anyway.

    Args:
        value: What is sent: an argument, a result or a message.
        transferables: As for ``MessageTarget.post_message``.

    Returns:
        Something to be sent in the value's place, which arrives as the value.

    Raises:
        TypeError: The list is none, or has ``None`` in it.
        DataCloneError: Something in it cannot be transferred, or stands there twice.

    Source: Comlink, ``transfer``.
    """
    listed = as_list("transferables", transferables)
    check(None, listed)
    return _Transfer(value, listed)  # type: ignore[return-value]  # it arrives as one


def structured_clone(value: T, transfer: Iterable[object] | None = ()) -> T:
    """
    Copy a value as sending it would.

    Args:
        value: Anything that can be sent.
        transfer: What is given up, and moves into the copy; as for ``post_message``.

    Returns:
        The copy.

    Raises:
        Exception: As for ``MessageTarget.post_message``. Also where a signal handler has raised it,
            everything is still the caller's; but for a port, which moves in many steps: from the
            first of them on it is lost with the copy, and what is transferred with it.

    Source: HTML, ``structuredClone``.
    """
    packed = pack_message(value, transfer, shelf=writable)  # type: ignore[arg-type]  # as places are
    # No call stands between the packing and this block, as in `post_message`.
    parcel: Any = packed.parcel
    try:
        if parcel.has_port:
            # A copy that is made before might write what the port itself has not written yet.
            parcel.commit()
        pair: Any = codec.unpack(packed.payload, packed.buffers, packed.fds)
        copy, pair = pair[0], None
        # The last step: no call stands between it and the caller, who has either it all or the
        # copy.
        if not parcel.has_port:
            _ = [*map(call, (*parcel.go(), *parcel.commits))]
        return copy  # type: ignore[no-any-return]  # a copy of its type
    except BaseException as error:
        give_back(parcel, error)
        raise
