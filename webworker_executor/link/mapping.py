"""
Memory that was borrowed: segments of another process, mapped once, and values built over them.

For: turning places into buffers, and noticing when the last value built over them is gone.
Not for: telling the owner so (`exchange`).

What a changer must know: the owner writes into a segment again when it was given back. So whatever
shares the memory must hold the *token* of its loan, an array of ctypes: numpy, pickle and
memoryview look through a memoryview or a PickleBuffer and keep only what stands behind it. And a
mapping is shared with the owner, but what a user was given must not be, in a fork of this
process as well: see `make_private`.
"""

from __future__ import annotations

import os
import sys
import weakref
from _pickle import PickleBuffer
from functools import partial
from operator import call, contains
from time import monotonic

from webworker_executor.link.memory import store
from webworker_executor.link.segment import MemoryDescriptor, mapped
from webworker_executor.wire.codec import unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Sequence
    from mmap import mmap
    from typing import Any

    from webworker_executor.link.rights import Descriptor
    from webworker_executor.wire.place import Place

# Beyond so many, or a part of what a process may lend, values are copied: an owner whose segments
# are all kept by somebody would have to make fresh ones, which is slower than the copy.
MAX_LOANS = 32
SHARE_KEPT = 4
# The one number of mmap(2) here that the module `mmap` has no name for.
MAP_FIXED = 0x10

_types: dict[int, Any] = {}
# Also what keeps the watches alive, without which nobody would hear of a token's end.
_watches: set[Watch] = set()


class Mapping:
    """
    A segment of another process.

    Args:
        ident: The number that its owner gave it.
        fd: Its descriptor; kept, because only with it can `make_private` do its work.

    Attributes:
        n_loans: How many frames are still looked at.
        used_at: When the last of them came.
        is_private: Whether a fork was made while values stood on it. Then it is to be dropped.
    """

    __slots__ = ("_map", "fd", "ident", "is_private", "n_loans", "nbytes", "used_at")

    def __init__(self, ident: int, fd: Descriptor) -> None:
        self.ident = ident
        self.fd = MemoryDescriptor(fd.take())
        self.nbytes = os.fstat(self.fd.fileno()).st_size
        self.n_loans = 0
        self.used_at = monotonic()
        self.is_private = False
        try:
            self._map: mmap | None = mapped(self.fd.fileno(), self.nbytes)
        except (OSError, ValueError):
            # No address space is left: it is read instead.
            self._map = None

    def __repr__(self) -> str:
        return f"<Mapping of segment {self.ident}, {self.nbytes} B, {self.n_loans} loans>"

    def borrow(
        self, places: Sequence[Place], released: deque[Watch], bell: list[Callable[[], object]]
    ) -> list[memoryview] | None:
        """
        Return the buffers that lie in places.

        Args:
            places: All of this segment, and within it.
            released: Gets a `Watch` when nothing stands on the buffers any more.
            bell: Functions that are called after that, in any thread.

        Returns:
            Writable buffers, or ``None`` if they should rather be copied.
        """
        if self._map is None or self.is_private or not _has_room(self.nbytes):
            return None
        token = _type_of(self.nbytes).from_buffer(self._map)
        # The younger one is called first. Both are functions of C: no signal handler interrupts
        # them. This one looks for the dead reference in what the bell returns, in vain.
        rung: Any = map(call, bell)
        waker = weakref.ref(token, partial(contains, rung))
        watch = Watch(token, released.append)
        watch.mapping, watch.waker = self, waker
        _watches.add(watch)
        self.n_loans += 1
        self.used_at = monotonic()
        # Of the token's own, the format would be one that few readers understand.
        whole = PickleBuffer(token).raw()
        return [whole[place.offset : place.offset + place.nbytes] for place in places]

    def copy(self, places: Sequence[Place]) -> list[memoryview]:
        """
        Return copies of the buffers that lie in places.

        Raises:
            OSError: It can be neither mapped nor read.
        """
        copies = []
        for place in places:
            target = memoryview(bytearray(place.nbytes))
            nbytes = 0
            while nbytes < place.nbytes:
                nbytes += os.preadv(self.fd.intact(), [target[nbytes:]], place.offset + nbytes)
            copies.append(target)
        return copies

    @property
    def is_looked_at(self) -> bool:
        """
        Whether anything stands on the memory.

        A garbage collection tells of a token's end before it runs the ``__del__`` of whatever has
        the token, which may look at the memory once more, or keep it after all.
        """
        if self._map is None or sys.version_info < (3, 13):
            # Before, the object has a descriptor of its own, which it would resize, too; and a task
            # may have put something else in its place.
            return False
        try:
            self._map.resize(self.nbytes)
        except BufferError:
            return True
        except (OSError, ValueError, SystemError, TypeError):
            # It cannot be resized either way; but that is looked at later.
            return False
        return False

    def make_private(self) -> None:
        """
        Lay a private mapping over the shared one, in place, before this process forks.

        The pages stay where they are, and nobody writes into them any more: the owner hears that
        the segment is not to be used again. From here on both copies of this process see their own
        writes only, as they would with memory of their own, and nothing was copied.

        Source: mmap(2), ``MAP_FIXED``.
        """
        if self._map is None or self.is_private:
            return
        import ctypes
        from mmap import MAP_PRIVATE, PROT_READ, PROT_WRITE

        address = ctypes.addressof(_type_of(self.nbytes).from_buffer(self._map))
        call = ctypes.CDLL(None, use_errno=True).mmap
        call.restype = ctypes.c_void_p
        call.argtypes = (
            *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
            ctypes.c_long,
        )
        protection, flags = PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED
        call(address, self.nbytes, protection, flags, self.fd.intact(), 0)
        self.is_private = True


class Original:
    """
    A callable whose buffers lie in a segment that many workers read: each call gets a copy.

    The copy costs next to nothing, because it is made of the pages that are written to, when they
    are.

    Args:
        payload: The callable, packed.
        mapping: The segment.
        places: Its buffers.
        loan: What was borrowed, so that the segment stays as it is.
    """

    __slots__ = ("_loan", "_mapping", "_payload", "_places")

    def __init__(
        self,
        payload: bytes,
        mapping: Mapping,
        places: Sequence[Place],
        loan: Sequence[memoryview],
    ) -> None:
        self._payload = payload
        self._mapping = mapping
        self._places = places
        self._loan = loan

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        fn: Any = unpack(self._payload, self._buffers())
        return fn(*args, **kwargs)

    def _buffers(self) -> list[memoryview]:
        try:
            own = mapped(self._mapping.fd.intact(), self._mapping.nbytes, private=True)
        except (OSError, ValueError):
            return [memoryview(bytearray(buffer)) for buffer in self._loan]
        whole = memoryview(own)
        return [whole[place.offset : place.offset + place.nbytes] for place in self._places]


class Watch(weakref.ref[object]):
    """Waits for the end of a token."""

    __slots__ = ("mapping", "waker")

    mapping: Mapping
    waker: object

    # The queue it stands in is searched for it, never for what it refers to.
    __hash__ = object.__hash__
    __eq__ = object.__eq__


def ended(watch: Watch) -> None:
    """Forget a watch whose token is gone; twice is fine."""
    if watch in _watches:
        # In one breath: no call comes between.
        watch.mapping.n_loans -= 1
        _watches.discard(watch)


def _has_room(nbytes: int) -> bool:
    if not _watches:
        return True
    kept = sum(watch.mapping.nbytes for watch in tuple(_watches))
    return len(_watches) < MAX_LOANS and kept + nbytes <= store.max_nbytes // SHARE_KEPT


def _type_of(nbytes: int) -> Any:
    kind = _types.get(nbytes)
    if kind is None:
        # Late: it takes 4 ms. One for each size of segments, of which there are few.
        from ctypes import c_ubyte

        kind = _types.setdefault(nbytes, c_ubyte * nbytes)
    return kind


def _make_all_private() -> None:
    for watch in tuple(_watches):
        try:
            watch.mapping.make_private()
        except (OSError, ImportError):
            # Then it stays shared until the values are gone; there is nobody to tell.
            continue


os.register_at_fork(before=_make_all_private)
