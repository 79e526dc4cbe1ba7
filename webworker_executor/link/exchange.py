"""
The exchange of memory over one link: who has lent what to whom, and what is to be said of it.

One for each end of a link, made when the first large buffer passes. It never sends: what is to be
sent is asked for by whoever sends next. What a changer must know: `forget` and the end of a loan
come from finalizers, at any line of any thread; so they put a note into a deque, and no more.
"""

from __future__ import annotations

import os
import weakref
from collections import deque
from functools import partial
from operator import call
from time import monotonic

from webworker_executor.link.mapping import Mapping, Original, Watch, ended
from webworker_executor.link.memory import IDLE_SECONDS, store
from webworker_executor.wire.decoder import MalformedFrame
from webworker_executor.wire.frame import COUNTED_NBYTES, HEADER, HEADER_NBYTES, PICKLE, SHARED
from webworker_executor.wire.kinds import DEFINE, IDENT, RELEASE, SEGMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from webworker_executor.link.memory import Lease
    from webworker_executor.link.outbox import Entry
    from webworker_executor.link.rights import Descriptor
    from webworker_executor.wire.frame import Frame
    from webworker_executor.wire.place import Place

# What a RELEASE says: a loan is over; it is over and the segment is not to be used again; no loan
# is over, but the reader has not seen the segment for some time.
OVER, OVER_FOR_GOOD, IDLE = b"", b"\1", b"\2"

_exchanges: weakref.WeakSet[Exchange] = weakref.WeakSet()


class Exchange:
    """
    One end's account.

    Args:
        bell: Functions that are called, one after the other, when there is something to be sent
            though nobody may be about to send; in any thread and at any line. A finalizer calls
            them: what a signal handler raises in one that is not of C is swallowed.
    """

    def __init__(self, bell: list[Callable[[], object]]) -> None:
        # The list stays the same: whoever waits to ring has it.
        self._bell = bell
        # What the other end knows of, and the loans that it has not ended.
        self._lent: dict[int, deque[Lease]] = {}
        self._mappings: dict[int, Mapping] = {}
        self._released: deque[Watch] = deque()
        self._notes: deque[Entry] = deque()
        self._is_closed = False
        _exchanges.add(self)

    def __repr__(self) -> str:
        n_lent = sum(map(len, self._lent.values()))
        return f"<Exchange {n_lent} lent, {len(self._mappings)} mapped>"

    # -- sending

    def lend(
        self, lease: Lease, put: Callable[[Entry], object]
    ) -> tuple[Callable[..., object], Any]:
        """
        Prepare to queue a frame that names places of a segment.

        Args:
            lease: What the frame lends.
            put: Queues an entry of an outbox, and is a function of C. Frames that are to be sent
                before are queued here.

        Returns:
            A function of C and its argument. It is to be called in one step with what queues the
            frame: noted and not sent, the loan would never end.
        """
        segment = lease.segment
        store.join(self)
        store.keep(lease)
        loans = self._lent.get(segment.ident)
        if loans is None:
            # Sent twice does no harm; noted before it was sent would.
            segment.fd.intact()
            put(_entry(_frame(SEGMENT, segment.ident, n_fds=1), [segment.fd]))
            loans = self._lent.setdefault(segment.ident, deque())
        if self._is_closed:
            # The other end is dead, perhaps since a moment ago. Where it dies only now, the loan is
            # noted where nobody looks any more.
            self._lent.clear()
            store.leave(self)
        return loans.append, lease

    def hand_over(self, put: Callable[[Entry], object]) -> None:
        """
        Queue what is to be sent with the next frame, or soon.

        Args:
            put: Queues an entry of an outbox, and is a function of C.
        """
        self._note_released()
        try:
            # Within C: what was taken out is queued, though a signal handler raises.
            deque(map(put, iter(self._notes.popleft, None)), maxlen=0)
        except IndexError:
            # That was the last one.
            return

    def notes(self) -> bytes:
        """Return what ``hand_over`` would queue, where no signal handler raises."""
        entries: list[Entry] = []
        self.hand_over(entries.append)
        return b"".join([frame for _, (frame,), _ in entries])

    def _note_released(self) -> None:
        for watch in tuple(self._released):
            mapping = watch.mapping
            if mapping.n_loans == 1 and mapping.is_looked_at:
                continue
            ended(watch)
            note = _entry(_frame(RELEASE, mapping.ident, self._how(mapping)))
            steps: Any = (partial(self._released.remove, watch), partial(self._notes.append, note))
            try:
                # One step of C: it is said, and said once, wherever a signal handler raises.
                _ = [*map(call, steps)]
            except ValueError:
                # Another thread, or a handler, has said so.
                continue

    @staticmethod
    def _how(mapping: Mapping) -> bytes:
        return OVER_FOR_GOOD if mapping.is_private else OVER

    @property
    def has_notes(self) -> bool:
        """Whether there is something to be sent."""
        return bool(self._notes or self._released)

    def forget(self, ident: int) -> None:
        """Hear that a segment of ours is no more."""
        note = _entry(_frame(SEGMENT, ident))
        steps: Any = (partial(self._lent.pop, ident), partial(self._notes.append, note))
        try:
            # One step of C, as above.
            _ = [*map(call, steps)]
        except KeyError:
            # It was not lent here.
            return
        self._ring()

    def tend(self) -> bool:
        """
        Give back what nobody has used for some time, on both sides.

        Returns:
            Whether it is worth while to come again.
        """
        before = monotonic() - IDLE_SECONDS
        for mapping in list(self._mappings.values()):
            if not mapping.n_loans and mapping.used_at <= before:
                self._notes.append(_entry(_frame(RELEASE, mapping.ident, IDLE)))
        is_left = store.trim()
        return is_left or bool(self._mappings) or any(self._lent.values())

    def _ring(self) -> None:
        _ = [*map(call, self._bell)]

    # -- receiving

    def resolve(self, frames: list[Frame]) -> list[Frame]:
        """
        See to the frames that have to do with memory.

        Returns:
            The others, with buffers in the places of places.

        Raises:
            MalformedFrame: One names what there is not.
            OSError: A segment can be neither mapped nor read.
        """
        return [frame for frame in frames if self._resolve(frame)]

    def _resolve(self, frame: Frame) -> bool:
        if frame.kind == SEGMENT:
            self._known(frame)
            return False
        if frame.kind == RELEASE:
            self._returned(frame.ident, bytes(frame.payload))
            return False
        if frame.buffers and hasattr(frame.buffers[0], "segment"):
            places = frame.buffers
            frame.buffers = self._buffers(places)
            if frame.kind == DEFINE:
                mapping = self._mappings[places[0].segment]
                original = Original(bytes(frame.payload), mapping, places, frame.buffers)
                frame.payload, frame.buffers = b"", [original]
        return True

    def _known(self, frame: Frame) -> None:
        if frame.fds:
            (fd,) = frame.fds
            if frame.ident not in self._mappings:
                self._mappings[frame.ident] = Mapping(frame.ident, fd)  # type: ignore[arg-type]  # what a link receives
        else:
            self._mappings.pop(frame.ident, None)

    def _buffers(self, places: Sequence[Place]) -> Sequence[memoryview]:
        ident = places[0].segment
        mapping = self._mappings.get(ident)
        if mapping is None:
            raise MalformedFrame(f"segment {ident} was named and never made known")
        if any(place.offset + place.nbytes > mapping.nbytes for place in places):
            raise MalformedFrame(f"a buffer reaches beyond segment {ident}")
        buffers = mapping.borrow(places, self._released, self._bell)
        if buffers is None:
            buffers = mapping.copy(places)
            self._notes.append(_entry(_frame(RELEASE, ident, OVER)))
            self._ring()
        return buffers

    def loans_ended_by(self, data: bytes) -> deque[Lease] | None:
        """
        Find out whether the end of a loan stands in front of something else that was read.

        Returns:
            The loans of its segment, of which the first is over; ``None`` if it is anything else.
        """
        if len(data) <= HEADER_NBYTES or not data.startswith(_OVER):
            return None
        *_, ident = HEADER.unpack_from(data)
        loans = self._lent.get(ident)
        if not loans:
            return None
        loans[0].segment.used_at = monotonic()
        return loans

    def _returned(self, ident: int, what: bytes) -> None:
        if what != IDLE:
            loans = self._lent.get(ident)
            if not loans:
                raise MalformedFrame(f"segment {ident} was given back and not lent")
            loans[0].segment.used_at = monotonic()
            if what == OVER_FOR_GOOD:
                loans[0].segment.is_unwanted = True
            loans.popleft()
        elif ident in self._lent:
            store.drop_unwanted(ident)

    # -- the end

    def close(self) -> None:
        """The link is closed: what was lent comes back, what was borrowed stays as it is."""
        self._is_closed = True
        # From now on nobody is to be told. It refers to no more than it needs, and not to this.
        self._bell[:] = [partial(_forget, self._released)]
        self._lent.clear()
        self._mappings.clear()
        self._notes.clear()
        self._ring()
        store.leave(self)

    def disown(self) -> None:
        """In a forked copy of the process: the link is the parent's."""
        self._is_closed = True
        self._bell[:] = [partial(_forget, self._released)]
        self._lent.clear()
        self._mappings.clear()


def _forget(released: deque[Watch]) -> None:
    for watch in tuple(released):
        # Taken out only afterwards: where a signal handler raises it is found again.
        ended(watch)
        try:
            released.remove(watch)
        except ValueError:
            # Another thread was faster.
            continue


def _frame(kind: int, ident: int, payload: bytes = b"", n_fds: int = 0) -> bytes:
    return HEADER.pack(COUNTED_NBYTES + len(payload), kind, SHARED, PICKLE, n_fds, ident) + payload


def _entry(frame: bytes, fds: Sequence[Descriptor] = ()) -> Entry:
    return len(frame), [frame], fds


# The opening bytes of every RELEASE that only ends a loan.
_OVER = _frame(RELEASE, 0, OVER)[: -IDENT.size]


def _disown_all() -> None:
    for exchange in list(_exchanges):
        exchange.disown()


os.register_at_fork(after_in_child=_disown_all)
