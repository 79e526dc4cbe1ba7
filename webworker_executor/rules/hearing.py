"""
Have back what workers hold that hear nothing, and let go of those that never will.

Not for workers that others wait for (`Assignment` asks those by itself): here the pool has found
that a task which nobody wants lies in one. A changer must know: what was withheld is known not to
run, whenever the worker comes to it; what was merely asked for is not, before the answer.
"""

from __future__ import annotations

from webworker_executor.rules.action import Actions, Retire
from webworker_executor.rules.assignment import Assignment
from webworker_executor.rules.worker import (
    BARREN,
    DEAF,
    DRAINING,
    FREE,
    READY,
    STARTING,
    WITHHELD,
    Worker,
)

__all__ = ["Hearing"]


class Hearing(Assignment):
    """
    Decide about workers that say nothing.

    The arguments are those of `Scheduler`, which is what others see of this.
    """

    __slots__ = ()

    def asked_back(self, worker: Worker) -> Actions:
        """
        Ask a worker for all that it has not begun, unless an answer is due already.

        Args:
            worker: A worker that holds what nobody wants any more.

        Returns:
            What to do.
        """
        is_up = worker.state is READY or worker.state is DRAINING
        is_askable = worker.recall is FREE or worker.recall is BARREN
        return [self._ask(worker, len(worker.inflight))] if is_up and is_askable else ()

    def unheard(self, worker: Worker) -> Actions:
        """
        Take note that what a worker has not begun shall not wait for it, which may hear nothing.

        Args:
            worker: The worker, also one that is not up; from the same this is done once.

        Returns:
            What to do.
        """
        is_up = worker.state is READY or worker.state is DRAINING
        is_takeable = worker.state is STARTING or (is_up and worker.is_noted)
        if worker.recall is WITHHELD or not is_takeable:
            return ()
        # Who idles and counted on its answer looks elsewhere now.
        return [self._withhold(worker), *self._assign()]

    def worker_lost(self, worker: Worker) -> Actions:
        """
        Take note that nobody counts on a deaf worker any more.

        Args:
            worker: The worker.

        Returns:
            What to do: it leaves, and another may take its place; nothing while it holds a task.
        """
        if worker.state is not DEAF or worker.inflight:
            return ()
        self._close(worker)
        return [Retire(worker), *self._assign()]
