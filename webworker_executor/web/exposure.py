"""
The ports by which one exposed object can be called: the first, and those that clones have.

Not for what comes over them: see ``proxy``. Whoever changes this must know that ports end in any
thread, and that a signal handler may break off whoever exposes, who then does it again.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from webworker_executor.link.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.web.port import MessagePort

_log = Journal("webworker_executor.web")
# Those of this process.
_exposed: weakref.WeakSet[MessagePort] = weakref.WeakSet()


class Exposure:
    """
    What an exposed object is called by, and what is done when nothing of that is left.

    Args:
        finalizer: Called once, with the end of the last port; ``None`` for nothing.
    """

    def __init__(self, finalizer: Callable[[], object] | None) -> None:
        self._finalizers = [] if finalizer is None else [finalizer]
        # A port, and no server: one that a signal handler has broken off is made again.
        self._ports: set[MessagePort] = set()

    def begin(self, port: MessagePort) -> None:
        """Take note of one more port, by which the object can be called."""
        self._ports.add(port)
        _exposed.add(port)

    def finish(self, port: MessagePort) -> None:
        """Hear that the other side of a port is gone; where its handlers run."""
        self._ports.discard(port)
        # One that was closed on this side hears of no end.
        if not all(each.closed for each in tuple(self._ports)):
            return
        try:
            finalizer = self._finalizers.pop()
        except IndexError:
            # There is none, or another thread calls it.
            return
        finalizer()


def close_all() -> None:
    """
    Answer no more calls, whatever this process is busy with: who waits for one hears of the end.

    For a worker that is to leave; any thread, and nothing is raised.
    """
    # Copied within C: the main thread may expose one more meanwhile.
    for reference in list(_exposed.data):  # type: ignore[attr-defined]  # typeshed leaves it out
        port = reference()
        if port is None:
            continue
        try:
            port.close()
        except Exception as error:
            _log.exception("a port of an exposed object could not be closed", error)
