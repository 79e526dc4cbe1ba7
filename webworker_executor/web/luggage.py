"""
What is transferred with a message: the list is checked, and stands behind the message.

Not for how one thing or another is given up: see ``port``, ``descriptor`` and ``movable``.
"""

from __future__ import annotations

from collections.abc import Iterable
from mmap import mmap
from typing import TYPE_CHECKING, Any

from webworker_executor.errors import DataCloneError
from webworker_executor.link.rights import Descriptor
from webworker_executor.web.descriptor import FileDescriptor, of_owner, receive_descriptor
from webworker_executor.web.movable import give_up_bytes, movable
from webworker_executor.web.port import MessagePort
from webworker_executor.web.port_moving import check_movable
from webworker_executor.web.shared import is_over_shared
from webworker_executor.web.untransferable import is_marked_as_untransferable
from webworker_executor.wire import codec
from webworker_executor.wire.shown import shown
from webworker_executor.wire.transfer import Parcel, current_parcel, reducers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webworker_executor.web.messaging import MessageTarget

_IS_SHARED = (
    ". Its memory is that of a SharedBuffer, which nobody gives up: send the buffer itself, "
    "without listing it, and make the view where it arrives"
)


class LuggageParcel(Parcel):
    """
    The parcel of a message, which is given up when that is posted.

    Args:
        moved: As for ``Parcel``.
        target: What is posted to, which cannot go itself; ``None`` if there is none.

    Attributes:
        packed: The identities of those that stood in what was packed so far.
    """

    __slots__ = ("_target", "packed")

    def __init__(self, moved: Iterable[object] = (), target: MessageTarget | None = None) -> None:
        super().__init__(moved, waits=True)
        self._target = target
        self.packed: set[int] = set()

    def is_moved(self, item: object) -> bool:
        """Whether an object was listed to be moved; whoever asks is packing it."""
        self.packed.add(id(item))
        is_moved = super().is_moved(item)
        if is_moved:
            # What `transfer` marks within the message was checked before anybody knew the target.
            _check_way(self._target, item, shown(item))
        return is_moved


class Luggage:
    """
    What is transferred with a message.

    Args:
        target: What is posted to.
        transfer: The list, ``None`` for an empty one.
        fds: Descriptors of which duplicates go.

    Attributes:
        items: Packed behind the message, it becomes a tuple of the ports, and of what does not
            stand in the message itself.

    Raises:
        TypeError: The list is none, or has ``None`` in it; or what is to be duplicated has no
            descriptor.
        DataCloneError: Something in it cannot be transferred, or stands there twice.
    """

    def __init__(
        self,
        target: MessageTarget | None,
        transfer: Iterable[object] | None,
        fds: Iterable[Any],
    ) -> None:
        listed = as_list("transfer", transfer)
        check(target, listed)
        numbers = as_list("fds", fds)
        copies = [of_owner(copy_of(item, index)) for index, item in enumerate(numbers)]
        self._target = target
        self.listed = listed
        self.items = _Items(listed, copies)

    def make_parcel(self) -> LuggageParcel:
        """Make the parcel, in which what is listed is given up."""
        parcel = LuggageParcel(self.listed, self._target)
        for item in self.listed:
            if isinstance(item, bytearray):
                give_up_bytes(parcel, item)
        return parcel


class _Items:
    """The ports and descriptors behind a message, chosen when the message has been packed."""

    def __init__(self, listed: Sequence[Any], copies: Sequence[FileDescriptor]) -> None:
        self._listed = listed
        self._copies = copies

    def __reduce__(self) -> Any:
        parcel = current_parcel()
        assert isinstance(parcel, LuggageParcel)
        chosen: list[Any] = []
        for item in self._listed:
            if isinstance(item, MessagePort):
                chosen.append(item)
            elif id(item) not in parcel.packed and not isinstance(item, (bytearray, memoryview)):
                chosen.append(_Bare(item))
        return tuple, ([*chosen, *self._copies],)


class _Bare:
    """Something listed that stands nowhere else: its descriptor goes."""

    def __init__(self, item: Any) -> None:
        self._item = item

    def __reduce__(self) -> Any:
        parcel = current_parcel()
        assert parcel is not None
        item = self._item
        if isinstance(item, FileDescriptor):
            return item.__reduce__()
        # As a value of its type would go; but what comes out is a mere descriptor.
        _, (slot, *_) = reducers[type(item)](parcel, item)
        return receive_descriptor, (slot,)


def as_list(name: str, things: Any) -> tuple[Any, ...]:
    """
    Return what is listed.

    Args:
        name: Of the argument.
        things: Any iterable, or ``None`` for none. Not one of the things themselves, some of which
            can be iterated over, too: a port would be until it is closed.

    Raises:
        TypeError: It is no list.
    """
    if things is None:
        return ()
    is_one = isinstance(things, (MessagePort, FileDescriptor, str, bytes, *movable()))
    if is_one or not isinstance(things, Iterable):
        raise TypeError(f"{name} must be a list of things to send, not {shown(things)}")
    return tuple(things)


def copy_of(item: Any, index: int = 0) -> Descriptor:
    if not isinstance(item, int) and not hasattr(item, "fileno"):
        raise TypeError(
            f"fds[{index}] must be the number of a descriptor, or have a fileno(), which "
            f"{shown(item)} has not"
        )
    try:
        return Descriptor.copy_of(item if isinstance(item, int) else item.fileno())
    except (OSError, ValueError, OverflowError) as error:
        raise DataCloneError(f"{shown(item)} is no open descriptor: {error}") from error


def check(target: MessageTarget | None, listed: Sequence[object]) -> None:
    kinds = (MessagePort, FileDescriptor, *movable())
    seen: set[int] = set()
    for index, item in enumerate(listed):
        name = f"transfer[{index}]"
        if item is None:
            raise TypeError(f"{name} is None; a transfer list holds what is to be given up")
        if type(item) not in kinds:
            raise DataCloneError(
                f"{name}, {shown(item)}, cannot be transferred: ports, sockets, files, pipes, "
                f"connections, FileDescriptor, bytearray and memoryview can{_advice_on(item)}"
            )
        if is_marked_as_untransferable(item):
            raise DataCloneError(
                f"{name}, {shown(item)}, was marked as untransferable: other code goes on to use "
                "it. Send a copy, or leave it out of the list",
                item,
            )
        if isinstance(item, memoryview) and is_over_shared(item):
            # It would go as a copy, and be shared no more, which neither side would notice.
            raise DataCloneError(f"{name}, {shown(item)}, cannot be transferred{_IS_SHARED}", item)
        if id(item) in seen:
            raise DataCloneError(f"{name} stands in the list twice; it can be given up once")
        seen.add(id(item))
        _check_way(target, item, name)
        if isinstance(item, MessagePort):
            check_movable(item, name)


def _check_way(target: MessageTarget | None, item: object, name: str) -> None:
    """Refuse to send a port over itself, and one that would come to itself."""
    if target is None or not isinstance(item, MessagePort):
        return
    if item is target:
        raise DataCloneError(f"{name} is the port that is posted to; send it over another one")
    other = item._other_end
    if other is not None and other() is target:
        # It would lie in its own queue, and keep itself open there.
        raise DataCloneError(
            f"{name} is the other end of the port that is posted to: it would go to "
            "itself, and nobody could receive it; send it over another one"
        )


def _advice_on(item: Any) -> str:
    """Say what to do instead with an object that has memory, such as an array."""
    if is_over_shared(item):
        return _IS_SHARED
    if isinstance(item, (bytes, mmap)):
        # What is shared stays so, and what cannot change is as good as moved.
        return ""
    try:
        memoryview(item).release()
    except Exception:
        # Whatever a user's own __buffer__ raises: there is none to be had.
        return ""
    return (
        ". Its memory can be given up: list view = memoryview(array) and send that view. Or leave "
        "it out of the list, and a copy goes"
    )


def unpack_luggage(
    payload: Any, buffers: Iterable[object], fds: Sequence[object]
) -> tuple[Any, tuple[MessagePort, ...], tuple[int, ...]]:
    """
    Unpack a message that was packed with a list.

    Returns:
        The message, the ports, and the numbers of the descriptors, which are the caller's.
    """
    pair: Any = codec.unpack(payload, buffers, fds)
    message, items = pair
    ports = tuple(item for item in items if isinstance(item, MessagePort))
    numbers = tuple(item.take() for item in items if isinstance(item, FileDescriptor))
    return message, ports, numbers
