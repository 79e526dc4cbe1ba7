"""
The main thread of a worker that runs a script: one thing after the other, and a wait between.

What is there to do comes as frames of the data link, as calls of other threads (ports of this
process, workers of this worker), and as timers; each is done to its end before the next, and what
it raises is reported. The thing to know before a change: whoever waits for a message within the
script, by ``scope.receive``, comes back here to read, because no other thread does.
"""

from __future__ import annotations

import _thread
import sys
from collections import deque
from time import monotonic

from webworker_executor.child.arrivals import Arrivals
from webworker_executor.child.data_end import NO_TASK
from webworker_executor.child.report import Reporter
from webworker_executor.child.timers import Timers
from webworker_executor.web.dispatch import running_loop
from webworker_executor.web.event import CloseEvent
from webworker_executor.wire.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from collections.abc import Callable
    from typing import Any

    from webworker_executor.child.loop import Loop
    from webworker_executor.child.program import Program
    from webworker_executor.child.scope import Scope
    from webworker_executor.wire.frame import Frame

HANDLERS = ("onmessage", "onmessageerror", "onerror", "onclose")
# As in `link.fds`, which a worker does not import at its start: it takes `socket` along.
LONGEST_WAIT = 86_400.0


class Turns:
    """
    What there is to do, and its order.

    Args:
        loop: Has the data link, and the calls of other threads.
        scope: The scope of the worker.
        ends_on_error: Whether an error that nobody handled here is the end.

    Attributes:
        is_closing: Whether nothing more is to be begun.
        is_asked: Whether the host wants an end.
        has_failed: Whether it is an error that ends the worker.
        program: The script, once it is known.

    Source: HTML, "event loop", "processing model".
    """

    def __init__(self, loop: Loop, scope: Scope, *, ends_on_error: bool = False) -> None:
        loop.listen()
        self._loop = loop
        self._arrivals = Arrivals(loop, scope)
        self._scope = scope
        self._reporter = Reporter(scope, loop.post, loop.call_soon, self._went_unhandled)
        self._ends_on_error = ends_on_error
        self._timers = Timers()
        self._microtasks: deque[Callable[[], object]] = deque()
        self._thread = _thread.get_ident()
        self._handlers: dict[str, object] = dict.fromkeys(HANDLERS)
        self.program: Program | None = None
        self.is_closing = self.is_asked = self.has_failed = False
        self._is_ended = self._has_told_end = False
        self._events: AbstractEventLoop | None = None
        self._n_attached = 0
        # What calls on an asyncio loop when a timer is due; which loop, and when.
        self._bell: TimerHandle | None = None
        self._rings: tuple[AbstractEventLoop, float] | None = None

    # -- what others call

    def call(self, call: Callable[[], object]) -> bool:
        """Do something on the main thread; from any thread. ``False`` once it is closing."""
        if not self.is_closing:
            self._loop.call_soon(call)
        return not self.is_closing

    def leave_soon(self) -> None:
        """Take note that the host wants the worker to end now; from any thread."""
        self.is_asked = True
        # The main thread may be in `drain`, where it hears of nothing else.
        self._scope._waiters.wake()
        self._loop.call_soon(_nothing)
        # Nor of calls of its objects: who waits for the answer to one would wait for as long as the
        # worker is given to leave.
        exposure = sys.modules.get("webworker_executor.web.exposure")
        # The main thread may be importing it at this moment.
        getattr(exposure, "close_all", bool)()

    def close(self) -> None:
        """Begin nothing more."""
        self.is_closing = True
        self._loop.call_soon(_nothing)

    def report(self, error: BaseException) -> None:
        """Tell of an exception that nobody caught; from any thread."""
        self.adopt_handlers(("onerror",))
        self._reporter.report(error)

    def _went_unhandled(self) -> None:
        if self._ends_on_error:
            # No exception that leaves here: whoever reports may stand in a finalizer.
            self.has_failed = True
            self.close()

    def report_late(self) -> None:
        """Tell of what other threads have left, at the end."""
        self._reporter.report_late()

    def pass_on(self, event: Any, origin: str) -> None:
        """Tell of what a worker of this worker did not handle."""
        self._reporter.pass_on(event, origin)

    def set_timer(
        self,
        callback: Callable[..., object],
        delay: float,
        args: tuple[Any, ...],
        *,
        repeats: bool = False,
    ) -> int:
        """Call something later; from any thread."""
        ident = self._timers.add(monotonic(), delay, callback, args, repeats=repeats)
        if self._is_idle():
            self._loop.call_soon(_nothing)
        elif (events := running_loop()) is not None:
            # Not now: this may be a signal handler, in the middle of `_arm` itself.
            events.call_soon_threadsafe(self._arm)
        return ident

    def clear_timer(self, ident: int | None) -> None:
        """Forget a timer."""
        self._timers.clear(ident)

    def queue_microtask(self, callback: Callable[[], object]) -> None:
        """Call something right after what runs now."""
        if not callable(callback):
            raise TypeError(f"a microtask is called, and {shown(callback)} cannot be")
        self._microtasks.append(callback)
        if self._is_idle():
            self._loop.call_soon(_nothing)
        elif (events := running_loop()) is not None:
            # What runs now is the loop, and may return when the worker ends.
            events.call_soon_threadsafe(self._run_microtasks)

    def _is_idle(self) -> bool:
        # Or may be: this is another thread; or a signal handler that has come while it waits.
        return self._thread != _thread.get_ident() or self._arrivals.is_waiting

    def import_scripts(self, paths: tuple[str, ...]) -> None:
        """Run more files in the namespace of the script."""
        if self.program is None:
            # Its names would be another module's, or nobody's: a callable need not be a function.
            raise TypeError(
                "import_scripts() is not for callables: this worker runs one, which has no "
                "namespace of its own. Use import, or start the worker with the path of a script."
            )
        self.program.import_scripts(paths)

    def adopt_handlers(self, names: tuple[str, ...] = HANDLERS) -> None:
        """Assign what the script has newly bound to the names of handlers, as a browser would."""
        if self.program is None:
            return
        namespace = self.program.namespace
        for name in names:
            value = namespace.get(name)
            if value is not self._handlers[name]:
                self._handlers[name] = value
                setattr(self._scope, name, value)

    # -- the main thread

    def perform(self, call: Callable[..., object], *args: Any) -> None:
        """
        Do one thing, and the microtasks it leaves; report what they raise.

        Raises:
            SystemExit: The script wants to end.
            KeyboardInterrupt: So does who sent SIGINT.
        """
        self._guarded(call, args)
        self._run_microtasks()

    def _run_microtasks(self) -> None:
        # Also when it is closing: they belong to what has run, and are no tasks that wait.
        while self._microtasks:
            self._guarded(self._microtasks.popleft(), ())

    def _guarded(self, call: Callable[..., object], args: tuple[Any, ...]) -> None:
        loop = self._loop
        try:
            loop.running = NO_TASK
            try:
                call(*args)
            finally:
                loop.running = 0
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._reporter.report(error)
        loop.end_copy()

    def run(self) -> None:
        """Serve until the worker is to end."""
        while not self._is_over():
            # Of other threads and of signal handlers, before any task that became due since.
            self._run_microtasks()
            is_busy = self._fire_timer()
            is_busy |= self._deliver_message()
            is_busy |= self._make_call()
            if (
                self._arrivals.is_let_go
                and not is_busy
                and not len(self._timers)
                and not _is_held()
            ):
                break
            if not self._is_over():
                self.look(0.0 if is_busy else None, has_turn=True)
        self.is_closing = True
        self._scope._inbox.clear()
        self._tell_end()

    def _tell_end(self) -> None:
        """Let the script hear, once, that the host wants an end."""
        if self.is_asked and not self._has_told_end:
            self._has_told_end = True
            # Its last words may still be posted.
            self.perform(self._scope.dispatch_event, CloseEvent())

    def _is_over(self) -> bool:
        return self.is_closing or self.is_asked

    def _fire_timer(self) -> bool:
        timer = self._timers.take(monotonic())
        if timer is None:
            return False
        self.perform(timer.callback, *timer.args)
        return True

    def _deliver_message(self) -> bool:
        if self.is_closing or not self._scope._has_work():
            return False
        self.perform(self._scope._deliver)
        return True

    def _make_call(self) -> bool:
        try:
            call = self._loop._calls.popleft()
        except IndexError:
            return False
        if not self.is_closing:
            self.perform(call)
        return True

    # -- reading

    def look(self, timeout: float | None, *, has_turn: bool = False) -> None:
        """
        Read what has come, after waiting for it.

        Args:
            timeout: Seconds to wait at most; ``None`` waits until there is something to do.
            has_turn: Whether the caller sees to calls and timers, and so wakes for them, too.

        Raises:
            RuntimeError: This is not the main thread.
        """
        if self._thread != _thread.get_ident():
            raise RuntimeError("the messages of a worker are received on its main thread only")
        if not self._loop._todo:
            self._arrivals.wait(lambda: self._seconds_to_wait(timeout, has_turn=has_turn))
        self._arrivals.sort()
        if self.is_asked and not self._is_ended:
            self._is_ended = True
            self._scope._inbox.clear()
            self._scope._ended()
            if (events := running_loop()) is not None:
                # The script may wait on its loop for just that.
                events.call_soon(self._tell_end)
            # Whoever a signal handler has interrupted to come here has yet to see it.
            self._arrivals.end_wait()
        if self._arrivals.is_waiting and (timeout == 0.0 or self._is_heard_of()):
            # This is such a handler, which is through; the other one would wait on.
            self._arrivals.end_wait()

    def _is_heard_of(self) -> bool:
        return bool(self._scope._inbox) or self._scope._has_ended

    def _seconds_to_wait(self, timeout: float | None, *, has_turn: bool) -> float:
        wait = LONGEST_WAIT if timeout is None else min(max(timeout, 0.0), LONGEST_WAIT)
        if has_turn:
            due = self._timers.next_at()
            if due is not None:
                wait = min(wait, max(0.0, due - monotonic()))
            if self._loop._calls:
                wait = 0.0
        elif self._is_heard_of():
            # Since whoever receives has looked: a signal handler has read it.
            wait = 0.0
        return wait

    def take_over(self) -> Frame:
        """Return the frame before the first message, and read all that comes after it."""
        return self._arrivals.take_over()

    def attach(self, events: AbstractEventLoop, *, step: int) -> None:
        """
        Have an asyncio loop read, and deliver, while it runs on the main thread.

        Args:
            events: The loop.
            step: 1 for one more that counts on it, -1 for one less.
        """
        if self._events is not events:
            if step < 0:
                # A wait on an earlier loop, which has been cancelled late.
                return
            self._events, self._n_attached = events, 0
        self._n_attached += step
        # The alarm as well: that the host wants an end is told by another thread.
        for fd in (self._loop._data.fileno(), self._loop._alarm):
            if step > 0 and self._n_attached == 1:
                events.add_reader(fd, self._read_on_loop)
            elif self._n_attached == 0:
                events.remove_reader(fd)
        if step > 0:
            # What has been read already does not make the socket readable.
            events.call_soon(self._read_on_loop)

    def _read_on_loop(self) -> None:
        self.look(0.0)
        while not self.is_asked and self._deliver_message():
            continue
        # Of other threads.
        self._run_microtasks()
        # Another thread may have set a timer, or the script one before its loop ran.
        self._arm()

    def _arm(self) -> None:
        """Have the asyncio loop that runs on the main thread call when the next timer is due."""
        events, due = running_loop(), self._timers.next_at()
        if events is None or due is None or self._is_over() or self._rings == (events, due):
            return
        if self._bell is not None:
            self._bell.cancel()
        self._rings = events, due
        # No time of the loop: it may have a clock of its own.
        self._bell = events.call_later(max(0.0, due - monotonic()), self._ring)

    def _ring(self) -> None:
        self._rings = None
        # One, as between two messages: an interval of no time at all leaves the loop its turn.
        if not self._is_over():
            self._fire_timer()
        self._arm()


def _nothing() -> None:
    """Wake the main thread, no more."""


def _is_held() -> bool:
    """Whether a port listens here. Without the module there is none."""
    ports = sys.modules.get("webworker_executor.web.port")
    return ports is not None and bool(ports.is_held_by_ports())
