"""
Tests of `webworker_executor.web.deadlines`: what is to happen at a time, by name.
"""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

from webworker_executor.web.deadlines import Deadlines

if TYPE_CHECKING:
    from webworker_executor.link.reactor import Reactor

SECONDS = 10.0


def test_one_call_for_each_name(reactor: Reactor) -> None:
    """
    The last one set counts; a cancelled one is never made, and none after the close.
    """
    made: queue.SimpleQueue[str] = queue.SimpleQueue()
    deadlines = Deadlines(reactor)

    def set_some() -> None:
        deadlines.set("a", 0.02, lambda: made.put("first a"))
        deadlines.set("b", 0.0, lambda: made.put("b"))
        deadlines.set("a", 0.01, lambda: made.put("second a"))
        deadlines.set("c", 0.0, lambda: made.put("c"))
        deadlines.cancel("c")
        deadlines.cancel("unknown")
        deadlines.set("end", 0.05, close)

    def close() -> None:
        deadlines.set("d", 0.0, lambda: made.put("d"))
        deadlines.close()
        deadlines.set("e", 0.0, lambda: made.put("e"))
        reactor.call_at(0.0, lambda: made.put("over"))

    reactor.call_soon(set_some)
    assert ["b", "second a", "over"] == [made.get(timeout=SECONDS) for _ in range(3)]
    assert made.empty()
