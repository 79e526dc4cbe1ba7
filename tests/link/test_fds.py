"""
Tests of `webworker_executor.link.fds`: descriptors are high, close-on-exec, and never lost.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from typing import TYPE_CHECKING

import pytest

from webworker_executor.link.fds import (
    MAX_FDS_PER_SEND,
    lift,
    lift_all,
    pidfd_open,
    send_fds,
    socket_pair,
)
from webworker_executor.link.rights import LOWEST

if TYPE_CHECKING:
    from tests.script import ScriptRunner


def test_pair_is_connected() -> None:
    """
    What is written into one end comes out of the other, both ways.
    """
    near, far = socket_pair()
    with near, far:
        near.send(b"there")
        far.send(b"and back")
        assert (b"there", b"and back") == (far.recv(10), near.recv(10))


def test_pair_is_high_and_close_on_exec() -> None:
    """
    No end stands where a child lays its own descriptors, and no program inherits one.
    """
    near, far = socket_pair()
    with near, far:
        for end in (near, far):
            assert end.fileno() >= LOWEST
            assert not end.get_inheritable()


def test_lift_keeps_the_original() -> None:
    """
    A lifted descriptor is a second one for the same thing; the first stays its owner's.
    """
    fd = os.open(os.devnull, os.O_RDONLY)
    try:
        high = lift(fd)
        try:
            assert high >= LOWEST
            assert not os.get_inheritable(high)
            assert os.path.sameopenfile(fd, high)
        finally:
            os.close(high)
    finally:
        os.close(fd)


LOW = """
import json, os, socket
from webworker_executor.link.fds import socket_pair
from webworker_executor.link.rights import LOWEST

os.closerange(0, 3)
near, far = socket_pair()
numbers = [near.fileno(), far.fileno()]
left = [fd for fd in range(3) if os.path.lexists(f"/proc/self/fd/{fd}")]
near.send(b"x")
os.write(os.open("answer", os.O_WRONLY | os.O_CREAT), json.dumps(
    [min(numbers) >= LOWEST, left, far.recv(1).decode()]).encode())
"""


def test_pair_in_a_program_without_standard_streams(
    run_script: ScriptRunner, tmp_path: object
) -> None:
    """
    In a program that has closed 0 to 2 the ends still do not stand there.
    """
    done = run_script(LOW)
    assert 0 == done.returncode
    with open(f"{tmp_path}/answer") as answer:
        assert [True, [], "x"] == json.load(answer)


NONE_LEFT = """
import errno, json, os, resource, socket, sys
from webworker_executor.link import fds

def open_fds():
    return sorted(map(int, os.listdir("/proc/self/fd")))

before = open_fds()
outcomes = []
# From no room at all to room for everything: each step of socket_pair fails once.
for limit in range(3, 30):
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, 4096))
    try:
        near, far = fds.socket_pair()
    except OSError as error:
        outcomes.append(errno.errorcode[error.errno])
    else:
        outcomes.append("opened")
        near.close()
        far.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    if open_fds() != before:
        outcomes.append(f"left {open_fds()}")
print(json.dumps(outcomes))
"""


def test_pair_without_free_descriptors(run_script: ScriptRunner) -> None:
    """
    Where no descriptor is left, the error says so and nothing stays open.
    """
    done = run_script(NONE_LEFT)
    assert "" == done.stderr
    outcomes = json.loads(done.stdout)
    n_failed = outcomes.count("EMFILE") + outcomes.count("EINVAL")
    assert ["opened"] * (len(outcomes) - n_failed) == outcomes[n_failed:]
    assert 5 < n_failed < len(outcomes)


def test_copies_are_made_of_all_or_of_none() -> None:
    """
    Where one of them is not open, the copies of the others are closed again.
    """
    near, far = os.pipe()
    before = os.listdir("/proc/self/fd")
    try:
        copies = lift_all([near, far])
        assert [os.fstat(near), os.fstat(far)] == [os.fstat(copy) for copy in copies]
        for copy in copies:
            os.close(copy)
        with pytest.raises(OSError, match="Bad file descriptor"):
            lift_all([near, far, 1 << 20])
        assert before == os.listdir("/proc/self/fd")
    finally:
        os.close(near)
        os.close(far)


def test_sent_descriptors_are_duplicates(pair: tuple[socket.socket, socket.socket]) -> None:
    """
    The receiver has the same files under numbers of its own; the sender keeps its own.
    """
    near, far = pair
    reading, writing = os.pipe()
    send_fds(near, b"\0", [reading, writing])
    data, received, _, _ = socket.recv_fds(far, 1, 2)
    for fd in (reading, writing):
        os.close(fd)
    os.write(received[1], b"through")
    assert (b"\0", b"through") == (data, os.read(received[0], 10))
    for fd in received:
        os.close(fd)


def test_most_descriptors_in_one_send(pair: tuple[socket.socket, socket.socket]) -> None:
    """
    The kernel takes as many at once as the constant says.
    """
    near, far = pair
    send_fds(near, b"x", [near.fileno()] * MAX_FDS_PER_SEND)
    _, received, flags, _ = socket.recv_fds(far, 1, MAX_FDS_PER_SEND)
    for fd in received:
        os.close(fd)
    assert (MAX_FDS_PER_SEND, 0) == (len(received), flags & socket.MSG_CTRUNC)


def test_send_to_nobody(pair: tuple[socket.socket, socket.socket]) -> None:
    """
    When the other side is gone, sending is an error.
    """
    near, far = pair
    far.close()
    with pytest.raises(BrokenPipeError):
        send_fds(near, b"x", [0])


def test_pidfd_stands_for_the_process() -> None:
    """
    The descriptor is a pidfd of just that process.
    """
    fd = pidfd_open(os.getpid())
    assert fd is not None
    with open(f"/proc/self/fdinfo/{fd}") as info:
        assert f"Pid:\t{os.getpid()}\n" in info.readlines()
    os.close(fd)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EMFILE])
def test_kernel_that_refuses_pidfd(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """
    Where the kernel refuses, there is none, and no error.
    """

    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    assert None is pidfd_open(os.getpid())


def test_python_that_has_no_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where Python was built without it, there is none, and no error.
    """
    monkeypatch.delattr(os, "pidfd_open")
    assert None is pidfd_open(os.getpid())
