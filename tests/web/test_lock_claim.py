"""
Tests of `webworker_executor.web.lock_claim`: a call to whoever grants a lock.
"""

from __future__ import annotations

import errno
import gc
import os
import socket

import pytest

from tests.limits import no_descriptor
from tests.patience import wait_until
from webworker_executor import locks
from webworker_executor.rules.locking import Verdict
from webworker_executor.web import lock_claim, realm
from webworker_executor.web.lock_broker import ALONE, KIND, SHARED
from webworker_executor.web.lock_claim import Claim, is_heard

LIMIT = 20.0


def heard(claim: Claim) -> Verdict | None:
    """Wait for the verdict."""
    assert is_heard(claim, None)
    return claim.verdict()


def test_who_has_it_has_a_copy_of_the_listener() -> None:
    """So nobody else can become the broker while it lives; who lets go has none."""
    address = realm.prefix("lock", "copy")
    claim = Claim(address, ALONE)
    assert Verdict.GRANTED is heard(claim)
    (copy,) = claim._kept
    with socket.socket(fileno=os.dup(copy.fileno())) as listener:
        assert b"\0" + address.encode() == listener.getsockname()
    claim.close()
    claim.close()
    wait_until(lambda: not realm.addresses(address), LIMIT)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_claim_that_is_dropped_is_none() -> None:
    """As whatever a signal handler has broken off."""
    address = realm.prefix("lock", "dropped")
    claim = Claim(address, ALONE)
    assert Verdict.GRANTED is heard(claim)
    del claim
    gc.collect()
    with locks.request("dropped", timeout=LIMIT) as lock:
        assert not lock.is_stolen


def test_whoever_hears_the_end_asks_the_next() -> None:
    """A broker that has died says nothing; the address is free when its last holder is gone."""
    address = realm.prefix("lock", "next")
    with realm.listener(address, KIND) as listener:
        claim = Claim(address, SHARED)
    assert listener.fileno() == -1
    assert heard(claim) is None
    claim.close()
    claim = Claim(address, SHARED)
    assert Verdict.GRANTED is heard(claim)
    claim.close()


def test_an_address_that_answers_nobody_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user may have taken it; nobody tries for ever."""
    monkeypatch.setattr(lock_claim, "TRY_AGAIN_SECONDS", 0.0)
    address = realm.prefix("lock", "taken")
    with socket.socket(socket.AF_UNIX, KIND) as taken:
        taken.bind(b"\0" + address.encode())
        with pytest.raises(OSError, match="is taken and does not answer") as caught:
            Claim(address, ALONE)
    assert errno.EADDRINUSE == caught.value.errno


def test_a_grant_for_which_no_descriptor_is_left_is_an_error() -> None:
    """It is not had, and free for the next."""
    address = realm.prefix("lock", "room")
    claim = Claim(address, ALONE)
    assert is_heard(claim, None)
    with no_descriptor(), pytest.raises(OSError, match="no room"):
        claim.verdict()
    claim.close()
    with locks.request("room", timeout=LIMIT) as lock:
        assert not lock.is_stolen
