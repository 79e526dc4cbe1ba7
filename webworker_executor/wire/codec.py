"""
Turn values into bytes and back.

For: one value, packed as a pickle and the large buffers that stay outside it. Both sides of every
link use it.
Not for: callables that are sent once and then named (`definition`), objects that only a new process
may inherit (`inherit`), exceptions with their traceback (`failure`), and it never touches a
descriptor.
A changer must know: every task of every pool goes through `pack` and `unpack`, and a worker imports
this module before it can say hello. Anything slower than a C pickler, or heavier than `_pickle`,
belongs behind the fallback in `by_value`.
"""

from __future__ import annotations

import sys
from _pickle import PicklingError, dumps, loads

from webworker_executor.wire.transfer import packing_with, unpacking_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pickle import PickleBuffer
    from typing import Any

    from webworker_executor.wire.transfer import Parcel

    ParcelMaker = Callable[[], Parcel]

__all__ = ["OUT_OF_BAND", "Packed", "after_fork", "pack", "pack_by_value", "unpack"]

OUT_OF_BAND = 131072
"""Buffers of at least so many bytes stay outside the pickle. In band, the pickler's growing copy
pays for itself three times above this size: realloc, the allocator's mmap threshold, and a page
fault for each page."""

half_imported: set[str] = set()
"""Modules whose classes or functions came here by value because the sender was still importing
them. The plain pickler would import such a module to look for a name in it, and so run the very
body that is waiting for our answer."""

is_fork = False
"""Whether this process was forked from its host, and so has the host's `__main__`."""


def after_fork() -> None:
    """
    Tell this module that the process is a forked worker. Call it in the child, before anything is
    unpacked.
    """
    global is_fork
    is_fork = True
    origin = sys.modules.get("webworker_executor.wire.origin")
    if origin is not None:
        origin.after_fork()


class Packed:
    """
    One value as bytes.

    Attributes:
        payload: The pickle.
        buffers: What belongs to the payload but stays outside it, in the pickle's order, each at
            least `OUT_OF_BAND` bytes long. They are copies: the caller may change the original at
            once.
        fds: The descriptors that go along, see `transfer`.

    Source: PEP 574.
    """

    __slots__ = ("buffers", "fds", "payload")

    def __init__(self, payload: bytes, buffers: list[bytes], fds: Sequence[Any] = ()) -> None:
        self.payload = payload
        self.buffers = buffers
        self.fds = fds

    def __repr__(self) -> str:
        nbytes = sum(map(len, self.buffers))
        return f"<Packed {len(self.payload)} B + {len(self.buffers)} buffers of {nbytes} B>"


def pack(value: object, *, to_host: bool = False, parcel: ParcelMaker | None = None) -> Packed:
    """
    Pack a value.

    The plain pickler comes first. What it cannot do, and what lives in `__main__`, which the other
    process does not have, is done again by value.

    Args:
        value: Anything that pickle or cloudpickle takes.
        to_host: The reader is the process that started this one. Then what came from there by value
            goes back by
            reference: shorter, and an instance of a class of the host's `__main__` is one there
            again even if the class's state here no longer pickles. Without it such a class is sent
            in full, and is still recognised.
        parcel: Makes a parcel for the descriptors of what no pickle can hold, if there is such a
            thing in the value; without it such a value fails.

    Returns:
        The pickle, its large buffers and its descriptors.

    Raises:
        PicklingError: As the stdlib's pickler, for a value that no pickler takes.
        TypeError: The same.
        AttributeError: The same.
        Exception: Whatever the value's own hooks (`__reduce__`, `__getstate__`) raise.

    Source: PEP 574 for the buffers; ProcessPoolExecutor for the errors.
    """
    if half_imported:
        return pack_by_value(value, to_host=to_host, parcel=parcel)
    buffers: list[bytes] = []

    def is_in_band(buffer: PickleBuffer) -> bool:
        return keep_apart(buffer, buffers)

    try:
        payload = dumps(value, 5, buffer_callback=is_in_band)
    except (PicklingError, TypeError, AttributeError):
        # Only these can mean "by name it will not go"; a hook that raised anything else would
        # raise it again.
        payload = b"_main__"
    if b"_main__" in payload:
        # Also `__mp_main__`, as which multiprocessing's own spawned children know it. Out here,
        # because the first pickler's error is no part of the story: the second stumbles over the
        # same object, in the same words, or else over the one that really stands in the way.
        return pack_by_value(value, to_host=to_host, parcel=parcel)
    return Packed(payload, buffers)


def keep_apart(buffer: PickleBuffer, buffers: list[bytes]) -> bool:
    """
    Copy a large buffer to the list; tell whether it is to be pickled in band instead.
    """
    try:
        raw = buffer.raw()
    except BufferError:
        # Not contiguous: in band the pickler says so in the stdlib's words.
        return True
    with raw:
        if raw.nbytes < OUT_OF_BAND:
            return True
        buffers.append(bytes(raw))
        return False


def pack_by_value(
    value: object, *, to_host: bool = False, parcel: ParcelMaker | None = None
) -> Packed:
    """
    Pack a value with the pickler that can send functions and classes themselves, not only their
    names.

    Args:
        value: Anything that cloudpickle takes.
        to_host: As for `pack`.
        parcel: As for `pack`.

    Returns:
        The pickle, its large buffers and its descriptors.

    Raises:
        Exception: As `pack`.
    """
    # Here, because it costs 20 ms to import cloudpickle, and most workers never need it.
    from webworker_executor.wire.by_value import dumps_by_value

    buffers: list[bytes] = []

    def is_in_band(buffer: PickleBuffer) -> bool:
        return keep_apart(buffer, buffers)

    if parcel is None:
        with packing_with(None):
            return Packed(dumps_by_value(value, is_in_band, to_host=to_host), buffers)
    bag = parcel()
    try:
        with packing_with(bag):
            payload = dumps_by_value(
                value, is_in_band, to_host=to_host, more_reducers=bag.reducers()
            )
        bag.commit()
    except BaseException:
        bag.roll_back()
        raise
    return Packed(payload, buffers, bag.fds)


def unpack(
    payload: bytes | bytearray | memoryview,
    buffers: Iterable[object] = (),
    fds: Sequence[object] = (),
) -> object:
    """
    Unpack a value.

    Args:
        payload: The pickle, from `Packed.payload`.
        buffers: What `Packed.buffers` held, in the same order. Objects that share memory, such as
            arrays, keep them and are writable if these are.
        fds: The descriptors that came along. What nobody takes is dropped, and so closed.

    Returns:
        A value equal to the packed one.

    Raises:
        UnpicklingError: For what is no pickle.
        Exception: Whatever importing and building the parts raises; the bytes come from a peer's
            user.
    """
    if fds:
        with unpacking_with(fds):
            return loads(payload, buffers=buffers)
    return loads(payload, buffers=buffers)
