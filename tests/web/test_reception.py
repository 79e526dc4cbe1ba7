"""
Tests of `webworker_executor.web.reception`: who is heard, and when.
"""

from __future__ import annotations

import itertools
import os
import queue
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.limits import no_descriptor
from tests.patience import wait_until
from webworker_executor.link.reactor import Reactor
from webworker_executor.web import realm, reception
from webworker_executor.web.reception import Reception

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10.0


class Desk:
    """A reception, and the calls that it has taken."""

    def __init__(self) -> None:
        self.address = f"{realm.prefix('test', 'reception')}{os.getpid()}"
        self.taken: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self.reception = Reception(self.address, socket.SOCK_STREAM, self.taken.put)

    def call(self) -> socket.socket:
        """Call it."""
        end = socket.socket(socket.AF_UNIX)
        try:
            end.connect(b"\0" + self.address.encode())
        except BaseException:
            end.close()
            raise
        return end

    def take(self) -> bytes:
        """Return the first word of the next call."""
        with self.taken.get(timeout=LIMIT) as end:
            end.settimeout(LIMIT)
            return end.recv(9)


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Have a reception that is watched by a reactor of its own."""
    desk, reactor = Desk(), Reactor()
    reactor.start()
    desk.reception.open(reactor)
    yield desk
    desk.reception.close()
    reactor.stop()
    reactor.join()


def test_each_call_is_taken(desk: Desk) -> None:
    """In the order of their coming."""
    for word in (b"one", b"two"):
        with desk.call() as caller:
            caller.sendall(word)
            assert word == desk.take()


def test_there_is_one_at_an_address(desk: Desk) -> None:
    """The second is told so, and the first goes on."""
    with pytest.raises(OSError, match="in use"):
        Reception(desk.address, socket.SOCK_STREAM, print)
    with desk.call() as caller:
        caller.sendall(b"x")
        assert b"x" == desk.take()


def test_another_user_is_hung_up_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Abstract addresses have no permissions."""
    monkeypatch.setattr(realm, "is_ours", lambda end: False)
    with desk.call() as caller:
        caller.settimeout(LIMIT)
        assert b"" == caller.recv(1)
    assert desk.taken.empty()


def test_closing_twice_is_fine(desk: Desk) -> None:
    """Nobody can call then, and the descriptor may be another's."""
    assert not desk.reception.is_closed
    for _ in range(2):
        desk.reception.close()
        assert desk.reception.is_closed
        with pytest.raises(ConnectionRefusedError):
            desk.call()


def test_who_calls_where_no_descriptor_is_left_is_heard_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reactor looks now and then, not all the time, and the call is not lost."""
    monkeypatch.setattr(reception, "AGAIN_SECONDS", 0.05)
    looks: list[float] = []
    attend = Reception._attend

    def look(self: Reception, events: int) -> bool:
        if events:
            looks.append(time.monotonic())
        return attend(self, events)

    monkeypatch.setattr(Reception, "_attend", look)
    with socket.socket(socket.AF_UNIX) as caller:
        with no_descriptor():
            caller.connect(b"\0" + desk.address.encode())
            caller.sendall(b"x")
            wait_until(lambda: len(looks) > 2)
        assert b"x" == desk.take()
    pauses = [later - sooner for sooner, later in itertools.pairwise(looks)]
    assert min(pauses) >= reception.AGAIN_SECONDS


def test_one_that_is_closed_meanwhile_is_left_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number may be somebody else's when the reactor would look again."""
    monkeypatch.setattr(reception, "AGAIN_SECONDS", 0.0)
    with socket.socket(socket.AF_UNIX) as caller, no_descriptor():
        caller.connect(b"\0" + desk.address.encode())
        desk.reception.close()
    assert not desk.reception._attend(0)
