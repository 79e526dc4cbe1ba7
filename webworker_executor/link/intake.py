"""
The intake of a stream socket: reads in any thread, so that no interruption loses a byte.

Not for waiting or for locks: one thread reads at a time. ``local`` reads on the reactor's thread
alone, where no signal handler runs, and is simpler for it.

The thing to know before a change: a signal handler may raise between any two calls, and may read,
too. So what the kernel gives is stored within C; it is decoded by a copy of the decoder; and only
then, in one breath, the copy takes the decoder's place and the frames go into the inbox.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

from webworker_executor.link.rights import READ_NBYTES, RIGHTS_NBYTES, Descriptor, numbers_in
from webworker_executor.wire.decoder import SMALL_NBYTES, FrameDecoder
from webworker_executor.wire.frame import HEADER, HEADER_NBYTES, LENGTH_NBYTES, PICKLE, Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    # As `recvmsg` returns it.
    Chunk = tuple[Any, list[tuple[int, int, bytes]], int, Any]

# As what `map` takes; numbers, because the socket module's flags are enums and slow.
_SIZE, _RIGHTS_SIZE = (READ_NBYTES,), (RIGHTS_NBYTES,)
WAIT = (int(socket.MSG_CMSG_CLOEXEC),)
NOW = (int(socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT),)
_TRUNCATED = int(socket.MSG_CTRUNC)


class Intake:
    """
    What is read from a socket, turned into frames.

    Args:
        end: A stream socket; stays the caller's.
        kinds: The kinds of frames that may arrive.
        inbox: Where they go.
    """

    __slots__ = (
        "_chunk_fds",
        "_chunks",
        "_decoder",
        "_inbox",
        "_kinds",
        "_recvmsg",
        "_recvmsg_into",
    )

    def __init__(self, end: socket.socket, kinds: frozenset[int], inbox: deque[Frame]) -> None:
        self._recvmsg = end.recvmsg
        self._recvmsg_into = end.recvmsg_into
        self._kinds = kinds
        self._inbox = inbox
        self._decoder = FrameDecoder(kinds)
        self._chunks: deque[Chunk] = deque()  # read and not decoded: one at most
        self._chunk_fds: list[Descriptor] | None = None

    def read(self, flags: tuple[int]) -> int:
        """
        Read once.

        Args:
            flags: ``WAIT`` where the socket blocks, or ``NOW``.

        Returns:
            How many bytes came.

        Raises:
            BlockingIOError: Nothing is there.
            EOFError: The stream has ended.
            MalformedFrame: What came is no frame. Frames before it are in the inbox.
            OSError: It cannot be read on.
        """
        chunks = self._chunks
        decoder = self._decoder
        if not chunks:
            if decoder.is_between_frames:
                # As `_fill` does, without a call: most reads are so.
                try:
                    chunks.extend(map(self._recvmsg, _SIZE, _RIGHTS_SIZE, flags))
                except ConnectionError:
                    raise EOFError from None
            else:
                self._fill(chunks, flags)
        chunk = chunks[0]
        data = chunk[0]
        if not data:
            raise EOFError
        fresh: deque[Chunk] = deque()
        if not chunk[1] and data.__class__ is bytes and 16 <= len(data) <= SMALL_NBYTES:
            length, kind, frame_flags, codec, n_fds, ident = HEADER.unpack_from(data)
            if (
                length + LENGTH_NBYTES == len(data)
                and kind in self._kinds
                and codec == PICKLE
                and not (frame_flags or n_fds or chunk[2] & _TRUNCATED)
                and decoder.is_between_frames
            ):
                # A single small frame, the most common case.
                frame = Frame(kind, ident, data[HEADER_NBYTES:])
                # A handler that read meanwhile has done it.
                if self._chunks is chunks:
                    self._chunks = fresh
                    self._inbox.append(frame)
                return len(data)
        after = decoder.copied()
        frames = self._decoded(after, chunk)
        if self._chunks is chunks:
            self._chunks, self._decoder, self._chunk_fds = fresh, after, None
            self._inbox.extend(frames)
        if after.error is not None:
            raise after.error
        return len(data) if isinstance(data, bytes) else int(data)

    def _fill(self, chunks: deque[Chunk], flags: tuple[int]) -> None:
        vacancy = self._decoder.vacancy()
        try:
            if vacancy is None:
                chunks.extend(map(self._recvmsg, _SIZE, _RIGHTS_SIZE, flags))
            else:
                with vacancy:
                    chunks.extend(map(self._recvmsg_into, ([vacancy],), _RIGHTS_SIZE, flags))
        except ConnectionError:
            # The other side left without reading all. What it wrote has been read.
            raise EOFError from None

    def _decoded(self, decoder: FrameDecoder, chunk: Chunk) -> list[Frame]:
        data, rights, flags, _ = chunk
        fds = self._owned(rights) if rights else []
        if flags & _TRUNCATED:
            raise OSError(errno.EMFILE, "descriptors came for which this process has no room")
        if isinstance(data, bytes):
            return decoder.feed(data, fds)
        return decoder.filled(data, fds)

    def _owned(self, rights: Sequence[tuple[int, int, bytes]]) -> list[Descriptor]:
        """Give an owner to the descriptors of a chunk, once, however often we are interrupted."""
        numbers = numbers_in(rights)
        if self._chunk_fds is None:
            self._chunk_fds = [Descriptor(-1) for _ in numbers]
        for descriptor, number in zip(self._chunk_fds, numbers, strict=True):
            descriptor._fd = number
        return self._chunk_fds

    def residue(self) -> tuple[bytes, list[Any]]:
        """Return what was read of a frame that is not whole, and its descriptors."""
        data, fds = self._decoder.residue()
        if self._chunks:
            # Read, but the decoding was interrupted and nobody has come back to it.
            after = self._decoder.copied()
            self._inbox.extend(self._decoded(after, self._chunks[0]))
            self._chunks, self._decoder, self._chunk_fds = deque(), after, None
            data, fds = after.residue()
        return data, fds

    def adopt(self, data: bytes, fds: Sequence[Any]) -> None:
        """Take over what another intake had as its ``residue``."""
        if data or fds:
            self._inbox.extend(self._decoder.feed(data, fds))

    def forget(self) -> None:
        """Let go of what was read of a frame that will never be whole; any thread."""
        # Not of the decoder itself: another thread may be about to feed a copy of it.
        self._chunks, self._decoder, self._chunk_fds = deque(), FrameDecoder(self._kinds), None
