"""
Tests of `webworker_executor.link.loan`: memory that goes along, and comes back by itself.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.pool.strike import Strike
from webworker_executor.link.loan import Lender, borrowed, lay_out
from webworker_executor.link.memory import Store

if TYPE_CHECKING:
    from webworker_executor.link.rights import Descriptor

NBYTES = 100_000


class User:
    """Stands for whoever posts."""


def lent(lender: Lender, user: object, *texts: bytes) -> tuple[bytes, Descriptor]:
    """Lend what begins with some texts, and return what goes with the message."""
    buffers = [memoryview(text.ljust(NBYTES, b".")) for text in texts]
    places = lender.lend(buffers, user)
    assert places is not None
    going = lender.open(places[0].lease)
    assert going is not None
    return lay_out(places, b"the pickle"), going


def test_what_is_lent_arrives() -> None:
    """The reader has the payload and the buffers, as his own, and needs no descriptor for that."""
    lender, user = Lender(Store()), User()
    payload, going = lent(lender, user, b"one", b"two")
    rest, (one, two) = borrowed(payload, going.fileno())
    going.close()
    assert b"the pickle" == bytes(rest)
    assert (b"one.", b"two.", NBYTES) == (bytes(one[:4]), bytes(two[:4]), len(two))
    one[:3] = b"ONE"
    other = lender.lend([memoryview(b"x" * NBYTES)], user)
    assert other is not None
    assert b"ONE." == bytes(one[:4])
    lender.leave(user)


def test_memory_is_used_again_when_nobody_looks_at_it() -> None:
    """As long as a buffer or a descriptor is somewhere, the segment is not touched."""
    store, user = Store(), User()
    lender = Lender(store)
    payload, going = lent(lender, user, b"one")
    segments = {id(segment) for segment in store._kept.segments}
    _, second = lent(lender, user, b"two")
    assert 2 == len(store._kept.segments)
    second.close()
    _, buffers = borrowed(payload, going.fileno())
    going.close()
    part = buffers[0][10:20]
    del buffers
    _, third = lent(lender, user, b"three")
    third.close()
    assert (b"." * 10, 2) == (bytes(part), len(store._kept.segments))
    del part
    for _ in range(100):
        lent(lender, user, b"four")[1].close()
    assert segments <= {id(segment) for segment in store._kept.segments}
    assert 2 == len(store._kept.segments)
    lender.leave(user)
    assert 0 == len(store._kept.segments)


HOLDER = """
import sys
from webworker_executor.link.loan import borrowed
_, buffers = borrowed(bytes.fromhex(sys.argv[2]), int(sys.argv[1]))
print(bytes(buffers[0][:3]).decode(), flush=True)
sys.stdin.read()
"""


def test_whoever_dies_gives_back() -> None:
    """A process that is killed with the memory in hand does not keep it."""
    store, user = Store(), User()
    lender = Lender(store)
    payload, going = lent(lender, user, b"one")
    command = [sys.executable, "-c", HOLDER, str(going.fileno()), payload.hex()]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[going.fileno()],
        cwd=os.path.dirname(os.path.dirname(os.path.dirname(__file__))),
    ) as process:
        going.close()
        assert process.stdout is not None
        assert b"one\n" == process.stdout.readline()
        lent(lender, user, b"two")[1].close()
        assert 2 == len(store._kept.segments)
        process.send_signal(signal.SIGKILL)
    lender._collect()
    assert {} == lender._lent
    lender.leave(user)


def test_without_users_nothing_is_kept() -> None:
    """The last one who is collected or says so takes all with him; readers keep what they have."""
    store, one, two = Store(), User(), User()
    lender = Lender(store)
    payload, going = lent(lender, one, b"one")
    lent(lender, two, b"two")[1].close()
    lender.leave(one)
    assert store._kept.segments
    del two
    assert (set(), {}) == (store._kept.segments, lender._lent)
    _, buffers = borrowed(payload, going.fileno())
    assert b"one" == bytes(buffers[0][:3])
    going.close()


def test_what_nobody_has_taken_is_counted() -> None:
    """For each who posts; not what a reader keeps, nor what is lost on the way."""
    lender, one, two = Lender(Store()), User(), User()
    payload, first = lent(lender, one, b"one", b"two")
    _, second = lent(lender, one, b"three")
    payload_of_two, third = lent(lender, two, b"four")
    assert [3 * NBYTES, NBYTES] == [lender.unread_nbytes(user) for user in (one, two)]
    # As if it came to another process, which has the same file.
    with open(os.dup(first.fileno()), "rb") as copy:
        _, buffers = borrowed(payload, copy.fileno())
        assert NBYTES == lender.unread_nbytes(one)
    first.close()
    assert (b"one.", b"two.") == (bytes(buffers[0][:4]), bytes(buffers[1][:4]))
    second.close()
    assert 0 == lender.unread_nbytes(one)
    lender.leave(two)
    assert 0 == lender.unread_nbytes(two)
    borrowed(payload_of_two, third.fileno())
    third.close()
    del buffers
    lender.leave(one)


def test_what_a_task_has_closed_is_not_counted() -> None:
    """Nobody can tell whether it was taken, and nobody is to wait for that."""
    lender, user = Lender(Store()), User()
    _, going = lent(lender, user, b"one")
    assert NBYTES == lender.unread_nbytes(user)
    (lease,) = lender._lent.values()
    # As a task may that closes descriptors which are not its own.
    number = lease.segment.fd.fileno()
    with open(os.devnull) as other:
        os.dup2(other.fileno(), number)
    assert 0 == lender.unread_nbytes(user)
    going.close()
    lender.leave(user)
    os.close(number)


def test_what_is_not_used_is_given_back() -> None:
    """Not what somebody looks at, nor what was used just now."""
    store, user = Store(), User()
    lender = Lender(store)
    _, going = lent(lender, user, b"one")
    lent(lender, user, b"two")[1].close()
    assert lender.tend(100.0)
    assert 2 == len(store._kept.segments)
    assert lender.tend(0.0)
    assert 1 == len(store._kept.segments)
    going.close()
    assert not lender.tend(0.0)
    assert (set(), {}) == (store._kept.segments, lender._lent)
    lender.leave(user)


def test_what_is_lent_is_not_lent_to_others() -> None:
    """A store that serves others as well does not give them what a reader still has."""
    store, user = Store(), User()
    lender, other = Lender(store), Lender(store)
    store.join(other)
    payload, going = lent(lender, user, b"one")
    lender.leave(user)
    for _ in range(3):
        store.shelve([memoryview(b"x" * NBYTES)])
    _, buffers = borrowed(payload, going.fileno())
    going.close()
    assert b"one" == bytes(buffers[0][:3])
    store.leave(other)


def test_without_a_descriptor_nothing_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file cannot be opened anew, it is told; the memory stays the store's."""
    store, user = Store(), User()
    lender = Lender(store)

    def refuse(*args: object) -> int:
        raise OSError("no descriptor is left")

    places = lender.lend([memoryview(b"x" * NBYTES)], user)
    assert places is not None
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert lender.open(places[0].lease) is None
    del places
    lender.leave(user)
    assert 0 == len(store._kept.segments)


def test_a_handler_that_raises_where_memory_is_lent_leaves_no_descriptor() -> None:
    """Wherever it strikes, what was opened to go with the message is closed."""
    store, user = Store(), User()
    lender = Lender(store)
    places = lender.lend([memoryview(b"x" * NBYTES)], user)
    assert places is not None
    lease = places[0].lease
    before = os.listdir("/proc/self/fd")
    for number in itertools.count(1):
        strike = Strike("Lender.open", number)
        strike.during(lambda: lender.open(lease))
        assert before == os.listdir("/proc/self/fd"), strike.where
        if not strike.where:
            break
    assert number > 5
    lender.leave(user)


@pytest.mark.parametrize("payload", [b"", b"\0\0\0\2", b"\0\0\0\1" + b"\xff" * 16])
def test_a_message_that_tells_what_is_not_so(payload: bytes) -> None:
    """What does not lie within the memory is not looked at."""
    user = User()
    lender = Lender(Store())
    _, going = lent(lender, user, b"one")
    with pytest.raises(ValueError, match="a message tells"):
        borrowed(payload, going.fileno())
    going.close()
    lender.leave(user)
