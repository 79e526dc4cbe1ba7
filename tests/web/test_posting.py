"""
Tests of `webworker_executor.web.posting`: what is written at once, what waits, and for whom.
"""

from __future__ import annotations

import itertools
import socket
from typing import TYPE_CHECKING

import pytest

from tests.link.interrupts import interrupted_after, interrupted_at
from webworker_executor.web.messaging import MessageTarget
from webworker_executor.web.port_link import PortLink
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10.0


@pytest.fixture
def linked() -> Iterator[tuple[PortLink, socket.socket]]:
    """Make a link, and the socket that stands for the other side."""
    near, far = socket.socketpair()
    far.settimeout(LIMIT)
    with near, far:
        target = MessageTarget()
        link = PortLink(near, target)
        yield link, far
        link.close()


def test_what_the_kernel_takes_needs_no_thread(linked: tuple[PortLink, socket.socket]) -> None:
    """A post is written in the caller's thread, and nobody else is bothered."""
    link, far = linked
    for number in range(10):
        link.post(encode(MESSAGE, number, b"x"))
    expected = b"".join(encode(MESSAGE, number, b"x")[0] for number in range(10))
    assert expected == far.recv(10_000)
    assert (True, None) == (link.is_written, link.attention._reactor)


def test_what_it_does_not_take_waits_in_order(linked: tuple[PortLink, socket.socket]) -> None:
    """The rest is counted, and written when there is room, small posts behind large ones."""
    link, far = linked
    large, small = encode(MESSAGE, 1, bytes(3_000_000)), encode(MESSAGE, 2, b"small")
    link.post(large)
    before = link.unsent_nbytes
    link.post(small)
    assert before + len(small[0]) == link.unsent_nbytes
    assert not link.wait_until_written(0)
    expected = b"".join([*large, *small])
    got = b""
    while len(got) < len(expected):
        got += far.recv(1 << 20)
    assert expected == got
    assert link.wait_until_written(LIMIT)
    assert 0 == link.unsent_nbytes


def test_nobody_waits_for_a_reader_that_is_gone(linked: tuple[PortLink, socket.socket]) -> None:
    """What cannot be written any more is dropped, at once and for good."""
    link, far = linked
    link.post(encode(MESSAGE, 1, bytes(3_000_000)))
    far.close()
    assert link.wait_until_written(LIMIT)
    link.post(encode(MESSAGE, 2, b"x"))
    assert (True, 0) == (link.is_written, link.unsent_nbytes)


def test_a_post_of_a_signal_handler_does_not_wait_for_another(
    linked: tuple[PortLink, socket.socket],
) -> None:
    """What a handler posts at any moment of a post leaves with it, or before it."""
    link, far = linked
    first, second = (b"".join(encode(MESSAGE, number, b"x")) for number in range(2))
    n_posted = 0
    for step in itertools.count():
        posted: list[None] = []

        def post(posted: list[None] = posted) -> None:
            posted.append(None)
            link.post([second])

        with interrupted_at(step, post):
            link.post([first])
        assert link.is_written
        if not posted:
            break
        n_posted += 1
        assert far.recv(10_000) in {first + second, second + first}, step
    assert n_posted > 5


def test_a_signal_handler_closes_what_is_being_posted_to(
    linked: tuple[PortLink, socket.socket],
) -> None:
    """The frame leaves, and then the other side hears of the end."""
    link, far = linked
    parts = encode(MESSAGE, 1, b"x")
    with interrupted_after("extend", link.finish):
        link.post(parts)
    assert link.is_closed
    assert parts[0] == far.recv(10_000)
    assert b"" == far.recv(1)
