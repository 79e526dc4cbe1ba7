"""
Calls in many threads, for tests of what happens when they meet.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def run_together(*calls: Callable[[], object]) -> None:
    """
    Make calls in threads that begin at the same moment, and wait for all.

    Args:
        calls: One for each thread.

    Raises:
        AssertionError: One has not returned within ten seconds.
    """
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        barrier.wait(5)
        call()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
