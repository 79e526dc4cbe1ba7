"""
Tests of `webworker_executor.web.exposure`: an exposed object has one end, however many call it.
"""

from __future__ import annotations

import threading
from functools import partial
from threading import Event
from typing import Any
from weakref import WeakSet

import pytest

from tests.patience import wait_until
from tests.pool.talking import Counter
from webworker_executor import (
    MessageChannel,
    MessagePort,
    PortClosedError,
    clone,
    construct,
    expose,
    release,
    wrap,
)
from webworker_executor.web.exposure import Exposure, close_all


def _enter_and_wait(entered: Event, never: Event) -> None:
    entered.set()
    never.wait(10.0)


class Ends:
    """
    What counts how often it is called, and can be waited for.
    """

    def __init__(self) -> None:
        self.count = 0
        self._come = threading.Event()

    def __call__(self) -> None:
        self.count += 1
        self._come.set()

    def wait(self) -> bool:
        return self._come.wait(10.0)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_last_who_can_call_is_the_end(order: tuple[int, ...]) -> None:
    """
    The first proxy, its clone and the clone's clone are one object's; it goes with the last.
    """
    channel, ends, counter = MessageChannel(), Ends(), Counter()
    expose(counter, channel.port1, finalizer=ends)
    proxies: list[Any] = [wrap(channel.port2)]
    for _ in range(2):
        proxies.append(wrap(clone(proxies[-1]).result(10.0)))
    *first, last = order
    for number in first:
        release(proxies[number])
        # An end that is told too early comes on the thread that answers, mostly before it does.
        assert counter.number + 1 == proxies[last].add().result(10.0)
        assert 0 == ends.count
    release(proxies[last])
    assert ends.wait()
    assert 1 == ends.count


def test_a_clone_of_a_method_can_still_call() -> None:
    """
    It is not the object, but holds it.
    """
    channel, ends = MessageChannel(), Ends()
    expose(Counter(), channel.port1, finalizer=ends)
    near = wrap(channel.port2)
    add = wrap(clone(near.add).result(10.0))
    release(near)
    assert 1 == add().result(10.0)
    assert 0 == ends.count
    release(add)
    assert ends.wait()


def test_what_a_class_has_made_is_another_object() -> None:
    """
    It does not put off the end of the class.
    """
    channel, ends = MessageChannel(), Ends()
    expose(Counter, channel.port1, finalizer=ends)
    near = wrap(channel.port2)
    counter = construct(near).result(10.0)
    release(near)
    assert ends.wait()
    assert 1 == counter.add().result(10.0)


def test_all_are_closed_at_once(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """
    Whoever waits for an answer hears of the end; one that cannot be closed keeps no other open.
    """
    monkeypatch.setattr("webworker_executor.web.exposure._exposed", WeakSet[MessagePort]())
    channels, entered, never = [MessageChannel() for _ in range(3)], Event(), Event()
    for channel in channels:
        expose(partial(_enter_and_wait, entered, never), channel.port1)
    calls = [wrap(channel.port2)() for channel in channels]
    assert entered.wait(10.0)

    def fail() -> None:
        raise OSError("cannot be closed")

    monkeypatch.setattr(channels[1].port1._link, "finish", fail)
    try:
        close_all()
        for call in (calls[0], calls[2]):
            with pytest.raises(PortClosedError):
                call.result(10.0)
    finally:
        never.set()
    wait_until(lambda: "cannot be closed" in caplog.text)
    monkeypatch.undo()
    channels[1].port1.close()


def test_a_port_that_was_closed_on_this_side_is_not_waited_for() -> None:
    """
    Nobody tells of its end.
    """
    first, second, ends = MessageChannel(), MessageChannel(), Ends()
    exposure = Exposure(ends)
    exposure.begin(first.port1)
    exposure.begin(second.port1)
    first.port1.close()
    assert 0 == ends.count
    exposure.finish(second.port1)
    exposure.finish(second.port1)
    assert 1 == ends.count
    Exposure(None).finish(second.port1)
