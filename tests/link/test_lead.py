"""
Tests of `webworker_executor.link.lead`: a thread reads a link in the reactor's place.
"""

from __future__ import annotations

import array
import os
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.link.inbox import Inbox
from tests.patience import Stopwatch, wait_until
from tests.threads import fork_while_held
from webworker_executor.link import lead as lead_module
from webworker_executor.link.fds import socket_pair
from webworker_executor.link.local import Link
from webworker_executor.link.memory import store
from webworker_executor.wire.decoder import MalformedFrame
from webworker_executor.wire.frame import (
    COUNTED_NBYTES,
    HEADER,
    HEADER_NBYTES,
    PICKLE,
    SHARED,
    Frame,
    encode,
)
from webworker_executor.wire.kinds import MESSAGE, NAMES, RELEASE, RESULT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webworker_executor.link.reactor import Reactor

ALL = frozenset(NAMES)


class Led:
    """
    A link, its other end, and what the reactor read of it.
    """

    def __init__(self, reactor: Reactor) -> None:
        near, self.far = socket_pair()
        self.read_by_reactor = Inbox[Frame]()
        self.ended = Inbox[Exception | None]()
        self.is_in_hand, self.may_go_on = threading.Event(), threading.Event()
        self.may_go_on.set()
        self.link = Link(near, reactor, ALL, None, self.ended, on_frames=self._hand_over)

    def _hand_over(self, frames: list[Frame]) -> None:
        self.is_in_hand.set()
        assert self.may_go_on.wait(10.0)
        for frame in frames:
            self.read_by_reactor(frame)

    def send(self, *idents: int) -> None:
        self.far.sendall(b"".join(encode(RESULT, ident, b"x")[0] for ident in idents))


def refuse(frame: Frame) -> bool:
    raise AssertionError(f"{frame!r} is not for a leader")


@pytest.fixture
def led(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Led]:
    """
    Make a link that can be led, for as long as it takes.
    """
    # On a crowded machine 2 ms are over before anybody leads, or has read anything; and the
    # reactor, which would read in the leader's place, does not ring here.
    monkeypatch.setattr(lead_module, "LEASE_SECONDS", 60.0)
    led = Led(reactor)
    yield led
    led.link.close()
    led.far.close()


def test_the_leader_gets_the_frame(led: Led) -> None:
    """
    What comes for a leader is read by it, once, and the reactor has the next.
    """
    lead = led.link.leading.begin()
    assert lead is not None
    led.send(1)
    lead.wait(10.0)
    taken: list[Frame] = []

    def take(frame: Frame) -> bool:
        taken.append(frame)
        led.link.leading.left.clear()
        return True

    assert led.link.leading.read(lead, take)
    [frame] = taken
    assert (RESULT, 1, b"x") == (frame.kind, frame.ident, bytes(frame.payload))
    led.link.leading.end(lead)
    led.link.leading.end_lease()
    led.send(2)
    assert 2 == led.read_by_reactor.get(10.0).ident


def test_a_leader_may_have_a_month(led: Led) -> None:
    """
    The kernel cannot wait that long at a time; whoever asks for it is woken all the same.
    """
    lead = led.link.leading.begin()
    assert lead is not None
    led.send(1)
    lead.wait(31 * 86400.0)
    led.link.leading.end(lead)
    led.link.leading.end_lease()
    assert 1 == led.read_by_reactor.get().ident


def test_what_a_leader_read_and_did_not_take_is_not_lost(led: Led) -> None:
    """
    A leader that was thrown out before anybody had the frame leaves it to the reactor.
    """
    lead = led.link.leading.begin()
    assert lead is not None
    led.send(1)
    lead.wait(10.0)
    assert not led.link.leading.read(lead, lambda frame: False)
    led.link.leading.end(lead)
    led.send(2)
    assert [1, 2] == [led.read_by_reactor.get(10.0).ident for _ in range(2)]


class Lent:
    """
    A segment that a link has lent to its other end.
    """

    def __init__(self, led: Led) -> None:
        places = store.shelve([memoryview(bytes(1 << 18))])
        assert places is not None
        self.segment = places[0].lease.segment
        led.link.post(encode(MESSAGE, 0, b"", places))
        led.link.flush()
        del places
        self.is_over = encode_release(self.segment.ident)

    @property
    def is_lent(self) -> bool:
        return all(self.segment not in bucket for bucket in store._kept.buckets.values())


def encode_release(ident: int, what: bytes = b"") -> bytes:
    return HEADER.pack(COUNTED_NBYTES + len(what), RELEASE, SHARED, PICKLE, 0, ident) + what


def test_the_end_of_a_loan_in_front_of_the_frame(led: Led) -> None:
    """
    The leader takes both, and whatever comes next is for a leader again.
    """
    lent = Lent(led)
    taken: list[Frame] = []

    def take(frame: Frame) -> bool:
        taken.append(frame)
        led.link.leading.left.clear()
        return True

    lead = led.link.leading.begin()
    assert lead is not None
    led.far.sendall(lent.is_over + encode(RESULT, 1, b"x")[0])
    lead.wait(10.0)
    assert lent.is_lent
    assert led.link.leading.read(lead, take)
    led.link.leading.end(lead)
    assert [1] == [frame.ident for frame in taken]
    assert not lent.is_lent
    assert led.link.leading.begin() is not None


@pytest.mark.parametrize("what", ["alone", "for good", "twice", "of nothing lent"])
def test_what_else_is_said_of_loans_is_for_the_reactor(led: Led, what: str) -> None:
    """
    An end that stands alone, one that is more than an end, two of them, and a lie.
    """
    lent, other = Lent(led), Lent(led)
    data = {
        "alone": lent.is_over,
        "for good": encode_release(lent.segment.ident, b"\1"),
        "twice": lent.is_over + other.is_over,
        "of nothing lent": encode_release(1 << 40),
    }[what]
    answer = b"" if what == "alone" else encode(RESULT, 1, b"x")[0]
    lead = led.link.leading.begin()
    assert lead is not None
    led.far.sendall(data + answer)
    lead.wait(10.0)
    assert not led.link.leading.read(lead, refuse)
    led.link.leading.end(lead)
    if what == "of nothing lent":
        assert isinstance(led.ended.get(10.0), MalformedFrame)
        return
    led.send(2)
    assert ([] if what == "alone" else [1]) + [2] == [
        led.read_by_reactor.get(10.0).ident for _ in range(1 if what == "alone" else 2)
    ]
    assert not lent.is_lent or lent.segment not in store._kept.segments


def test_a_leader_that_does_not_take_what_follows_a_loan(led: Led) -> None:
    """
    The loan is over, once, and the frame is the reactor's.
    """
    lent = Lent(led)
    lead = led.link.leading.begin()
    assert lead is not None
    led.far.sendall(lent.is_over + encode(RESULT, 1, b"x")[0])
    lead.wait(10.0)
    assert not led.link.leading.read(lead, lambda frame: False)
    led.link.leading.end(lead)
    assert 1 == led.read_by_reactor.get(10.0).ident
    assert not lent.is_lent


def leave_to_the_reactor(led: Led) -> None:
    """Have two frames come to a leader, which is too much for it."""
    lead = led.link.leading.begin()
    assert lead is not None
    led.send(1, 2)
    lead.wait(10.0)
    assert not led.link.leading.read(lead, refuse)
    led.link.leading.end(lead)
    assert [1, 2] == [led.read_by_reactor.get(10.0).ident for _ in range(2)]


def test_more_than_one_frame_is_for_the_reactor(led: Led) -> None:
    """
    A leader takes one small, whole frame; anything else is read by the reactor, in order.
    """
    leave_to_the_reactor(led)


def test_what_the_reactor_has_in_hand_is_not_overtaken(led: Led) -> None:
    """
    Frames that the reactor has read and not yet handed over are older than those to be read.
    """
    leading = led.link.leading
    led.may_go_on.clear()
    led.send(1)
    assert led.is_in_hand.wait(10.0)
    led.send(2)
    assert leading.begin() is None
    # Whoever began in the moment before is refused when it reads.
    leading.is_handing = False
    lead = leading.begin()
    leading.is_handing = True
    assert lead is not None
    lead.wait(10.0)
    assert not leading.read(lead, refuse)
    leading.end(lead)
    led.may_go_on.set()
    assert [1, 2] == [led.read_by_reactor.get(10.0).ident for _ in range(2)]


def test_the_rest_of_what_the_reactor_has_begun(led: Led) -> None:
    """
    It is no frame of its own, though it looks like one.
    """
    whole = b"".join(encode(RESULT, 1, b"".join(encode(RESULT, 2, b""))))
    lead = led.link.leading.begin()
    assert lead is not None
    led.far.sendall(whole[:HEADER_NBYTES])
    # As the reactor does that has looked just before the lead began.
    assert [] == led.link._receive()
    led.far.sendall(whole[HEADER_NBYTES:])
    lead.wait(10.0)
    assert not led.link.leading.read(lead, refuse)
    led.link.leading.end(lead)
    frame = led.read_by_reactor.get(10.0)
    assert (1, whole[HEADER_NBYTES:]) == (frame.ident, bytes(frame.payload))


def test_nobody_leads_behind_what_is_no_frame(led: Led) -> None:
    """
    The answer behind it is not taken for one.
    """
    led.link.expect(lambda kind, ident: ident != 1)
    lead = led.link.leading.begin()
    assert lead is not None
    led.far.sendall(encode(RESULT, 1, b"x")[0][:HEADER_NBYTES])
    with pytest.raises(MalformedFrame, match="nobody"):
        led.link._receive()
    led.send(2)
    lead.wait(10.0)
    assert not led.link.leading.read(lead, refuse)
    led.link.leading.end(lead)
    # The error's traceback keeps what stands here.
    del lead
    assert led.link.leading.begin() is None
    assert "nobody" in str(led.ended.get(10.0))


@pytest.mark.parametrize("step", ["call_soon", "modify"])
@pytest.mark.parametrize("is_done", [False, True])
def test_a_lease_that_a_signal_handler_breaks_off(
    led: Led, monkeypatch: pytest.MonkeyPatch, step: str, is_done: bool
) -> None:
    """
    The reactor goes on reading, whichever step it was in, and before it or after.
    """
    leading = led.link.leading
    holder: Any = leading if step == "modify" else leading._reactor
    name = "_modify" if step == "modify" else step
    do = getattr(holder, name)

    def interrupted(*args: Any) -> None:
        monkeypatch.undo()
        if is_done:
            do(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(holder, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        leading.begin()
    assert not leading.is_leased
    led.send(1)
    assert 1 == led.read_by_reactor.get(10.0).ident


def test_only_one_leads(led: Led) -> None:
    """
    A second thread is refused while one leads.
    """
    lead = led.link.leading.begin()
    assert lead is not None
    assert led.link.leading.begin() is None
    led.link.leading.end(lead)


def test_a_lease_that_nobody_uses_ends(
    led: Led, reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A link that was led is the reactor's again in a moment, though nobody says so.
    """
    monkeypatch.setattr(lead_module, "LEASE_SECONDS", 0.002)
    # The moment is not over before the looks here.
    may_go_on = threading.Event()
    reactor.call_soon(may_go_on.wait)
    lead = led.link.leading.begin()
    assert lead is not None
    led.link.leading.end(lead)
    assert led.link.leading.is_leased
    may_go_on.set()
    led.send(1)
    assert 1 == led.read_by_reactor.get(10.0).ident
    assert not led.link.leading.is_leased


def test_the_reading_can_be_taken_back(led: Led) -> None:
    """
    A leader that does not move, as in a signal handler, holds nobody up.
    """
    lead = led.link.leading.begin()
    assert lead is not None
    led.link.leading.end_lease()
    led.send(1)
    assert 1 == led.read_by_reactor.get(10.0).ident
    assert not led.link.leading.read(lead, refuse)
    led.link.leading.end(lead)


def test_a_leader_is_called_away(led: Led) -> None:
    """
    The alarm ends the wait of a leader, and rings once.
    """
    lead = led.link.leading.begin()
    assert lead is not None
    threading.Thread(target=lead.release).start()
    lead.wait(10.0)
    with Stopwatch() as watch:
        started = time.monotonic()
        lead.wait(0.02)
        assert 0.01 < time.monotonic() - started
        assert watch.since(started) < 5.0
    led.link.leading.end(lead)


def test_the_end_is_told_by_the_reactor(led: Led) -> None:
    """
    A worker that dies while somebody leads is reported as any other.
    """
    lead = led.link.leading.begin()
    assert lead is not None
    led.far.close()
    lead.wait(10.0)
    led.link.leading.end(lead)
    assert led.ended.get(10.0) is None


def test_a_closed_link_wakes_its_leader(led: Led) -> None:
    """
    Nobody waits at a link that was closed.
    """
    lead = led.link.leading.begin()
    assert lead is not None
    closer = threading.Thread(target=led.link.close)
    closer.start()
    lead.wait(10.0)
    closer.join(10.0)
    assert not led.link.leading.read(lead, refuse)
    led.link.leading.end(lead)
    assert led.link.leading.begin() is None


def test_descriptors_with_a_frame_are_for_the_reactor(led: Led) -> None:
    """
    A leader drops no descriptor that came along.
    """
    lead = led.link.leading.begin()
    assert lead is not None
    numbers = array.array("i", [2])
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)
    led.far.sendmsg([encode(RESULT, 1, b"x", n_fds=1)[0]], [rights])
    lead.wait(10.0)
    assert not led.link.leading.read(lead, refuse)
    led.link.leading.end(lead)
    assert 1 == len(led.read_by_reactor.get(10.0).fds)


def test_a_lead_outlives_its_link(led: Led) -> None:
    """
    A leader that comes to wait when the link is closed already does not wait, whatever has got the
    numbers of the descriptors since.
    """
    lead = led.link.leading.begin()
    assert lead is not None
    led.link.close()
    others = [socket_pair() for _ in range(4)]
    with Stopwatch() as watch:
        started = time.monotonic()
        lead.wait(10.0)
        assert watch.since(started) < 5.0
    led.link.leading.end(lead)
    for pair in others:
        for end in pair:
            end.close()


def test_a_lead_is_whole_as_long_as_somebody_has_it(led: Led) -> None:
    """
    Whoever is about to ring when the link is closed does not write to another's descriptor.
    """
    lead = led.link.leading.begin()
    assert lead is not None
    alarm = lead._alarm
    led.link.close()
    led.link.leading.end(lead)
    # Fails if it is not open.
    os.eventfd_write(alarm, 1)
    lead.release()
    del lead
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(alarm)


def test_what_is_not_for_a_leader_is_not_led(led: Led) -> None:
    """
    After frames that a leader had to leave, the reactor reads, until one comes that is for it.
    """
    leave_to_the_reactor(led)
    led.link.leading.is_fit = False
    assert led.link.leading.begin() is None
    led.send(3)
    assert 3 == led.read_by_reactor.get(10.0).ident
    # The frame is had a step before the reactor has handed it over.
    wait_until(lambda: not led.link.leading.is_handing)
    lead = led.link.leading.begin()
    assert lead is not None
    led.link.leading.end(lead)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_lead_goes_in_one_step(led: Led) -> None:
    """
    No signal handler runs where its descriptor is closed; and a copy closes none of that number.
    """
    lead = lead_module.Lead(led.far.fileno())
    alarm = lead._alarm

    def is_open_without_it() -> bool:
        nonlocal lead
        lead = None  # type: ignore[assignment]  # the last reference
        return os.path.exists(f"/proc/self/fd/{alarm}")

    assert 0 == fork_while_held([], is_open_without_it)
    steps: list[str] = []
    sys.setprofile(lambda frame, event, _: steps.append(frame.f_code.co_filename))
    try:
        del lead
    finally:
        sys.setprofile(None)
    assert lead_module.__file__ not in steps
    assert not os.path.exists(f"/proc/self/fd/{alarm}")
