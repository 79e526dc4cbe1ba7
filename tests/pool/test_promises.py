"""
The table of calls, and callbacks that somebody waits for.
"""

from __future__ import annotations

import threading

import pytest

from tests.pool.work import double
from tests.threads import fork_while_held
from webworker_executor import BrokenWorkerPool, WebWorkerExecutor
from webworker_executor.link.reactor import Reactor
from webworker_executor.pool.broken import Breakage
from webworker_executor.pool.call import Call
from webworker_executor.pool.future import FailureAnswer
from webworker_executor.pool.promises import Promises
from webworker_executor.pool.talk import conversation_of
from webworker_executor.web.events import EventsThread


def fill(count: int) -> tuple[Promises, list[Call]]:
    promises = Promises()
    calls = [Call(ident).pack(double, (ident,), {}) for ident in range(1, count + 1)]
    for call in reversed(calls):
        promises.calls[call.ident] = call
    return promises, calls


def test_calls_are_listed_as_they_were_submitted() -> None:
    """
    Recovery runs them in the user's order.
    """
    promises, calls = fill(3)
    assert calls == promises.in_order()


def test_a_failed_call_leaves_the_table() -> None:
    """
    Failing twice changes nothing.
    """
    promises, (call, other) = fill(2)
    call.future._claim()
    error = ValueError()
    promises.fail(call, error)
    promises.fail(call, KeyError())
    assert error is call.future.exception(0)
    assert [other] == promises.in_order()


def test_cancelled_calls_leave_the_table() -> None:
    """
    Whoever waits for one is woken.
    """
    promises, calls = fill(2)
    promises.cancel(calls)
    assert [True, True] == [call.future.cancelled() for call in calls]
    assert {} == promises.calls


def test_a_broken_pool_fails_every_call_with_its_own_error() -> None:
    """
    One answer, as many errors.
    """
    promises, calls = fill(2)
    for call in calls:
        call.future._claim()
    promises.fail_all(FailureAnswer(Breakage(on_crash=True).error_of_task))
    first, second = (call.future.exception(0) for call in calls)
    assert isinstance(first, BrokenWorkerPool)
    assert first is not second
    assert {} == promises.calls


def test_without_an_events_thread_callbacks_run_at_once() -> None:
    """
    A pool that never opened has no thread to run them on.
    """
    promises, seen = Promises(), list[int]()
    promises.call_back(lambda: seen.append(1))
    promises.wait_for_callbacks()
    assert [1] == seen


def test_callbacks_are_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """
    ``shutdown(wait=True)`` returns when every callback has run, also those that raise.
    """
    reactor = Reactor()
    reactor.start()
    events = EventsThread(reactor)
    promises, seen = Promises(), list[int]()
    promises.run_callbacks_on(events)
    release = threading.Event()

    def fail() -> None:
        raise ValueError("callback")

    promises.call_back(lambda: release.wait(10.0))
    promises.call_back(fail)
    promises.call_back(lambda: seen.append(1))
    threading.Timer(0.02, release.set).start()
    promises.wait_for_callbacks()
    assert [1] == seen
    assert ["an event handler failed"] == [record.message for record in caplog.records]
    events.stop()
    events.join()
    reactor.stop()
    reactor.join()


def test_a_forked_copy_lets_nobody_wait() -> None:
    """
    Futures that only the parent hears of fail in the copy, without callbacks.
    """
    promises, (call,) = fill(1)
    seen: list[object] = []
    call.future.add_done_callback(seen.append)
    call.future._claim()
    promises.disown(RuntimeError("copy"))
    assert "copy" == str(call.future.exception(0))
    assert [] == seen


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_copy_that_is_forked_while_a_callback_is_noted() -> None:
    """
    The lock that another thread held is no reason for the copy to wait for ever.
    """
    promises, (call,) = fill(1)
    call.future._claim()
    # As a handler for the end, which is called back.
    conversation_of(call.future).at_end.append(lambda: promises._callbacks.discard(None))

    def disown() -> bool:
        promises.disown(RuntimeError("copy"))
        return call.future.done()

    assert 0 == fork_while_held([promises._callbacks._lock], disown)


def test_a_worker_that_is_forked_while_threads_begin_to_wait() -> None:
    """
    What another thread held at the fork is no reason for the new worker to wait for ever.
    """
    with WebWorkerExecutor(1, launcher="fork", max_tasks_per_child=1) as executor:
        stopped, over = executor._pool.stopped, threading.Event()

        def begin_to_wait() -> None:
            while not over.is_set():
                stopped.wait(0.0)

        waiter = threading.Thread(target=begin_to_wait)
        waiter.start()
        try:
            # Each in a new worker.
            assert 20 * [8] == [executor.submit(pow, 2, 3).result(20) for _ in range(20)]
        finally:
            over.set()
            waiter.join()
