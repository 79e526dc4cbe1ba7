"""
A worker weighs itself: it leaves when it has grown too large, and holds its tasks to a limit.

Imported only where one of the two was asked for; no other worker pays for it. The thing to know
before a change: the limit holds while a task runs and no longer, because the loop between tasks
must never want for the memory that an answer takes.
"""

from __future__ import annotations

import posix
import resource
from sys import maxsize

from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import GROWN, IDENT, OF_SO_MANY, RETURNED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from webworker_executor.child.loop import Loop
    from webworker_executor.wire.frame import Frame

# As in `launch.procfs`, which a worker does without.
_PAGE_NBYTES = posix.sysconf("SC_PAGE_SIZE")


def own_nbytes() -> int:
    """
    Return how much resident memory is this process's own: what it shares does not count.

    Returns:
        Bytes; 0 where the kernel does not tell, or no descriptor is left to ask with.

    Source: proc_pid_statm(5).
    """
    try:
        # Opened anew each time: a task may close whatever it finds open.
        fd = posix.open("/proc/self/statm", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            _, resident, shared, *_ = posix.read(fd, 128).split()
        finally:
            posix.close(fd)
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE_NBYTES


class Meter:
    """
    Weighs a worker after each task, and limits it during each.

    Args:
        loop: The worker's.
        max_nbytes: Resident memory above which it leaves; ``None`` for any.
        limit_nbytes: Memory that it may have during a task; ``None`` for any.

    Source: setrlimit(2), ``RLIMIT_DATA``: what is mapped privately and can be written. The address
    space, ``RLIMIT_AS``, would count what numerical libraries reserve and never use.
    """

    def __init__(self, loop: Loop, max_nbytes: int | None, limit_nbytes: int | None) -> None:
        self._loop = loop
        self._max_nbytes = max_nbytes
        self._is_grown = False
        self._usual = resource.getrlimit(resource.RLIMIT_DATA)
        self._limit: tuple[int, int] | None = None
        if limit_nbytes is not None:
            hard = self._usual[1]
            soft = limit_nbytes if hard == resource.RLIM_INFINITY else min(limit_nbytes, hard)
            self._limit = soft, hard

    def run_call(self, frame: Frame) -> None:
        """Run a task, or return it if this worker is about to leave."""
        if self._is_grown:
            # It was on its way when the host had not heard yet.
            self._loop.post(encode(RETURNED, OF_SO_MANY, IDENT.pack(frame.ident)), ())
            return
        self._set(self._limit)
        try:
            self._loop.run_call(frame)
        finally:
            self.lift()
        if self._max_nbytes is not None:
            nbytes = own_nbytes()
            if nbytes > self._max_nbytes:
                self._leave(nbytes)

    def lift(self) -> None:
        """Let the worker have what memory there is: for what it does itself."""
        self._set(self._limit and self._usual)

    def _set(self, limit: tuple[int, int] | None) -> None:
        if limit is None:
            return
        try:
            resource.setrlimit(resource.RLIMIT_DATA, limit)
        except (OSError, ValueError):
            # A task has lowered the hard limit of its own process.
            return

    def _leave(self, nbytes: int) -> None:
        self._is_grown = True
        # In this order: what comes back must not be sent here once more.
        self._loop.post(encode(GROWN, 0, IDENT.pack(nbytes)), ())
        self._loop.give_back(maxsize)
