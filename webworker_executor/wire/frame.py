"""
Frames: the one shape in which everything crosses a link. Pure: bytes in, frames out, no socket.

::

     0               4      5       6       7       8                      16
    +---------------+------+-------+-------+-------+----------------------+---------
    | u32 length    | kind | flags | codec | n_fds | u64 ident            | payload
    +---------------+------+-------+-------+-------+----------------------+---------

All numbers are big-endian. ``length`` counts what follows it. With ``BUFFERS`` in ``flags`` the
payload opens with a table (``u32`` count, a ``u64`` length each, the pickle's first) and is
followed by that many raw buffers, each at a multiple of 16 bytes from the frame's start. With
``MORE`` the payload goes on in the next frame. ``ident`` is the task, the definition, or 0.

A decoder believes nothing: a header is checked before a byte is kept for it, and memory grows
with what arrived, never with what was claimed. To add a kind, add it to ``NAMES`` and to the set
that the receiving side passes to its decoder.
"""

from __future__ import annotations

from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEADER = Struct(">IBBBBQ")
HEADER_NBYTES = HEADER.size
LENGTH_NBYTES = 4

HELLO, READY, LOAD_ERROR = 0x01, 0x02, 0x04
MESSAGE = 0x10
CALL, RESULT, RAISE, REJECT = 0x20, 0x21, 0x22, 0x23
DEFINE, RECALL, RETURNED = 0x26, 0x27, 0x28
CLOSE = 0x31
NAMES = {
    HELLO: "HELLO",
    READY: "READY",
    LOAD_ERROR: "LOAD_ERROR",
    MESSAGE: "MESSAGE",
    CALL: "CALL",
    RESULT: "RESULT",
    RAISE: "RAISE",
    REJECT: "REJECT",
    DEFINE: "DEFINE",
    RECALL: "RECALL",
    RETURNED: "RETURNED",
    CLOSE: "CLOSE",
}
TO_WORKER = frozenset({HELLO, MESSAGE, CALL, DEFINE, RECALL, CLOSE})
FROM_WORKER = frozenset({READY, LOAD_ERROR, MESSAGE, RESULT, RAISE, REJECT, RETURNED})

MORE, BUFFERS = 0x02, 0x08
PICKLE = 2

# What stands in front of the pickle: of a call its definition (0: inside the pickle) and the
# shape of its arguments; of an answer the microseconds that the task took.
CALL_PREFIX = Struct(">IB")
ANSWER_PREFIX = Struct(">I")

# Parts below this are joined into one: a copy of 16 KiB is cheaper than one more buffer to send.
JOIN_NBYTES = 16384
# A payload is cut here, because ``length`` is 32 bits wide.
MAX_PAYLOAD_NBYTES = 1 << 30
# Room that is made for a large frame at a time, whatever length it claims.
GROWTH_NBYTES = 65536
COUNT = Struct(">I")
MAX_BUFFERS = 65536
# What malloc aligns to: an array laid over a received buffer is as aligned as one of its own.
ALIGNMENT = 16
PADDING = bytes(ALIGNMENT)


class MalformedFrame(ValueError):
    """Raised when bytes are no frame that this side could have been sent."""


class Frame:
    """One message on a link: kind, ident, payload and the raw buffers that came along."""

    __slots__ = ("buffers", "ident", "kind", "payload")

    def __init__(
        self, kind: int, ident: int, payload: memoryview | bytes, buffers: Sequence[memoryview] = ()
    ) -> None:
        self.kind = kind
        self.ident = ident
        self.payload = payload
        self.buffers = buffers

    def __repr__(self) -> str:
        name = NAMES.get(self.kind, hex(self.kind))
        extra = f" buffers={[buffer.nbytes for buffer in self.buffers]}" if self.buffers else ""
        return f"<Frame {name} #{self.ident} {len(self.payload)} B{extra}>"


def encode(
    kind: int,
    ident: int,
    payload: bytes = b"",
    buffers: Sequence[bytes] = (),
    prefix: bytes = b"",
) -> list[bytes | memoryview]:
    """
    Lay out one frame.

    Args:
        kind: One of the constants of this module.
        ident: Which task, definition or message, 0 to 2**64 - 1.
        payload: The value, packed.
        buffers: What was packed out of band, as plain bytes; not copied here.
        prefix: Bytes in front of the payload (and of the table of buffers).

    Returns:
        Parts to be written one after the other; a single one when the frame is small.

    Raises:
        ValueError: There are more than ``MAX_BUFFERS`` buffers.
    """
    if len(buffers) > MAX_BUFFERS:
        raise ValueError(f"{len(buffers)} large buffers in one value; at most {MAX_BUFFERS} can go")
    if buffers:
        parts = _with_table(prefix, payload, buffers)
        flags = BUFFERS
    else:
        flags = 0
        if len(payload) < JOIN_NBYTES:
            body = prefix + payload
            return [HEADER.pack(12 + len(body), kind, 0, PICKLE, 0, ident) + body]
        parts = [prefix, payload]
    nbytes = sum(map(len, parts))
    if nbytes <= MAX_PAYLOAD_NBYTES:
        return [HEADER.pack(12 + nbytes, kind, flags, PICKLE, 0, ident), *parts]
    return list(_encode_in_pieces(kind, ident, flags, parts))


def _with_table(
    prefix: bytes, payload: bytes, buffers: Sequence[bytes]
) -> list[bytes | memoryview]:
    layout = Struct(f">I{len(buffers) + 1}Q")
    # What follows a pickle's end is not read, so that the padding can be counted to it.
    payload += PADDING[: -(HEADER_NBYTES + len(prefix) + layout.size + len(payload)) % ALIGNMENT]
    lengths = [len(buffer) for buffer in buffers]
    parts: list[bytes | memoryview] = [
        prefix + layout.pack(len(buffers), len(payload), *lengths),
        payload,
    ]
    for buffer, nbytes in zip(buffers, lengths, strict=True):
        parts.append(buffer)
        parts.append(PADDING[: -nbytes % ALIGNMENT])
    return parts


def _encode_in_pieces(
    kind: int, ident: int, flags: int, parts: Iterable[bytes | memoryview]
) -> Iterable[bytes | memoryview]:
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(view), MAX_PAYLOAD_NBYTES):
            piece = view[start : start + MAX_PAYLOAD_NBYTES]
            yield HEADER.pack(12 + len(piece), kind, flags | MORE, PICKLE, 0, ident)
            yield piece
    yield HEADER.pack(12, kind, flags, PICKLE, 0, ident)


class FrameDecoder:
    """
    Turns the bytes of a stream, however they are cut, into frames.

    Args:
        kinds: The kinds this side may receive; any other is malformed.
        prefix_nbytes: By kind, how many bytes stand in front of a table of buffers.

    Attributes:
        error: What makes the stream unreadable from here on, or ``None``.
    """

    def __init__(self, kinds: frozenset[int], prefix_nbytes: dict[int, int] | None = None) -> None:
        self._kinds = kinds
        self._prefix_nbytes = prefix_nbytes or PREFIXES
        self._partial = b""
        self._growing: bytearray | None = None
        self._growing_nbytes = 0  # how long it will be
        self._grown_nbytes = 0  # how much of it has come
        self._pieces: bytearray | None = None
        self._pieces_of = (0, 0)  # kind and ident
        self.error: MalformedFrame | None = None

    @property
    def is_between_frames(self) -> bool:
        """Whether every byte that came belongs to a frame that was handed out."""
        return not self._partial and self._growing is None and self._pieces is None

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

    def filled(self, nbytes: int) -> list[Frame]:
        """
        Take note that so many bytes were read into the ``vacancy``.

        Returns:
            The frame, if it is complete now.

        Raises:
            MalformedFrame: It is complete and lies about itself.
        """
        frames: list[Frame] = []
        self._grow(nbytes, frames)
        return frames

    def _grow(self, nbytes: int, frames: list[Frame]) -> None:
        self._grown_nbytes += nbytes
        if self._growing is not None and self._grown_nbytes == self._growing_nbytes:
            whole, self._growing = memoryview(self._growing), None
            self._accept(frames, HEADER.unpack_from(whole), whole[HEADER_NBYTES:])

    def feed(self, data: bytes) -> list[Frame]:
        """
        Take the next bytes of the stream.

        Args:
            data: As many as came, from one byte up.

        Returns:
            The frames that are complete now, in order; those that came before bytes which are no
            frame, too, and then ``error`` is set.

        Raises:
            MalformedFrame: No frame came before such bytes. The stream cannot be read on.
        """
        if self.error is not None:
            raise self.error
        frames: list[Frame] = []
        try:
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
        kinds = self._kinds
        while end - position >= HEADER_NBYTES:
            header = HEADER.unpack_from(data, position)
            length, kind, flags, codec, n_fds, ident = header
            # Zeros, text and noise are told from frames here, before anything is kept for them.
            if length < 12 or kind not in kinds or codec != PICKLE or n_fds or flags & ~0x0A:
                raise MalformedFrame(f"no frame: {bytes(data[position : position + 16])!r}")
            start = position + HEADER_NBYTES
            stop = position + LENGTH_NBYTES + length
            if stop > end:
                self._growing = bytearray(view[position:])
                self._growing_nbytes = stop - position
                self._grown_nbytes = end - position
                return
            if flags or self._pieces is not None:
                self._accept(frames, header, memoryview(bytearray(view[start:stop])))
            else:
                frames.append(Frame(kind, ident, view[start:stop]))
            position = stop
        if position < end:
            self._partial = bytes(view[position:])

    def _accept(self, frames: list[Frame], header: tuple[int, ...], payload: memoryview) -> None:
        """Join pieces and part buffers from payload: the frames that are not the simple ones."""
        _, kind, flags, _, _, ident = header
        if flags & MORE or self._pieces is not None:
            if self._pieces is None:
                self._pieces, self._pieces_of = bytearray(), (kind, ident)
            elif self._pieces_of != (kind, ident):
                raise MalformedFrame(f"pieces of {self._pieces_of} go on with {(kind, ident)}")
            self._pieces += payload
            if flags & MORE:
                return
            payload, self._pieces = memoryview(self._pieces), None
        if not flags & BUFFERS:
            frames.append(Frame(kind, ident, payload))
            return
        prefix_nbytes = self._prefix_nbytes.get(kind, 0)
        prefix, table = payload[:prefix_nbytes], payload[prefix_nbytes:]
        lengths, rest = _read_table(table)
        head = bytes(prefix) + rest[: lengths[0]]
        buffers = []
        position = lengths[0]
        for nbytes in lengths[1:]:
            buffers.append(rest[position : position + nbytes])
            position += nbytes + -nbytes % ALIGNMENT
        frames.append(Frame(kind, ident, head, buffers))


def _read_table(table: memoryview) -> tuple[tuple[int, ...], memoryview]:
    if len(table) < COUNT.size:
        raise MalformedFrame("a table of buffers is cut short")
    (count,) = COUNT.unpack_from(table)
    if count > MAX_BUFFERS or len(table) < 4 + 8 * (count + 1):
        raise MalformedFrame(f"a table claims {count} buffers in {len(table)} bytes")
    layout = Struct(f">I{count + 1}Q")
    _, *lengths = layout.unpack_from(table)
    rest = table[layout.size :]
    nbytes = lengths[0] + sum(length + -length % ALIGNMENT for length in lengths[1:])
    if nbytes != len(rest):
        raise MalformedFrame(f"buffers of {nbytes} bytes stand in {len(rest)}")
    return tuple(lengths), rest


PREFIXES = {CALL: CALL_PREFIX.size, RESULT: ANSWER_PREFIX.size}
