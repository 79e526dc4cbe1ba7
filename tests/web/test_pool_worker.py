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
from webworker_executor.errors import DataCloneError, InvalidStateError, PortClosedError
from webworker_executor.web.channel import MessageChannel
from webworker_executor.web.event import MessageEvent
from webworker_executor.web.message import event_of
from webworker_executor.web.pool_worker import PoolWorker
from webworker_executor.wire import codec
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.frame import Frame
from webworker_executor.wire.kinds import MESSAGE, NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from webworker_executor.web.events import EventsThread


class Wired:
    """
    A worker's handle, and a pool's place for it: what was sent to the process there.
    """

    def __init__(self, events: EventsThread) -> None:
        self.sent: list[tuple[int, Frame]] = []
        self.pid: int | None = None
        self.waiting: list[Callable[[], object]] = []
        self.call_back = events.call
        self.lock = threading.RLock()
        self.worker = PoolWorker(3, self)

    @property
    def crew(self) -> Wired:
        return self

    def pid_of(self, slot: int) -> int | None:
        return self.pid

    def state_of(self, slot: int) -> str:
        return "not running" if self.pid is None else f"pid={self.pid} idle"

    def unsent_nbytes(self, slot: int) -> int:
        return 17 * len(self.waiting)

    def when_written(self, index: int, call: Callable[[], object]) -> None:
        self.waiting.append(call)

    def post_message(
        self, index: int, parts: list[bytes | memoryview], fds: Sequence[Any], *_: object
    ) -> None:
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
    with pytest.raises(DataCloneError, match="cannot pickle"):
        wired.worker.post_message(threading.Lock())
    assert [] == wired.sent


def test_receive_in_order(wired: Wired) -> None:
    """
    `receive` gives the messages in order, each with the worker it came from.
    """
    for number in range(3):
        wired.arrive(number)
    received = [wired.worker.receive(20) for _ in range(3)]
    assert [0, 1, 2] == [event.data for event in received]
    assert {wired.worker} == {event.source for event in received}


def test_receive_waits(wired: Wired) -> None:
    """
    `receive` waits for a message that comes later.
    """
    threading.Timer(0.01, wired.arrive, ("later",)).start()
    assert "later" == wired.worker.receive(20).data


@pytest.mark.parametrize("timeout", [0, -1, 0.01])
def test_receive_times_out(wired: Wired, timeout: float) -> None:
    """
    No message in time is a TimeoutError that names worker and time; a later message is not lost.
    """
    with pytest.raises(TimeoutError) as caught:
        wired.worker.receive(timeout)
    seconds = max(timeout, 0)
    assert f"no message came to <PoolWorker 3 not running> in {seconds} s" == str(caught.value)
    wired.arrive("later")
    assert "later" == wired.worker.receive(0).data


def test_message_that_does_not_unpack_is_one_error(wired: Wired) -> None:
    """
    What unpacking raises comes out of that `receive`; the next message is untouched.
    """
    wired.worker._arrive(Frame(MESSAGE, 0, b"no pickle"))
    wired.arrive("good")
    with pytest.raises(pickle.UnpicklingError):
        wired.worker.receive(20)
    assert "good" == wired.worker.receive(20).data


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
    assert 2 == wired.worker.receive(20).data
    assert seen.is_empty


def test_receive_beside_a_handler(wired: Wired) -> None:
    """
    The handler takes all messages, so that `receive` refuses rather than wait for ever.
    """
    wired.worker.onmessage = print
    with pytest.raises(InvalidStateError, match="either listen, or receive"):
        wired.worker.receive()


def test_a_handler_that_cannot_be_called(wired: Wired) -> None:
    """
    What cannot be called is ``None``, as on the Web.
    """
    wired.worker.onmessage = "print"  # type: ignore[assignment]  # the wrong use under test
    assert None is wired.worker.onmessage


def test_all_that_others_can_do(wired: Wired) -> None:
    """
    Listeners, iteration, ports and errors of unpacking are as with any port or worker.
    """
    events = Inbox[MessageEvent]()
    wired.worker.add_event_listener("messageerror", events)
    wired.worker.add_event_listener("message", events, once=True)
    wired.worker._arrive(Frame(MESSAGE, 0, b"no pickle"))
    wired.arrive("heard")
    wired.arrive("left")
    first, second = events.take(2)
    assert ("messageerror", None, "heard") == (first.type, first.data, second.data)
    wired.worker._ended()
    assert ["left"] == [event.data for event in wired.worker]
    with MessageChannel() as channel:
        wired.worker.post_message("take", [channel.port2])
        assert channel.port2.detached
        [(_, frame)] = wired.sent
        event = event_of(frame)
        assert "take" == event.data
        channel.port1.post_message("hello")
        assert "hello" == event.ports[0].receive(20).data
        event.ports[0].close()


def test_what_waits_is_seen(wired: Wired) -> None:
    """
    The bytes that wait are told, and drain waits for them.
    """
    with pytest.raises(TimeoutError, match="17 bytes still wait in <PoolWorker 3"):
        wired.worker.drain(0)
    wired.waiting.clear()

    def write() -> None:
        while not wired.waiting:
            pass
        wired.waiting.pop()()

    writing = threading.Thread(target=write)
    writing.start()
    wired.worker.drain(5)
    writing.join(20)
    assert 0 == wired.worker.buffered_amount


def test_closed_worker_gives_what_came(wired: Wired) -> None:
    """
    Messages that came before the end are still received; then the end is an error.
    """
    wired.arrive("last words")
    wired.worker._ended()
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
    wired.worker._ended()
    for thread in threads:
        thread.join(20)
    assert 3 == len(errors.take(3))


def test_repr_tells_the_state(wired: Wired) -> None:
    """
    A handle prints its index, and the process that is in place.
    """
    assert ("<PoolWorker 3 not running>", None) == (repr(wired.worker), wired.worker.pid)
    wired.pid = 4711
    assert ("<PoolWorker 3 pid=4711 idle>", 4711) == (repr(wired.worker), wired.worker.pid)
