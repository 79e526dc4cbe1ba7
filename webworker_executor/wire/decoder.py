"""
Bytes in, frames out, however the stream is cut. Pure: no socket.

A decoder believes nothing: a header is checked before a byte is kept for it, and memory grows
with what arrived, never with what was claimed.
"""

from __future__ import annotations

from _struct import Struct
from collections import deque

from webworker_executor.wire.frame import (
    ALIGNMENT,
    BUFFERS,
    COUNTED_NBYTES,
    HEADER,
    HEADER_NBYTES,
    LENGTH_NBYTES,
    MAX_BUFFERS,
    MAX_FDS,
    MAX_PAYLOAD_NBYTES,
    MORE,
    PICKLE,
    SHARED,
    Frame,
)
from webworker_executor.wire.kinds import (
    ANSWER_PREFIX,
    CALL,
    CALL_PREFIX,
    COUNT,
    IDENT,
    MEMORY,
    NAMES,
    RESULT,
)
from webworker_executor.wire.place import read_places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Room that is made for a large frame at a time, whatever length it claims.
GROWTH_NBYTES = 65536
# A payload up to this size is copied out of what was read: cheaper than a view of it, and a small
# frame does not keep the whole read alive.
SMALL_NBYTES = 4096
# More than a sender puts into one piece is a lie, for which the rest of the stream would be taken.
MAX_NBYTES = COUNTED_NBYTES + MAX_PAYLOAD_NBYTES
KNOWN_FLAGS = MORE | BUFFERS | SHARED
# By kind, how many bytes stand in front of a table of buffers.
PREFIXES = {CALL: CALL_PREFIX.size, RESULT: ANSWER_PREFIX.size}


class MalformedFrame(ValueError):
    """Raised when bytes are no frame that this side could have been sent."""


class FrameDecoder:
    """
    Turns the bytes of a stream, however they are cut, into frames.

    Args:
        kinds: The kinds this side may receive; any other is malformed.

    Attributes:
        kinds: As given.
        error: What makes the stream unreadable from here on, or ``None``.
        is_sharing: Whether among the frames handed out since it was last cleared are some that have
            to do with shared memory, which the reader must see to.
        is_awaited: Asked with kind and ident of a frame that has not come whole whether there can
            be one; ``None`` where all can. Otherwise whatever follows a stray header would be
            waited for, and swallowed.
    """

    def __init__(self, kinds: frozenset[int]) -> None:
        self.kinds = kinds
        self._fds: deque[object] = deque()
        self._partial = b""
        self._growing: bytearray | None = None
        self._growing_nbytes = 0  # how long it will be
        self._grown_nbytes = 0  # how much of it has come
        self._pieces: bytearray | None = None
        self._pieces_of = (0, 0)  # kind and ident
        self.error: MalformedFrame | None = None
        self.is_sharing = False
        self.is_awaited: Callable[[int, int], bool] | None = None

    @property
    def is_between_frames(self) -> bool:
        """Whether what comes next begins a frame: all before was handed out, and all right."""
        is_whole = not self._partial and self._growing is None and self._pieces is None
        return is_whole and self.error is None

    def copied(self, *, apart: bool = False) -> FrameDecoder:
        """
        Return another decoder that stands where this one stands.

        For who may be interrupted while it feeds: it feeds the copy, keeps it if that went well,
        and otherwise feeds the same bytes once more to another one.

        Args:
            apart: Also that what grows has memory of its own, where somebody else may be reading
                into the ``vacancy`` of this one.
        """
        copy = FrameDecoder(self.kinds)
        copy._fds.extend(self._fds)
        copy._partial = self._partial
        # Of what grows, only the part behind what has come is ever written to.
        copy._growing = self._growing
        if apart and self._growing is not None:
            copy._growing = bytearray(self._growing)
        copy._growing_nbytes, copy._grown_nbytes = self._growing_nbytes, self._grown_nbytes
        copy._pieces, copy._pieces_of = self._pieces, self._pieces_of
        copy.error, copy.is_sharing = self.error, self.is_sharing
        copy.is_awaited = self.is_awaited
        return copy

    def residue(self) -> tuple[bytes, list[object]]:
        """
        Return what was kept of a frame that has not come whole.

        Fed to another decoder, it brings that one to where this one stands: so a stream can change
        its reader anywhere.

        Returns:
            Bytes, and the descriptors that came with them.
        """
        pieces: list[bytes | memoryview] = []
        if self._pieces is not None:
            view = memoryview(self._pieces)
            kind, ident = self._pieces_of
            for start in range(0, len(view), MAX_PAYLOAD_NBYTES):
                piece = view[start : start + MAX_PAYLOAD_NBYTES]
                pieces += [
                    HEADER.pack(COUNTED_NBYTES + len(piece), kind, MORE, PICKLE, 0, ident),
                    piece,
                ]
        if self._growing is not None:
            pieces.append(memoryview(self._growing)[: self._grown_nbytes])
        return b"".join([*pieces, self._partial]), list(self._fds)

    def forget(self) -> None:
        """Let go of the bytes and descriptors of a frame that will never come whole."""
        self._fds.clear()
        self._partial = b""
        self._growing = self._pieces = None

    def vacancy(self) -> memoryview | None:
        """
        Return room for the next bytes of a large frame, to be read into straight from a socket.

        To be released, and told of by ``filled``, before anything else is asked of the decoder.

        Returns:
            As much room as has come already, at least ``GROWTH_NBYTES``, at most what is missing;
            ``None`` when no large frame is under way, and ``feed`` takes what comes.
        """
        if self._growing is None:
            return None
        have = self._grown_nbytes
        if have == len(self._growing):
            room = min(self._growing_nbytes - have, max(have, GROWTH_NBYTES))
            grown = bytearray(have + room)
            grown[:have] = self._growing
            self._growing = grown
        return memoryview(self._growing)[have:]

    def filled(self, nbytes: int, fds: Sequence[object] = ()) -> list[Frame]:
        """
        Take note that so many bytes were read into the ``vacancy``, and descriptors with them.

        Returns:
            The frame, if it is complete now.

        Raises:
            MalformedFrame: It is complete and lies about itself; then ``error`` is set.
        """
        frames: list[Frame] = []
        try:
            if fds:
                self._keep(fds)
            self._grow(nbytes, frames)
        except MalformedFrame as error:
            self.error = error
            raise
        return frames

    def _keep(self, fds: Sequence[object]) -> None:
        self._fds.extend(fds)
        if len(self._fds) > 2 * MAX_FDS:
            # Those of one frame that has not come whole, and of one more that came in one read.
            self._fds.clear()
            raise MalformedFrame("descriptors came that belong to no frame")

    def _grow(self, nbytes: int, frames: list[Frame]) -> None:
        self._grown_nbytes += nbytes
        if self._growing is not None and self._grown_nbytes == self._growing_nbytes:
            whole, self._growing = memoryview(self._growing), None
            self._accept(frames, HEADER.unpack_from(whole), whole[HEADER_NBYTES:])

    def feed(self, data: bytes, fds: Sequence[object] = ()) -> list[Frame]:
        """
        Take the next bytes of the stream.

        Args:
            data: As many as came, from one byte up.
            fds: The descriptors that came with them; handed out in the frames they belong to.

        Returns:
            The frames that are complete now, in order; those that came before bytes which are no
            frame, too, and then ``error`` is set.

        Raises:
            MalformedFrame: No frame came before such bytes. The stream cannot be read on.
        """
        if self.error is not None:
            raise self.error
        if not fds and not self._partial and self._growing is None and self._pieces is None:
            only = only_frame(data, self.kinds)
            if only is not None:
                return [only]
        frames: list[Frame] = []
        try:
            if fds:
                self._keep(fds)
            self._decode(data, frames)
        except MalformedFrame as error:
            self.error = error
            if not frames:
                raise
        return frames

    def _decode(self, data: bytes, frames: list[Frame]) -> None:
        position = 0
        while position < len(data) and (vacancy := self.vacancy()) is not None:
            nbytes = min(len(vacancy), len(data) - position)
            vacancy[:nbytes] = data[position : position + nbytes]
            vacancy.release()
            position += nbytes
            self._grow(nbytes, frames)
        if self._partial:
            data, self._partial = self._partial + data, b""
        view = memoryview(data)
        end = len(data)
        kinds = self.kinds
        while end - position >= HEADER_NBYTES:
            header = HEADER.unpack_from(data, position)
            length, kind, flags, codec, n_fds, ident = header
            stop = position + LENGTH_NBYTES + length
            if (
                COUNTED_NBYTES <= length <= SMALL_NBYTES
                and stop <= end
                and kind in kinds
                and codec == PICKLE
                and not flags
                and not n_fds
                and self._pieces is None
            ):
                frames.append(Frame(kind, ident, data[position + HEADER_NBYTES : stop]))
                position = stop
                continue
            # Zeros, text and noise are told from frames here, before anything is kept for them.
            is_known = (
                COUNTED_NBYTES <= length <= MAX_NBYTES
                and kind in kinds
                and codec == PICKLE
                and not flags & ~KNOWN_FLAGS
            )
            if not is_known or n_fds > len(self._fds):
                seen = bytes(data[position : position + HEADER_NBYTES])
                raise MalformedFrame(f"no frame: {seen!r}")
            start = position + HEADER_NBYTES
            if stop > end:
                if self.is_awaited is not None and not self.is_awaited(kind, ident):
                    raise MalformedFrame(f"a frame for nobody: {NAMES[kind]} #{ident}")
                self._growing = bytearray(view[position:])
                self._growing_nbytes = stop - position
                self._grown_nbytes = end - position
                return
            if flags or n_fds or self._pieces is not None:
                self._accept(frames, header, memoryview(bytearray(view[start:stop])))
            else:
                frames.append(Frame(kind, ident, view[start:stop]))
            position = stop
        if position < end:
            self._partial = bytes(view[position:])

    def _accept(self, frames: list[Frame], header: tuple[int, ...], payload: memoryview) -> None:
        """Join pieces, part buffers from payload, add descriptors: all frames but the simple."""
        _, kind, flags, _, n_fds, ident = header
        if flags & MORE or self._pieces is not None:
            if self._pieces is None:
                self._pieces, self._pieces_of = bytearray(), (kind, ident)
            elif self._pieces_of != (kind, ident):
                raise MalformedFrame(f"pieces of {self._pieces_of} go on with {(kind, ident)}")
            # Not in place: see `copied`. A piece is so large that there are few.
            self._pieces = self._pieces + payload
            if flags & MORE:
                return
            payload, self._pieces = memoryview(self._pieces), None
        fds = [self._fds.popleft() for _ in range(n_fds)]
        if flags & SHARED:
            self.is_sharing = True
        if not flags & (BUFFERS | SHARED) or (flags & SHARED and kind in MEMORY):
            frames.append(Frame(kind, ident, payload, (), fds))
            return
        prefix_nbytes = PREFIXES.get(kind, 0)
        prefix, table = payload[:prefix_nbytes], payload[prefix_nbytes:]
        if flags & SHARED:
            frames.append(_with_places(kind, ident, prefix, table, fds))
            return
        lengths, rest = _read_table(table)
        head = bytes(prefix) + rest[: lengths[0]]
        buffers = []
        position = lengths[0]
        for nbytes in lengths[1:]:
            buffers.append(rest[position : position + nbytes])
            position += nbytes + -nbytes % ALIGNMENT
        frames.append(Frame(kind, ident, head, buffers, fds))


def _with_places(
    kind: int, ident: int, prefix: memoryview, table: memoryview, fds: Sequence[object]
) -> Frame:
    try:
        pickled, places = read_places(table)
    except ValueError as error:
        raise MalformedFrame(str(error)) from None
    return Frame(kind, ident, bytes(prefix) + pickled, places, fds)


def only_frame(data: bytes, kinds: frozenset[int], limit: int = SMALL_NBYTES) -> Frame | None:
    """Return the frame that bytes consist of, if it is one small, whole and simple frame."""
    if not HEADER_NBYTES <= len(data) <= limit:
        return None
    length, kind, flags, codec, n_fds, ident = HEADER.unpack_from(data)
    if (
        flags
        or n_fds
        or codec != PICKLE
        or kind not in kinds
        or length + LENGTH_NBYTES != len(data)
    ):
        return None
    return Frame(kind, ident, data[HEADER_NBYTES:])


def _read_table(table: memoryview) -> tuple[tuple[int, ...], memoryview]:
    if len(table) < COUNT.size:
        raise MalformedFrame("a table of buffers is cut short")
    (count,) = COUNT.unpack_from(table)
    # Looked at first: of a lie no layout is made.
    nbytes = COUNT.size + (count + 1) * IDENT.size
    if count > MAX_BUFFERS or len(table) < nbytes:
        raise MalformedFrame(f"a table claims {count} buffers in {len(table)} bytes")
    layout = Struct(f">I{count + 1}Q")
    _, *lengths = layout.unpack_from(table)
    rest = table[layout.size :]
    nbytes = lengths[0] + sum(length + -length % ALIGNMENT for length in lengths[1:])
    if nbytes != len(rest):
        raise MalformedFrame(f"buffers of {nbytes} bytes stand in {len(rest)}")
    return tuple(lengths), rest
