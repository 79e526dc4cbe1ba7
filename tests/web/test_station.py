"""
Tests of `webworker_executor.web.station`: where a process is called, and who may call.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.limits import no_descriptor
from tests.patience import wait_until
from tests.threads import fork_while_held
from webworker_executor import BroadcastChannel
from webworker_executor.web import realm, station
from webworker_executor.web.host import host
from webworker_executor.wire import codec
from webworker_executor.wire.decoder import FrameDecoder
from webworker_executor.wire.frame import encode
from webworker_executor.wire.kinds import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10.0


def test_an_address_is_there_while_somebody_listens() -> None:
    """The kernel's own list has it from the first channel to the last."""
    prefix = realm.prefix("channel", "test")
    with BroadcastChannel("test"), BroadcastChannel("test"):
        (address,) = realm.addresses(prefix)
        assert f"{prefix}{os.getpid():x}-" == address.rpartition("-")[0] + "-"
    assert set() == realm.addresses(prefix)


def test_a_channel_that_is_dropped_ends_its_station() -> None:
    """Nothing is left when the last channel is collected: no address and no thread."""
    prefix = realm.prefix("channel", "dropped")
    channel = BroadcastChannel("dropped")
    reactor = next(each for each in threading.enumerate() if each.name == "webworker-reactor")
    del channel
    reactor.join(LIMIT)
    assert not reactor.is_alive()
    assert set() == realm.addresses(prefix)


def test_noise_is_not_heard_and_breaks_nothing() -> None:
    """A caller that sends no frames is cut off; the others are heard."""
    with BroadcastChannel("noise") as one, BroadcastChannel("noise") as two:
        (address,) = realm.addresses(realm.prefix("channel", "noise"))
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(LIMIT)
            caller.connect(b"\0" + address.encode())
            caller.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
            assert b"" == caller.recv(1)
        one.post_message("x")
        assert "x" == two.receive(LIMIT).data


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_copy_closes_what_another_thread_was_posting_to() -> None:
    """Whoever posted when the program was forked is not in the copy, nor gives the lock back."""
    with BroadcastChannel("forked") as one, BroadcastChannel("forked") as two:
        lock = station._stations["forked"]._lock

        def close() -> bool:
            one.close()
            two.close()
            return True

        assert 0 == fork_while_held([lock], close)
        one.post_message("x")
        assert "x" == two.receive(LIMIT).data


def test_the_host_never_has_half_a_station(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the host may be told to do with one can be done, also where no listener can be had."""
    told: list[object] = []

    def refuse(*_: object) -> socket.socket:
        told.extend(host._users)
        raise OSError("no room")

    monkeypatch.setattr(realm, "listener", refuse)
    with pytest.raises(OSError, match="no room"):
        BroadcastChannel("half")
    assert [] == told


def test_what_is_said_where_no_descriptor_is_left_is_heard_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing of it is lost."""
    caplog.set_level("DEBUG", "webworker_executor.web")
    with BroadcastChannel("full") as channel, socket.socket(socket.AF_UNIX) as caller:
        (address,) = realm.addresses(realm.prefix("channel", "full"))
        with no_descriptor():
            caller.connect(b"\0" + address.encode())
            caller.sendall(b"".join(encode(MESSAGE, 0, codec.pack("x").payload)))
            wait_until(lambda: "can be heard at the moment" in caplog.text)
        assert "x" == channel.receive(LIMIT).data


@contextlib.contextmanager
def engaged(name: str) -> Iterator[tuple[socket.socket, int]]:
    """Listen for a name as a process would that takes no more calls, and tell how many wait."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        address = "\0" + realm.prefix("channel", name) + "stuck"
        listener.bind(address)
        listener.listen(0)
        n_waiting = -1
        with contextlib.suppress(BlockingIOError):
            while True:
                n_waiting += 1
                caller = stack.enter_context(socket.socket(socket.AF_UNIX))
                caller.setblocking(False)
                caller.connect(address)
        yield listener, n_waiting


def test_a_process_that_takes_no_more_calls_hears_when_it_does() -> None:
    """Who posts does not wait for it, and what was posted meanwhile arrives in order."""
    with engaged("busy") as (listener, n_waiting), BroadcastChannel("busy") as channel:
        sent = list(range(20))
        for number in sent:
            channel.post_message(number)
        listener.settimeout(LIMIT)
        for _ in range(n_waiting):
            listener.accept()[0].close()
        heard: list[object] = []
        decoder = FrameDecoder(frozenset({MESSAGE}))
        end, _ = listener.accept()
        with end:
            end.settimeout(LIMIT)
            while len(heard) < len(sent):
                heard += [pickle.loads(each.payload) for each in decoder.feed(end.recv(1 << 16))]
        assert sent == heard


def test_a_process_that_takes_no_calls_for_long_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is kept for it for ever, and the next post tries anew."""
    monkeypatch.setattr(station, "CONNECT_SECONDS", 0.01)
    with engaged("stuck"), BroadcastChannel("stuck") as channel:
        for _ in range(2):
            channel.post_message("x")
            wait_until(lambda: not station._stations["stuck"]._late)
