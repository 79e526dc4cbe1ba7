"""
The desk of a worker: what has come for the task that runs, and who is to hear of it.

A worker imports this at its start and keeps one; what a task sees of it is in ``task``, which is
imported when a task first asks. A plain task costs one look at a flag.

The thing to know before a change: the control thread brings, the main thread runs tasks, and there
is no lock between them. The host sends to a task only while it believes that it runs, so that
whatever lies here when a task ends was for that task, or for one before it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import _thread
import posix
from collections import deque
from time import monotonic

from webworker_executor.web import running
from webworker_executor.wire.frame import Frame, encode
from webworker_executor.wire.kinds import (
    CANCEL,
    COUNT,
    CREDIT,
    DIVIDE,
    DIVIDED,
    RECEIPT,
    SAYING_SHIFT,
    SIGNAL,
    SIGNAL_ORDER,
    TASK_MASK,
    TASK_MESSAGE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    from webworker_executor.child.task import RunningTask
    from webworker_executor.wire.frame import Parts
    from webworker_executor.wire.transfer import Step

    class Runner(Protocol):
        """Whoever runs the tasks of this process."""

        running: int

        def post(
            self,
            parts: Parts,
            fds: Sequence[Any],
            check: Callable[[], object] | None = None,
            *going: Step,
        ) -> None:
            """Write a frame, between whole ones, when ``check`` has not raised."""


# Whether a task had begun, and ended, before it was given up, only the host could tell, and nothing
# is said of it. So the oldest half goes when there are more; what stays is still twice as many
# tasks as a host sends ahead, which is 1024.
MOST_UNWANTED = 4096


class Desk:
    """
    What came for the running task.

    Args:
        runner: Says which task runs, and writes what it says.

    Attributes:
        main_thread: Where tasks run, and where the desk is made.
        is_used: Whether there is anything to put away when the task ends.
        unwanted: Tasks that were given up before they began, the latest last; and some that had
            ended, or gone elsewhere, when the news came. Of these there are only so many: see
            ``MOST_UNWANTED``.
        inboxes: Messages by task.
        credits: By task, how many items of a stream may leave.
        cancels: The frame of a cancel by task.
        tasks: The task that runs, by its number, once somebody has asked for it.
        answers: Who is to hear of what is for no task, by kind; on the control thread.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.main_thread = _thread.get_ident()
        self.is_used = False
        self.unwanted: dict[int, None] = {}
        self.inboxes: dict[int, deque[Frame]] = {}
        self.credits: dict[int, deque[Frame]] = {}
        self.cancels: dict[int, Frame] = {}
        self.tasks: dict[int, RunningTask] = {}
        self.answers: dict[int, Callable[[Frame], object]] = {}

    # -- on the control thread

    def take(self, frame: Frame) -> None:
        """Take a frame for a task; on the control thread."""
        if frame.kind == CANCEL:
            self._cancel(frame)
        elif frame.kind == SIGNAL:
            self._signal(frame.ident, *SIGNAL_ORDER.unpack(frame.payload))
        elif frame.kind == TASK_MESSAGE:
            saying, ident = frame.ident >> SAYING_SHIFT, frame.ident & TASK_MASK
            frame.ident = saying
            boxes = self.credits if saying == CREDIT else self.inboxes
            boxes.setdefault(ident, deque()).append(frame)
            # After the frame: whoever puts away finds what the flag announces.
            self.is_used = True
            task = self.tasks.get(ident)
            if task is not None:
                task._stir()
        elif frame.kind == RECEIPT and frame.ident:
            task = self.tasks.get(frame.ident)
            if task is not None:
                task._acknowledged()
        elif frame.kind == DIVIDE:
            self._divide(frame.ident)
        elif frame.kind in self.answers:
            self.answers[frame.kind](frame)

    def _cancel(self, frame: Frame) -> None:
        ident = frame.ident
        # Noted before the look: either the main thread finds it when it begins the task, or this
        # thread finds the task running.
        self.unwanted[ident] = None
        if self.runner.running != ident:
            if len(self.unwanted) > MOST_UNWANTED:
                # A copy, made by a single call of C: the main thread takes out others meanwhile.
                for old in tuple(self.unwanted)[: MOST_UNWANTED // 2]:
                    self.unwanted.pop(old, None)
            return
        self.unwanted.pop(ident, None)
        self.cancels[ident] = frame
        self.is_used = True
        task = self.tasks.get(ident)
        if task is not None:
            # Listeners are code of the user, and this thread must not be held up.
            _thread.start_new_thread(task._abort, ())

    def _signal(self, ident: int, number: int, until: float) -> None:
        if monotonic() >= until:
            # The host has heard nothing, and has sent it: a second one would be one too many.
            return
        if not ident:
            # Not to the process, whose main thread would get it, and which waits for what it likes.
            _signal.pthread_kill(_thread.get_ident(), number)
            return
        pid, runner = posix.getpid(), self.runner
        # What the task has started is meant as well.
        kill = posix.killpg if posix.getpgrp() == pid else posix.kill
        # Nothing comes between the look and the signal: the interpreter changes threads where a
        # call returns, and kill(2) it makes without letting go. So no other task can be hit.
        if runner.running == ident:
            kill(pid, number)

    def _divide(self, ident: int) -> None:
        # Nothing is said where it has not come so far: then the host asks again.
        number, task = running.divisible or (0, None)
        if task is not None and number == ident:
            task.divide(
                lambda n_left: self.runner.post(encode(DIVIDED, ident, COUNT.pack(n_left)), ())
            )

    # -- on the main thread

    def is_given_up(self, ident: int) -> bool:
        """Whether a task that is about to begin is not wanted any more."""
        if ident not in self.unwanted:
            return False
        self.unwanted.pop(ident, None)
        return True

    def put_away(self) -> None:
        """Forget the task that has ended; nothing it says leaves after this."""
        self.is_used = False
        for task in tuple(self.tasks.values()):
            task._finish()
        for things in (self.tasks, self.inboxes, self.credits, self.cancels):
            things.clear()

    def forget(self, ident: int) -> None:
        """Drop what came for a task that has not begun, and goes elsewhere; any thread."""
        for things in (self.inboxes, self.credits, self.cancels, self.unwanted):
            things.pop(ident, None)

    # -- for the task

    def say(
        self,
        kind: int,
        ident: int,
        payload: bytes,
        check: Callable[[], object],
    ) -> None:
        """Send a small frame to the host, when ``check`` has not raised."""
        self.runner.post(encode(kind, ident, payload), (), check)


desk: Desk | None = None
"""That of this process, if it is a worker."""


def install(runner: Runner) -> Desk:
    """Make the desk of this process."""
    global desk
    desk = Desk(runner)
    running.install(_current_task, runner.post, lambda: runner.running)
    return desk


def _current_task() -> RunningTask:
    from webworker_executor.child.task import current_task

    return current_task()
