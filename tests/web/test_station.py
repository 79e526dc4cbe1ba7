"""
Tests of `webworker_executor.web.station`: where a process is called, and who may call.
"""

from __future__ import annotations

import os
import socket
import threading

from webworker_executor import BroadcastChannel
from webworker_executor.web import station

LIMIT = 10.0


def test_an_address_is_there_while_somebody_listens() -> None:
    """The kernel's own list has it from the first channel to the last."""
    prefix = station._prefix("test")
    with BroadcastChannel("test"), BroadcastChannel("test"):
        (address,) = station._addresses(prefix)
        assert f"{prefix}{os.getpid():x}-" == address.rpartition("-")[0] + "-"
    assert set() == station._addresses(prefix)


def test_a_channel_that_is_dropped_ends_its_station() -> None:
    """Nothing is left when the last channel is collected: no address and no thread."""
    prefix = station._prefix("dropped")
    channel = BroadcastChannel("dropped")
    reactor = next(each for each in threading.enumerate() if each.name == "webworker-reactor")
    del channel
    reactor.join(LIMIT)
    assert not reactor.is_alive()
    assert set() == station._addresses(prefix)


def test_noise_is_not_heard_and_breaks_nothing() -> None:
    """A caller that sends no frames is cut off; the others are heard."""
    with BroadcastChannel("noise") as one, BroadcastChannel("noise") as two:
        (address,) = station._addresses(station._prefix("noise"))
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(LIMIT)
            caller.connect(b"\0" + address.encode())
            caller.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
            assert b"" == caller.recv(1)
        one.post_message("x")
        assert "x" == two.receive(LIMIT).data


def test_whoever_has_gone_is_not_reached() -> None:
    """An address that nobody listens at is no error."""
    assert station._connected("webworker-executor-nobody") is None
