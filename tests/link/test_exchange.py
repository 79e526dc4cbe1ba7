"""
Two ends of a link keep one account of what was lent.
"""

from __future__ import annotations

import gc
import itertools
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.pool.strike import Strike
from webworker_executor.link import exchange as module
from webworker_executor.link.exchange import Exchange
from webworker_executor.link.memory import store
from webworker_executor.link.rights import Descriptor
from webworker_executor.wire.decoder import FrameDecoder, MalformedFrame
from webworker_executor.wire.frame import Frame, encode
from webworker_executor.wire.kinds import MESSAGE, NAMES, RELEASE, SEGMENT
from webworker_executor.wire.place import LentParts, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

NBYTES = 1 << 18


class Pair:
    """
    The two ends, and a wire that is a function.
    """

    def __init__(self) -> None:
        self.wakes: list[str] = []
        self.owner = Exchange([partial(self.wakes.append, "owner")])
        self.reader = Exchange([partial(self.wakes.append, "reader")])
        self.known: list[int] = []

    def send(self, filling: int, nbytes: int = NBYTES) -> list[Any]:
        """Lend a value, and return the buffers that the reader sees."""
        places = store.shelve([memoryview(bytes([filling]) * nbytes)])
        assert places is not None
        parts = encode(MESSAGE, 0, b"", places)
        assert isinstance(parts, LentParts)
        del places
        return self.resend(parts)

    def resend(self, parts: LentParts) -> list[Any]:
        decoder = FrameDecoder(frozenset(NAMES))
        frames: list[Frame] = []
        queued: list[Any] = []
        lend, lease = self.owner.lend(parts.lease, queued.append)
        lend(lease)
        for _, (announcement,), fds in queued:
            copies = [Descriptor.copy_of(fd.fileno()) for fd in fds]
            frames += decoder.feed(announcement, copies)
            self.known.append(frames[-1].ident)
        frames += decoder.feed(b"".join(parts))
        (frame,) = self.reader.resolve(frames)
        return list(frame.buffers)

    def settle(self) -> list[Frame]:
        """Carry the notes of both sides across; return them."""
        passed = []
        for ours, theirs in ((self.reader, self.owner), (self.owner, self.reader)):
            frames = FrameDecoder(frozenset(NAMES)).feed(ours.notes())
            assert [] == theirs.resolve(frames)
            passed += frames
        return passed

    def close(self) -> None:
        """Close both ends."""
        self.owner.close()
        self.reader.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    """
    Make two ends, and close them.
    """
    pair = Pair()
    yield pair
    pair.close()


def n_unused() -> int:
    return sum(map(len, store._kept.buckets.values()))


def test_a_segment_is_made_known_once(pair: Pair) -> None:
    """
    Its descriptor goes with the first value, and the memory is used for the next.
    """
    for filling in range(5):
        buffers = pair.send(filling)
        assert bytes([filling]) * NBYTES == buffers[0]
        del buffers
        assert [RELEASE] == [frame.kind for frame in pair.settle()]
    assert 1 == len(pair.known)
    assert ["reader"] * 5 == pair.wakes
    assert 1 == n_unused()


def test_what_is_kept_is_not_used(pair: Pair) -> None:
    """
    As long as the reader looks at a value its memory is no other value's.
    """
    kept = pair.send(1)
    other = pair.send(2)
    assert bytes([1]) * NBYTES == kept[0]
    assert 2 == len(pair.known)
    assert 0 == n_unused()
    del other
    pair.settle()
    assert 1 == n_unused()


def test_a_frame_that_may_be_sent_again_keeps_its_memory(pair: Pair) -> None:
    """
    It is unused only when the frame is gone and every reader has given it back.
    """
    places = store.shelve([memoryview(bytes(NBYTES))])
    assert places is not None
    parts = encode(MESSAGE, 0, b"", places)
    del places
    assert isinstance(parts, LentParts)
    first, second = pair.resend(parts), pair.resend(parts)
    del first
    pair.settle()
    assert 0 == n_unused()
    del parts
    assert 0 == n_unused()
    del second
    pair.settle()
    assert 1 == n_unused()


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_handler_that_raises_where_memory_comes_back(is_closed: bool) -> None:
    """
    It is told once, wherever it strikes, and nothing is kept for it.
    """
    for number in itertools.count(1):
        pair = Pair()
        pair.send(1)
        (mapping,) = pair.reader._mappings.values()
        queued: list[Any] = []

        def tell(pair: Pair = pair, queued: list[Any] = queued) -> None:
            pair.reader.hand_over(queued.append)

        call = pair.reader.close if is_closed else tell
        strike = Strike("Exchange.close" if is_closed else "Exchange.hand_over", number)
        strike.during(call)
        call()
        assert int(not is_closed) == len(queued), strike.where
        assert 0 == mapping.n_loans, strike.where
        assert not pair.reader.has_notes, strike.where
        pair.close()
        if not strike.where:
            break
    assert number > 3


def test_a_handler_that_raises_where_a_segment_goes(pair: Pair) -> None:
    """
    Whoever knows of it is told.
    """
    for number in itertools.count(1):
        pair.send(1)
        pair.settle()
        (ident,) = pair.owner._lent
        strike = Strike("Exchange.forget", number)
        strike.during(partial(pair.owner.forget, ident))
        pair.owner.forget(ident)
        assert [SEGMENT] == [frame.kind for frame in pair.settle()], strike.where
        if not strike.where:
            break
    assert number > 2


def test_a_dead_reader_gives_everything_back(pair: Pair) -> None:
    """
    When the link closes what was lent is free, and the reader's values stay as they are.
    """
    others = Pair()
    places = others.send(9)
    kept = pair.send(1)
    pair.owner.close()
    assert 1 == n_unused()
    # The memory was forgotten by that link, but it is the same: so the reader must be dead.
    assert kept
    del places
    others.settle()
    others.close()
    pair.close()
    del kept


def test_values_outlive_their_owner(pair: Pair) -> None:
    """
    A mapping is good when both ends are closed, and everything is given back at its end.
    """
    kept = pair.send(5)
    pair.close()
    assert bytes([5]) * NBYTES == kept[0]
    kept[0][0] = 1


def test_lending_to_the_dead(pair: Pair) -> None:
    """
    What is lent on a link that was closed comes back at once.
    """
    other = Pair()
    assert other.send(1)
    other.settle()
    pair.owner.close()
    pair.send(2)
    assert 0 == sum(map(len, pair.owner._lent.values()))
    other.close()


def test_what_nobody_uses_is_given_back(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    After some time both sides drop an unused segment, whoever notices first.
    """
    pair.send(1)
    pair.settle()
    assert 1 == n_unused()
    monkeypatch.setattr(module, "IDLE_SECONDS", -1.0)
    assert pair.reader.tend()
    kinds = [frame.kind for frame in pair.settle()]
    assert [RELEASE, SEGMENT] == kinds
    assert 0 == n_unused()
    assert not pair.reader.tend()
    assert "<Exchange 0 lent, 0 mapped>" == repr(pair.reader)


@pytest.mark.parametrize("what", ["unknown", "beyond", "never lent"])
def test_a_liar_is_found_out(pair: Pair, what: str) -> None:
    """
    A place in no segment, a place beyond one, and what was never lent are malformed.
    """
    pair.send(1)
    pair.settle()
    (ident,) = pair.known
    frame = Frame(MESSAGE, 0, b"", [Place(ident + 1000, 0, 10)])
    if what == "beyond":
        frame = Frame(MESSAGE, 0, b"", [Place(ident, 1 << 30, 10)])
    elif what == "never lent":
        frame = Frame(RELEASE, ident, b"")
    end = pair.owner if what == "never lent" else pair.reader
    with pytest.raises(MalformedFrame):
        end.resolve([frame])


class Reviver:
    """
    A piece of garbage that comes back.
    """

    revived: ClassVar[list[Any]] = []

    def __init__(self, buffers: Any) -> None:
        self.buffers = buffers
        self.me = self

    def __del__(self) -> None:
        self.revived.append(self.buffers)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="a mapping cannot be asked there")
def test_what_comes_back_from_the_dead_keeps_its_memory(pair: Pair) -> None:
    """
    A value that a finalizer saves from the garbage collection is not written over.
    """
    Reviver(pair.send(1))
    gc.collect()
    assert [] == pair.settle()
    assert bytes([1]) * NBYTES == Reviver.revived[0][0]
    assert 0 == n_unused()
    Reviver.revived.clear()
    assert [RELEASE] == [frame.kind for frame in pair.settle()]
    assert 1 == n_unused()


def test_a_lease_in_a_cycle(pair: Pair) -> None:
    """
    A frame that the garbage collection finds gives its segment back in good order.
    """
    for filling in range(3):
        places = store.shelve([memoryview(bytes([filling]) * NBYTES)])
        assert places is not None
        cycle: list[Any] = [places]
        cycle.append(cycle)
        del cycle, places
        gc.collect()
    pair.send(7)
    assert 1 == len(pair.known)


def test_a_forked_copy_says_nothing(pair: Pair) -> None:
    """
    In a copy of the process values end without a word to anybody.
    """
    kept = pair.send(1)
    pair.reader.disown()
    del kept
    assert [] == pair.wakes
    assert not pair.reader.has_notes
