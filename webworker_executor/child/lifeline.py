"""
The control thread of a worker: it dies with its host, gives work back, and takes what comes for
the task that runs.

It waits on the control link while the main thread runs tasks. The end of that link is the end of
the host, and then the worker ends at once; ``PR_SET_PDEATHSIG`` does the same where a task holds
the interpreter in C code and this thread cannot run.

Python warns of a fork in a process with threads, and of this one nobody is to hear: it holds no
lock that a copy could miss.
"""

from __future__ import annotations

import _thread
import _warnings
import posix
import sys

from webworker_executor.link.rights import receive
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import (
    CLOSE,
    COUNT,
    OF_SO_MANY,
    RECALL,
    SIGNAL,
    SIGNALED,
    TO_WORKER,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from webworker_executor.wire.frame import Frame

PR_SET_PDEATHSIG = 1
SIGKILL = 9
# The main thread, and the one of this module.
OWN_THREADS = 2
# EBADF and ENOTSOCK: the number is nobody's, or another's.
NOT_OURS = frozenset({9, 88})


class OfOwnThread:
    """
    Stands in a filter for the text of the warning of threads at a fork, where none are the task's.

    What tasks filter themselves comes before it. Filters are copied, and sent to other processes,
    so this has no state.

    Source: CPython, ``warn_about_fork_with_threads``, new in 3.12, which counts as this does; the
    filters of ``_warnings``, which ask for ``match`` alone.
    """

    __slots__ = ()

    def match(self, text: str) -> bool:
        """Whether it is that warning, and this process has no threads but those of each worker."""
        if not text.startswith(f"This process (pid={posix.getpid()}) is multi-threaded, use of "):
            return False
        try:
            return len(posix.listdir("/proc/self/task")) <= OWN_THREADS
        except OSError:
            return False

    def __eq__(self, other: object) -> bool:
        return type(other) is OfOwnThread

    def __hash__(self) -> int:
        return hash(OfOwnThread)


_NO_WARNING = ("ignore", OfOwnThread(), DeprecationWarning, None, 0)


def start(
    control: _socket.socket,
    give_back: Callable[[int], object],
    leave: Callable[[], object] | None = None,
    recall: Callable[[int], object] | None = None,
    take: Callable[[Frame], object] | None = None,
    lost: Callable[[], object] | None = None,
) -> None:
    """
    Start the thread.

    Args:
        control: The control link; the thread owns it.
        give_back: Called with a count, returns that many of the tasks that have not begun.
        leave: Called when the host wants the process to leave at the next chance, ahead of
            everything that waits in the data link.
        recall: Called with the number of a recall of everything.
        take: Called with each frame that is for a task; must neither wait nor raise.
        lost: Called when a task has closed the link; the thread ends then. The task that runs is
            not to blame, so that the process should end after it. Without, it ends at once.
    """
    # As it is now: a program that was forked may be within a `warnings.catch_warnings`.
    filters = getattr(sys.modules.get("warnings", _warnings), "filters", None)
    # Worker by worker forked from a worker, there would be one more.
    if type(filters) is list and _NO_WARNING not in filters:
        # In front of what `-W` says: to raise an error is not what was meant of this thread.
        filters.insert(0, _NO_WARNING)
    _thread.start_new_thread(_watch, (control, give_back, leave, recall, take, lost))


def _watch(
    control: _socket.socket,
    give_back: Callable[[int], object],
    leave: Callable[[], object] | None,
    recall: Callable[[int], object] | None,
    take: Callable[[Frame], object] | None,
    lost: Callable[[], object] | None,
) -> None:
    def obey(frame: Frame) -> None:
        if frame.kind == RECALL and frame.ident == OF_SO_MANY:
            give_back(COUNT.unpack(frame.payload)[0])
        elif frame.kind == RECALL and recall is not None:
            recall(frame.ident)
        elif frame.kind == CLOSE and leave is not None:
            leave()
        elif take is not None:
            if frame.kind == SIGNAL and frame.ident:
                # Said before it is done, which may be the end of this process. A host that hears
                # nothing in time knows that a task keeps the interpreter to itself.
                control.send(encode(SIGNALED, frame.ident)[0])
            take(frame)

    is_over = True
    try:
        decoder = FrameDecoder(TO_WORKER)
        while True:
            try:
                data, fds = receive(control)
            except BlockingIOError:
                # A task made the socket non-blocking.
                control.setblocking(True)
                continue
            except OSError as error:
                if lost is not None and error.errno in NOT_OURS:
                    lost()
                    is_over = False
                break
            if not data:
                break
            for frame in decoder.feed(data, fds):
                obey(frame)
    finally:
        # The host is gone, or this link is not to be trusted any more. Either way nobody waits for
        # what the main thread does, and it may never notice.
        if is_over:
            posix._exit(1)


def die_with_parent(parent: int) -> None:
    """
    Ask the kernel to kill this process when its parent dies, also while it is busy in C.

    Where ``_ctypes`` is missing the end of the control link has to do.

    Source: prctl(2), ``PR_SET_PDEATHSIG``.
    """
    try:
        # `ctypes` itself takes twice the time to import and does no more for one call.
        import _ctypes

        program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # None is the program itself
        prctl = _ctypes.dlsym(program, "prctl")
        _ctypes.call_function(prctl, (PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
    except (ImportError, OSError, AttributeError):
        return
    # It may have died before the kernel was asked; then this process has another parent by now.
    if posix.getppid() != parent:
        posix._exit(1)
