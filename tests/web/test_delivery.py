"""
Tests of `webworker_executor.web.delivery`: single calls to the events thread.
"""

from __future__ import annotations

import threading

from tests.link.inbox import Inbox
from tests.link.interrupts import broken_off
from tests.patience import wait_until
from webworker_executor.web.delivery import Delivery, deliver
from webworker_executor.web.host import host


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


def test_a_delivery_that_is_broken_off_anywhere_lets_the_host_go() -> None:
    """Wherever a signal handler raises, the threads end, and the next delivery is made."""
    for _ in broken_off(lambda: deliver(list)):
        done = threading.Event()
        assert deliver(done.set)
        assert done.wait(5)
        wait_until(lambda: not host._users)
