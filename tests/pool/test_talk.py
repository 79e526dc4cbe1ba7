"""
Running tasks and their futures talk: in order, in time, and never to the wrong one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.link.interrupts import ctrl_c, interrupted_at
from tests.pool import talking
from tests.pool.strike import Strike
from webworker_executor import (
    MessageChannel,
    PortClosedError,
    WebWorkerExecutor,
    WorkerCrashedError,
    current_task,
    scope,
)
from webworker_executor.child.task import REPORT_SECONDS

if TYPE_CHECKING:
    from webworker_executor import MessageEvent, WorkerFuture
    from webworker_executor.pool.talk import ProgressEvent
    from webworker_executor.web.launchers import LauncherName


def test_messages_go_both_ways(pool: WebWorkerExecutor) -> None:
    """
    What is posted before the task runs waits for it, and all it posts comes before its end.
    """
    future = pool.submit(talking.echo, 3)
    for number in range(3):
        future.post_message(number)
    assert [0, 2, 4] == [event.data for event in future.messages()]
    assert 3 == future.result(10.0)


def test_talking_tasks_do_not_lose_mail_when_they_are_given_back() -> None:
    """
    Short tasks are handed out ahead and taken back, and their messages go with them.
    """
    with WebWorkerExecutor(2, launcher="fork") as pool:
        for _ in pool.map(abs, range(200)):
            pass
        futures = [pool.submit(talking.echo, 1) for _ in range(200)]
        for number, future in enumerate(futures):
            future.post_message(number)
        assert [1] * 200 == [future.result(20.0) for future in futures]
        assert [[2 * number] for number in range(200)] == [
            [event.data for event in future.messages()] for future in futures
        ]


def test_a_large_message_arrives_whole(pool: WebWorkerExecutor) -> None:
    """
    Buffers beyond what a socket holds go both ways.
    """
    future = pool.submit(talking.echo, 1)
    future.post_message(bytearray(3_000_000))
    (event,) = future.messages()
    assert bytearray(6_000_000) == event.data


def test_ports_may_be_transferred_to_a_task(pool: WebWorkerExecutor) -> None:
    """
    They arrive in the event.
    """
    with MessageChannel() as channel:
        future = pool.submit(_answer_by_port)
        future.post_message("here", [channel.port2])
        assert "by port" == channel.port1.receive(10.0).data
        assert "here" == future.result(10.0)


def _answer_by_port() -> object:
    event = current_task().receive(10.0)
    event.ports[0].post_message("by port")
    return event.data


def test_onmessage_runs_before_the_executor_has_ended() -> None:
    """
    On the events thread, one at a time, in order.
    """
    heard: list[tuple[object, str]] = []

    def hear(event: MessageEvent) -> None:
        heard.append((event.data, threading.current_thread().name))

    with WebWorkerExecutor(1, launcher="fork") as pool:
        future = pool.submit(talking.post, 1, 2, 3)
        future.onmessage = hear
        assert hear == future.onmessage
    assert [(number, "webworker-events") for number in (1, 2, 3)] == heard


def test_onmessage_runs_on_the_loop_it_was_set_on(forked: WebWorkerExecutor) -> None:
    """
    Set inside a coroutine, it is called by that loop.
    """

    async def main() -> list[str]:
        names: list[str] = []
        future = forked.submit(talking.post, 1, 2)
        future.onmessage = lambda event: names.append(threading.current_thread().name)
        await future
        while len(names) < 2:
            await asyncio.sleep(0)
        return names

    assert ["MainThread"] * 2 == asyncio.run(asyncio.wait_for(main(), 10.0))


def test_messages_are_an_asynchronous_iterator(forked: WebWorkerExecutor) -> None:
    """
    It ends with the task.
    """

    async def main() -> list[object]:
        future = forked.submit(talking.post, *range(100))
        return [event.data async for event in future.messages()]

    assert list(range(100)) == asyncio.run(asyncio.wait_for(main(), 10.0))


def test_the_death_of_the_worker_ends_the_conversation(launcher: LauncherName) -> None:
    """
    What it said before is there, and the future tells why no more comes.
    """
    with WebWorkerExecutor(1, launcher=launcher) as pool:
        future: WorkerFuture[Any] = pool.submit(talking.greet_and_die)
        assert ["last words"] == [event.data for event in future.messages()]
        with pytest.raises(WorkerCrashedError, match="SIGKILL"):
            future.result(10.0)


def test_a_killed_worker_wakes_who_waits_for_its_messages(pool: WebWorkerExecutor) -> None:
    """
    Nobody waits for ever.
    """
    future = pool.submit(talking.greet_and_wait)
    messages = iter(future.messages())
    os.kill(next(messages).data, signal.SIGKILL)
    assert [] == list(messages)
    assert isinstance(future.exception(10.0), WorkerCrashedError)


def test_a_handler_that_raises_as_the_end_is_told(forked: WebWorkerExecutor) -> None:
    """
    Whoever waits for messages of the task hears of the end all the same.
    """
    for number in itertools.count(1):
        future = forked.submit(talking.greet_and_wait)
        messages = future.messages()
        messages.receive(10.0)
        strike = Strike("Conversation.release", number)
        strike.during(partial(future.abort, grace=0))
        with pytest.raises(PortClosedError):
            messages.receive(10.0)
        if not strike.where:
            break
    assert number > 2


def test_a_conversation_whose_making_is_broken_off_ends(forked: WebWorkerExecutor) -> None:
    """
    Wherever a signal handler raises as it is first asked for, its end comes without a ``result()``.
    """

    is_made, step = False, 0
    while not is_made:
        future = forked.submit(talking.echo, 1)
        with contextlib.suppress(KeyboardInterrupt), interrupted_at(step, ctrl_c):
            future.messages()
            is_made = True
        future.post_message(step)
        messages = future.messages()
        assert 2 * step == messages.receive(10.0).data
        with pytest.raises(PortClosedError):
            messages.receive(10.0)
        step += 1
    # As many as there are where the task is done by then.
    assert step > 3


def test_receive_from_a_task_that_is_done(forked: WebWorkerExecutor) -> None:
    """
    It raises at once.
    """
    future = forked.submit(abs, -1)
    assert 1 == future.result(10.0)
    with pytest.raises(PortClosedError, match="the task is done"):
        future.messages().receive(10.0)
    future.post_message("to nobody")


def test_reports_are_few_and_the_last_one_comes(forked: WebWorkerExecutor) -> None:
    """
    A hundred thousand reports cost a handful of messages.
    """
    events: list[ProgressEvent] = []
    began = time.monotonic()
    future = forked.submit(talking.report, 100_000)
    future.onprogress = events.append
    future.result(20.0)
    seconds = time.monotonic() - began
    forked.shutdown()
    assert "<ProgressEvent 100000 of 100000>" == repr(events[-1])
    # The first, the last, and one for each of these times.
    assert len(events) <= 2 + seconds / REPORT_SECONDS


def test_a_slow_display_has_one_report_after_the_other(forked: WebWorkerExecutor) -> None:
    """
    Callbacks go on beside it, and it is not called again before it has returned.
    """
    go_on, under_way = threading.Event(), threading.Lock()
    events: list[ProgressEvent] = []

    def show(event: ProgressEvent) -> None:
        assert under_way.acquire(blocking=False)
        assert go_on.wait(20.0)
        events.append(event)
        under_way.release()

    future = forked.submit(talking.report_when_told, 1000)
    future.onprogress = show
    future.add_done_callback(lambda _: go_on.set())
    future.post_message("now")
    forked.shutdown()
    assert [0, 1000] == [events[0].loaded, events[-1].loaded]


def test_a_plain_task_has_no_conversation(forked: WebWorkerExecutor) -> None:
    """
    Nothing is made for those that do not talk.
    """
    future = forked.submit(abs, -1)
    assert 1 == future.result(10.0)
    assert future.onmessage is None
    assert future.onprogress is None
    assert "_conversation" not in future.__dict__


def test_a_future_without_a_pool_has_nobody_to_talk_to() -> None:
    """
    What could not even be packed is done already.
    """
    with WebWorkerExecutor(1) as pool:
        future = pool.submit(abs, threading.Lock())  # type: ignore[call-overload]  # what it does not take
        future.post_message("to nobody")
        assert [] == list(future.messages())
        assert "<Conversation that has ended>" == repr(future.messages())


def say_much(count: int) -> None:
    for number in range(count):
        scope.post_message(number)
        current_task().post_message(number)


def test_the_end_of_the_pool_waits_for_what_was_said(launcher: LauncherName) -> None:
    """
    Handlers slower than the end of the pool hear everything before it is over.
    """
    heard: list[int] = []
    may_hear = threading.Event()

    def hear(event: MessageEvent) -> None:
        may_hear.wait(10.0)
        heard.append(event.data)

    with WebWorkerExecutor(1, launcher=launcher) as pool:
        pool.workers[0].onmessage = hear
        future = pool.submit(say_much, 5)
        future.onmessage = hear
        future.result(20.0)
        threading.Timer(0.1, may_hear.set).start()
    assert [0, 0, 1, 1, 2, 2, 3, 3, 4, 4] == sorted(heard)
