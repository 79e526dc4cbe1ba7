"""
Tests of `webworker_executor.web.descriptor`: bare descriptors as values.
"""

from __future__ import annotations

import os
import pickle

import pytest

from webworker_executor import FileDescriptor, MessageChannel

LIMIT = 10.0


def test_it_owns_its_number() -> None:
    """It is closed with its block, once, unless it was taken."""
    reading, writing = os.pipe()
    with FileDescriptor(reading) as descriptor:
        assert reading == descriptor.fileno()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reading)
    descriptor.close()
    with pytest.raises(ValueError, match="taken"):
        descriptor.fileno()
    other = FileDescriptor(writing)
    assert writing == other.take()
    del other
    os.close(writing)


def test_a_negative_number_is_refused() -> None:
    """What can be no descriptor is refused at once."""
    with pytest.raises(ValueError, match="-1 is no descriptor"):
        FileDescriptor(-1)


def test_in_a_message_a_duplicate_goes_and_listed_it_moves() -> None:
    """Unlisted it stays the sender's as well; listed, the sender's is closed."""
    reading, writing = os.pipe()
    with MessageChannel() as channel, FileDescriptor(writing) as descriptor:
        channel.port1.post_message([descriptor])
        (copy,) = channel.port2.receive(LIMIT).data
        os.write(descriptor.fileno(), b"a")
        with copy:
            os.write(copy.fileno(), b"b")
        channel.port1.post_message([descriptor], [descriptor])
        event = channel.port2.receive(LIMIT)
        assert () == event.fds
        with event.data[0] as moved:
            os.write(moved.fileno(), b"c")
        with pytest.raises(ValueError, match="taken"):
            descriptor.fileno()
        assert b"abc" == os.read(reading, 10)
        os.close(reading)


def test_listed_and_not_in_the_message_it_arrives_as_a_number() -> None:
    """``event.fds`` has it, and whoever receives the event owns it."""
    reading, writing = os.pipe()
    with MessageChannel() as channel:
        channel.port1.post_message("take it", [FileDescriptor(writing)])
        event = channel.port2.receive(LIMIT)
        assert event.fd is not None
        os.write(event.fd, b"x")
        os.close(event.fd)
    assert b"x" == os.read(reading, 10)
    os.close(reading)


def test_it_is_no_bytes() -> None:
    """A pickle by itself cannot hold it."""
    reading, writing = os.pipe()
    os.close(writing)
    with FileDescriptor(reading) as descriptor, pytest.raises(pickle.PicklingError):
        pickle.dumps(descriptor)
