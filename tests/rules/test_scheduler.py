"""
The events of tasks.
"""

from __future__ import annotations

import pytest

from tests.rules.crew import SHORT, SpecialTask, make_crew, make_tasks, n_queued
from webworker_executor.rules.action import Fail, Recall, Retire, Retry, Send, Start
from webworker_executor.rules.machine import InvalidTransition
from webworker_executor.rules.scheduler import ProtocolViolation, Scheduler
from webworker_executor.rules.supervisor import UNKNOWN
from webworker_executor.rules.task import CANCELLED, DONE, QUEUED, SENT, Task
from webworker_executor.rules.worker import DEAF, DRAINING, WITHHELD


def test_a_task_goes_to_an_idle_worker_and_is_done() -> None:
    """The common case is one Send, and nothing on the answer."""
    scheduler, (worker,) = make_crew(1)
    (task,) = make_tasks(1)
    assert [Send(worker, [task])] == list(scheduler.submitted(task))
    assert (SENT, worker) == (task.state, task.worker)
    assert not scheduler.task_finished(worker, task, SHORT)
    assert DONE == task.state


def test_a_task_is_submitted_once() -> None:
    """A second submit of the same task is our own mistake."""
    scheduler, (task,) = Scheduler(1), make_tasks(1)
    scheduler.submitted(task)
    with pytest.raises(InvalidTransition):
        scheduler.submitted(task)


def test_only_the_head_may_be_answered() -> None:
    """An answer out of turn is refused, and nothing has changed."""
    scheduler, (worker,) = make_crew(1)
    tasks = make_tasks(2)
    for task in tasks:
        scheduler.submitted(task)
    held = list(worker.inflight)
    with pytest.raises(ProtocolViolation, match="does not run"):
        scheduler.task_finished(worker, tasks[1], SHORT)
    assert held == list(worker.inflight)
    assert SENT == tasks[0].state


def test_a_worker_that_is_not_up_answers_nothing() -> None:
    """An answer before the hello is refused."""
    scheduler, (task,) = Scheduler(1), make_tasks(1)
    scheduler.submitted(task)
    with pytest.raises(ProtocolViolation):
        scheduler.task_finished(scheduler.workers[0], task, SHORT)
    assert SENT == task.state


def test_the_pace_is_pessimistic() -> None:
    """A slow task counts at once, fast ones are believed only by and by."""
    scheduler, (worker,) = make_crew(1)
    paces = []
    for task, seconds in zip(make_tasks(3), [1.0, 0.0, 2.0], strict=True):
        scheduler.submitted(task)
        scheduler.task_finished(worker, task, seconds)
        paces.append(worker.pace)
    assert [1.0, 0.7, 2.0] == paces


def test_a_dropped_task_leaves_its_worker_idle() -> None:
    """A future cancelled at the hand-over costs the worker nothing, and the next task is sent."""
    scheduler, (worker,) = make_crew(1, max_prefetch=1)
    first, second = make_tasks(2)
    scheduler.submitted(first)
    scheduler.submitted(second)
    assert [Send(worker, [second])] == list(scheduler.task_dropped(worker, first))
    assert (CANCELLED, 2) == (first.state, worker.n_sent)


def test_a_task_is_dropped_only_where_it_was() -> None:
    """Dropping what a worker does not hold is refused."""
    scheduler, (worker,) = make_crew(1)
    with pytest.raises(ProtocolViolation):
        scheduler.task_dropped(worker, make_tasks(1)[0])


def test_returned_tasks_are_next_in_line() -> None:
    """What a worker gives back unasked runs before what waits, in its old order."""
    scheduler, (worker, other) = make_crew(2)
    tasks = make_tasks(5)
    for task in tasks:
        scheduler.submitted(task)
    given = list(other.inflight)
    scheduler.worker_exited(worker, UNKNOWN, 0.0)
    actions = scheduler.tasks_returned(other, [task.ident for task in reversed(given)])
    (send,) = actions
    assert Send(other, given[:1]) == send


def test_a_worker_cannot_return_what_it_does_not_hold() -> None:
    """A foreign number is refused, and nothing has changed."""
    scheduler, (worker,) = make_crew(1)
    (task,) = make_tasks(1)
    scheduler.submitted(task)
    with pytest.raises(ProtocolViolation, match="does not hold"):
        scheduler.tasks_returned(worker, [0, 99])
    assert [task] == list(worker.inflight)


def test_a_dead_worker_returns_nothing() -> None:
    """An answer to a Recall that arrives after the exit is too late."""
    scheduler, (worker,) = make_crew(1)
    scheduler.worker_exited(worker, UNKNOWN, 0.0)
    assert not scheduler.tasks_returned(worker, [5])


def test_a_late_answer_to_a_recall_leaves_a_worker_deaf() -> None:
    """It has heard of the Recall, and not yet that everything was taken back."""
    scheduler, (worker, _) = make_crew(2)
    tasks = make_tasks(3)
    for task in tasks:
        scheduler.submitted(task)
    worker.step("deafen")
    worker.recall = WITHHELD
    scheduler.tasks_returned(worker, [])
    assert (DEAF, WITHHELD) == (worker.state, worker.recall)


def test_what_a_worker_passed_over_must_be_its_own() -> None:
    """Or it is not to be trusted."""
    scheduler, (worker,) = make_crew(1)
    with pytest.raises(ProtocolViolation, match="gave back"):
        scheduler.worker_hears(worker, [7])


def test_who_hears_and_has_run_its_share_leaves() -> None:
    """Or who has no place any more: as when a worker comes up."""
    scheduler, (_, second) = make_crew(2)
    (task,) = make_tasks(1)
    scheduler.submitted(task)
    second.step("deafen")
    second.recall = WITHHELD
    scheduler.resized(1)
    assert DEAF == second.state
    scheduler.worker_hears(second, [])
    assert DRAINING == second.state


def test_a_cancelled_task_never_runs() -> None:
    """A cancel is exact and touches nothing else."""
    scheduler, tasks = Scheduler(1), make_tasks(3)
    for task in tasks:
        scheduler.submitted(task)
    assert not scheduler.task_cancelled(tasks[1])
    assert n_queued(scheduler) == 1
    (worker,) = scheduler.workers
    scheduler.worker_ready(worker)
    assert [Send(worker, [tasks[2]])] == list(scheduler.task_finished(worker, tasks[0], 1.0))


def test_a_sent_task_is_not_cancelled() -> None:
    """What was sent may have begun."""
    scheduler, (task,) = Scheduler(1), make_tasks(1)
    scheduler.submitted(task)
    with pytest.raises(InvalidTransition):
        scheduler.task_cancelled(task)


def test_the_last_cancel_lets_workers_leave() -> None:
    """In a shutdown a cancel may be what was waited for."""
    scheduler, tasks = Scheduler(1), make_tasks(1)
    scheduler.submitted(tasks[0])
    (worker,) = scheduler.workers
    scheduler.start_failed(worker, 0.0)
    assert QUEUED == tasks[0].state
    scheduler.shutdown()
    assert 1 == len(scheduler.task_cancelled(tasks[0]))


def test_submits_into_a_busy_pool_are_sent_in_bulk() -> None:
    """A lone task follows the running one at once; after that, whole batches do."""
    scheduler, _ = make_crew(1)
    n_sends = [len(scheduler.submitted(task)) for task in make_tasks(40)]
    assert [1, 1] == n_sends[:2]
    assert 3 >= sum(n_sends)


@pytest.mark.parametrize("count", [1, 7])
def test_a_shutdown_pool_drains_to_the_end(count: int) -> None:
    """After the last answer the worker is asked to leave."""
    scheduler, (worker,) = make_crew(1)
    for task in make_tasks(count):
        scheduler.submitted(task)
    scheduler.shutdown()
    while worker.inflight:
        actions = scheduler.task_finished(worker, worker.inflight[0], SHORT)
    assert [Retire(worker)] == list(actions)


def test_a_pinned_task_goes_to_its_place_only() -> None:
    """It waits for that worker while another one idles."""
    scheduler, (first, second) = make_crew(2)
    tasks: list[Task] = [SpecialTask(ident, second.slot) for ident in (1, 2)]
    assert [Send(second, tasks[:1])] == list(scheduler.submitted_to(tasks[0], second.slot))
    assert not scheduler.submitted_to(tasks[1], second.slot)
    assert (QUEUED, 1) == (tasks[1].state, n_queued(scheduler))
    assert not first.inflight
    assert [Send(second, tasks[1:])] == list(scheduler.task_finished(second, tasks[0], SHORT))


def test_a_pinned_task_has_its_worker_started() -> None:
    """Whatever place it names, and no other."""
    scheduler = Scheduler(3)
    task = SpecialTask(1, 2)
    start, send = scheduler.submitted_to(task, 2)
    assert isinstance(start, Start)
    assert 2 == start.worker.slot
    assert Send(start.worker, [task]) == send


def test_a_place_that_is_not_there_is_refused() -> None:
    """And nothing has changed."""
    scheduler, task = Scheduler(1), SpecialTask(1, 1)
    with pytest.raises(ValueError, match="there is no slot 1: this pool has 1 workers"):
        scheduler.submitted_to(task, 1)
    assert 0 == n_queued(scheduler)


def test_a_task_survives_as_many_workers_as_it_may() -> None:
    """Then its worker's death is charged to it."""
    scheduler, (worker,) = make_crew(1)
    task = SpecialTask(1, retries=1)
    scheduler.submitted(task)
    retry, start, send = scheduler.worker_exited(worker, task, 0.0)
    assert Retry(task, worker) == retry
    assert isinstance(start, Start)
    assert Send(start.worker, [task]) == send
    scheduler.worker_ready(start.worker)
    fail, *_ = scheduler.worker_exited(start.worker, task, 0.0)
    assert Fail(task, start.worker) == fail


def test_an_urgent_task_overtakes_what_has_not_begun() -> None:
    """What lies in a worker behind the running task is asked back, once."""
    scheduler, (worker,) = make_crew(1)
    tasks = make_tasks(5)
    for task in tasks:
        scheduler.submitted(task)
    n_held = len(worker.inflight)
    assert 1 < n_held
    urgent, other = SpecialTask(90, None, 0, 1), SpecialTask(91, None, 0, 1)
    assert [Recall(worker, n_held - 1)] == list(scheduler.submitted_ranked(urgent))
    assert [] == list(scheduler.submitted_ranked(other))
    (send,) = scheduler.tasks_returned(worker, [task.ident for task in tasks[1:n_held]])
    assert isinstance(send, Send)
    assert urgent is send.tasks[0]


def test_a_low_priority_waits_for_the_others() -> None:
    """A negative one runs when nothing else waits, and calls nothing back."""
    scheduler, (worker,) = make_crew(1, max_prefetch=1)
    first, second = make_tasks(2)
    scheduler.submitted(first)
    low = SpecialTask(50, None, 0, -1)
    assert not scheduler.submitted_ranked(low)
    scheduler.submitted(second)
    assert [Send(worker, [second])] == list(scheduler.task_finished(worker, first, 1.0))
    assert [Send(worker, [low])] == list(scheduler.task_finished(worker, second, 1.0))
