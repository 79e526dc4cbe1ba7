"""
Promises of the wire decoders about any bytes at all, as functions of bytes.

For: a fuzzer, which looks for bytes that make one of them raise, hang or grow (``python -m
tests.fuzz``), and ``test_targets``, which tries what it found and some more in every run.
A changer must know: the first byte of the input says how the rest is cut, so that what was found
once stays worth keeping.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from webworker_executor.wire.decoder import GROWTH_NBYTES, FrameDecoder, MalformedFrame, only_frame
from webworker_executor.wire.dump import fatal_dump, thread_dump
from webworker_executor.wire.kinds import FROM_SCRIPT, FROM_WORKER, TO_WORKER
from webworker_executor.wire.place import read_places
from webworker_executor.wire.plain import FROM_WORKER as GREETING
from webworker_executor.wire.plain import PlainDecoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webworker_executor.wire.frame import Frame

KINDS = (FROM_WORKER, TO_WORKER, FROM_SCRIPT)
"""Whose frames a decoder takes: the host's from a worker, a worker's, the host's from a script."""

Told = tuple[int, int, bytes, list[bytes | str], int]
"""What tells one frame from another: kind, ident, payload, buffers, number of descriptors."""


def cuts(data: bytes, step: int) -> Iterator[bytes]:
    """Cut bytes into pieces of ``step`` bytes; all at once for 0."""
    step = step or len(data) or 1
    for start in range(0, len(data), step):
        yield data[start : start + step]


def decode(data: bytes, kinds: frozenset[int], step: int) -> tuple[list[Told], bool, FrameDecoder]:
    """
    Have a decoder take a stream to its end, or to where it is none.

    Returns:
        The frames, whether the stream was found to be none, and the decoder.
    """
    decoder = FrameDecoder(kinds)
    frames: list[Frame] = []
    for piece in cuts(data, step):
        try:
            frames += decoder.feed(piece)
        except MalformedFrame:
            return list(map(tell, frames)), True, decoder
        if decoder.error is not None:
            return list(map(tell, frames)), True, decoder
    return list(map(tell, frames)), False, decoder


def tell(frame: Frame) -> Told:
    """Say what a frame is, in values that can be compared."""
    buffers = [
        bytes(buffer) if isinstance(buffer, memoryview) else repr(buffer)
        for buffer in frame.buffers
    ]
    return frame.kind, frame.ident, bytes(frame.payload), buffers, len(frame.fds)


def frames(data: bytes) -> None:
    """Any bytes are frames or none, the same however they are cut, and cost what they weigh."""
    step, data = data[0] if data else 0, data[1:]
    for kinds in KINDS:
        whole, is_bad, decoder = decode(data, kinds, 0)
        assert (whole, is_bad) == decode(data, kinds, step)[:2], "how it is cut makes a difference"
        carried = sum(len(payload) + sum(map(len, buffers)) for _, _, payload, buffers, _ in whole)
        # The text that stands for a place in memory is longer than its sixteen bytes.
        assert carried <= 8 * len(data) + 64, "more came out than went in"
        if is_bad:
            continue
        residue, fds = decoder.residue()
        assert len(residue) <= len(data) + 16
        assert not fds
        room = decoder.vacancy()
        assert room is None or len(room) <= max(len(data), GROWTH_NBYTES), "a claim was believed"
        resumed = FrameDecoder(kinds)
        resumed.feed(residue)
        assert residue == resumed.residue()[0], "what was kept cannot be read on"
        only = only_frame(data, kinds)
        assert only is None or [tell(only)] == whole


def plain(data: bytes) -> None:
    """The raw profile gives the same messages however its bytes are cut, and none too long."""
    step, data = data[0] if data else 0, data[1:]
    told = []
    for width in (0, step):
        decoder = PlainDecoder(GREETING, max_nbytes=1 << 16)
        messages: list[bytes] = []
        is_bad = False
        try:
            for piece in cuts(data, width):
                messages += decoder.feed(piece)
        except MalformedFrame:
            is_bad = True
        told.append((is_bad, messages if not is_bad else None))
        assert sum(map(len, messages)) <= len(data)
        assert all(len(message) <= 1 << 16 for message in messages)
    assert told[0] == told[1], "how it is cut makes a difference"


def places(data: bytes) -> None:
    """A table of places names no more than it has room for."""
    try:
        pickled, named = read_places(memoryview(data))
    except ValueError:
        return
    (count,) = struct.unpack_from(">I", data)
    assert count == len(named)
    assert len(data) == 20 + 16 * count + len(pickled)


def dumps(data: bytes) -> None:
    """Text of a dying process is read to its end, whatever stands in it."""
    text = data.decode(errors="replace")
    assert thread_dump(text) in text
    fatal = fatal_dump(text)
    assert fatal is None or fatal.startswith("Fatal Python error: ".strip())


TARGETS: dict[str, Callable[[bytes], None]] = {
    "frames": frames,
    "plain": plain,
    "places": places,
    "dumps": dumps,
}
"""By name."""
