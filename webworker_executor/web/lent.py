"""
Messages whose large buffers go in shared memory.

Not for the memory, nor for who has it: see ``link.loan``. Imported with the first such message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from webworker_executor.link import loan
from webworker_executor.wire.frame import MAX_FDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from webworker_executor.web.messaging import MessageTarget
    from webworker_executor.wire.codec import Packed
    from webworker_executor.wire.place import Place


def shelved(buffers: Sequence[memoryview], target: MessageTarget) -> Sequence[Place] | None:
    """Put buffers where a message takes them along, if there is room: a shelf of ``codec.pack``."""
    return loan.lender.lend(buffers, target)


def lend(packed: Packed) -> bool:
    """
    Have a message that was packed with the shelf take its memory along.

    Args:
        packed: The message; changed so that it can be laid out.

    Returns:
        Whether the memory goes along. If not, the buffers do.
    """
    places: Any = packed.buffers
    lease = places[0].lease
    going = loan.lender.open(lease) if len(packed.fds) < MAX_FDS else None
    if going is None:
        # No descriptor is left for it.
        memory = lease.segment.view()
        packed.buffers = [
            bytes(memory[place.offset : place.offset + place.nbytes]) for place in places
        ]
        return False
    packed.payload = loan.lay_out(places, packed.payload)
    packed.buffers = ()
    packed.fds = [*packed.fds, going]
    return True


def borrowed(
    payload: Any, fds: Sequence[Any]
) -> tuple[memoryview, Sequence[memoryview], Sequence[Any]]:
    """
    Take the memory that came along with a message.

    Returns:
        The payload, its buffers, and the descriptors that are the message's own.

    Raises:
        ValueError: It is not as it should be.
        OSError: No address space is left.
    """
    if not fds:
        raise ValueError("the memory of a message did not come along")
    own = list(fds)
    payload, buffers = loan.borrowed(payload, own.pop().fileno())
    return payload, buffers, own


def stop_lending(target: MessageTarget) -> None:
    """Hear that somebody posts no more."""
    loan.lender.leave(target)
