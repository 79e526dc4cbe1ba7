"""
Tests of `webworker_executor.web.port_link`: a stream that is read by whoever wants to.
"""

from __future__ import annotations

import contextlib
import select
import socket
from typing import TYPE_CHECKING

import pytest

from tests.link.interrupts import broken_off, ctrl_c, interrupted_at
from tests.threads import fork_while_held
from webworker_executor import MessageChannel, PortClosedError
from webworker_executor.web.messaging import MessageTarget
from webworker_executor.web.port_link import PortLink
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10.0


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Connect two sockets; the second stands for a peer that writes whatever a test wants."""
    near, far = socket.socketpair()
    far.settimeout(LIMIT)
    with near, far:
        yield near, far


def linked(near: socket.socket) -> tuple[MessageTarget, PortLink]:
    target = MessageTarget()
    return target, PortLink(near, target)


def test_frames_go_both_ways(pair: tuple[socket.socket, socket.socket]) -> None:
    """What is posted is on the socket at once; what comes is in the inbox when it is read."""
    near, far = pair
    target, link = linked(near)
    link.post(encode(MESSAGE, 7, b"x"))
    assert encode(MESSAGE, 7, b"x")[0] == far.recv(100)
    far.sendall(encode(MESSAGE, 8, b"y")[0])
    link.wait(LIMIT)
    assert [8] == [frame.ident for frame in target._inbox]
    link.close()
    assert -1 == link.fileno()


def test_noise_ends_the_link(
    pair: tuple[socket.socket, socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    """What is no frame closes it, and says so; what came before is kept."""
    near, far = pair
    target, link = linked(near)
    far.sendall(bytes(encode(MESSAGE, 1, b"kept")[0]) + b"noise" * 10)
    link.wait(LIMIT)
    assert (True, True, 1) == (link.is_closed, target._has_ended, len(target._inbox))
    assert "can be read no more" in caplog.text
    assert b"" == far.recv(1)


def test_half_a_frame_is_no_frame(pair: tuple[socket.socket, socket.socket]) -> None:
    """A peer that dies in the midst of a frame is gone like any other."""
    near, far = pair
    target, link = linked(near)
    far.sendall(encode(MESSAGE, 1, b"x" * 100)[0][:50])
    far.close()
    for _ in range(3):
        link.wait(0)
    assert (True, True, 0) == (link.is_closed, target._has_ended, len(target._inbox))


def test_a_link_that_is_finished_writes_its_rest(pair: tuple[socket.socket, socket.socket]) -> None:
    """It closes after the last byte, whenever the other side reads it."""
    near, far = pair
    _, link = linked(near)
    parts = encode(MESSAGE, 1, bytes(3_000_000))
    link.post(parts)
    assert not link.is_written
    assert link.unsent_nbytes > 0
    link.finish()
    count = 0
    while data := far.recv(1 << 20):
        count += len(data)
    assert sum(map(len, parts)) == count
    assert link.wait_until_written(LIMIT)


def test_a_frozen_link_neither_reads_nor_writes(pair: tuple[socket.socket, socket.socket]) -> None:
    """What is posted meanwhile is written when it is thawed."""
    near, far = pair
    target, link = linked(near)
    link.freeze()
    link.post(encode(MESSAGE, 1, b"x"))
    far.sendall(encode(MESSAGE, 2, b"y")[0])
    link.wait(0)
    assert (False, 0) == (link.is_written, len(target._inbox))
    link.thaw()
    link.wait(0)
    assert (True, 1) == (link.is_written, len(target._inbox))
    link.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_number_is_kept_while_a_thread_waits_there(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Or it would wait for whatever gets the number next, however long.
    """
    target = MessageTarget()
    link = PortLink(pair[0], target)
    number = link.fileno()

    class Poller:
        def register(self, fd: int, events: int) -> None:
            assert number == fd

        def poll(self, milliseconds: int) -> list[tuple[int, int]]:
            # Here another thread closes the port.
            link.finish()
            assert (True, number) == (link.is_closed, link.fileno())
            return []

    monkeypatch.setattr(select, "poll", Poller)
    link.wait(1.0)
    assert -1 == link.fileno()


def test_a_close_that_was_broken_off_can_be_finished(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A signal handler may raise between any two of its steps.
    """
    target = MessageTarget()
    link = PortLink(pair[0], target)
    link.listen(target)

    def forget() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(link.attention, "forget", forget)
        with pytest.raises(KeyboardInterrupt):
            link.finish()
    link.finish()
    assert -1 == link.fileno()
    assert link.attention._reactor is None


def test_an_end_that_is_broken_off_anywhere_closes_all_the_same() -> None:
    """
    Whoever found it is told of the end, and comes back to the link no more.
    """

    is_through, step = False, 0
    while not is_through:
        with MessageChannel() as channel:
            port = channel.port1
            channel.port2.close()
            with contextlib.suppress(KeyboardInterrupt), interrupted_at(step, ctrl_c):
                with pytest.raises(PortClosedError):
                    port.receive()
                is_through = True
            with pytest.raises(PortClosedError):
                port.receive(LIMIT)
            assert port._link is not None
            assert -1 == port._link.fileno(), step
        step += 1
    assert step > 20


def test_what_a_broken_off_read_has_left_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It is not in the socket any more, and nothing else may come there.
    """
    finds: list[bool] = []

    def polled(link: PortLink, poller: select.poll, milliseconds: int) -> bool:
        finds.append(bool(poller.poll(0)))
        return finds[-1]

    monkeypatch.setattr(PortLink, "_polled", polled)
    got: list[object] = []
    with MessageChannel() as channel:
        channel.port2.post_message("x")
        for step in broken_off(lambda: got.append(channel.port1.receive().data)):
            if not got:
                got.append(channel.port1.receive(LIMIT).data)
            assert ["x"] == got, step
            got.clear()
            channel.port2.post_message("x")
    assert all(finds)


def test_a_forked_copy_closes_what_another_thread_was_using() -> None:
    """
    Whoever posted or read when the program was forked is not in the copy, nor gives a lock back.
    """
    with MessageChannel() as channel:
        port = channel.port1
        link = port._link
        assert link is not None
        port.post_message("before")

        def use() -> bool:
            port.drain(1.0)
            port.close()
            channel.port2.close()
            return port.closed and not port.buffered_amount

        assert 0 == fork_while_held([link._reading, link._lock], use)
        port.post_message("after")
        assert ["before", "after"] == [channel.port2.receive(LIMIT).data for _ in range(2)]
