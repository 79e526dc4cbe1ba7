"""
What is to happen at a time, by name, unless something else comes first.

On the reactor's thread only, whose clock it is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.link.reactor import Reactor, Timer


class Deadlines:
    """
    At most one call to come for each name.

    Args:
        reactor: Makes the calls.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._timers: dict[str, Timer] = {}
        self._is_closed = False

    def set(self, name: str, seconds: float, call: Callable[[], object]) -> None:
        """Make a call some time later, in place of the one that had this name."""
        self.cancel(name)
        if not self._is_closed:
            self._timers[name] = self._reactor.call_at(time.monotonic() + seconds, call)

    def cancel(self, name: str) -> None:
        """Forget a call; nothing happens if there is none of this name."""
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Forget all, and whatever is set from here on."""
        self._is_closed = True
        for name in list(self._timers):
            self.cancel(name)
