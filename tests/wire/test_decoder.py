"""
Tests of `webworker_executor.wire.decoder`: what was laid out comes back, however the stream is cut.
"""

from __future__ import annotations

import ctypes
import tracemalloc
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from webworker_executor.wire import frame
from webworker_executor.wire.decoder import (
    GROWTH_NBYTES,
    PREFIXES,
    FrameDecoder,
    MalformedFrame,
    only_frame,
)
from webworker_executor.wire.frame import (
    ALIGNMENT,
    BUFFERS,
    COUNTED_NBYTES,
    HEADER,
    JOIN_NBYTES,
    MAX_BUFFERS,
    MAX_PAYLOAD_NBYTES,
    MORE,
    PICKLE,
    Frame,
    encode,
)
from webworker_executor.wire.kinds import (
    ANSWER_PREFIX,
    CALL,
    CALL_PREFIX,
    CLOSE,
    COUNT,
    FROM_WORKER,
    HELLO,
    MESSAGE,
    NAMES,
    RAISE,
    RESULT,
    TO_WORKER,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

ALL = frozenset(NAMES)


class Sent(NamedTuple):
    """
    One frame as its sender has it.
    """

    kind: int
    ident: int
    prefix: bytes
    payload: bytes
    buffers: tuple[bytes, ...]

    def encoded(self) -> bytes:
        return joined(encode(self.kind, self.ident, self.payload, self.buffers, self.prefix))

    def is_in(self, received: Frame) -> bool:
        """
        Tell whether the frame that arrived is this one.

        With buffers the pickle may be followed by padding, which no unpickler reads.
        """
        body = self.prefix + self.payload
        got = bytes(received.payload)
        padding = got[len(body) :]
        return (
            (self.kind, self.ident, self.buffers)
            == (received.kind, received.ident, tuple(map(bytes, received.buffers)))
            and got[: len(body)] == body
            and not padding.strip(b"\0")
            and len(padding) < (ALIGNMENT if self.buffers else 1)
        )


def joined(parts: Iterable[bytes | memoryview]) -> bytes:
    return b"".join(parts)


def decode(data: bytes, *ends: int, decoder: FrameDecoder | None = None) -> list[Frame]:
    """
    Feed bytes in pieces that end at the given places, and at the end.
    """
    decoder = decoder or FrameDecoder(ALL)
    frames = []
    start = 0
    for end in [*sorted(ends), len(data)]:
        if start < end:
            frames += decoder.feed(data[start:end])
            start = end
    return frames


def assert_same(sent: list[Sent], received: list[Frame]) -> None:
    assert [(s.kind, s.ident) for s in sent] == [(f.kind, f.ident) for f in received]
    assert [] == [pair for pair in zip(sent, received, strict=True) if not pair[0].is_in(pair[1])]


@st.composite
def frames_to_send(draw: st.DrawFn) -> Sent:
    kind = draw(st.sampled_from(sorted(NAMES)))
    size = st.sampled_from([0, 1, 4, 15, 16, 17, 100, JOIN_NBYTES - 1, JOIN_NBYTES])
    blob = st.binary(max_size=40) | size.map(lambda n: b"p" * n)
    prefix = draw(st.binary(min_size=PREFIXES.get(kind, 0), max_size=PREFIXES.get(kind, 0)))
    ident = draw(st.integers(0, 2**64 - 1))
    return Sent(kind, ident, prefix, draw(blob), tuple(draw(st.lists(blob, max_size=4))))


@given(sent=st.lists(frames_to_send(), max_size=5), data=st.data())
def test_any_cut_gives_the_same_frames(sent: list[Sent], data: st.DataObject) -> None:
    """
    Frames come out whole and in order wherever the stream is cut.
    """
    stream = b"".join(s.encoded() for s in sent)
    ends = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    decoder = FrameDecoder(ALL)
    assert_same(sent, decode(stream, *ends, decoder=decoder))
    assert decoder.is_between_frames


@given(sent=st.lists(frames_to_send(), min_size=1, max_size=3), limit=st.integers(1, 50))
@settings(max_examples=50)
def test_pieces_are_joined(sent: list[Sent], limit: int) -> None:
    """
    A payload beyond the limit travels in pieces and arrives as one frame.
    """
    with pytest.MonkeyPatch.context() as patch:
        # A gigabyte in every test would tell no more.
        patch.setattr(frame, "MAX_PAYLOAD_NBYTES", limit * 512)
        stream = b"".join(s.encoded() for s in sent)
    assert_same(sent, decode(stream))
    assert_same(sent, decode(stream, *range(0, len(stream), 509)))


def test_byte_by_byte() -> None:
    """
    Every frame is handed out with its own last byte, neither earlier nor later.
    """
    sent = [
        Sent(HELLO, 0, b"", b"hello", ()),
        Sent(CALL, 1, b"12345", b"", ()),
        Sent(CALL, 2, b"12345", b"pickle", (b"one", b"", b"three")),
        Sent(CLOSE, 0, b"", b"", ()),
    ]
    decoder = FrameDecoder(TO_WORKER)
    for one in sent:
        *first, last = one.encoded()
        received = []
        for byte in first:
            received += decoder.feed(bytes([byte]))
            assert not decoder.is_between_frames
        assert [] == received
        assert_same([one], decoder.feed(bytes([last])))
        assert decoder.is_between_frames


def address_of(view: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


@given(
    kind=st.sampled_from([CALL, RESULT, RAISE, MESSAGE]),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    pickle_nbytes=st.integers(0, 40),
    before=st.integers(0, 40),
    data=st.data(),
)
@example(kind=CALL, sizes=[200_000, 1], pickle_nbytes=3, before=1, data=None)
def test_buffers_are_aligned_and_writable(
    kind: int, sizes: list[int], pickle_nbytes: int, before: int, data: st.DataObject | None
) -> None:
    """
    An array over a received buffer is as aligned as one of its own, and may be written to.
    """
    sent = Sent(
        kind, 1, b"-" * PREFIXES.get(kind, 0), b"p" * pickle_nbytes, tuple(map(bytes, sizes))
    )
    first = joined(encode(MESSAGE, 0, b"m" * before))
    stream = first + sent.encoded()
    ends = [] if data is None else data.draw(st.lists(st.integers(0, len(stream)), max_size=3))
    received = decode(stream, *ends)[1]
    assert sent.is_in(received)
    assert [0] * len(sizes) == [address_of(view) % ALIGNMENT for view in received.buffers]
    received.buffers[0][:1] = b"w"
    assert b"w" == bytes(received.buffers[0][:1])


def test_buffers_cut_into_pieces_are_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Alignment and writability hold for what travelled in pieces, too.
    """
    monkeypatch.setattr(frame, "MAX_PAYLOAD_NBYTES", 37)
    sent = Sent(CALL, 1, b"12345", b"pickle", (b"a" * 50, b"b" * 3))
    [received] = decode(sent.encoded())
    assert sent.is_in(received)
    assert [0, 0] == [address_of(view) % ALIGNMENT for view in received.buffers]
    assert not any(view.readonly for view in received.buffers)


def header(
    length: int = 12,
    kind: int = CALL,
    flags: int = 0,
    codec: int = PICKLE,
    n_fds: int = 0,
    ident: int = 0,
) -> bytes:
    return HEADER.pack(length, kind, flags, codec, n_fds, ident)


MALFORMED = {
    "zeros": bytes(16),
    "text": b"Hello, this is a print() into descriptor 3",
    "ones": b"\xff" * 16,
    "length below the rest of the header": header(length=11),
    "kind 0": header(kind=0),
    "unknown kind": header(kind=0x7F),
    "kind of the other direction": header(kind=RESULT),
    "unknown codec": header(codec=1),
    "descriptors that did not come": header(n_fds=1),
    **{f"unknown flag {1 << bit:#x}": header(flags=1 << bit) for bit in (0, 2, 5, 6, 7)},
    "unknown flag beside a known one": header(flags=MORE | 0x80),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_header_is_refused(data: bytes) -> None:
    """
    A header that this side cannot have been sent is refused, and the error shows the bytes.
    """
    with pytest.raises(MalformedFrame) as caught:
        FrameDecoder(TO_WORKER).feed(data)
    assert f"no frame: {data[:16]!r}" == str(caught.value)


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_header_is_refused_with_its_last_byte(data: bytes) -> None:
    """
    However it is cut, a bad header is refused as soon as it is complete.
    """
    decoder = FrameDecoder(TO_WORKER)
    for position in range(15):
        assert [] == decoder.feed(data[position : position + 1])
    with pytest.raises(MalformedFrame):
        decoder.feed(data[15:16])


@pytest.mark.parametrize("kind", sorted(NAMES))
def test_directions(kind: int) -> None:
    """
    Each side takes the kinds that the other sends, and no other.
    """
    for kinds in (TO_WORKER, FROM_WORKER):
        decoder = FrameDecoder(kinds)
        if kind in kinds:
            assert [kind] == [f.kind for f in decoder.feed(header(kind=kind))]
        else:
            with pytest.raises(MalformedFrame):
                decoder.feed(header(kind=kind))


@given(noise=st.binary(min_size=16, max_size=200))
def test_noise_never_raises_anything_else(noise: bytes) -> None:
    """
    Whatever comes, a decoder gives frames or says that these are none.
    """
    try:
        FrameDecoder(ALL).feed(noise)
    except MalformedFrame:
        pass


@given(
    payload=st.binary(max_size=80),
    kind=st.sampled_from([CALL, RESULT, MESSAGE]),
    count=st.none() | st.integers(0, 3) | st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(0, 20) | st.integers(0, 2**64 - 1), max_size=5),
)
def test_table_of_noise_never_raises_anything_else(
    payload: bytes, kind: int, count: int | None, lengths: list[int]
) -> None:
    """
    A table that lies is refused; one that happens to be right stays within its frame.
    """
    if count is not None:
        table = COUNT.pack(count) + b"".join(n.to_bytes(8, "big") for n in lengths)
        payload = bytes(PREFIXES.get(kind, 0)) + table + payload
    try:
        [received] = decode(header(12 + len(payload), kind, BUFFERS) + payload)
    except MalformedFrame:
        return
    assert len(received.payload) + sum(map(len, received.buffers)) <= len(payload)


def with_table(*numbers: int, rest: bytes = b"", count: int | None = None) -> bytes:
    count = len(numbers) - 1 if count is None else count
    table = COUNT.pack(count) + b"".join(number.to_bytes(8, "big") for number in numbers)
    return header(12 + len(table + rest), MESSAGE, BUFFERS) + table + rest


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (header(12, MESSAGE, BUFFERS), "a table of buffers is cut short"),
        (header(15, MESSAGE, BUFFERS) + b"abc", "a table of buffers is cut short"),
        (header(17, CALL, BUFFERS) + b"12345", "a table of buffers is cut short"),
        (with_table(count=0), "a table claims 0 buffers in 4 bytes"),
        (with_table(1, count=7), "a table claims 7 buffers in 12 bytes"),
        (
            with_table(*[0] * (MAX_BUFFERS + 2)),
            f"a table claims {MAX_BUFFERS + 1} buffers in {4 + 8 * (MAX_BUFFERS + 2)} bytes",
        ),
        (with_table(3, rest=b"ab"), "buffers of 3 bytes stand in 2"),
        (with_table(1, rest=b"ab"), "buffers of 1 bytes stand in 2"),
        (with_table(0, 1, rest=b"a"), "buffers of 16 bytes stand in 1"),
        (with_table(0, 2**64 - 1, rest=bytes(16)), f"buffers of {2**64} bytes stand in 16"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_table_that_lies_is_refused(data: bytes, message: str) -> None:
    """
    The lengths in a table must fill the frame exactly; the error tells both numbers.
    """
    with pytest.raises(MalformedFrame) as caught:
        FrameDecoder(ALL).feed(data)
    assert message == str(caught.value)


def test_most_buffers_that_a_table_may_have() -> None:
    """
    The largest table that a decoder takes is one that can be sent.
    """
    [received] = decode(joined(encode(MESSAGE, 1, b"p", [b""] * MAX_BUFFERS)))
    assert MAX_BUFFERS == len(received.buffers)


@pytest.mark.parametrize("flags", [0, BUFFERS, MORE, MORE | BUFFERS])
def test_claimed_length_allocates_nothing(flags: int) -> None:
    """
    Memory grows with what arrived: a gigabyte that is only claimed costs one read's room.
    """
    decoder = FrameDecoder(TO_WORKER)
    tracemalloc.start()
    try:
        assert [] == decoder.feed(header(length=12 + MAX_PAYLOAD_NBYTES, flags=flags) + b"abc")
        assert [] == decoder.feed(b"defg")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * GROWTH_NBYTES
    vacancy = decoder.vacancy()
    assert vacancy is not None
    assert len(vacancy) < GROWTH_NBYTES
    assert not decoder.is_between_frames


@pytest.mark.parametrize("length", [13 + MAX_PAYLOAD_NBYTES, 2**32 - 1])
def test_more_than_anybody_sends_is_no_frame(length: int) -> None:
    """
    Otherwise the rest of the stream would be taken for a part of it, and nobody would notice.
    """
    with pytest.raises(MalformedFrame, match="no frame"):
        FrameDecoder(TO_WORKER).feed(header(length=length))


def test_what_nobody_awaits_is_not_waited_for() -> None:
    """
    A frame that has not come whole, and that cannot be for anybody, is none.
    """
    decoder = FrameDecoder(TO_WORKER)
    asked: list[tuple[int, int]] = []

    def is_awaited(kind: int, ident: int) -> bool:
        asked.append((kind, ident))
        return ident == 7

    decoder.is_awaited = is_awaited
    whole = joined(encode(MESSAGE, 6, bytes(5000)))
    assert 1 == len(decoder.feed(whole))
    awaited = joined(encode(MESSAGE, 7, bytes(5000)))
    assert [] == decoder.feed(awaited[:100])
    assert 1 == len(decoder.copied().feed(awaited[100:]))
    assert 1 == len(decoder.feed(awaited[100:]))
    with pytest.raises(MalformedFrame, match="a frame for nobody: MESSAGE #6"):
        decoder.feed(whole[:100])
    assert [(MESSAGE, 7), (MESSAGE, 6)] == asked


def test_claimed_table_allocates_nothing() -> None:
    """
    A table of the greatest count in a small frame is refused before a list is made for it.
    """
    tracemalloc.start()
    try:
        with pytest.raises(MalformedFrame):
            FrameDecoder(ALL).feed(with_table(0, count=2**32 - 1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000


def fill(decoder: FrameDecoder, data: bytes) -> int:
    """Put bytes into the vacancy, and return how many found room."""
    vacancy = decoder.vacancy()
    assert vacancy is not None
    with vacancy:
        nbytes = min(len(vacancy), len(data))
        vacancy[:nbytes] = data[:nbytes]
    assert [] == decoder.filled(nbytes)
    return nbytes


def test_nonsense_in_the_vacancy_ends_the_stream() -> None:
    """
    A large frame that lies about itself leaves the decoder with an error, however it was read.
    """
    decoder = FrameDecoder(frozenset(NAMES))
    payload = b"\0" * 20 + b"\xff" * GROWTH_NBYTES
    header = HEADER.pack(COUNTED_NBYTES + len(payload), CALL, BUFFERS, PICKLE, 0, 7)
    assert [] == decoder.feed(header)
    nbytes = fill(decoder, payload)
    with pytest.raises(MalformedFrame) as raised:
        fill(decoder, payload[nbytes:])
    assert raised.value is decoder.error
    assert not decoder.is_between_frames


@given(sent=st.lists(frames_to_send(), max_size=4), data=st.data())
def test_read_into_the_vacancy(sent: list[Sent], data: st.DataObject) -> None:
    """
    What is read straight into a decoder's room gives the same frames as what is fed to it.
    """
    stream = b"".join(s.encoded() for s in sent)
    decoder = FrameDecoder(ALL)
    received: list[Frame] = []
    position = 0
    while position < len(stream):
        nbytes = data.draw(st.integers(1, 40) | st.integers(1, len(stream)))
        vacancy = decoder.vacancy() if data.draw(st.booleans()) else None
        if vacancy is None:
            piece = stream[position : position + nbytes]
            received += decoder.feed(piece)
        else:
            with vacancy:
                piece = stream[position : position + min(nbytes, len(vacancy))]
                vacancy[: len(piece)] = piece
            received += decoder.filled(len(piece))
        position += len(piece)
    assert_same(sent, received)
    assert decoder.is_between_frames


def test_no_vacancy_between_frames() -> None:
    """
    There is room to read into only while a frame under way is known to want more.
    """
    decoder = FrameDecoder(TO_WORKER)
    data = joined(encode(MESSAGE, 0, b"x" * 100))
    rooms = []
    for piece in (b"", data[:10], data[10:20], data[20:115], data[115:]):
        decoder.feed(piece)
        vacancy = decoder.vacancy()
        rooms.append(None if vacancy is None else len(vacancy))
        del vacancy
    assert [None, None, 96, 1, None] == rooms


def test_frames_before_a_malformed_one_arrive() -> None:
    """
    A result that left is a result, although noise follows it in the same read.
    """
    good = joined(encode(RESULT, 1, b"value", (), ANSWER_PREFIX.pack(0.5, 5)))
    decoder = FrameDecoder(FROM_WORKER)
    received: list[Frame] = []
    received += decoder.feed(good + good + b"noise in place of a frame")
    with pytest.raises(MalformedFrame):
        decoder.feed(b"more noise")
    assert [(RESULT, 1)] * 2 == [(one.kind, one.ident) for one in received]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (header(13, CALL, MORE, ident=1), header(13, CALL, 0, ident=2)),
        (header(13, CALL, MORE, ident=1), header(13, MESSAGE, 0, ident=1)),
        (header(13, CALL, MORE, ident=1), header(13, CALL, MORE, ident=2)),
    ],
    ids=["other ident", "other kind", "other ident, and more"],
)
def test_pieces_of_different_frames_are_not_joined(first: bytes, second: bytes) -> None:
    """
    Between the pieces of one frame no other frame can stand.
    """
    decoder = FrameDecoder(ALL)
    assert [] == decoder.feed(first + b"a")
    with pytest.raises(MalformedFrame):
        decoder.feed(second + b"b")


def test_prefix_stands_before_the_table() -> None:
    """
    A receiver finds the prefix at the payload's start, with and without buffers.
    """
    prefix = CALL_PREFIX.pack(7, 2)
    for buffers in ([], [b"b" * 100]):
        [received] = decode(joined(encode(CALL, 1, b"pickle", buffers, prefix)))
        assert (7, 2) == CALL_PREFIX.unpack_from(received.payload)
        assert b"pickle" == bytes(received.payload)[CALL_PREFIX.size :][:6]


def test_descriptors_stay_with_their_frames() -> None:
    """
    However early they come, each frame gets its own, in order.
    """
    data = b"".join(
        joined(encode(MESSAGE, ident, b"x" * nbytes, n_fds=n_fds))
        for ident, nbytes, n_fds in [(1, 3, 2), (2, 70_000, 0), (3, 70_000, 1), (4, 0, 1)]
    )
    for step in (1, 7, 1000, len(data)):
        decoder, fds = FrameDecoder(ALL), list("abcd")
        frames = []
        for start in range(0, len(data), step):
            some, fds = fds, []
            frames += decoder.feed(data[start : start + step], some)
        assert [["a", "b"], [], ["c"], ["d"]] == [list(frame.fds) for frame in frames]


def test_descriptors_of_pieces_come_with_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A payload that is cut has its descriptors once.
    """
    monkeypatch.setattr(frame, "MAX_PAYLOAD_NBYTES", 20_000)
    [received] = FrameDecoder(ALL).feed(joined(encode(MESSAGE, 1, b"x" * 50_000, n_fds=1)), ["a"])
    assert ["a"] == received.fds


def test_descriptors_of_no_frame_are_refused() -> None:
    """
    A peer that sends descriptors without end is no peer.
    """
    decoder = FrameDecoder(ALL)
    data = joined(encode(MESSAGE, 1, b"x" * 100))
    decoder.feed(data[:1], [None] * 253)
    decoder.feed(data[1:2], [None] * 253)
    with pytest.raises(MalformedFrame, match="belong to no frame"):
        decoder.feed(data[2:3], [None] * 253)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        encode(MESSAGE, 1, b"")[0][:-1],
        b"".join(map(bytes, encode(MESSAGE, 1, b"a") * 2)),
        b"".join(map(bytes, encode(MESSAGE, 1, b"a" * 5000))),
        b"".join(map(bytes, encode(MESSAGE, 1, b"a", [b"b" * 10]))),
        encode(MESSAGE, 1, b"a", n_fds=1)[0],
        bytes(20),
    ],
    ids=["nothing", "a part", "two", "large", "buffers", "descriptors", "zeros"],
)
def test_only_a_simple_frame_is_taken(data: bytes) -> None:
    """
    Whatever needs a decoder is left to the decoder.
    """
    assert only_frame(data, ALL) is None
