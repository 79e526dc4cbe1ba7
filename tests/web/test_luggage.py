"""
Tests of `webworker_executor.web.luggage`: the list of a message is checked before anything happens.
"""

from __future__ import annotations

import os
from array import array
from ctypes import c_char
from itertools import product
from unittest.mock import Mock, PropertyMock

import pytest

from tests.link.interrupts import broken_off
from webworker_executor import DataCloneError, MessageChannel, SharedBuffer, transfer
from webworker_executor.web.luggage import Luggage


def test_a_list_is_checked_item_by_item() -> None:
    """What stands in the way is named by its place in the list."""
    block = bytearray(b"x")
    with MessageChannel() as channel:
        with pytest.raises(DataCloneError, match=r"transfer\[1\].*cannot be transferred"):
            Luggage(None, [block, {}], ())
        with pytest.raises(DataCloneError, match=r"transfer\[1\] stands in the list twice"):
            Luggage(None, [block, block], ())
        with pytest.raises(DataCloneError, match=r"transfer\[0\] is the port"):
            Luggage(channel.port1, [channel.port1], ())
        with pytest.raises(TypeError, match=r"transfer\[0\] is None"):
            Luggage(None, [None], ())
    assert b"x" == block


@pytest.mark.parametrize("other", [transfer("x", []), {"key": [1]}])
def test_a_port_that_is_marked_within_a_message_does_not_go_over_itself(other: object) -> None:
    """Nor does its twin; both are as before, and what else was listed is kept."""
    block = bytearray(b"x")
    with MessageChannel() as channel, MessageChannel() as innocent:
        here, there = channel.port1, channel.port2
        for port, why in ((here, "is the port that is posted to"), (there, "is the other end of")):
            marked = transfer({"deep": [port, innocent.port1]}, [port, innocent.port1])
            messages = (marked, (other, transfer([marked], [])))
            for message, listed in product(messages, ([], [block])):
                with pytest.raises(DataCloneError, match=why):
                    here.post_message(message, listed)
        assert b"x" == block
        here.post_message("on", [innocent.port1])
        event = there.receive(10.0)
        assert "on" == event.data
        event.ports[0].post_message("with it")
        assert "with it" == innocent.port2.receive(10.0).data
        there.post_message("back")
        assert "back" == here.receive(10.0).data


def test_an_array_in_the_list() -> None:
    """It is told how its memory can be given up, and that works; others get no such advice."""
    numbers = array("i", [1, 2, 3])
    advice = (
        r"memoryview can\. Its memory can be given up: list view = memoryview\(array\) and send"
    )
    with MessageChannel() as channel:
        with pytest.raises(DataCloneError, match=advice):
            channel.port1.post_message(numbers, [numbers])
        view = memoryview(numbers)
        channel.port1.post_message(view, [view])
        assert numbers.tobytes() == bytes(channel.port2.receive(20).data)
        with pytest.raises(ValueError, match="released"):
            len(view)
        others: tuple[object, ...] = (b"1", {})
        for other in others:
            with pytest.raises(DataCloneError, match=r"memoryview can$"):
                channel.port1.post_message(1, [other])


def test_shared_memory_is_not_given_up() -> None:
    """Neither the buffer nor what looks at it; all of them go on to look at the same memory."""
    with SharedBuffer(8) as shared, MessageChannel() as channel:
        numbers = (c_char * 8).from_buffer(shared)
        with memoryview(shared) as whole, whole[::2] as part, whole.toreadonly() as fixed:
            with memoryview(numbers) as indirect:
                for item in (shared, whole, part, fixed, indirect):
                    with pytest.raises(DataCloneError, match="send the buffer itself"):
                        channel.port1.post_message(item, [item])
                    with pytest.raises(DataCloneError, match="SharedBuffer"):
                        transfer(item, [item])
            whole[0] = 7
            assert (7, 7, 7) == (shared[0], part[0], fixed[0])
        del numbers


def test_an_array_over_shared_memory_is_not_given_up() -> None:
    """Nor a view of the array."""
    numpy = pytest.importorskip("numpy")
    shared = SharedBuffer(16)
    numbers = numpy.frombuffer(shared, "q")[1:]
    with MessageChannel() as channel:
        for item in (numbers, memoryview(numbers)):
            with pytest.raises(DataCloneError, match="send the buffer itself"):
                channel.port1.post_message(item, [item])
    numbers[0] = 1
    assert 1 == shared[8]


def test_what_only_seems_to_stand_on_something() -> None:
    """What says that it does, without end, or raises, is no view of shared memory."""
    endless, raising = Mock(), PropertyMock(side_effect=RuntimeError)
    with SharedBuffer(1), MessageChannel() as channel:
        for item in (endless, type("Raising", (), {"base": raising})()):
            with pytest.raises(DataCloneError, match=r"memoryview can$"):
                channel.port1.post_message(1, [item])


def test_descriptors_must_be_open() -> None:
    """A number that is no open descriptor is refused before anything is packed."""
    with pytest.raises(DataCloneError, match="no open descriptor"):
        Luggage(None, (), [1 << 20])


def test_what_is_no_list() -> None:
    """A single thing that could be given up is told from a list, though it can be iterated over."""
    with MessageChannel() as channel:
        for things in (3, "ab", b"ab", bytearray(b"ab"), channel.port2):
            with pytest.raises(
                TypeError, match=r"^transfer must be a list of things to send, not "
            ):
                channel.port1.post_message("x", things)  # type: ignore[arg-type]  # what is tested
            with pytest.raises(TypeError, match=r"^fds must be a list of things to send, not "):
                channel.port1.post_message("x", fds=things)  # type: ignore[arg-type]  # the same


def test_what_has_no_descriptor() -> None:
    """It is named by its place in the list, with what is wanted there."""
    text = r"^fds\[1\] must be the number of a descriptor, or have a fileno\(\), which 'a' has not$"
    with MessageChannel() as channel, pytest.raises(TypeError, match=text):
        channel.port1.post_message("x", fds=[0, "a"])


def test_duplicates_of_a_list_that_is_broken_off_are_closed() -> None:
    """Wherever a signal handler raises, no descriptor stays open."""
    with open(os.devnull) as file:
        before = os.listdir("/proc/self/fd")
        for _ in broken_off(lambda: Luggage(None, (), [file])):
            assert before == os.listdir("/proc/self/fd")
