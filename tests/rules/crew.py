"""
Bring a scheduler to the state that an example starts from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webworker_executor.rules.scheduler import Scheduler
from webworker_executor.rules.task import Task

if TYPE_CHECKING:
    from webworker_executor.rules.worker import Worker

SHORT = 1e-5


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
