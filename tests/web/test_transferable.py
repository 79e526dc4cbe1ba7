"""
Tests of `webworker_executor.web.transferable`: moving outside of messages.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import pickle
import socket
from typing import Any

import pytest

from tests.conformance import holders
from tests.link.interrupts import ctrl_c, interrupted_at
from webworker_executor import (
    DataCloneError,
    FileDescriptor,
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


@pytest.mark.slow
# Of the sockets and files of a clone that nobody gets.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_a_clone_that_is_broken_off_was_given_is_still_here() -> None:
    """Wherever a signal handler raises: nobody else could have it."""
    for step in itertools.count():
        near, far = socket.socketpair()
        ours, theirs = multiprocessing.Pipe()
        descriptor = FileDescriptor(os.dup(far.fileno()))
        file = os.fdopen(os.open(os.devnull, os.O_RDONLY))
        data, view = bytearray(b"data"), memoryview(bytearray(b"view"))
        things: list[Any] = [far, theirs, descriptor, file, data, view]
        clone: list[Any] | None = None
        with contextlib.suppress(KeyboardInterrupt), interrupted_at(step, ctrl_c):
            clone = structured_clone(things, things)
        are_here = {
            far.fileno() >= 0,
            not theirs.closed,
            "taken" not in repr(descriptor),
            not file.closed,
            bool(data),
            "released" not in repr(view),
        }
        assert {clone is None} == are_here, step
        for item in (clone or things)[:4]:
            item.close()
        # Nobody has any of them open any more.
        with near, ours:
            assert b"" == near.recv(1)
            with pytest.raises(EOFError):
                ours.recv()
        if clone is not None:
            assert [b"data", b"view"] == clone[4:]
            break
    assert step > 100
