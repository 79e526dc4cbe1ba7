"""
A pool ends once, lets go of its threads, and is not kept by a time that has not come.
"""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING

from tests.patience import wait_until
from tests.pool.work import double
from webworker_executor import WebWorkerExecutor
from webworker_executor.link.journal import tell
from webworker_executor.web import events
from webworker_executor.web.host import host

if TYPE_CHECKING:
    import pytest


def test_a_limit_far_off_keeps_nothing() -> None:
    """
    What has ended is not kept until then, though other pools keep the reactor.
    """
    with WebWorkerExecutor(1, launcher="fork") as other:
        assert 2 == other.submit(double, 1).result(10.0)
        pool = WebWorkerExecutor(1, launcher="fork")
        assert 2 == pool.submit(double, 1).result(10.0)
        pool.shutdown(timeout=3600.0)
        reference = weakref.ref(pool._pool)
        del pool
        gc.collect()
        # The reactor may still be on its way out of what ended it.
        wait_until(lambda: reference() is None)


def test_a_pool_that_was_never_used_has_ended() -> None:
    """
    Nobody has to be waited for, whatever the limit.
    """
    pool = WebWorkerExecutor(1)
    pool._pool.end_within(0.0)
    pool.shutdown(timeout=0.0)
    assert pool._pool.stopped.is_set()


def test_the_threads_are_gone_when_a_shutdown_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Also when one of them is still at work: the reactor ends after the events thread.
    """
    # A call that takes longer is not waited for.
    monkeypatch.setattr(events, "PATIENCE", 20.0)
    never = threading.Event()
    with WebWorkerExecutor(1, launcher="fork") as pool:
        assert 2 == pool.submit(double, 1).result(10.0)
        tell(lambda: never.wait(0.05))
    assert [] == [each for each in threading.enumerate() if host.is_own_thread(each)]
