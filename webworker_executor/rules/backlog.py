"""
Keep the tasks that wait, in the order in which they shall run.

Not for choosing a worker. A changer must know: a cancelled task stays in the deque until it comes
to the front or until such tasks are the majority, because removing it at once would make ten
thousand cancels quadratic.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from webworker_executor.rules.task import QUEUED, TASK_TABLE, Task

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Backlog"]

_SPARSE = 64


class Backlog:
    """
    Be a queue of tasks that counts exactly and forgets lazily.

    Attributes:
        n_queued: How many tasks wait.
        tasks: Those tasks in order, among them cancelled ones that do not count.

    Source: concurrent.futures.process keeps cancelled items in its queue as well, for the same
    reason.
    """

    __slots__ = ("n_queued", "tasks")

    def __init__(self) -> None:
        self.tasks: deque[Task] = deque()
        self.n_queued = 0

    def take(self, count: int) -> list[Task]:
        """
        Take tasks from the front.

        Args:
            count: How many at most.

        Returns:
            The tasks, still `QUEUED`, in order.

        Source: `Backlog`.
        """
        taken: list[Task] = []
        tasks = self.tasks
        while count and tasks:
            task = tasks.popleft()
            if task.state is QUEUED:
                taken.append(task)
                count -= 1
        self.n_queued -= len(taken)
        return taken

    def give_back(self, tasks: Iterable[Task]) -> None:
        """
        Put tasks that were sent to the front again.

        Args:
            tasks: The tasks in the order in which they shall run.

        Source: design.md, "the rest go back to the front of the queue".
        """
        given = list(tasks)
        for task in reversed(given):
            task.state = TASK_TABLE[task.state]["give_back"]
            task.worker = None
            self.tasks.appendleft(task)
            self.n_queued += 1

    def cancel(self, task: Task) -> None:
        """
        Take one task out, wherever it stands.

        Args:
            task: A task that is `QUEUED`.

        Raises:
            InvalidTransition: If it is not; nothing has changed then.

        Source: `Backlog`.
        """
        task.state = TASK_TABLE[task.state]["cancel"]
        self.n_queued -= 1
        if len(self.tasks) > _SPARSE and self.n_queued * 2 < len(self.tasks):
            self.tasks = deque(waiting for waiting in self.tasks if waiting.state is QUEUED)

    def clear(self, event: str) -> list[Task]:
        """
        Take all tasks out for one reason.

        Args:
            event: What happens to each: "cancel" or "fail".

        Returns:
            The tasks in order.

        Source: `Backlog`.
        """
        cleared = self.take(len(self.tasks))
        for task in cleared:
            task.state = TASK_TABLE[task.state][event]
        return cleared

    def rebuild(self, tasks: Iterable[Task]) -> None:
        """
        Forget the old order and hold exactly these tasks.

        Args:
            tasks: The tasks in the order in which they shall run; whatever they were, they become
                `QUEUED`.

        Source: faults.md, "signals at any line".
        """
        waiting: deque[Task] = deque()
        for task in tasks:
            task.state = QUEUED
            task.worker = None
            waiting.append(task)
        self.tasks = waiting
        self.n_queued = len(waiting)
