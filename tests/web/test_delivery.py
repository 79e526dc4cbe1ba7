"""
Tests of `webworker_executor.web.delivery`: single calls to the events thread.
"""

from __future__ import annotations

import threading

from tests.link.inbox import Inbox
from webworker_executor.web.delivery import Delivery, deliver


def test_a_call_is_made_on_the_events_thread() -> None:
    """The thread is started for it, and ends after it."""
    names: Inbox[str] = Inbox()
    for _ in range(3):
        deliver(lambda: names(threading.current_thread().name))
    assert ["webworker-events"] * 3 == names.take(3)


def test_handed_over_before_the_host_goes() -> None:
    """A host that ends at the very moment waits until the events thread has the call."""
    delivery = Delivery()
    waiting = threading.Thread(target=lambda: delivery.finish_at_exit(interrupted=False))
    waiting.start()
    done = threading.Event()
    assert delivery.hand_over(done.set)
    waiting.join(20)
    assert not waiting.is_alive()
    assert done.wait(20)
    delivery.disown_after_fork()
