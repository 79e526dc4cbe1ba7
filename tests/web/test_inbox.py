"""
Tests of `webworker_executor.web.inbox`: the way of messages to listeners.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.link.inbox import Inbox as Calls
from tests.link.interrupts import ctrl_c, interrupted_at
from tests.pool.work import Unopenable
from webworker_executor.link.rights import Descriptor
from webworker_executor.web import dispatch
from webworker_executor.web.abort import AbortController
from webworker_executor.web.inbox import Inbox
from webworker_executor.web.message import new_parcel
from webworker_executor.wire import codec
from webworker_executor.wire.frame import Frame
from webworker_executor.wire.kinds import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from webworker_executor.web.event import MessageEvent


def bring(inbox: Inbox, value: object) -> None:
    packed = codec.pack(value, parcel=new_parcel)
    inbox._arrive(Frame(MESSAGE, 0, packed.payload, fds=[*packed.fds]))


class Place:
    """Keeps calls until they are made by hand."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __enter__(self) -> Self:
        dispatch.install(self.calls.append)
        return self

    def __exit__(self, *_: object) -> None:
        dispatch.install(None)

    def turn(self) -> None:
        self.calls.pop(0)()


def test_one_message_is_one_turn() -> None:
    """Between two messages others have their turn; nothing is asked for twice."""
    with Place() as place:
        inbox = Inbox()
        got: list[Any] = []
        inbox.onmessage = lambda event: got.append(event.data)
        for number in range(3):
            bring(inbox, number)
        assert 1 == len(place.calls)
        place.turn()
        assert ([0], 1) == (got, len(place.calls))
        place.turn()
        place.turn()
        assert ([0, 1, 2], 0) == (got, len(place.calls))


def test_a_handler_is_not_entered_again() -> None:
    """A call that comes while a handler runs leaves its message to the end of that handler."""
    with Place() as place:
        inbox, got = Inbox(), list[Any]()
        inside, release = threading.Event(), threading.Event()

        def take(event: MessageEvent) -> None:
            got.append(event.data)
            if event.data == 0:
                inside.set()
                release.wait(20)

        inbox.onmessage = take
        bring(inbox, 0)
        thread = threading.Thread(target=place.turn)
        thread.start()
        assert inside.wait(20)
        bring(inbox, 1)
        place.turn()
        assert [0] == got
        release.set()
        thread.join(20)
        place.turn()
        assert [0, 1] == got


def test_what_waits_is_not_unpacked_for_who_hears_of_spoilt_ones() -> None:
    """It is another's to receive. Once messages go to listeners, all is told in order."""
    with Place() as place:
        inbox, got = Inbox(), list[Any]()
        inbox.onmessageerror = lambda event: got.append(type(event.error))
        for value in (Unopenable(), "readable", Unopenable()):
            bring(inbox, value)
        assert ([], [], 3) == (place.calls, got, len(inbox._inbox))
        inbox.onmessage = lambda event: got.append(event.data)
        for _ in range(3):
            place.turn()
        assert [ValueError, "readable", ValueError] == got


# A socket of which the handler's exception leaves nothing but itself closes, and says so.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize(
    "make", [lambda: "first", lambda: AbortController().signal], ids=["text", "signal"]
)
def test_a_delivery_that_is_broken_off_anywhere_is_not_the_last(make: Callable[[], object]) -> None:
    """Wherever a signal handler raises, this message and the next one are delivered."""

    is_broken_off = True
    step = 0
    while is_broken_off:
        with Place() as place:
            inbox, got = Inbox(), list[Any]()
            inbox.onmessage = lambda event, got=got: got.append(event.data)
            first = make()
            bring(inbox, first)
            try:
                with interrupted_at(step, ctrl_c):
                    place.turn()
                is_broken_off = False
            except KeyboardInterrupt:
                step += 1
            while place.calls:
                place.turn()
            assert [isinstance(first, str)] == [isinstance(each, str) for each in got], step
            bring(inbox, "next")
            while place.calls:
                place.turn()
            assert (2, "next") == (len(got), got[1]), step
    assert step > 10


def test_messages_wait_again_when_nobody_listens_any_more() -> None:
    """A call that was asked for before finds nothing to do."""
    with Place() as place:
        inbox = Inbox()
        inbox.onmessage = print
        bring(inbox, 0)
        inbox.onmessage = None
        place.turn()
        assert 1 == len(inbox._inbox)


def test_what_came_with_a_broken_message_is_closed() -> None:
    """A handler that keeps the error does not keep descriptors open."""
    with Place() as place:
        inbox, errors = Inbox(), list[BaseException]()
        reading, writing = os.pipe()
        inbox.onmessage = print
        inbox.onmessageerror = lambda event: errors.append(event.error)
        inbox._arrive(Frame(MESSAGE, 0, b"no pickle", (), [Descriptor(writing)]))
        place.turn()
        assert 1 == len(errors)
        # It would say EAGAIN if the other end were open.
        os.set_blocking(reading, False)
        assert b"" == os.read(reading, 1)
        os.close(reading)


def test_without_a_worker_the_events_thread_calls() -> None:
    """In the host a handler runs on the thread of the events."""
    calls: Calls[str] = Calls()
    inbox = Inbox()
    inbox.onmessage = lambda event: calls(threading.current_thread().name)
    bring(inbox, 0)
    assert "webworker-events" == calls.get()


def test_what_a_closed_loop_was_to_deliver_goes_to_the_next_handler() -> None:
    """A handler that is set on another loop gets what came when the first one had ended."""
    inbox = Inbox()

    async def hear(count: int) -> list[Any]:
        got: asyncio.Queue[Any] = asyncio.Queue()
        inbox.onmessage = lambda event: got.put_nowait(event.data)
        return [await asyncio.wait_for(got.get(), 20.0) for _ in range(count)]

    bring(inbox, 0)
    assert [0] == asyncio.run(hear(1))
    bring(inbox, 1)
    bring(inbox, 2)
    assert [1, 2] == asyncio.run(hear(2))


class Full:
    """
    A place where nothing can be called for a while.
    """

    is_closed = False

    def __init__(self) -> None:
        self.is_full = True
        self.calls: list[Callable[[], object]] = []

    def call(self, call: Callable[[], object]) -> bool:
        if not self.is_full:
            self.calls.append(call)
        return not self.is_full


def test_where_nothing_can_be_called_for_a_while() -> None:
    """
    What comes next asks anew, and what came before is not lost.
    """
    target, place, heard = Inbox(), Full(), list[Any]()
    target._here = lambda: place  # type: ignore[method-assign]
    target.onmessage = lambda event: heard.append(event.data)
    bring(target, 1)
    place.is_full = False
    bring(target, 2)
    while place.calls:
        place.calls.pop(0)()
    assert [1, 2] == heard


def test_a_listener_on_a_new_loop_moves_those_of_a_closed_one() -> None:
    """Nobody would ever be called any more where the first of them was added."""
    inbox, calls = Inbox(), Calls[Any]()

    async def listen() -> None:
        inbox.add_event_listener("message", lambda event: calls(event.data))

    async def listen_too() -> None:
        heard = asyncio.Event()
        inbox.add_event_listener("message", lambda event: heard.set())
        bring(inbox, 1)
        await asyncio.wait_for(heard.wait(), 20.0)

    asyncio.run(listen())
    asyncio.run(listen_too())
    assert 1 == calls.get()


def test_the_first_listener_for_messages_says_where() -> None:
    """Not one that was there before, nor one for something else."""
    inbox, got = Inbox(), list[Any]()

    async def hear() -> None:
        heard = asyncio.Event()

        def take(event: MessageEvent) -> None:
            got.append((event.data, threading.current_thread()))
            heard.set()

        inbox.add_event_listener("message", take)
        bring(inbox, 1)
        await asyncio.wait_for(heard.wait(), 20.0)

    with Place() as place:
        inbox.add_event_listener("close", print)
        inbox.add_event_listener("message", print)
        inbox.remove_event_listener("message", print)
        asyncio.run(hear())
        assert [] == place.calls
    assert [(1, threading.current_thread())] == got


def test_a_handler_is_never_called_where_it_was_not_set() -> None:
    """A call that was asked for at the former place finds nothing to do there."""
    inbox, got = Inbox(), list[Any]()

    async def hear(place: Place) -> None:
        inbox.onmessage = got.append
        place.turn()
        assert [] == got
        while not got:
            await asyncio.sleep(0)

    with Place() as place:
        inbox.onmessage = print
        bring(inbox, 1)
        asyncio.run(hear(place))
    assert [1] == [event.data for event in got]
