"""
Tests of `webworker_executor.wire.decoder`: a stream that changes its reader in its midst.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.wire import frame
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import MESSAGE

KINDS = frozenset({MESSAGE})


def stream_of(sizes: list[int]) -> bytes:
    limit = frame.MAX_PAYLOAD_NBYTES
    # Small, so that large frames go in pieces.
    frame.MAX_PAYLOAD_NBYTES = 30_000
    try:
        return b"".join(
            bytes(part)
            for number, nbytes in enumerate(sizes)
            for part in encode(MESSAGE, number, bytes(nbytes))
        )
    finally:
        frame.MAX_PAYLOAD_NBYTES = limit


sizes = st.lists(st.integers(0, 100_000), max_size=5)


@given(sizes, st.data())
def test_another_decoder_goes_on_from_the_residue(sizes: list[int], data: st.DataObject) -> None:
    """Whatever the cut, what one has kept is all that the next one needs."""
    stream = stream_of(sizes)
    cut = data.draw(st.integers(0, len(stream)))
    first, second = FrameDecoder(KINDS), FrameDecoder(KINDS)
    frames = first.feed(stream[:cut]) if cut else []
    rest, fds = first.residue()
    assert [] == fds
    if rest:
        frames += second.feed(rest)
    if stream[cut:]:
        frames += second.feed(stream[cut:])
    assert list(enumerate(sizes)) == [(each.ident, len(each.payload)) for each in frames]
    assert second.is_between_frames


@given(sizes, st.data())
def test_a_copy_that_is_fed_leaves_the_first_as_it_was(
    sizes: list[int], data: st.DataObject
) -> None:
    """The same bytes may be fed again, to another copy, with the same outcome."""
    stream = stream_of(sizes)
    cut = data.draw(st.integers(0, len(stream)))
    decoder = FrameDecoder(KINDS)
    frames = decoder.feed(stream[:cut]) if cut else []
    if stream[cut:]:
        outcomes = [decoder.copied().feed(stream[cut:]) for _ in range(2)]
        found = [[(each.ident, len(each.payload)) for each in outcome] for outcome in outcomes]
        assert found[0] == found[1]
        frames += outcomes[1]
    assert list(enumerate(sizes)) == [(each.ident, len(each.payload)) for each in frames]


@pytest.mark.parametrize("nbytes", [10, 1 << 20])
def test_what_is_forgotten_is_nowhere(nbytes: int) -> None:
    """
    Of a frame that will never come whole, small or large.
    """
    decoder = FrameDecoder(KINDS)
    stream = b"".join(encode(MESSAGE, 1, bytes(nbytes), n_fds=1))
    assert [] == decoder.feed(stream[:-1], ["descriptor"])
    decoder.forget()
    assert (b"", []) == decoder.residue()
    assert decoder.is_between_frames
