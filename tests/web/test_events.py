"""
Tests of `webworker_executor.web.events`: handlers run in order, and a slow one holds up none.
"""

from __future__ import annotations

import io
import logging
import queue
import threading
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.link.inbox import Inbox
from tests.patience import wait_until
from tests.threads import each_in_order, run_together
from webworker_executor.web.events import PATIENCE, EventsThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.link.reactor import Reactor
    from webworker_executor.link.thread import ServiceThread


def test_calls_run_in_order_on_one_thread(events: EventsThread) -> None:
    """
    Handlers run one after the other, on a thread of their own.
    """
    seen = Inbox[tuple[int, str, bool]]()

    def tell(number: int) -> None:
        seen((number, threading.current_thread().name, events.is_current_thread))

    for number in range(500):
        events.call(partial(tell, number))
    assert [(number, "webworker-events", True) for number in range(500)] == seen.take(500)
    assert not events.is_current_thread


def test_a_thread_of_that_name_is_no_handler(events: EventsThread) -> None:
    """
    It is the program's own, and may wait for handlers.
    """
    seen = Inbox[bool]()
    thread = threading.Thread(
        target=lambda: seen(events.is_current_thread), name="webworker-events"
    )
    thread.start()
    thread.join()
    assert not seen.get()


def test_calls_of_many_threads_all_run(events: EventsThread) -> None:
    """
    No call gets lost between threads, and those of one thread keep their order.
    """
    assert each_in_order(events.call)


@pytest.mark.parametrize("exc", [ValueError, SystemExit, KeyboardInterrupt])
def test_failing_handler_is_logged(
    events: EventsThread, caplog: pytest.LogCaptureFixture, exc: type[BaseException]
) -> None:
    """
    Whatever a handler raises is logged, and the next one runs.
    """

    def fail() -> None:
        raise exc("a bug of a user")

    done = threading.Event()
    with caplog.at_level(logging.ERROR, "webworker_executor.web"):
        events.call(fail)
        events.call(done.set)
        assert done.wait(20)
    [record] = caplog.records
    assert ("webworker_executor.web", "an event handler failed") == (record.name, record.message)
    assert record.exc_info is not None
    assert exc is record.exc_info[0]


@pytest.mark.parametrize("running_first", [False, True], ids=["at once", "while it runs"])
def test_blocked_handler_is_relieved(events: EventsThread, running_first: bool) -> None:
    """
    While a handler takes long another thread serves the queue, in order.
    """
    started, release = threading.Event(), threading.Event()
    seen = Inbox[int]()

    def block() -> None:
        started.set()
        release.wait(20)
        seen(-1)

    events.call(block)
    if running_first:
        assert started.wait(20)
    for number in range(3):
        events.call(partial(seen, number))
    assert [0, 1, 2] == seen.take(3)
    release.set()
    assert -1 == seen.get()
    events.call(partial(seen, 3))
    assert 3 == seen.get()


class Crossed(queue.SimpleQueue[Any]):
    """
    A queue into which somebody puts something right after it was found empty.
    """

    def __init__(self) -> None:
        super().__init__()
        self.late: list[Callable[[], object]] = []

    def empty(self) -> bool:
        is_empty = super().empty()
        while is_empty and self.late:
            self.late.pop()()
        return is_empty


def test_a_call_that_comes_while_the_watch_ends(reactor: Reactor) -> None:
    """
    It is watched for as well: the handler that it waits for is relieved.
    """
    events = EventsThread(reactor)
    events._queue = crossed = Crossed()
    events.start()
    second_waits, go_on, was_relieved = threading.Event(), threading.Event(), Inbox[bool]()
    # The watch begins with the second, is still on during the third, and finds nothing that waits.
    events.call(partial(second_waits.wait, 10.0))
    events.call(lambda: crossed.late.append(lambda: events.call(go_on.set)))
    events.call(lambda: was_relieved(go_on.wait(10.0)))
    second_waits.set()
    assert was_relieved.get(20.0)
    events.stop()
    events.join()


@pytest.mark.slow
def test_every_blocked_handler_is_relieved(events: EventsThread) -> None:
    """
    Several handlers that wait for what a later one does all come to their end.
    """
    release = threading.Event()
    seen = Inbox[str]()
    for _ in range(3):
        events.call(lambda: seen("blocked" if release.wait(20) else "late"))
    events.call(release.set)
    assert ["blocked"] * 3 == seen.take(3)


class Met(queue.SimpleQueue[Any]):
    """
    A queue at which others have their turn, right after the reactor has looked into it.
    """

    meet: Callable[[], object] | None = None

    def empty(self) -> bool:
        was_empty = super().empty()
        if self.meet is not None and threading.current_thread().name == "webworker-reactor":
            meet, self.meet = self.meet, None
            meet()
        return was_empty


def test_a_thread_that_waits_again_is_not_relieved(reactor: Reactor) -> None:
    """
    Where a long handler ends while the reactor looks, its thread serves on, and no second one.
    """
    events = EventsThread(reactor)
    events._queue = met = Met()
    events.start()
    release, started, looked = threading.Event(), threading.Event(), threading.Event()

    def end() -> None:
        release.set()
        wait_until(lambda: events._busy_since is None and met.qsize() == 0)
        reactor.call_soon(looked.set)

    def block() -> None:
        started.set()
        release.wait(20)

    events.call(block)
    assert started.wait(20)
    met.meet = end
    events.call(lambda: None)
    assert looked.wait(20)
    names = [thread.name for thread in threading.enumerate()]
    assert 1 == names.count("webworker-events")
    events.stop()
    events.join()


def test_a_start_that_another_thread_overtakes(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    One thread has the queue, whoever was faster: of two that wait one would wait for ever.
    """
    events = EventsThread(reactor)
    make, starter = events._new_service, threading.current_thread()

    def make_slowly() -> ServiceThread:
        service = make()
        if threading.current_thread() is starter:
            run_together(events._take_over)
        return service

    monkeypatch.setattr(events, "_new_service", make_slowly)
    events.start()
    assert 1 == [thread.name for thread in threading.enumerate()].count("webworker-events")
    seen = Inbox[str]()
    events.call(lambda: seen("a call"))
    assert "a call" == seen.get()
    events.stop()
    events.join()


def test_patient_handler_keeps_its_thread(events: EventsThread) -> None:
    """
    A handler that nobody waits for may take its time; no thread is started beside it.
    """
    release, started = threading.Event(), threading.Event()
    idents = Inbox[int]()

    def hold() -> None:
        started.set()
        release.wait(20)
        idents(threading.get_ident())

    events.call(hold)
    assert started.wait(20)
    events._reactor.call_soon(
        lambda: events._reactor.call_at(time.monotonic() + PATIENCE * 1.5, release.set)
    )
    first = idents.get()
    # It has come back: until then whoever calls would have it watched.
    wait_until(lambda: events._busy_since is None)
    events.call(lambda: idents(threading.get_ident()))
    assert first == idents.get()


def test_stop_ends_after_the_calls_that_wait(reactor: Reactor) -> None:
    """
    What was asked for before `stop` is still done; then the thread ends.
    """
    events = EventsThread(reactor)
    gate = threading.Event()
    seen: list[int] = []
    events.call(lambda: gate.wait(20))
    for number in range(3):
        events.call(partial(seen.append, number))
    thread = Inbox[threading.Thread]()
    events.call(lambda: thread(threading.current_thread()))
    events.stop()
    gate.set()
    thread.get().join(20)
    events.join()
    assert [0, 1, 2] == seen


def test_stop_waits_for_what_a_waiting_call_asks_for(reactor: Reactor) -> None:
    """
    One call leads to the next, as with messages to one handler: all of them are made.
    """
    events = EventsThread(reactor)
    events.start()
    made: list[int] = []
    may_begin = threading.Event()

    def step(number: int) -> None:
        may_begin.wait(10.0)
        made.append(number)
        if number < 5:
            events.call(lambda: step(number + 1))

    events.call(lambda: step(0))
    events.stop()
    may_begin.set()
    events.join()
    assert [0, 1, 2, 3, 4, 5] == made


def test_calls_after_the_end_are_made_in_order(reactor: Reactor) -> None:
    """
    Whoever comes too late is heard all the same, by a thread that ends again.
    """
    events = EventsThread(reactor)
    events.start()
    events.stop()
    events.join()
    seen = Inbox[int]()
    for number in range(100):
        events.call(partial(seen, number))
    assert list(range(100)) == seen.take(100)
    events.join()


def test_join_within_a_handler(reactor: Reactor) -> None:
    """
    A handler may wait for the end of the thread it stands on: that returns at once.
    """
    events = EventsThread(reactor)
    done = threading.Event()

    def end() -> None:
        events.stop()
        events.join()
        done.set()

    events.call(end)
    assert done.wait(20)


def test_call_is_forgotten_when_it_was_made(events: EventsThread) -> None:
    """
    An idle thread keeps nothing of a user's alive.
    """

    class Result:
        pass

    result = Result()
    gone = threading.Event()
    weakref.finalize(result, gone.set)
    events.call(partial(id, result))
    del result
    assert gone.wait(20)


def test_no_thread_can_be_started(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Where no thread is to be had the calls wait, and the next one tries again.
    """
    events = EventsThread(reactor)
    tried = threading.Event()
    seen = Inbox[str]()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        events.call(partial(seen, "first"))
        reactor.call_soon(tried.set)
        assert tried.wait(20)
    events.call(partial(seen, "second"))
    assert ["first", "second"] == seen.take(2)
    assert "no thread can be started for event handlers; they wait" in caplog.text
    events.stop()


def test_a_start_for_which_there_is_no_thread(
    events: EventsThread, reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    It is an error unless a handler comes back, which makes the calls that wait then.
    """
    seen = Inbox[str]()
    is_held, go_on, tried = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        is_held.set()
        assert go_on.wait(10)

    def refuse(thread: threading.Thread) -> None:
        tried.set()
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        events.call(hold)
        assert is_held.wait(20)
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            EventsThread(reactor).start()
        tried.clear()
        events.call(partial(seen, "later"))
        assert tried.wait(20)
        reactor.call_soon(partial(seen, "the reactor has tried"))
        assert "the reactor has tried" == seen.get()
        events.start()
        go_on.set()
        assert "later" == seen.get()


def test_no_thread_can_take_over(
    events: EventsThread, reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A handler of logging that takes long keeps its thread, which then makes the calls that wait.
    """
    seen = Inbox[str]()
    is_held, go_on, tried = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        # As its `emit` does while it runs.
        with handler.lock:
            is_held.set()
            assert go_on.wait(10)

    def refuse(thread: threading.Thread) -> None:
        tried.set()
        raise RuntimeError("can't start new thread at interpreter shutdown")

    handler: Any = logging.StreamHandler(io.StringIO())
    logger = logging.getLogger("webworker_executor.web")
    logger.addHandler(handler)
    try:
        with monkeypatch.context() as patch:
            events.call(hold)
            assert is_held.wait(20)
            patch.setattr(threading.Thread, "start", refuse)
            events.call(partial(seen, "later"))
            assert tried.wait(20)
            reactor.call_soon(partial(seen, "the reactor goes on"))
            assert "the reactor goes on" == seen.get()
            go_on.set()
            assert "later" == seen.get()
    finally:
        go_on.set()
        logger.removeHandler(handler)
