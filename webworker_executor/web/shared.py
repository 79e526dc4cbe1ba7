"""
Memory that several processes see at once, on purpose.

Not for passing large values: what is sent is copied into shared memory anyway (`link.memory`), and
is the receiver's own then. `atomics` has what makes a shared number safe to change.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading
import weakref
from bisect import bisect_right
from operator import itemgetter
from pickle import PicklingError
from typing import TYPE_CHECKING, Any

from webworker_executor.errors import DataCloneError
from webworker_executor.link.ram import available_nbytes
from webworker_executor.link.rights import LOWEST, Descriptor
from webworker_executor.wire.shown import shown
from webworker_executor.wire.transfer import current_parcel, taken

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
# struct flock: type, whence, start, length, pid; of one byte far beyond any memory.
_FLOCK_NBYTES = 32
_LOCKED_BYTE = 1 << 62
_F_OFD_SETLKW = 38
# A view of an array over a view of an array: beyond this many, whoever has a ``base`` is no array.
_MAX_DEPTH = 16

buffers: weakref.WeakSet[SharedBuffer] = weakref.WeakSet()
"""Those of this process."""
# Another one with each buffer that is made. What is closed or collected leaves none: its place in
# the list below is found and is nobody's.
_latest = object()
# Where the buffers begin, in order, and those buffers; with the mark that they were listed by.
_listed: tuple[object, list[int], list[weakref.ref[SharedBuffer]]] = (None, [], [])


class SharedBuffer(mmap.mmap):
    """
    Zeroed memory that goes into messages, arguments and results without being copied.

    Whoever gets it has another object over the same memory: what one writes, all see. It lives for
    as long as anybody has it; there is no name, and nothing to be cleaned up. A program that is
    forked shares it with its copy.

    It is a buffer: ``memoryview(shared)``, ``memoryview(shared).cast("i")`` or
    ``numpy.frombuffer(shared, dtype)`` are views of the memory itself. (A view that is *sent* is
    copied as any other value; send the buffer, and make the view anew there.) Neither it nor a view
    of it can be listed in ``transfer``: it is shared, and nobody gives it up.

    Args:
        nbytes: Its size, at least 1.

    Raises:
        TypeError: ``nbytes`` is no whole number.
        ValueError: It is less than 1.
        OSError: There is not so much memory, or no descriptor is left.

    Source: ECMAScript, ``SharedArrayBuffer``; memfd_create(2).
    """

    _fd: Descriptor
    _guard: _Guard | None

    def __new__(cls, nbytes: int) -> Self:
        if not hasattr(nbytes, "__index__"):
            raise TypeError(
                f"a SharedBuffer has a whole number of bytes, not {shown(nbytes)}; make one of "
                "len(data), and copy the data into it"
            )
        if nbytes < 1:
            raise ValueError(f"a SharedBuffer of {nbytes} bytes cannot be made; ask for at least 1")
        available = available_nbytes()
        if nbytes > available:
            # The kernel would try: it takes page after page, and kills others for them.
            raise OSError(
                errno.ENOMEM,
                f"a SharedBuffer of {nbytes} bytes cannot be made where {available} are available",
            )
        fd = _at_a_safe_number(os.memfd_create("webworker", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        os.ftruncate(fd.fileno(), nbytes)
        # Now, where it is an error: a page that cannot be had later is a signal that kills.
        os.posix_fallocate(fd.fileno(), 0, nbytes)
        fcntl.fcntl(fd.fileno(), fcntl.F_ADD_SEALS, _SEALS)
        return cls._over(fd)

    @classmethod
    def _over(cls, fd: Descriptor) -> Self:
        global _latest
        self = super().__new__(cls, fd.fileno(), os.fstat(fd.fileno()).st_size)
        self._fd = fd
        self._guard = None
        buffers.add(self)
        # Afterwards: who has the mark has the buffer.
        _latest = object()
        return self

    def __repr__(self) -> str:
        return "<SharedBuffer closed>" if self.closed else f"<SharedBuffer {len(self)} B>"

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return len(self)

    def close(self) -> None:
        """
        Let go of the memory in this process; others keep it.

        Raises:
            BufferError: Views of it are still in use; release them first.
        """
        super().close()
        self._fd.close()
        self._guard = None

    def __exit__(self, *_: object) -> None:
        # That of the base class would close its own part only.
        self.close()

    def __reduce__(self) -> tuple[Callable[[int], SharedBuffer], tuple[int]]:
        parcel = current_parcel()
        if parcel is None:
            raise PicklingError(
                "a SharedBuffer goes in a message, an argument or a result, not in bytes by "
                "themselves"
            )
        if self.closed:
            raise DataCloneError("a SharedBuffer that was closed cannot be sent", self)
        try:
            return _receive, (parcel.add(Descriptor.to_send(self._fd.fileno())),)
        except ValueError as error:
            raise DataCloneError(f"{self!r} cannot be sent: {error}", self) from error

    def _guarded(self) -> _Guard:
        """Return what keeps others out while one changes the memory."""
        guard = self._guard
        if guard is None or guard.pid != os.getpid():
            guard = self._guard = _Guard(self._fd)
        return guard


class _Guard:
    """
    A lock among threads and processes, which the kernel opens when its holder dies.

    Args:
        fd: A descriptor of the memory. A new description of it is opened, because that is what such
            a lock belongs to, and the one that was sent is everybody's.

    Source: fcntl(2), "Open file description locks".
    """

    def __init__(self, fd: Descriptor) -> None:
        flags = os.O_RDWR | os.O_CLOEXEC
        self._fd = _at_a_safe_number(os.open(f"/proc/self/fd/{fd.fileno()}", flags))
        self.pid = os.getpid()
        # To be taken first. Reentrant, for a signal handler may come here again; the outermost
        # unlocks.
        self.threads = threading.RLock()
        self._depth = 0

    def __enter__(self) -> None:
        try:
            self._depth += 1
            # Of a signal handler, too: the call that it came into may be waiting still, or be done.
            # To lock what is locked does no harm.
            self._control(fcntl.F_WRLCK)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            # To unlock what is not locked does no harm.
            self._control(fcntl.F_UNLCK)

    def _control(self, kind: int) -> None:
        request = kind.to_bytes(2, "little") + bytes(6) + _LOCKED_BYTE.to_bytes(8, "little")
        request += (1).to_bytes(8, "little") + bytes(_FLOCK_NBYTES - 24)
        fcntl.fcntl(self._fd.fileno(), _F_OFD_SETLKW, request)


def _at_a_safe_number(fd: int) -> Descriptor:
    owner = Descriptor(fd)
    return owner if fd >= LOWEST else Descriptor.copy_of(fd)


def _receive(slot: int) -> SharedBuffer:
    owner = taken(slot)
    owner.stays()
    return SharedBuffer._over(owner)


def holder_of(address: int) -> SharedBuffer:
    """
    Find the buffer that an address lies in.

    Raises:
        TypeError: It lies in none.
    """
    mark, starts, references = _listed
    if mark is not _latest:
        starts, references = _list_anew()
    at = bisect_right(starts, address) - 1
    buffer = references[at]() if at >= 0 else None
    if buffer is None or buffer.closed or address >= starts[at] + len(buffer):
        raise TypeError("this memory is not shared; use a view of a SharedBuffer")
    return buffer


def is_over_shared(buffer: object) -> bool:
    """
    Whether memory is that of a `SharedBuffer`, or a view of some of it, also one through an array.

    Args:
        buffer: Anything; what is no buffer is none of shared memory.
    """
    if not buffers:
        return False
    try:
        # What each stands on, down to the memory: a view names it, and so does an array of numpy.
        below: Any = buffer
        for _ in range(_MAX_DEPTH):
            if isinstance(below, SharedBuffer):
                return True
            below = below.obj if isinstance(below, memoryview) else getattr(below, "base", None)
        # Others, such as those of ctypes, name nothing; but where they lie can be asked.
        holder_of(address_of(buffer))
    except Exception:
        # It is none, it cannot be written, or its memory is not shared.
        return False
    return True


def _list_anew() -> tuple[list[int], list[weakref.ref[SharedBuffer]]]:
    global _listed
    # First: what another thread makes meanwhile may be missing, and its mark is another.
    mark = _latest
    found: list[tuple[int, weakref.ref[SharedBuffer]]] = []
    for buffer in list(buffers):
        try:
            found.append((address_of(buffer), weakref.ref(buffer)))
        except ValueError:
            # It is closed; maybe just now, by another thread.
            continue
    found.sort(key=itemgetter(0))
    starts, references = [start for start, _ in found], [reference for _, reference in found]
    _listed = mark, starts, references
    return starts, references


def address_of(buffer: Any) -> int:
    """
    Return where the memory of a buffer begins.

    Raises:
        TypeError: It is none, or cannot be written.
        OSError: It is not in one piece.
    """
    import ctypes

    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    except BufferError as error:
        raise OSError(errno.EFAULT, str(error)) from error
