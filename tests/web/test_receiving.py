"""
Tests of `webworker_executor.web.receiving`: waiting for messages that a transport brings.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.link.inbox import Inbox
from tests.link.interrupts import ctrl_c, interrupted_at
from webworker_executor.errors import InvalidStateError, PortClosedError
from webworker_executor.web.receiving import Receiver
from webworker_executor.wire import codec
from webworker_executor.wire.frame import Frame
from webworker_executor.wire.kinds import MESSAGE

LIMIT = 10.0


class Fed(Receiver):
    """Gets what a test brings."""

    def bring(self, value: object) -> None:
        self._arrive(Frame(MESSAGE, 0, codec.pack(value).payload))


def test_messages_wait_while_nobody_listens() -> None:
    """They are received in order, with or without waiting."""
    target = Fed()
    assert target.receive_nowait() is None
    for number in range(3):
        target.bring(number)
    assert 0 == target.receive().data
    event = target.receive_nowait()
    assert event is not None
    assert 1 == event.data
    assert 2 == target.receive(0).data


@pytest.mark.parametrize("timeout", [None, LIMIT])
def test_a_thread_that_waits_is_woken(timeout: float | None) -> None:
    """Whatever the time-out, a message that comes is returned at once."""
    target, got = Fed(), Inbox[Any]()
    thread = threading.Thread(target=lambda: got(target.receive(timeout).data))
    thread.start()
    while not target._waiters:
        pass
    target.bring("x")
    assert "x" == got.get()
    thread.join(LIMIT)


def test_the_end_comes_after_the_messages() -> None:
    """Iteration gives what is left and stops; receive() says why."""
    target = Fed()
    target.bring(1)
    target._ended()
    assert [1] == [event.data for event in target]
    with pytest.raises(PortClosedError, match="none will come"):
        target.receive()
    assert target.receive_nowait() is None


def test_on_a_loop_a_wait_is_woken_from_another_thread() -> None:
    """areceive() and ``async for`` get what a transport brings in its own thread."""
    target = Fed()

    async def main() -> list[Any]:
        waiting = asyncio.ensure_future(target.areceive())
        await asyncio.sleep(0)
        threading.Thread(target=target.bring, args=["a"]).start()
        first = (await asyncio.wait_for(waiting, LIMIT)).data
        target.bring("b")
        target._ended()
        return [first, *[event.data async for event in target]]

    assert ["a", "b"] == asyncio.run(main())


def test_listeners_get_all_and_then_the_close() -> None:
    """Messages that waited come first, and close once, after all of them."""
    target, got = Fed(), Inbox[Any]()
    target.bring(1)
    target.onclose = lambda event: got(event.type)
    target.onmessage = lambda event: got(event.data)
    target.bring(2)
    target._ended()
    target._ended()
    assert [1, 2, "close"] == got.take(3)
    assert got.is_empty


def test_who_listens_does_not_pull() -> None:
    """With a handler receive() refuses; without it messages wait again."""
    target = Fed()
    target.onmessage = lambda event: None
    with pytest.raises(InvalidStateError, match="either listen, or receive"):
        target.receive(0)
    with pytest.raises(InvalidStateError):
        target.receive_nowait()
    target.onmessage = None
    target.bring("x")
    assert "x" == target.receive(0).data


@pytest.mark.parametrize("receive", ["receive", "receive_nowait"])
def test_a_receive_that_is_broken_off_anywhere_leaves_its_message(receive: str) -> None:
    """Wherever a signal handler raises, the message is had by the next call."""

    got: list[Any] = []
    step = 0
    while not got:
        target = Fed()
        target.bring("first")
        try:
            with interrupted_at(step, ctrl_c):
                got.append(getattr(target, receive)().data)
        except KeyboardInterrupt:
            assert "first" == target.receive(0).data, step
            step += 1
    assert step > 5


class Fails:
    """Cannot be unpacked."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)


def test_a_message_that_does_not_unpack_is_taken() -> None:
    """An error of the message itself is told once."""
    target = Fed()
    target.bring(Fails())
    target.bring("next")
    with pytest.raises(ValueError, match="no number"):
        target.receive(0)
    assert "next" == target.receive(0).data
