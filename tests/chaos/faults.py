"""
What tasks of these tests do to their own worker, to be imported by workers.
"""

from __future__ import annotations

import ctypes
import os
import signal
import stat
import subprocess
import sys

from tests.dropin.gate import pass_gate
from webworker_executor import current_task
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import RESULT


def same(value: object) -> object:
    """Return the value."""
    return value


def write_down(path: str, number: int) -> int:
    """Add a number to a file, in one piece, and return it."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
    os.write(fd, b"%d\n" % number)
    os.close(fd)
    return number


def listen() -> list[object]:
    """Return what is said until the last of it."""
    task = current_task()
    heard: list[object] = []
    while heard[-1:] != ["last"]:
        heard.append(task.receive(timeout=10.0).data)
    return heard


def sockets() -> list[int]:
    """List the descriptors of this process that are sockets."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.stat(int(name)).st_mode):
                found.append(int(name))
        except OSError:
            continue
    return found


def kill_me() -> None:
    """Die, as by the out-of-memory killer."""
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def unblock_sockets() -> None:
    """
    Make every socket non-blocking.

    No pipe: that it does not block is told of the pipe itself, whoever else has it, and what runs
    the tests has one that a forked worker finds.
    """
    for fd in sockets():
        os.set_blocking(fd, False)


def sockets_of_a_child() -> list[str]:
    """List what a program that this worker starts finds open, but for its standard streams."""
    command = "ls -l /proc/self/fd"
    done = subprocess.run(command, shell=True, close_fds=False, capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if "socket:" in line or "memfd:" in line]


def stop_me() -> None:
    """Be stopped, as by a debugger."""
    os.kill(os.getpid(), signal.SIGSTOP)


def hold_the_interpreter() -> None:
    """Keep every other thread from running."""
    sum(range(10**12))


def keep_the_interpreter(seconds: float) -> None:
    """Keep every other thread from running for a while."""
    ctypes.PyDLL(None).usleep(round(seconds * 1e6))


def write_garbage() -> None:
    """Write random bytes, a multiple of a header long, into every socket."""
    for fd in sockets():
        try:
            os.write(fd, b"\x13\x37" * 512)
        except OSError:
            # Inherited, with nobody at the other end.
            continue
    signal.pause()


def write_header() -> None:
    """Claim that an answer comes, to a task that has its answer."""
    for fd in sockets():
        os.set_blocking(fd, False)
        try:
            os.write(fd, encode(RESULT, 1, bytes(1000))[0][:16])
        except OSError:
            # Inherited, with nobody at the other end.
            continue


def fork_and_die(path: str) -> None:
    """Leave a copy behind that holds every descriptor, and die."""
    if os.fork() == 0:
        pass_gate(path, None)
        os._exit(0)
    kill_me()


def change_the_process() -> None:
    """Change what a program may change."""
    os.chdir("/")
    os.umask(0o777)
    sys.path.clear()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
