"""
Bring a scheduler to the state that an example starts from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webworker_executor.rules.scheduler import Scheduler
from webworker_executor.rules.task import Survivor, Task

if TYPE_CHECKING:
    from webworker_executor.rules.worker import Worker

SHORT = 1e-5


class SpecialTask(Survivor, Task):
    """
    Stand for a call with a place, a priority, or leave to run again when its worker dies.

    Args:
        ident: As for `Task`.
        pin: The place, 0 to `max_workers - 1`; None for any.
        retries: How many deaths of workers it survives.
        priority: Higher runs earlier; 0 is that of a `Task`.

    Attributes:
        retries: How many it still survives.
    """

    __slots__ = ("pin", "priority", "retries")

    def __init__(
        self, ident: int, pin: int | None = None, retries: int = 0, priority: int = 0
    ) -> None:
        super().__init__(ident)
        self.pin = pin
        self.retries = retries
        self.priority = priority


def make_tasks(count: int, first: int = 0) -> list[Task]:
    """Make tasks numbered from `first`."""
    return [Task(ident) for ident in range(first, first + count)]


def make_crew(max_workers: int, **options: Any) -> tuple[Scheduler, list[Worker]]:
    """Make a scheduler whose workers are all up, idle, and have answered one short task each."""
    scheduler = Scheduler(max_workers, **options)
    tasks = make_tasks(max_workers, first=-max_workers)
    for task in tasks:
        scheduler.submitted(task)
    workers = list(scheduler.workers)
    for worker in workers:
        scheduler.worker_ready(worker)
    for worker, task in zip(workers, tasks, strict=True):
        scheduler.task_finished(worker, task, SHORT)
    return scheduler, workers


def n_queued(scheduler: Scheduler) -> int:
    """Count the tasks that wait for a worker."""
    backlog = scheduler._backlog
    return backlog.n_queued + sum(map(len, backlog.lanes.values()))
