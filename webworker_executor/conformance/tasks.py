"""
Calls and values that scenarios send by name, in a module that a worker can import.

Not for judging. Whoever changes it must keep it free of anything but the standard library: workers
of every pool load it.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
import time
from contextvars import ContextVar
from typing import NoReturn

LANGUAGE = ContextVar("LANGUAGE", default="none")


def read_language() -> str:
    """Return the variable's value where this is called."""
    return LANGUAGE.get()


def same(value: object) -> object:
    """Return the value."""
    return value


def say(fifo: str, seconds: float) -> None:
    """Write this process's pid into a named pipe, and stay for some seconds."""
    with open(fifo, "w") as stream:
        stream.write(f"{os.getpid()}\n")
    time.sleep(seconds)


def say_and_count(fifo: str) -> int:
    """Say that the task runs, and count in C for an hour."""
    say(fifo, 0.0)
    return sum(range(10**12))


def mark(path: str, number: int) -> int:
    """Add a line with the number to a file, and return the number."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b"%d\n" % number)
    os.close(fd)
    return number


def mark_late(path: str, number: int) -> int:
    """Add a line with the number to a file, after a while."""
    time.sleep(0.02)
    return mark(path, number)


def throw_unpicklable() -> NoReturn:
    """Raise an exception that holds a lock."""
    error = ValueError("a lock inside")
    error.lock = threading.Lock()  # type: ignore[attr-defined]  # anybody may
    raise error


def crash() -> None:
    """Read address 0."""
    import ctypes
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.string_at(0)


def _channels() -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            mode = os.stat(fd).st_mode
        except OSError:
            continue
        if fd > 2 and (stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode)):
            found.append(fd)
    return found


def close_everything() -> None:
    """Close every descriptor but the standard ones."""
    os.closerange(3, 1024)


def cover_channels() -> None:
    """Put something else in the place of every socket and pipe."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in _channels():
        os.dup2(null, fd)


def unblock_channels() -> None:
    """Make every socket and pipe non-blocking."""
    for fd in _channels():
        os.set_blocking(fd, False)


def write_garbage() -> None:
    """Write bytes that mean nothing into every socket and pipe."""
    for fd in _channels():
        try:
            os.set_blocking(fd, False)
            os.write(fd, b"\x13\x37" * 512)
        except OSError:
            continue
    # What is asked is the fate of others. A task that began behind the garbage would be lost too.
    time.sleep(1.0)


def fork_and_return(value: object) -> object:
    """Let a copy of the worker return from the task, too."""
    pid = os.fork()
    if pid:
        return value
    return "the copy's"


def fork_and_die() -> None:
    """Leave a copy behind that holds every descriptor, and die."""
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def change_the_process() -> None:
    """Change what a program may change."""
    os.chdir("/")
    os.umask(0o777)
    sys.path.clear()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
