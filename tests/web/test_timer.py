"""
Tests of `webworker_executor.web.timer`: calls that are due at a time, and the thread that waits.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import threading
import weakref
from typing import TYPE_CHECKING

import pytest

from tests.link.inbox import Inbox
from tests.patience import wait_until
from webworker_executor.web.host import host
from webworker_executor.web.timer import Due, Timers, timers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.script import ScriptRunner

FAR = 3600.0


class Owner:
    """
    Something that can be kept.
    """


def direct() -> Timers:
    """
    Make timers whose calls run on their own thread.
    """
    return Timers(lambda call: call())


@contextlib.contextmanager
def held_up(timers: Timers) -> Iterator[None]:
    """
    Hold up the thread of direct timers, so that all times are over when it goes on.
    """
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        go_on.wait(20)

    timers.call_later(0, hold)
    assert held.wait(20)
    yield
    go_on.set()


def timer_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "webworker-timer"]


def wait_for_end(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_calls_come_in_time_and_order() -> None:
    """
    Calls are made by their times, those of the same time as they were asked for.
    """
    inbox = Inbox[str]()
    timers = direct()
    with held_up(timers):
        for seconds, name in ((0.05, "d"), (0.02, "c"), (0.0, "a"), (0.0, "b"), (0.08, "e")):
            timers.call_later(seconds, lambda name=name: inbox(name))  # type: ignore[misc]  # bound now
    assert [*"abcde"] == inbox.take(5)


def test_one_thread_while_there_is_something_to_come() -> None:
    """
    Whatever the number of calls, there is one thread; it ends with the last, and comes again.
    """
    timers = direct()
    for _ in range(2):
        before = timer_threads()
        dues = [timers.call_later(FAR, print) for _ in range(5)]
        threads = [thread for thread in timer_threads() if thread not in before]
        assert 1 == len(threads)
        for due in dues:
            due.cancel()
        wait_for_end(threads)


def test_cancelled_call_is_not_made() -> None:
    """
    A call that is cancelled in time is not made; cancelled again or too late, nothing happens.
    """
    inbox = Inbox[str]()
    timers = direct()
    with held_up(timers):
        cancelled = timers.call_later(0, lambda: inbox("cancelled"))
        made = timers.call_later(0, lambda: inbox("made"))
        cancelled.cancel()
        cancelled.cancel()
    assert "made" == inbox.get()
    made.cancel()
    made.make()
    assert inbox.is_empty


def test_cancelled_on_its_way() -> None:
    """
    A call that is cancelled after it was handed on and before it is made is not made.
    """
    inbox = Inbox[object]()
    timers = Timers(inbox)
    due = timers.call_later(0, pytest.fail)
    make = inbox.get()
    due.cancel()
    assert callable(make)
    make()


def test_what_is_kept_is_let_go() -> None:
    """
    A call keeps what it was told to keep until it has been made.
    """
    inbox = Inbox[object]()
    timers = Timers(inbox)
    owner = Owner()
    gone = weakref.ref(owner)
    seen: list[bool] = []
    due = timers.call_later(0, lambda: seen.append(gone() is not None))
    due.kept = owner
    del owner
    make = inbox.get()
    assert callable(make)
    make()
    del make
    gc.collect()
    assert ([True], None) == (seen, gone())


def test_thread_keeps_nothing() -> None:
    """
    While the thread waits, it refers to no call that was cancelled.
    """
    timers = direct()
    pending = timers.call_later(FAR, print)
    owner = Owner()
    gone = weakref.ref(owner)
    due = timers.call_later(FAR, lambda owner=owner: None)  # type: ignore[misc]  # to keep it
    del owner
    due.cancel()
    gc.collect()
    assert None is gone()
    pending.cancel()


def test_cancelled_calls_do_not_pile_up() -> None:
    """
    Time-outs that are cancelled long before their time do not fill the memory until then.
    """
    heaps: list[int] = []

    class Watched(Timers):
        def _push(self, heap: list[tuple[float, int, Due]], due: Due) -> None:
            super()._push(heap, due)
            heaps.append(len(heap))

    timers = Watched(lambda call: call())
    pending = timers.call_later(FAR, print)
    for _ in range(1000):
        timers.call_later(FAR, print).cancel()
    done = threading.Event()
    timers.call_later(0, done.set)
    assert done.wait(20)
    pending.cancel()
    assert len(heaps) >= 1
    assert max(heaps) < 100


def test_endless_time() -> None:
    """
    A call that is never due does not disturb the others.
    """
    inbox = Inbox[str]()
    timers = direct()
    never = timers.call_later(float("inf"), pytest.fail)
    beyond = timers.call_later(1e12, pytest.fail)
    timers.call_later(0.01, lambda: inbox("soon"))
    assert "soon" == inbox.get()
    never.cancel()
    beyond.cancel()


@pytest.mark.usefixtures("restless_threads")
def test_many_threads_add_and_cancel() -> None:
    """
    No call is lost when the thread ends and begins while others add to it.
    """
    timers = direct()
    inbox = Inbox[int]()

    def work(number: int) -> None:
        for _ in range(100):
            timers.call_later(FAR, pytest.fail).cancel()
            timers.call_later(0, lambda: inbox(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    assert [0] * 100 + [1] * 100 + [2] * 100 == sorted(inbox.take(300))
    for thread in threads:
        thread.join(20)


def test_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without a thread the caller gets the error, and no call waits for nobody.
    """

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    timers = direct()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            timers.call_later(0, pytest.fail)
    assert {} == timers._pending
    done = threading.Event()
    timers.call_later(0, done.set)
    assert done.wait(20)


def test_delivered_to_the_events_thread() -> None:
    """
    The process's own timers have their calls made where all handlers run, also by a host in use.
    """

    class User:
        def finish_at_exit(self, *, interrupted: bool) -> None: ...

        def disown_after_fork(self) -> None: ...

    inbox = Inbox[str]()
    timers.call_later(0, lambda: inbox(threading.current_thread().name))
    assert "webworker-events" == inbox.get()
    user = User()
    _, events = host.acquire(user)
    seen = Inbox[bool]()
    timers.call_later(0, lambda: seen(events.is_current_thread))
    assert seen.get()
    host.release(user)


def test_failing_call_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """
    A call that raises is logged, and the next one is made.
    """
    done = threading.Event()
    with caplog.at_level(logging.ERROR, "webworker_executor.web"):
        timers.call_later(0, lambda: [][0])
        timers.call_later(0.01, done.set)
        assert done.wait(20)
        # Where nobody keeps the events thread, each call has a thread of its own.
        wait_until(lambda: caplog.records)
    assert ["an event handler failed"] == [record.message for record in caplog.records]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_copy_starts_afresh() -> None:
    """
    A forked copy makes its own calls, and none of its parent's.
    """
    parents = timers.call_later(FAR, print)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(30)
            parents.cancel()
            done = threading.Event()
            timers.call_later(0, done.set)
            assert done.wait(20)
            status = 0
        finally:
            os._exit(status)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert [parents] == list(timers._pending)
    parents.cancel()


AT_EXIT = """
import sys, threading
from webworker_executor.web.abort import AbortSignal

signal = AbortSignal.timeout(0.3)
told = threading.Event()
signal.onabort = lambda event: told.set()

def wait():
    # The main thread is at its end, and waits for this one.
    threading.main_thread().join()
    print(signal.wait(20), told.wait(20), flush=True)

threading.Thread(target=wait).start()
AbortSignal.timeout(3600).onabort = print
"""


@pytest.mark.slow
def test_threads_of_an_ending_program_are_served(run_script: ScriptRunner) -> None:
    """
    A thread that the interpreter waits for gets its time-out; a time-out alone keeps nothing.
    """
    done = run_script(AT_EXIT)
    assert ("", "True True\n", 0) == (done.stderr, done.stdout, done.returncode)


IN_A_WORKER = """
import sys, threading
from webworker_executor import AbortSignal, WebWorkerExecutor

def task():
    seen = []
    signal = AbortSignal.timeout(0.5)
    done = threading.Event()
    signal.onabort = lambda event: (seen.append(type(event.target.reason).__name__), done.set())
    return signal.wait(10), done.wait(10), seen

if __name__ == "__main__":
    with WebWorkerExecutor(1, launcher=sys.argv[1]) as executor:
        for _ in range(2):
            print(executor.submit(task).result(20))
"""


@pytest.mark.slow
def test_in_a_worker(run_script: ScriptRunner, launcher: str) -> None:
    """
    A task has time-outs, too, whichever way its worker was started.
    """
    done = run_script(IN_A_WORKER, launcher)
    assert "" == done.stderr
    assert "(True, True, ['TimeoutError'])\n" * 2 == done.stdout


def test_after_the_host_has_gone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """
    When the program ends and there is no events thread any more, calls are made all the same.
    """
    monkeypatch.setattr(host, "is_exiting", True)
    inbox = Inbox[str]()
    calls: list[Callable[[], object]] = [
        lambda: [][0],
        lambda: inbox(threading.current_thread().name),
    ]
    with caplog.at_level(logging.ERROR, "webworker_executor.web"):
        for call in calls:
            timers.call_later(0, call)
        assert "webworker-timer" == inbox.get()
    assert ["an event handler failed"] == [record.message for record in caplog.records]
