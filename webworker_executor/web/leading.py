"""
A thread that waits for a worker's message reads the link itself, in the reactor's place.

Over the reactor each message changes threads twice, which takes longer than all else. Not for the
right to read: see ``link.lead``; nor for pools, whose answers mean more: see ``pool.leading``.

The thing to know before a change: the leader may be the main thread, where a signal handler may
raise between any two calls; so what it has read goes from the link to the inbox within C.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from operator import call
from typing import TYPE_CHECKING

from webworker_executor.web.message import REGISTERED
from webworker_executor.wire.kinds import MESSAGE

if TYPE_CHECKING:
    from typing import Any

    from webworker_executor.link.lead import Leading
    from webworker_executor.link.local import Link
    from webworker_executor.web.incoming import WorkerTarget
    from webworker_executor.wire.frame import Frame


def lead(link: Link, target: WorkerTarget, timeout: float | None) -> bool:
    """
    Wait until something may have come, and read it, if nobody else does.

    Args:
        link: That of the worker's process.
        target: Gets the message, if it is a single small one.
        timeout: Seconds to wait at most; ``None`` for ever.

    Returns:
        False if somebody else reads: then sleep until that one has something.
    """
    leading = link.leading
    holder = leading.begin()
    if holder is None:
        # Who leads may stand in a signal handler, or read for one who wants a single message.
        leading.end_lease()
        return False
    waiters = target._waiters
    try:
        # Whoever brings something otherwise rings.
        waiters[holder] = holder.release
        if target._must_wait():
            holder.wait(timeout)
            leading.read(holder, _take, target, leading)
        return True
    finally:
        waiters.pop(holder, None)
        try:
            leading.end(holder)
        except BaseException:
            # A signal handler has raised: nobody else knows of what was read for others.
            leading.end(holder)
            raise
        target._stir()


def _take(frame: Frame, target: WorkerTarget, leading: Leading) -> bool:
    """Take a message; anything else is the reactor's."""
    if frame.kind != MESSAGE or frame.ident & REGISTERED or target._is_dead:
        return False
    # One step: twice, or not at all, it would be if an interruption came between the two.
    steps: Any = (partial(target._inbox.append, frame), leading.left.clear)
    deque(map(call, steps), maxlen=0)
    target._n_arrived += 1
    return True
