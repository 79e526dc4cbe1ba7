"""
Large buffers: what stays outside a pickle, and how it is copied.

For: `codec`, which packs every value. A changer must know: the original belongs to a user, who may
resize it as soon as packing is over; so every view that was taken is released, whatever happened.
"""

from __future__ import annotations

import sys
from _pickle import PickleBuffer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from webworker_executor.wire.place import Place

    Shelf = Callable[[Sequence[memoryview]], Sequence[Place] | None]

__all__ = ["OUT_OF_BAND", "copied", "keep_apart", "release", "with_bulk_apart", "writable"]

OUT_OF_BAND = 131072
"""Buffers of at least so many bytes stay outside the pickle. In band, the pickler's growing copy
pays for itself three times above this size: realloc, the allocator's mmap threshold, and a page
fault for each page."""


class Bulk:
    """
    Bytes that are packed as a copy of a buffer, and so go where large buffers go.

    Args:
        data: Of exactly one of the two types.
    """

    __slots__ = ("data",)

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> tuple[type, tuple[PickleBuffer]]:
        # Of a memoryview: what a user's own object offers as bytes stays in band, see `keep_apart`.
        return type(self.data), (PickleBuffer(memoryview(self.data)),)


def with_bulk_apart(value: object) -> object:
    """
    Prepare a value whose large bytes shall not go through the pickle and the socket.

    Only what a call is given or returns by itself, or in a tuple: whoever sends a MiB does so, and
    to look into more would cost every call.

    Args:
        value: What is to be pickled.

    Returns:
        The value itself, or what unpickles as its equal.
    """
    if type(value) is tuple:
        for item in value:
            if is_bulk(item):
                # One for each object, so that what was one object is one again.
                bulks = {id(item): Bulk(item) for item in value if is_bulk(item)}
                return tuple([bulks.get(id(item), item) for item in value])
        return value
    return Bulk(value) if is_bulk(value) else value  # type: ignore[arg-type]  # it is bytes then


def is_bulk(value: Any) -> bool:
    """Whether a value is plain bytes, and large."""
    return (type(value) is bytes or type(value) is bytearray) and len(value) >= OUT_OF_BAND


def keep_apart(
    buffer: PickleBuffer, buffers: list[memoryview], read_only: list[object] | None = None
) -> bool:
    """
    Put a view of a large buffer into the list; tell whether it is to be pickled in band instead.

    Args:
        buffer: What the pickler has met.
        buffers: Where views are put.
        read_only: Where arrays are noted that cannot be written to: see `array`.
    """
    try:
        raw = buffer.raw()
    except BufferError:
        # Not contiguous: in band the pickler says so in the stdlib's words.
        return True
    if raw.readonly and read_only is not None and is_array(raw.obj):
        read_only.append(raw.obj)
    if raw.nbytes < OUT_OF_BAND or type(raw.obj) in {bytes, bytearray}:
        # Out of band, the very bytes of a user would become a view of ours.
        raw.release()
        return True
    buffers.append(raw)
    return False


def is_array(value: object) -> bool:
    """Whether a value is plainly an array of numpy."""
    return type(value) is getattr(sys.modules.get("numpy"), "ndarray", None)


def copied(buffers: Sequence[memoryview], shelf: Shelf | None) -> Sequence[bytes | Place]:
    """
    Copy buffers to a shelf, or to bytes if there is none or it is full.
    """
    places = None if shelf is None else shelf(buffers)
    return [bytes(buffer) for buffer in buffers] if places is None else places


def writable(buffers: Iterable[Any]) -> list[memoryview]:
    """
    Copy buffers into memory of their own, for who unpacks them: what comes out can be changed.
    """
    return [memoryview(bytearray(buffer)) for buffer in buffers]


def release(buffers: Iterable[memoryview]) -> None:
    """
    Let go of the memory of others.
    """
    for buffer in buffers:
        buffer.release()
