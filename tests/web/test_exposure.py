"""
Tests of `webworker_executor.web.exposure`: an exposed object has one end, however many call it.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.pool.talking import Counter
from webworker_executor import MessageChannel, clone, construct, expose, release, wrap
from webworker_executor.web.exposure import Exposure


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
