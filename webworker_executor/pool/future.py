"""
The future of a task: ``concurrent.futures.Future``, opened by whoever looks into it.

A result is kept as the bytes that came until somebody asks for it, and is unpacked in that thread:
unpacking runs a user's code, may import, and may take long, which the reactor must not.
"""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures._base import (
    CANCELLED,
    CANCELLED_AND_NOTIFIED,
    FINISHED,
    PENDING,
    RUNNING,
)
from typing import TYPE_CHECKING, Any, Protocol, cast

from webworker_executor.errors import TaskAborted

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from webworker_executor.rules.task import Task


class Owner(Protocol):
    """Whoever runs the task of a future."""

    def abort(self, task: Task, reason: object, grace: float) -> None:
        """Stop a task wherever it is."""

    def cancelled(self, task: Task) -> None:
        """Forget a task whose future was cancelled."""

    def call_back(self, call: Callable[[], object]) -> None:
        """Run the callbacks of a future on the events thread."""


class Answer:
    """
    What a worker sent back, still packed.

    Args:
        open: Unpacks it.
    """

    __slots__ = ("open",)

    def __init__(self, open: Callable[[], object]) -> None:
        self.open = open


class WorkerFuture(Future[Any]):
    """
    The result of a task to come.

    A ``concurrent.futures.Future`` in every respect; ``wait``, ``as_completed`` and asyncio take
    it. Callbacks run on the events thread, where they may block and submit; those of asyncio, which
    only tell a loop, run at once.
    """

    if TYPE_CHECKING:
        # Of the base class; typeshed leaves them out.
        _done_callbacks: list[Callable[[Future[Any]], object]]

        def _invoke_callbacks(self) -> None: ...

    _owner: Owner | None = None
    _task: Task | None = None

    def cancel(self) -> bool:
        """
        Cancel the task if it has not been handed to a worker.

        Returns:
            True if it will never run, False if it runs or has run.
        """
        if not super().cancel():
            return False
        owner, task = self._owner, self._task
        if owner is not None and task is not None:
            self._owner = self._task = None
            owner.cancelled(task)
        return True

    def abort(self, reason: object = None, *, grace: float = 1.0) -> bool:
        """
        Stop the task, also when it runs; the future fails at once with ``TaskAborted``.

        A task that has not begun never does. One that runs is ended with its worker, by SIGTERM
        and, after ``grace`` seconds, SIGKILL; a new worker takes the place, and no other task is
        touched. A task that has been handed to a worker behind another, which is done with short
        tasks only, may run to its end unseen.

        Args:
            reason: Told by the error, as its ``reason``.
            grace: Seconds between SIGTERM and SIGKILL.

        Returns:
            True if the task was stopped, False if it was done or cancelled already.

        Source: DOM, ``AbortController.abort``.
        """
        owner, task = self._owner, self._task
        if owner is None or task is None or self.done():
            return False
        owner.abort(task, reason, grace)
        return isinstance(super().exception(0) if not self.cancelled() else None, TaskAborted)

    def result(self, timeout: float | None = None) -> Any:
        """
        Wait for the task's value.

        Args:
            timeout: Seconds to wait at most; ``None`` waits for ever.

        Raises:
            TimeoutError: It was not done in time; the task goes on.
            CancelledError: It was cancelled.
            WorkerCrashedError: Its worker died while it ran.
            BrokenWorkerPool: The pool broke.
            BaseException: What the task raised, with the worker's frames in ``__traceback__``.
        """
        exc = self.exception(timeout)
        if exc is None:
            return self._result
        try:
            raise exc
        finally:
            # The exception refers to this frame, which must not refer to it.
            del exc, self

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for what the task raised, or ``None``; raises as ``result`` does otherwise."""
        exc = super().exception(timeout)
        if exc is None and isinstance(self._result, Answer):
            self._open(self._result)
            exc = super().exception(0)
        return exc

    def _get_snapshot(self) -> tuple[bool, bool, Any, BaseException | None]:
        # asyncio of Python 3.14 looks through this instead of result().
        if isinstance(self._result, Answer):
            self._open(self._result)
        snapshot: tuple[bool, bool, Any, BaseException | None] = super()._get_snapshot()  # type: ignore[misc]  # new in 3.14
        return snapshot

    def _open(self, answer: Answer) -> None:
        value: object = None
        error: BaseException | None = None
        try:
            value = answer.open()
        except KeyboardInterrupt:
            # The program's own Ctrl-C; the answer stays as it is.
            raise
        except BaseException as exc:
            error = exc
        if isinstance(answer, FailureAnswer):
            # Opened, it is the exception itself: raised here, it would show this frame to users.
            value, error = None, error or cast("BaseException", value)
        with self._guard:
            # Two threads may have opened it at once. The first one's value is the future's.
            if self._result is answer:
                self._result, self._exception = value, error
        del value, error

    @property
    def _guard(self) -> AbstractContextManager[object]:
        # The condition's own lock, entered in C: `Condition.__enter__` is Python, and a signal
        # handler that raises as it returns would leave the lock held for ever.
        guard: AbstractContextManager[object] = self._condition._lock  # type: ignore[attr-defined]  # private
        return guard

    def _claim(self) -> bool:
        """Mark the task as handed to a worker; False if it was cancelled, and waiters know it."""
        with self._guard:
            if self._state == PENDING:
                self._state = RUNNING
            elif self._state == CANCELLED:
                self._notify_cancelled()
            return bool(self._state == RUNNING)

    def _notify_cancelled(self) -> None:
        self._state = CANCELLED_AND_NOTIFIED
        for waiter in self._waiters:
            waiter.add_cancelled(self)
        self._condition.notify_all()

    def _cancel_by_owner(self) -> None:
        """Cancel without running callbacks here."""
        with self._guard:
            # One that its user has cancelled has run its callbacks, or is running them.
            was_pending = self._state == PENDING
            if self._state in {PENDING, CANCELLED}:
                self._notify_cancelled()
        if was_pending:
            self._settled()

    def _finish(self, result: object, exception: BaseException | None = None) -> None:
        """Resolve; nothing happens if it is resolved or cancelled already."""
        with self._guard:
            if self._state not in {PENDING, RUNNING}:
                # Once more, in case a signal handler raised before the first time was through.
                self._condition.notify_all()
                return
            self._result = result
            self._exception = exception
            self._state = FINISHED
            for waiter in self._waiters:
                if exception is not None or _is_failure(result):
                    waiter.add_exception(self)
                else:
                    waiter.add_result(self)
            self._condition.notify_all()
        self._settled()

    def _settled(self) -> None:
        owner, self._owner, self._task = self._owner, None, None
        callbacks = self._done_callbacks
        if not callbacks:
            return
        if owner is None or all(map(_is_quick, callbacks)):
            self._invoke_callbacks()
        else:
            owner.call_back(self._invoke_callbacks)


class FailureAnswer(Answer):
    """
    An answer that is an exception, which ``open`` returns.

    ``wait(return_when=FIRST_EXCEPTION)`` must know without opening it.
    """

    __slots__ = ()


def _is_failure(result: object) -> bool:
    return result.__class__ is FailureAnswer


def _is_quick(callback: Callable[[Future[Any]], object]) -> bool:
    # What asyncio.wrap_future adds: one call_soon_threadsafe, which neither blocks nor runs code of
    # the user. Handing it to another thread first would double the time of an await.
    return getattr(callback, "__module__", None) == "asyncio.futures"
