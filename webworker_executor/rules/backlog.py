"""
Keep the tasks that wait, in the order in which they shall run.

Not for choosing a worker. A changer must know: a cancelled task stays where it is until it comes to
the front or until such tasks are the majority, because removing it at once would make ten thousand
cancels quadratic.
"""

from __future__ import annotations

from collections import deque

from webworker_executor.rules.ranks import Ranks, comes_after
from webworker_executor.rules.task import QUEUED, TASK_TABLE, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Backlog"]

_SPARSE = 64


class Backlog:
    """
    Be a queue of tasks that counts exactly and forgets lazily.

    Attributes:
        n_queued: How many tasks wait that may run anywhere.
        tasks: Those without a priority in order, among them cancelled ones that do not count.
        ranks: Those with one.
        lanes: The tasks that are pinned to a place, by place; in no lane all are cancelled.

    Source: concurrent.futures.process keeps cancelled items in its queue as well, for the same
    reason.
    """

    __slots__ = ("lanes", "n_queued", "ranks", "tasks")

    def __init__(self) -> None:
        self.tasks: deque[Task] = deque()
        self.n_queued = 0
        self.ranks = Ranks()
        self.lanes: dict[int, Ranks] = {}

    @property
    def is_empty(self) -> bool:
        """Tell whether no task waits, pinned or not."""
        return not self.n_queued and not self.lanes

    @property
    def front(self) -> Task | None:
        """Return the task that shall run first of those that may run anywhere."""
        top = self.ranks.top
        if top is not None and top.priority > 0:
            return top
        tasks = self.tasks
        while tasks:
            if tasks[0].state is QUEUED:
                return tasks[0]
            tasks.popleft()
        return top

    def all(self) -> list[Task]:
        """
        List what waits, and what was cancelled and not taken out yet.
        """
        pinned = [task for lane in self.lanes.values() for task in lane.tasks()]
        return [*self.ranks.tasks(), *self.tasks, *pinned]

    def rank(self, task: Task) -> None:
        """
        Take a task that has a priority and may run anywhere.

        Args:
            task: The task, `QUEUED`.
        """
        self.ranks.push(task)
        self.n_queued += 1

    def pin(self, task: Task, slot: int) -> None:
        """
        Take a task that must run in one place.

        Args:
            task: The task, `QUEUED`.
            slot: The place.
        """
        self.lanes.setdefault(slot, Ranks()).push(task)

    def is_due(self, slot: int) -> bool:
        """
        Tell whether the next task for a place is one that is pinned to it.

        Of two with the same priority the older one comes first.

        Args:
            slot: The place.

        Returns:
            False also if no task is pinned there.
        """
        first = self._first_in(slot)
        if first is None:
            return False
        front = self.front
        return front is None or comes_after(front, first)

    def _first_in(self, slot: int) -> Task | None:
        lane = self.lanes.get(slot)
        return None if lane is None else lane.top

    def take_pinned(self, slot: int) -> Task:
        """
        Take the task that shall run first of those that are pinned to a place.

        Args:
            slot: A place that has one.

        Returns:
            The task, still `QUEUED`.
        """
        lane = self.lanes[slot]
        task = lane.top
        assert task is not None, "in no lane all are cancelled"
        lane.pop()
        if not lane:
            del self.lanes[slot]
        return task

    def take(self, count: int, slot: int | None = None) -> list[Task]:
        """
        Take tasks that may run anywhere, from the front.

        Args:
            count: How many at most.
            slot: For which place: it gets none that comes after a task that is pinned there.

        Returns:
            The tasks, still `QUEUED`, in order.
        """
        taken: list[Task] = []
        tasks = self.tasks
        barrier = self._first_in(slot) if self.lanes and slot is not None else None
        if self.ranks:
            return self._take_ranked(count, barrier)
        while count and tasks:
            task = tasks[0]
            if barrier is not None and task.state is QUEUED and comes_after(task, barrier):
                break
            tasks.popleft()
            if task.state is QUEUED:
                taken.append(task)
                count -= 1
        self.n_queued -= len(taken)
        return taken

    def _take_ranked(self, count: int, barrier: Task | None) -> list[Task]:
        taken: list[Task] = []
        while len(taken) < count:
            task = self.front
            if task is None or (barrier is not None and comes_after(task, barrier)):
                break
            if task.priority:
                self.ranks.pop()
            else:
                self.tasks.popleft()
            taken.append(task)
        self.n_queued -= len(taken)
        return taken

    def give_back(self, tasks: Iterable[Task]) -> None:
        """
        Put tasks that were sent to the front again.

        Args:
            tasks: The tasks in the order in which they shall run.
        """
        given = list(tasks)
        for task in reversed(given):
            task.state = TASK_TABLE[task.state]["give_back"]
            task.worker = None
            if task.pin is not None:
                self.pin(task, task.pin)
            elif task.priority:
                self.rank(task)
            else:
                self.tasks.appendleft(task)
                self.n_queued += 1

    def cancel(self, task: Task) -> None:
        """
        Take one task out, wherever it stands.

        Args:
            task: A task that is `QUEUED`.

        Raises:
            InvalidTransition: If it is not; nothing has changed then.
        """
        task.state = TASK_TABLE[task.state]["cancel"]
        if task.pin is not None:
            self._leave_lane(task.pin)
            return
        self.n_queued -= 1
        if task.priority:
            self.ranks.forget()
            return
        n_tasks = len(self.tasks)
        if n_tasks > _SPARSE and (self.n_queued - len(self.ranks)) * 2 < n_tasks:
            self.tasks = deque(waiting for waiting in self.tasks if waiting.state is QUEUED)

    def _leave_lane(self, slot: int) -> None:
        lane = self.lanes[slot]
        lane.forget()
        if not lane:
            del self.lanes[slot]

    def clear(self, event: str) -> list[Task]:
        """
        Take all tasks out for one reason.

        Args:
            event: What happens to each: "cancel" or "fail".

        Returns:
            The tasks in order.
        """
        cleared = self.take(self.n_queued)
        while self.lanes:
            cleared.append(self.take_pinned(next(iter(self.lanes))))
        for task in cleared:
            task.state = TASK_TABLE[task.state][event]
        return cleared

    def rebuild(self, tasks: Iterable[Task]) -> None:
        """
        Forget the old order and hold exactly these tasks.

        Args:
            tasks: The tasks in the order in which they shall run; whatever they were, they become
                `QUEUED`.

        Source: Python's signal, "Note on Signal Handlers and Exceptions".
        """
        waiting: deque[Task] = deque()
        ranked: list[Task] = []
        self.lanes = {}
        for task in tasks:
            task.state = QUEUED
            task.worker = None
            if task.pin is not None:
                self.pin(task, task.pin)
            elif task.priority:
                ranked.append(task)
            else:
                waiting.append(task)
        self.tasks = waiting
        self.ranks = Ranks(ranked)
        self.n_queued = len(waiting) + len(ranked)
