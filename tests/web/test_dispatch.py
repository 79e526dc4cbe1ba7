"""
Tests of `webworker_executor.web.dispatch`: where handlers run.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from tests.link.inbox import Inbox
from webworker_executor.web import dispatch

if TYPE_CHECKING:
    import pytest


def test_in_the_host_it_is_the_events_thread() -> None:
    """Without a loop or a worker, calls are made on the events thread."""
    names: Inbox[str] = Inbox()
    dispatch.dispatcher_here().call(lambda: names(threading.current_thread().name))
    assert "webworker-events" == names.get()


def test_on_a_running_loop_it_is_the_loop() -> None:
    """A handler set in a coroutine runs on its loop, from whatever thread the call comes."""

    async def main() -> str:
        names: asyncio.Queue[str] = asyncio.Queue()
        here = dispatch.dispatcher_here()
        call = lambda: names.put_nowait(threading.current_thread().name)  # noqa: E731  # as programs do
        threading.Thread(target=here.call, args=[call]).start()
        return await asyncio.wait_for(names.get(), 20.0)

    assert threading.current_thread().name == asyncio.run(main())


def test_a_closed_loop_gets_no_calls(caplog: pytest.LogCaptureFixture) -> None:
    """An event for a loop that has ended is dropped with a word, and no error of who brings it."""
    loop = asyncio.new_event_loop()
    loop.close()
    called: list[None] = []
    with caplog.at_level("DEBUG", "webworker_executor.web"):
        dispatch.LoopDispatcher(loop).call(lambda: called.append(None))
    assert not called
    assert [f"an event came for {loop!r}, which is closed"] == caplog.messages


def test_a_worker_says_where() -> None:
    """What is installed gets all calls, those of dispatchers taken before included."""
    here = dispatch.dispatcher_here()
    calls: list[object] = []
    dispatch.install(calls.append)
    try:
        here.call(print)
    finally:
        dispatch.install(None)
    assert [print] == calls


def test_a_pool_is_asked_only_for_what_is_on_no_loop() -> None:
    """A handler of a pool's goes the pool's way, unless it is set in a coroutine."""
    calls: list[object] = []

    async def main() -> None:
        ran = asyncio.Event()
        dispatch.dispatcher_through(calls.append).call(ran.set)
        await asyncio.wait_for(ran.wait(), 20.0)

    asyncio.run(main())
    here = dispatch.dispatcher_through(calls.append)
    here.call(print)
    assert ([print], False) == (calls, here.is_closed)
