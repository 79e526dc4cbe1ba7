"""
What tasks of these tests do to their own worker, to be imported by workers.
"""

from __future__ import annotations

import os
import signal
import stat
import sys

from tests.dropin.gate import pass_gate


def same(value: object) -> object:
    """Return the value."""
    return value


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


def stop_me() -> None:
    """Be stopped, as by a debugger."""
    os.kill(os.getpid(), signal.SIGSTOP)


def hold_the_interpreter() -> None:
    """Keep every other thread from running."""
    sum(range(10**12))


def write_garbage() -> None:
    """Write random bytes, a multiple of a header long, into every socket."""
    for fd in sockets():
        try:
            os.write(fd, b"\x13\x37" * 512)
        except OSError:
            # Inherited, with nobody at the other end.
            continue
    signal.pause()


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
