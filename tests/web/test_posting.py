"""
Tests of `webworker_executor.web.posting`: what is written at once, what waits, and for whom.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from webworker_executor.web.messaging import MessageTarget
from webworker_executor.web.port_link import PortLink
from webworker_executor.wire.frame import MESSAGE, encode

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
    assert (True, True) == (link.is_written, link.attention.is_idle)


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
