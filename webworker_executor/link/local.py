"""
A link over an ``AF_UNIX`` stream: ordered frames both ways, descriptors with them, and the news
of its end.

``post`` never blocks: frames wait in the outbox, and ``flush`` writes what the kernel takes; the
reactor writes the rest. Any thread may post and flush; frames are read on the reactor's thread.

The thing to know before a change: ``post`` and ``flush`` run on the main thread too, where a signal
handler may raise, or call them again, between any two calls. How that is borne is told in
``outbox``; here, what the reactor is to look for is stored in one breath with telling it.
"""

from __future__ import annotations

import errno
import operator
import os
import threading
from collections import deque
from functools import partial

from webworker_executor.link.journal import Journal
from webworker_executor.link.lead import EPOLLET, Leading
from webworker_executor.link.lending import Lending, lends
from webworker_executor.link.outbox import Outbox, entry
from webworker_executor.link.reactor import READ, READS_PER_ROUND, WRITE, Reactor
from webworker_executor.link.rights import READ_NBYTES, receive, unwrapped
from webworker_executor.link.signals import is_of_a_handler
from webworker_executor.wire.decoder import FrameDecoder, MalformedFrame
from webworker_executor.wire.place import LentParts

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from typing import Any

    from webworker_executor.wire.frame import Frame
    from webworker_executor.wire.transfer import Step

_log = Journal("webworker_executor.link")
_tells_frames = False
if "WEBWORKER_DEBUG" in os.environ:
    from webworker_executor.link import debug

    _tells_frames = debug.begin(os.environ["WEBWORKER_DEBUG"])


class Link:
    """
    One end of a stream socket that carries frames.

    The link owns the socket. Both callbacks run on the reactor's thread.

    Args:
        end: A connected stream socket.
        reactor: Who reads it and writes what could not be written at once.
        kinds: The kinds of frames that may arrive.
        on_frame: Called with each frame in order, or nothing where ``on_frames`` is given.
        on_end: Called once, after the last frame, with ``None`` when the stream ended or an error
            when it cannot be read on. Not called after ``close``.
        on_frames: Called with all that one read brought, where a round costs more than a frame.
    """

    def __init__(
        self,
        end: socket.socket,
        reactor: Reactor,
        kinds: frozenset[int],
        on_frame: Callable[[Frame], object] | None,
        on_end: Callable[[Exception | None], object],
        on_frames: Callable[[list[Frame]], object] | None = None,
    ) -> None:
        end.setblocking(False)
        self._socket = end
        self._fd = end.fileno()
        self._modify = reactor.modify
        self._reactor = reactor
        self._decoder = FrameDecoder(kinds)
        self._on_frame = on_frame
        self._on_frames = on_frames or self._one_by_one
        self._on_end = on_end
        # Guards all that follows. Reentrant, because a signal handler may post while this very
        # thread holds it; `_is_flushing` then leaves the work to the outer call.
        self._lock = threading.RLock()
        self._is_flushing = False
        self._is_closed = False
        self._is_broken = False
        self._is_drained = False  # by the read before
        self._outbox = Outbox(end)
        # Queue an entry of the outbox, by a single function of C.
        self.append = self._outbox.put
        self._lending = Lending(reactor, self._decoder, self.append, self.flush)
        take_back = self._lending.take_back
        self.leading = Leading(end, reactor, self._lock, self._decoder, self.read, take_back)
        # Called, each once, when the kernel has everything or will never have it.
        self._at_end: deque[Callable[[], object]] = deque()
        if _tells_frames:
            debug.tell_frames(self)
        reactor.register(self._fd, READ, self._ready)

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"fd={self._fd} unsent={self.unsent_nbytes}"
        return f"<Link {state}>"

    def expect(self, is_awaited: Callable[[int, int], bool]) -> None:
        """Refuse large frames of which kind and ident are none that can come."""
        self._decoder.is_awaited = is_awaited

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, so that nothing goes any more."""
        return self._is_closed

    @property
    def is_held_here(self) -> bool:
        """Whether an outer call of this thread, interrupted by a handler, keeps others out."""
        # What `Condition` asks, too.
        locks: tuple[Any, ...] = self._lock, self.leading.reading
        return any(lock._is_owned() for lock in locks)

    @property
    def unsent_nbytes(self) -> int:
        """Bytes that were posted and that the kernel has not taken yet."""
        with self._lock:
            return self._outbox.nbytes

    def is_half_sent(self, parts: Sequence[bytes | memoryview]) -> bool:
        """Whether of this frame, as it was posted, some bytes have been sent and some not."""
        with self._lock:
            return self._outbox.is_half_sent(parts)

    def ready(
        self, parts: Sequence[bytes | memoryview], fds: Sequence[Any] = ()
    ) -> tuple[Callable[..., object], Any]:
        """Return what queues a frame: a function of C and its argument, to be called once."""
        if self._lending.is_used or parts.__class__ is LentParts:
            return self._lending.ready(self.append, parts, fds)
        if len(parts) == 1:
            return self.append, (len(parts[0]), parts, fds)
        return self.append, entry(parts, fds)

    def post(
        self, parts: Sequence[bytes | memoryview], fds: Sequence[Any] = (), *going: Step
    ) -> None:
        """
        Queue the parts of one frame; after ``close`` or the end of the stream, discard them.

        Args:
            parts: As ``encode`` laid them out.
            fds: Objects with a ``fileno``, kept until they have gone: as many as the frame says.
            *going: Functions of C that are called in the same breath, before, also where it is
                discarded. If one raises, it is not queued.
        """
        if not (self._is_closed or self._is_broken):
            # One append for the whole frame: nothing can come between its parts.
            put, what = self.ready(parts, fds)
            if not going:
                put(what)
                return
            going = (*going, partial(put, what))
        _ = [*map(operator.call, going)]

    def send(
        self, parts: Sequence[bytes | memoryview], fds: Sequence[Any] = (), *going: Step
    ) -> None:
        """Queue the parts of one frame, as ``post`` does, and write what the kernel takes now."""
        try:
            self.post(parts, fds, *going)
            self.flush()
        except BaseException:
            # Of a signal handler. What was queued is written, though nobody stands here any more.
            self._reactor.call_soon(self.flush)
            raise

    def when_written(self, call: Callable[[], object]) -> None:
        """
        Make a call when the kernel has all that was posted, or will never have it.

        Args:
            call: Must neither wait nor raise; may be called before this returns.
        """
        self._at_end.append(call)
        self.flush()
        if self._is_closed or self._is_broken:
            self._tell()

    def _tell(self) -> None:
        while self._at_end:
            try:
                call = self._at_end.popleft()
            except IndexError:
                # Another thread was faster.
                return
            call()

    def flush(self) -> None:
        """Write what the kernel takes now; the reactor writes the rest when there is room."""
        if self._is_closed:
            return
        with self._lock:
            if self._is_flushing or self._is_closed:
                return
            self._is_flushing = True
            try:
                self._write()
            except BaseException:
                # A signal handler raised. Nothing is lost, but nobody stands here any more.
                self._reactor.call_soon(self.flush)
                raise
            finally:
                self._is_flushing = False

    def _write(self) -> None:
        outbox, leading = self._outbox, self.leading
        while True:
            try:
                outbox.write()
            except OSError as error:
                if is_of_a_handler(error):
                    raise
                if not isinstance(error, BlockingIOError):
                    self._break(error)
                elif not leading.is_armed:
                    # Stored in one breath with the call: no handler comes between.
                    leading.is_armed = True
                    self._modify(self._fd, (EPOLLET if leading.is_leased else READ) | WRITE)
                return
            if self._at_end:
                # Once more after these calls, in which a signal handler may have posted.
                self._tell()
                continue
            if not leading.is_armed:
                return
            # And after this one.
            leading.is_armed = False
            self._modify(self._fd, EPOLLET if leading.is_leased else READ)

    def _break(self, error: OSError) -> None:
        # Nobody reads any more. What the other side wrote before it left is still to be read, so
        # that the end is told by the reading side; unless it is this side that cannot write.
        self._is_broken = True
        self._outbox.clear()
        self._tell()
        _log.debug("%r: %s", self, error)
        if error.errno not in {errno.EPIPE, errno.ECONNRESET}:
            self._reactor.call_soon(lambda: self._end(error))

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self.flush()
        if events & ~WRITE:
            self.leading.end_lease()
            self.read(READS_PER_ROUND)

    def read(self, n_reads: int | None = None) -> None:
        """
        Read what has arrived and hand over its frames; on the reactor's thread only.

        Args:
            n_reads: How often to ask the kernel, or ``None`` for as long as something comes: what a
                dead process had written before its end.
        """
        leading = self.leading
        while n_reads is None or n_reads > 0:
            if self._is_closed:
                return
            try:
                with leading.reading:
                    try:
                        frames = self._receive()
                        # From here on no leader reads what came after them.
                        leading.is_handing = bool(frames)
                    except (BlockingIOError, InterruptedError):
                        return
                    except BaseException:
                        # Nor what stands behind nonsense, before the end.
                        leading.is_handing = True
                        raise
            except EOFError:
                self._end(None)
                return
            except (MalformedFrame, MemoryError, OSError) as error:
                self._end(error)
                return
            if frames:
                try:
                    self._on_frames(frames)
                finally:
                    leading.is_handing = False
                if self._is_closed:
                    return
            if self._decoder.error is not None:
                self._end(self._decoder.error)
                return
            if n_reads is not None:
                # A read that was not filled has taken all: the next would say so by an exception,
                # and if more has come the reactor is told again.
                n_reads = 0 if self._is_drained else n_reads - 1

    def _one_by_one(self, frames: list[Frame]) -> None:
        assert self._on_frame is not None
        for frame in frames:
            if self._is_closed:
                return
            self._on_frame(frame)

    def _receive(self) -> list[Frame]:
        """Read once; raises ``EOFError`` at the end of the stream."""
        decoder = self._decoder
        # What a leader has left comes first, whatever is under way.
        left = self.leading.left
        vacancy = None if left else decoder.vacancy()
        try:
            if vacancy is None:
                data, fds = unwrapped(left.popleft()) if left else receive(self._socket)
                if data:
                    self._is_drained = len(data) < READ_NBYTES and not left
                    frames = decoder.feed(data, fds)
                    # For those who wait: what the last one was, the next will be.
                    self.leading.is_fit = not (decoder.is_sharing and any(map(lends, frames)))
                    return self._lending.resolved(frames)
            else:
                with vacancy:
                    nbytes, fds = receive(self._socket, vacancy)
                if nbytes:
                    self._is_drained = False
                    return self._lending.resolved(decoder.filled(nbytes, fds))
        except ConnectionError:
            # The other side left without reading all. What it wrote has been read.
            raise EOFError from None
        raise EOFError

    def _end(self, error: Exception | None) -> None:
        if not self._is_closed:
            self.close()
            # Whoever keeps the link must not keep what came with half a frame.
            self._decoder.forget()
            self._on_end(error)

    def close(self) -> None:
        """Close the socket and forget what was not written; closing twice is fine."""
        if self._is_closed:
            return
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._outbox.clear()
            self._reactor.unregister(self._fd)
            self._socket.close()
            self._lending.close()
            self.leading.close()
        self._tell()

    def disown(self) -> None:
        """In a forked copy of the process: close this copy's descriptor, whatever locks say."""
        # Who held it is not here.
        self._lock = self.leading.lock = self.leading.outer = threading.RLock()
        self._is_closed = True
        self._outbox.clear()
        self._socket.close()
        self.leading.close()
