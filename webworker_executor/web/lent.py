"""
Messages whose large buffers go in shared memory.

Not for the memory, nor for who has it: see ``link.loan``. Imported with the first such message.
"""

from __future__ import annotations

import sys
import weakref
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING

from webworker_executor.link import loan
from webworker_executor.link.lending import TEND_SECONDS
from webworker_executor.link.memory import IDLE_SECONDS
from webworker_executor.wire.frame import MAX_FDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from webworker_executor.link.reactor import Reactor
    from webworker_executor.web.messaging import MessageTarget
    from webworker_executor.wire.codec import Packed
    from webworker_executor.wire.place import Place

# Between two looks at whether a message has been taken: of a lock that somebody else opens nobody
# is told, unless it waits in the kernel, where no time-out ends that. A quick reader costs a drain
# a tenth of a millisecond at most, a slow one not much of a processor: a look takes a microsecond.
FIRST_PAUSE, LONGEST_PAUSE = 0.0001, 0.01


def shelved(buffers: Sequence[memoryview], target: MessageTarget) -> Sequence[Place] | None:
    """Put buffers where a message takes them along, if there is room: a shelf of ``codec.pack``."""
    places = loan.lender.lend(buffers, target)
    if places is not None:
        _tender.come()
    return places


class _Tender:
    """
    What gives memory back that nobody has used for some time.

    By the reactor, where one runs. It is not started for this: where there is none, the next
    message that lends sees to it, and so does the end of whoever posts.
    """

    def __init__(self) -> None:
        # Which reactor is to come. No flag: one that ends never does.
        self._asked: Callable[[], Reactor | None] = _nobody

    def come(self) -> None:
        """Have it come in some time; any thread. Once too often is no harm."""
        # Who has no threads has not imported the module, or is just about to.
        host = getattr(sys.modules.get("webworker_executor.web.host"), "host", None)
        reactor = None if host is None else host.reactor
        if reactor is None or self._asked() is reactor:
            return
        self._asked = asked = weakref.ref(reactor)
        try:
            reactor.call_soon(partial(self._come_later, asked))
        except BaseException:
            # Of a signal handler; or it has ended just now.
            self._asked = _nobody
            raise

    def _come_later(self, asked: Callable[[], Reactor | None]) -> None:
        reactor = asked()
        if reactor is not None:
            reactor.call_at(monotonic() + TEND_SECONDS, partial(self._tend, asked))

    def _tend(self, asked: Callable[[], Reactor | None]) -> None:
        # First: whoever lends from here on asks anew, if this finds nothing to come again for.
        self._asked = _nobody
        if loan.lender.tend(IDLE_SECONDS):
            self._asked = asked
            self._come_later(asked)


def _nobody() -> None:
    return None


_tender = _Tender()


def lend(packed: Packed) -> bool:
    """
    Have a message that was packed with the shelf take its memory along.

    Args:
        packed: The message; changed so that it can be laid out.

    Returns:
        Whether the memory goes along. If not, the buffers do.
    """
    places: Any = packed.buffers
    lease = places[0].lease
    going = loan.lender.open(lease) if len(packed.fds) < MAX_FDS else None
    if going is None:
        # No descriptor is left for it.
        memory = lease.segment.view()
        packed.buffers = [
            bytes(memory[place.offset : place.offset + place.nbytes]) for place in places
        ]
        return False
    packed.payload = loan.lay_out(places, packed.payload)
    packed.buffers = ()
    packed.fds = [*packed.fds, going]
    return True


def borrowed(
    payload: Any, fds: Sequence[Any]
) -> tuple[memoryview, Sequence[memoryview], Sequence[Any]]:
    """
    Take the memory that came along with a message.

    Returns:
        The payload, its buffers, and the descriptors that are the message's own.

    Raises:
        ValueError: It is not as it should be.
        OSError: No address space is left.
    """
    if not fds:
        raise ValueError("the memory of a message did not come along")
    own = list(fds)
    payload, buffers = loan.borrowed(payload, own.pop().fileno())
    return payload, buffers, own


def stop_lending(target: MessageTarget) -> None:
    """Hear that somebody posts no more."""
    loan.lender.leave(target)


def unread_nbytes(target: MessageTarget) -> int:
    """Tell how many bytes that went in shared memory nobody has taken yet."""
    return loan.lender.unread_nbytes(target)


def wait_until_taken(target: MessageTarget, deadline: float | None) -> bool:
    """
    Wait until all that went in shared memory has been taken, or never will be.

    Args:
        target: Who has posted it.
        deadline: When to give up, by the clock of `monotonic`; ``None`` for never.

    Returns:
        Whether it has come to that.
    """
    pause = FIRST_PAUSE
    while target._unread_nbytes():
        left = pause if deadline is None else deadline - monotonic()
        if left <= 0:
            return False
        sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)
    return True
