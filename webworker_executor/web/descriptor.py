"""
Bare descriptors as values that can be sent.

Not for sockets and files, which know more of themselves: see ``movable``.
"""

from __future__ import annotations

from pickle import PicklingError
from typing import TYPE_CHECKING, Any

from webworker_executor.errors import DataCloneError
from webworker_executor.link.rights import Descriptor
from webworker_executor.wire.shown import shown
from webworker_executor.wire.transfer import current_parcel, taken

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from webworker_executor.wire.transfer import Parcel


class FileDescriptor:
    """
    A bare descriptor that can be sent.

    In a message a duplicate of it goes; listed in ``transfer``, the descriptor itself. One that is
    listed and does not stand in the message arrives as a number in ``event.fds``.

    Args:
        fd: Its number; this object owns it, and closes it when it is dropped.

    Source: unix(7), ``SCM_RIGHTS``.
    """

    __slots__ = ("_owner",)

    def __init__(self, fd: int) -> None:
        if fd < 0:
            raise ValueError(f"{fd} is no descriptor; give the number of an open one")
        self._owner = Descriptor(fd)

    def __repr__(self) -> str:
        return f"<FileDescriptor {shown(self._owner, 40)}>"

    def fileno(self) -> int:
        """
        Return its number, which stays this object's.

        Raises:
            ValueError: It was taken, closed or transferred.
        """
        return self._owner.fileno()

    def take(self) -> int:
        """
        Return its number, to be closed by the caller.

        Raises:
            ValueError: It was taken, closed or transferred.
        """
        return self._owner.take()

    def close(self) -> None:
        """Close it; nothing happens if that was done or it was taken."""
        self._owner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[int], FileDescriptor], tuple[int]]:
        parcel = current_parcel()
        if parcel is None:
            raise PicklingError("a FileDescriptor goes in a message, not in bytes by themselves")
        slot = duplicate(parcel, self)
        if parcel.is_moved(self):
            parcel.commits += self._owner.closing()
        return receive_descriptor, (slot,)


def duplicate(parcel: Parcel, item: Any) -> int:
    """
    Put a duplicate of an object's descriptor into a parcel.

    Returns:
        Its slot.

    Raises:
        DataCloneError: It is not open, or no more fit into one message.
        OSError: No descriptor is left.
    """
    try:
        number = item.fileno()
    except ValueError as error:
        raise DataCloneError(
            f"{shown(item)} is closed or was transferred: {error}", item
        ) from error
    if number < 0:
        raise DataCloneError(f"{shown(item)} is closed or was transferred; send an open one", item)
    try:
        return parcel.add(Descriptor.to_send(number))
    except ValueError as error:
        raise DataCloneError(f"{shown(item)} cannot be sent: {error}", item) from error


def receive_descriptor(slot: int) -> FileDescriptor:
    """Make the object of a slot, where a message is unpacked."""
    return of_owner(taken(slot))


def of_owner(owner: Descriptor) -> FileDescriptor:
    """Make the object of a descriptor, which has an owner all the while."""
    owner.stays()
    descriptor = FileDescriptor.__new__(FileDescriptor)
    descriptor._owner = owner
    return descriptor
