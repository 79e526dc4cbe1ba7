"""
Places are told on the wire, and nothing else is taken for them.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.wire.decoder import FrameDecoder, MalformedFrame
from webworker_executor.wire.frame import SHARED, encode
from webworker_executor.wire.kinds import CALL, CALL_PREFIX, NAMES
from webworker_executor.wire.place import MAX_PLACES, LentParts, Place, lay_out, read_places

numbers = st.integers(0, (1 << 64) - 1)
pairs = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5)


@given(segment=numbers, pairs=pairs, payload=st.binary(max_size=50))
def test_they_make_the_round_trip(
    segment: int, pairs: list[tuple[int, int]], payload: bytes
) -> None:
    """
    Segment, offsets, lengths and the pickle come out as they went in.
    """
    table = lay_out(b"", payload, [Place(segment, *pair) for pair in pairs])
    pickled, places = read_places(memoryview(table))
    assert payload == pickled
    assert [(segment, *pair) for pair in pairs] == [
        (place.segment, place.offset, place.nbytes) for place in places
    ]


@given(st.binary(max_size=100))
def test_noise_is_no_table(noise: bytes) -> None:
    """
    Whatever the bytes, the answer is places within them or a ValueError.
    """
    try:
        _, places = read_places(memoryview(noise))
    except ValueError:
        return
    assert 16 * len(places) < len(noise)


def test_too_many() -> None:
    """
    More places than a frame can have are refused when it is laid out.
    """
    with pytest.raises(ValueError, match="large buffers in one value"):
        lay_out(b"", b"", [Place(1, 0, 0)] * (MAX_PLACES + 1))


def test_a_frame_with_places() -> None:
    """
    The frame says that it has to do with memory, and carries its lease along.
    """
    lease = object()
    places = [Place(5, 64, 200, lease)]
    parts = encode(CALL, 7, b"pickle", places, CALL_PREFIX.pack(1, 2))
    assert isinstance(parts, LentParts)
    assert lease is parts.lease
    decoder = FrameDecoder(frozenset(NAMES))
    (frame,) = decoder.feed(b"".join(parts))
    assert decoder.is_sharing
    assert (CALL, 7) == (frame.kind, frame.ident)
    assert CALL_PREFIX.pack(1, 2) + b"pickle" == bytes(frame.payload)
    assert "<Place 200 B at 64 of segment 5>" == repr(frame.buffers[0])
    assert 200 == len(frame.buffers[0])


def test_a_frame_with_a_bad_table() -> None:
    """
    A table that claims too much makes the frame malformed.
    """
    raw = bytearray(encode(CALL, 1, bytes(40))[0])
    raw[5] = SHARED
    raw[21:25] = b"\0\1\0\0"
    with pytest.raises(MalformedFrame):
        FrameDecoder(frozenset(NAMES)).feed(bytes(raw))
