"""
Decide who runs what: events come in, the actions to perform go out.

For hand-over, prefetch, give-back, replacement, retries and the end of a pool. Not for futures,
payloads, sockets or clocks: times are given, tasks are opaque. A changer must know: `submitted` and
`task_finished` run 200,000 times a second; and every step settles a task's fate (its state) before
it moves the task, so that an exception which a signal handler throws into the middle of a step
cannot make a task run twice. `recover` puts the rest in order.
"""

from __future__ import annotations

from collections import deque

from webworker_executor.rules.action import Actions, Send
from webworker_executor.rules.stage import OPEN, SHUTTING
from webworker_executor.rules.supervisor import Supervisor
from webworker_executor.rules.task import TASK_TABLE, Task
from webworker_executor.rules.worker import (
    BARREN,
    DEAF,
    EXITED,
    FREE,
    READY,
    STARTING,
    WITHHELD,
    Worker,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ProtocolViolation", "Scheduler"]

# Submits into a busy pool hand over every so many tasks: a worker's socket is fed in bulk, not by a
# system call each. Measured, 2 cores: 8 / 32 / 128 gave 154k / 174k / 307k tasks/s at a p99 of 66 /
# 38 / 48 us.
BATCH = 32


class ProtocolViolation(ValueError):
    """
    Report an answer about a task that its worker does not run.

    The scheduler is as it was before. The worker is not to be trusted further: kill it, and report
    its exit.
    """


class Scheduler(Supervisor):
    """
    Decide for one pool.

    Every event returns the actions it asks for, in the order to perform; empty for none. Not
    thread-safe: the caller holds one lock around an event and the performing of what it returned.
    What an event that occurs while performing asks for (`task_dropped`, `start_failed`) is
    performed after what is left: it may send to a worker whose Start is still to come. Of the
    numbers marked (*) the library keeps the defaults; only tests give others.

    Args:
        max_workers: How many tasks may run at a time.
        eager: Start all workers with the first that is wanted, as `fork` must before threads come.
        max_tasks_per_worker: How many tasks a process runs until it is replaced; None for no limit.
        break_on_crash: Whether a death that was not asked for breaks the pool, as in the stdlib.
        prefetch_seconds: (*) Seconds of work a worker may hold ahead; 0 for none.
        max_prefetch: (*) How many tasks a worker may hold at most.
        start_attempts: (*) How many starts in a row may fail before the pool gives up its tasks, or
            breaks with `break_on_crash`.
        restart_delay: (*) Seconds before the first retry of a failed start; doubles with each.
        transient_patience: (*) Seconds to go on trying while the system has no room for processes.
        idle_seconds: After how long without a task a worker leaves; None for never.
        min_workers: How many stay all the same.
        read_clock: Tells the time in seconds; without, no worker is ever late.
    """

    __slots__ = ()

    def submitted(self, task: Task) -> Actions:
        """
        Take a new task.

        Args:
            task: The task, `NEW`.

        Returns:
            What to do.

        Raises:
            InvalidTransition: If it was submitted before.
        """
        task.state = TASK_TABLE[task.state]["submit"]
        backlog = self._backlog
        if self._idle and not backlog.n_queued and not self._roster.draining:
            worker = self._idle.pop()
            self._put(worker, task)
            send = Send(worker, [task])
            return (send,) if worker.state is READY else (send, *self._assign())
        backlog.tasks.append(task)
        n_queued = backlog.n_queued = backlog.n_queued + 1
        if len(self._live) < self._max_workers or self._idle or self._roster.fresh:
            return self._assign()
        if self._is_shrunk and self._roster.free_slots():
            # Among the live there may be some whose places are no more.
            return self._assign()
        if n_queued == 1 or not n_queued % BATCH:
            return self._feed_busy(2 if n_queued == 1 else self._max_prefetch)
        return ()

    def submitted_to(self, task: Task, slot: int) -> Actions:
        """
        Take a new task that must run in one place.

        It waits for its worker, which is started if need be. Of two tasks that a worker may run,
        the one with the higher priority comes first, or else the one that was submitted first.

        Args:
            task: The task, `NEW`; its `pin` is the place.
            slot: The place.

        Returns:
            What to do.

        Raises:
            InvalidTransition: If it was submitted before.
            ValueError: If there is no such place; nothing has changed then.
        """
        if not 0 <= slot < self._max_workers:
            raise ValueError(f"there is no slot {slot}: this pool has {self._max_workers} workers")
        task.state = TASK_TABLE[task.state]["submit"]
        self._backlog.pin(task, slot)
        return [*self._make_way(task), *self._assign()]

    def submitted_ranked(self, task: Task) -> Actions:
        """
        Take a new task that has a priority.

        It comes before all that wait with a lower one, also if those lie in a worker that has not
        begun them: they are asked back.

        Args:
            task: The task, `NEW`.

        Returns:
            What to do.

        Raises:
            InvalidTransition: If it was submitted before.
        """
        task.state = TASK_TABLE[task.state]["submit"]
        self._backlog.rank(task)
        return [*self._make_way(task), *self._assign()]

    def task_finished(self, worker: Worker, task: Task, seconds: float) -> Actions:
        """
        Take note of an answer.

        Args:
            worker: Who answered.
            task: What was answered; must be the oldest task the worker holds.
            seconds: How long it ran.

        Returns:
            What to do.

        Raises:
            ProtocolViolation: If it is another task, or the worker is not up; nothing has changed.
        """
        inflight = worker.inflight
        if not inflight or inflight[0] is not task or worker.state is STARTING:
            return self._refuse(f"{worker!r} answered {task!r}, which it does not run")
        task.state = TASK_TABLE[task.state]["finish"]
        inflight.popleft()
        worker.answered = task.ident
        if inflight:
            worker.head_since = self._read_clock()
        pace = worker.pace
        if pace is None or seconds > pace:
            worker.pace = pace = seconds
        else:
            worker.pace = pace = 0.7 * pace + 0.3 * seconds
        if worker.recall is BARREN:
            worker.recall = FREE
        if worker.state is not READY:
            self._roster.sort(worker)
            return self._assign()
        if self._backlog.lanes:
            self._roster.sort(worker)
            return self._assign()
        if self._backlog.n_queued:
            can_divide = pace > self._least_pace
            depth = int(self._prefetch_seconds / pace) if can_divide else self._max_prefetch
            if not inflight or 2 * len(inflight) <= depth:
                send = self._feed(worker, depth)
                return (send,) if worker.state is READY else (send, *self._assign())
            return ()
        if not inflight:
            self._idle.append(worker)
        if (self._stage is not OPEN or self._is_shrunk) and len(inflight) < 2:
            return self._assign()
        return self._recall() if self._idle and self._roster.has_surplus() else ()

    def task_dropped(self, worker: Worker, task: Task) -> Actions:
        """
        Take note that a task was cancelled at the hand-over, so that it was not sent after all.

        Args:
            worker: Who would have got it.
            task: The task; it becomes `CANCELLED`.

        Returns:
            What to do.

        Raises:
            ProtocolViolation: If the worker does not hold it; nothing has changed.
        """
        if task not in worker.inflight:
            return self._refuse(
                f"{task!r} was dropped on the way to {worker!r}, which it was not sent to"
            )
        task.state = TASK_TABLE[task.state]["drop"]
        worker.inflight.remove(task)
        worker.n_sent -= 1
        self._roster.sort(worker)
        return self._assign()

    def tasks_returned(self, worker: Worker, idents: Iterable[int]) -> Actions:
        """
        Take back tasks that a worker has not begun.

        Args:
            worker: Who was asked by a Recall.
            idents: The tasks' numbers in any order; none if all had begun.

        Returns:
            What to do.

        Raises:
            ProtocolViolation: If the worker does not hold one of them; nothing has changed.
        """
        if worker.state is EXITED:
            return ()
        back = self._held_of(worker, idents)
        if back is None:
            return ()
        if worker.recall is not WITHHELD:
            worker.recall = FREE if back else BARREN
        self._take_back(worker, back)
        return self._assign()

    def tasks_withheld(self, worker: Worker, tasks: list[Task]) -> Actions:
        """
        Take back what a worker was kept from beginning.

        Args:
            worker: The worker of a Withhold that was performed.
            tasks: What `not_begun` told of it just now.

        Returns:
            What to do.
        """
        self._take_back(worker, tasks)
        return self._assign()

    def worker_hears(self, worker: Worker, idents: Iterable[int]) -> Actions:
        """
        Take note that a worker has heard of a Withhold: what it is sent from now on it runs.

        Args:
            worker: The worker.
            idents: The numbers of tasks that it holds and has passed over, because it came to them
                just then.

        Returns:
            What to do.

        Raises:
            ProtocolViolation: If it does not hold one of them; nothing has changed.
        """
        back = self._held_of(worker, idents)
        if back is None:
            return ()
        self._take_back(worker, back)
        worker.recall = FREE
        if worker.state is DEAF:
            worker.step("hear")
        return [*self._take_up(worker), *self._assign()]

    def task_cancelled(self, task: Task) -> Actions:
        """
        Forget a task that still waits.

        Args:
            task: The task, `QUEUED`.

        Returns:
            What to do.

        Raises:
            InvalidTransition: If it does not wait, unless the pool is broken; nothing has changed.

        Source: concurrent.futures, `Future.cancel`.
        """
        if self._stage is OPEN or self._stage is SHUTTING:
            self._backlog.cancel(task)
        if self._stage is OPEN and not self._is_shrunk:
            return ()
        # It may have been what kept a worker whose place is no more, or the pool.
        return self._assign()

    def _held_of(self, worker: Worker, idents: Iterable[int]) -> list[Task] | None:
        returned = set(idents)
        back = [task for task in worker.inflight if task.ident in returned]
        if len(back) == len(returned):
            return back
        self._refuse(
            f"{worker!r} gave back tasks {sorted(returned)}, some of which it does not hold"
        )
        return None

    def _take_back(self, worker: Worker, tasks: list[Task]) -> None:
        gone = {task.ident for task in tasks}
        worker.inflight = deque(task for task in worker.inflight if task.ident not in gone)
        worker.n_sent -= len(tasks)
        self._backlog.give_back(tasks)
        self._roster.sort(worker)

    def _refuse(self, complaint: str) -> Actions:
        # Whatever workers still say after the pool broke is about tasks that were failed long ago.
        if self._stage is OPEN or self._stage is SHUTTING:
            raise ProtocolViolation(complaint)
        return ()
