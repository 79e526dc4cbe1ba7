"""
Memory that is lent: large buffers are copied into a segment, and the reader maps it.

A segment is a memfd that this process owns, fills and takes back: its pages stay warm, and a copy
into them runs at 15 GB/s where fresh ones take 1 (the kernel clears and charges each of them). So
everything here serves to use the same few segments again and again. Not for the reader's side
(`mapping`), nor for who has borrowed what (`exchange`).

What a changer must know: nobody writes into a segment while a lease of it is alive, and a lease
lives as long as anybody refers to it: the frame that names its places, and the exchanges through
which that frame has gone. So the interpreter's own counting decides, and a finalizer gives the
segment back by one function of C: there is no lock that a signal handler or a finalizer could find
taken, and no step between two that it could break off.
"""

from __future__ import annotations

import os
import resource
import weakref
from functools import partial
from itertools import chain
from time import monotonic

from webworker_executor.link.ram import total_nbytes
from webworker_executor.link.segment import Segment, larger_sizes, round_up, size_of
from webworker_executor.wire.place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol, TypeVar

    Member = TypeVar("Member")

    class Account(Protocol):
        """Who knows what is lent."""

        def forget(self, ident: int) -> None:
            """Hear that a segment is no more."""


SHARE_OF_RAM = 10
MAX_NBYTES = 1 << 30
# Of descriptors, too, no more than an eighth of what the process may have.
MAX_SEGMENTS = 128
SHARE_OF_FDS = 8
# What an array of any library likes to start at.
ALIGNMENT = 64
IDLE_SECONDS = 10.0


class Lease:
    """
    The right to a segment: it is used again when the last reference to the lease is gone.

    Args:
        bucket: The unused segments of the size; the lease gives its own back there.

    Attributes:
        unread: Of what goes with a message, the identity of who posts it, and how many bytes that
            is; ``None`` once it has been taken.
    """

    # A finalizer of C, which each has as a value: one of Python is a step in which a signal handler
    # may raise, and then both the segment and what the handler raised would be lost.
    __slots__ = ("__del__", "bucket", "held", "unread")

    def __init__(self, bucket: list[Segment]) -> None:
        self.bucket = bucket
        # The one segment, or nothing yet.
        self.held: list[Segment] = []
        self.unread: tuple[int, int] | None = None
        self.__del__ = partial(bucket.extend, self.held)

    def take(self) -> bool:
        """Take an unused segment; False if there is none."""
        try:
            # Within C: no signal handler comes between the taking out and the keeping.
            self.held.extend(map(list.pop, (self.bucket,)))
        except IndexError:
            return False
        return True

    @property
    def segment(self) -> Segment:
        """The segment."""
        return self.held[0]


class Kept:
    """
    The segments that are used again, as long as there is an account.

    Attributes:
        buckets: The unused ones, by size. A list's own methods are steps that nothing can come
            between.
        segments: All of them, and what keeps them. If only a lease did, a garbage collection that
            finds it in a cycle would close the segment's descriptor in the same breath in which the
            lease gives it back.
    """

    __slots__ = ("buckets", "segments")

    def __init__(self) -> None:
        self.buckets: dict[int, list[Segment]] = {}
        self.segments: set[Segment] = set()


class Store:
    """
    The segments that this process owns.

    The library keeps both defaults; only tests give others.

    Args:
        max_nbytes: How much memory they may take together; ``None`` for a share of what there is.
        max_segments: How many there may be; ``None`` for as many as is good.

    Attributes:
        accounts: Who keeps account of what is lent. While there is none, no segment is kept.
    """

    def __init__(self, max_nbytes: int | None = None, max_segments: int | None = None) -> None:
        self.max_nbytes = _share_of_memory() if max_nbytes is None else max_nbytes
        self.max_segments = _share_of_fds() if max_segments is None else max_segments
        self.accounts: weakref.WeakSet[Account] = weakref.WeakSet()
        # One object, so that whoever looks at it twice sees the same, whatever others do meanwhile.
        self._kept = Kept()
        # Each lives as long as its lease.
        self._strays: weakref.WeakSet[Segment] = weakref.WeakSet()

    def __repr__(self) -> str:
        n_free = sum(map(len, self._kept.buckets.values()))
        return f"<Store {self._n_segments} segments of {self.nbytes} B, {n_free} unused>"

    @property
    def nbytes(self) -> int:
        """How much memory the segments take."""
        return sum(segment.nbytes for segment in [*self._kept.segments, *_alive(self._strays)])

    @property
    def _n_segments(self) -> int:
        return len(self._kept.segments) + len(self._strays)

    def shelve(self, buffers: Sequence[memoryview]) -> list[Place] | None:
        """
        Copy buffers into one segment.

        Args:
            buffers: What is to be copied, as plain bytes.

        Returns:
            Their places; ``None`` if there is no room.
        """
        offsets = []
        end = 0
        for buffer in buffers:
            offsets.append(end)
            end = round_up(end + buffer.nbytes, ALIGNMENT)
        try:
            lease = self._lease(end)
            if lease is None:
                return None
            segment = lease.segment
            segment.used_at = monotonic()
            for offset, buffer in zip(offsets, buffers, strict=True):
                segment.write(offset, buffer)
        except (OSError, ValueError, MemoryError):
            # No descriptor, no address space, no page: it goes through the socket, which needs
            # less.
            return None
        return [
            Place(segment.ident, offset, buffer.nbytes, lease)
            for offset, buffer in zip(offsets, buffers, strict=True)
        ]

    def _lease(self, nbytes: int) -> Lease | None:
        kept = self._kept
        size = size_of(nbytes)
        # One by one: most find an unused segment of just their size.
        for fitting in chain((size,), larger_sizes(size)):
            for lease in self._unused_of(kept.buckets.get(fitting, ())):
                if not lease.segment.is_unwanted:
                    return lease
                self.drop(lease)
        if not self._make_room(size):
            return None
        segment = Segment(size)
        if self.accounts:
            lease = Lease(kept.buckets.setdefault(size, []))
            # First: a handler that raises after it leaves a segment that is used again.
            lease.held.append(segment)
            kept.segments.add(segment)
        else:
            # Its bucket is its own, and goes with it.
            lease = Lease([])
            lease.held.append(segment)
            self._strays.add(segment)
        return lease

    def _make_room(self, nbytes: int) -> bool:
        """Drop unused segments until one more of a size may be made; False if it may not."""
        if nbytes > self.max_nbytes:
            return False
        unused = self._unused()
        while self._n_segments >= self.max_segments or self.nbytes + nbytes > self.max_nbytes:
            lease = next(unused, None)
            if lease is None:
                return False
            self.drop(lease)
        return True

    def _unused(self) -> Iterator[Lease]:
        """Take unused segments, one by one."""
        for bucket in list(self._kept.buckets.values()):
            yield from self._unused_of(bucket)

    def _unused_of(self, bucket: Sequence[Segment]) -> Iterator[Lease]:
        # No more than there are now: what is let go of meanwhile comes back.
        for _ in range(len(bucket)):
            lease = Lease(bucket)  # type: ignore[arg-type]  # or it is an empty tuple
            if lease.take():
                yield lease

    def drop(self, lease: Lease) -> None:
        """Give a segment up; whoever maps it keeps what it maps."""
        segment = lease.held.pop()
        self._kept.segments.discard(segment)
        for account in _alive(self.accounts):
            account.forget(segment.ident)

    def join(self, account: Account) -> None:
        """Begin to lend to somebody."""
        self.accounts.add(account)

    def keep(self, lease: Lease) -> None:
        """Use a segment again that was leased when there was no account, if none of its size is."""
        kept = self._kept
        segment = lease.segment
        bucket = kept.buckets.get(segment.nbytes)
        if bucket is None:
            bucket = kept.buckets.setdefault(segment.nbytes, lease.bucket)
            if bucket is lease.bucket:
                kept.segments.add(segment)
                self._strays.discard(segment)

    def leave(self, account: Account) -> None:
        """End lending to somebody; after the last one each segment goes when its lease does."""
        self.accounts.discard(account)
        if not self.accounts:
            kept, self._kept = self._kept, Kept()
            self._strays.update(list(kept.segments))

    def drop_unwanted(self, ident: int) -> None:
        """Drop a segment, now or when it is not used any more."""
        for segment in list(self._kept.segments):
            if segment.ident == ident:
                segment.is_unwanted = True
        for lease in self._unused():
            if lease.segment.is_unwanted:
                self.drop(lease)

    def trim(self, idle_seconds: float = IDLE_SECONDS) -> bool:
        """
        Drop what was not used for some time, and what is not wanted any more.

        Args:
            idle_seconds: For how long not; the library keeps the default, only tests give another.

        Returns:
            Whether unused segments are left, so that it is worth while to come again.
        """
        before = monotonic() - idle_seconds
        kept = []
        for lease in self._unused():
            if lease.segment.used_at > before and not lease.segment.is_unwanted:
                kept.append(lease)
            else:
                self.drop(lease)
        return bool(kept)

    def abandon(self) -> None:
        """In a forked copy of the process: what the parent lends is the parent's."""
        self.accounts = weakref.WeakSet()
        self._kept = Kept()
        self._strays = weakref.WeakSet()


def _alive(members: weakref.WeakSet[Member]) -> list[Member]:
    # Copied within C. To iterate over the set itself takes steps of Python, between which another
    # thread may add to it; it locks nothing but removals out.
    references = list(members.data)  # type: ignore[attr-defined]  # typeshed leaves it out
    return [member for reference in references if (member := reference()) is not None]


def _share_of_memory() -> int:
    return min(MAX_NBYTES, total_nbytes() // SHARE_OF_RAM)


def _share_of_fds() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_SEGMENTS if soft < 0 else min(MAX_SEGMENTS, soft // SHARE_OF_FDS)


store = Store()
"""The segments of this process."""
# A copy must neither write into what its parent has lent nor tell anybody of it.
os.register_at_fork(after_in_child=store.abandon)
