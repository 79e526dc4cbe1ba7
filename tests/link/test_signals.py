"""
Tests of `webworker_executor.link.signals`: whose error it is.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading

import pytest

from tests.patience import wait_until
from webworker_executor.link.fds import socket_pair
from webworker_executor.link.outbox import Outbox
from webworker_executor.link.rights import receive
from webworker_executor.link.signals import is_of_a_handler


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

    def fail(*_: object) -> None:
        raise kind

    reader = threading.get_ident()

    def kill_when_it_reads() -> None:
        wait_until(lambda: sys._current_frames()[reader].f_code is receive.__code__)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, fail)
    near, far = socket.socketpair()
    killer = threading.Thread(target=kill_when_it_reads)
    try:
        with near, far:
            killer.start()
            with pytest.raises(kind) as caught:
                receive(near)
    finally:
        killer.join()
        signal.signal(signal.SIGUSR1, before)
    assert is_of_a_handler(caught.value)
