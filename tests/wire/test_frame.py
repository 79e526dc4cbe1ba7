"""
Tests of `webworker_executor.wire.frame`: how a frame is laid out.
"""

from __future__ import annotations

import struct

import pytest

from webworker_executor.wire import frame
from webworker_executor.wire.frame import (
    JOIN_NBYTES,
    MAX_FDS,
    Frame,
    can_be_cut,
    cut_call,
    encode,
    encode_call,
    encode_message,
    readdress,
)
from webworker_executor.wire.kinds import CALL, EVENT, MESSAGE, PART, PART_PREFIX, READY


def test_layout() -> None:
    """
    The header is the one that the module draws.
    """
    header = "0000000f" + f"{MESSAGE:02x}" + "00" + "02" + "00" + "0000000000000007"
    assert bytes.fromhex(header) + b"abc" == b"".join(encode(MESSAGE, 7, b"abc"))


def test_small_frame_is_one_part() -> None:
    """
    What is small goes into one part, so that one call of the kernel sends it.
    """
    assert 1 == len(encode(CALL, 1, b"x" * (JOIN_NBYTES - 1), (), b"12345"))


def test_large_parts_are_not_copied() -> None:
    """
    A large payload and every buffer are handed on as they are.
    """
    payload, buffer = b"p" * JOIN_NBYTES, bytes(200_000)
    assert any(part is payload for part in encode(MESSAGE, 0, payload))
    assert any(part is buffer for part in encode(MESSAGE, 0, b"", [buffer]))


@pytest.mark.parametrize("nbytes", [0, 10, JOIN_NBYTES - 1, JOIN_NBYTES])
def test_a_message_is_a_frame_like_others(nbytes: int) -> None:
    """
    The short way lays out what the long one does.
    """
    payload = bytes(nbytes)
    assert encode(MESSAGE, 1, payload) == encode_message(1, payload)


@pytest.mark.parametrize("nbytes", [0, 10, JOIN_NBYTES])
def test_a_call_can_be_cut(nbytes: int) -> None:
    """
    What the payload says stays, of which part it is stands in front; also of a part.
    """
    payload = bytes(nbytes)
    whole = encode_call(1, 7, 2, payload)
    assert can_be_cut(whole)
    part = cut_call(cut_call(whole, 2, 0, 9), 3, 4, 5)
    expected = encode_call(3, 7, 2 | PART, PART_PREFIX.pack(4, 5) + payload)
    assert b"".join(expected) == b"".join(part)
    # What is large is not copied for each.
    assert (nbytes >= JOIN_NBYTES) == any(each is payload for each in part)


def test_what_goes_along_cannot_be_cut() -> None:
    """
    Buffers and descriptors are for one task.
    """
    assert not can_be_cut(encode_call(1, 7, 2, b"", [b"x"]))
    assert not can_be_cut(encode_call(1, 7, 2, b"", (), 1))


@pytest.mark.parametrize("ident", [-1, 2**64])
def test_ident_out_of_range(ident: int) -> None:
    """
    An ident that does not fit is an error at the sender, never another ident at the receiver.
    """
    with pytest.raises(struct.error):
        encode(CALL, ident)


def test_repr_tells_the_state() -> None:
    """
    A frame prints itself short, with its sizes.
    """
    assert "<Frame CALL #7 3 B>" == repr(Frame(CALL, 7, b"abc"))
    assert "<Frame READY #0 0 B buffers=[2]>" == repr(Frame(READY, 0, b"", [memoryview(b"ab")]))
    assert "<Frame 0x7f #0 0 B>" == repr(Frame(0x7F, 0, b""))


def test_the_kernels_limit_of_descriptors_holds() -> None:
    """
    A frame never claims more descriptors than one call of the kernel takes.
    """
    assert encode(MESSAGE, 0, b"", n_fds=MAX_FDS)
    with pytest.raises(ValueError, match="254 descriptors in one value; at most 253 can go"):
        encode(MESSAGE, 0, b"", n_fds=MAX_FDS + 1)


@pytest.mark.parametrize("nbytes", [3, 40_000, 100])
def test_a_frame_can_be_made_one_of_another_kind(
    monkeypatch: pytest.MonkeyPatch, nbytes: int
) -> None:
    """
    In one part, in several, and in pieces; what it holds stays as it was.
    """
    if nbytes == 100:
        monkeypatch.setattr(frame, "MAX_PAYLOAD_NBYTES", 30)
        monkeypatch.setattr(frame, "JOIN_NBYTES", 10)
    payload = bytes(range(256)) * (nbytes // 256) + bytes(nbytes % 256)
    parts = encode(MESSAGE, 1, payload, n_fds=2)
    expected = encode(EVENT, 7 << 8, payload, n_fds=2)
    assert b"".join(expected) == b"".join(readdress(parts, EVENT, 7 << 8))
    assert b"".join(parts) == b"".join(encode(MESSAGE, 1, payload, n_fds=2))
