"""
Frames: the one shape in which everything crosses a link. Pure: bytes in, frames out, no socket.

::

     0               4      5       6       7       8                      16
    +---------------+------+-------+-------+-------+----------------------+---------
    | u32 length    | kind | flags | codec | n_fds | u64 ident            | payload
    +---------------+------+-------+-------+-------+----------------------+---------

All numbers are big-endian. ``length`` counts what follows it. ``n_fds`` descriptors travel beside
the bytes, in the order of the frames and never later than their frame's header. With ``BUFFERS`` in
``flags`` the payload opens with a table (``u32`` count, a ``u64`` length each, the pickle's first)
and is followed by that many raw buffers, each at a multiple of 16 bytes from the frame's start.
With ``MORE`` the payload goes on in the next frame; the last one has the descriptors. With
``SHARED`` the frame has to do with shared memory: a ``SEGMENT`` makes one known (its descriptor
comes along) or takes it back (none does), a ``RELEASE`` gives back what a frame has lent (with a
byte 1 as payload for good; with a byte 2 nothing, but the segment was not seen for some time), and
the payload of any other opens with a table of places, see `place`. ``ident`` is the task, the
definition, the segment, or a number that the kind gives a meaning, or 0.

What kinds there are, and what their numbers mean, is in `kinds`.
"""

from __future__ import annotations

from _struct import Struct

from webworker_executor.wire.kinds import (
    ANSWER_PREFIX,
    CALL,
    CALL_PREFIX,
    MESSAGE,
    NAMES,
    PART,
    PART_PREFIX,
)
from webworker_executor.wire.place import LentParts, Place, lay_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    # A frame, laid out: to be written one after the other.
    Parts = list[bytes | memoryview]

HEADER = Struct(">IBBBBQ")
HEADER_NBYTES = HEADER.size
LENGTH_NBYTES = 4
# What a length counts besides the payload: the header behind it.
COUNTED_NBYTES = HEADER_NBYTES - LENGTH_NBYTES

MORE, BUFFERS, SHARED = 0x02, 0x08, 0x10
PICKLE = 2

# Header and prefix in one.
_ANSWER_HEADER, _CALL_HEADER = Struct(">IBBBBQdI"), Struct(">IBBBBQIB")
_ANSWER_NBYTES = _ANSWER_HEADER.size - LENGTH_NBYTES
_CALL_NBYTES = _CALL_HEADER.size - LENGTH_NBYTES

# Parts below this are joined into one: a copy of 64 KiB takes 2 us, a second system call, which
# also wakes the reader for a header that it can do nothing with, 10 and more.
JOIN_NBYTES = 131072
# A payload is cut here, because ``length`` is 32 bits wide.
MAX_PAYLOAD_NBYTES = 1 << 30
MAX_BUFFERS = 65536
# One call of the kernel takes 253 (unix(7), SCM_MAX_FD), and a frame's must not be torn apart.
MAX_FDS = 253
# What malloc aligns to: an array laid over a received buffer is as aligned as one of its own.
ALIGNMENT = 16
PADDING = bytes(ALIGNMENT)


class Frame:
    """
    One message on a link: kind, ident, payload, and the raw buffers and descriptors beside it.

    The descriptors are whatever the decoder was fed with; who takes the frame owns them.
    """

    __slots__ = ("buffers", "fds", "ident", "kind", "payload")

    def __init__(
        self,
        kind: int,
        ident: int,
        payload: memoryview | bytes,
        buffers: Sequence[Any] = (),
        fds: Sequence[object] = (),
    ) -> None:
        self.kind = kind
        self.ident = ident
        self.payload = payload
        self.buffers = buffers
        self.fds = fds

    def __repr__(self) -> str:
        name = NAMES.get(self.kind, hex(self.kind))
        extra = f" buffers={[buffer.nbytes for buffer in self.buffers]}" if self.buffers else ""
        extra += f" fds={len(self.fds)}" if self.fds else ""
        return f"<Frame {name} #{self.ident} {len(self.payload)} B{extra}>"


def encode(
    kind: int,
    ident: int,
    payload: bytes = b"",
    buffers: Sequence[bytes | Place] = (),
    prefix: bytes = b"",
    n_fds: int = 0,
) -> Parts:
    """
    Lay out one frame.

    Args:
        kind: One of `kinds`.
        ident: Which task, definition or message, 0 to 2**64 - 1.
        payload: The value, packed.
        buffers: What was packed out of band, as plain bytes, not copied here; or the places where
            they lie.
        prefix: Bytes in front of the payload (and of the table of buffers).
        n_fds: How many descriptors will be sent with it.

    Returns:
        Parts to be written one after the other; a single one when the frame is small.

    Raises:
        ValueError: There are more than ``MAX_BUFFERS`` buffers or ``MAX_FDS`` descriptors.
    """
    if n_fds > MAX_FDS:
        raise ValueError(f"{n_fds} descriptors in one value; at most {MAX_FDS} can go")
    if len(buffers) > MAX_BUFFERS:
        raise ValueError(f"{len(buffers)} large buffers in one value; at most {MAX_BUFFERS} can go")
    if buffers:
        if buffers[0].__class__ is Place:
            return _naming_places(kind, ident, payload, buffers, prefix, n_fds)  # type: ignore[arg-type]  # all are places
        parts = _with_table(prefix, payload, buffers)  # type: ignore[arg-type]  # none is
        flags = BUFFERS
    else:
        flags = 0
        if len(payload) < JOIN_NBYTES:
            body = prefix + payload
            return [HEADER.pack(COUNTED_NBYTES + len(body), kind, 0, PICKLE, n_fds, ident) + body]
        parts = [prefix, payload]
    nbytes = sum(map(len, parts))
    if nbytes <= MAX_PAYLOAD_NBYTES:
        return [HEADER.pack(COUNTED_NBYTES + nbytes, kind, flags, PICKLE, n_fds, ident), *parts]
    return list(_encode_in_pieces(kind, ident, flags, parts, n_fds))


def encode_message(ident: int, payload: bytes) -> Parts:
    """
    Lay out a ``MESSAGE`` without buffers or descriptors, which is what most posts are.

    Args:
        ident: What the message consists of.
        payload: The message, packed.

    Returns:
        Parts to be written one after the other.
    """
    nbytes = len(payload)
    if nbytes >= JOIN_NBYTES:
        return encode(MESSAGE, ident, payload)
    return [HEADER.pack(COUNTED_NBYTES + nbytes, MESSAGE, 0, PICKLE, 0, ident) + payload]


def encode_call(
    ident: int,
    definition: int,
    shape: int,
    payload: bytes = b"",
    buffers: Sequence[bytes | Place] = (),
    n_fds: int = 0,
) -> Sequence[bytes | memoryview]:
    """
    Lay out a ``CALL``, which is what most frames are.

    Args:
        ident: Which task.
        definition: The number of the callable that the worker has, 0 if it is in the payload.
        shape: Of the arguments, see `definition`.
        payload: The arguments, packed.
        buffers: What was packed out of band.
        n_fds: How many descriptors will be sent with it.

    Returns:
        Parts to be written one after the other.

    Raises:
        ValueError: As ``encode``.
    """
    nbytes = len(payload)
    if buffers or n_fds or nbytes >= JOIN_NBYTES:
        return encode(CALL, ident, payload, buffers, CALL_PREFIX.pack(definition, shape), n_fds)
    # A tuple, because it waits as long as the task does, and is 32 bytes smaller than a list.
    return (
        _CALL_HEADER.pack(_CALL_NBYTES + nbytes, CALL, 0, PICKLE, 0, ident, definition, shape)
        + payload,
    )


def can_be_cut(parts: Sequence[bytes | memoryview]) -> bool:
    """Tell whether `cut_call` takes a laid-out ``CALL``: nothing goes along, and it is in one."""
    _, _, flags, _, n_fds, _ = HEADER.unpack_from(parts[0])
    return not flags and not n_fds


def cut_call(
    parts: Sequence[bytes | memoryview], ident: int, start: int, stop: int
) -> Sequence[bytes | memoryview]:
    """
    Lay out a ``CALL`` with only some of the elements that the last argument of another has.

    Args:
        parts: The other one, as ``encode_call`` laid it out; left as it is. `can_be_cut`. It may
            have been cut itself.
        ident: Which task.
        start: The first of the elements, counted in what was packed.
        stop: The one behind the last.

    Returns:
        Parts to be written one after the other.
    """
    # What is large is a part by itself, and stays the same one: no copy for each piece.
    prefix, payload = (parts[0][HEADER_NBYTES:], None) if len(parts) == 1 else parts[1:]
    definition, shape = CALL_PREFIX.unpack_from(prefix)
    if payload is None:
        payload = prefix[CALL_PREFIX.size + (PART_PREFIX.size if shape & PART else 0) :]
    prefix = CALL_PREFIX.pack(definition, shape | PART) + PART_PREFIX.pack(start, stop)
    return encode(CALL, ident, bytes(payload), (), prefix)


def ident_of(parts: Parts) -> int:
    """Return the ident of a laid-out frame."""
    ident: int = HEADER.unpack_from(parts[0])[-1]
    return ident


def readdress(parts: Parts, kind: int, ident: int) -> Parts:
    """
    Make a laid-out frame one of another kind.

    Args:
        parts: As ``encode`` laid them out; left as they are.
        kind: The new kind; may not be one that has a prefix.
        ident: The new ident.

    Returns:
        The new parts.
    """
    length, _, flags, codec, n_fds, _ = HEADER.unpack_from(parts[0])
    header = HEADER.pack(length, kind, flags, codec, n_fds, ident)
    if not flags & MORE:
        return [header + bytes(parts[0][HEADER_NBYTES:]), *parts[1:]]
    # In pieces, every other part is a header.
    renamed = list(parts)
    for at in range(0, len(parts), 2):
        length, _, flags, codec, n_fds, _ = HEADER.unpack_from(parts[at])
        renamed[at] = HEADER.pack(length, kind, flags, codec, n_fds, ident)
    return renamed


def _naming_places(
    kind: int, ident: int, payload: bytes, places: Sequence[Place], prefix: bytes, n_fds: int
) -> Parts:
    body = lay_out(prefix, payload, places)
    if len(body) <= MAX_PAYLOAD_NBYTES:
        parts = LentParts(
            [HEADER.pack(COUNTED_NBYTES + len(body), kind, SHARED, PICKLE, n_fds, ident) + body]
        )
    else:
        parts = LentParts(_encode_in_pieces(kind, ident, SHARED, [body], n_fds))
    parts.lease = places[0].lease
    return parts


def encode_answer(
    kind: int,
    ident: int,
    started: float,
    microseconds: int,
    payload: bytes,
    buffers: Sequence[bytes | Place] = (),
    n_fds: int = 0,
) -> Parts:
    """
    Lay out a ``RESULT``, ``RAISE`` or ``REJECT``.

    Args:
        kind: One of them.
        ident: Which task.
        started: When it began, in seconds of the monotonic clock.
        microseconds: That it took, 0 to 2**32 - 1.
        payload: The value or exception, packed.
        buffers: What was packed out of band.
        n_fds: How many descriptors will be sent with it.

    Returns:
        Parts to be written one after the other.

    Raises:
        ValueError: As ``encode``.
    """
    nbytes = len(payload)
    if buffers or n_fds or nbytes >= JOIN_NBYTES:
        prefix = ANSWER_PREFIX.pack(started, microseconds)
        return encode(kind, ident, payload, buffers, prefix, n_fds)
    header = _ANSWER_HEADER.pack(
        _ANSWER_NBYTES + nbytes, kind, 0, PICKLE, 0, ident, started, microseconds
    )
    return [header + payload]


def _with_table(prefix: bytes, payload: bytes, buffers: Sequence[bytes]) -> Parts:
    layout = Struct(f">I{len(buffers) + 1}Q")
    # What follows a pickle's end is not read, so that the padding can be counted to it.
    payload += PADDING[: -(HEADER_NBYTES + len(prefix) + layout.size + len(payload)) % ALIGNMENT]
    lengths = [len(buffer) for buffer in buffers]
    parts: Parts = [
        prefix + layout.pack(len(buffers), len(payload), *lengths),
        payload,
    ]
    for buffer, nbytes in zip(buffers, lengths, strict=True):
        parts.append(buffer)
        parts.append(PADDING[: -nbytes % ALIGNMENT])
    return parts


def _encode_in_pieces(
    kind: int, ident: int, flags: int, parts: Iterable[bytes | memoryview], n_fds: int
) -> Iterable[bytes | memoryview]:
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(view), MAX_PAYLOAD_NBYTES):
            piece = view[start : start + MAX_PAYLOAD_NBYTES]
            yield HEADER.pack(COUNTED_NBYTES + len(piece), kind, flags | MORE, PICKLE, 0, ident)
            yield piece
    yield HEADER.pack(COUNTED_NBYTES, kind, flags, PICKLE, n_fds, ident)
