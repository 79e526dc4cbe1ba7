"""
What the Web promises of broadcast channels, each case by its number in our own list.

Sources: HTML, "Broadcasting to other browsing contexts"; web-platform-tests, ``broadcastchannel``.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from tests.conformance import holders
from tests.link.inbox import Inbox
from webworker_executor import (
    BroadcastChannel,
    DataCloneError,
    InvalidStateError,
    MessageChannel,
    WebWorkerExecutor,
)

LIMIT = 10.0


def test_case_130_all_others_hear_in_the_order_of_their_making() -> None:
    """Here one after the other, whoever set a handler first; and the sender hears nothing."""
    heard: Inbox[tuple[int, int]] = Inbox()
    with ExitStack() as stack:
        channels = [stack.enter_context(BroadcastChannel("news")) for _ in range(4)]
        for place in (2, 0, 3, 1):
            channels[place].onmessage = lambda event, place=place: heard((place, event.data))
        for number in range(2):
            channels[3].post_message(number)
        expected = [(place, number) for number in range(2) for place in range(3)]
        assert expected == heard.take(6)
        # What comes behind them has been heard: nothing was on its way to the sender.
        channels[0].post_message(2)
        assert [(1, 2), (2, 2), (3, 2)] == heard.take(3)


@pytest.mark.slow
def test_case_130_all_processes_hear_in_the_senders_order() -> None:
    """Two workers hear all that one of several senders posts, in its order."""
    with (
        WebWorkerExecutor(2) as executor,
        BroadcastChannel("news") as one,
        BroadcastChannel("news") as other,
        MessageChannel() as first,
        MessageChannel() as second,
    ):
        ports = (first, second)
        done = [executor.submit(holders.overhear, way.port2, "news", 40) for way in ports]
        assert ["listening"] * 2 == [way.port1.receive(LIMIT).data for way in ports]
        for number in range(20):
            one.post_message(("one", number))
            other.post_message(("other", number))
        for future in done:
            messages = future.result(LIMIT)
            for name in ("one", "other"):
                assert list(range(20)) == [number for who, number in messages if who == name]


def test_case_131_what_is_closed_before_the_dispatch_hears_nothing() -> None:
    """Also of what was posted while it was open, and is on its way to its handler."""
    heard: Inbox[str] = Inbox()
    with (
        BroadcastChannel("news") as sender,
        BroadcastChannel("news") as first,
        BroadcastChannel("news") as second,
        BroadcastChannel("news") as third,
    ):
        first.onmessage = lambda event: second.close()
        second.onmessage = lambda event: heard("closed")
        third.onmessage = lambda event: heard("open")
        sender.post_message("early")
        assert "open" == heard.get()
        assert heard.is_empty


def test_case_131_what_cannot_be_posted() -> None:
    """On a closed channel nothing, before it is looked at; on an open one what does not pickle."""
    with BroadcastChannel("news") as channel:
        with pytest.raises(DataCloneError):
            channel.post_message(threading.Lock())
        channel.close()
        channel.close()
        for message in ("text", threading.Lock()):
            with pytest.raises(InvalidStateError):
                channel.post_message(message)


@pytest.mark.parametrize(("name", "text"), [("", ""), (1, "1"), (None, "None")])
def test_case_131_a_name_is_any_text(name: object, text: str) -> None:
    """What is none is made one; only no name at all is an error."""
    with BroadcastChannel(name) as channel:
        assert text == channel.name
    with pytest.raises(TypeError):
        BroadcastChannel()  # type: ignore[call-arg]  # what is tested
