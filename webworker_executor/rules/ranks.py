"""
Keep the tasks that wait with a priority of their own, the highest first.

Not for those without, which are nearly all and stand in a deque. A changer must know: a cancelled
task stays in the heap until it comes to the top or until such tasks are the majority, for the
reason that `Backlog` gives.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from webworker_executor.rules.task import QUEUED, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Ranks", "comes_after"]

_SPARSE = 64


def rank(task: Task) -> tuple[int, int]:
    """
    Return what tasks that wait are sorted by: the higher priority first, then the older task.

    Args:
        task: Any task.

    Returns:
        A smaller value for a task that shall run earlier.

    Source: heapq, "Priority Queue Implementation Notes", on ties.
    """
    return -task.priority, task.ident


def comes_after(task: Task, other: Task) -> bool:
    """
    Tell whether a task shall run later than another.

    Args:
        task: The one.
        other: The other.

    Returns:
        False also for the same task.
    """
    return rank(task) > rank(other)


class Ranks:
    """
    Be a heap of tasks that counts exactly and forgets lazily.

    Its length is the number of tasks in it that wait.

    Source: heapq's own notes on a queue of priorities.
    """

    __slots__ = ("_heap", "_n_queued")

    def __init__(self, tasks: Iterable[Task] = ()) -> None:
        self._heap = [(*rank(task), task) for task in tasks]
        self._n_queued = len(self._heap)
        heapify(self._heap)

    def __len__(self) -> int:
        return self._n_queued

    def push(self, task: Task) -> None:
        """
        Take a task, a new one or one that comes back: its number says where it stands.

        Args:
            task: A task that is `QUEUED`.
        """
        heappush(self._heap, (*rank(task), task))
        self._n_queued += 1

    @property
    def top(self) -> Task | None:
        """Return the task that shall run first, if any waits."""
        heap = self._heap
        while heap:
            task = heap[0][2]
            if task.state is QUEUED:
                return task
            heappop(heap)
        return None

    def pop(self) -> None:
        """
        Let the top go, which is still `QUEUED`.
        """
        heappop(self._heap)
        self._n_queued -= 1

    def forget(self) -> None:
        """
        Take note that one of the tasks does not wait any more.
        """
        self._n_queued -= 1
        if len(self._heap) > _SPARSE and self._n_queued * 2 < len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].state is QUEUED]
            heapify(self._heap)

    def tasks(self) -> list[Task]:
        """
        List the tasks that wait.

        Returns:
            The tasks in the order in which they shall run.
        """
        return [entry[2] for entry in sorted(self._heap) if entry[2].state is QUEUED]
