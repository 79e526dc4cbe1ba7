"""
The future of a task: ``concurrent.futures.Future``, opened by whoever looks into it.

A result is kept as the bytes that came until somebody asks for it, and is unpacked in that thread:
unpacking runs a user's code, may import, and may take long, which the reactor must not.
"""

from __future__ import annotations

import time
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED, PENDING, RUNNING

from webworker_executor.link.thread import is_main_thread
from webworker_executor.pool.talk import conversation_of
from webworker_executor.pool.tracked import TrackedFuture
from webworker_executor.web.lazy import ENDED, is_quick
from webworker_executor.web.seconds import check_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from typing import Any, TypeVar

    from webworker_executor.pool.talk import Conversation
    from webworker_executor.pool.tracked import Owner
    from webworker_executor.rules.task import Task
    from webworker_executor.web.event import MessageEvent
    from webworker_executor.web.pool_worker import PoolWorker

    T = TypeVar("T")


class Answer:
    """What a worker sent back, still packed."""

    __slots__ = ()

    if TYPE_CHECKING:
        open: Callable[[], Any]

    def fail(self, error: BaseException) -> BaseException:
        """
        Return what there is to raise in place of a value, as ``open`` has raised.

        Raises:
            BaseException: A signal handler has raised it, and the answer can be opened again.
        """
        try:
            raise error
        finally:
            # It refers to this frame, which must not refer to it.
            del error


class WorkerFuture(TrackedFuture["T"]):
    """
    The result of a task to come.

    A ``concurrent.futures.Future`` in every respect; ``wait``, ``as_completed`` and asyncio take
    it. Callbacks run on the events thread, where they may block and submit: those of one future in
    the order they were added, those of others beside one that takes longer than a tenth of a
    second. Those of asyncio, which only tell a loop, run at once.
    """

    __slots__ = ("_owner", "_started_at", "_task", "_worker")

    _cancels_running = False
    # What was taken out of it, if it is that of a chunk: see `division`.
    _parts: Sequence[WorkerFuture[Any]] = ()

    def __init__(self) -> None:
        super().__init__()
        self._owner: Owner | None = None
        self._task: Task | None = None
        # Noted when it is done.
        self._worker: PoolWorker | None = None
        self._started_at: float | None = None

    def __reduce__(self) -> Any:
        raise TypeError(
            "a WorkerFuture cannot be sent: it belongs to the program whose executor runs its "
            "task. Pass its result(), or submit again when it is done, from add_done_callback()"
        )

    def cancel(self) -> bool:
        """
        Cancel the task if it has not been handed to a worker, or to one that is not up yet.

        One that was submitted through ``options(cancel_running=True)`` is stopped also when it
        runs, as ``abort`` stops it.

        Returns:
            True if it will never run, or was stopped; False if it runs on or has run.
        """
        owner, task = self._owner, self._task
        if owner is None or task is None:
            return self.cancelled()
        with owner.lock:
            # No call between the look and the store, and so no signal handler.
            is_waiting = False
            if self._state == PENDING:
                self._state, is_waiting = CANCELLED, True
        if not is_waiting:
            if self._state == RUNNING:
                owner.cancel_handed_out(task, runs_too=self._cancels_running)
            return self.cancelled()
        self._invoke_callbacks()
        owner.cancelled(task)
        return True

    def abort(self, reason: object = None, *, grace: float = 1.0) -> bool:
        """
        Stop the task, also when it runs; the future fails at once with ``TaskAborted``.

        A task that has not begun never does. One that has looked at ``current_task().signal``, or
        waits for a message, is asked: it has ``grace`` seconds to end by itself, and its worker
        goes on. Any other is ended with its worker, by SIGTERM and, after ``grace`` seconds,
        SIGKILL; a new worker takes the place, and no other task is touched. So it is with a worker
        that has not come to the task and hears nothing for some seconds, as one that is stopped.

        Args:
            reason: Told by the error, as its ``reason``, and by the task's own signal.
            grace: Seconds for a task that listens, and seconds between SIGTERM and SIGKILL.

        Returns:
            True if the task was stopped, False if it was done or cancelled already.

        Raises:
            ValueError: ``grace`` is negative or infinite.
            TypeError: It is no number.

        Source: DOM, ``AbortController.abort``.
        """
        check_seconds("grace", grace)
        owner, task = self._owner, self._task
        if owner is None or task is None or self.done():
            return False
        owner.abort(task, reason, grace)
        if self._exception is None:
            return False
        from webworker_executor.errors import TaskAborted

        return isinstance(self._exception, TaskAborted)

    # -- the conversation with the running task

    def post_message(self, message: Any, transfer: Iterable[Any] | None = ()) -> None:
        """
        Send a copy of a value to the task, which has it by ``current_task().receive()``.

        Never blocks. What is posted before the task runs waits for it; to a task that is done
        nothing is sent.

        Args:
            message: Anything that pickles, or that ``cloudpickle`` can pack.
            transfer: What is given up here and moves there, as for ``MessagePort.post_message``.

        Raises:
            Exception: What packing the value raises; nothing was sent then.

        Source: HTML, ``MessagePort.postMessage``.
        """
        conversation_of(self).post_message(message, transfer)

    def messages(self) -> Conversation:
        """
        Return what the task posts, to be iterated over with ``for`` or ``async for``.

        It gives a ``MessageEvent`` for each message as it comes and ends when the task is done. All
        messages come before the result. What the task raises is for ``result()`` to tell.
        """
        return conversation_of(self)

    @property
    def onmessage(self) -> Callable[[MessageEvent], object] | None:
        """
        Called with a ``MessageEvent`` for each message of the task, one at a time.

        On the asyncio loop it was set on, else on the events thread; what came earlier is delivered
        first. The end of the executor waits for it, ``result()`` does not.

        Source: HTML, ``MessagePort.onmessage``.
        """
        conversation = self.__dict__.get("_conversation")
        return None if conversation is None else conversation.onmessage

    @onmessage.setter
    def onmessage(self, handler: Callable[[MessageEvent], object] | None) -> None:
        conversation_of(self).onmessage = handler

    @property
    def onprogress(self) -> Callable[[Any], object] | None:
        """
        Called with a ``ProgressEvent`` for what the task reports, where ``onmessage`` would be.

        Source: XHR, ``XMLHttpRequestUpload.onprogress``; the task's ``report()`` throttles it.
        """
        conversation = self.__dict__.get("_conversation")
        return None if conversation is None else conversation.onprogress

    @onprogress.setter
    def onprogress(self, handler: Callable[[Any], object] | None) -> None:
        conversation_of(self).onprogress = handler

    def __await__(self) -> Generator[Any, None, T]:
        """Wait for the task's value on the running asyncio loop, as ``asyncio.wrap_future``."""
        import asyncio

        return asyncio.wrap_future(self).__await__()

    # -- the outcome

    def result(self, timeout: float | None = None) -> T:
        """
        Wait for the task's value.

        Args:
            timeout: Seconds to wait at most; ``None`` waits for ever.

        Raises:
            TypeError: ``timeout`` is no number.
            ValueError: It is NaN.
            TimeoutError: It was not done in time; the task goes on.
            CancelledError: It was cancelled.
            RuntimeError: A signal handler waits within a call of the executor that it has
                interrupted, and that must end first.
            WorkerCrashedError: Its worker died while it ran.
            TaskAborted: It was aborted.
            TaskTimeout: It ran longer than ``options(timeout=...)`` allows.
            BrokenWorkerPool: The pool broke.
            BaseException: What the task raised, with the worker's frames in ``__traceback__``.
        """
        if self._state != FINISHED:
            self._wait(timeout)
        if isinstance(self._result, Answer):
            self._open(self._result)
        exc = self._exception
        if exc is None:
            return self._result  # type: ignore[no-any-return]  # an outcome, once it is opened
        try:
            raise exc
        finally:
            # The exception refers to this frame, which must not refer to it.
            del exc, self

    def _sleep(self, timeout: float | None) -> None:
        owner, task = self._owner, self._task
        if owner is not None and task is not None:
            started = time.monotonic()
            owner.lead(task, timeout)
            if self._state in ENDED:
                return
            if timeout is not None:
                timeout -= time.monotonic() - started
        super()._sleep(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """
        Wait for what the task raised.

        Args:
            timeout: Seconds to wait at most; ``None`` waits for ever.

        Returns:
            What ``result`` would raise, also the death of its worker; ``None`` for a value.

        Raises:
            TypeError: ``timeout`` is no number.
            ValueError: It is NaN.
            TimeoutError: It was not done in time; the task goes on.
            CancelledError: It was cancelled.
            RuntimeError: As ``result``.
        """
        self._wait(timeout)
        if isinstance(self._result, Answer):
            self._open(self._result)
        return self._exception

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
            if isinstance(answer, FailureAnswer):
                # The exception itself: raised here, it would show this frame to users.
                error = answer.open()
            else:
                value = answer.open()
        except BaseException as exc:
            error = answer.fail(exc)
        # Two threads may have opened it at once. The first one's outcome is the future's: no call,
        # and so no other thread, comes between the look and the stores.
        if self._result is answer:
            self._exception = error
            self._result = value
        del value, error

    # -- what the owner does, with its lock in hand

    def _claim(self) -> bool:
        """Mark the task as handed to a worker; False if it was cancelled, and waiters know it."""
        if self._state == PENDING:
            self._state = RUNNING
        elif self._state == CANCELLED:
            self._settle(CANCELLED_AND_NOTIFIED)
        return self._state == RUNNING

    def _cancel_by_owner(self) -> None:
        """Cancel, also what has been handed to a worker: its owner knows that it ends there."""
        self._remember()
        self._settle(CANCELLED_AND_NOTIFIED)

    def _finish(self, result: object, exception: BaseException | None = None) -> None:
        """Resolve, unless it is resolved or cancelled already."""
        if self._started_at is None:
            self._remember()
        if self._state == RUNNING and not self._is_watched and self._leader is None:
            # Nobody waits, and nobody can begin to: no call stands between the look and the store.
            self._result, self._exception, self._state = result, exception, FINISHED
            self._owner = self._task = None
        elif self._state == CANCELLED:
            self._settle(CANCELLED_AND_NOTIFIED)
        else:
            self._settle(FINISHED, result, exception)

    def _settled(self) -> None:
        self._wake()
        owner, self._owner, self._task = self._owner, None, None
        callbacks = self.__dict__.get("_done_callbacks")
        if not callbacks:
            return
        # Not on the main thread: where a signal handler raises there, whom the callback was to wake
        # would wait for ever.
        if owner is None or (not is_main_thread() and all(map(is_quick, callbacks))):
            self._invoke_callbacks()
        else:
            try:
                owner.call_back(self._call_back)
            except BaseException:
                # A signal handler has raised: for the second time, see `_settle`.
                self._owner = owner
                raise

    def _wake(self) -> None:
        super()._wake()
        conversation = self.__dict__.get("_conversation")
        if conversation is not None:
            # Also the second time, where a signal handler raised as it was about to hear.
            conversation.release()

    def _call_back(self) -> None:
        # No exit is meant for a thread of ours, and it would lose the callbacks that follow: of an
        # `asyncio.wrap_future`, say, which is waited for.
        self._invoke_callbacks(BaseException)

    def _attended(self) -> None:
        owner, task = self._owner, self._task
        if owner is not None and task is not None:
            owner.attend(task)

    def _outcome(self) -> str:
        if isinstance(self._result, Answer) and not self._is_failure():
            return "returned what nobody has opened yet"
        if self._is_failure():
            kind = "an exception" if self._exception is None else type(self._exception).__name__
            return f"raised {kind}"
        return f"returned {type(self._result).__name__}"

    def _is_failure(self) -> bool:
        return self._exception is not None or self._result.__class__ is FailureAnswer

    def _defer(self, call: Callable[[], object]) -> None:
        owner = self._owner
        if owner is None:
            call()
        else:
            owner.call_back(call)


class FailureAnswer(Answer):
    """
    An answer that is an exception, which ``open`` returns; it raises only what a handler does.

    ``wait(return_when=FIRST_EXCEPTION)`` must know without opening it.

    Args:
        open: Unpacks it.
    """

    __slots__ = ("open",)

    def __init__(self, open: Callable[[], BaseException]) -> None:
        self.open = open
