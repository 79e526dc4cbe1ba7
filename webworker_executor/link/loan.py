"""
Loans that speak for themselves: large buffers in shared memory, whose descriptor goes along.

For messages, which may pass through many hands before somebody reads them: a port moves, and what
waits in it moves with it, to a process that has never heard of us. An ``exchange`` keeps account of
what each end of one link knows; here the kernel keeps it. The descriptor that goes with a message
is a file of its own, opened anew, and holds a shared lock on the segment. The lock is gone when the
last copy of that file is: in a socket's buffer, in a process, and under a mapping, whoever has been
killed meanwhile. So the owner asks for the segment by trying to lock it for itself.

A second lock of the same file, on its first byte, says that nobody has taken the message yet: the
reader opens it as he does. Of neither is anybody told: who wants to know looks.

Not for the segments: `memory` has those. What a changer must know: a lease is let go of only after
that lock was had, and nothing else may hold the segment back or give it up.

Source: flock(2), "Locks are associated with an open file description"; mmap(2), which keeps it;
fcntl(2), "Open file description locks", which are apart from those of flock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import weakref
from _struct import Struct
from mmap import PAGESIZE, mmap
from typing import TYPE_CHECKING

from webworker_executor.link.memory import store
from webworker_executor.link.rights import STANDARD_ERROR, Descriptor
from webworker_executor.link.segment import mapped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from webworker_executor.link.memory import Lease, Store
    from webworker_executor.wire.place import Place

MAX_LOANS = 32
# How many places there are, and each one's begin and length.
_COUNT, _PLACE = Struct(">I"), Struct(">QQ")
# struct flock: type, whence, start, length, pid; of the first byte.
_FLOCK = Struct("hhqqi4x")
_UNREAD, _TAKEN, _IS_UNREAD = (
    _FLOCK.pack(kind, os.SEEK_SET, 0, 1, 0)
    for kind in (fcntl.F_RDLCK, fcntl.F_UNLCK, fcntl.F_WRLCK)
)


class Lender:
    """
    What this process has lent with messages.

    Args:
        store: Whose segments are lent.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        # By identity, and each is looked at where it stands: see the module's word to changers.
        self._lent: dict[int, Lease] = {}
        self._users: dict[int, weakref.ref[object]] = {}

    def __repr__(self) -> str:
        return f"<Lender {len(self._lent)} lent>"

    def lend(self, buffers: Sequence[memoryview], user: object) -> list[Place] | None:
        """
        Copy buffers into memory that goes with a message.

        Args:
            buffers: What is to be copied, as plain bytes.
            user: Who posts; segments are kept for the next message while there is one.

        Returns:
            Their places; ``None`` if there is no room.
        """
        self._collect()
        self._store.trim()
        places = self._store.shelve(buffers)
        if places is not None:
            ident = id(user)
            if ident not in self._users:
                self._users[ident] = weakref.ref(user, lambda _: self._leave(ident))
            self._store.join(self)
            self._store.keep(places[0].lease)
            places[0].lease.unread = (ident, sum(map(len, places)))
        return places

    def open(self, lease: Lease) -> Descriptor | None:
        """
        Open what goes with the message.

        Returns:
            A descriptor that holds the loan; ``None`` if there is none to be had.
        """
        segment = lease.segment
        try:
            own = segment.fd.intact()
            # An interrupted look may have left it locked.
            fcntl.flock(own, fcntl.LOCK_UN)
            # Not a duplicate: the lock is to be of its own.
            path, flags = f"/proc/self/fd/{own}", os.O_RDWR | os.O_CLOEXEC
            going = Descriptor.owning(map(os.open, (path,), (flags,)))
            if going.fileno() <= STANDARD_ERROR:
                # A program that has closed its standard streams would print into it.
                going = Descriptor.copy_of(going.fileno())
            fcntl.flock(going.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.fcntl(going.fileno(), fcntl.F_OFD_SETLK, _UNREAD)
        except OSError:
            # No /proc, no descriptor: it goes through the socket, which needs less.
            return None
        self._lent[id(lease)] = lease
        return going

    def unread_nbytes(self, user: object) -> int:
        """Tell how many bytes that somebody has posted nobody has taken yet; any thread."""
        ident, total = id(user), 0
        for lease in tuple(self._lent.values()):
            unread = lease.unread
            if unread is not None and unread[0] == ident:
                if _is_unread(lease):
                    total += unread[1]
                else:
                    # Not to be asked again, however long the reader looks at it.
                    lease.unread = None
        return total

    def tend(self, idle_seconds: float) -> bool:
        """
        Give back what was not used for some time; any thread.

        Args:
            idle_seconds: For how long not.

        Returns:
            Whether it is worth while to come again.
        """
        self._collect()
        return self._store.trim(idle_seconds) or bool(self._lent)

    def leave(self, user: object) -> None:
        """Hear that somebody posts no more; without any, no segment is kept."""
        self._leave(id(user))

    def _leave(self, ident: int) -> None:
        if self._users.pop(ident, None) is None:
            return
        for own in tuple(self._lent.values()):
            if own.unread is not None and own.unread[0] == ident:
                # The number may be another's soon.
                own.unread = None
        if not self._users:
            self._store.leave(self)
            for ident in tuple(self._lent):
                lease = self._lent.pop(ident, None)
                if lease is not None:
                    # Whoever has it keeps it. Links of the program still lend others.
                    self._store.drop(lease)

    def _collect(self) -> None:
        """Give back to the store what nobody looks at any more."""
        for ident, lease in tuple(self._lent.items()):
            try:
                own = lease.segment.fd.intact()
                fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._lent.pop(ident, None)
                fcntl.flock(own, fcntl.LOCK_UN)
            except BlockingIOError:
                continue
            except OSError:
                # A task has closed the descriptor: never again.
                lease.segment.is_unwanted = True
                self._lent.pop(ident, None)

    def forget(self, ident: int) -> None:
        """Hear that a segment is no more: whoever still has it is its only user."""

    def abandon(self) -> None:
        """In a forked copy of the process: what was lent is the parent's."""
        self._lent = {}
        self._users = {}


def lay_out(places: Sequence[Place], payload: bytes) -> bytes:
    """Return a payload that tells where its buffers lie in the segment that goes along."""
    table = [_PLACE.pack(place.offset, place.nbytes) for place in places]
    return b"".join((_COUNT.pack(len(places)), *table, payload))


def borrowed(payload: Any, fd: int) -> tuple[memoryview, list[memoryview]]:
    """
    Take what ``lay_out`` has written, and what lies in the segment.

    Args:
        payload: The payload.
        fd: The descriptor that came along; it stays the caller's, and may be closed.

    Returns:
        The rest of the payload, and the buffers: writable, the receiver's own, and lent for as long
        as anything stands on them.

    Raises:
        ValueError: It tells of what is not there.
        OSError: No address space is left.
    """
    view = memoryview(payload)
    nbytes = os.fstat(fd).st_size
    if len(view) < _COUNT.size:
        raise ValueError("a message tells nothing of what it has lent")
    (count,) = _COUNT.unpack_from(view)
    end = _COUNT.size + count * _PLACE.size
    if len(view) < end or nbytes < PAGESIZE:
        raise ValueError(f"a message tells of {count} buffers that did not come along")
    if len(_borrowed) < MAX_LOANS:
        # Privately: what the receiver writes is its own alone, in a fork of it as well.
        loan = mapped(fd, nbytes, private=True)
        _borrowed.add(loan)
        whole = memoryview(loan)
    else:
        whole = _copy_of(fd, nbytes)
    buffers = []
    for start, length in _PLACE.iter_unpack(view[_COUNT.size : end]):
        if start + length > nbytes:
            raise ValueError("a message tells of a buffer beyond the memory that came along")
        buffers.append(whole[start : start + length])
    # The mapping keeps the file, and would keep this lock with the other one.
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _TAKEN)
    return view[end:], buffers


def _is_unread(lease: Lease) -> bool:
    try:
        found = fcntl.fcntl(lease.segment.fd.intact(), fcntl.F_OFD_GETLK, _IS_UNREAD)
    except (OSError, ValueError, IndexError):
        # A task has closed the descriptor; or another thread has given the segment up just now.
        return False
    kind, *_ = _FLOCK.unpack(found)
    return bool(kind != fcntl.F_UNLCK)


def _copy_of(fd: int, nbytes: int) -> memoryview:
    copy = memoryview(bytearray(nbytes))
    position = 0
    while position < nbytes:
        count = os.preadv(fd, [copy[position:]], position)
        if not count:
            raise OSError(errno.EIO, "the memory of a message is shorter than it was")
        position += count
    return copy


# What is looked at; beyond that many, a message is copied: before Python 3.13 each has a descriptor
# of its own, and the lender runs out of segments that it could use again.
_borrowed: weakref.WeakSet[mmap] = weakref.WeakSet()
lender = Lender(store)
"""The lender of this process."""
os.register_at_fork(after_in_child=lender.abandon)
