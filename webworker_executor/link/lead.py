"""
Leading: a thread that waits for one frame reads the link itself, in the reactor's place.

The way over the reactor is two changes of threads; without them a round trip takes 20 us less.
Whoever leads does nothing but wait and read: what came otherwise than as one small, whole frame is
left to the reactor, and the reactor, or anybody who has more for the same worker, can take the
reading back at any time. While threads lead one after the other the reactor does not even look
(the lease), because the answer often comes before the one who waits for it has begun to lead.

What a changer must know: the leader may be the main thread, where a signal handler may raise, or
never return, between any two calls. So it waits without a lock; what it has read stands in the
link before anything else happens, and is taken out in the breath in which somebody else has it.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections import deque

from webworker_executor.link.fds import LONGEST_WAIT, Alarm
from webworker_executor.link.reactor import READ, WRITE
from webworker_executor.link.rights import READ_NBYTES, RIGHTS_NBYTES
from webworker_executor.wire.decoder import only_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Any

    from webworker_executor.link.reactor import Reactor
    from webworker_executor.wire.decoder import FrameDecoder

# How long the reactor leaves a link to those who lead it one after the other: to give it back and
# take it again for each round trip would cost two system calls and, on one core, a change of
# threads. 2 ms is also how late the reactor is where nobody has asked for an answer.
LEASE_SECONDS = 0.002
EPOLLET = select.EPOLLET
NOW = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC


class Lead:
    """
    The right to read a link, and the alarm that calls its holder away.

    Its descriptor is closed when nobody refers to it any more, and not before: whoever is about to
    ring the alarm holds it, and must not write to a number that has come to be somebody else's.

    Args:
        fd: The link's socket.

    Attributes:
        is_held: Whether a thread waits with it, be it the leader still or not.

    Raises:
        OSError: No descriptor is left for the alarm.
    """

    __slots__ = ("_alarm", "_owner", "_poll", "is_held")

    def __init__(self, fd: int) -> None:
        self.is_held = False
        self._owner = Alarm()
        self._alarm = self._owner.fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._poll.register(self._alarm, select.POLLIN)

    def release(self) -> None:
        """Call the leader away; any thread. Named as a lock's, for it stands among sleepers."""
        os.eventfd_write(self._alarm, 1)

    def wait(self, timeout: float | None) -> None:
        """Wait until something came or the alarm rang; at most ``timeout`` seconds, or a day."""
        milliseconds = None if timeout is None else min(max(0.0, timeout), LONGEST_WAIT) * 1000
        for fd, _ in self._poll.poll(milliseconds):
            if fd == self._alarm:
                os.eventfd_read(fd)


class Leading:
    """
    Who reads a link: the reactor, or threads that wait, one after the other.

    Args:
        end: The link's socket.
        reactor: Who reads unless somebody leads.
        lock: The link's.
        decoder: The link's.
        read: Reads and hands over; on the reactor's thread.
        take_back: Takes the end of a loan out of what was read; tells whether it began with one.

    Attributes:
        is_armed: Whether the reactor waits for room to write, too.
        is_handing: Whether the reactor hands over what it has read, which a leader that reads on
            would overtake. Set by who reads, while it may.
        is_fit: Whether what comes is for a leader: one whole frame that lies in no shared memory,
            if need be behind the end of a loan. If not, to lead would be one change of threads more
            than not to.
        is_leased: Whether the reactor does not look.
        lock: As given.
        outer: Taken before that, where the link's owner takes its own first: a signal handler that
            interrupts whoever leads may want that one while the reactor, which has it, waits for
            the link's.
        left: What a leader has read and left to the reactor, as ``recvmsg`` returned it.
        reading: Held by who reads, for as long as that takes.
    """

    def __init__(
        self,
        end: socket.socket,
        reactor: Reactor,
        lock: AbstractContextManager[object],
        decoder: FrameDecoder,
        read: Callable[[], object],
        take_back: Callable[[deque[Any]], bool],
    ) -> None:
        self._fd = end.fileno()
        self._recvmsg = end.recvmsg
        self._reactor = reactor
        self.lock = self.outer = lock
        self._decoder = decoder
        self._modify = reactor.modify
        self._read = read
        self._take_back = take_back
        self._lead: Lead | None = None
        self._leader: Lead | None = None  # the same, while somebody leads
        self._n_leads = 0
        self._is_closed = False
        self.is_armed = False
        self.is_handing = False
        self.is_fit = True
        self.is_leased = False
        self.left: deque[Any] = deque()
        self.reading = threading.RLock()

    def begin(self) -> Lead | None:
        """
        Let the calling thread read in the reactor's place, until ``end``.

        Returns:
            What it waits with, or ``None`` where somebody leads already or a frame is under way, to
            here or from here to who it is for.
        """
        if self._leader is not None or self._is_closed or not self.is_fit:
            return None
        if self.is_handing or not self._decoder.is_between_frames:
            return None
        if not self.is_leased:
            with self.outer, self.lock:
                if not self._lease():
                    return None
        self._n_leads += 1
        lead = self._lead
        # No call stands between these looks and the stores; what was looked at above may be old.
        if self._leader is not None:  # type: ignore[unreachable,unused-ignore]  # by another thread
            return None
        if lead is None or lead.is_held or not self.is_leased:
            return None
        lead.is_held = True
        self._leader = lead
        return lead

    def _lease(self) -> bool:
        if self._is_closed:
            return False
        if self._lead is None:
            try:
                self._lead = Lead(self._fd)
            except OSError:
                return False
        if not self.is_leased:
            # A link that is leased and not watched would never be read again. So the watch comes
            # first; where a signal handler raises before the rest, it finds the flag alone.
            try:
                self.is_leased = True
                self._reactor.call_soon(self._watch)
                # Of a leased link only the end is of interest to the reactor, and once. A handler
                # that submits may have ended the lease; no call comes between this look and that.
                if self.is_leased:
                    self._modify(self._fd, EPOLLET | WRITE if self.is_armed else EPOLLET)
            except BaseException:
                self.end_lease()
                raise
        return True

    def _watch(self) -> None:
        seen = self._n_leads

        def look() -> None:
            if self._n_leads == seen or self._leader is not None:
                self.end_lease()
            elif self.is_leased:
                self._watch()

        self._reactor.call_at(time.monotonic() + LEASE_SECONDS, look)

    def read(self, lead: Lead, take: Callable[..., bool], *context: Any) -> bool:
        """
        Read once, as the leader.

        Args:
            lead: What ``begin`` gave.
            take: Called with the one frame that came. It stays here, and is the reactor's if
                nothing else happens, until ``take`` has put it elsewhere and clears ``left``.
            *context: What ``take`` is called with after the frame.

        Returns:
            What ``take`` returns. False also means that the lead is over: something else came, or
            the end, or somebody has taken the reading back.
        """
        with self.reading:
            left = self.left
            if self._leader is not lead or self._is_closed or left:
                return False
            # Asked again: the reactor may have read since this lead began. What it took for no
            # frame, or the first half of one, has the rest of the stream behind it.
            if not self._decoder.is_between_frames:
                self.end_lease()
                return False
            if self.is_handing:
                self.end_lease()
                return False
            try:
                # One call of C: what was read stands here, whatever a signal handler does.
                left.extend(map(self._recvmsg, (READ_NBYTES,), (RIGHTS_NBYTES,), (NOW,)))
            except OSError:
                return False
            data, rights, _, _ = left[0]
            kinds = self._decoder.kinds
            frame = None if rights else only_frame(data, kinds, READ_NBYTES)
            if frame is None and not rights and self._take_back(left):
                frame = only_frame(left[0][0], kinds, READ_NBYTES)
            if frame is None:
                self.is_fit = False
                return False
            return take(frame, *context)

    def end(self, lead: Lead) -> None:
        """Stop leading. The reactor looks again in a moment, unless it is led again before."""
        if self._leader is lead:
            self._leader = None
        lead.is_held = False
        if self.left or not self.is_leased:
            self.end_lease()

    def end_lease(self) -> None:
        """Let the reactor read again, at once; any thread. Nothing happens if it does already."""
        if self.is_leased or self._leader is not None:
            with self.outer, self.lock:
                if not self._is_closed:
                    self._leader, self.is_leased = None, False
                    self._modify(self._fd, READ | WRITE if self.is_armed else READ)
        if self.left:
            self._reactor.call_soon(self._read)

    def close(self) -> None:
        """Wake whoever leads: the link is closed."""
        self._is_closed = True
        lead, self._lead = self._lead, None
        self._leader = None
        if lead is not None:
            # Whoever waits with it may not have begun to, and finds the alarm ringing.
            lead.release()
