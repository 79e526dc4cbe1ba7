"""
Segments: pieces of memory with a descriptor, filled by their owner and mapped by whoever reads.

Not for who uses which (`memory`). What a changer must know: a page is touched by the owner only
after write(2) has made it, so that a full memory is an error there, never a SIGBUS anywhere; and
no segment ever becomes shorter.

Source: memfd_create(2), F_SEAL_SHRINK in fcntl(2).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
from itertools import count, starmap
from mmap import MAP_PRIVATE, MAP_SHARED, PAGESIZE, mmap

from webworker_executor.link.rights import LOWEST, Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Of madvise(2), since Linux 5.14: have all pages of a range in the mapping, ready to be written to.
POPULATE_WRITE = 23


class MemoryDescriptor(Descriptor):
    """
    A descriptor of a memfd, which knows its own.

    A task may close whatever is open, and open something else that gets the number: that must
    neither be written to nor closed.
    """

    __slots__ = ("_identity",)

    def __init__(self, fd: int) -> None:
        # First, so that a signal handler that raises in here leaves nothing half made.
        self._identity = _identity_of(fd)
        super().__init__(fd)

    @classmethod
    def create(cls) -> MemoryDescriptor:
        """
        Open a memfd, with a number of at least ``LOWEST``.

        Raises:
            OSError: No descriptor is left.
        """
        self, numbers = cls.__new__(cls), list[int]()
        self._held, self._pid = [], os.getpid()
        try:
            # Stored within C: a signal handler that raises right behind it leaves the number here.
            flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
            numbers.extend(map(os.memfd_create, ("webworker",), (flags,)))
            if numbers[0] < LOWEST:
                numbers.extend(map(fcntl.fcntl, numbers[:1], (fcntl.F_DUPFD_CLOEXEC,), (LOWEST,)))
            self._identity = _identity_of(numbers[-1])
            # The one that is to stay stands first.
            self._held = [(fd, fd + 1) for fd in reversed(numbers)]
        except BaseException:
            if not self._held:
                for fd in numbers:
                    os.close(fd)
            raise
        if len(numbers) > 1:
            # Within C, and here: what a signal handler raises in a finalizer is swallowed.
            any(starmap(os.closerange, map(self._held.pop, (1,))))
        return self

    def intact(self) -> int:
        """
        Return its number.

        Raises:
            OSError: Something else has it.
        """
        fd = self.fileno()
        if _identity_of(fd) != self._identity:
            raise OSError(errno.EBADF, "the descriptor of a piece of memory was closed by a task")
        return fd

    def close(self) -> None:
        """Close it, unless somebody else has."""
        # None in an object that a signal handler has kept from being made.
        if getattr(self, "_held", ()):
            try:
                self.intact()
            except OSError:
                self._held.clear()
            super().close()

    __del__ = close

    def _guard(self) -> None:
        """Its finalizer is this, of Python: it looks first whose the number is."""


def _identity_of(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


class Segment:
    """
    A piece of memory with a descriptor.

    Args:
        nbytes: Its size, a multiple of the page's.

    Attributes:
        ident: Its number in this process; never used again.
        fd: Its descriptor, sent once to each reader.
        used_at: When somebody took it or gave it back, as ``time.monotonic`` has it.
        is_unwanted: Whether it is to go as soon as nobody uses it.

    Raises:
        OSError: No descriptor or no address space is left, or files must not be so long.
    """

    __slots__ = (
        "__weakref__",
        "_filled_nbytes",
        "_map",
        "_mapped_nbytes",
        "fd",
        "ident",
        "is_unwanted",
        "nbytes",
        "used_at",
    )

    _idents = count(1)

    def __init__(self, nbytes: int) -> None:
        self.fd = MemoryDescriptor.create()
        os.ftruncate(fd := self.fd.fileno(), nbytes)
        # Whoever maps it may rely on what is there.
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self._map = mapped(fd, nbytes)
        self._filled_nbytes = 0  # with pages that exist
        self._mapped_nbytes = 0  # with pages that stand in the mapping, too
        self.ident = next(self._idents)
        self.nbytes = nbytes
        self.used_at = 0.0
        self.is_unwanted = False

    def __repr__(self) -> str:
        return f"<Segment {self.ident} of {self.nbytes} B>"

    def write(self, offset: int, source: memoryview) -> None:
        """
        Copy bytes into it.

        Args:
            offset: Where; what lies before has been written, up to the alignment.
            source: The bytes.

        Raises:
            OSError: There is no memory; what else stands in the segment is as it was.
        """
        warm = min(max(0, self._filled_nbytes - offset), source.nbytes)
        if warm:
            if offset + warm > self._mapped_nbytes:
                self._populate()
            self._map[offset : offset + warm] = source[:warm]
        while warm < source.nbytes:
            # Into pages that do not exist yet a copy is a third faster by system call.
            warm += os.pwrite(self.fd.intact(), source[warm:], offset + warm)
            self._filled_nbytes = round_up(offset + warm, PAGESIZE)

    def _populate(self) -> None:
        # One call for all takes a third of the time that a fault of each page does: 128 MiB are
        # copied in 31 ms, not in 57.
        with contextlib.suppress(OSError):
            self._map.madvise(POPULATE_WRITE, 0, self._filled_nbytes)
        self._mapped_nbytes = self._filled_nbytes

    def view(self) -> memoryview:
        """Return what stands in it."""
        return memoryview(self._map)


class OwnMap(mmap):
    """
    A mapping of this library's, which holds what was copied for one process.

    Attributes:
        ends_at_fork: That a fork does not share it: see ``Mapping.make_private``.
    """

    __slots__ = ()
    ends_at_fork = True


def mapped(fd: int, nbytes: int, *, private: bool = False) -> mmap:
    """
    Map a descriptor, which stays the caller's; if privately, what is written stays here.

    Raises:
        OSError: No address space is left, or no descriptor: before Python 3.13 it keeps one.
    """
    flags = MAP_PRIVATE if private else MAP_SHARED
    if sys.version_info >= (3, 13):
        return OwnMap(fd, nbytes, flags, trackfd=False)
    return OwnMap(fd, nbytes, flags)


def size_of(nbytes: int) -> int:
    """Return the size of the segment for so many bytes, in steps of a quarter of a power of two."""
    step = max(PAGESIZE, 1 << max(0, (nbytes - 1).bit_length() - 3))
    return round_up(nbytes, step)


def larger_sizes(size: int) -> Iterator[int]:
    """Yield the sizes above one, up to its double."""
    larger = size_of(size + 1)
    while larger <= 2 * size:
        yield larger
        larger = size_of(larger + 1)


def round_up(nbytes: int, step: int) -> int:
    """Return the next multiple of a step."""
    return nbytes + -nbytes % step
