"""
The resource tracker of ``multiprocessing``, shared with workers that ask for it.

It is a process that removes what its users leave behind: named shared memory and semaphores. Two of
them would each remove what the other's users still have. So there is one, the program's own, and it
is started here only when a task has imported what needs it; see ``child.identity``.
"""

from __future__ import annotations

from webworker_executor.link.journal import Journal
from webworker_executor.link.rights import Descriptor
from webworker_executor.link.thread import hush
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import TRACKER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from webworker_executor.wire.frame import Parts

_log = Journal("webworker_executor.launch")


def share_tracker(post: Callable[[Parts, Sequence[Any]], object]) -> None:
    """
    Answer a worker that asks for the resource tracker of this program; on the reactor's thread.

    It gets nothing where there can be none, as at the end of the program or without descriptors;
    then it starts its own.

    Args:
        post: Sends a frame with descriptors over the worker's control link.

    Source: ``multiprocessing.popen_spawn_posix``, which passes it to every process.
    """
    try:
        # A program that has it shared pays for it: 5 ms, and a process.
        from multiprocessing import resource_tracker

        fd: Any = resource_tracker.getfd()
        fds = [Descriptor.to_send(fd)]
    except Exception as error:
        _log.debug("a worker gets no resource tracker: %s", error)
        fds = []
    finally:
        # Whoever starts a tracker unblocks the signals that this thread leaves to others.
        hush()
    post(encode(TRACKER, 0, n_fds=len(fds)), fds)
