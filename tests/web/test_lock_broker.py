"""
Tests of `webworker_executor.web.lock_broker`: who grants a lock, and for how long.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.limits import no_descriptor
from tests.patience import wait_until
from webworker_executor import locks
from webworker_executor.web import lock_broker, realm
from webworker_executor.web.host import host
from webworker_executor.web.lock_broker import KIND, LockBroker

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 20.0


@pytest.fixture
def address() -> Iterator[str]:
    """Have a broker, and wait for its end."""
    address = realm.prefix("lock", f"broker-{os.getpid()}")
    LockBroker(address)
    yield address
    wait_until(lambda: not realm.addresses(address), LIMIT)


def test_a_broker_that_nobody_calls_ends() -> None:
    """Whoever has made it may have been broken off."""
    address = realm.prefix("lock", "nobody")
    LockBroker(address)
    assert {address} == realm.addresses(address)
    wait_until(lambda: not realm.addresses(address), LIMIT)
    assert not [user for user in host._users if isinstance(user, LockBroker)]


def test_there_is_one(address: str) -> None:
    """The second one says that there is, and has changed nothing."""
    users = list(host._users)
    with pytest.raises(OSError, match="in use"):
        LockBroker(address)
    assert users == host._users


def test_what_nobody_says_ends_the_call(address: str) -> None:
    """The others are served on."""
    with socket.socket(socket.AF_UNIX, KIND) as end:
        end.settimeout(LIMIT)
        end.connect(b"\0" + address.encode())
        end.send(b"GET / HTTP/1.1")
        assert b"" == end.recv(1)
    with locks.request(f"broker-{os.getpid()}", timeout=LIMIT) as lock:
        assert not lock.is_stolen


def test_who_says_nothing_keeps_nobody_waiting(address: str) -> None:
    """A call without a word is none."""
    with socket.socket(socket.AF_UNIX, KIND) as end:
        end.connect(b"\0" + address.encode())
        with locks.request(f"broker-{os.getpid()}", timeout=LIMIT) as lock:
            assert not lock.is_stolen


def test_who_asks_where_no_descriptor_is_left_is_heard_later(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The call is not lost."""
    caplog.set_level("DEBUG", "webworker_executor.web")
    with socket.socket(socket.AF_UNIX, KIND) as end:
        with no_descriptor():
            end.connect(b"\0" + address.encode())
            end.send(lock_broker.ALONE)
            wait_until(lambda: "can be heard at the moment" in caplog.text)
        end.settimeout(LIMIT)
        assert b"G" == end.recv(1)


def test_one_broker_serves_all_who_come_soon() -> None:
    """To begin and to end two threads each time would take longer than the lock is had."""
    for _ in range(20):
        with locks.request("often", timeout=LIMIT):
            names = [thread.name for thread in threading.enumerate()]
    assert 1 == names.count("webworker-reactor")
    assert 1 == len([user for user in host._users if isinstance(user, LockBroker)])
