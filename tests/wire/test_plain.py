"""
Tests of `webworker_executor.wire.plain`: bare lengths and bytes.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.wire import codec
from webworker_executor.wire.decoder import MalformedFrame
from webworker_executor.wire.plain import (
    FROM_WORKER,
    MAX_NBYTES,
    PlainDecoder,
    as_frame,
    encode_plain,
)


@given(st.lists(st.binary(max_size=40), max_size=8), st.data())
def test_round_trip_through_any_cut(messages: list[bytes], data: st.DataObject) -> None:
    """
    However the stream is cut, the messages come out whole and in order.
    """
    stream = FROM_WORKER + b"".join(map(encode_plain, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    decoder = PlainDecoder(FROM_WORKER)
    came: list[bytes] = []
    for start, stop in pairwise([0, *cuts, len(stream)]):
        came += decoder.feed(stream[start:stop])
    assert messages == came
    assert decoder.is_greeted
    # Nothing is left over of them.
    assert [b"next"] == decoder.feed(encode_plain(b"next"))


def test_case_41_no_bytes_at_all() -> None:
    """
    A message of no bytes is handed out at once, without any byte after it.
    """
    decoder = PlainDecoder(FROM_WORKER)
    assert [b""] == decoder.feed(FROM_WORKER + bytes(4))
    assert [b"", b"a"] == decoder.feed(bytes(4) + encode_plain(b"a"))


def test_a_wrong_greeting() -> None:
    """
    Any other first byte is told.
    """
    with pytest.raises(MalformedFrame, match=r"the first byte is b'\\x00', not b'\\x01'"):
        PlainDecoder(FROM_WORKER).feed(bytes(5))


def test_a_message_that_is_too_long() -> None:
    """
    A claim beyond the limit is refused before anything is kept for it.
    """
    decoder = PlainDecoder(FROM_WORKER, max_nbytes=10)
    assert [bytes(10)] == decoder.feed(FROM_WORKER + encode_plain(bytes(10)))
    with pytest.raises(MalformedFrame, match="claims 11 bytes"):
        decoder.feed(encode_plain(bytes(11)))
    assert 2**31 - 5 == MAX_NBYTES


@pytest.mark.parametrize("data", [b"ab", bytearray(b"ab"), memoryview(b"ab")])
def test_what_can_be_sent(data: bytes) -> None:
    """
    Bytes of any kind are laid out behind their length.
    """
    assert b"\0\0\0\2ab" == encode_plain(data)


def test_text_is_refused() -> None:
    """
    Nothing is encoded on the way.
    """
    with pytest.raises(TypeError, match="only bytes"):
        encode_plain("ab")  # type: ignore[arg-type]  # what is tested


def test_a_message_as_a_frame() -> None:
    """
    Whoever unpacks frames gets the bytes.
    """
    assert b"abc" == codec.unpack(as_frame(b"abc").payload)
