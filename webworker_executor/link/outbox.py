"""
The outbox of a stream socket: frames that are to be written, and how far that has come.

Not for waiting: whoever has an outbox waits until the socket has room, and writes again; unless it
asks for a socket that blocks. It holds no lock either. Imported by workers at their start, so it
imports the least.

The thing to know before a change: it is used on the main thread too, where a signal handler may
raise, or post, between any two calls. So each step here is *one* call into C with its bookkeeping
stored in the same breath: the interpreter runs handlers when a call returns, never between plain
loads and stores. What was written is kept in a deque that ``extend`` fills from ``map(send, ...)``
within C, because a count that ``send`` merely returned could be lost to an exception, and with it
the place in the stream. Descriptors go with the first byte of their frame, so the place in the
stream tells whether they have gone, too.
"""

from __future__ import annotations

import _socket
from _functools import partial  # type: ignore[import-not-found]  # typeshed has no stub for it
from _operator import is_not
from collections import deque
from itertools import chain, takewhile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    # The size of a frame, its parts, and the descriptors that go with it.
    Entry = tuple[int, Sequence[bytes | memoryview], Sequence[Any]]

GATHERED_NBYTES = 1 << 18


def entry(parts: Sequence[bytes | memoryview], fds: Sequence[Any] = ()) -> Entry:
    """Return what ``Outbox.put`` takes for a frame."""
    return len(parts[0]) if len(parts) == 1 else sum(map(len, parts)), parts, fds


class Outbox:
    """
    Frames on their way into a socket.

    ``append`` and ``put`` may be called at any time; everything else by one thread at a time.

    Args:
        end: A connected stream socket; stays the caller's.
        waits: Whether a write waits for room where the socket does; else it never does.

    Attributes:
        put: Queues what ``entry`` made of a frame, by a single function of C.
    """

    __slots__ = (
        "_base",
        "_counted",
        "_counted_end",
        "_counts",
        "_entries",
        "_flags",
        "_send",
        "_send_rights",
        "_written",
        "put",
    )

    def __init__(self, end: _socket.socket, *, waits: bool = False) -> None:
        # As what `map` takes. The socket may block, for the sake of who reads it.
        self._flags = (0 if waits else _socket.MSG_DONTWAIT,)
        self._send = end.send
        self._send_rights = end.sendmsg
        self._entries: deque[Entry] = deque()
        self.put = self._entries.append
        self._base = 0  # where in the stream the first entry begins
        self._written = 0  # how much of the stream the kernel has taken
        self._counts: deque[int] = deque()  # taken since, not yet added up
        # One of the entries up to which `nbytes` has counted, and where in the stream that ends.
        self._counted: Entry | None = None
        self._counted_end = 0

    @property
    def is_empty(self) -> bool:
        """Whether the kernel has everything."""
        return not self._entries

    @property
    def nbytes(self) -> int:
        """How many bytes the kernel has not taken yet."""
        entries = self._entries
        while True:
            counted = self._counted
            # One step of C, in which the entries are looked at for the first time, too, as another
            # thread may post meanwhile; and what was counted the last time is not counted again:
            # programs ask after each post.
            backwards = chain.from_iterable(map(reversed, (entries,)))
            fresh = list(takewhile(partial(is_not, counted), backwards))
            # If a signal handler has written that one meanwhile, all of it is done again. No call
            # stands between this look and the next load.
            if self._counted is counted:
                end = self._base if counted is None else self._counted_end
                break
        end += sum([each[0] for each in fresh])
        left = max(0, end - (self._written + sum(self._counts)))
        # Not if a signal handler has written or posted since. No call stands between these steps.
        if fresh and entries and entries[-1] is fresh[0]:
            self._counted, self._counted_end = fresh[0], end
        return left

    def append(self, parts: Sequence[bytes | memoryview], fds: Sequence[Any] = ()) -> None:
        """
        Queue a frame.

        Args:
            parts: As ``encode`` laid them out.
            fds: Objects with a ``fileno``, kept until they have gone: as many as the frame says.
        """
        # One append for the whole frame: nothing can come between its parts.
        self.put(entry(parts, fds))

    def is_half_sent(self, parts: Sequence[bytes | memoryview]) -> bool:
        """Whether of this frame, as it was queued, some bytes have been sent and some not."""
        return (
            bool(self._entries)
            and self._entries[0][1] is parts
            and self._written + sum(self._counts) > self._base
        )

    def clear(self) -> None:
        """Forget everything."""
        self._counted = None
        self._entries.clear()

    def write_alone(self, parts: Sequence[bytes | memoryview]) -> bool:
        """
        Write a frame of one part which nothing waits before: `write`, short for the common case.

        At each step entries and counts are such that `write` could go on from there.

        Returns:
            Whether nothing is left; if not, `write` has to follow.

        Raises:
            OSError: As for `write`; the frame is in the outbox then.
        """
        nbytes = len(parts[0])
        entries, counts = self._entries, self._counts
        entries.append((nbytes, parts, ()))
        if counts or len(entries) > 1:
            return False
        counts.extend(map(self._send, parts, self._flags))
        if len(entries) == 1 and counts[0] == nbytes:
            # All of it was taken: the place in the stream may stay where it was. No call stands
            # between these steps.
            self._counted = None
            del counts[0]
            del entries[0]
            # A signal handler may have posted since the length was asked for.
            return not entries
        return False

    def write(self) -> None:
        """
        Write until nothing is left.

        Raises:
            BlockingIOError: The kernel takes no more now.
            OSError: Nobody will read.
        """
        entries, counts = self._entries, self._counts
        if len(entries) == 1 and not counts and self._written == self._base:
            nbytes, parts, fds = entries[0]
            if len(parts) == 1 and not fds:
                # One small frame, the most common case: see `write_alone`.
                counts.extend(map(self._send, parts, self._flags))
                if len(entries) == 1 and counts[0] == nbytes:
                    self._counted = None
                    del counts[0]
                    del entries[0]
                    if not entries:
                        return
                    # A signal handler has posted since.
        self._write_all()

    def _write_all(self) -> None:
        entries = self._entries
        while True:
            counts = self._counts
            position = self._written + sum(counts)
            if counts:
                # Two stores without a call between them: both happen or none.
                fresh: deque[int] = deque()
                self._written, self._counts = position, fresh
                counts = fresh
            while entries:
                end = self._base + entries[0][0]
                if end > position:
                    break
                # Stored in one breath with the pop. What has gone is not kept here either.
                if self._counted is entries[0]:
                    self._counted = None
                self._base = end
                entries.popleft()
            if not entries:
                return
            skipped = position - self._base
            part = self._gathered(skipped)
            fds = entries[0][2] if skipped == 0 else ()
            if fds:
                import array

                numbers = array.array("i", [fd.fileno() for fd in fds])
                rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)
                counts.extend(map(self._send_rights, ([part],), ([rights],), self._flags))
            else:
                counts.extend(map(self._send, (part,), self._flags))

    def _gathered(self, skipped: int) -> bytes | memoryview:
        """Return what to write next: a large part alone and uncopied, small ones joined."""
        pieces: list[bytes | memoryview] = []
        nbytes = 0
        for index in range(len(self._entries)):
            if pieces and self._entries[index][2]:
                # Descriptors go with the first byte of what is sent.
                break
            for part in self._entries[index][1]:
                if skipped >= len(part):
                    skipped -= len(part)
                    continue
                piece = memoryview(part)[skipped:] if skipped else part
                skipped = 0
                if pieces and nbytes + len(piece) > GATHERED_NBYTES:
                    return _joined(pieces)
                pieces.append(piece)
                nbytes += len(piece)
        return _joined(pieces)

    def unwritten(self) -> list[tuple[bytes, Sequence[Any]]]:
        """Return what is left with its descriptors: frames, the first of which may have begun."""
        left: list[tuple[bytes, Sequence[Any]]] = []
        skipped = self._written + sum(self._counts) - self._base
        for nbytes, parts, fds in tuple(self._entries):
            if skipped >= nbytes > 0:
                skipped -= nbytes
                continue
            left.append((b"".join(parts)[skipped:], () if skipped else fds))
            skipped = 0
        return left


def _joined(pieces: list[bytes | memoryview]) -> bytes | memoryview:
    # A single one may be hundreds of megabytes, and is asked for again after each that was sent.
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
