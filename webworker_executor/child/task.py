"""
The running task as its own code sees it: messages to and from its future, and the wish that it end.

Not for the task's result. Imported when a task first asks for it; until then ``desk`` keeps what
comes for it.
"""

from __future__ import annotations

import _thread
import sys
from _contextvars import ContextVar
from collections import deque
from time import monotonic

from webworker_executor.child import desk as desks
from webworker_executor.child.host_target import HostTarget
from webworker_executor.web.abort import OwnSignal
from webworker_executor.web.message import REGISTERED
from webworker_executor.wire import codec
from webworker_executor.wire.frame import ident_of, readdress
from webworker_executor.wire.kinds import EVENT, HEED, REPORT, SAYING_SHIFT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterable, Sequence
    from typing import Any

    from webworker_executor.child.desk import Desk
    from webworker_executor.web.abort import AbortSignal
    from webworker_executor.web.event import MessageEvent
    from webworker_executor.wire.frame import Parts
    from webworker_executor.wire.transfer import Step

__all__ = ["RunningTask", "current_task"]

# Reports are for people: ten a second is as many as anybody reads.
REPORT_SECONDS = 0.1

# Of the main thread while a task runs, and so of what asyncio and `to_thread` run for it.
_inherited: ContextVar[RunningTask | None] = ContextVar("webworker_task", default=None)


class RunningTask(HostTarget):
    """
    A task that runs, and its end of the conversation with its future.

    Not made by hand: take it from ``current_task()``. What it posts arrives at
    ``future.messages()`` or ``future.onmessage``, all of it before the task's result. What
    ``future.post_message`` posts is had by ``receive``, or on an asyncio loop that the task runs by
    ``onmessage``. May be used from any thread while the task runs.

    Once the task is aborted, or its time is over, ``receive`` and ``areceive`` give what had come,
    and then they and ``drain`` raise what ``signal.throw_if_aborted()`` does: an ``AbortError``, or
    the exception that is the reason.

    Attributes:
        id: The number of the task, which no other task of its executor has.
    """

    def __init__(self, ident: int, desk: Desk) -> None:
        super().__init__()
        self.id = ident
        self._desk = desk
        # The very deque that the control thread fills: what came before is there.
        self._inbox = desk.inboxes.setdefault(ident, deque())
        self._heeds = False
        # Whether its signal has been asked for, and knows of what came before.
        self._has_looked = False
        self._is_over = False
        # Whether its signal has aborted because its time is over.
        self._is_late = False
        self._reported: tuple[float, float | None] | None = None
        self._next_report = 0.0

    def __repr__(self) -> str:
        return f"<RunningTask #{self.id}{' that has ended' if self._is_over else ''}>"

    @property
    def signal(self) -> AbortSignal:
        """
        Aborts when the future is aborted, when its time is over, or when the signal aborts that the
        task was submitted with.

        A task that has looked here is given the time to end by itself, and its worker goes on; any
        other is ended together with its worker. Listeners run on the asyncio loop where the first
        of them was added, if there was one, and else in a thread of their own.

        Source: DOM, "Interface AbortSignal".
        """
        signal = self._signal
        if signal is None:
            # Of two threads that come here at once, one's is everybody's.
            signal = self.__dict__.setdefault("_own_signal", OwnSignal())
        if not self._has_looked:
            self._heed()
            # After it can be found: a cancel that came before finds nobody to tell.
            if self.id in self._desk.cancels:
                self._abort()
            # Last: where a signal handler has raised before, all of it is done again.
            self._has_looked = True
        return signal

    @property
    def _signal(self) -> AbortSignal | None:
        return self.__dict__.get("_own_signal")

    def report(self, done: float, total: float | None = None) -> None:
        """
        Tell how far the task is; cheap enough for every turn of a loop.

        At most ten reports a second leave, and the last one when the task ends.
        ``future.onprogress`` gets them.

        Args:
            done: How much is done.
            total: How much there is to do, if that is known.
        """
        self._reported = (done, total)
        now = monotonic()
        if now >= self._next_report:
            self._next_report = now + REPORT_SECONDS
            self._send_report()

    def _send_report(self) -> None:
        reported = self._reported
        if reported is not None:
            packed = codec.pack(reported, to_host=True)
            self._say(REPORT, packed.payload)
            # Only now: where a signal handler has raised, it leaves with the next one, or at the
            # end. And not one that has been made meanwhile.
            if self._reported is reported:
                self._reported = None

    def tell_of_timeout(self, error: TimeoutError) -> bool:
        """Abort the task's signal, if the task has looked at it; returns whether it has."""
        signal = self._signal
        if signal is None or signal.aborted:
            return False
        self._is_late = True
        try:
            signal._abort(error, is_by_itself=True)
        finally:
            # Whoever waits for a message looks again.
            self._waiters.wake()
        return True

    def _begin_anew(self) -> None:
        """Have a signal that has not aborted, where the time of an attempt before was over."""
        if self._is_late:
            self.__dict__.pop("_own_signal", None)
            self._is_late = self._has_looked = False

    def _stream(self, items: Iterable[Any], credit: int) -> None:
        """Send items as they are asked for; for ``executor.stream``."""
        from webworker_executor.child.flow import send_all

        send_all(self, items, credit)

    # -- what the desk calls

    def _abort(self) -> None:
        """Abort, for the reason that the host gave; not on the control thread."""
        frame = self._desk.cancels.get(self.id)
        if frame is None:
            return
        try:
            reason = codec.unpack(frame.payload, frame.buffers)
        except Exception as exc:
            reason = exc
        # Nobody will post any more: the future is done.
        self._has_ended = True
        try:
            if self._signal is not None:
                self._signal._abort(reason, is_by_itself=True)
        finally:
            self._stir()

    def _finish(self) -> None:
        """Say the last word; nothing leaves afterwards."""
        try:
            self._send_report()
        except Exception:
            # What was reported does not pack. The task has done its work, and that counts.
            sys.excepthook(*sys.exc_info())
        self._is_over = self._has_ended = True
        # Listeners need not hear of an end that is no news: it is their own.
        self._has_told_end = True
        if _inherited.get() is self:
            _inherited.set(None)
        self._waiters.wake()

    # -- what a message target asks for

    def _post(self, parts: Parts, fds: Sequence[Any], *going: Step) -> None:
        saying = ident_of(parts)
        counting = self._counting(parts)
        if counting:
            saying |= REGISTERED
        parts = readdress(parts, EVENT, self.id | saying << SAYING_SHIFT)
        self._desk.runner.post(parts, fds, self._check, *going, *counting)

    def _say(self, saying: int, payload: bytes = b"") -> None:
        self._desk.say(EVENT, self.id | saying << SAYING_SHIFT, payload, self._check)

    def _check(self) -> None:
        if self._is_over:
            raise RuntimeError(
                f"task {self.id} has ended, and nothing of it can follow its result. A thread that "
                "outlives its task can post with scope.post_message()."
            )

    def _heed(self) -> None:
        """Tell the host that this task notices an abort."""
        if not self._heeds and not self._is_over:
            self._say(HEED)
            # Only now: where a signal handler has raised, it is said again. Twice does no harm.
            self._heeds = True

    @property
    def _is_to_stop(self) -> bool:
        """Whether nothing is to be waited for any more: it is aborted, or its time is over."""
        return self._has_ended or self._is_late

    def _await_arrival(self, timeout: float | None) -> None:
        self._heed()
        super()._await_arrival(timeout)

    def _has_news(self) -> object:
        return self._inbox or self._is_to_stop

    def _must_drain(self) -> bool:
        return self.buffered_amount > 0 and not self._is_to_stop

    def _wait_until_written(self, timeout: float | None) -> bool:
        self._heed()
        is_written = super()._wait_until_written(timeout)
        if self._has_ended or (self._is_late and self.buffered_amount):
            self.signal.throw_if_aborted()
        return is_written

    def _begin_await(self, loop: AbstractEventLoop) -> None:
        self._heed()

    def _next_message(self) -> MessageEvent | None:
        if not self._inbox and self.id in self._desk.cancels:
            self._abort()
            self.signal.throw_if_aborted()
        if self._is_late and not self._inbox:
            self.signal.throw_if_aborted()
        return super()._next_message()

    def _why_ended(self) -> str:
        return f"task {self.id} has ended, and no message for it will come"


def current_task() -> RunningTask:
    """
    Return the task that the caller runs in.

    Threads and asyncio tasks that a task has started find the task they belong to where Python
    hands context variables on to them, and otherwise the one that runs.

    Raises:
        RuntimeError: No task runs here.
    """
    desk = desks.desk
    task = _inherited.get()
    if task is not None and task._desk is desk:
        return task
    ident = 0 if desk is None else desk.runner.running
    # Below 0 runs a script's code: of a task there the host knows nothing, and takes nothing.
    if desk is None or ident <= 0:
        raise RuntimeError(
            "current_task() was called where no task runs: call it inside a function that was "
            "submitted to an executor. To talk to a worker between tasks there is scope."
        )
    task = desk.tasks.get(ident)
    if task is None:
        desk.is_used = True
        task = desk.tasks.setdefault(ident, RunningTask(ident, desk))
    if _thread.get_ident() == desk.main_thread:
        # Threads that live longer than a task must not keep it for theirs.
        _inherited.set(task)
    return task
