"""
A thread that has the pool's lock and wants that of a link, just when a signal handler comes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webworker_executor import WebWorkerExecutor


class Contention:
    """
    As the reactor stands there when it sends the next task: a handler must not wait for it then.

    Args:
        pool: It has a worker.

    Attributes:
        others: The threads, one for each time that the handler has interrupted somebody else.
    """

    def __init__(self, pool: WebWorkerExecutor) -> None:
        self._pool = pool
        self._steps = pool._pool._steps
        (process,) = pool._pool.crew.processes.values()
        self.link: Any = process.data
        self.others: list[threading.Thread] = []
        self._has_lock = threading.Event()

    def _take_both(self) -> None:
        with self._steps.lock:
            self._has_lock.set()
            with self.link._lock:
                return

    def submit(self) -> None:
        """Submit, in a signal handler."""
        # Else it is this thread that has the pool's.
        if not self._steps.is_held_here:
            self._has_lock.clear()
            self.others.append(threading.Thread(target=self._take_both, daemon=True))
            self.others[-1].start()
            assert self._has_lock.wait(20.0)
        assert not self._pool.submit(abs, 2).cancelled()

    def join(self) -> None:
        """Wait for all of them."""
        for other in self.others:
            other.join(20.0)
