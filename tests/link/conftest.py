"""
What the tests of links share: a reactor that ends with its test, and pairs of connected sockets.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from webworker_executor.link.reactor import Reactor

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    """
    Run a reactor until the end of the test.
    """
    reactor = Reactor()
    reactor.start()
    yield reactor
    reactor.stop()
    reactor.join()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """
    Connect two sockets; the second waits no longer than twenty seconds for anything.
    """
    near, far = socket.socketpair()
    far.settimeout(20)
    with near, far:
        yield near, far
