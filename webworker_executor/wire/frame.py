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
With ``MORE`` the payload goes on in the next frame; the last one has the descriptors. ``ident`` is
the task, the definition, or 0.

To add a kind, add it to ``NAMES`` and to the set that the receiving side passes to its decoder.
"""

from __future__ import annotations

from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    # A frame, laid out: to be written one after the other.
    Parts = list[bytes | memoryview]

HEADER = Struct(">IBBBBQ")
HEADER_NBYTES = HEADER.size
LENGTH_NBYTES = 4

HELLO, READY, LOADED, LOAD_ERROR = 0x01, 0x02, 0x03, 0x04
MESSAGE = 0x10
CALL, RESULT, RAISE, REJECT = 0x20, 0x21, 0x22, 0x23
EVENT, TASK_MESSAGE = 0x24, 0x25
DEFINE, RECALL, RETURNED, CANCEL = 0x26, 0x27, 0x28, 0x29
ERROR, CLOSE, CLOSING = 0x30, 0x31, 0x32
NAMES = {
    HELLO: "HELLO",
    READY: "READY",
    LOADED: "LOADED",
    LOAD_ERROR: "LOAD_ERROR",
    MESSAGE: "MESSAGE",
    CALL: "CALL",
    RESULT: "RESULT",
    RAISE: "RAISE",
    REJECT: "REJECT",
    EVENT: "EVENT",
    TASK_MESSAGE: "TASK_MESSAGE",
    DEFINE: "DEFINE",
    RECALL: "RECALL",
    RETURNED: "RETURNED",
    ERROR: "ERROR",
    CLOSE: "CLOSE",
    CLOSING: "CLOSING",
}
TO_WORKER = frozenset({HELLO, MESSAGE, CALL, TASK_MESSAGE, DEFINE, RECALL, CANCEL, CLOSE})
FROM_WORKER = frozenset({READY, LOAD_ERROR, MESSAGE, RESULT, RAISE, REJECT, EVENT, RETURNED})
# Of a worker that runs a script instead of tasks; what it gets are some of TO_WORKER.
FROM_SCRIPT = frozenset({READY, LOADED, LOAD_ERROR, MESSAGE, ERROR, CLOSING})

MORE, BUFFERS = 0x02, 0x08
PICKLE = 2

# What stands in front of the pickle: of a call its definition (0: inside the pickle) and the
# shape of its arguments; of an answer the microseconds that the task took.
CALL_PREFIX = Struct(">IB")
ANSWER_PREFIX = Struct(">I")

# What stands in front of what a running task and its future say to each other: what it is.
TALK_PREFIX = Struct(">B")
POSTED, POSTED_WITH_PORTS = 0, 1  # a message; with a transfer list, the pair of it and its ports
HEED = 2  # nothing: from here on the task notices an abort
ITEM = 3  # of a stream
CREDIT = 4  # how many items more may come; fewer than none closes the stream
REPORT = 5  # how far the task is, and how far it will go
_CALL_HEADER = Struct(">IBBBBQIB")

# Parts below this are joined into one: a copy of 16 KiB is cheaper than one more buffer to send.
JOIN_NBYTES = 16384
# A payload is cut here, because ``length`` is 32 bits wide.
MAX_PAYLOAD_NBYTES = 1 << 30
COUNT = Struct(">I")
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
        buffers: Sequence[memoryview] = (),
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
    buffers: Sequence[bytes] = (),
    prefix: bytes = b"",
    n_fds: int = 0,
) -> Parts:
    """
    Lay out one frame.

    Args:
        kind: One of the constants of this module.
        ident: Which task, definition or message, 0 to 2**64 - 1.
        payload: The value, packed.
        buffers: What was packed out of band, as plain bytes; not copied here.
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
        parts = _with_table(prefix, payload, buffers)
        flags = BUFFERS
    else:
        flags = 0
        if len(payload) < JOIN_NBYTES:
            body = prefix + payload
            return [HEADER.pack(12 + len(body), kind, 0, PICKLE, n_fds, ident) + body]
        parts = [prefix, payload]
    nbytes = sum(map(len, parts))
    if nbytes <= MAX_PAYLOAD_NBYTES:
        return [HEADER.pack(12 + nbytes, kind, flags, PICKLE, n_fds, ident), *parts]
    return list(_encode_in_pieces(kind, ident, flags, parts, n_fds))


def encode_call(
    ident: int,
    definition: int,
    shape: int,
    payload: bytes = b"",
    buffers: Sequence[bytes] = (),
    n_fds: int = 0,
) -> Parts:
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
    return [_CALL_HEADER.pack(17 + nbytes, CALL, 0, PICKLE, 0, ident, definition, shape) + payload]


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
            yield HEADER.pack(12 + len(piece), kind, flags | MORE, PICKLE, 0, ident)
            yield piece
    yield HEADER.pack(12, kind, flags, PICKLE, n_fds, ident)
