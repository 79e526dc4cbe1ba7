"""
What the kernel tells of processes, and of none.
"""

from __future__ import annotations

import os
import signal
import socket
import threading

import pytest

from tests.patience import wait_until
from webworker_executor.launch.procfs import (
    members_of,
    memory_of,
    standing_of,
    state_of,
    threads_blocking,
)


@pytest.mark.parametrize("pid", [None, 1 << 30])
def test_of_a_process_that_is_not_there_nothing_is_told(pid: int | None) -> None:
    """
    That is no error: it may have ended a moment ago.
    """
    assert (None, None) == (state_of(pid), memory_of(pid))
    assert standing_of(pid or 1 << 30) is None
    assert {} == threads_blocking(pid or 1 << 30, signal.SIGURG)


def test_of_this_process_all_is_told() -> None:
    """
    It runs, and has some memory.
    """
    assert "R" == state_of(os.getpid())
    nbytes = memory_of(os.getpid())
    assert nbytes is not None
    assert nbytes > 1 << 20


def test_who_sleeps_stands_still_and_who_has_run_does_not() -> None:
    """
    The number of times that a process was off a processor grows by each time.
    """
    near, far = socket.socketpair()
    actions = [(os.POSIX_SPAWN_DUP2, far.fileno(), number) for number in (0, 1)]
    pid = os.posix_spawn("/bin/cat", ["cat"], os.environ, file_actions=actions)
    far.close()

    def stands_after(line: bytes) -> tuple[int, str, int]:
        near.sendall(line)
        assert line == near.recv(100)
        wait_until(lambda: (standing_of(pid) or ())[:2] == (1, "S"))
        found = standing_of(pid)
        assert found is not None
        return found

    with near:
        first = stands_after(b"1")
        assert first == standing_of(pid)
        assert first[2] < stands_after(b"2")[2]
    os.waitpid(pid, 0)


def test_a_thread_that_blocks_a_signal_is_named() -> None:
    """
    With the signal that it blocks, and no longer than it does.
    """
    numbers = [signal.SIGURG]
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        me = str(threading.get_native_id())
        assert me in threads_blocking(os.getpid(), signal.SIGURG)
        assert me not in threads_blocking(os.getpid(), signal.SIGUSR1)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    assert me not in threads_blocking(os.getpid(), signal.SIGURG)


def test_a_thread_that_ends_meanwhile_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one that the kernel has just listed, nothing can be read any more."""
    me, gone = str(threading.get_native_id()), str(1 << 30)
    monkeypatch.setattr(os, "listdir", lambda _: [gone, me])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGURG})
    try:
        assert {me} == threads_blocking(os.getpid(), signal.SIGURG).keys()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGURG})


def test_the_members_of_a_group_are_those_that_live() -> None:
    """
    A process that is the only one of its group is, until it has ended, also before it is reaped.
    """
    near, far = os.pipe()
    pid = os.posix_spawn(
        "/bin/cat", ["cat"], os.environ, setpgroup=0, file_actions=[(os.POSIX_SPAWN_DUP2, near, 0)]
    )
    os.close(near)
    assert [pid] == members_of(pid)
    os.close(far)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert [] == members_of(pid)
    os.waitpid(pid, 0)
    assert os.getpid() in members_of(os.getpgrp())
