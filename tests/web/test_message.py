"""
Tests of `webworker_executor.web.message`: one message as bytes, and as an event.
"""

from __future__ import annotations

import os
import pickle

import pytest

from webworker_executor.link.rights import Descriptor
from webworker_executor.web.message import PLAIN, WITH_LIST, event_of, pack_message
from webworker_executor.wire.frame import Frame
from webworker_executor.wire.kinds import MESSAGE


def test_a_message_with_a_list_arrives_with_what_was_listed() -> None:
    """Descriptors come out as numbers."""
    reading, writing = os.pipe()
    packed = pack_message("x", (), [writing])
    event = event_of(Frame(MESSAGE, WITH_LIST, packed.payload, (), packed.fds), "source")
    assert ("x", "source", 1) == (event.data, event.source, len(event.fds))
    os.write(event.fds[0], b"y")
    assert b"y" == os.read(reading, 1)
    for fd in (reading, writing, *event.fds):
        os.close(fd)


def test_what_came_with_a_broken_message_is_closed() -> None:
    """An error that somebody keeps does not keep descriptors open."""
    reading, writing = os.pipe()
    frame = Frame(MESSAGE, PLAIN, b"no pickle", (), [Descriptor(writing)])
    with pytest.raises(pickle.UnpicklingError) as caught:
        event_of(frame)
    assert b"" == os.read(reading, 1)
    assert caught.value is not None
    os.close(reading)
