"""
Tests of `webworker_executor.link.rights`: descriptors beside bytes, and who closes them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.link.interrupts import broken_off, interrupted_at
from tests.pool.strike import Interrupt
from tests.threads import fork_while_held
from webworker_executor.link.fds import send_fds, socket_pair
from webworker_executor.link.rights import LOWEST, Descriptor, pipe, receive

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.script import ScriptRunner


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_a_dropped_descriptor_is_closed() -> None:
    """
    Whoever forgets a descriptor leaks nothing.
    """
    descriptor = Descriptor.copy_of(2)
    fd = descriptor.fileno()
    assert is_open(fd)
    assert fd >= LOWEST
    assert not os.get_inheritable(fd)
    del descriptor
    assert not is_open(fd)


def test_a_taken_descriptor_is_its_takers() -> None:
    """
    After ``take`` the object owns nothing and says so.
    """
    descriptor = Descriptor.copy_of(2)
    fd = descriptor.take()
    with pytest.raises(ValueError, match="taken already"):
        descriptor.fileno()
    assert "<Descriptor taken>" == repr(descriptor)
    descriptor.close()
    assert is_open(fd)
    os.close(fd)


def test_a_forked_copy_has_nothing_of_what_is_to_be_sent() -> None:
    """
    It would keep the other side from hearing of an end. What is kept here is kept there.
    """
    travels, stays, taken = Descriptor.to_send(2), Descriptor.copy_of(2), Descriptor.to_send(2)
    number = taken.take()
    numbers = travels.fileno(), stays.fileno(), number

    def look() -> bool:
        travels.close()
        return [is_open(fd) for fd in numbers] == [False, True, True]

    assert 0 == fork_while_held([], look)
    assert all(map(is_open, numbers))
    travels.close()
    # The number may be another's now.
    other = os.dup2(2, numbers[0], inheritable=False)
    assert 0 == fork_while_held([], lambda: is_open(other))
    for fd in (other, number):
        os.close(fd)


def open_descriptors() -> set[int]:
    return {fd for fd in range(200) if is_open(fd)}


def drop(descriptors: list[Descriptor]) -> None:
    descriptors.clear()


def close(descriptors: list[Descriptor]) -> None:
    descriptors[0].close()


def duplicate(descriptors: list[Descriptor]) -> None:
    descriptors.append(Descriptor.copy_of(descriptors[0].fileno()))


def to_send(descriptors: list[Descriptor]) -> None:
    descriptors.append(Descriptor.to_send(descriptors[0].fileno()))


@pytest.mark.parametrize("use", [drop, close, duplicate, to_send])
def test_a_handler_that_raises_leaves_none_open(use: Callable[[list[Descriptor]], None]) -> None:
    """
    Wherever it does, and what it raises is not swallowed.
    """

    def interrupt() -> None:
        raise Interrupt

    for step in range(100):
        descriptors = [Descriptor.copy_of(2)]
        others = open_descriptors() - {descriptors[0].fileno()}
        is_done = False
        with contextlib.suppress(Interrupt), interrupted_at(step, interrupt):
            use(descriptors)
            is_done = True
        descriptors.clear()
        assert others == open_descriptors()
        if is_done:
            assert step > 0 or use is drop
            return
    pytest.fail("a hundred steps are not enough for it")


def test_a_handler_that_raises_where_one_is_taken() -> None:
    """
    Whoever was to get the number has not got it, so that it is still the object's.
    """

    def interrupt() -> None:
        raise Interrupt

    for step in range(100):
        descriptor = Descriptor.to_send(2)
        fd, taken = descriptor.fileno(), -1
        try:
            with interrupted_at(step, interrupt):
                taken = descriptor.take()
        except Interrupt:
            assert fd == descriptor.fileno()
        else:
            break
    assert fd == taken
    assert step > 1
    os.close(fd)


@pytest.mark.parametrize("room", [None, 3], ids=["object", "vacancy"])
def test_descriptors_come_with_their_bytes(room: int | None) -> None:
    """
    What arrives is a duplicate, close-on-exec, and the sender keeps its own.
    """
    near, far = socket_pair()
    with near, far:
        ours = Descriptor.copy_of(2)
        send_fds(near, b"abc", [ours.fileno()])
        vacancy = bytearray(room) if room else None
        data, fds = receive(far, None if vacancy is None else memoryview(vacancy))
        assert (b"abc" if vacancy is None else 3) == data
        assert os.path.samestat(os.fstat(2), os.fstat(fds[0].fileno()))
        assert not os.get_inheritable(fds[0].fileno())
        assert is_open(ours.fileno())


CLOSED_OUTPUT = """
import os, socket
from webworker_executor.link.rights import receive
near, far = socket.socketpair()
socket.send_fds(near, [b"x"], [2])
os.close(1)
data, [fd] = receive(far)
os._exit(0 if fd.fileno() > 2 else 1)
"""


CLOSED_STREAMS = """
import os
from webworker_executor import FileDescriptor, MessageChannel
channel = MessageChannel()
ends = [os.pipe() for _ in range(3)]
for number in range(3):
    os.close(number)
channel.port1.post_message([FileDescriptor(writer) for _, writer in ends])
came = channel.port2.receive(20.0).data
for number, descriptor in enumerate(came):
    os.write(descriptor.fileno(), bytes([number]))
numbers = [descriptor.fileno() for descriptor in came]
found = [os.read(reader, 10)[0] for reader, _ in ends]
os._exit(0 if min(numbers) > 2 and found == [0, 1, 2] else 1)
"""


@pytest.mark.parametrize("program", [CLOSED_OUTPUT, CLOSED_STREAMS], ids=["link", "port"])
def test_none_comes_to_stand_where_a_program_prints(run_script: ScriptRunner, program: str) -> None:
    """
    Though its standard output is closed, and that number the lowest that is free.
    """
    assert 0 == run_script(program).returncode


def test_descriptors_without_room_are_an_error() -> None:
    """
    A process at its limit of descriptors hears that some were lost.
    """
    near, far = socket_pair()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with near, far:
        send_fds(near, b"abc", [2, 2, 2])
        lowest_free = os.dup(near.fileno())
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
        try:
            with pytest.raises(OSError, match="no room"):
                receive(far)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_the_end_of_the_stream_has_no_descriptors() -> None:
    """
    A closed peer is an empty read.
    """
    near, far = socket_pair()
    near.close()
    with far:
        assert (b"", []) == receive(far)
    assert isinstance(far, socket.socket)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_pipe_and_its_heir() -> None:
    """
    Wherever a signal handler raises, each end has one owner.
    """

    def work() -> None:
        reading, writing = pipe()
        with reading.hand_to(open_to_read) as file:
            writing.close()
            assert b"" == file.read()

    open_to_read: Any = functools.partial(open, mode="rb")
    before = os.listdir("/proc/self/fd")
    for _ in broken_off(work):
        assert before == os.listdir("/proc/self/fd")
