"""
The leak check sees what it promises to see: a check that finds nothing proves nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading

import pytest

from tests.leaks import Snapshot, wait_until_settled
from tests.patience import wait_until

WAIT_FOR_INPUT = [sys.executable, "-S", "-c", "input()"]


def test_sees_descriptors() -> None:
    """
    Descriptors are told with what they lead to.
    """
    before = Snapshot.take()
    reader, writer = os.pipe()
    try:
        target = os.readlink(f"/proc/self/fd/{reader}")
        expected = [f"descriptor {fd} -> {target}" for fd in sorted((reader, writer), key=str)]
        assert expected == sorted(wait_until_settled(before, timeout=0.0))
    finally:
        os.close(reader)
        os.close(writer)
    assert [] == wait_until_settled(before, timeout=0.0)


def test_sees_threads_with_their_stacks() -> None:
    """
    Threads are told by name, with the line they stand at.
    """
    before = Snapshot.take()
    event = threading.Event()
    thread = threading.Thread(target=event.wait, name="left-alone")
    thread.start()
    try:
        (line,) = wait_until_settled(before, timeout=0.0)
        assert line.startswith(f"thread {thread.native_id} (left-alone)")
        assert "in wait" in line
    finally:
        event.set()
        thread.join()
    assert [] == wait_until_settled(before, timeout=1.0)


def test_sees_children_and_zombies() -> None:
    """
    A child is told while it runs, and still when it has ended but nobody took its status.
    """
    before = Snapshot.take()
    pid = os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", ""], os.environ)
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        (line,) = wait_until_settled(before, timeout=0.0)
        assert line.startswith(f"child {pid} (zombie)")
    finally:
        os.waitpid(pid, 0)
    assert [] == wait_until_settled(before, timeout=0.0)


def wait_for(lock: threading.Lock) -> None:
    """Wait for a lock that nobody lets go of."""
    with lock:
        pass


def test_tells_where_a_fork_waits() -> None:
    """
    One that was forked where signals are blocked, and waits for a lock of a thread that it lacks.
    """
    lock = threading.Lock()
    lock.acquire()
    before = Snapshot.take()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    pid = os.fork()
    try:
        if pid == 0:
            wait_for(lock)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGUSR1})
        wait_until(lambda: any("in wait_for" in line for line in wait_until_settled(before, 0.0)))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert [] == wait_until_settled(before, timeout=0.0)


def test_sees_orphans() -> None:
    """
    A grandchild whose parent is gone is found by the mark it inherited.
    """
    before = Snapshot.take()
    reader, writer = os.pipe()
    start = (
        "import subprocess, sys;"
        f"print(subprocess.Popen({WAIT_FOR_INPUT!r}, stdout=subprocess.DEVNULL,"
        " stderr=subprocess.DEVNULL).pid)"
    )
    with open(reader, "rb"):
        try:
            done = subprocess.run(
                [sys.executable, "-S", "-c", start],
                stdin=reader,
                stdout=subprocess.PIPE,
                check=True,
            )
            orphan = int(done.stdout)

            def is_seen() -> bool:
                lines = wait_until_settled(before, timeout=0.0)
                return any(line.startswith(f"descendant {orphan} ") for line in lines)

            # Its parent was told of it in the midst of its exec.
            wait_until(is_seen)
        finally:
            os.close(writer)


def test_sees_files() -> None:
    """
    What appears in the folder for temporary files is told.
    """
    before = Snapshot.take()
    with tempfile.NamedTemporaryFile() as file:
        lines = wait_until_settled(before, timeout=0.0)
        assert f"file {file.name}" in lines
    assert [] == wait_until_settled(before, timeout=0.0)


def test_sees_signal_handlers() -> None:
    """
    A handler that was not put back is told, and so is a signal that stays blocked.
    """
    before = Snapshot.take()
    previous = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        lines = wait_until_settled(before, timeout=0.0)
        assert any(line.startswith(f"handler of signal {signal.SIGUSR1:d}") for line in lines)
        assert any(line.startswith("blocked signals") for line in lines)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGUSR1, previous)
    assert [] == wait_until_settled(before, timeout=0.0)


def test_waits_for_what_ends_by_itself() -> None:
    """
    What is gone within the time is no leak.
    """
    before = Snapshot.take()
    timer = threading.Timer(0.02, print)
    timer.start()
    assert [] == wait_until_settled(before, timeout=5.0)
    timer.join()


@pytest.mark.slow
def test_keeps_the_helpers_of_multiprocessing() -> None:
    """
    The standard library's resource tracker and fork server stay, and are not blamed on a test.
    """
    import multiprocessing

    before = Snapshot.take()
    context = multiprocessing.get_context("forkserver")
    lock = context.Lock()
    process = context.Process(target=print)
    process.start()
    process.join()
    process.close()
    del lock
    assert [] == wait_until_settled(before, timeout=5.0)
