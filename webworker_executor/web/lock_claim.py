"""
A call to whoever grants a lock: the place in the queue, and then the lock itself.

Not for who is called, see ``lock_broker``, nor for what a user has, see ``locks``. The thing to
know before a change: the lock is had by a connection and by a copy of the broker's listener. The
connection ends with the process at the latest, and the broker hears of that; the copy keeps others
from becoming the broker where that one has died.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
import weakref
from typing import TYPE_CHECKING

from webworker_executor.link.fds import LONGEST_WAIT
from webworker_executor.link.rights import receive
from webworker_executor.rules.locking import Verdict
from webworker_executor.web import realm
from webworker_executor.web.lock_broker import KIND, LockBroker

if TYPE_CHECKING:
    from webworker_executor.link.rights import Descriptor

# How often an address is tried that is taken and answers nobody: a broker that is just beginning or
# ending takes microseconds for it.
N_TRIES = 100
TRY_AGAIN_SECONDS = 0.01


class Claim:
    """
    A call to whoever grants a lock: the place in the queue, and then the lock itself.

    Args:
        address: Of the lock.
        asked: What is asked for.

    Raises:
        OSError: No descriptor is left; the address is another user's; or thousands wait already.
        RuntimeError: The interpreter is exiting, or no thread can be started.
    """

    def __init__(self, address: str, asked: bytes) -> None:
        self.end = _called(address)
        # A copy of the listener, while the lock is had: see `lock_broker`.
        self._kept: list[Descriptor] = []
        _claims[id(self)] = self
        try:
            self.end.send(asked)
        except OSError:
            # The broker has just ended, which whoever listens hears.
            return

    def verdict(self) -> Verdict | None:
        """
        Return what was said since; ``None`` if the broker is gone.

        Raises:
            BlockingIOError: Nothing was.
            OSError: It was granted, and there is no descriptor left to have it by.
        """
        try:
            said, rights = receive(self.end)
        except ConnectionError:
            return None
        for descriptor in rights:
            # No forked copy of this process has the lock.
            descriptor.passes()
        self._kept += rights
        return Verdict(said) if said else None

    def hang_up(self) -> None:
        """Have whoever waits for the verdict find that nobody says one; from any thread."""
        try:
            self.end.shutdown(socket.SHUT_RDWR)
        except OSError:
            # It is over already.
            return

    def close(self) -> None:
        """Leave the queue, or let go of the lock; again, where a handler has broken it off."""
        # First what keeps others from becoming the broker, then what tells this one.
        for descriptor in self._kept:
            descriptor.close()
        self.end.close()


def _called(address: str) -> socket.socket:
    for _ in range(N_TRIES):
        end = realm.connected(address, kind=KIND)
        if end is not None:
            return end
        try:
            LockBroker(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            time.sleep(TRY_AGAIN_SECONDS)
    raise OSError(
        errno.EADDRINUSE,
        "the address of this lock is taken and does not answer: another user may have it, "
        "see /proc/net/unix",
    )


_claims: weakref.WeakValueDictionary[int, Claim] = weakref.WeakValueDictionary()


def _disown_all() -> None:
    """In a forked child: the parent has them, and waits, alone."""
    for reference in _claims.valuerefs():
        claim = reference()
        if claim is not None:
            claim._kept.clear()
            claim.end.close()


os.register_at_fork(after_in_child=_disown_all)


def is_heard(claim: Claim, deadline: float | None) -> bool:
    """Wait until something is said, or the deadline."""
    poll = select.poll()
    poll.register(claim.end, select.POLLIN)
    while True:
        left = LONGEST_WAIT if deadline is None else max(0.0, deadline - time.monotonic())
        if poll.poll(min(left, LONGEST_WAIT) * 1000):
            return True
        if deadline is not None and time.monotonic() >= deadline:
            return False


async def is_heard_on_loop(claim: Claim, deadline: float | None) -> bool:
    """Do as ``is_heard``, while the loop goes on."""
    import asyncio

    loop = asyncio.get_running_loop()
    heard = asyncio.Event()
    loop.add_reader(claim.end, heard.set)
    try:
        left = None if deadline is None else deadline - time.monotonic()
        await asyncio.wait_for(heard.wait(), left)
        return True
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(claim.end)
