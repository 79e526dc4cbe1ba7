"""
Tests of `webworker_executor.link.plain`: a stream of bytes between the reactor and a program.
"""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

import pytest

from tests.link.interrupts import broken_off
from tests.patience import wait_until
from webworker_executor.link.fds import socket_pair
from webworker_executor.link.plain import PlainLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webworker_executor.link.reactor import Reactor

SECONDS = 10.0


class Other:
    """
    A link, the other end of its socket, and what the link tells.
    """

    def __init__(self, reactor: Reactor) -> None:
        near, self.end = socket_pair()
        self.end.settimeout(SECONDS)
        self.told: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.link = PlainLink(near, reactor, self.told.put, lambda: self.told.put("end"))

    def next(self) -> object:
        """
        Wait for what the link tells next.
        """
        return self.told.get(timeout=SECONDS)

    def read(self, nbytes: int) -> bytes:
        """
        Read exactly so many bytes.
        """
        data = b""
        while len(data) < nbytes:
            data += self.end.recv(nbytes - len(data))
        return data


@pytest.fixture
def other(reactor: Reactor) -> Iterator[Other]:
    """
    Connect a link to a socket.
    """
    other = Other(reactor)
    yield other
    other.end.close()
    reactor.call_soon(other.link.close)
    reactor.call_soon(lambda: other.told.put("closed"))
    while other.next() != "closed":
        pass


def test_both_ways(other: Other) -> None:
    """
    What is sent arrives, what comes is told, and so is that it was sent.
    """
    other.link.send(b"hello", other.told.put)
    assert True is other.next()
    assert b"hello" == other.read(5)
    other.end.sendall(b"answer")
    assert b"answer" == other.next()


def test_more_than_the_kernel_takes(other: Other) -> None:
    """
    Sending never waits; what has gone is told when it has, in order.
    """

    def tell(number: int) -> Callable[[bool], object]:
        return lambda was_sent: other.told.put((number, was_sent))

    for number in range(3):
        other.link.send(bytes([number]) * 1_000_000, tell(number))
    other.link.send(b"", tell(3))
    assert other.link.unsent_nbytes > 1_000_000
    for number in range(3):
        assert {number} == set(other.read(1_000_000))
    assert [(n, True) for n in range(4)] == [other.next() for _ in range(4)]
    assert 0 == other.link.unsent_nbytes


def test_the_end_comes_after_the_bytes(other: Other) -> None:
    """
    What was written before the end is told before it; later sends are told to be lost.
    """
    other.end.sendall(b"last")
    other.end.close()
    assert b"last" == other.next()
    assert "end" == other.next()
    other.link.send(b"lost", other.told.put)
    assert False is other.next()


def test_a_reset_is_an_end(other: Other, reactor: Reactor) -> None:
    """
    A program that leaves without having read everything has ended, no more.
    """
    other.link.send(b"unread", other.told.put)
    assert True is other.next()
    other.end.close()
    assert "end" == other.next()
    assert "closed" in repr(other.link)


def test_what_was_not_sent_when_it_closes(other: Other, reactor: Reactor) -> None:
    """
    Everything that was queued is told of, exactly once.
    """
    other.link.send(bytes(5_000_000), other.told.put)
    reactor.call_soon(other.link.close)
    assert False is other.next()
    assert other.told.empty()


def test_a_send_that_a_signal_handler_breaks_off(other: Other) -> None:
    """
    It has gone or not; what is sent after it goes, and nothing seems to wait that does not.
    """
    for step in broken_off(lambda: other.link.send(b"a", lambda _: None)):
        wait_until(lambda: not other.link.unsent_nbytes)
        other.link.send(b"b", other.told.put)
        assert other.next() is True, step
        assert 0 == other.link.unsent_nbytes, step
        if other.read(1) == b"a":
            assert b"b" == other.read(1), step
