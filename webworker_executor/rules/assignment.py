"""
Decide which worker gets which task, when workers are started and retired, and who gives tasks back.

Not for events: `Supervisor` and `Scheduler` note what happened and then ask here what follows. A
changer must know: everything is decided anew from the state of the backlog and the roster, whatever
the event was, which is why a torn step can be mended by putting those two in order.
"""

from __future__ import annotations

from collections import deque
from sys import maxsize

from webworker_executor.rules.action import (
    Action,
    Actions,
    Alarm,
    Break,
    Cancel,
    Recall,
    Retire,
    Send,
    Start,
    Stopped,
    Withhold,
)
from webworker_executor.rules.backlog import Backlog
from webworker_executor.rules.birth import Births
from webworker_executor.rules.idleness import Idleness
from webworker_executor.rules.ranks import comes_after
from webworker_executor.rules.roster import Roster
from webworker_executor.rules.stage import BROKEN, OPEN, POOL_TABLE, SHUTTING, STOPPED
from webworker_executor.rules.task import CANCELLED, DONE, TASK_TABLE, Task
from webworker_executor.rules.worker import (
    ASKED,
    BARREN,
    CLOSING,
    EXITED,
    FREE,
    LATE,
    READY,
    STARTING,
    WITHHELD,
    Worker,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Assignment"]

# How long whoever idles counts on one worker for tasks while another one has some, too. An answer
# takes well below a millisecond, and none comes from a worker that is stopped, or whose task keeps
# the interpreter to itself in C. To ask another for nothing costs the way back of a few tasks.
ANSWER_SECONDS = 0.02


class Assignment:
    """
    Hold a pool's backlog and roster, and match them.

    The arguments are those of `Scheduler`, which is what others see of this.
    """

    __slots__ = (
        "_backlog",
        "_births",
        "_break_on_crash",
        "_cancels",
        "_count_until",
        "_eager",
        "_idle",
        "_idleness",
        "_is_shrunk",
        "_least_pace",
        "_live",
        "_max_prefetch",
        "_max_tasks",
        "_max_workers",
        "_prefetch_seconds",
        "_read_clock",
        "_reason",
        "_roster",
        "_stage",
        "_wanted",
        "_woken",
    )

    def __init__(
        self,
        max_workers: int,
        *,
        eager: bool = False,
        max_tasks_per_worker: int | None = None,
        break_on_crash: bool = False,
        prefetch_seconds: float = 0.010,
        max_prefetch: int = 1024,
        start_attempts: int = 3,
        restart_delay: float = 0.1,
        transient_patience: float = 10.0,
        idle_seconds: float | None = None,
        min_workers: int = 0,
        read_clock: Callable[[], float] = float,
    ) -> None:
        self._max_workers = max_workers
        self._eager = eager
        self._max_tasks = maxsize if max_tasks_per_worker is None else max_tasks_per_worker
        self._break_on_crash = break_on_crash
        self._prefetch_seconds = prefetch_seconds
        self._max_prefetch = max_prefetch if prefetch_seconds > 0 else 1
        self._least_pace = prefetch_seconds / self._max_prefetch
        self._stage: str = OPEN
        self._reason = ""
        self._wanted: set[int] = set()
        self._woken = False
        self._backlog = Backlog()
        self._births = Births(start_attempts, restart_delay, transient_patience)
        self._idleness = Idleness(idle_seconds, min_workers)
        self._is_shrunk = False
        self._read_clock = read_clock
        self._cancels = False
        self._count_until: float | None = None
        self._roster = Roster(max_workers)
        self._live = self._roster.live
        self._idle = self._roster.idle

    @property
    def is_stopped(self) -> bool:
        """Tell whether the last worker has left after a shutdown."""
        return self._stage is STOPPED

    @property
    def workers(self) -> tuple[Worker, ...]:
        """List every worker that has not exited, in order of start."""
        return tuple(self._roster.all)

    @property
    def n_idle(self) -> int:
        """Count the workers that wait for new tasks, and have none to expect of the backlog."""
        return 0 if self._backlog.n_queued or self._cancels else len(self._idle)

    @property
    def n_unused(self) -> int:
        """Count the places without a worker where new tasks would start one."""
        is_asked_for = self._backlog.n_queued or self._cancels
        return 0 if is_asked_for else len(self._roster.free_slots())

    def _assign(self) -> Actions:
        if self._stage is not OPEN and self._stage is not SHUTTING:
            lost = self._backlog.clear("fail")
            return self._conclude([Break(self._reason, lost)] if lost else [])
        actions: list[Action] = []
        if self._cancels and (cancelled := self._backlog.clear("cancel")):
            actions.append(Cancel(cancelled))
        leaving = [worker for worker in self._roster.draining if not worker.inflight]
        if self._is_shrunk:
            leaving += self._roster.surplus(self._backlog.lanes)
        for worker in leaving:
            self._close(worker)
        self._hand_over(actions)
        self._grow(actions)
        self._hand_over(actions)
        if self._backlog.n_queued:
            actions += self._feed_busy(self._max_prefetch)
            if self._roster.draining:
                # Who has just got the last task of its life has freed its place.
                self._grow(actions)
                self._hand_over(actions)
        else:
            actions += self._recall()
            is_last = not self._backlog.lanes and not self._roster.has_surplus()
            if self._stage is SHUTTING and is_last:
                last = self._idle + self._roster.fresh + self._roster.deaf
                leaving += last
                for worker in last:
                    self._close(worker)
        actions += [Retire(worker) for worker in leaving]
        return self._conclude(actions)

    def _hand_over(self, actions: list[Action]) -> None:
        roster = self._roster
        if self._backlog.lanes:
            self._hand_over_pinned(actions)
        while self._backlog.n_queued and (self._idle or roster.fresh) and roster.has_hand_free():
            worker = self._idle[-1] if self._idle else roster.fresh[0]
            actions.append(self._feed(worker, self._depth(worker)))
            roster.sort(worker)
            if self._backlog.lanes:
                # What came before them may be on its way now.
                self._hand_over_pinned(actions)

    def _hand_over_pinned(self, actions: list[Action]) -> None:
        # To a worker that holds nothing, and one at a time: what is pinned cannot be taken back and
        # given to another, so that handing it over ahead gains little.
        for worker in self._idle + self._roster.fresh:
            if self._backlog.is_due(worker.slot) and self._roster.has_hand_free():
                task = self._backlog.take_pinned(worker.slot)
                self._put(worker, task)
                actions.append(Send(worker, [task]))
                self._roster.sort(worker)

    def _feed(self, worker: Worker, depth: int) -> Send:
        # Guided: the fewer tasks wait, the smaller the portions, so that all end at the same time.
        portion = self._backlog.n_queued // (2 * self._max_workers)
        portion = min(portion, depth - len(worker.inflight), self._max_tasks - worker.n_sent)
        tasks = self._backlog.take(max(portion, 1), worker.slot)
        if worker.recall is BARREN:
            worker.recall = FREE
        for task in tasks:
            self._put(worker, task)
        return Send(worker, tasks)

    def _put(self, worker: Worker, task: Task) -> None:
        task.state = TASK_TABLE[task.state]["send"]
        task.worker = worker
        if not worker.inflight:
            worker.head_since = self._read_clock()
        worker.inflight.append(task)
        worker.n_sent += 1
        if worker.n_sent >= self._max_tasks and worker.state is READY:
            worker.step("drain")
            self._roster.sort(worker)

    def _depth(self, worker: Worker) -> int:
        pace = worker.pace
        if pace is None:
            return 1
        return int(self._prefetch_seconds / pace) if pace > self._least_pace else self._max_prefetch

    def _feed_busy(self, limit: int) -> Actions:
        actions: list[Action] = []
        for worker in tuple(self._live):
            n_held = len(worker.inflight)
            if worker.recall is not FREE and worker.recall is not BARREN:
                # What comes back may be more urgent than what would be sent.
                continue
            if not 0 < 2 * n_held <= limit or worker.pace is None or not self._backlog.n_queued:
                continue
            if worker.is_late(self._read_clock()):
                continue
            depth = min(self._depth(worker), limit)
            if 2 * n_held <= depth and not self._backlog.is_due(worker.slot):
                actions.append(self._feed(worker, depth))
        return actions

    def _grow(self, actions: list[Action]) -> None:
        births = self._births
        if births.retry_at is not None:
            return
        free = self._roster.free_slots(self._backlog.lanes)
        needed = self._backlog.n_queued - len(self._idle) - len(self._roster.fresh)
        asked = self._wanted.union(self._backlog.lanes).intersection(free)
        self._woken = self._woken or needed > 0 or bool(asked)
        if self._eager and self._woken and self._stage is OPEN and not births.n_volleys:
            needed = len(free)
        slots = sorted(free, key=lambda slot: slot not in asked)[: max(needed, len(asked))]
        if births.n_volleys:
            # After a failure one start is tried, not all: where one fails, eight would.
            is_trying = any(worker.state is STARTING for worker in self._live)
            slots = [] if is_trying else slots[:1]
        actions += [Start(self._roster.start(slot, births.n_volleys)) for slot in slots]

    def _recall(self) -> Actions:
        n_waiting = len(self._idle) if self._roster.has_hand_free() else 0
        silent = self._roster.silent() if n_waiting else []
        actions: list[Action] = [*map(self._withhold, silent)]
        for _ in range(n_waiting - self._roster.n_recalls()):
            worker = self._roster.richest()
            if worker is None:
                break
            # Half of what waits behind the head, rounded up: the giver goes on with the rest.
            actions.append(self._ask(worker, len(worker.inflight) // 2))
        if n_waiting and self._count_until is None and self._roster.owes():
            # Those that were asked have enough for all. From one that says nothing it is taken
            # without its help, and others are asked; one that had got nothing yet is asked again.
            self._count_until = self._read_clock() + ANSWER_SECONDS
            actions.append(Alarm(self._count_until))
        return actions

    def _ask(self, worker: Worker, count: int) -> Recall:
        worker.recall = ASKED
        worker.asked_at = self._read_clock()
        return Recall(worker, count)

    def _withhold(self, worker: Worker) -> Withhold:
        worker.recall = WITHHELD
        if worker.state is READY:
            worker.step("deafen")
        self._roster.sort(worker)
        return Withhold(worker)

    def _count_on_nobody(self, now: float) -> None:
        if self._count_until is not None and now >= self._count_until:
            self._count_until = None
            for worker in self._roster.all:
                if worker.asked_at + ANSWER_SECONDS <= now:
                    worker.recall = LATE[worker.recall]

    def _make_way(self, task: Task) -> Actions:
        # How long a worker's tasks take is an estimate. Where it was wrong, what lies in a worker
        # may wait for hours, and what is more urgent behind it.
        actions: list[Action] = []
        if task.pin is None and (self._idle or self._roster.fresh):
            return actions
        for worker in self._live:
            is_askable = worker.state is READY and worker.recall is FREE
            if task.pin is not None and task.pin != worker.slot:
                continue
            if is_askable and len(worker.inflight) > 1 and comes_after(worker.inflight[-1], task):
                actions.append(self._ask(worker, len(worker.inflight) - 1))
        return actions

    def _close(self, worker: Worker) -> None:
        worker.step("close")
        self._roster.sort(worker)

    def _break(
        self, reason: str, worker: Worker | None, tasks: Iterable[Task] | None = None
    ) -> Actions:
        if tasks is None and self._stage is not OPEN and self._stage is not SHUTTING:
            return ()
        self._reason = self._reason or reason
        self._stage = POOL_TABLE[self._stage]["break"]
        held = [task for each in self.workers for task in each.inflight]
        if tasks is None:
            tasks = [*held, *self._backlog.all()]
        lost = [task for task in tasks if task.state is not CANCELLED]
        # Past the table: after a tear these may be in any state, and they all end here.
        for task in lost:
            task.state = DONE
        self._backlog.rebuild(())
        for each in self._roster.mentioned():
            each.inflight = deque()
            if each.state is not CLOSING and each.state is not EXITED:
                each.step("close")
            self._roster.sort(each)
        return self._conclude([Break(self._reason, lost, worker)])

    def _conclude(self, actions: list[Action]) -> Actions:
        if self._stage is OPEN or self._stage is BROKEN or self._stage is STOPPED:
            return actions or ()
        if self._roster.all or not self._backlog.is_empty:
            return actions or ()
        self._stage = POOL_TABLE[self._stage]["stop"]
        return [*actions, Stopped()]
