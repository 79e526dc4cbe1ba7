"""
Tests of `webworker_executor.web.coroutine`: listeners that are ``async def``.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import TYPE_CHECKING, Any

from webworker_executor import Event, EventTarget, MessageChannel

if TYPE_CHECKING:
    import pytest

LIMIT = 10.0


def test_it_runs_on_the_loop_where_it_was_set() -> None:
    """
    It may await, and further messages are delivered meanwhile, each to a run of its own.
    """

    async def main() -> list[Any]:
        heard: list[Any] = []
        second, done = asyncio.Event(), asyncio.Event()

        async def handle(event: Any) -> None:
            heard.append(("begin", event.data))
            if event.data == 1:
                await second.wait()
            second.set()
            heard.append(("end", event.data))
            if len(heard) == 4:
                done.set()

        with MessageChannel() as channel:
            channel.port2.onmessage = handle
            for number in (1, 2):
                channel.port1.post_message(number)
            gc.collect()
            await asyncio.wait_for(done.wait(), LIMIT)
        return heard

    expected = [("begin", 1), ("begin", 2), ("end", 2), ("end", 1)]
    assert expected == asyncio.run(main())


def test_what_it_raises_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """
    As of any listener: it is logged, and harms nobody.
    """

    async def main() -> None:
        target = EventTarget()
        ended = asyncio.Event()

        async def fail(event: Event) -> None:
            try:
                raise LookupError("a bug")
            finally:
                ended.set()

        target.add_event_listener("custom", fail)
        target.dispatch_event(Event("custom"))
        await asyncio.wait_for(ended.wait(), LIMIT)
        await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR, "webworker_executor.web"):
        asyncio.run(main())
    [record] = caplog.records
    assert record.exc_info is not None
    assert LookupError is record.exc_info[0]


def test_without_a_loop_it_is_an_error_that_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """
    It is told instead of never being awaited; the next listener is called.
    """
    target = EventTarget()
    heard: list[str] = []

    async def handle(event: Event) -> None:
        heard.append("never")

    target.add_event_listener("custom", handle)
    target.add_event_listener("custom", lambda event: heard.append("next"))
    with caplog.at_level(logging.ERROR, "webworker_executor.web"):
        target.dispatch_event(Event("custom"))
    assert ["next"] == heard
    [record] = caplog.records
    assert record.exc_info is not None
    assert "no asyncio loop runs where it listens" in str(record.exc_info[1])
