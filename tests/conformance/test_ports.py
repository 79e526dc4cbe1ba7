"""
What HTML, its tests and its neighbours promise of ports, each case by its number in our own list.

Sources: HTML, "Channel messaging"; web-platform-tests, ``webmessaging``; Node.js,
``worker_threads``.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance import holders
from tests.link.inbox import Inbox
from tests.patience import wait_until
from webworker_executor import (
    AbortSignal,
    BrokenWorkerPool,
    DataCloneError,
    FileDescriptor,
    MessageChannel,
    MessageEvent,
    MessagePort,
    PortClosedError,
    WebWorkerExecutor,
    Worker,
    WorkerCrashedError,
    structured_clone,
)
from webworker_executor.wire import frame

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10.0


@pytest.fixture
def executor() -> Iterator[WebWorkerExecutor]:
    """Keep a worker until the end of the test."""
    with WebWorkerExecutor(1) as executor:
        yield executor


def received(port: MessagePort, count: int) -> list[Any]:
    return [port.receive(LIMIT).data for _ in range(count)]


def sent_through(port: MessagePort, transfer: MessageChannel | None = None) -> MessagePort:
    """Transfer a port over another channel, and return what arrives."""
    with transfer or MessageChannel() as other:
        other.port1.post_message(None, [port])
        moved: MessagePort = other.port2.receive(LIMIT).ports[0]
        return moved


def test_case_01_setting_onmessage_starts_a_port(channel: MessageChannel) -> None:
    """What was posted before a handler is set is delivered once it is."""
    inbox: Inbox[MessageEvent] = Inbox()
    channel.port1.post_message(1)
    channel.port2.onmessage = inbox
    assert 1 == inbox.get().data


def test_case_02_a_listener_does_not_start_a_port(channel: MessageChannel) -> None:
    """A listener gets nothing before start(), and everything after it."""
    inbox: Inbox[MessageEvent] = Inbox()
    channel.port2.add_event_listener("message", inbox)
    channel.port1.post_message(1)
    with pytest.raises(queue.Empty):
        inbox.get(timeout=0.1)
    channel.port2.start()
    assert 1 == inbox.get().data


def test_case_04_a_handler_set_in_the_first_event_does_not_get_it(channel: MessageChannel) -> None:
    """One message is one call, also when the handler is replaced meanwhile."""
    calls: Inbox[str] = Inbox()

    def first(event: MessageEvent) -> None:
        channel.port2.onmessage = lambda event: calls(f"second {event.data}")
        calls(f"first {event.data}")

    channel.port2.onmessage = first
    channel.port1.post_message("a")
    assert "first a" == calls.get()
    channel.port1.post_message("b")
    assert "second b" == calls.get()


def test_case_05_an_event_has_the_properties_of_the_standard(channel: MessageChannel) -> None:
    """Type, flags and the defaults of a message's event are those of the Web."""
    inbox: Inbox[MessageEvent] = Inbox()
    channel.port2.onmessage = inbox
    channel.port1.post_message("x")
    event = inbox.get()
    assert isinstance(event, MessageEvent)
    assert ("message", False, False) == (event.type, event.bubbles, event.cancelable)
    assert ((), None, "", "") == (event.ports, event.source, event.origin, event.last_event_id)
    assert channel.port2 is event.target


def test_case_07_ports_arrive_in_the_order_of_the_list(channel: MessageChannel) -> None:
    """``event.ports`` has what was listed, in that order, and cannot be changed."""
    with MessageChannel() as one, MessageChannel() as two:
        one.port1.post_message("one")
        two.port1.post_message("two")
        channel.port1.post_message("take", [two.port2, one.port2])
        event = channel.port2.receive(LIMIT)
        assert ["two", "one"] == [port.receive(LIMIT).data for port in event.ports]
        with pytest.raises(AttributeError):
            event.ports.append(channel.port1)  # type: ignore[attr-defined]  # that is the test


def test_case_08_a_message_must_be_given_and_may_be_none(channel: MessageChannel) -> None:
    """Posting nothing at all is an error, posting ``None`` is not."""
    with pytest.raises(TypeError):
        channel.port1.post_message()  # type: ignore[call-arg]  # that is the test
    channel.port1.post_message(None)
    assert channel.port2.receive(LIMIT).data is None


def test_case_10_what_may_stand_as_a_transfer_list(channel: MessageChannel) -> None:
    """No list is an empty list; what is none, and what cannot be transferred, is refused."""
    nothings: list[Any] = [None, [], ()]
    for nothing in nothings:
        channel.port1.post_message("x", nothing)
    assert ["x"] * 3 == received(channel.port2, 3)
    for wrong in (1, [None]):
        with pytest.raises(TypeError):
            channel.port1.post_message("y", wrong)  # type: ignore[arg-type]  # that is the test
    for item in ({}, object(), 3, "text", [], threading.Lock()):
        with pytest.raises(DataCloneError, match=r"transfer\[0\]"):
            channel.port1.post_message("y", [item])
    assert channel.port2.receive_nowait() is None


def test_case_11_a_port_cannot_be_posted_to_itself(channel: MessageChannel) -> None:
    """A port in its own list is refused, and its channel works on."""
    with pytest.raises(DataCloneError):
        channel.port1.post_message("x", [channel.port1])
    channel.port1.post_message("y")
    assert "y" == channel.port2.receive(LIMIT).data


def test_case_11_nor_to_its_other_end(channel: MessageChannel) -> None:
    """It would go to itself, and nobody could ever receive it."""
    with pytest.raises(DataCloneError, match="could receive it"):
        channel.port1.post_message("x", [channel.port2])
    channel.port1.post_message("y")
    assert "y" == channel.port2.receive(LIMIT).data
    # Elsewhere it may go, and so may one whose other end is gone.
    moved = sent_through(channel.port2)
    channel.port1.post_message("z")
    assert "z" == moved.receive(LIMIT).data
    other = MessageChannel()
    other.port1.post_message("left behind")
    del other.port1
    assert "left behind" == structured_clone(other.port2, [other.port2]).receive(LIMIT).data


def test_case_13_a_port_stands_in_a_list_once(channel: MessageChannel) -> None:
    """The same port twice in one list is refused, and not given up."""
    with MessageChannel() as other:
        with pytest.raises(DataCloneError, match="twice"):
            channel.port1.post_message("x", [other.port1, other.port1])
        assert not other.port1.detached


def test_case_14_a_port_is_transferred_once(channel: MessageChannel) -> None:
    """What has been transferred cannot be transferred again."""
    with MessageChannel() as other:
        channel.port1.post_message("x", [other.port1])
        with pytest.raises(DataCloneError, match="detached"):
            channel.port1.post_message("x", [other.port1])


class OwnError(Exception):
    """Raised by a hook of the user's."""


class Raises:
    """Raises when it is pickled, and always the same."""

    error = OwnError("mine")

    def __reduce__(self) -> str:
        raise self.error


def test_case_16_a_failure_gives_nothing_up(channel: MessageChannel) -> None:
    """What a value's own hook raises comes out as it is, and nothing listed has been detached."""
    with MessageChannel() as other, socket.socket() as own:
        other.port1.post_message("before")
        for order in ([Raises(), other.port2, own], [other.port2, own, Raises()]):
            with pytest.raises(OwnError) as caught:
                channel.port1.post_message(order, [other.port2, own])
            assert Raises.error is caught.value
        assert not other.port2.detached
        assert own.fileno() >= 0
        assert "before" == other.port2.receive(LIMIT).data
        other.port2.post_message("after")
        assert "after" == other.port1.receive(LIMIT).data


class PostsAway:
    """Transfers a port somewhere else when it is pickled."""

    def __init__(self, way: MessagePort, port: MessagePort) -> None:
        self.way = way
        self.port = port

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        if not self.port.detached:
            self.way.post_message("stolen", [self.port])
        return str, ("posted away",)


def test_case_17_a_port_that_goes_away_while_it_is_packed(channel: MessageChannel) -> None:
    """If packing the message transfers a listed port elsewhere, the message is refused."""
    with MessageChannel() as other, MessageChannel() as way:
        with pytest.raises(DataCloneError):
            channel.port1.post_message(PostsAway(way.port1, other.port2), [other.port2])
        assert other.port2.detached
        other.port1.post_message("x")
        assert "x" == way.port2.receive(LIMIT).ports[0].receive(LIMIT).data
        assert channel.port2.receive_nowait() is None


def test_case_19_a_transferred_port_is_dead(channel: MessageChannel) -> None:
    """The original posts silently nowhere, hears nothing, and says that it is detached."""
    inbox: Inbox[MessageEvent] = Inbox()
    with MessageChannel() as other:
        old = other.port2
        old.onmessage = inbox
        new = sent_through(old)
        assert (True, True, False) == (old.detached, old.closed, new.detached)
        old.post_message("lost")
        other.port1.post_message("x")
        assert "x" == new.receive(LIMIT).data
        assert inbox.is_empty
        new.post_message("y")
        assert "y" == other.port1.receive(LIMIT).data
        with pytest.raises(PortClosedError, match="was transferred"):
            old.receive(0)
        new.close()


def test_case_20_only_the_new_holder_is_heard() -> None:
    """What was posted before the move arrives; what the old object posts after it does not."""
    with MessageChannel() as other:
        old = other.port1
        old.post_message("PING")
        new = sent_through(old)
        old.post_message("PONG")
        new.post_message("NEW")
        assert ["PING", "NEW"] == received(other.port2, 2)
        new.close()
        with pytest.raises(PortClosedError):
            other.port2.receive(LIMIT)


def test_case_21_messages_follow_a_port_in_order() -> None:
    """A port that moves several times while the other end posts loses and reorders nothing."""
    with MessageChannel() as other:
        port = other.port2
        for stop in range(10):
            other.port1.post_message(stop)
            port = sent_through(port)
        other.port1.post_message(10)
        assert list(range(11)) == received(port, 11)
        port.close()


def test_case_21_messages_follow_a_started_port_in_order() -> None:
    """Each is heard once, by the holder of the moment or a later one, and in order."""
    heard: Inbox[int] = Inbox()

    def hear(event: MessageEvent) -> None:
        heard(event.data)

    with MessageChannel() as other:
        port = other.port2
        for stop in range(10):
            for number in range(50):
                other.port1.post_message(stop * 50 + number)
            port.onmessage = hear
            port = sent_through(port)
        other.port1.post_message(500)
        port.onmessage = hear
        assert list(range(501)) == heard.take(501)
        port.close()


def test_case_21_what_a_started_port_has_read_moves_along() -> None:
    """What waits in this process for a slow handler goes with the port, ahead of what is posted."""
    ports: Inbox[MessagePort] = Inbox()
    with MessageChannel() as other:
        old = other.port2

        def move(event: MessageEvent) -> None:
            assert 0 == event.data
            wait_until(lambda: "waiting=499" in repr(old))
            ports(sent_through(old))

        for number in range(500):
            other.port1.post_message(number)
        old.onmessage = move
        new = ports.get(LIMIT)
        assert "waiting=499" in repr(new)
        other.port1.post_message(500)
        assert list(range(1, 501)) == received(new, 500)
        assert new.receive_nowait() is None
        new.close()


def test_case_22_messages_posted_at_each_stop_arrive_in_order(
    executor: WebWorkerExecutor,
) -> None:
    """A port posts one message wherever it is; the end that stays gets them in order."""
    with MessageChannel() as other:
        port = other.port2
        for stop in range(5):
            port = executor.submit(holders.pass_on, port, stop).result(LIMIT)
        assert list(range(5)) == received(other.port1, 5)
        port.close()


def test_case_23_both_ends_may_move(channel: MessageChannel) -> None:
    """Both ends of a channel move with a message under way; it comes first."""
    other = MessageChannel()
    other.port1.post_message("early")
    channel.port1.post_message(None, [other.port1, other.port2])
    one, two = channel.port2.receive(LIMIT).ports
    with one, two:
        one.post_message("late")
        assert ["early", "late"] == received(two, 2)
        two.post_message("back")
        assert "back" == one.receive(LIMIT).data


def test_case_25_what_is_not_yet_written_moves_along() -> None:
    """A port moves with a mebibyte that the kernel has not taken, and nothing is lost."""
    with MessageChannel() as other:
        messages = [bytes([number]) * 4096 for number in range(256)]
        for message in messages:
            other.port1.post_message(message)
        assert other.port1.buffered_amount > 0
        new = sent_through(other.port1)
        new.post_message(b"last")
        assert [*messages, b"last"] == received(other.port2, 257)
        new.close()


def test_case_26_a_received_port_is_new_and_not_started(channel: MessageChannel) -> None:
    """What arrives is another object, and messages wait in it."""
    with MessageChannel() as other:
        other.port2.start()
        new = sent_through(other.port2)
        assert other.port2 is not new
        inbox: Inbox[MessageEvent] = Inbox()
        new.add_event_listener("message", inbox)
        other.port1.post_message("x")
        with pytest.raises(queue.Empty):
            inbox.get(timeout=0.1)
        new.onmessage = None
        assert "x" == new.receive(LIMIT).data
        new.close()


def test_case_28_posting_to_a_closed_end_is_silent(executor: WebWorkerExecutor) -> None:
    """Whoever posts to an end that is gone is not told, wherever he holds his port."""
    with MessageChannel() as other:
        other.port1.close()
        new = sent_through(other.port2)
        new = executor.submit(holders.pass_on, new, "lost").result(LIMIT)
        new.post_message("lost")
        new.close()


@pytest.mark.parametrize("nbytes", [10, 100_000])
def test_case_29_what_was_posted_before_close_arrives(channel: MessageChannel, nbytes: int) -> None:
    """A close right after the posts cuts nothing off, however much is still to be written."""
    messages = [bytes(nbytes)] * 50
    for message in messages:
        channel.port1.post_message(message)
    channel.port1.close()
    assert messages == [event.data for event in channel.port2]


def test_case_31_close_is_told_once_and_last_and_to_the_other_side(channel: MessageChannel) -> None:
    """The close event comes after every message, once, and not to the side that closed."""
    inbox: Inbox[Any] = Inbox()
    own: Inbox[Any] = Inbox()
    channel.port1.onmessage = channel.port1.onclose = own
    channel.port2.onclose = lambda event: inbox(event.type)
    channel.port2.onmessage = lambda event: inbox(event.data)
    for number in range(100):
        channel.port1.post_message(number)
    channel.port1.close()
    channel.port1.close()
    assert [*range(100), "close"] == inbox.take(101)
    channel.port2.close()
    assert (True, True) == (inbox.is_empty, own.is_empty)


def closing(how: str, executor: WebWorkerExecutor, port: MessagePort) -> None:
    """Bring the holder of a port to its end; the port is nobody's any more."""
    if how == "killed":
        doomed = executor.submit(holders.hold_and_die, port, ["a", "b"])
        with pytest.raises(WorkerCrashedError):
            doomed.result(LIMIT)
    else:
        port.post_message("a")
        port.post_message("b")


@pytest.mark.parametrize("how", ["killed", "collected", "cyclic", "exit"])
def test_case_32_close_is_told_however_the_other_side_ends(
    executor: WebWorkerExecutor, how: str
) -> None:
    """A holder that is killed, exits, or forgets its port is noticed like one that closes."""
    channel = MessageChannel()
    port, inbox = channel.port1, Inbox[Any]()
    port.onclose = lambda event: inbox(event.type)
    port.onmessage = lambda event: inbox(event.data)
    if how == "exit":
        with WebWorkerExecutor(1) as other:
            other.submit(holders.pass_on, channel.port2, "a").result(LIMIT).post_message("b")
    else:
        closing(how, executor, channel.port2)
    if how == "cyclic":
        loop: list[Any] = [channel.port2]
        loop.append(loop)
        del loop
    del channel
    gc.collect()
    assert ["a", "b", "close"] == inbox.take(3)


def test_case_34_a_port_on_its_way_to_a_worker_that_cannot_begin_closes() -> None:
    """If the worker that a port was sent to never comes up, the other end is told."""
    with MessageChannel() as channel:
        with WebWorkerExecutor(1, initializer=holders.fail) as executor:
            doomed = executor.submit(holders.echo, channel.port2)
            with pytest.raises(BrokenWorkerPool):
                doomed.result(LIMIT)
        del doomed, executor
        with pytest.raises(PortClosedError):
            channel.port1.receive(LIMIT)


@pytest.mark.slow
@pytest.mark.parametrize(
    "source",
    ["x = (", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"],
    ids=["bad script", "dies"],
)
def test_case_34_a_port_sent_to_a_worker_that_never_reads_closes(source: str) -> None:
    """A script that does not load, or dies before it reads, closes the ports on their way to it."""
    with MessageChannel() as channel:
        worker = Worker(source=source, stderr="devnull")
        worker.onerror = lambda event: True
        worker.post_message("take", [channel.port2])
        with pytest.raises(PortClosedError):
            channel.port1.receive(LIMIT)
        assert 0 != worker.exited.result(LIMIT)


def test_case_35_a_closed_port_can_be_moved_while_it_has_messages() -> None:
    """Messages that were left behind can still be passed on; an empty dead port cannot."""
    with MessageChannel() as other:
        for number in range(3):
            other.port1.post_message(number)
        other.port1.close()
        new = sent_through(other.port2)
        assert 0 == new.receive(LIMIT).data
        newer = sent_through(new)
        assert [1, 2] == [event.data for event in newer]
        with pytest.raises(DataCloneError, match="ended"):
            sent_through(newer)


def depth() -> int:
    """Count the frames of the calling thread."""
    frame, count = sys._getframe(), 0
    while frame.f_back is not None:
        frame, count = frame.f_back, count + 1
    return count


def test_case_37_two_ports_that_answer_each_other_starve_nobody(channel: MessageChannel) -> None:
    """A thousand rounds run at the same depth of the stack, and a timer fires meanwhile."""
    depths: set[int] = set()
    done = threading.Event()
    timers: list[AbortSignal] = []

    def answer(port: MessagePort) -> Any:
        def handle(event: MessageEvent) -> None:
            depths.add(depth())
            if not timers:
                timers.append(AbortSignal.timeout(0))
            # It goes on for as long as the timer takes: one that starved would never fire.
            if event.data >= 1000 and timers[0].aborted:
                done.set()
            else:
                port.post_message(event.data + 1)

        return handle

    channel.port1.onmessage = answer(channel.port1)
    channel.port2.onmessage = answer(channel.port2)
    channel.port1.post_message(0)
    assert done.wait(LIMIT)
    assert 1 == len(depths)


def test_case_37_nor_in_a_script() -> None:
    """There the timer has the same thread as the two ports."""
    source = """
import sys
from webworker_executor import MessageChannel
channel = MessageChannel()
depths, fired = set(), []
def depth():
    frame, count = sys._getframe(), 0
    while frame.f_back is not None:
        frame, count = frame.f_back, count + 1
    return count
def answer(event):
    depths.add(depth())
    if event.data == 0:
        set_timeout(fired.append, 0, True)
    if event.data >= 1000 and fired:
        post_message(len(depths))
    else:
        event.target.post_message(event.data + 1)
channel.port1.onmessage = channel.port2.onmessage = answer
channel.port1.post_message(0)
"""
    with Worker(source=source) as worker:
        assert 1 == worker.receive(LIMIT).data


def test_case_38_posting_to_who_does_not_read_never_blocks(channel: MessageChannel) -> None:
    """Far more than the kernel holds is taken at once, and arrives in order when it is read."""
    for number in range(10_000):
        channel.port1.post_message(number)
    assert channel.port1.buffered_amount > 0
    assert list(range(10_000)) == received(channel.port2, 10_000)
    channel.port1.drain(LIMIT)
    assert 0 == channel.port1.buffered_amount


def test_case_40_a_message_larger_than_a_frame_goes_in_pieces(
    channel: MessageChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no message too large for a port; one that needs several frames arrives whole."""
    monkeypatch.setattr(frame, "MAX_PAYLOAD_NBYTES", 100_000)
    message = os.urandom(450_000)
    channel.port1.post_message(message)
    channel.port1.post_message("next")
    assert [message, "next"] == received(channel.port2, 2)


def test_case_41_an_empty_message_arrives_at_once(channel: MessageChannel) -> None:
    """What has no bytes of its own needs no later traffic to be delivered."""
    channel.port1.post_message(b"")
    assert b"" == channel.port2.receive(LIMIT).data
    assert channel.port2.receive_nowait() is None


def test_case_43_pulling_needs_no_start_and_fires_nothing(channel: MessageChannel) -> None:
    """An idle port gives ``None``; what is pulled is no event."""
    inbox: Inbox[MessageEvent] = Inbox()
    channel.port2.add_event_listener("message", inbox)
    assert channel.port2.receive_nowait() is None
    channel.port1.post_message("x")
    event = channel.port2.receive_nowait()
    assert event is not None
    assert "x" == event.data
    assert inbox.is_empty


def unreadable() -> None:
    """Stand for a class that the receiver does not have."""
    raise ImportError("no such thing here")


class Unreadable:
    """Can be packed and not unpacked."""

    def __init__(self, *held: object) -> None:
        self.held = held

    def __reduce__(self) -> tuple[Any, ...]:
        return _fail, (self.held,)


def _fail(held: object) -> None:
    unreadable()


def test_case_44_what_cannot_be_unpacked_is_told_and_closes_what_came_with_it(
    channel: MessageChannel,
) -> None:
    """A message that fails to unpack is a messageerror; its ports close; later ones arrive."""
    events: Inbox[MessageEvent] = Inbox()
    channel.port2.onmessage = channel.port2.onmessageerror = events
    other = MessageChannel()
    channel.port1.post_message(Unreadable(other.port2), [other.port2])
    channel.port1.post_message("next")
    event = events.get()
    assert ("messageerror", None) == (event.type, event.data)
    assert isinstance(event.error, ImportError)
    assert "next" == events.get().data
    with pytest.raises(PortClosedError):
        other.port1.receive(LIMIT)


def test_case_44_what_is_pulled_and_cannot_be_unpacked_raises(channel: MessageChannel) -> None:
    """Pulled, the error is raised where the message is awaited, and the next one arrives."""
    channel.port1.post_message(Unreadable())
    channel.port1.post_message("next")
    with pytest.raises(ImportError, match="no such thing"):
        channel.port2.receive(LIMIT)
    assert "next" == channel.port2.receive(LIMIT).data


def test_case_95_the_end_of_a_pipe_can_be_given_away(
    channel: MessageChannel, executor: WebWorkerExecutor
) -> None:
    """A worker writes JSON into a pipe whose end was sent to it, and the host reads it."""
    from webworker_executor import transfer

    reading, writing = os.pipe()
    with os.fdopen(reading) as reader:
        file = os.fdopen(writing, "w")
        text = json.dumps({"a": [1, 2]})
        executor.submit(holders.write_to, transfer(file, [file]), text).result(LIMIT)
        assert file.closed
        assert {"a": [1, 2]} == json.load(reader)


def inode(fd: int) -> int:
    return os.fstat(fd).st_ino


def test_case_97_descriptors_stay_with_their_messages(channel: MessageChannel) -> None:
    """Of 300 messages with and without descriptors, each has its own and no other."""
    expected: list[int | None] = []
    for number in range(300):
        if number % 3 == 0:
            expected.append(None)
            channel.port1.post_message(number)
        else:
            reading, writing = os.pipe()
            expected.append(inode(reading))
            with FileDescriptor(reading) as descriptor:
                channel.port1.post_message(number, fds=[descriptor])
            os.close(writing)
    found: list[int | None] = []
    for number in range(300):
        event = channel.port2.receive(LIMIT)
        assert number == event.data
        found.append(None if event.fd is None else inode(event.fd))
        for fd in event.fds:
            os.close(fd)
    assert expected == found


def test_case_98_more_descriptors_than_the_kernel_takes_are_refused(
    channel: MessageChannel,
) -> None:
    """253 descriptors go in one message; one more is refused before anything is sent."""
    with open(os.devnull) as file:
        channel.port1.post_message("most", fds=[file] * 253)
        with pytest.raises(DataCloneError, match="253"):
            channel.port1.post_message("too many", fds=[file] * 254)
        event = channel.port2.receive(LIMIT)
        assert 253 == len(event.fds)
        for fd in event.fds:
            os.close(fd)
        assert channel.port2.receive_nowait() is None


def test_case_100_a_duplicate_leaves_the_socket_and_a_transfer_takes_it(
    channel: MessageChannel,
) -> None:
    """``fds`` leaves the sender's socket usable, ``transfer`` makes it raise on use."""
    near, far = socket.socketpair()
    with near, far:
        near.settimeout(LIMIT)
        channel.port1.post_message("copy", fds=[far])
        event = channel.port2.receive(LIMIT)
        assert event.fd is not None
        os.write(event.fd, b"from the copy")
        os.close(event.fd)
        assert b"from the copy" == near.recv(100)
        far.send(b"from me")
        assert b"from me" == near.recv(100)
        channel.port1.post_message({"sock": far}, [far])
        with pytest.raises(OSError, match="Bad file descriptor"):
            far.send(b"no more")
        with channel.port2.receive(LIMIT).data["sock"] as moved:
            moved.send(b"from there")
            assert b"from there" == near.recv(100)
