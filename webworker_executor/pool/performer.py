"""
The performer: it does what the scheduler decided, in the order it was decided.

Called under the pool's lock, in whatever thread stands there; so a task is written to its worker's
socket by the very call of ``submit``.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque

from webworker_executor.pool.burial import error_of_death
from webworker_executor.pool.call import Call
from webworker_executor.pool.future import FailureAnswer
from webworker_executor.rules import action as do
from webworker_executor.rules.task import CANCELLED, DONE
from webworker_executor.rules.worker import STARTING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from webworker_executor.pool.parts import PoolParts
    from webworker_executor.pool.process import WorkerProcess
    from webworker_executor.rules.task import Task
    from webworker_executor.rules.worker import Worker


class Performer:
    """
    Performs the actions of one pool.

    Args:
        parts: The pool's. Its scheduler is told when a future was cancelled at the hand-over.
        on_broken: Called when nothing will be taken any more.
        on_stopped: Called when the last worker has left and none will come.
    """

    def __init__(
        self,
        parts: PoolParts,
        on_broken: Callable[[], object],
        on_stopped: Callable[[], object],
    ) -> None:
        self._scheduler = parts.scheduler
        self._promises = promises = parts.promises
        self._crew = crew = parts.crew
        self._breakage = parts.breakage
        self._chronicle = parts.chronicle
        self._steps = parts.steps
        self._on_broken = on_broken
        self._agenda: deque[do.Action] = deque()
        self._is_performing = False
        self._held: dict[WorkerProcess, bool] | None = None
        self._performers: dict[type, Callable[[Any], None]] = {
            do.Send: self._send,
            do.Start: lambda action: crew.start(action.worker),
            do.Recall: lambda action: crew.recall(action.worker, action.count),
            do.Withhold: lambda action: crew.withhold(action.worker),
            do.Retire: lambda action: crew.retire(action.worker),
            do.Fail: lambda action: self._fail(action.task, action.worker),
            do.Retry: lambda action: self._retry(action.task, action.worker),
            do.Cancel: lambda action: promises.cancel(action.tasks),
            do.Break: self._break,
            do.GiveUp: lambda action: self._give_up(action.tasks),
            do.Alarm: lambda action: crew.call_at(action.at, self._ring),
            do.Stopped: lambda _: crew.close(on_stopped),
        }

    def perform(self, actions: do.Actions) -> None:
        """
        Perform actions, and those that performing them asks for, in the order they were asked for.

        A nested call only adds to the agenda: what the outer one has not come to was decided first.
        """
        agenda = self._agenda
        agenda.extend(actions)
        if self._is_performing:
            return
        self._is_performing = True
        try:
            while True:
                if not agenda:
                    return
                action = agenda.popleft()
                self._performers[type(action)](action)
        finally:
            self._is_performing = False

    @contextlib.contextmanager
    def sending_together(self) -> Iterator[None]:
        """
        While in the block, write to a worker that has work only at the end: one system call.

        20,000 tasks took 6,200 of them without.
        """
        self._held = {}
        try:
            yield
        finally:
            held, self._held = self._held, None
            for process in held:
                process.flush()

    def recover(self) -> None:
        """
        Build the scheduler's queues anew after a torn step.

        Two things are exact at every instant: the table of calls, and what was given to a link.
        """
        self._agenda.clear()
        self._held = None
        for worker, process in self._crew.processes.items():
            if process.is_open:
                worker.inflight = deque(
                    task for task in worker.inflight if isinstance(task, Call) and task.is_posted
                )
        for call in self._promises.in_order():
            if call.state is CANCELLED:
                self._promises.cancel([call])
            elif call.state is DONE:
                # Only a pool that breaks settles a task on a thread that can be torn.
                error = self._breakage.error_of_task()
                self._promises.tally.n_failed += self._promises.fail(call, error)
        self.perform(self._scheduler.recover(self._promises.in_order()))
        for worker, process in list(self._crew.processes.items()):
            if worker.inflight and worker.state is STARTING and not process.is_open:
                # What it holds may never have been sent, and so be cancelled without its knowledge.
                self.perform([do.Send(worker, [*worker.inflight])])
        self._crew.flush_all()
        for process in self._crew.processes.values():
            # The task that a worker has come to may not have been told to those who talk to it.
            self._crew.talks.attend(process, self._crew)
        if self._crew.processes:
            # The alarm for time-outs may have been noted and not set.
            self._crew.call_at(0.0, lambda: self._crew.talks.rewind(self._crew))

    def _send(self, action: do.Send) -> None:
        process = self._crew.processes.get(action.worker)
        dropped = []
        for task in action.tasks:
            assert isinstance(task, Call)
            if not task.future._claim():
                dropped.append(task)
            elif process is not None:
                process.post(task)
        if process is not None:
            if self._held is None or len(action.worker.inflight) == len(action.tasks):
                process.flush()
            else:
                self._held[process] = True
            if self._crew.talks.waiting:
                self._crew.talks.attend(process, self._crew)
        for task in dropped:
            self._promises.forget(task)
            self._promises.tally.n_cancelled += task.future.cancelled()
            self.perform(self._scheduler.task_dropped(action.worker, task))

    def _fail(self, task: Task, worker: Worker) -> None:
        assert isinstance(task, Call)
        process = self._crew.processes[worker]
        error = error_of_death(process, self._crew.birth.memory, task.fn_name, task.n_calls)
        if self._promises.fail(task, error):
            self._promises.tally.n_crashed += 1
            self._chronicle.task_crashed(task, error)

    def _retry(self, task: Task, worker: Worker) -> None:
        assert isinstance(task, Call)
        self._promises.tally.n_retried += 1
        self._chronicle.task_retried(task, self._crew.processes[worker])

    def _break(self, action: do.Break) -> None:
        self._breakage.note_action(action.worker is not None)
        self._chronicle.pool_broken(self._breakage.text or "")
        self._on_broken()
        self._promises.fail_all(FailureAnswer(self._breakage.error_of_task))
        self._crew.end_all()
        # Nothing will ever be submitted again, so that the last worker's end is the pool's.
        self._steps.inbox.append((self._scheduler.shutdown, ()))

    def _give_up(self, tasks: list[Task]) -> None:
        self._chronicle.workers_cannot_start(len(tasks), self._breakage.last_error)
        for task in tasks:
            error = self._breakage.error_of_start()
            self._promises.tally.n_failed += self._promises.fail(task, error)

    def _ring(self) -> None:
        self._steps.bring(self._scheduler.clock, time.monotonic())
