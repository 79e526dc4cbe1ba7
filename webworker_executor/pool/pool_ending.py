"""
The end of a pool: when all is done, after a time, for good reason, or with the program.

Not for how an executor is told to end (``ending``) nor for single tasks (``stopping``). A changer
must know: what marks a pool as shut is stored together, under the lock, so that no task slips in
between.
"""

from __future__ import annotations

import time
import weakref

from webworker_executor.pool import broken
from webworker_executor.wire.definition import forget_large

TYPE_CHECKING = False
if TYPE_CHECKING:
    from webworker_executor.link.flag import Flag
    from webworker_executor.link.reactor import Reactor
    from webworker_executor.pool.crew import Crew
    from webworker_executor.pool.promises import Promises
    from webworker_executor.pool.reports import Reports
    from webworker_executor.pool.steps import Steps
    from webworker_executor.pool.stopping import Stopper
    from webworker_executor.rules import action as do
    from webworker_executor.rules.scheduler import Scheduler
    from webworker_executor.web.events import EventsThread


class EndingPool:
    """The ends of a pool, which has the parts named below."""

    if TYPE_CHECKING:
        crew: Crew
        promises: Promises
        stopped: Flag
        is_open: bool
        is_shut: bool
        _events: EventsThread | None
        _exit_policy: str
        is_foreign: bool
        _reactor: Reactor | None
        _reports: Reports
        _scheduler: Scheduler
        _steps: Steps[do.Actions]
        _stopper: Stopper

    _takes_unbegun = False

    @property
    def _is_in_the_way(self) -> bool:
        # As a signal handler that has interrupted who holds what the reactor needs.
        return self._steps.is_held_here or self.crew.is_held_here

    def break_(self, text: str, *, kills: bool = False) -> None:
        """Fail everything and take nothing more; the workers get SIGTERM first unless it kills."""
        self.is_open = False
        # Before anything is sent: after a SIGTERM, what a task has set for it would run.
        self.crew.kills |= kills
        self._reports.break_(text)

    def shutdown(self, *, cancel: bool = False) -> None:
        """Take no more tasks; workers leave when all is done. Returns at once."""
        if self.is_foreign:
            return
        with self._steps.lock:
            # Together, so that no task slips in between: see `open`.
            self.is_shut = True
            self.is_open = False
        forget_large()
        self._steps.bring(self._shut, cancel)

    def abandon(self) -> None:
        """Cancel what waits and kill what runs."""
        self.shutdown(cancel=True)
        if not self.is_foreign:
            self.break_(broken.ABANDONED, kills=True)
            self.crew.kill_all()

    def end_within(self, seconds: float) -> None:
        """After so many seconds, fail what is not done, and end its workers."""
        if self._reactor is None or self.is_foreign or self.stopped.is_set():
            return
        # Weakly: a long time must not keep what has ended before it is over.
        reference = weakref.ref(self)

        def end() -> None:
            pool = reference()
            if pool is not None and not pool.stopped.is_set():
                pool.break_(broken.OUT_OF_TIME)

        self.crew.call_at(time.monotonic() + seconds, end)

    def wait(self, timeout: float | None = None, *, is_exit: bool = False) -> None:
        """
        Wait until every worker has left, every callback has run, and unused threads are gone.

        Args:
            timeout: Seconds after which callbacks are not waited for any more; the workers are
                forced by ``end_within``.
            is_exit: Whether it is that of the program, which an observer must not hold up.

        Raises:
            RuntimeError: A signal handler waits, and has interrupted who holds the lock, or that
                of a link, without which the reactor can neither report a worker's end nor force it.
        """
        if self._is_in_the_way and not self.stopped.is_set():
            raise RuntimeError(broken.END_WITHIN_STEP)
        events, reactor = self._events, self._reactor
        deadline = None if timeout is None else time.monotonic() + timeout
        # Copied by a single call of C: other threads and handlers go on.
        self.crew.talks.end(lambda: list(self.promises.calls.values()))
        self.crew.receipts.give_early()
        self.stopped.wait()
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not self.promises.wait_for_callbacks(left, and_news=not is_exit):
            return
        if events is None or reactor is None or events.is_current_thread:
            return
        if events.is_stopping:
            events.join()
        # Not yet, where a handler holds the events thread, after which the reactor ends.
        if reactor.is_stopping:
            reactor.join()

    def finish_at_exit(self, *, interrupted: bool) -> None:
        """Do with pending work as the policy is, or drop it when Ctrl-C ended the program."""
        try:
            if interrupted or self._exit_policy == "kill":
                self.abandon()
            else:
                self.shutdown(cancel=self._exit_policy == "cancel")
            self.wait(is_exit=True)
        except KeyboardInterrupt:
            self.abandon()
            self.wait(is_exit=True)
            raise

    def _shut(self, cancel: bool) -> do.Actions:
        actions = self._scheduler.shutdown(cancel=cancel)
        if not cancel or self._reactor is None or self._scheduler.is_stopped:
            return actions
        if not self._takes_unbegun:
            self._stopper.take_unbegun({})
            # Afterwards: after a tear it is done again, and twice is as good.
            self._takes_unbegun = True
        return actions
