"""
Tests of `webworker_executor.web.pool_worker`: the host's end of the channel to a worker.
"""

from __future__ import annotations

import logging
import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.link.inbox import Inbox
from webworker_executor.errors import PortClosedError
from webworker_executor.web.event import MessageEvent
from webworker_executor.web.pool_worker import PoolWorker
from webworker_executor.wire import codec
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.frame import MESSAGE, NAMES, Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webworker_executor.web.events import EventsThread


class Wired:
    """
    A worker's handle, and what it sent to its process.
    """

    def __init__(self, events: EventsThread) -> None:
        self.sent: list[tuple[int, Frame]] = []
        self.pid: int | None = None
        self.worker = PoolWorker(3, self._post, events.call, lambda index: self.pid)

    def _post(self, index: int, parts: list[bytes | memoryview], fds: Sequence[Any]) -> None:
        [frame] = FrameDecoder(frozenset(NAMES)).feed(b"".join(parts), fds)
        self.sent.append((index, frame))

    def arrive(self, message: object) -> None:
        packed = codec.pack(message)
        self.worker._arrive(
            Frame(MESSAGE, 0, packed.payload, [memoryview(each) for each in packed.buffers])  # type: ignore[arg-type]  # none is lent here
        )


@pytest.fixture
def wired(events: EventsThread) -> Wired:
    """
    Make a handle whose frames are kept.
    """
    return Wired(events)


@pytest.mark.parametrize("message", [None, {"a": [1, 2]}, bytearray(200_000)], ids=type)
def test_message_is_sent_to_the_process_in_place(wired: Wired, message: object) -> None:
    """
    A message is packed at once and goes to the worker of this index.
    """
    wired.worker.post_message(message)
    [(index, frame)] = wired.sent
    assert (3, MESSAGE) == (index, frame.kind)
    assert message == codec.unpack(frame.payload, frame.buffers)


def test_message_that_does_not_pack(wired: Wired) -> None:
    """
    What cannot be packed is the caller's error, and nothing is sent.
    """
    with pytest.raises(TypeError, match="cannot pickle"):
        wired.worker.post_message(threading.Lock())
    assert [] == wired.sent


def test_receive_in_order(wired: Wired) -> None:
    """
    `receive` gives the messages in order, each with the worker it came from.
    """
    for number in range(3):
        wired.arrive(number)
    received = [wired.worker.receive(5) for _ in range(3)]
    assert [0, 1, 2] == [event.data for event in received]
    assert {wired.worker} == {event.source for event in received}


def test_receive_waits(wired: Wired) -> None:
    """
    `receive` waits for a message that comes later.
    """
    threading.Timer(0.01, wired.arrive, ("later",)).start()
    assert "later" == wired.worker.receive(5).data


@pytest.mark.parametrize("timeout", [0, -1, 0.01])
def test_receive_times_out(wired: Wired, timeout: float) -> None:
    """
    No message in time is a TimeoutError that names worker and time; a later message is not lost.
    """
    with pytest.raises(TimeoutError) as caught:
        wired.worker.receive(timeout)
    assert f"no message from worker 3 in {timeout} s" == str(caught.value)
    wired.arrive("later")
    assert "later" == wired.worker.receive(0).data


def test_message_that_does_not_unpack_is_one_error(wired: Wired) -> None:
    """
    What unpacking raises comes out of that `receive`; the next message is untouched.
    """
    wired.worker._arrive(Frame(MESSAGE, 0, b"no pickle"))
    wired.arrive("good")
    with pytest.raises(pickle.UnpicklingError):
        wired.worker.receive(5)
    assert "good" == wired.worker.receive(5).data


def test_handler_gets_what_came_before_it(wired: Wired) -> None:
    """
    A new handler gets the waiting messages first, in order, then those that come.
    """
    for number in range(3):
        wired.arrive(number)
    seen = Inbox[MessageEvent]()
    wired.worker.onmessage = seen
    wired.arrive(3)
    received = seen.take(4)
    assert [0, 1, 2, 3] == [event.data for event in received]
    assert {wired.worker} == {event.source for event in received}
    assert seen is wired.worker.onmessage


def test_handler_runs_on_the_events_thread(wired: Wired, events: EventsThread) -> None:
    """
    A handler never runs where frames are read.
    """
    seen = Inbox[bool]()
    wired.worker.onmessage = lambda event: seen(events.is_current_thread)
    wired.arrive(1)
    assert seen.get()


def test_failing_handler_is_logged(wired: Wired, caplog: pytest.LogCaptureFixture) -> None:
    """
    A handler that raises does not keep the next message from the handler.
    """
    seen = Inbox[object]()

    def handle(event: MessageEvent) -> None:
        seen(event.data)
        raise LookupError("a bug")

    with caplog.at_level(logging.ERROR, "webworker_executor.web"):
        wired.worker.onmessage = handle
        wired.arrive(1)
        wired.arrive(2)
        assert [1, 2] == seen.take(2)


def test_messages_wait_without_a_handler(wired: Wired) -> None:
    """
    With the handler taken away, messages wait for `receive` again.
    """
    seen = Inbox[MessageEvent]()
    wired.worker.onmessage = seen
    wired.arrive(1)
    assert 1 == seen.get().data
    wired.worker.onmessage = None
    wired.arrive(2)
    assert 2 == wired.worker.receive(5).data
    assert seen.is_empty


def test_receive_beside_a_handler(wired: Wired) -> None:
    """
    The handler takes all messages, so that `receive` refuses rather than wait for ever.
    """
    wired.worker.onmessage = print
    with pytest.raises(RuntimeError, match="set it to None first"):
        wired.worker.receive()


def test_handler_must_be_callable(wired: Wired) -> None:
    """
    Wrong use is told at the assignment, with what is wanted.
    """
    with pytest.raises(TypeError) as caught:
        wired.worker.onmessage = "print"  # type: ignore[assignment]  # the wrong use under test
    assert "onmessage must be callable or None, not str; it is called with one MessageEvent" == str(
        caught.value
    )
    assert None is wired.worker.onmessage


def test_closed_worker_gives_what_came(wired: Wired) -> None:
    """
    Messages that came before the end are still received; then the end is an error.
    """
    wired.arrive("last words")
    wired.worker._close()
    assert "last words" == wired.worker.receive().data
    with pytest.raises(PortClosedError, match="worker 3 has ended and left no message"):
        wired.worker.receive()


def test_end_wakes_who_waits(wired: Wired) -> None:
    """
    Every thread that waits for a message learns that none will come.
    """
    errors = Inbox[BaseException]()

    def wait() -> None:
        try:
            wired.worker.receive()
        except PortClosedError as error:
            errors(error)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    wired.worker._close()
    for thread in threads:
        thread.join(5)
    assert 3 == len(errors.take(3))


def test_repr_tells_the_state(wired: Wired) -> None:
    """
    A handle prints its index, and the process that is in place.
    """
    assert ("<PoolWorker 3 not running>", None) == (repr(wired.worker), wired.worker.pid)
    wired.pid = 4711
    assert ("<PoolWorker 3 pid=4711>", 4711) == (repr(wired.worker), wired.worker.pid)
