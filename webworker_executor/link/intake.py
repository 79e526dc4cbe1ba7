"""
The intake of a stream socket: reads in any thread, so that no interruption loses a byte.

Not for waiting or for locks: one thread reads at a time. ``local`` reads on the reactor's thread
alone, where no signal handler runs, and is simpler for it.

The thing to know before a change: a signal handler may raise between any two calls, and may read,
too. So what the kernel gives is stored within C, in the order in which it gives it, in a deque that
stays the same: a handler that reads takes out no more than it has decoded, and what an outer read
has put there, or puts there later, stays in its place. It is decoded by a copy of the decoder; and
only then, in one breath, the copy takes the decoder's place and the frames go into the inbox.
Workers that run scripts import this module at their start, so it imports the least.
"""

from __future__ import annotations

import _socket
from collections import deque

from webworker_executor.link.rights import (
    READ_NBYTES,
    RIGHTS_NBYTES,
    Descriptor,
    above_streams,
    no_room,
    numbers_in,
)
from webworker_executor.wire.decoder import SMALL_NBYTES, FrameDecoder
from webworker_executor.wire.frame import HEADER, HEADER_NBYTES, LENGTH_NBYTES, PICKLE, Frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    # As `recvmsg` returns it.
    Received = tuple[Any, list[tuple[int, int, bytes]], int, Any]
    # The same; or what `recvmsg_into` returned, with the decoder and its vacancy.
    Chunk = Any

# As what `map` takes.
_SIZE, _RIGHTS_SIZE = (READ_NBYTES,), (RIGHTS_NBYTES,)
WAIT = (_socket.MSG_CMSG_CLOEXEC,)
NOW = (_socket.MSG_CMSG_CLOEXEC | _socket.MSG_DONTWAIT,)
_TRUNCATED = _socket.MSG_CTRUNC


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
        "_is_decoded",
        "_is_filling",
        "_kinds",
        "_recvmsg",
        "_recvmsg_into",
    )

    def __init__(self, end: _socket.socket, kinds: frozenset[int], inbox: deque[Frame]) -> None:
        self._recvmsg = end.recvmsg
        self._recvmsg_into = end.recvmsg_into
        self._kinds = kinds
        self._inbox = inbox
        self._decoder = FrameDecoder(kinds)
        self._chunks: deque[Chunk] = deque()  # read; more than one only if a handler read, too
        self._is_decoded = False  # the first of them, which is still to be taken out
        self._is_filling = False  # somebody is about to read into the decoder's vacancy
        self._chunk_fds: list[Descriptor] | None = None  # those of the first

    @property
    def is_behind(self) -> bool:
        """Whether something was read that is not decoded: the socket tells nobody of it."""
        return bool(self._chunks) and not (self._is_decoded and len(self._chunks) == 1)

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
        if self._is_decoded:
            # In one breath, here and wherever it is done: no call comes between.
            self._is_decoded = False
            chunks.popleft()
        # It stays as it is: only copies are fed.
        decoder = self._decoder
        is_between_frames = decoder.is_between_frames
        if not chunks:
            if is_between_frames:
                # As `_fill` does, without a call: most reads are so.
                try:
                    chunks.extend(map(self._recvmsg, _SIZE, _RIGHTS_SIZE, flags))
                except ConnectionError:
                    raise EOFError from None
            else:
                self._fill(flags)
        if not chunks:
            # A handler has read, and has decoded what came here as well.
            return 0
        chunk = chunks[0]
        data = chunk[0]
        if data.__class__ is bytes and not chunk[1] and HEADER_NBYTES <= len(data) <= SMALL_NBYTES:
            length, kind, frame_flags, codec, n_fds, ident = HEADER.unpack_from(data)
            if (
                length + LENGTH_NBYTES == len(data)
                and kind in self._kinds
                and codec == PICKLE
                and not (frame_flags or n_fds or chunk[2] & _TRUNCATED)
                and is_between_frames
                and self._decoder is decoder
            ):
                # A single small frame, the most common case.
                frame = Frame(kind, ident, data[HEADER_NBYTES:])
                # A handler that read meanwhile has done it.
                if chunks and chunks[0] is chunk and not self._is_decoded:
                    self._is_decoded = True
                    self._inbox.append(frame)
                if self._is_decoded:
                    self._is_decoded = False
                    chunks.popleft()
                return self._decode() + len(data) if chunks else len(data)
        return self._decode()

    def _fill(self, flags: tuple[int]) -> None:
        chunks, decoder = self._chunks, self._decoder
        try:
            if self._is_filling:
                # This is a handler, and whom it has interrupted will write into that memory.
                chunks.extend(map(self._recvmsg, _SIZE, _RIGHTS_SIZE, flags))
                return
            self._is_filling = True
            try:
                vacancy = decoder.vacancy()
                if vacancy is None:
                    chunks.extend(map(self._recvmsg, _SIZE, _RIGHTS_SIZE, flags))
                else:
                    received = map(self._recvmsg_into, ([vacancy],), _RIGHTS_SIZE, flags)
                    chunks.extend(zip(received, ((decoder, vacancy),)))  # noqa: B905 (one each)
            finally:
                self._is_filling = False
        except ConnectionError:
            # The other side left without reading all. What it wrote has been read.
            raise EOFError from None

    def _decode(self) -> int:
        """Turn what was read into frames; returns how many bytes, and raises as ``read``."""
        chunks, nbytes = self._chunks, 0
        while True:
            if self._is_decoded:
                self._is_decoded = False
                chunks.popleft()
            if not chunks:
                return nbytes
            chunk, decoder = chunks[0], self._decoder
            received: Received = chunk
            place = None
            if chunk[0].__class__ is tuple:
                received, place = chunk
            data, rights, flags, _ = received
            if not data:
                raise EOFError
            if place is None:
                # Of what grows, nobody is to write into memory that an outer read may fill.
                after = decoder.copied(apart=True)
            else:
                after = decoder.copied()
                if place[0] is not decoder:
                    # A handler has read, and a copy has taken the place of the memory that was
                    # read into.
                    after, data = decoder.copied(apart=True), bytes(place[1][:data])
            fds = above_streams(self._owned(chunk, rights)) if rights else []
            if flags & _TRUNCATED:
                raise no_room()
            frames = after.feed(data, fds) if isinstance(data, bytes) else after.filled(data, fds)
            # A handler that read meanwhile has done it.
            if chunks and chunks[0] is chunk and not self._is_decoded:
                self._is_decoded, self._decoder, self._chunk_fds = True, after, None
                self._inbox.extend(frames)
                nbytes += len(data) if isinstance(data, bytes) else data
            if after.error is not None:
                raise after.error

    def _owned(self, chunk: Chunk, rights: Sequence[tuple[int, int, bytes]]) -> list[Descriptor]:
        """Give an owner to the descriptors of a chunk, once, however often we are interrupted."""
        chunks, numbers = self._chunks, numbers_in(rights)
        fds = [Descriptor(-1) for _ in numbers]
        # Each time: a handler may have decoded the chunk, and others own them.
        if chunks and chunks[0] is chunk and not self._is_decoded:
            if self._chunk_fds is None:
                self._chunk_fds = fds
            fds = self._chunk_fds
        for descriptor, number in zip(fds, numbers, strict=True):
            if chunks and chunks[0] is chunk and not self._is_decoded:
                descriptor._held[:] = ((number, number + 1),)
                # A forked copy of this process cannot receive it.
                descriptor.passes()
        return fds

    def residue(self) -> tuple[bytes, list[Any]]:
        """Return what was read of a frame that is not whole, and its descriptors."""
        # Read, but the decoding was interrupted and nobody has come back to it.
        try:
            self._decode()
        except EOFError:
            # Whoever reads on is told again.
            pass
        return self._decoder.residue()

    def adopt(self, data: bytes, fds: Sequence[Any]) -> None:
        """Take over what another intake had as its ``residue``."""
        if data or fds:
            self._inbox.extend(self._decoder.feed(data, fds))

    def forget(self) -> None:
        """Let go of what was read of a frame that will never be whole; any thread."""
        # Not of the decoder itself: another thread may be about to feed a copy of it.
        self._decoder, self._chunk_fds = FrameDecoder(self._kinds), None
        self._is_decoded = False
        self._chunks.clear()
