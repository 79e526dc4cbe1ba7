"""
Keep the workers sorted by what they can be used for.

Not for deciding anything about tasks. A changer must know: the scheduler's hot paths hold on to
these very lists, so they are changed in place and never replaced; and everything here can be sorted
anew from the workers' own states.
"""

from __future__ import annotations

from webworker_executor.rules.worker import (
    ASKED,
    BARREN,
    DEAF,
    DRAINING,
    EXITED,
    FREE,
    READY,
    SILENT,
    STARTING,
    WITHHELD,
    Worker,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable

__all__ = ["Roster", "has_loose_tasks"]


def has_loose_tasks(worker: Worker) -> bool:
    """
    Tell whether a worker holds tasks that may run elsewhere: those for it alone come last.

    Args:
        worker: The worker.

    Returns:
        Whether the last of its tasks is one.
    """
    return bool(worker.inflight) and worker.inflight[-1].pin is None


class Roster:
    """
    Be the list of workers, by use.

    Args:
        max_workers: How many may hold a slot, and how many may hold tasks, at a time.

    Attributes:
        all: Every worker that has not exited, in order of start.
        live: Those that take tasks: `STARTING` and `READY`, and `DEAF`, who did. Each holds a slot.
        idle: The live ones that are `READY` and hold no task; the last was used last.
        fresh: The other live ones that are `STARTING` and hold no task, oldest first.
        deaf: The live ones that are `DEAF` and hold no task, and those that are `STARTING` and had
            theirs withheld: they get none until they hear.
        draining: Those that finish what they hold, and get no more.
    """

    __slots__ = ("_n_started", "all", "deaf", "draining", "fresh", "idle", "live", "max_workers")

    def __init__(self, max_workers: int) -> None:
        self.max_workers = max_workers
        self.all: list[Worker] = []
        self.live: list[Worker] = []
        self.idle: list[Worker] = []
        self.fresh: list[Worker] = []
        self.deaf: list[Worker] = []
        self.draining: list[Worker] = []
        self._n_started = 0

    def start(self, slot: int, birth: int) -> Worker:
        """
        Add a worker.

        Args:
            slot: Its place, which must be free.
            birth: Its stamp, see `Births`.

        Returns:
            The new worker, `STARTING`.
        """
        worker = Worker(self._n_started, slot, birth)
        self._n_started += 1
        self.all.append(worker)
        self.sort(worker)
        return worker

    def sort(self, worker: Worker) -> None:
        """
        Put a worker where its state belongs, wherever it stood before.

        Args:
            worker: The worker; it is forgotten once it has exited.
        """
        state = worker.state
        is_live = state is READY or state is STARTING or state is DEAF
        is_free = is_live and not worker.inflight
        # What it is sent before it hears, nobody could tell from what it was sent before.
        is_deaf = state is DEAF or (state is STARTING and worker.recall is WITHHELD)
        for group, belongs in (
            (self.all, state is not EXITED),
            (self.live, is_live),
            (self.idle, is_free and state is READY),
            (self.fresh, is_free and state is STARTING and not is_deaf),
            (self.deaf, is_free and is_deaf),
            (self.draining, state is DRAINING),
        ):
            if belongs and worker not in group:
                group.append(worker)
            elif not belongs and worker in group:
                group.remove(worker)

    def mentioned(self) -> list[Worker]:
        """
        List the workers that stand in any group: after a torn step the groups may disagree.

        Returns:
            Every worker once, those of `all` first.

        Source: Python's signal, "Note on Signal Handlers and Exceptions".
        """
        groups = (self.all, self.live, self.idle, self.fresh, self.deaf, self.draining)
        return list(dict.fromkeys(worker for group in groups for worker in group))

    def free_slots(self, asked: Iterable[int] = ()) -> list[int]:
        """
        List the places without a worker.

        Args:
            asked: Places that count even if there are not so many any more.

        Returns:
            The slots in ascending order.
        """
        taken = {worker.slot for worker in self.live}
        beyond = sorted(slot for slot in asked if slot >= self.max_workers)
        return [slot for slot in (*range(self.max_workers), *beyond) if slot not in taken]

    def surplus(self, asked: Container[int]) -> list[Worker]:
        """
        List the workers without a task whose places are no more.

        Args:
            asked: Places that count all the same.

        Returns:
            Those that can be let go.
        """
        return [
            worker
            for worker in (*self.idle, *self.fresh, *self.deaf)
            if worker.slot >= self.max_workers and worker.slot not in asked
        ]

    def has_hand_free(self) -> bool:
        """
        Tell whether one more worker may be given tasks.

        Draining workers have freed their slot for a replacement that is up before they left; but
        what they still run counts, or a pool whose workers take one task each would run any number
        of tasks at a time.

        Returns:
            True while fewer than `max_workers` workers hold tasks.

        Source: concurrent.futures, which promises at most max_workers calls at a time.
        """
        n_busy = len(self.live) - len(self.idle) - len(self.fresh) - len(self.deaf)
        return n_busy + len(self.draining) < self.max_workers

    def has_surplus(self) -> bool:
        """
        Tell whether a task waits behind another, or in a worker that may not hear of it.

        Returns:
            True if some worker holds two tasks or more, or one and has not answered a Recall.
        """
        # Asked whenever a worker runs dry: a generator would double what that costs.
        for worker in self.all:
            if len(worker.inflight) > 1:
                return True
            owes_answer = worker.recall in {ASKED, SILENT, WITHHELD}
            if owes_answer and worker.inflight and worker.state is not STARTING:
                return True
        return False

    def richest(self) -> Worker | None:
        """
        Choose whom to ask for unstarted tasks.

        Returns:
            The worker with most tasks of those that hold two or more and may be asked, if any.
        """
        rich = [
            worker
            for worker in self.all
            if worker.recall is FREE and len(worker.inflight) > 1 and has_loose_tasks(worker)
        ]
        return max(rich, key=lambda worker: len(worker.inflight), default=None)

    def silent(self) -> list[Worker]:
        """
        List those who do not answer, and from whom tasks can be withheld all the same.

        Returns:
            Workers that hold tasks which may run elsewhere.
        """
        return [
            worker
            for worker in self.all
            if worker.recall is SILENT
            and worker.is_noted
            and (worker.state is READY or worker.state is DRAINING)
            and has_loose_tasks(worker)
        ]

    def owes(self) -> bool:
        """
        Tell whether somebody has to be looked after who was asked for tasks.

        Returns:
            True if an answer is due, or one had none to give and has got some since.
        """
        return any(
            worker.recall is ASKED or (worker.recall is BARREN and len(worker.inflight) > 1)
            for worker in self.all
        )

    def n_recalls(self) -> int:
        """
        Count the answers to Recalls that can be counted on.

        Returns:
            The number of workers asked, without those that are silent.
        """
        return sum(worker.recall is ASKED for worker in self.all)
