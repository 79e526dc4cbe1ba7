"""
What changes how many workers there are.
"""

from __future__ import annotations

import pytest

from tests.rules.crew import SHORT, SpecialTask, make_crew, make_tasks, n_queued
from webworker_executor.rules.action import Alarm, Recall, Retire, Send, Start
from webworker_executor.rules.scheduler import Scheduler
from webworker_executor.rules.task import Task
from webworker_executor.rules.worker import CLOSING, DRAINING, STARTING


def test_a_wanted_slot_is_filled() -> None:
    """A worker is started where it is wanted, without a task, and not twice."""
    scheduler = Scheduler(3)
    actions = scheduler.wanted(2)
    (worker,) = scheduler.workers
    assert [Start(worker)] == list(actions)
    assert worker.slot == 2
    assert not scheduler.wanted(2)


def test_any_worker_will_do_once_it_is_idle() -> None:
    """Wanted anywhere, one is started each time, as the stdlib does, until one is up and idle."""
    scheduler = Scheduler(3)
    scheduler.wanted()
    scheduler.wanted()
    first, _ = scheduler.workers
    scheduler.worker_ready(first)
    assert not scheduler.wanted()
    assert 2 == len(scheduler.workers)


def test_an_unknown_slot_is_refused() -> None:
    """There are only max_workers places."""
    with pytest.raises(ValueError, match="no slot 3"):
        Scheduler(3).wanted(3)


def test_a_larger_pool_starts_workers_at_once() -> None:
    """As many as there are tasks that wait, also behind another in a busy worker."""
    scheduler, _ = make_crew(1)
    for task in make_tasks(3):
        scheduler.submitted(task)
    assert 0 < n_queued(scheduler)
    actions = scheduler.resized(4)
    started = [action.worker.slot for action in actions if isinstance(action, Start)]
    assert [1, 2] == started
    assert 4 == scheduler.max_workers


def test_a_smaller_pool_lets_idle_workers_go() -> None:
    """Those in the last places, whoever was used last."""
    scheduler, workers = make_crew(3)
    assert [Retire(workers[1]), Retire(workers[2])] == list(scheduler.resized(1))
    assert [CLOSING, CLOSING] == [worker.state for worker in workers[1:]]


def test_a_busy_worker_leaves_after_its_task() -> None:
    """What it has not begun it gives back."""
    scheduler, (_, second) = make_crew(2)
    tasks = make_tasks(12)
    for task in tasks:
        scheduler.submitted(task)
    held = list(second.inflight)
    assert 1 < len(held)
    actions = scheduler.resized(1)
    assert Recall(second, len(held) - 1) in actions
    assert DRAINING == second.state
    scheduler.tasks_returned(second, [task.ident for task in held[1:]])
    assert second not in {task.worker for task in held[1:]}
    assert Retire(second) in scheduler.task_finished(second, held[0], SHORT)


def test_what_is_pinned_runs_before_its_worker_leaves() -> None:
    """No task is lost: the worker of a place that is gone takes them along."""
    scheduler, (_, second) = make_crew(2)
    tasks: list[Task] = [SpecialTask(ident, 1) for ident in range(3)]
    for task in tasks:
        scheduler.submitted_to(task, 1)
    assert [Send(second, tasks[1:])] == list(scheduler.resized(1))
    for task in tasks[:2]:
        assert not scheduler.task_finished(second, task, SHORT)
    assert [Retire(second)] == list(scheduler.task_finished(second, tasks[2], SHORT))


def test_a_place_that_is_gone_is_filled_for_what_is_pinned_there() -> None:
    """If its worker died, another is started for the rest, and leaves then."""
    scheduler, (_, second) = make_crew(2)
    tasks: list[Task] = [SpecialTask(ident, 1) for ident in range(2)]
    for task in tasks:
        scheduler.submitted_to(task, 1)
    scheduler.resized(1)
    start, send = scheduler.worker_exited(second, tasks[0], 0.0)[1:]
    assert isinstance(start, Start)
    assert Send(start.worker, [tasks[1]]) == send
    scheduler.worker_ready(start.worker)
    assert [Retire(start.worker)] == list(scheduler.task_finished(start.worker, tasks[1], SHORT))


def test_a_worker_that_starts_in_a_place_that_is_gone_is_let_go() -> None:
    """At once if it has nothing, else when its task is done."""
    scheduler = Scheduler(2)
    (task,) = make_tasks(1)
    scheduler.wanted(0)
    scheduler.wanted(1)
    scheduler.submitted(task)
    first, second = scheduler.workers
    assert STARTING == second.state
    assert [Retire(second)] == list(scheduler.resized(1))
    assert [task] == list(first.inflight)


def test_a_worker_that_has_grown_too_large_is_replaced() -> None:
    """It gets no more, and its replacement is started when there is work."""
    scheduler, (worker,) = make_crew(1)
    tasks = make_tasks(2)
    scheduler.submitted(tasks[0])
    assert not scheduler.worker_outgrew(worker)
    assert [Retire(worker)] == list(scheduler.task_finished(worker, tasks[0], SHORT))
    start, send = scheduler.submitted(tasks[1])
    assert isinstance(start, Start)
    assert Send(start.worker, [tasks[1]]) == send
    assert not scheduler.worker_outgrew(worker)


def test_idle_workers_leave_and_come_back() -> None:
    """After the time, but for so many; a task brings one back."""
    scheduler = Scheduler(2, idle_seconds=10.0, min_workers=1)
    tasks = [Task(ident) for ident in range(2)]
    for task in tasks:
        scheduler.submitted(task)
    first, second = scheduler.workers
    assert [Alarm(0.0)] == list(scheduler.worker_ready(first))
    assert not scheduler.worker_ready(second)
    scheduler.task_finished(first, tasks[0], SHORT)
    scheduler.task_finished(second, tasks[1], SHORT)
    assert [Alarm(105.0)] == list(scheduler.clock(100.0))
    assert [Alarm(110.0)] == list(scheduler.clock(105.0))
    assert [Retire(first)] == list(scheduler.clock(110.0))
    # The other one stays, and nobody looks any more.
    assert not scheduler.clock(1000.0)
    assert [second] == [worker for worker in scheduler.workers if worker.state is not CLOSING]
    third, fourth = Task(7), Task(8)
    assert [Send(second, [third])] == list(scheduler.submitted(third))
    (start, _) = scheduler.submitted(fourth)
    assert isinstance(start, Start)


def test_a_worker_that_is_of_use_stays() -> None:
    """One with an object of the program for good, one with a message for as long again."""
    scheduler = Scheduler(2, idle_seconds=10.0)
    scheduler.wanted(0)
    scheduler.wanted(1)
    kept, used = scheduler.workers
    scheduler.slot_kept(0, 1)
    for worker in (kept, used):
        scheduler.worker_ready(worker)
    scheduler.clock(0.0)
    scheduler.worker_used(used)
    assert not any(isinstance(action, Retire) for action in scheduler.clock(10.0))
    assert Retire(used) in scheduler.clock(20.0)
    scheduler.slot_kept(0, -1)
    assert Retire(kept) in scheduler.clock(30.0)
