"""
How a process is brought to its end, whether it is there yet or not: one measure after the other.

Not for asking it to leave, which its owner does over a link. On the reactor's thread, but for
``send_signal`` and ``kill``.
"""

from __future__ import annotations

import signal
import time
from functools import partial

from webworker_executor.launch.launcher import GRACE_SECONDS
from webworker_executor.launch.procfs import standing_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.launch.launcher import Child
    from webworker_executor.link.reactor import Reactor, Timer

# How long a process may take to end after it closed its link, or to appear after it was killed
# before it existed. Later than that, it never will.
LAST_SECONDS = 1.0
# How long a copy of the program may stand still on its way up. It takes milliseconds.
STANDSTILL_SECONDS = 5.0
_NEVER_UP = (
    "it stood still before it was up: it waits for a lock that another thread of the program held "
    "when it was forked"
)


class Escalation:
    """
    The measures against one process, of which one at most is to come.

    Args:
        reactor: Has the clock.
        give_up: Called with an error when what was killed before it was there does not come.

    Attributes:
        child: The process, once there is one.
        last_signal: What it was sent last, or will be; 0 for nothing.
        why: Why it was killed without having been asked to end, empty if it was not.
    """

    def __init__(self, reactor: Reactor, give_up: Callable[[Exception], object]) -> None:
        self._reactor = reactor
        self._give_up = give_up
        self._timer: Timer | None = None
        self._is_over = False
        self.child: Child | None = None
        self.last_signal = 0
        self.why = ""

    def take(self, child: Child, on_exit: Callable[[], object]) -> None:
        """
        Take the process that has been started, and send it what it was to be sent.

        One that nobody waits for any more is killed.

        Raises:
            OSError: Its end cannot be watched; it is killed.
        """
        if self._is_over:
            child.kill()
            return
        self.child = child
        try:
            child.watch(self._reactor, on_exit)
        except OSError:
            child.kill()
            raise
        if self.last_signal:
            child.send_signal(self.last_signal)
        if child.is_copy and self._timer is None:
            self._look_later(None)

    def later(self, seconds: float, measure: Callable[[], object]) -> None:
        """Do something if it has not ended by then, in place of what was to come."""
        self._cancel()
        if not self._is_over:
            self._timer = self._reactor.call_at(time.monotonic() + seconds, measure)

    def terminate(self, grace: float = GRACE_SECONDS) -> None:
        """Send SIGTERM, and SIGKILL if that has not helped after ``grace`` seconds."""
        self.end(signal.SIGTERM, grace)
        self.later(grace, self.kill)

    def kill(self) -> None:
        """Send SIGKILL; any thread."""
        self.end(signal.SIGKILL)

    def end(self, number: int, rest: float = 0.0) -> None:
        """Send a signal as ``Child.end`` does, now or as soon as the process exists; any thread."""
        child, self.last_signal = self.child, number
        if child is None:
            self.send_signal(number)
        else:
            # What it has started, too: that would be nobody's when it is gone.
            child.end(number, rest)

    def send_signal(self, number: int) -> None:
        """
        Send a signal, now or as soon as the process exists; any thread.

        With a SIGKILL, one that does not exist soon is not waited for.
        """
        self.last_signal = number
        child = self.child
        if child is not None:
            child.send_signal(number)
        elif number == signal.SIGKILL:
            self._reactor.call_soon(lambda: self.later(LAST_SECONDS, self._stop_waiting))

    def close(self) -> None:
        """Take no more measures: the process has ended, or will not come."""
        self._is_over = True
        # Of the owner, who has this: nothing is to keep the two until a collection.
        self._give_up = _ignore
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self, before: tuple[int, str, int] | None) -> None:
        due = time.monotonic() + STANDSTILL_SECONDS
        self.later(STANDSTILL_SECONDS, partial(self._look, before, due))

    def _look(self, before: tuple[int, str, int] | None, due: float) -> None:
        """
        Kill a copy of the program that waits for a lock for ever.

        Nobody is there to free it. The package's own locks are made anew in a copy, but a handler
        of ``os.register_at_fork`` and the hooks of C libraries may want others. A worker that is up
        has a second thread; one that is not, and sleeps, and has not run once since the last look,
        will not come. But if the program itself stood still, it may have kept the copy waiting.
        """
        assert self.child is not None
        now = standing_of(self.child.pid)
        if now is None or now[0] > 1:
            return
        if now == before and now[1] == "S" and time.monotonic() < due + LAST_SECONDS:
            self.why = _NEVER_UP
            self.kill()
            return
        self._look_later(now)

    def _stop_waiting(self) -> None:
        # Whoever forks it may be stopped, or in an import that never ends.
        if self.child is None:
            self._give_up(TimeoutError("it was to end, and whoever starts it does not answer"))


def _ignore(error: Exception) -> None:
    """Do nothing: it is over."""
