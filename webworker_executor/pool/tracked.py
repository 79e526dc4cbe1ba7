"""
A future that tells where its task runs and since when, and who runs it.

Not for how it is settled or opened. Nothing here is on the way of a task that does well.
"""

from __future__ import annotations

import time
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, RUNNING

from webworker_executor.web.lazy import LazyFuture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from typing import Protocol, TypeVar

    from webworker_executor.rules.task import Task
    from webworker_executor.web.pool_worker import PoolWorker

    T = TypeVar("T")
else:
    # The type checker's alone: to import it takes 3 ms.
    Protocol = object


class Owner(Protocol):
    """Whoever runs the task of a future."""

    @property
    def workers(self) -> Sequence[PoolWorker]:
        """The raw channels, by place."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Held while a task is handed out, settled or cancelled."""

    def started_at(self, task: Task) -> float | None:
        """Return when a task began, in seconds of the monotonic clock, if it has begun."""

    def lead(self, task: Task, timeout: float | None) -> None:
        """Wait for a task by reading for it, if that can be done; returns early if it cannot."""

    def attend(self, task: Task) -> None:
        """Hear that somebody wants to be told of a task's end at once."""

    def abort(self, task: Task, reason: object, grace: float) -> None:
        """Stop a task wherever it is."""

    def cancel_handed_out(self, task: Task, *, runs_too: bool) -> None:
        """Cancel a task that cannot have begun, or with ``runs_too`` stop it wherever it is."""

    def cancelled(self, task: Task) -> None:
        """Forget a task whose future was cancelled."""

    def call_back(self, call: Callable[[], object]) -> None:
        """Run the callbacks of a future on the events thread."""


class TrackedFuture(LazyFuture["T"]):
    """A future with an owner, and a task that the owner knows."""

    __slots__ = ()

    if TYPE_CHECKING:
        # Slots of the class that is made; `_worker` and `_started_at` are noted when it is done.
        _owner: Owner | None
        _task: Task | None
        _worker: PoolWorker | None
        _started_at: float | None

    def __repr__(self) -> str:
        state = self._state
        if state == FINISHED:
            place = "" if self._worker is None else f" in worker {self._worker.index}"
            return f"<{type(self).__name__} finished{place}, {self._outcome()}>"
        if state in {CANCELLED, CANCELLED_AND_NOTIFIED}:
            return f"<{type(self).__name__} cancelled>"
        task, worker, started = self._task, self.worker, self.started_at
        name = "" if task is None else f" {task.name} #{task.ident}"
        if worker is None:
            return f"<{type(self).__name__}{name} {state.lower()}>"
        if started is None:
            return f"<{type(self).__name__}{name} waiting in worker {worker.index}>"
        seconds = time.monotonic() - started
        return f"<{type(self).__name__}{name} running in worker {worker.index} for {seconds:.1f} s>"

    def _outcome(self) -> str:
        """Say what came of it, without opening it."""
        raise NotImplementedError

    @property
    def worker(self) -> PoolWorker | None:
        """
        The worker that has the task or has had it, as in ``executor.workers``.

        ``None`` before the task is handed to one. It is not said by that the task has begun: a
        worker holds a few that wait.
        """
        owner, task = self._owner, self._task
        worker = None if task is None else task.worker
        # A task that runs again may have been elsewhere before.
        return self._worker if owner is None or worker is None else owner.workers[worker.slot]

    @property
    def started_at(self) -> float | None:
        """
        When the task began to run, in seconds of ``time.monotonic()``; ``None`` before that.

        Noted by the worker itself, just before it unpacks the arguments: ``time.monotonic() -
        future.started_at`` is how long a task has been running. Of a task that runs again it is the
        last time. Where the system refuses the shared memory for such notes, it is known only when
        the task is done.

        Source: clock_gettime(2), ``CLOCK_MONOTONIC`` is the same for all processes.
        """
        owner, task = self._owner, self._task
        if owner is None or task is None:
            return self._started_at
        return owner.started_at(task)

    def _remember(self) -> None:
        """Note where the task was and when it began, if it is to end without an answer."""
        if self._started_at is None and self._state in {RUNNING, FINISHED}:
            self._worker, self._started_at = self.worker, self.started_at
