"""
Note what happens to workers and to the pool as a whole: births, deaths, shutdown, tears.

Not for tasks' own events (`Scheduler`), nor for what follows (`Assignment`). A changer must know: a
death settles first what it is charged to, and only then moves the other tasks, so that a torn step
cannot run a task twice.
"""

from __future__ import annotations

from collections import deque

from webworker_executor.rules.action import (
    Action,
    Actions,
    Alarm,
    Fail,
    GiveUp,
    Retire,
    Retry,
    Start,
    Stopped,
    Withhold,
)
from webworker_executor.rules.sizing import Sizing
from webworker_executor.rules.stage import OPEN, POOL_TABLE, SHUTTING, STOPPED
from webworker_executor.rules.task import CANCELLED, DONE, QUEUED, SENT, TASK_TABLE, Task
from webworker_executor.rules.worker import (
    CLOSING,
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
    from typing import Final

__all__ = ["UNKNOWN", "Supervisor", "Unknown", "culprit_of", "not_begun"]

LAST_STRIKE = 3


class Unknown:
    """Be the type of `UNKNOWN`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


def culprit_of(worker: Worker, begun: Task | Unknown | None) -> Task | None:
    """
    Tell which task a worker's death is blamed on.

    Args:
        worker: Who died.
        begun: As for `Supervisor.worker_exited`.

    Returns:
        One of those it held; None if it ran none.
    """
    if isinstance(begun, Task):
        return begun if begun in worker.inflight else None
    if begun is None or worker.state is STARTING or not worker.inflight:
        return None
    return worker.inflight[0]


def not_begun(worker: Worker, begun: int | None) -> list[Task]:
    """
    Tell what a worker was kept from beginning.

    Args:
        worker: The worker of a Withhold that was performed.
        begun: The number of the task that it has begun last, 0 before the first; None if that is
            not known.

    Returns:
        Those that it holds behind that one, and all if the answer to that one has been read. None
        if it has heard of the Withhold meanwhile, and gives back by itself what it has passed over;
        and none if it notes a task just now that was taken from it, and is about to pass it over:
        what it had begun before, it does not say.
    """
    if worker.recall is not WITHHELD or begun is None:
        return []
    held = list(worker.inflight)
    if begun == worker.answered:
        return held
    idents = [task.ident for task in held]
    return held[idents.index(begun) + 1 :] if begun in idents else []


class Supervisor(Sizing):
    """
    Note births and deaths, the pool's end, and tears.

    Source: OTP's supervisor for the word; docs, "What a crash costs", for the rules.
    """

    __slots__ = ()

    def worker_ready(self, worker: Worker) -> Actions:
        """
        Take note that a worker is up.

        Args:
            worker: A worker that was to be started.

        Returns:
            What to do.

        Raises:
            InvalidTransition: If it was up before, or has exited.
        """
        worker.step("ready")
        if worker.state is READY and worker.recall is WITHHELD:
            # What it is sent before it hears, nobody could tell from what it was sent before.
            worker.step("deafen")
        self._births.forget()
        self._wanted.discard(worker.slot)
        return [*self._watch_idleness(), *self._take_up(worker), *self._assign()]

    def worker_exited(
        self,
        worker: Worker,
        begun: Task | Unknown | None,
        now: float,
        asked: bool = False,
        transient: bool = False,
    ) -> Actions:
        """
        Take note of a worker's death, asked for or not.

        Args:
            worker: Who died.
            begun: The task it was running; None if it is known that it ran none; `UNKNOWN` charges
                the oldest it held.
            now: The time in seconds.
            asked: Whether it was ended on purpose, to stop the task it ran.
            transient: Whether its death says nothing of the next one's life, as that of a worker
                which somebody killed while it started.

        Returns:
            What to do; nothing if the exit was reported before.
        """
        if worker.state is EXITED:
            return ()
        is_crash = not asked and worker.state is not CLOSING
        if self._break_on_crash and is_crash and self._stage in {OPEN, SHUTTING}:
            actions = self._break("a worker died unexpectedly", worker)
            # Afterwards: a tear before that would leave a pool that never hears of this death.
            worker.step("exit")
            self._roster.sort(worker)
            return actions
        return self._bury(worker, begun, now, asked=asked, transient=transient)

    def start_failed(self, worker: Worker, now: float, transient: bool = False) -> Actions:
        """
        Take note that a worker's process could not even be created.

        Args:
            worker: Whom to start was asked for.
            now: The time in seconds.
            transient: Whether the system merely had no room: no descriptors, processes or memory.

        Returns:
            What to do; nothing if the exit was reported before.
        """
        if worker.state is EXITED:
            return ()
        return self._bury(worker, None, now, asked=False, transient=transient)

    def clock(self, now: float) -> Actions:
        """
        Take note of the time, as an Alarm asked.

        Args:
            now: The time in seconds.

        Returns:
            What to do.
        """
        actions: list[Action] = []
        if self._births.retry_at is not None:
            if now < self._births.retry_at:
                actions.append(Alarm(self._births.retry_at))
            else:
                self._births.retry_at = None
        self._count_on_nobody(now)
        actions += self._let_idle_leave(now)
        return [*actions, *self._assign()]

    def shutdown(self, cancel: bool = False) -> Actions:
        """
        Finish what was submitted, then let all workers leave.

        Args:
            cancel: Whether to cancel the tasks that still wait, also those that lie in a worker
                which is not up, and gives them back when it is asked: where its initializer never
                ends, they would wait for ever. One that begins them first does them.

        Returns:
            What to do; `Stopped` comes once, now or later.

        Source: concurrent.futures, `Executor.shutdown`.
        """
        self._stage = POOL_TABLE[self._stage]["shutdown"]
        self._wanted.clear()
        self._cancels = self._cancels or cancel
        actions = [
            self._ask(worker, len(worker.inflight))
            for worker in (self._live if cancel else ())
            if worker.state is STARTING and worker.inflight and worker.recall is FREE
        ]
        return [*actions, *self._assign()]

    def break_(self, reason: str = "the pool was told to break") -> Actions:
        """
        Fail everything and take nothing more.

        Args:
            reason: What happened, for the error of every task.

        Returns:
            What to do.

        Source: concurrent.futures.process, `terminate_broken`.
        """
        return self._break(reason, None)

    def recover(self, tasks: Iterable[Task]) -> Actions:
        """
        Put everything in order after an exception tore a step, so that no task is lost or doubled.

        What a worker holds it keeps; whatever else is unfinished waits. Before, the performer takes
        out of each `worker.inflight` what it never wrote, and resolves what is settled (`DONE` or
        `CANCELLED`) though its future is not. Afterwards it reports again an exit
        that is not noted yet, naming the task that was begun, which may be charged already.

        Args:
            tasks: Every task whose future is not resolved, in the order of submission.

        Returns:
            What to do. Start, Withhold, Retire, Alarm, Break and Stopped may repeat what was done
            before.

        Source: Python's signal, "Note on Signal Handlers and Exceptions".
        """
        if self._stage is STOPPED:
            return (Stopped(),)
        if self._stage is not OPEN and self._stage is not SHUTTING:
            return self._break(self._reason, None, tasks)
        waiting = {task: None for task in tasks if task.state not in {DONE, CANCELLED}}
        actions: list[Action] = []
        for worker in self._roster.mentioned():
            self._mend(worker, waiting)
            if worker.state is STARTING:
                actions.append(Start(worker))
            elif worker.state is CLOSING:
                actions.append(Retire(worker))
            if worker.recall is WITHHELD:
                actions.append(Withhold(worker))
        self._backlog.rebuild(waiting)
        self._count_until = None
        if self._births.retry_at is not None:
            actions.append(Alarm(self._births.retry_at))
        if self._idleness.look_at is not None:
            actions.append(Alarm(self._idleness.look_at))
        return [*actions, *self._assign()]

    def _mend(self, worker: Worker, waiting: dict[Task, None]) -> None:
        held: list[Task] = []
        if worker.state is not EXITED and worker.state is not CLOSING:
            held = [task for task in dict.fromkeys(worker.inflight) if task in waiting]
        for task in held:
            del waiting[task]
            task.state = SENT
            task.worker = worker
        worker.inflight = deque(held)
        # It may have been kept from beginning anything, and not been sent the marks that end that.
        is_withheld = worker.recall is WITHHELD and worker.state not in {CLOSING, EXITED}
        worker.recall = WITHHELD if is_withheld or worker.state is DEAF else FREE
        if is_withheld and worker.state is READY:
            worker.step("deafen")
        is_surplus = worker.slot >= self._max_workers and held
        if worker.state is READY and (worker.n_sent >= self._max_tasks or is_surplus):
            worker.step("drain")
        self._roster.sort(worker)

    def _take_up(self, worker: Worker) -> list[Action]:
        # It takes tasks from now on, or no more than those that it has.
        actions: list[Action] = []
        if worker.state is READY and worker.slot >= self._max_workers:
            actions += self._dismiss(worker)
        elif worker.state is READY and worker.n_sent >= self._max_tasks:
            worker.step("drain")
        self._roster.sort(worker)
        return actions

    def _bury(
        self,
        worker: Worker,
        begun: Task | Unknown | None,
        now: float,
        *,
        asked: bool,
        transient: bool,
    ) -> Actions:
        was_starting = worker.state is STARTING
        blamed = self._blame(worker, begun, asked)
        # Those that survive go to the front of the queue, like those that had not begun. The one
        # that was to be stopped, which is the last, shall not run again.
        charged = [task for task in blamed if (asked and task is blamed[-1]) or not task.survive()]
        for task in charged:
            task.state = TASK_TABLE[task.state]["fail"]
        worker.step("exit")
        self._backlog.give_back([task for task in worker.inflight if task not in charged])
        worker.inflight = deque()
        worker.recall = FREE
        self._roster.sort(worker)
        if not worker.n_sent:
            # It died without ever being given work: replacing it unasked could go on for ever.
            self._woken = False
        sequel = self._after_stillbirth(worker, now, transient) if was_starting else self._assign()
        # Now that it is settled: what survived may have been cancelled, or failed with the pool.
        return [
            *[Fail(task, worker) for task in charged],
            *[Retry(task, worker) for task in blamed if task.state in {QUEUED, SENT}],
            *sequel,
        ]

    def _after_stillbirth(self, worker: Worker, now: float, transient: bool) -> Actions:
        if self._stage not in {OPEN, SHUTTING}:
            return self._assign()
        has_alarm = self._births.failed(worker.birth, now, transient=transient)
        if self._is_hopeless(now):
            if self._break_on_crash:
                return self._break("workers cannot start", worker)
            return self._give_up()
        if not has_alarm or self._births.retry_at is None:
            return self._assign()
        return [Alarm(self._births.retry_at), *self._assign()]

    def _give_up(self) -> Actions:
        # Nobody has a task now. What is submitted from here on is tried as if for the first time.
        self._births.forget()
        self._wanted.clear()
        self._woken = False
        tasks = [task for task in self._backlog.all() if task.state is QUEUED]
        for task in tasks:
            task.state = TASK_TABLE[task.state]["fail"]
        self._backlog.rebuild(())
        return self._conclude([GiveUp(tasks)])

    def _blame(self, worker: Worker, begun: Task | Unknown | None, asked: bool) -> list[Task]:
        culprit = culprit_of(worker, begun)
        if culprit is not None:
            # Those before it have run, too, and their answers are lost: after garbage in its link
            # nothing of a worker is read. They must not run twice.
            held = list(worker.inflight)
            return held[: held.index(culprit) + 1]
        if begun is None and worker.inflight and worker.state is not STARTING and not asked:
            head = worker.inflight[0]
            head.strikes += 1
            return [head] if head.strikes >= LAST_STRIKE else []
        return []

    def _is_hopeless(self, now: float) -> bool:
        has_work = not self._backlog.is_empty or self._wanted
        has_others = any(worker.state is not CLOSING for worker in self._roster.all)
        return bool(has_work) and not has_others and self._births.is_hopeless(now)
