"""
The raw profile: bare lengths and bytes, for programs in any language.

::

     host   0x00 | u32 length | payload | u32 length | payload | ...
     worker 0x01 | u32 length | payload | ...

Each side sends one byte first, the host before the worker. Lengths are big-endian and count the
payload only. There is no kind, no number and no end: whoever closes the stream has ended. Pure:
bytes in, messages out.

Source: worker-process, "Protocol".
"""

from __future__ import annotations

from _pickle import dumps
from _struct import Struct

from webworker_executor.wire.decoder import MalformedFrame
from webworker_executor.wire.frame import Frame
from webworker_executor.wire.kinds import MESSAGE

LENGTH = Struct(">I")
# What worker-process takes: Node's largest buffer, without the length.
MAX_NBYTES = 2**31 - 1 - LENGTH.size

FROM_HOST, FROM_WORKER = b"\x00", b"\x01"


class PlainDecoder:
    """
    Turns the bytes of a stream, however they are cut, into messages.

    Args:
        greeting: The byte that must come first.
        max_nbytes: A longer message is malformed, and no byte of it is kept. The library keeps the
            default; only tests give another.

    Attributes:
        is_greeted: Whether that byte has come.
    """

    def __init__(self, greeting: bytes, max_nbytes: int = MAX_NBYTES) -> None:
        self._greeting = greeting
        self._max_nbytes = max_nbytes
        self._data = bytearray()
        self._needed = LENGTH.size
        self.is_greeted = False

    @property
    def is_within_message(self) -> bool:
        """Whether the stream must not end here."""
        return bool(self._data)

    def feed(self, data: bytes) -> list[bytes]:
        """
        Take the next bytes of the stream.

        Returns:
            The messages that are complete now, in order; one of no bytes at once.

        Raises:
            MalformedFrame: The first byte is another, or a message is too long.
        """
        if not self.is_greeted:
            first, data = data[:1], data[1:]
            if first and first != self._greeting:
                raise MalformedFrame(f"the first byte is {first!r}, not {self._greeting!r}")
            self.is_greeted = bool(first)
        self._data += data
        messages: list[bytes] = []
        # Nothing is looked at twice while a large message comes in many pieces.
        if len(self._data) < self._needed:
            return messages
        position = 0
        while len(self._data) - position >= LENGTH.size:
            (nbytes,) = LENGTH.unpack_from(self._data, position)
            if nbytes > self._max_nbytes:
                raise MalformedFrame(f"a message claims {nbytes} bytes")
            start = position + LENGTH.size
            if len(self._data) - start < nbytes:
                break
            messages.append(bytes(memoryview(self._data)[start : start + nbytes]))
            position = start + nbytes
        del self._data[:position]
        self._needed = LENGTH.size
        if len(self._data) >= LENGTH.size:
            self._needed += LENGTH.unpack_from(self._data)[0]
        return messages


def encode_plain(data: bytes | bytearray | memoryview) -> bytes:
    """
    Lay out one message.

    Raises:
        TypeError: It is not bytes.
        ValueError: It is longer than ``MAX_NBYTES``.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"only bytes can be sent in the raw profile, not {type(data).__name__}")
    data = bytes(data)
    if len(data) > MAX_NBYTES:
        raise ValueError(f"{len(data)} bytes in one message; at most {MAX_NBYTES} can go")
    return LENGTH.pack(len(data)) + data


def as_frame(data: bytes) -> Frame:
    """Wrap a message that came, for those who unpack frames: two copies, and no second way."""
    return Frame(MESSAGE, 0, dumps(data, 5))
