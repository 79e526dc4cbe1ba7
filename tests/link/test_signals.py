"""
Tests of `webworker_executor.link.signals`: whose error it is.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.threads import struck
from webworker_executor.link.fds import socket_pair
from webworker_executor.link.outbox import Outbox
from webworker_executor.link.rights import receive
from webworker_executor.link.signals import is_of_a_handler

if TYPE_CHECKING:
    from types import FrameType


def test_what_a_socket_says() -> None:
    """
    A full or a broken socket is the socket's own trouble.
    """
    near, far = socket_pair()
    with near, far:
        near.setblocking(False)
        outbox = Outbox(near)
        outbox.append([bytes(10_000_000)])
        with pytest.raises(BlockingIOError) as full:
            outbox.write()
        with pytest.raises(BlockingIOError) as nothing:
            receive(near)
        far.close()
        with pytest.raises(ConnectionError) as broken:
            outbox.write()
    assert not any(is_of_a_handler(caught.value) for caught in (full, nothing, broken))


@pytest.mark.parametrize("kind", [TimeoutError, BlockingIOError, BrokenPipeError])
def test_what_a_handler_says(kind: type[OSError]) -> None:
    """
    An error of the same type that a handler raises is told from it, in a read that it broke off.
    """

    def is_reading(frame: FrameType | None) -> bool:
        return frame is not None and frame.f_code is receive.__code__

    near, far = socket.socketpair()
    with near, far, pytest.raises(kind) as caught, struck(kind, is_reading):
        receive(near)
    assert is_of_a_handler(caught.value)
