"""
What a process has of a broadcast's name: who listens here, and streams to and from the others.

Not for events or values: those are the channels'. There is no broker. Each process listens for each
name at an abstract socket whose address begins with the program's own secret and the name; who
posts looks into the kernel's list of such sockets (``/proc/net/unix``), and has a stream to each.
So a process that dies is simply gone, and one that has just made a channel is known to the next who
posts.

The thing to know before a change: the looking costs some 20 us for each post, and is what makes
"it was there before I posted" hold across processes; a list that is kept up to date by messages
would be late.
"""

from __future__ import annotations

import os
import socket
import threading
import weakref
from typing import TYPE_CHECKING, Any

from webworker_executor.link.journal import Journal
from webworker_executor.link.thread import ServiceThread
from webworker_executor.web import realm
from webworker_executor.web.host import host
from webworker_executor.web.messaging import MessageTarget
from webworker_executor.web.port_link import PortLink
from webworker_executor.web.reception import Reception
from webworker_executor.web.seat import Seat
from webworker_executor.wire.frame import Frame, encode
from webworker_executor.wire.kinds import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from webworker_executor.link.reactor import Reactor
    from webworker_executor.web.broadcast import BroadcastChannel
    from webworker_executor.wire.frame import Parts

# How long messages are kept for a process that takes no more calls.
CONNECT_SECONDS = 5.0

_log = Journal("webworker_executor.web")


class Station:
    """
    What a process has of one name: its channels, where it is called, and streams to the others.

    Args:
        name: The name.
        channel: The first one. It comes with the station: whatever a signal handler breaks off
            later, the station ends when its last channel is dropped.
    """

    def __init__(self, name: str, channel: BroadcastChannel) -> None:
        self.name = name
        self.is_disowned = False
        self.is_over = self._is_left = False
        self._prefix = realm.prefix("channel", name)
        # Guards all that follows. Reentrant: a signal handler may post.
        self._lock = threading.RLock()
        # By the number of their seats, in the order of their making; those that listen are kept.
        self._channels: dict[int, weakref.ref[MessageTarget]] = {}
        self._kept: dict[int, MessageTarget] = {}
        self._links: dict[str, PortLink] = {}
        # By address, what is posted while that takes no more calls; and who calls there.
        self._late: dict[str, list[Parts]] = {}
        self._callers: dict[str, ServiceThread] = {}
        self._ears: set[Ear] = set()
        self.address = f"{self._prefix}{os.getpid():x}-{os.urandom(8).hex()}"
        # Before the host has it: a copy of the program that is forked meanwhile closes its own.
        self._reception = Reception(self.address, socket.SOCK_STREAM, self._take)
        try:
            self._reactor: Reactor
            self._reactor, _ = host.acquire(self)
            self.add(channel)
            # Last: what has been closed must not stay in the reactor.
            self._reception.open(self._reactor)
        except BaseException:
            self._reception.close()
            host.release(self)
            raise

    def add(self, channel: BroadcastChannel) -> bool:
        """Take up a channel; returns False when it is too late for that."""
        with self._lock:
            if self.is_over or self.is_disowned:
                return False
            seat = Seat(self, self._reactor.finalizer)
            # First: a channel that is in the list has what takes it out.
            channel._seat = seat
            self._channels[seat.number] = weakref.ref(channel)
            return True

    def keep(self, number: int, channel: MessageTarget, is_wanted: bool) -> None:
        """Keep a channel while it listens."""
        if is_wanted:
            self._kept[number] = channel
        else:
            self._kept.pop(number, None)

    def leave(self, number: int) -> None:
        """Let a channel go; the last one ends the station."""
        # Each step may be done again, where a signal handler has broken it off.
        with self._lock:
            self._channels.pop(number, None)
            self._kept.pop(number, None)
            if self._channels or self._is_left or self.is_disowned:
                return
            self.is_over = True
            if _stations.get(self.name) is self:
                del _stations[self.name]
            self._reception.close()
            links = [*self._links.values(), *[ear.link for ear in self._ears]]
        for link in links:
            link.finish()
        host.release(self)
        self._is_left = True

    # -- to others

    def post(self, sender: int, payload: bytes, buffers: Sequence[bytes]) -> None:
        """Give a message to all but its sender, who has the seat of this number."""
        parts = encode(MESSAGE, 0, payload, buffers)
        with self._lock:
            # The order in which two threads post is the same for all who hear them.
            self.hear(payload, buffers, but=sender)
            for link in self._others():
                link.post(parts)
            for waiting in self._late.values():
                waiting.append(parts)

    def hear(self, payload: Any, buffers: Sequence[Any], but: int = -1) -> None:
        """Give a message to the channels here, to each a copy of its own."""
        for number, reference in tuple(self._channels.items()):
            channel = reference()
            if channel is not None and number != but:
                views = [memoryview(bytearray(buffer)) for buffer in buffers]
                channel._arrive(Frame(MESSAGE, 0, payload, views))

    def _others(self) -> Iterable[PortLink]:
        addresses = realm.addresses(self._prefix) - {self.address}
        for address in [*self._links]:
            if address not in addresses:
                self._links.pop(address).finish()
        for address in sorted(addresses - self._links.keys() - self._late.keys()):
            try:
                end = realm.connected(address)
            except BlockingIOError:
                self._call_later(address)
                continue
            if end is not None:
                self._links[address] = PortLink(end, Ear(self))
        return list(self._links.values())

    def _call_later(self, address: str) -> None:
        """Have a thread call that may wait: nobody who posts does, nor the reactor."""
        caller = ServiceThread(lambda: self._call(address), "webworker-caller")
        # No call stands between these steps and the block, where a signal handler could raise.
        self._late[address] = []
        self._callers[address] = caller
        try:
            caller.start()
        except BaseException as error:
            self._late.pop(address, None)
            self._callers.pop(address, None)
            if not isinstance(error, RuntimeError):
                raise
            _log.debug("a broadcast does not reach %s: %s", address, error)

    def _call(self, address: str) -> None:
        try:
            end = realm.connected(address, CONNECT_SECONDS)
        except BlockingIOError as error:
            _log.debug("a broadcast does not reach %s: %s", address, error)
            end = None
        with self._lock:
            self._callers.pop(address, None)
            waiting = self._late.pop(address, [])
            if end is None:
                return
            link = PortLink(end, Ear(self))
            for parts in waiting:
                link.post(parts)
            if not self.is_over:
                self._links[address] = link
                return
        link.finish()

    # -- from others

    def _take(self, end: socket.socket) -> None:
        ear = Ear(self)
        with self._lock:
            if self.is_over:
                end.close()
                return
            ear.link = PortLink(end, ear)
            self._ears.add(ear)
        ear.link.listen(ear)

    def forget(self, ear: Ear) -> None:
        """Drop the stream of one who is gone."""
        self._ears.discard(ear)

    # -- the host's

    def finish_at_exit(self, *, interrupted: bool) -> None:
        """End; the interpreter is about to exit."""
        for caller in tuple(self._callers.values()):
            if not interrupted:
                caller.join()
        for number in [*self._channels]:
            self.leave(number)

    def disown_after_fork(self) -> None:
        """In a forked child: this is the parent's."""
        # Who held it is not here.
        self._lock = threading.RLock()
        self.is_disowned = True
        self._reception.disown()
        self._kept.clear()
        self._late.clear()
        self._callers.clear()


class Ear(MessageTarget):
    """The end of a stream from another process: what comes is heard by all channels here."""

    link: PortLink

    def __init__(self, station: Station) -> None:
        super().__init__()
        self._of = station

    def _stir(self) -> None:
        while self._inbox:
            frame = self._inbox.popleft()
            # Whoever accepts descriptors from here drops, and so closes, them.
            self._of.hear(frame.payload, frame.buffers)

    def _ended(self) -> None:
        self._of.forget(self)

    def _post(self, *_: object) -> None:
        raise AssertionError("streams of a broadcast go one way")


_stations: dict[str, Station] = {}
_making = threading.RLock()


def take_seat(name: str, channel: BroadcastChannel) -> None:
    """
    Have the station of a name take up a channel, which then has its seat.

    Raises:
        OSError: No descriptor is left.
        RuntimeError: The program is ending, and no thread can be started.
    """
    with _making:
        while True:
            station = _stations.get(name)
            if station is None:
                _stations[name] = Station(name, channel)
                return
            if station.add(channel):
                return
            if _stations.get(name) is station:
                del _stations[name]


def _disown_all() -> None:
    global _making
    _making = threading.RLock()
    _stations.clear()


os.register_at_fork(after_in_child=_disown_all)
