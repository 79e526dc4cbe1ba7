"""
Tests of `webworker_executor.web.transferable`: moving outside of messages.
"""

from __future__ import annotations

import os
import pickle
import socket

import pytest

from tests.conformance import holders
from webworker_executor import (
    DataCloneError,
    MessageChannel,
    WebWorkerExecutor,
    structured_clone,
    transfer,
)

LIMIT = 10.0


def test_a_task_takes_what_is_marked() -> None:
    """A file that is marked as transferred moves into the task, and is closed here."""
    reading, writing = os.pipe()
    file = os.fdopen(writing, "w")
    with os.fdopen(reading) as reader, WebWorkerExecutor(1) as executor:
        executor.submit(holders.write_to, transfer(file, [file]), "hello").result(LIMIT)
        assert file.closed
        assert "hello" == reader.read()


def test_what_is_marked_arrives_as_itself() -> None:
    """The mark is gone where the value arrives; in a message, too."""
    near, far = socket.socketpair()
    with near, MessageChannel() as channel:
        channel.port1.post_message({"sock": transfer(far, [far])})
        with channel.port2.receive(LIMIT).data["sock"] as moved:
            moved.send(b"x")
        assert b"x" == near.recv(1)
        assert -1 == far.fileno()


def test_a_marked_value_is_no_bytes() -> None:
    """A pickle by itself cannot move anything."""
    block = bytearray(b"abc")
    marked = transfer(block, [block])
    assert "transfer(bytearray(b'abc'), 1 things)" == repr(marked)
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(marked)


def test_a_list_is_checked_at_once() -> None:
    """What cannot be transferred is refused where it is marked."""
    with pytest.raises(DataCloneError):
        transfer({}, [{}])
    with pytest.raises(TypeError):
        transfer({}, [None])


def test_a_clone_moves_ports() -> None:
    """A port in a clone's list works there, and no more here."""
    with MessageChannel() as channel:
        copy = structured_clone({"port": channel.port2}, [channel.port2])
        channel.port1.post_message("x")
        assert "x" == copy["port"].receive(LIMIT).data
        assert channel.port2.detached
        copy["port"].close()


def test_what_is_no_list() -> None:
    """
    It is refused as the list of a message is.
    """
    with pytest.raises(TypeError, match=r"^transferables must be a list of things to send, not 3$"):
        transfer(1, 3)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("nbytes", [10, 1_000_000])
def test_a_clone_can_be_changed(nbytes: int) -> None:
    """
    Of any size, and the original does not change with it.
    """
    array = pytest.importorskip("numpy").zeros(nbytes, "u1")
    copy = structured_clone(array)
    copy[0] = 1
    assert 0 == array[0]
    view = memoryview(bytearray(nbytes))
    assert not structured_clone(view, [view]).readonly
