"""
What lies in workers that hear nothing is had back, and those that never will are let go.
"""

from __future__ import annotations

from tests.rules.crew import SHORT, make_crew, make_tasks
from webworker_executor.rules.action import Recall, Retire, Send, Start, Withhold
from webworker_executor.rules.scheduler import Scheduler
from webworker_executor.rules.worker import (
    ASKED,
    CLOSING,
    DEAF,
    DRAINING,
    FREE,
    READY,
    STARTING,
    WITHHELD,
)


def test_a_worker_is_asked_once_for_what_nobody_wants() -> None:
    """While an answer is due it is not asked again; nor where it is not up."""
    scheduler, (worker,) = make_crew(1)
    (task,) = make_tasks(1)
    scheduler.submitted(task)
    assert [Recall(worker, 1)] == list(scheduler.asked_back(worker))
    assert ASKED == worker.recall
    assert not scheduler.asked_back(worker)
    unborn = Scheduler(1)
    unborn.submitted(*make_tasks(1))
    assert not unborn.asked_back(unborn.workers[0])


def test_a_deaf_worker_leaves_and_another_takes_its_place() -> None:
    """When what it had not begun was taken from it, and not before."""
    scheduler, (worker,) = make_crew(1)
    worker.is_noted = True
    first, second = make_tasks(2)
    scheduler.submitted(first)
    assert [Withhold(worker)] == list(scheduler.unheard(worker))
    assert not scheduler.worker_lost(worker)
    assert not scheduler.task_dropped(worker, first)
    assert not scheduler.submitted(second)
    assert DEAF == worker.state
    retire, start, send = scheduler.worker_lost(worker)
    (heir,) = (each for each in scheduler.workers if each is not worker)
    assert [Retire(worker), Start(heir), Send(heir, [second])] == [retire, start, send]
    assert (CLOSING, worker.slot) == (worker.state, heir.slot)
    assert not scheduler.worker_lost(worker)


def test_from_a_worker_without_a_note_nothing_is_taken() -> None:
    """Nobody could tell what it has begun."""
    scheduler, (worker,) = make_crew(1)
    scheduler.submitted(*make_tasks(1))
    assert not scheduler.unheard(worker)
    assert (READY, FREE) == (worker.state, worker.recall)


def test_who_was_withheld_from_at_its_start_gets_none_before_it_hears() -> None:
    """A look that comes late would take for withheld what it runs."""
    scheduler, tasks = Scheduler(1), make_tasks(2)
    scheduler.submitted(tasks[0])
    (worker,) = scheduler.workers
    assert [Withhold(worker)] == list(scheduler.unheard(worker))
    assert not scheduler.unheard(worker)
    assert not scheduler.task_dropped(worker, tasks[0])
    assert not scheduler.submitted(tasks[1])
    assert (STARTING, WITHHELD) == (worker.state, worker.recall)
    assert not scheduler.worker_ready(worker)
    assert DEAF == worker.state
    assert [Send(worker, [tasks[1]])] == list(scheduler.worker_hears(worker, []))
    assert (READY, FREE) == (worker.state, worker.recall)


def test_a_worker_that_is_not_up_and_has_nothing_leaves_at_the_end() -> None:
    """Also one that its only task was taken from."""
    scheduler, (task,) = Scheduler(1), make_tasks(1)
    scheduler.submitted(task)
    (worker,) = scheduler.workers
    scheduler.unheard(worker)
    assert not scheduler.shutdown()
    assert [Retire(worker)] == list(scheduler.task_dropped(worker, task))


def test_who_idles_looks_elsewhere_at_once_when_whom_it_counted_on_is_withheld_from() -> None:
    """Not only when the time is over that an answer may take."""
    scheduler, (first, second, idle) = make_crew(3)
    for task in make_tasks(48, first=1):
        scheduler.submitted(task)
    while idle.inflight:
        scheduler.task_finished(idle, idle.inflight[0], SHORT)
    (asked,) = (worker for worker in (first, second) if worker.recall is ASKED)
    (other,) = (worker for worker in (first, second) if worker is not asked)
    asked.is_noted = True
    withhold, recall, *_ = scheduler.unheard(asked)
    assert [Withhold(asked), Recall(other, len(other.inflight) // 2)] == [withhold, recall]


def test_from_a_worker_that_drains_is_taken_once() -> None:
    """A second look could not tell what it began from what it is about to pass over."""
    scheduler, (worker,) = make_crew(1, max_tasks_per_worker=2)
    worker.is_noted = True
    scheduler.submitted(*make_tasks(1))
    assert DRAINING == worker.state
    assert Withhold(worker) in scheduler.unheard(worker)
    assert not scheduler.unheard(worker)
