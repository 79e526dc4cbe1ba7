"""
Ports: the two ends of a channel, which may be given to whoever shall talk.

A port is one end of a socket pair. Its peer may be in any process; nobody stands between them. Not
for the way the bytes go: see ``port_link``; nor for events and waiting: see ``messaging``.

The thing to know before a change: a port is a value, see ``port_moving``. Whoever packs it gives it
up; whoever unpacks it has a new port, which is not started.
"""

from __future__ import annotations

import socket
import weakref
from _thread import get_ident
from pickle import PicklingError
from typing import TYPE_CHECKING, Any

from webworker_executor.errors import InvalidStateError
from webworker_executor.link.reactor import READ, new_epoll
from webworker_executor.web.messaging import MessageTarget
from webworker_executor.web.port_link import PortLink
from webworker_executor.web.port_moving import DETACHED, FROZEN, OPEN, freeze
from webworker_executor.web.port_record import thaw
from webworker_executor.wire.transfer import current_parcel, taken

if TYPE_CHECKING:
    import select
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Sequence
    from typing import Self

    from webworker_executor.web.event import CloseEvent, MessageEvent
    from webworker_executor.wire.frame import Parts
    from webworker_executor.wire.transfer import Step

__all__ = ["MessagePort", "is_held_by_ports"]

CLOSED = "closed"


class MessagePort(MessageTarget):
    """
    One end of a channel.

    Not made by hand: take it from a ``MessageChannel``, or receive it. It begins unread: messages
    wait in the kernel for ``receive``, ``receive_nowait``, iteration, or ``start``. Setting
    ``onmessage`` starts it. It may be used from any thread, and sent to any process in a message's
    ``transfer`` list or as an argument or result of a task; then it works there, and no more here.

    A port that nobody has any more closes, unless it was started.

    Source: HTML, "Message ports".
    """

    # A finalizer of C, which each has as a value: see `Attention.farewell`.
    __slots__ = ("__del__",)
    __del__: Callable[[], object]

    def __init__(self) -> None:
        raise TypeError(
            "a MessagePort is not made by hand; take port1 or port2 of MessageChannel()"
        )

    @classmethod
    def _of(cls, end: socket.socket | None) -> MessagePort:
        """Make a port of a connected socket, which it owns; of ``None``, one that has ended."""
        port = cls.__new__(cls)
        MessageTarget.__init__(port)
        port._state = OPEN
        port._is_started = False
        port._has_ref = True
        port._awaited = {}
        port._other_end = None
        port._has_ended = end is None
        port._link = None if end is None else PortLink(end, port)
        if port._link is not None:
            port.__del__ = port._link.farewell()
        return port

    _state: str
    _is_started: bool
    _has_ref: bool
    _awaited: dict[Any, tuple[select.epoll, list[None]]]
    # As long as both are where they were made.
    _other_end: weakref.ref[MessagePort] | None
    _link: PortLink | None

    def __repr__(self) -> str:
        state = "forked" if self._is_disowned else self._state
        if state is OPEN and self.closed:
            state = CLOSED
        started = " started" if self._is_started else ""
        return f"<MessagePort {state}{started} waiting={len(self._inbox)}>"

    # -- states

    @property
    def detached(self) -> bool:
        """Whether it was transferred, and works elsewhere."""
        return self._state is DETACHED

    @property
    def closed(self) -> bool:
        """Whether no message will come here any more: closed on this side, or ended."""
        return (
            self._state in {CLOSED, DETACHED}
            or self._is_disowned
            or (self._has_ended and not self._inbox)
        )

    @property
    def _is_disowned(self) -> bool:
        return self._link is not None and self._link.is_disowned

    def _is_delivering(self) -> bool:
        return self._is_started and self._state is OPEN

    def _has_work(self) -> bool:
        # Nobody listens who has not said where: asked first, because most ports are pulled.
        return self._dispatcher is not None and self._state is OPEN and super()._has_work()

    def _why_ended(self) -> str:
        if self._is_disowned:
            return (
                f"{self!r} belongs to the process that this one was forked from; make a channel "
                "there and pass a port on"
            )
        if self._state is DETACHED:
            return f"{self!r} was transferred; its messages come where it is now"
        if self._state is CLOSED:
            return f"{self!r} was closed on this side; nothing comes to it any more"
        return super()._why_ended()

    # -- what a user calls

    def start(self) -> None:
        """
        Begin to deliver messages as events; no effect if it was done.

        From here on they go to the listeners, and ``receive`` refuses. Messages that nobody listens
        to are dropped, as on the Web.

        Raises:
            RuntimeError: The program is ending, and no thread can be started.
            OSError: No descriptor is left.

        Source: HTML, ``MessagePort.start``.
        """
        if self._is_started or self._state is not OPEN or self._is_disowned:
            return
        if self._dispatcher is None:
            self._dispatcher = self._here()
        self._is_started = True
        # Whoever waits in receive() lets the reactor read when it leaves.
        try:
            if "reader" not in self._claims:
                self._listen()
        except BaseException:
            self._is_started = False
            raise
        _started.add(self)
        self._stir()

    def _listen(self) -> None:
        if self._link is not None:
            self._link.listen(self)

    def close(self) -> None:
        """
        Disconnect: nothing is delivered here any more, and nothing that is posted is sent.

        The other side gets what was posted before, and then a ``close`` event. Closing twice is
        fine.

        Source: HTML, ``MessagePort.close``.
        """
        if self._state is OPEN or self._state is CLOSED:
            # Again as well: a signal handler may have broken off the first time.
            self._leave(CLOSED)
            if self._link is not None:
                self._link.finish()

    def _leave(self, state: str) -> None:
        self._state = state
        self._has_ended = self._has_told_end = True
        self._inbox.clear()
        if self._has_lent:
            self._stop_lending()
        _started.discard(self)
        self._waiters.wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def buffered_amount(self) -> int:
        """
        How many bytes were posted and still wait: for room in the kernel, or, large buffers, for a
        reader to take them out of shared memory.
        """
        link = self._link
        unread = self._unread_nbytes() if self._has_lent else 0
        return unread if link is None or link.is_written else unread + link.unsent_nbytes

    def _wait_until_written(self, timeout: float | None) -> bool:
        return self._link is None or self._link.wait_until_written(timeout)

    def ref(self) -> None:
        """Keep a script worker alive while this port listens; the default."""
        self._has_ref = True

    def unref(self) -> None:
        """Let a script worker end though this port listens. In the host no port keeps anything."""
        self._has_ref = False

    def has_ref(self) -> bool:
        """Whether it would keep a script worker alive; Source: Node.js, ``port.hasRef``."""
        return self._has_ref

    # -- messages

    def _next_event(self) -> MessageEvent | CloseEvent | None:
        event = super()._next_event()
        if not self._inbox and self._link is not None and self._link.is_full:
            try:
                self._link.read_on_soon()
            except BaseException:
                if event is not None and event._frame is not None:
                    self._inbox.appendleft(event._frame)
                raise
        return event

    def _post(self, parts: Parts, fds: Sequence[Any], *going: Step) -> None:
        link = self._link
        if link is None:
            return
        if self._state is OPEN or self._state is FROZEN:
            if going:
                link.post(parts, fds, *going)
            else:
                # Most are so, and to pass on what is not there takes time.
                link.post(parts, fds)
        if link.is_disowned:
            raise InvalidStateError(self._why_ended())

    def _handler_set(self, type: str) -> None:
        super()._handler_set(type)
        if type == "message":
            self.start()

    def _look(self) -> None:
        link = self._link
        if link is not None:
            self._read_here(link, 0.0)

    def _await_arrival(self, timeout: float | None) -> None:
        link = self._link
        if link is None or not self._read_here(link, timeout):
            # Who reads lets the others look when it leaves.
            super()._await_arrival(timeout)

    def _read_here(self, link: PortLink, timeout: float | None) -> bool:
        """Read in this thread, and tell so, unless the reactor or another thread does."""
        claims = self._claims
        claimant: Any = [get_ident()]
        try:
            holder: Any = claims.setdefault("reader", claimant)
            # In a signal handler that came while this thread waits, it may read once more.
            if holder != claimant or self._is_started or self._state is not OPEN:
                return False
            # A handler may have read since the caller looked. From here on it ends the wait.
            if not (link.is_closed or (self._inbox and timeout != 0.0)):
                link.wait(timeout)
            if holder is not claimant:
                link.end_wait()
            return True
        finally:
            # No call stands between these steps: a signal handler that raised there would leave
            # the claim of a reader that nobody is.
            if "reader" in claims and claims["reader"] is claimant:
                del claims["reader"]
                if self._waiters:
                    self._waiters.wake()
                if self._is_started and self._state is OPEN:
                    self._listen()
                    self._stir()

    def _must_wait(self) -> bool:
        # If nobody reads any more, this thread must; unless the port is about to leave, which may
        # take as long as there is no room for the task that it goes to.
        is_read = self._is_started or self._state is FROZEN or "reader" in self._claims
        return super()._must_wait() and is_read

    def _begin_await(self, loop: AbstractEventLoop) -> None:
        link = self._link
        if link is None or self._is_started or link.is_closed:
            return
        if loop not in self._awaited:
            # Not the socket itself: it may be closed meanwhile, in any thread. Its number goes to
            # the next descriptor then, which the loop would take for the one that it has.
            watch = new_epoll()
            try:
                watch.register(link.fileno(), READ)
            except ValueError:
                # Closed a moment ago.
                watch.close()
                return
            loop.add_reader(watch.fileno(), self._look)
            self._awaited[loop] = (watch, [])
        self._awaited[loop][1].append(None)

    def _end_await(self, loop: AbstractEventLoop) -> None:
        if loop not in self._awaited:
            return
        watch, awaiting = self._awaited[loop]
        awaiting.pop()
        if not awaiting:
            del self._awaited[loop]
            if not loop.is_closed():
                loop.remove_reader(watch.fileno())
            watch.close()

    # -- the end, where nobody reads

    def _listeners_changed(self, type: str) -> None:
        super()._listeners_changed(type)
        if type != "close" or self._is_started or self._has_ended or self._state is not OPEN:
            return
        if self._link is not None and self._has_listeners(type):
            self._link.watch()

    def _hung_up(self) -> None:
        # If another thread reads, it finds the end itself.
        if not (self._is_started or self._inbox):
            self._look()

    # -- the move

    def __reduce__(self) -> tuple[Callable[..., MessagePort], tuple[Any, ...]]:
        parcel = current_parcel()
        if parcel is None:
            raise PicklingError("a MessagePort goes in a message, not in bytes by themselves")
        return _receive_port, freeze(self, parcel)

    def _detach(self) -> None:
        self._leave(DETACHED)
        if self._link is not None:
            self._link.leave()
            self._link.close()


def _receive_port(slot: int, *record: Any) -> MessagePort:
    port = MessagePort._of(None if slot < 0 else socket.socket(fileno=taken(slot).take()))
    thaw(port._link, port._inbox, *record)
    return port


_started: weakref.WeakSet[MessagePort] = weakref.WeakSet()


def is_held_by_ports() -> bool:
    """Whether a port of this process listens for messages and was not unref'ed."""
    return any(
        port._has_ref and not port.closed and port._has_listeners("message")
        for port in tuple(_started)
    )
