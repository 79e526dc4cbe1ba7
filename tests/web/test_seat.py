"""
Tests of `webworker_executor.web.seat`: what a channel that is dropped leaves.
"""

from __future__ import annotations

import functools
import threading

from tests.link.interrupts import interrupted_at
from tests.patience import wait_until
from webworker_executor import BroadcastChannel
from webworker_executor.web import station as stations

LIMIT = 10.0


def test_no_handler_stands_between_a_channel_and_its_station() -> None:
    """A drop has no step in which a handler could raise, and its exception be lost."""
    struck: list[None] = []

    def stop() -> None:
        struck.append(None)
        raise KeyboardInterrupt

    for step in range(5):
        channels = [BroadcastChannel("dropped")]
        with interrupted_at(step, stop):
            channels.clear()
        wait_until(lambda: "dropped" not in stations._stations)
    assert [] == struck


def test_who_leaves_late_leaves_nobody_elses_seat() -> None:
    """A new channel has the ``id`` of one that was dropped, and hears what is posted."""
    with BroadcastChannel("again") as one:
        assert one._seat is not None
        reactor = one._seat.station._reactor
        may_go, has_gone = threading.Event(), threading.Event()
        reactor.call_soon(functools.partial(may_go.wait, LIMIT))
        dropped = [BroadcastChannel("again") for _ in range(20)]
        dropped.clear()
        others = [BroadcastChannel("again") for _ in range(20)]
        may_go.set()
        reactor.call_soon(has_gone.set)
        assert has_gone.wait(LIMIT)
        one.post_message("x")
        assert ["x"] * 20 == [other.receive(LIMIT).data for other in others]


def test_who_has_left_does_not_leave_again() -> None:
    """The drop of what was closed is none of the reactor's business."""
    with BroadcastChannel("left") as one:
        other = BroadcastChannel("left")
        seat = other._seat
        assert seat is not None
        other.close()
        assert seat.number not in seat.station._channels
        assert bool is seat.__del__
        assert one._seat is not None
