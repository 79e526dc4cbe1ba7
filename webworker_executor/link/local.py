"""
A link over an ``AF_UNIX`` stream: ordered frames both ways, and the news of its end.

``post`` never blocks: frames wait in the outbox, and ``flush`` writes what the kernel takes; the
reactor writes the rest. Any thread may post and flush; frames are read on the reactor's thread.

The thing to know before a change: ``post`` and ``flush`` run on the main thread too, where a signal
handler may raise, or call them again, between any two calls. So each step here is *one* call into
C with its bookkeeping stored in the same breath: the interpreter runs handlers when a call returns,
never between plain loads and stores. What was written is kept in a deque that ``extend`` fills from
``map(send, ...)`` within C, because a count that ``send`` merely returned could be lost to an
exception, and with it the place in the stream.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence

from webworker_executor.link.reactor import READ, WRITE, Reactor
from webworker_executor.wire.frame import Frame, FrameDecoder, MalformedFrame

READ_WRITE = READ | WRITE
READ_NBYTES = 65536
LARGE_READ_NBYTES = 1 << 20
# More than this in one round would keep other links waiting.
READS_PER_ROUND = 16
GATHERED_NBYTES = 1 << 18

_log = logging.getLogger("webworker_executor.link")


class Link:
    """
    One end of a stream socket that carries frames.

    The link owns the socket. Both callbacks run on the reactor's thread.

    Args:
        end: A connected stream socket.
        reactor: Who reads it and writes what could not be written at once.
        kinds: The kinds of frames that may arrive.
        on_frame: Called with each frame in order.
        on_end: Called once, after the last frame, with ``None`` when the stream ended or an error
            when it cannot be read on. Not called after ``close``.
    """

    def __init__(
        self,
        end: socket.socket,
        reactor: Reactor,
        kinds: frozenset[int],
        on_frame: Callable[[Frame], object],
        on_end: Callable[[Exception | None], object],
    ) -> None:
        end.setblocking(False)
        self._socket = end
        self._fd = end.fileno()
        self._send = end.send
        self._modify = reactor.modify
        self._reactor = reactor
        self._decoder = FrameDecoder(kinds)
        self._on_frame = on_frame
        self._on_end = on_end
        # Guards all that follows. Reentrant, because a signal handler may post while this very
        # thread holds it; `_is_flushing` then leaves the work to the outer call.
        self._lock = threading.RLock()
        self._is_flushing = False
        self._is_armed = False
        self._is_closed = False
        self._outbox: deque[tuple[int, bytes | memoryview]] = deque()  # (end position, bytes)
        self._posted_nbytes = 0
        self._written_nbytes = 0
        self._counts: deque[int] = deque()  # written since, not yet added up
        reactor.register(self._fd, READ, self._ready)

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"fd={self._fd} unsent={self.unsent_nbytes}"
        return f"<Link {state}>"

    @property
    def unsent_nbytes(self) -> int:
        """Bytes that were posted and that the kernel has not taken yet."""
        return self._posted_nbytes - self._written_nbytes - sum(self._counts)

    def post(self, parts: Sequence[bytes | memoryview]) -> None:
        """Queue the parts of one frame; after ``close`` or the end of the stream, discard them."""
        if self._is_closed:
            return
        with self._lock:
            for part in parts:
                position = self._posted_nbytes + len(part)
                # Stored in one breath with the append: see the module's first lines.
                self._posted_nbytes = position
                self._outbox.append((position, part))

    def flush(self) -> None:
        """Write what the kernel takes now; the reactor writes the rest when there is room."""
        with self._lock:
            if self._is_flushing or self._is_closed:
                return
            self._is_flushing = True
            try:
                self._write()
            except BlockingIOError:
                self._is_armed = True
                self._modify(self._fd, READ_WRITE)
            except OSError as error:
                # Nobody reads any more. What the other side wrote before it left is still to be
                # read, so the end is told by the reading side.
                self._outbox.clear()
                _log.debug("%r: %s", self, error)
            except BaseException:
                # A signal handler raised. Nothing is lost, but nobody stands here any more.
                self._reactor.call_soon(self.flush)
                raise
            finally:
                self._is_flushing = False

    def _write(self) -> None:
        outbox = self._outbox
        counts = self._counts
        while True:
            position = self._written_nbytes + sum(counts)
            while outbox and outbox[0][0] <= position:
                outbox.popleft()
            if counts:
                # Two stores without a call between them: both happen or none.
                self._written_nbytes, self._counts = position, deque()
                counts = self._counts
            if not outbox:
                break
            end, part = outbox[0]
            if len(outbox) > 1:
                part = self._gathered(position)
            elif end - position < len(part):
                part = memoryview(part)[position - end :]
            counts.extend(map(self._send, (part,)))
        if self._is_armed:
            self._is_armed = False
            self._modify(self._fd, READ)

    def _gathered(self, position: int) -> bytes | memoryview:
        # Many small frames in one call of the kernel; a large one goes alone, uncopied.
        end, part = self._outbox[0]
        view = memoryview(part)[position - end :] if end - position < len(part) else part
        if len(view) >= GATHERED_NBYTES:
            return view
        pieces = [view]
        nbytes = len(view)
        for index in range(1, len(self._outbox)):
            piece = self._outbox[index][1]
            nbytes += len(piece)
            if nbytes > GATHERED_NBYTES:
                break
            pieces.append(piece)
        return b"".join(pieces)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self.flush()
        if events & ~WRITE:
            self.read(READS_PER_ROUND)

    def read(self, n_reads: int | None = None) -> None:
        """
        Read what has arrived and hand over its frames; on the reactor's thread only.

        Args:
            n_reads: How often to ask the kernel, or ``None`` for as long as something comes: what a
                dead process had written before its end.
        """
        while n_reads is None or n_reads > 0:
            if self._is_closed:
                return
            nbytes = LARGE_READ_NBYTES if self._decoder.missing_nbytes else READ_NBYTES
            try:
                data = self._socket.recv(nbytes)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # ECONNRESET: the other side left without reading all. What it wrote has been read.
                data = b""
            if not data:
                self._end(None)
                return
            try:
                frames = self._decoder.feed(data)
            except (MalformedFrame, MemoryError) as error:
                self._end(error)
                return
            for frame in frames:
                self._on_frame(frame)
            if n_reads is not None:
                if len(data) < nbytes:
                    return
                n_reads -= 1

    def _end(self, error: Exception | None) -> None:
        if not self._is_closed:
            self.close()
            self._on_end(error)

    def close(self) -> None:
        """Close the socket and forget what was not written; closing twice is fine."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._outbox.clear()
            self._reactor.unregister(self._fd)
            self._socket.close()

    def disown(self) -> None:
        """In a forked copy of the process: close this copy's descriptor, whatever locks say."""
        self._is_closed = True
        self._outbox.clear()
        self._socket.close()
