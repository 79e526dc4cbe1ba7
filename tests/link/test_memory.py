"""
Segments are lent, come back, are used again, and are never more than there may be.
"""

from __future__ import annotations

import errno
import os
import resource
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from tests.threads import run_together
from webworker_executor.link import memory
from webworker_executor.link.exchange import Exchange
from webworker_executor.link.memory import Store
from webworker_executor.link.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from webworker_executor.wire.place import Place

NBYTES = 1 << 18


def put(store: Store, filling: int = 1, nbytes: int = NBYTES) -> list[Place]:
    places = store.shelve([memoryview(bytes([filling]) * nbytes)])
    assert places is not None
    return places


@pytest.fixture
def store() -> Iterator[Store]:
    """
    Make a store of four segments and two megabytes, which is in use.
    """
    store = Store(max_nbytes=1 << 21, max_segments=4)
    account = Exchange([])
    store.join(account)
    yield store
    store.abandon()
    account.close()


def test_a_segment_is_used_again(store: Store) -> None:
    """
    When nobody refers to the lease any more, the next value gets the same segment.
    """
    places = put(store)
    segment = places[0].segment
    other = put(store)
    assert segment != other[0].segment
    del places
    assert segment == put(store)[0].segment
    assert "<Store 2 segments of 524288 B, 1 unused>" == repr(store)


class Crowded(weakref.WeakSet[Any]):
    """A set to which another thread adds whenever somebody takes the next of it."""

    def __init__(self, newcomers: Iterable[object]) -> None:
        super().__init__()
        self.newcomers = iter(newcomers)

    def __iter__(self) -> Iterator[Any]:
        for member in super().__iter__():
            run_together(lambda: self.add(next(self.newcomers)))
            yield member


def test_others_lend_and_join_while_the_segments_are_counted() -> None:
    """
    Whoever makes a segment, or drops one, does not stumble over what other threads add meanwhile.
    """
    store = Store(max_nbytes=1 << 21, max_segments=4)
    others = [Segment(NBYTES) for _ in range(4)]
    store._strays = Crowded(others)
    held = [put(store), put(store)]
    assert 2 * NBYTES == store.nbytes
    accounts = [Exchange([]) for _ in range(6)]
    store.accounts = Crowded(accounts[2:])
    store.join(accounts[0])
    store.join(accounts[1])
    held.append(put(store))
    ident = held.pop()[0].segment
    store.drop_unwanted(ident)
    assert 2 * NBYTES == store.nbytes
    store.abandon()
    for account in accounts:
        account.close()


def test_a_larger_one_will_do(store: Store) -> None:
    """
    A segment of up to twice the size is taken before a new one is made.
    """
    segment = put(store, nbytes=NBYTES)[0].segment
    assert segment == put(store, nbytes=NBYTES * 3 // 4)[0].segment
    assert segment != put(store, nbytes=NBYTES // 4)[0].segment


def test_several_buffers(store: Store) -> None:
    """
    They stand one behind the other, each where an array likes to begin.
    """
    places = store.shelve([memoryview(b"a" * 130_000), memoryview(b"b" * 140_001)])
    assert places is not None
    assert [(0, 130_000), (130_048, 140_001)] == [(p.offset, p.nbytes) for p in places]
    assert 1 == len({place.segment for place in places})


def test_no_more_than_there_may_be(store: Store) -> None:
    """
    Neither more segments nor more bytes; what is unused makes room for what is wanted.
    """
    assert store.shelve([memoryview(bytes(1 << 22))]) is None
    held = [put(store) for _ in range(4)]
    assert store.shelve([memoryview(bytes(NBYTES))]) is None
    held.pop()
    large = put(store, nbytes=1 << 20)
    assert 4 == len(store._kept.segments)
    assert store.shelve([memoryview(bytes(1 << 20))]) is None
    del large, held
    assert store.nbytes <= 1 << 21


def test_idle_segments_go(store: Store) -> None:
    """
    What was not used for some time is dropped; what is in use is not.
    """
    kept = put(store)
    put(store)
    assert store.trim(60.0)
    assert 2 == len(store._kept.segments)
    assert not store.trim(0.0)
    assert 1 == len(store._kept.segments)
    assert kept


def test_without_a_link_nothing_stays() -> None:
    """
    Before the first and after the last link, a segment that comes back is closed.
    """
    store = Store(max_nbytes=1 << 21, max_segments=4)
    before = len(os.listdir("/proc/self/fd"))
    put(store)
    assert before == len(os.listdir("/proc/self/fd"))
    exchange = Exchange([])
    store.join(exchange)
    put(store)
    assert before < len(os.listdir("/proc/self/fd"))
    store.leave(exchange)
    assert before == len(os.listdir("/proc/self/fd"))
    exchange.close()


def test_the_first_segment_of_all_is_used_again(store: Store) -> None:
    """
    It was leased before there was a link; of several of its size one is kept.
    """
    store = Store(max_nbytes=1 << 21, max_segments=4)
    first, second = put(store), put(store)
    assert 2 * NBYTES == store.nbytes
    account = Exchange([])
    store.join(account)
    for places in (first, second):
        store.keep(places[0].lease)
    number = first[0].segment
    del places, first, second
    assert number == put(store)[0].segment
    assert NBYTES == store.nbytes
    store.leave(account)
    account.close()


def test_the_last_link_leaves_what_is_lent_to_its_readers(store: Store) -> None:
    """
    It goes with its lease, and a link that comes later has segments of its own.
    """
    places = put(store)
    for account in tuple(store.accounts):
        store.leave(account)
    assert NBYTES == store.nbytes
    assert 1 == places[0].lease.segment.view()[0]
    later = Exchange([])
    store.join(later)
    other = put(store)
    assert other[0].segment != places[0].segment
    del places
    assert NBYTES == store.nbytes
    later.close()


def test_what_is_not_wanted_any_more_is_not_used_again(store: Store) -> None:
    """
    It goes when the next is wanted, at the latest.
    """
    places = put(store)
    number = places[0].segment
    places[0].lease.segment.is_unwanted = True
    del places
    assert number != put(store)[0].segment
    assert NBYTES == store.nbytes


@pytest.mark.parametrize("limit", [resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE])
def test_what_cannot_be_had_is_no_error(store: Store, limit: int) -> None:
    """
    Without descriptors, or where files must be short, there is no place, and nothing stays open.
    """
    before = os.listdir("/proc/self/fd")
    soft, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (1, hard))
    try:
        assert store.shelve([memoryview(bytes(NBYTES))]) is None
    finally:
        resource.setrlimit(limit, (soft, hard))
    assert before == os.listdir("/proc/self/fd")


def test_no_memory_left_is_no_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A page that cannot be had is an error of a system call, and then there is no place.
    """

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no page left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", refuse)
        assert store.shelve([memoryview(bytes(NBYTES))]) is None
    assert put(store)


def test_a_forked_copy_owns_nothing(store: Store) -> None:
    """
    After a fork the copy starts with an empty store, whatever was lent.
    """
    places = put(store)
    store.abandon()
    assert 0 == store.nbytes
    del places
    assert 0 == sum(map(len, store._kept.buckets.values()))


def test_a_share_of_what_there_is() -> None:
    """
    By default a tenth of the memory, and at most a gigabyte.
    """
    ram = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory._share_of_memory() <= min(ram // 10, 1 << 30)
    assert 0 < memory._share_of_fds() <= 128
