"""
Messages that have come, and their way to listeners.

Not for waiting for messages or for posting them: see ``messaging``. Whoever has a transport brings
what comes with ``_arrive`` and ``_ended``. A worker imports this module at its start, so it imports
the least.

The thing to know before a change: messages stay packed until somebody takes them, because
unpacking runs a user's code, and because a port that is transferred takes them along. And one
target has one handler running at a time, whichever threads there are: the turn in ``_claims`` is
only ever tried for, and whoever gives it up looks again whether something came meanwhile. A claim
is one `setdefault` with an object of the claimant's own, so that a signal handler that raises right
after it leaves enough to give it up.
"""

from __future__ import annotations

from _weakref import ref
from collections import deque

from webworker_executor.web.dispatch import dispatcher_here
from webworker_executor.web.event import CloseEvent, MessageEvent
from webworker_executor.web.message import event_of, is_sound
from webworker_executor.web.target import EventHandler, EventTarget
from webworker_executor.web.waiters import Waiters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from webworker_executor.web.dispatch import Dispatcher
    from webworker_executor.wire.frame import Frame


class Inbox(EventTarget):
    """
    Where messages come to.

    They go to the listeners for ``message`` if there are any, one at a time, where the first of
    them was added: see `dispatcher_here`. While nobody listens, they wait.
    """

    onmessage = EventHandler("message")
    onmessageerror = EventHandler("messageerror")
    onclose = EventHandler("close")

    def __init__(self) -> None:
        super().__init__()
        self._inbox: deque[Frame] = deque()
        # Called, each at most once, when something came: whoever takes one out calls it.
        self._waiters = Waiters()
        self._dispatcher: Dispatcher | None = None
        self._claims: dict[str, object] = {}
        # Which is to make the next call. No flag: a loop may be closed, and then it never calls.
        self._asked: Dispatcher | None = None
        # Gone when it has been made, or dropped.
        self._call: object = None
        self._is_asking_anew = False
        self._had_listeners = False
        self._has_ended = False
        self._has_told_end = False
        # Called with each event when its listeners have returned, or were broken off.
        self._settle: Callable[[MessageEvent | CloseEvent], object] | None = None

    # -- what a subclass may say otherwise

    def _source(self) -> Any:
        """Return what events have as their ``source``; for subclasses."""
        return None

    def _is_delivering(self) -> bool:
        """Whether messages go to listeners; for subclasses."""
        return self._has_listeners("message")

    def _here(self) -> Dispatcher:
        """Return where a handler runs that is set now, in this thread; for subclasses."""
        return dispatcher_here()

    # -- what a transport calls

    def _arrive(self, frame: Frame) -> None:
        """Take a MESSAGE frame; in order, from any one thread."""
        self._inbox.append(frame)
        self._stir()

    def _ended(self) -> None:
        """Take note that no more frames come: the ``close`` event follows the messages."""
        self._has_ended = True
        self._stir()

    def _stir(self) -> None:
        if self._waiters:
            self._waiters.wake()
        if (self._asked is None or self._asked is not self._dispatcher) and self._has_work():
            self._schedule()

    def _first(self) -> Frame | None:
        """
        Take out the first frame, ``None`` if there is none.

        Whoever is interrupted with it in hand, and has left it its payload, puts it back.
        """
        inbox = self._inbox
        if not inbox:
            return None
        # No call stands between these steps, as `popleft` would: what a signal handler raised there
        # would take the frame along.
        frame = inbox[0]
        del inbox[0]
        return frame

    # -- events that are pushed

    def _handler_set(self, type: str) -> None:
        # Also when one handler replaces another: it runs where it was set.
        if type == "message" or self._is_nowhere:
            self._move_here()

    def _listeners_changed(self, type: str) -> None:
        was_heard, self._had_listeners = self._had_listeners, self._has_listeners("message")
        if self._is_nowhere or (self._had_listeners and not was_heard):
            self._move_here()
        elif self._has_work():
            self._schedule()

    @property
    def _is_nowhere(self) -> bool:
        return self._dispatcher is None or self._dispatcher.is_closed

    def _move_here(self) -> None:
        """Have handlers run where the caller is."""
        self._dispatcher = self._here()
        if self._has_work():
            self._schedule()

    def _has_work(self) -> bool:
        if self._inbox:
            return self._is_delivering()
        return self._has_ended and not self._has_told_end and self._dispatcher is not None

    def _schedule(self) -> None:
        """Have ``_deliver`` called; once too often is no harm."""
        place = self._dispatcher
        if place is None:
            place = self._dispatcher = self._here()
        if self._asked is place:
            return

        def call() -> None:
            self._deliver_at(place)

        self._call = ref(call, self._call_is_gone)
        self._asked = place
        try:
            if place.call(call) is False:
                # What comes next asks anew.
                self._asked = None
        except BaseException:
            # Of a signal handler; or there is nowhere to call it.
            self._asked = None
            raise

    def _call_is_gone(self, call: object) -> None:
        """Ask anew for a call that a signal handler has broken off before it had begun."""
        place = self._asked
        if place is None or self._call is not call or place.is_closed or self._is_asking_anew:
            return
        self._asked = None
        self._is_asking_anew = True
        try:
            if self._has_work():
                self._schedule()
        finally:
            self._is_asking_anew = False

    def _deliver_at(self, place: Dispatcher) -> None:
        """Dispatch one event, unless handlers have moved meanwhile: it is asked for there then."""
        if self._asked is place:
            # From here on it is seen to below. A finalizer would swallow what a handler raises.
            self._asked = self._call = None
        if self._dispatcher is place:
            try:
                self._deliver()
            except BaseException:
                # It may not even have begun.
                if self._has_work():
                    self._schedule()
                raise

    def _deliver(self) -> None:
        """Dispatch one event; where handlers run."""
        claimant = object()
        try:
            # If not, another thread is in a handler of this target. It comes back here.
            if self._claims.setdefault("turn", claimant) is claimant:
                event = self._next_event()
                if event is not None:
                    try:
                        self.dispatch_event(event)
                    except BaseException:
                        frame = event._frame
                        if frame is not None and (not frame.fds or is_sound(frame, frame.fds)):
                            # No listener has had it. Another event is made of it.
                            self._inbox.appendleft(frame)
                            event = None
                        raise
                    finally:
                        if event is not None and self._settle is not None:
                            self._settle(event)
                    raise_interrupt(event)
        finally:
            claims = self._claims
            # No call stands between these steps: a signal handler that raised there would leave
            # the claim of a handler that does not run.
            if "turn" in claims and claims["turn"] is claimant:
                del claims["turn"]
                if self._has_work():
                    self._schedule()

    def _next_event(self) -> MessageEvent | CloseEvent | None:
        has_ended = self._has_ended
        if self._is_delivering():
            frame = self._first()
            if frame is not None:
                came = frame.fds
                try:
                    event = event_of(frame, self._source())
                    # For another event, if no listener gets to have this one.
                    frame.fds, event._frame = came, frame
                    return event
                except BaseException as exc:
                    if frame.payload:
                        # Of a signal handler.
                        self._inbox.appendleft(frame)
                        raise
                    # The error keeps this call's values: whoever keeps it must not keep open what
                    # came along.
                    came = ()
                    # Also an exit, which would be that of who sent it: somebody waits for a word.
                    return MessageEvent(None, self._source(), error=exc)
        if has_ended and not self._has_told_end and not self._inbox:
            end = CloseEvent()
            self._has_told_end = True
            return end
        return None


def raise_interrupt(event: Any) -> None:
    """Go on with the end of the program, of which a message was told that it has spoilt."""
    if event.type == "messageerror" and isinstance(event.error, KeyboardInterrupt):
        raise event.error
