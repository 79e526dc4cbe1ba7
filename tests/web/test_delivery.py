"""
Tests of `webworker_executor.web.delivery`: single calls to the events thread.
"""

from __future__ import annotations

import threading

from tests.link.inbox import Inbox
from webworker_executor.web.delivery import deliver


def test_a_call_is_made_on_the_events_thread() -> None:
    """The thread is started for it, and ends after it."""
    names: Inbox[str] = Inbox()
    for _ in range(3):
        deliver(lambda: names(threading.current_thread().name))
    assert ["webworker-events"] * 3 == names.take(3)
