"""
Note what changes how many workers there are, besides their births and deaths.

For a pool that is made larger or smaller, workers that are wanted without a task, that are idle, or
that have grown too large. Not for tasks. A changer must know: a place that is no more may still
have tasks of its own; the worker there runs them and leaves then, and where there is none, one is
started for them.
"""

from __future__ import annotations

from webworker_executor.rules.action import Action, Actions, Alarm, Retire, Send
from webworker_executor.rules.hearing import Hearing
from webworker_executor.rules.roster import has_loose_tasks
from webworker_executor.rules.stage import OPEN, SHUTTING
from webworker_executor.rules.worker import DEAF, FREE, READY, STARTING, Worker

__all__ = ["Sizing"]


class Sizing(Hearing):
    """
    Note what is asked of the size of a pool.
    """

    __slots__ = ()

    @property
    def max_workers(self) -> int:
        """Tell how many places there are."""
        return self._max_workers

    def wanted(self, slot: int | None = None) -> Actions:
        """
        Start a worker though there is no task for it.

        Args:
            slot: The place that must be taken; None for any, if no worker that is up is idle.

        Returns:
            What to do; nothing if the pool is shutting down.

        Raises:
            ValueError: If there is no such place.
        """
        if slot is not None and not 0 <= slot < self._max_workers:
            raise ValueError(f"there is no slot {slot}: this pool has {self._max_workers} workers")
        if self._stage is not OPEN:
            return ()
        free = self._roster.free_slots()
        if slot is None:
            if self._idle:
                return ()
            self._wanted.update(free[:1])
        elif slot in free:
            self._wanted.add(slot)
        return self._assign()

    def resized(self, max_workers: int) -> Actions:
        """
        Have more places or fewer: the last ones come and go.

        More are used at once. A worker whose place is gone runs what it has begun and what is
        pinned to it; the rest it gives back.

        Args:
            max_workers: How many there shall be, 1 or more.

        Returns:
            What to do.

        Source: loky, `get_reusable_executor(max_workers=...)`.
        """
        self._is_shrunk = self._is_shrunk or max_workers < self._max_workers
        self._max_workers = self._roster.max_workers = max_workers
        if self._stage is not OPEN and self._stage is not SHUTTING:
            return ()
        self._wanted = {slot for slot in self._wanted if slot < max_workers}
        actions: list[Action] = []
        for worker in tuple(self._live):
            if worker.slot >= max_workers:
                actions += self._dismiss(worker)
        # What lies in busy workers behind another task is not counted among what waits.
        n_behind = sum(len(worker.inflight) - 1 for worker in self._live if worker.inflight)
        if self._stage is OPEN and n_behind:
            n_waiting = n_behind + self._backlog.n_queued
            self._wanted.update(self._roster.free_slots()[:n_waiting])
        return [*actions, *self._assign()]

    def worker_outgrew(self, worker: Worker) -> Actions:
        """
        Take note that a worker has come to use more memory than it may keep.

        It has said so after a task, and gives back unasked whatever it holds.

        Args:
            worker: The worker.

        Returns:
            What to do: it leaves, and is replaced when there is work for another.

        Source: loky's process_executor.py, where a worker whose memory has grown leaves.
        """
        if worker.state is not READY and worker.state is not DEAF:
            return ()
        worker.step("drain")
        self._roster.sort(worker)
        return self._assign()

    def worker_used(self, worker: Worker) -> Actions:
        """
        Take note that a worker is of use though it has no task: it has a message.

        Args:
            worker: The worker.

        Returns:
            Nothing to do.
        """
        worker.n_seen = -1
        return ()

    def slot_kept(self, slot: int, count: int) -> Actions:
        """
        Take note of objects that live in one place, whose worker may not leave for idleness.

        Args:
            slot: The place.
            count: How many more, or fewer.

        Returns:
            Nothing to do.
        """
        self._idleness.keep(slot, count)
        return ()

    def _watch_idleness(self) -> list[Action]:
        return [Alarm(0.0)] if self._idleness.wakes(len(self._live)) else []

    def _let_idle_leave(self, now: float) -> list[Action]:
        idleness = self._idleness
        if self._stage is not OPEN or idleness.look_at is None or now < idleness.look_at:
            return []
        # Where tasks wait all the same, workers that still finish theirs are what they wait for.
        idle = () if self._backlog.n_queued else tuple(self._idle)
        leaving = idleness.look(now, idle, len(self._live), self._backlog.lanes)
        for worker in leaving:
            self._close(worker)
        if leaving:
            # Where all are started at once, they are not started again before there is a task.
            self._woken = False
        actions: list[Action] = [Retire(worker) for worker in leaving]
        if idleness.look_at is not None:
            actions.append(Alarm(idleness.look_at))
        return actions

    def _dismiss(self, worker: Worker) -> list[Action]:
        if worker.state is STARTING or worker.state is DEAF or not worker.inflight:
            # When it is up, or hears; or it has nothing, and `_assign` lets it go when no task is
            # for it.
            return []
        actions: list[Action] = []
        pinned = []
        while worker.slot in self._backlog.lanes and worker.n_sent < self._max_tasks:
            task = self._backlog.take_pinned(worker.slot)
            self._put(worker, task)
            pinned.append(task)
        if pinned:
            actions.append(Send(worker, pinned))
        elif len(worker.inflight) > 1 and has_loose_tasks(worker) and worker.recall is FREE:
            actions.append(self._ask(worker, len(worker.inflight) - 1))
        if worker.state is READY:
            worker.step("drain")
        self._roster.sort(worker)
        return actions
