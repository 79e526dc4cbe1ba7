"""
Tests of `webworker_executor.web.port_record`: what a port is made of while it moves.
"""

from __future__ import annotations

import os
import socket

import pytest

from webworker_executor import MessageChannel
from webworker_executor.link.rights import Descriptor
from webworker_executor.web.port import MessagePort
from webworker_executor.web.port_record import freeze, thaw
from webworker_executor.wire.frame import Frame
from webworker_executor.wire.transfer import Parcel, unpacking_with

LIMIT = 10.0


def test_what_was_frozen_is_thawed_into_another_port() -> None:
    """Messages that were read, and bytes that were not written, are in the record."""
    with MessageChannel() as channel:
        channel.port1.post_message("read")
        channel.port1._look()
        channel.port2._look()
        for _ in range(100):
            channel.port2.post_message(bytes(10_000))
        parcel, frames = Parcel(), list[Frame]()
        link = channel.port2._link
        assert link is not None
        slot, unread, begun, unwritten = freeze(link, channel.port2._inbox, frames, parcel)
        assert (1, 1, True) == (len(unread), len(frames), len(unwritten) > 1)
        new = MessagePort._of(socket.socket(fileno=parcel.fds[slot].take()))
        unpacking_with(parcel.fds).run(thaw, new._link, new._inbox, unread, begun, unwritten)
        assert "read" == new.receive(LIMIT).data
        for _ in range(100):
            assert 10_000 == len(channel.port1.receive(LIMIT).data)
        new.close()
        link.close()


def test_too_many_descriptors_are_an_error() -> None:
    """More than one message takes cannot move at once."""
    with MessageChannel() as channel:
        reading, writing = os.pipe()
        fds = [Descriptor.copy_of(reading) for _ in range(254)]
        channel.port2._inbox.append(Frame(0x10, 0, b"", (), fds))
        with pytest.raises(ValueError, match="253"):
            freeze(channel.port2._link, channel.port2._inbox, [], Parcel())
        os.close(reading)
        os.close(writing)
