"""
Single calls to the events thread, from who has no reactor or events thread in hand.

Not for the order of calls or the time they are due.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from webworker_executor.link.flag import Flag
from webworker_executor.web.host import host

if TYPE_CHECKING:
    from collections.abc import Callable

# How long the end of the program waits for a call on its way to the events thread.
HAND_OVER_SECONDS = 5.0

_log = logging.getLogger("webworker_executor.web")


class Delivery:
    """One call on its way to the events thread, which lives as long as the host has users."""

    def __init__(self) -> None:
        self._is_over = Flag()

    def hand_over(self, call: Callable[[], object]) -> bool:
        """Hand it over; False if the program is ending, or no thread can be started."""
        try:
            try:
                _, events = host.acquire(self)
            except (RuntimeError, OSError):
                return False
            events.call(call)
            self._is_over.set()
            host.release(self)
        except BaseException:
            # Of a signal handler. What was done has no effect a second time.
            self._is_over.set()
            host.release(self)
            raise
        return True

    def finish_at_exit(self, *, interrupted: bool) -> None:
        """Let the host go on when the events thread has the call."""
        self._is_over.wait(HAND_OVER_SECONDS)

    def disown_after_fork(self) -> None:
        """Do nothing: the thread that hands over is not in the child."""


def deliver(call: Callable[[], object]) -> bool:
    """
    Have a call made on the events thread, which is started for it if need be.

    Args:
        call: What is called; not at all if the program has begun to end.

    Returns:
        Whether it will be.
    """
    is_taken = Delivery().hand_over(call)
    if not is_taken:
        _log.debug("no events thread is left for %r", call)
    return is_taken


def deliver_anyway(call: Callable[[], object]) -> None:
    """
    As `deliver`, but where there is no events thread any more the call is made here.

    Somebody may be waiting for it, and no other handlers run any more that it could meet.
    """
    if Delivery().hand_over(call):
        return
    try:
        call()
    except BaseException:
        _log.exception("an event handler failed")
