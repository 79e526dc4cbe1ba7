"""
What a worker's tasks have started, as by ``subprocess``, and what is left of it when the worker has
been stopped: it is given its time to end, and then ended.

Not where nobody was stopped: then it goes on. The thing to know before a change: no signal may
reach a stranger. A process is held by a pidfd, and the number of a group is nobody else's for as
long as a process is in it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from webworker_executor.launch import procfs
from webworker_executor.link.fds import is_readable, pidfd_open
from webworker_executor.link.reactor import READ
from webworker_executor.link.rights import Descriptor
from webworker_executor.web.host import host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from webworker_executor.launch.launcher import Child
    from webworker_executor.link.reactor import Reactor, Timer


def end_later(child: Child, until: float | None) -> None:
    """
    See to what a process has left behind that has just ended; on the reactor's thread.

    Args:
        child: The process.
        until: When that is ended, as ``time.monotonic`` has it; ``None`` leaves it alone.
    """
    if until is None:
        return
    try:
        # One system call, which nearly always says that there is nobody.
        os.killpg(child.pid, 0)
        remains = Remains(child.pid)
    except OSError:
        return
    remains.wait(until)


class Remains:
    """
    The processes that are left of a group whose leader has ended.

    Args:
        group: The number of the group.
    """

    def __init__(self, group: int) -> None:
        self._group = group
        # Whoever takes one out lets go of it: single steps of C.
        self._held: dict[int, Descriptor] = {}
        self._reactor: Reactor | None = None
        self._timer: Timer | None = None
        self._is_disowned = False

    def wait(self, until: float) -> None:
        """Wait until all have ended, and end them if that takes too long; as ``end_later``."""
        for pid in procfs.members_of(self._group):
            number = pidfd_open(pid)
            if number is not None:
                self._held[number] = Descriptor(number)
        if not self._held:
            # The kernel may have no such descriptors. Now the group is still the one it was.
            self._signal()
        elif until > time.monotonic():
            self._wait(until)
        else:
            self._kill()

    def _wait(self, until: float) -> None:
        try:
            reactor, _ = host.acquire(self, at_exit=True)
        except (RuntimeError, OSError):
            # The program ends.
            self._kill()
            return
        self._reactor = reactor
        # Kept open meanwhile, though the program may begin to end.
        held = tuple(self._held.items())
        for number, _ in held:
            reactor.register(number, READ, self._ended)
        self._timer = reactor.call_at(until, self._kill)
        if not self._held:
            self._timer.cancel()
            for number, _ in held:
                reactor.unregister(number)

    def _ended(self, _: int) -> None:
        for number, held in tuple(self._held.items()):
            if is_readable(held.fileno()) and self._held.pop(number, None) is not None:
                self._forget(number)
        if not self._held:
            self._finish()

    def _kill(self) -> None:
        """End what is left; any thread. In a forked copy of the program, nothing."""
        if self._is_disowned:
            return
        # While one of them lives the group is the one it was.
        if any(not is_readable(held.fileno()) for held in tuple(self._held.values())):
            self._signal()
        while self._held:
            with contextlib.suppress(KeyError):
                number, _ = self._held.popitem()
                self._forget(number)
        self._finish()

    def _signal(self) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self._group, signal.SIGKILL)

    def _forget(self, number: int) -> None:
        if self._reactor is not None:
            self._reactor.unregister(number)

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        host.release(self)

    # -- the host's

    def finish_at_exit(self, *, interrupted: bool) -> None:
        """End what is left at once: nobody would later."""
        self._kill()

    def disown_after_fork(self) -> None:
        """In a forked copy of the program: these are the parent's."""
        self._is_disowned = True
        while self._held:
            _, held = self._held.popitem()
            os.close(held.take())
