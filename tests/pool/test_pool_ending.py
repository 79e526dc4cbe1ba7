"""
A pool ends once, lets go of its threads, and is not kept by a time that has not come.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import threading
import time
import weakref
from typing import TYPE_CHECKING

import pytest

from tests.link.interrupts import interrupted_at
from tests.patience import wait_until
from tests.pool import talking
from tests.pool.work import double
from webworker_executor import WebWorkerExecutor
from webworker_executor.link.journal import tell
from webworker_executor.link.thread import OwnThread
from webworker_executor.web import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.script import ScriptRunner


def limit(pool: WebWorkerExecutor) -> None:
    pool.shutdown(timeout=3600.0)


def idle(pool: WebWorkerExecutor) -> None:
    pool.shutdown()


def be_timed(pool: WebWorkerExecutor) -> None:
    assert 4 == pool.options(timeout=3600.0).submit(double, 2).result(10.0)
    pool.shutdown()


def heed(pool: WebWorkerExecutor) -> None:
    future = pool.submit(talking.heed)
    future.messages().receive(10.0)
    future.abort(grace=3600.0)
    pool.shutdown()


@pytest.mark.parametrize("end", [limit, idle, be_timed, heed])
def test_a_time_far_off_keeps_nothing(end: Callable[[WebWorkerExecutor], None]) -> None:
    """
    What has ended is not kept until then, though other pools keep the reactor.
    """
    with WebWorkerExecutor(1, launcher="fork") as other:
        assert 2 == other.submit(double, 1).result(10.0)
        pool = WebWorkerExecutor(1, launcher="fork", idle_timeout=3600.0)
        assert 2 == pool.submit(double, 1).result(10.0)
        end(pool)
        reference = weakref.ref(pool._pool)
        del pool

        def is_gone() -> bool:
            # The reactor may still be on its way out of what ended it.
            gc.collect()
            return reference() is None

        wait_until(is_gone)


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
    assert [] == [each for each in threading.enumerate() if isinstance(each, OwnThread)]


OBSERVED = """
import os, threading
from webworker_executor import WebWorkerExecutor

def look(event):
    entered.set()
    threading.Event().wait()

def call_back(future):
    # For longer than an observer is waited for, of which this one is none.
    entered.wait()
    threading.Event().wait(1.5)
    print("called back")

entered = threading.Event()
pool = WebWorkerExecutor(1, launcher="fork")
pool.observe(look)
future = pool.submit(os._exit, 3)
future.add_done_callback(call_back)
print(type(future.exception()).__name__, flush=True)
"""


@pytest.mark.slow
def test_an_observer_that_does_not_come_back(run_script: ScriptRunner) -> None:
    """
    The program ends all the same, when all callbacks have run.
    """
    done = run_script(OBSERVED)
    lines = ["WorkerCrashedError", "called back"]
    assert (0, lines, "") == (done.returncode, done.stdout.splitlines(), done.stderr)


HANDLER_WAITS = """
import itertools
from concurrent.futures import CancelledError
from tests.link.interrupts import interrupted_at
from tests.pool.work import double
from webworker_executor import WebWorkerExecutor

def handle():
    try:
        HANDLE
        ends.append("")
    except RuntimeError as error:
        ends.append(str(error))

n_steps = {"": 0, "wait outside": 0}
for step in itertools.count():
    pool, ends = WebWorkerExecutor(1, launcher="fork"), []
    pool.submit(abs, -1).result()
    first = pool.submit(double, 1)
    try:
        with interrupted_at(step, handle):
            assert 4 == pool.submit(double, 2).result()
    except (CancelledError, RuntimeError) as error:
        # The handler was there before it.
        assert isinstance(error, CancelledError) or "after shutdown" in str(error)
    assert first.cancelled() or 2 == first.result()
    pool.shutdown()
    if not ends:
        break
    n_steps[ends[0][-12:]] += 1
print("ok", *(count > 10 for count in n_steps.values()))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "call", ["pool.shutdown(cancel_futures=True)", "assert 42 == pool.submit(double, 21).result()"]
)
def test_a_handler_that_waits_gets_its_end_or_an_error(run_script: ScriptRunner, call: str) -> None:
    """
    It never waits for a reactor that needs what the interrupted call holds: the pool, or a link.
    """
    done = run_script(HANDLER_WAITS.replace("HANDLE\n", f"{call}\n"), timeout=60)
    assert ("ok True True\n", "") == (done.stdout, done.stderr)


def test_a_handler_that_shuts_down_where_the_pool_is_opened_again() -> None:
    """
    What was submitted before is done: the threads stay until then.
    """
    struck = [True]
    for step in itertools.count():
        pool = WebWorkerExecutor(1, launcher="fork")
        assert 1 == pool.submit(abs, -1).result(20.0)
        before = pool.submit(time.sleep, 0.005)

        def handle(pool: WebWorkerExecutor = pool) -> None:
            pool.shutdown(wait=False)
            struck.append(True)

        struck.clear()
        with contextlib.suppress(RuntimeError), interrupted_at(step, handle):
            # Not needed by then, and done all the same.
            pool._pool.open()
        assert before.result(20.0) is None
        pool.shutdown()
        if not struck:
            break
    assert 5 < step
