"""
Tests of `webworker_executor.web.lent`: large messages in shared memory, whichever way they go.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance import holders
from tests.conformance.holders import Block
from tests.link.interrupts import ctrl_c, interrupted_after
from tests.patience import wait_until
from tests.threads import run_together
from webworker_executor import MessageChannel, WebWorkerExecutor, Worker
from webworker_executor.link.loan import MAX_LOANS, lender
from webworker_executor.link.memory import store
from webworker_executor.web import lent
from webworker_executor.web.host import host
from webworker_executor.web.message import LENT, LENT_NBYTES
from webworker_executor.wire.frame import MAX_FDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webworker_executor import MessagePort

LIMIT = 10.0
NBYTES = 1 << 20


@pytest.fixture
def channel() -> Iterator[MessageChannel]:
    """Make a channel, and close both ends in the end; then nothing is lent any more."""
    with MessageChannel() as channel:
        yield channel
    assert ({}, 0) == (lender._lent, len(store._kept.segments))


def taken(port: MessagePort) -> Block:
    data = port.receive(LIMIT).data
    assert isinstance(data, Block)
    return data


def test_a_large_block_arrives_as_the_receivers_own(channel: MessageChannel) -> None:
    """It is writable; neither the sender's changes nor later messages show in it."""
    block = Block.of(b"first", NBYTES)
    channel.port1.post_message(block)
    block.view[:5] = b"later"
    frames = channel.port2._inbox
    channel.port2._look()
    assert LENT == frames[0].ident
    first = taken(channel.port2)
    assert b"first" == first.start(5)
    first.view[:5] = b"FIRST"
    for number in range(10):
        channel.port1.post_message(Block.of(b"%d" % number, NBYTES))
        assert b"%d" % number == taken(channel.port2).start(1)
    assert b"FIRST" == first.start(5)
    # The first is still looked at, and the others take turns.
    assert len(store._kept.segments) <= 3


def test_all_that_wait_arrive_whoever_moves(channel: MessageChannel) -> None:
    """Messages that wait in a port move with it; the process that gets it was never told."""
    with MessageChannel() as other, WebWorkerExecutor(1) as executor:
        for number in range(5):
            other.port1.post_message(Block.of(b"%d" % number, NBYTES))
        assert other.port2.receive_nowait() is not None
        channel.port1.post_message(None, [other.port2])
        moved = channel.port2.receive(LIMIT).ports[0]
        future = executor.submit(holders.collect_starts, moved)
        other.port1.close()
        assert [b"1", b"2", b"3", b"4"] == future.result(LIMIT)


@pytest.mark.slow
def test_workers_and_tasks_take_and_give() -> None:
    """Every target of messages does the same, in both directions."""
    echo = "def onmessage(event): post_message(event.data)"
    with Worker(source=echo) as worker, WebWorkerExecutor(1) as executor:
        future = executor.submit(holders.echo_to_task)
        for target in (worker, future.messages()):
            for number in range(3):
                target.post_message(Block.of(b"%d" % number, NBYTES))
                assert b"%d" % number == target.receive(LIMIT).data.start(1)
        future.post_message(None)
        future.result(LIMIT)
    assert {} == lender._lent


def test_more_than_the_store_has_goes_through_the_socket(
    channel: MessageChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever keeps all that comes gets it all the same."""
    monkeypatch.setattr(store, "max_nbytes", 3 * NBYTES)
    kept: list[Block] = []
    for number in range(10):
        channel.port1.post_message(Block.of(b"%d" % number, NBYTES))
        kept.append(taken(channel.port2))
    assert [b"%d" % number for number in range(10)] == [block.start(1) for block in kept]
    assert len(store._kept.segments) <= 3


def test_whoever_keeps_many_has_copies(channel: MessageChannel) -> None:
    """Beyond some messages that are kept, each is the receiver's own memory, and no descriptor."""
    before = len(os.listdir("/proc/self/fd"))
    kept: list[Block] = []
    for number in range(3 * MAX_LOANS):
        channel.port1.post_message(Block.of(b"%03d" % number, LENT_NBYTES))
        kept.append(taken(channel.port2))
    assert [b"%03d" % number for number in range(3 * MAX_LOANS)] == [
        block.start(3) for block in kept
    ]
    assert len(store._kept.segments) <= MAX_LOANS + 1
    # The lender's, and before Python 3.13 as many for the mappings of either side.
    assert len(os.listdir("/proc/self/fd")) - before <= 3 * (MAX_LOANS + 1)
    del kept
    channel.port1.post_message(Block.of(b"new", LENT_NBYTES))
    assert b"new" == taken(channel.port2).start(3)


def test_without_a_descriptor_it_goes_through_the_socket(
    channel: MessageChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that has all the descriptors it may have, or finds none, is not held up."""
    with open(os.devnull) as file:
        channel.port1.post_message(Block.of(b"full", NBYTES), fds=[file] * MAX_FDS)
        event = channel.port2.receive(LIMIT)
        for fd in event.fds:
            os.close(fd)
    assert (b"full", MAX_FDS) == (event.data.start(4), len(event.fds))
    with monkeypatch.context() as patch:

        def refuse(lease: Any) -> None:
            return None

        patch.setattr(lender, "open", refuse)
        channel.port1.post_message(Block.of(b"none", NBYTES))
    assert b"none" == taken(channel.port2).start(4)


def test_memory_that_did_not_come_along_is_an_error(channel: MessageChannel) -> None:
    """A message that names what is not there is told like any that cannot be unpacked."""
    channel.port1.post_message(Block.of(b"lost", NBYTES))
    channel.port2._look()
    channel.port2._inbox[0].fds = ()
    with pytest.raises(ValueError, match="did not come along"):
        channel.port2.receive(LIMIT)


@pytest.mark.slow
def test_what_nobody_uses_is_given_back_while_nobody_posts(
    channel: MessageChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the host has threads, they see to it, and do so again after some idle time."""
    monkeypatch.setattr(lent, "TEND_SECONDS", 0.01)
    monkeypatch.setattr(lent, "IDLE_SECONDS", 0.0)
    with MessageChannel() as other:
        other.port1.onmessage = print
        for _ in range(2):
            for number in range(4):
                channel.port1.post_message(Block.of(b"%d" % number, NBYTES))
            assert store._kept.segments
            for _ in range(4):
                taken(channel.port2)
            wait_until(lambda: not store._kept.segments)
            assert {} == lender._lent


def test_without_threads_of_the_host_the_next_message_sees_to_it(
    channel: MessageChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is started for this."""
    monkeypatch.setattr("webworker_executor.link.memory.Store.trim.__defaults__", (0.0,))
    for number in range(4):
        channel.port1.post_message(Block.of(b"%d" % number, NBYTES))
    assert 4 == len(store._kept.segments)
    for _ in range(4):
        taken(channel.port2)
    channel.port1.post_message(Block.of(b"5", NBYTES))
    assert 1 == len(store._kept.segments)
    assert host.reactor is None


def test_what_nobody_has_taken_is_counted(channel: MessageChannel) -> None:
    """The writer sees it, and can wait until the reader has it; who keeps it holds nobody up."""
    for number in range(4):
        channel.port1.post_message(Block.of(b"%d" % number, NBYTES))
    assert 4 * NBYTES == channel.port1.buffered_amount
    with pytest.raises(TimeoutError, match=f"^{4 * NBYTES} bytes still wait in <MessagePort open"):
        channel.port1.drain(0.01)
    # Read, and not received: it still waits.
    channel.port2._look()
    assert 4 * NBYTES == channel.port1.buffered_amount
    kept = [taken(channel.port2)]
    assert 3 * NBYTES == channel.port1.buffered_amount
    with ThreadPoolExecutor(1) as thread:
        drained = thread.submit(channel.port1.drain, LIMIT)
        kept += [taken(channel.port2) for _ in range(3)]
        assert drained.result(LIMIT) is None
    assert 0 == channel.port1.buffered_amount
    assert [b"0", b"1", b"2", b"3"] == [block.start(1) for block in kept]


@pytest.mark.parametrize("whose", ["port1", "port2"])
def test_a_wait_for_the_reader_ends_with_either_side(channel: MessageChannel, whose: str) -> None:
    """What nobody will ever take is not waited for."""
    channel.port1.post_message(Block.of(b"lost", NBYTES))
    with ThreadPoolExecutor(1) as thread:
        drained = thread.submit(channel.port1.drain)
        getattr(channel, whose).close()
        assert drained.result(LIMIT) is None
    assert 0 == channel.port1.buffered_amount


@pytest.mark.slow
def test_what_goes_on_with_a_port_is_counted_until_it_is_taken_there(
    channel: MessageChannel,
) -> None:
    """The process that has the port by then has never heard of the writer."""
    with MessageChannel() as other, WebWorkerExecutor(1) as executor:
        other.port1.post_message(Block.of(b"1", NBYTES))
        channel.port1.post_message(None, [other.port2])
        assert NBYTES == other.port1.buffered_amount
        moved = channel.port2.receive(LIMIT).ports[0]
        assert NBYTES == other.port1.buffered_amount
        future = executor.submit(holders.echo, moved)
        other.port1.drain(LIMIT)
        assert b"1" == taken(other.port1).start(1)
        other.port1.close()
        assert 1 == future.result(LIMIT)


def test_a_handler_ends_a_wait_for_the_reader(channel: MessageChannel) -> None:
    """What it raises comes out."""
    channel.port1.post_message(Block.of(b"1", NBYTES))
    with pytest.raises(KeyboardInterrupt), interrupted_after("sleep", ctrl_c):
        channel.port1.drain(LIMIT)
    assert NBYTES == channel.port1.buffered_amount


@pytest.mark.slow
def test_what_workers_and_tasks_have_not_taken_is_counted() -> None:
    """Whatever is posted to tells so, and waits for its reader."""
    with Worker(source="def onmessage(event): post_message(event.data)") as worker:
        worker.post_message(Block.of(b"1", NBYTES))
        worker.drain(LIMIT)
        assert (b"1", 0) == (worker.receive(LIMIT).data.start(1), worker.buffered_amount)
    with WebWorkerExecutor(1) as executor:
        future = executor.submit(holders.echo_to_task)
        future.post_message(Block.of(b"2", NBYTES))
        future.messages().drain(LIMIT)
        assert (b"2", 0) == (
            future.messages().receive(LIMIT).data.start(1),
            future.messages().buffered_amount,
        )
        # Between two tasks a worker would take it; this one is busy.
        place = executor.workers[0]
        place.post_message(Block.of(b"3", NBYTES))
        assert NBYTES == place.buffered_amount
        with pytest.raises(TimeoutError, match=f"^{NBYTES} bytes still wait in <PoolWorker 0"):
            place.drain(0.01)
        future.post_message(None)
        future.result(LIMIT)


def test_many_threads_lend_at_once() -> None:
    """They share the segments, and nobody writes where another one's reader looks."""

    def talk(name: int) -> None:
        with MessageChannel() as channel:
            kept: list[tuple[bytes, Block]] = []
            for number in range(30):
                text = b"%d-%03d" % (name, number)
                channel.port1.post_message(Block.of(text * 50_000, LENT_NBYTES))
                kept.append((text, taken(channel.port2)))
                if len(kept) > 3:
                    expected, block = kept.pop(0)
                    assert expected * 50_000 == block.start(len(expected) * 50_000)

    run_together(*[partial(talk, name) for name in range(4)])
    assert ({}, 0) == (lender._lent, len(store._kept.segments))
