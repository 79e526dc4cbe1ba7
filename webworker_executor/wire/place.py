"""
Places in shared memory: what a frame says of large buffers that do not travel inside it. Pure.

For: naming where buffers lie, and the table that names them on the wire.
Not for: the memory itself, which this floor never touches (`link.memory` does).
A changer must know: whoever sends parts that name a place must note that they were lent
(`LentParts` says which lease), or the memory would be used again while the reader looks at it.

::

    u32 count | u64 length of the pickle | u64 segment | (u64 offset | u64 nbytes) * count | pickle
"""

from __future__ import annotations

from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_HEAD = Struct(">IQQ")
_PLACE = Struct(">QQ")
MAX_PLACES = 65536


class Place:
    """
    Where a buffer lies.

    Args:
        segment: The number of the segment; its owner gave it.
        offset: Bytes from the segment's start.
        nbytes: Its length.
        lease: On the owner's side, what keeps the memory from being used again.
    """

    __slots__ = ("lease", "nbytes", "offset", "segment")

    def __init__(self, segment: int, offset: int, nbytes: int, lease: Any = None) -> None:
        self.segment = segment
        self.offset = offset
        self.nbytes = nbytes
        self.lease = lease

    def __len__(self) -> int:
        return self.nbytes

    def __repr__(self) -> str:
        return f"<Place {self.nbytes} B at {self.offset} of segment {self.segment}>"


class LentParts(list["bytes | memoryview"]):
    """The parts of a frame that names places; ``lease`` is to be noted when they are sent."""

    __slots__ = ("lease",)

    lease: Any


class LadenParts(list["bytes | memoryview"]):
    """The parts of a frame that takes memory along as a descriptor: ``nbytes`` of it."""

    __slots__ = ("nbytes",)

    nbytes: int


def lay_out(prefix: bytes, payload: bytes, places: Sequence[Place]) -> bytes:
    """
    Return the payload of a frame whose buffers lie elsewhere.

    Args:
        prefix: Bytes in front of the table.
        payload: The pickle.
        places: Where its buffers lie, all in one segment.

    Raises:
        ValueError: There are more than ``MAX_PLACES``.
    """
    if len(places) > MAX_PLACES:
        raise ValueError(f"{len(places)} large buffers in one value; at most {MAX_PLACES} can go")
    table = [_PLACE.pack(place.offset, place.nbytes) for place in places]
    head = _HEAD.pack(len(places), len(payload), places[0].segment)
    return b"".join((prefix, head, *table, payload))


def read_places(table: memoryview) -> tuple[memoryview, list[Place]]:
    """
    Read what ``lay_out`` has written, after the prefix.

    Returns:
        The pickle, and the places of its buffers.

    Raises:
        ValueError: It claims what is not there.
    """
    if len(table) < _HEAD.size:
        raise ValueError("a table of places is cut short")
    count, nbytes, segment = _HEAD.unpack_from(table)
    start = _HEAD.size + count * _PLACE.size
    if not 0 < count <= MAX_PLACES or len(table) != start + nbytes:
        raise ValueError(f"a table claims {count} places and {nbytes} bytes in {len(table)}")
    places = [Place(segment, *pair) for pair in _PLACE.iter_unpack(table[_HEAD.size : start])]
    return table[start:], places
