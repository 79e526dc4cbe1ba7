"""
Tests of `webworker_executor.web.broadcast`: what one posts all others hear.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.leaks import descriptors, new_descriptors
from tests.link.inbox import Inbox
from tests.link.interrupts import broken_off, ctrl_c, interrupted_at
from tests.patience import wait_until
from webworker_executor import (
    AbortController,
    AbortSignal,
    BroadcastChannel,
    DataCloneError,
    FileDescriptor,
    InvalidStateError,
    MessageChannel,
    MessagePort,
    PortClosedError,
    SharedBuffer,
    WebWorkerExecutor,
    WorkerCrashedError,
    proxy,
    transfer,
)
from webworker_executor.web import station as stations
from webworker_executor.web.host import host

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.web.launchers import LauncherName
    from webworker_executor.web.station import Station

LIMIT = 10.0
GENERATOR = (number for number in range(0))


def hear(port: MessagePort, name: str, count: int) -> list[Any]:
    """Say that one listens, and collect."""
    with BroadcastChannel(name) as channel:
        port.post_message("listening")
        return [channel.receive(LIMIT).data for _ in range(count)]


def tell(name: str, messages: list[Any]) -> None:
    """Post to whoever listens."""
    with BroadcastChannel(name) as channel:
        for message in messages:
            channel.post_message(message)


def hear_until_told(port: MessagePort, name: str) -> None:
    """Say that one listens, and do so until it is enough."""
    with BroadcastChannel(name) as channel:
        port.post_message("listening")
        while True:
            if channel.receive(LIMIT).data == "enough":
                return


def hear_and_die(port: MessagePort, name: str) -> None:
    """Listen, and be killed."""
    with BroadcastChannel(name):
        port.post_message("listening")
        os.kill(os.getpid(), signal.SIGKILL)


def test_all_others_hear_and_the_sender_does_not() -> None:
    """In one process each other channel of the name gets a copy of its own, in order."""
    with (
        BroadcastChannel("news") as sender,
        BroadcastChannel("news") as one,
        BroadcastChannel("news") as two,
        BroadcastChannel("else") as other,
    ):
        for number in range(10):
            sender.post_message([number])
        heard = [[channel.receive(LIMIT).data for _ in range(10)] for channel in (one, two)]
        assert [[[number] for number in range(10)]] * 2 == heard
        assert heard[0][0] is not heard[1][0]
        assert (None, None) == (sender.receive_nowait(), other.receive_nowait())


@pytest.mark.parametrize("launcher_name", ["spawn", "fork", "zygote"])
def test_other_processes_hear_in_the_senders_order(launcher_name: LauncherName) -> None:
    """Whoever listens in a worker hears what the host posts from then on, and the host workers."""
    count = 50
    with (
        WebWorkerExecutor(2, launcher=launcher_name) as executor,
        BroadcastChannel("news") as channel,
        MessageChannel() as one,
        MessageChannel() as two,
    ):
        futures = [executor.submit(hear, port, "news", count) for port in (one.port2, two.port2)]
        assert ["listening"] * 2 == [each.port1.receive(LIMIT).data for each in (one, two)]
        for number in range(count):
            channel.post_message((number, bytes(number * 100)))
        expected = [(number, bytes(number * 100)) for number in range(count)]
        assert [expected] * 2 == [future.result(LIMIT) for future in futures]
        executor.submit(tell, "news", ["a", "b"]).result(LIMIT)
        assert ["a", "b"] == [channel.receive(LIMIT).data for _ in range(2)]


def test_a_listener_that_is_killed_is_in_nobodys_way() -> None:
    """Posts go on to all others after one of them has died."""
    with (
        WebWorkerExecutor(1) as executor,
        BroadcastChannel("news") as channel,
        BroadcastChannel("news") as other,
        MessageChannel() as way,
    ):
        doomed = executor.submit(hear_and_die, way.port2, "news")
        assert "listening" == way.port1.receive(LIMIT).data
        channel.post_message(1)
        with pytest.raises(WorkerCrashedError):
            doomed.result(LIMIT)
        channel.post_message(2)
        assert [1, 2] == [other.receive(LIMIT).data for _ in range(2)]


def test_handlers_need_no_start() -> None:
    """A handler gets what is posted from then on."""
    got: Inbox[Any] = Inbox()
    with BroadcastChannel("news") as one, BroadcastChannel("news") as two:
        two.onmessage = lambda event: got(event.data)
        one.post_message("x")
        assert "x" == got.get()


def test_what_is_closed_hears_and_says_nothing() -> None:
    """What came before the close is dropped; posting raises; closing twice is fine."""
    with BroadcastChannel("news") as one:
        two = BroadcastChannel("news")
        one.post_message("x")
        two.close()
        two.close()
        with pytest.raises(PortClosedError):
            two.receive(0)
        for message in ("y", GENERATOR):
            with pytest.raises(InvalidStateError, match="is closed"):
                two.post_message(message)


def test_what_cannot_be_sent_is_refused() -> None:
    """Nothing moves to many; what does not pickle is named; a name is any text."""
    with BroadcastChannel(3) as channel, MessageChannel() as ports:
        assert ("3", "<BroadcastChannel '3'>") == (channel.name, repr(channel))
        with pytest.raises(DataCloneError, match=r"message\[0\]"):
            channel.post_message([GENERATOR])
        with pytest.raises(DataCloneError):
            channel.post_message(ports.port1)
        with pytest.raises(TypeError, match="many"):
            channel.post_message("x", [ports.port1])
        with pytest.raises(TypeError):
            BroadcastChannel()  # type: ignore[call-arg]  # that is the test
    with MessageChannel() as ports, pytest.raises(DataCloneError) as caught:
        ports.port1.post_message([channel])
    assert str(caught.value) == (
        "message[0] cannot be sent: a BroadcastChannel stays where it was made; open another one "
        "by the same name there"
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda ports: SharedBuffer(8),
        lambda ports: AbortController().signal,
        lambda ports: ports.port1,
        lambda ports: proxy(print),
        lambda ports: transfer([1], [bytearray(1)]),
        lambda ports: FileDescriptor(os.open(os.devnull, os.O_RDONLY)),
    ],
    ids=["shared buffer", "signal", "port", "proxy", "transfer", "descriptor"],
)
def test_what_goes_to_one_only_is_refused_with_a_way_out(
    make: Callable[[MessageChannel], object],
) -> None:
    """It is told that a port takes it, which it does; and the channel serves on."""
    with BroadcastChannel("x") as one, BroadcastChannel("x") as two, MessageChannel() as ports:
        value, way = make(ports), MessageChannel()
        with pytest.raises(DataCloneError, match="post it to each over a MessagePort"):
            one.post_message({"key": value})
        way.port1.post_message({"key": value}, [value] if value is ports.port1 else [])
        assert "key" in way.port2.receive(LIMIT).data
        one.post_message(AbortSignal.abort("why"))
        assert "why" == two.receive(LIMIT).data.reason


def is_gone(station: Station) -> bool:
    """Tell whether nothing is kept of a station."""
    return station._reception.is_closed and station not in host._users


# A socket of which the handler's exception leaves nothing but itself closes, and says so.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_channel_whose_making_is_broken_off_anywhere_keeps_no_station() -> None:
    """
    What was made of it, a station among it, goes with the exception.
    """

    is_through, step = False, 0
    while not is_through:
        with contextlib.suppress(KeyboardInterrupt), interrupted_at(step, ctrl_c):
            BroadcastChannel("never made").close()
            is_through = True
        # Both: the name is given up before the station has ended.
        wait_until(lambda: "never made" not in stations._stations and not host._users)
        step += 1
    assert step > 50


def test_a_close_that_is_broken_off_anywhere_keeps_no_station() -> None:
    """
    Whoever drops the channel then ends it; and one that is made anew is another's.
    """

    is_through, step = False, 0
    while not is_through:
        channel = BroadcastChannel("broken off")
        assert channel._seat is not None
        station = channel._seat.station
        with contextlib.suppress(KeyboardInterrupt), interrupted_at(step, ctrl_c):
            channel.close()
            is_through = True
        assert channel._is_closed or step < 2
        del channel
        wait_until(functools.partial(is_gone, station), 5.0)
        step += 1
    assert step > 20


def post_once(name: str, message: str) -> None:
    channel = BroadcastChannel(name)
    try:
        channel.post_message(message)
    finally:
        channel.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_post_to_another_process_that_is_broken_off_anywhere_leaves_nothing() -> None:
    """
    No descriptor, station or stream is left, also while nothing is collected; and others are heard.
    """
    with WebWorkerExecutor(1) as pool, MessageChannel() as channel:
        future = pool.submit(hear_until_told, channel.port2, "there")
        assert "listening" == channel.port1.receive(LIMIT).data
        users, before = set(host._users), descriptors()
        gc.collect()
        gc.disable()
        try:
            for _ in broken_off(lambda: post_once("there", "more")):
                wait_until(lambda: "there" not in stations._stations and users == set(host._users))
                wait_until(
                    lambda: not new_descriptors(before), tell=lambda: new_descriptors(before)
                )
        finally:
            gc.enable()
        post_once("there", "enough")
        future.result(LIMIT)
