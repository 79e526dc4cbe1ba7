"""
Tests of `webworker_executor.link.lending`: what a link does before a frame that lends memory.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

from tests.pool.strike import Strike
from webworker_executor.link.lending import Lending
from webworker_executor.link.memory import store
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.frame import Frame, encode
from webworker_executor.wire.kinds import MESSAGE, NAMES

if TYPE_CHECKING:
    import pytest

    from webworker_executor.link.reactor import Reactor


def make(reactor: Reactor) -> tuple[Lending, FrameDecoder, list[Any]]:
    decoder, queued = FrameDecoder(frozenset(NAMES)), list[Any]()
    return Lending(reactor, decoder, queued.append, lambda: None), decoder, queued


def test_who_lends_nothing_pays_nothing(reactor: Reactor) -> None:
    """
    A link without large buffers has no account, and its frames pass as they are.
    """
    lending, _, queued = make(reactor)
    frames = [Frame(MESSAGE, 0, b"")]
    assert frames is lending.resolved(frames)
    parts = [b"a frame"]
    assert (queued.append, (7, parts, ())) == lending.ready(queued.append, parts, ())
    lending.close()
    assert not lending.is_used
    assert [] == queued


def test_sharing_opens_an_account(reactor: Reactor) -> None:
    """
    The first frame that names shared memory makes what answers for it.
    """
    lending, decoder, _ = make(reactor)
    decoder.is_sharing = True
    assert [] == lending.resolved([])
    assert lending.is_used
    assert not decoder.is_sharing
    lending.close()


def test_two_threads_that_share_first_have_one_account(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Whoever submits lends, while the reactor hears of what was lent to it.
    """
    lending, _, queued = make(reactor)
    both, bell = threading.Barrier(2, timeout=20.0), reactor.bell

    def bell_of_both(call: Any) -> Any:
        both.wait()
        return bell(call)

    monkeypatch.setattr(reactor, "bell", bell_of_both)

    def lend(number: int) -> None:
        places = store.shelve([memoryview(bytes(1 << 18))])
        assert places is not None
        put, what = lending.ready(queued.append, encode(MESSAGE, number, b"", places), ())
        put(what)

    threads = [threading.Thread(target=lend, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Each of the two is noted as lent: its end will be told once.
    assert 2 == sum(map(len, lending._shared()._lent.values()))
    lending.close()
    queued.clear()


def test_a_handler_that_raises_where_memory_is_lent(reactor: Reactor) -> None:
    """
    A loan is noted if its frame is queued, and only then; what came back is told once.
    """
    for number in itertools.count(1):
        lending, _, queued = make(reactor)
        places = store.shelve([memoryview(bytes(1 << 18))])
        assert places is not None
        parts = encode(MESSAGE, 0, b"", places)
        exchange = lending._shared()
        note = (4, [b"note"], ())
        exchange._notes.append(note)

        def post(
            lending: Lending = lending, queued: list[Any] = queued, parts: Any = parts
        ) -> None:
            put, what = lending.ready(queued.append, parts, ())
            put(what)

        strike = Strike(post.__qualname__, number)
        strike.during(post)
        n_lent = sum(map(len, exchange._lent.values()))
        assert sum(each[1] is parts for each in queued) == n_lent, strike.where
        assert 1 == [*queued, *exchange._notes].count(note), strike.where
        lending.close()
        if not strike.where:
            break
    assert number > 5


def test_what_is_lent_over_a_link_that_has_just_been_closed(reactor: Reactor) -> None:
    """
    A worker may die while its first large task is posted: no segment is kept for it.
    """
    lending, _, queued = make(reactor)
    places = store.shelve([memoryview(bytes(1 << 18))])
    assert places is not None
    parts = encode(MESSAGE, 0, b"", places)
    lending.close()
    queue, what = lending.ready(queued.append, parts, ())
    queue(what)
    queued.clear()
    del places, parts, queue, what
    assert [] == list(store.accounts)
    assert 0 == store.nbytes
