"""
The part of a link that deals in shared memory: what it lends, and what comes back.

Made with every link, and idle until the first large buffer; see ``exchange`` for the account and
``memory`` for the segments.
"""

from __future__ import annotations

import time
from functools import partial
from operator import call

from webworker_executor.link.outbox import entry
from webworker_executor.wire.frame import HEADER_NBYTES
from webworker_executor.wire.kinds import SEGMENT
from webworker_executor.wire.place import LentParts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Sequence
    from typing import Any

    from webworker_executor.link.exchange import Exchange
    from webworker_executor.link.reactor import Reactor
    from webworker_executor.wire.decoder import FrameDecoder
    from webworker_executor.wire.frame import Frame

# What comes back of shared memory goes with the next frame, or after this time without one.
NOTES_SECONDS = 0.005
# How often it is seen to that memory which nobody uses is given back.
TEND_SECONDS = 5.0


def lends(frame: Frame) -> bool:
    """Whether a frame lies in shared memory, or is about some."""
    return frame.kind == SEGMENT or bool(frame.buffers)


class Lending:
    """
    What a link does about shared memory.

    Args:
        reactor: The I/O thread.
        decoder: That of the link.
        append: Queues an entry of the link's outbox.
        flush: Writes the outbox.

    Attributes:
        is_used: Whether anything was ever lent or borrowed here.

    ``take_back`` is for a leader's thread, the rest for the reactor's and for who posts.
    """

    def __init__(
        self,
        reactor: Reactor,
        decoder: FrameDecoder,
        append: Callable[[Any], object],
        flush: Callable[[], object],
    ) -> None:
        self._reactor = reactor
        self._decoder = decoder
        self._append = append
        self._flush = flush
        self._exchange: Exchange | None = None
        self.is_used = False
        self._is_closed = False
        self._has_timer = False
        self._is_tended = False

    def _shared(self) -> Exchange:
        exchange = self._exchange
        if exchange is None:
            from webworker_executor.link.exchange import Exchange

            exchange = Exchange(self._reactor.bell(self._note_soon))
            # The reactor comes here, and whoever submits, and an import lets others run: the first
            # one's is everybody's. No call stands between look and store.
            if self._exchange is None:
                self._exchange = exchange
            else:
                exchange = self._exchange
            self.is_used = True
        return exchange

    def ready(
        self, put: Callable[[Any], object], parts: Any, fds: Sequence[Any]
    ) -> tuple[Callable[..., object], Any]:
        """
        Queue what goes before a frame: what came back to others, and what it lends to them.

        Returns:
            What queues the frame, as `Link.ready`.
        """
        self._note()
        if parts.__class__ is not LentParts:
            return put, entry(parts, fds)
        exchange = self._shared()
        note, lease = exchange.lend(parts.lease, self._append)
        if self._is_closed:
            # Perhaps before there was an account: nobody else ends it then. Either this look comes
            # after the close, or the close finds the account.
            exchange.close()
        # Noted and queued in one step of C.
        steps = (partial(note, lease), partial(put, entry(parts, fds)))
        return list, map(call, steps)

    def take_back(self, left: deque[Any]) -> bool:
        """
        Take the end of a loan out of what a leader has read, if that begins with one.

        Args:
            left: As `Leading` has it; what follows the end of the loan stays there.

        Returns:
            Whether it did.
        """
        exchange = self._exchange
        data = left[0][0]
        loans = None if exchange is None else exchange.loans_ended_by(data)
        if loans is None:
            return False
        if not self._is_tended:
            self._reactor.call_soon(self._tend_later)
        rest = (data[HEADER_NBYTES:], (), 0, None)
        steps: Any = (loans.popleft, partial(left.__setitem__, 0, rest))
        # One step of C: what was given back and still stood there would end the link. The lease is
        # let go of only after that, because its finalizer is not of C.
        _ = [*map(call, steps)]
        return True

    def resolved(self, frames: list[Frame]) -> list[Frame]:
        """Give frames that name places in shared memory the memory itself."""
        if not self._decoder.is_sharing:
            return frames
        self._decoder.is_sharing = False
        self._tend_later()
        return self._shared().resolve(frames)

    def _note(self) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.has_notes and not self._is_closed:
            exchange.hand_over(self._append)

    def _note_soon(self) -> None:
        if not self._has_timer and self._exchange is not None and self._exchange.has_notes:
            self._has_timer = True
            self._reactor.call_at(time.monotonic() + NOTES_SECONDS, self._note_now)

    def _note_now(self) -> None:
        self._has_timer = False
        self._note()
        self._flush()

    def _tend_later(self) -> None:
        if not self._is_tended:
            self._is_tended = True
            self._reactor.call_at(time.monotonic() + TEND_SECONDS, self._tend)

    def _tend(self) -> None:
        self._is_tended = False
        if self._exchange is not None and not self._is_closed and self._exchange.tend():
            self._is_tended = True
            self._reactor.call_at(time.monotonic() + TEND_SECONDS, self._tend)
        self._note_now()

    def close(self) -> None:
        """Give back what the other side had, which is gone."""
        self._is_closed = True
        if self._exchange is not None:
            self._exchange.close()
