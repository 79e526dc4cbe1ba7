"""
Which worker gets which task, who is started, asked and retired.
"""

from __future__ import annotations

import pytest

from tests.rules.crew import SHORT, make_crew, make_tasks, n_queued
from webworker_executor.rules.action import Alarm, Recall, Retire, Send, Start, Withhold
from webworker_executor.rules.assignment import ANSWER_SECONDS
from webworker_executor.rules.scheduler import Scheduler
from webworker_executor.rules.supervisor import UNKNOWN, not_begun
from webworker_executor.rules.worker import (
    ASKED,
    BARREN,
    DEAF,
    DRAINING,
    FREE,
    READY,
    SILENT,
    WITHHELD,
    Worker,
)


def test_workers_are_started_on_demand() -> None:
    """A task that finds no idle worker starts one, and is sent to it already."""
    scheduler, (first, second, third) = Scheduler(2), make_tasks(3)
    start, send = scheduler.submitted(first)
    (worker,) = scheduler.workers
    assert [Start(worker), Send(worker, [first])] == [start, send]
    assert 2 == len(scheduler.submitted(second))
    assert not scheduler.submitted(third)
    assert [0, 1] == [worker.slot for worker in scheduler.workers]


def test_an_eager_pool_starts_all_at_once() -> None:
    """The first task brings up every worker."""
    scheduler, (task,) = Scheduler(3, eager=True), make_tasks(1)
    actions = scheduler.submitted(task)
    workers = scheduler.workers
    assert [*(Start(worker) for worker in workers), Send(workers[0], [task])] == list(actions)


def test_the_worker_used_last_is_used_next() -> None:
    """Warm caches are used."""
    scheduler, (_, last) = make_crew(2)
    (task,) = make_tasks(1)
    assert [Send(last, [task])] == list(scheduler.submitted(task))


def test_unknown_pace_means_one_at_a_time() -> None:
    """Nothing is sent ahead to a worker whose tasks' duration is unknown."""
    scheduler, tasks = Scheduler(1), make_tasks(100)
    for task in tasks:
        scheduler.submitted(task)
    (worker,) = scheduler.workers
    scheduler.worker_ready(worker)
    assert tasks[:1] == list(worker.inflight)


def test_long_tasks_are_not_sent_ahead() -> None:
    """Who holds a long task holds no other."""
    scheduler, tasks = Scheduler(1), make_tasks(100)
    for task in tasks:
        scheduler.submitted(task)
    (worker,) = scheduler.workers
    scheduler.worker_ready(worker)
    assert [Send(worker, [tasks[1]])] == list(scheduler.task_finished(worker, tasks[0], 1.0))


def test_short_tasks_are_sent_ahead_in_shrinking_portions() -> None:
    """A worker of short tasks gets a share of the backlog, so that all end at the same time."""
    scheduler, tasks = Scheduler(2), make_tasks(102)
    for task in tasks:
        scheduler.submitted(task)
    worker, _ = scheduler.workers
    scheduler.worker_ready(worker)
    (send,) = scheduler.task_finished(worker, tasks[0], SHORT)
    assert Send(worker, tasks[2:27]) == send


@pytest.mark.parametrize(
    ("seconds", "max_prefetch", "expected"), [(0.01, 4, 4), (5.5 * SHORT, 99, 5), (0.0, 99, 1)]
)
def test_prefetch_is_bounded(seconds: float, max_prefetch: int, expected: int) -> None:
    """Neither more seconds nor more tasks are sent ahead than allowed."""
    scheduler = Scheduler(1, prefetch_seconds=seconds, max_prefetch=max_prefetch)
    tasks = make_tasks(200)
    for task in tasks:
        scheduler.submitted(task)
    (worker,) = scheduler.workers
    scheduler.worker_ready(worker)
    scheduler.task_finished(worker, tasks[0], SHORT)
    assert expected == len(worker.inflight)


@pytest.mark.parametrize(("age", "n_ahead"), [(0.0, 1), (4 * SHORT, 1), (1.0, 0)])
def test_nothing_is_sent_ahead_behind_a_task_that_is_late(age: float, n_ahead: int) -> None:
    """A worker of short tasks that has not answered for long may not even be able to give back."""
    now = [100.0]
    scheduler, (worker,) = make_crew(1, read_clock=lambda: now[0])
    first, second, third = make_tasks(3)
    scheduler.submitted(first)
    scheduler.task_finished(worker, first, SHORT)
    scheduler.submitted(second)
    now[0] += age
    scheduler.submitted(third)
    assert 1 + n_ahead == len(worker.inflight)
    scheduler.task_finished(worker, second, SHORT)
    assert [third] == list(worker.inflight)


def test_a_worker_is_filled_up_when_half_empty() -> None:
    """Answers above half the depth lead to no sending."""
    scheduler, tasks = Scheduler(1, max_prefetch=4), make_tasks(200)
    for task in tasks:
        scheduler.submitted(task)
    (worker,) = scheduler.workers
    scheduler.worker_ready(worker)
    n_sent = []
    for task in tasks[:6]:
        actions = scheduler.task_finished(worker, task, SHORT)
        n_sent.append(sum(len(send.tasks) for send in actions if isinstance(send, Send)))
    assert [4, 0, 2, 0, 2, 0] == n_sent


def test_an_idle_worker_asks_the_richest() -> None:
    """Who idles while another holds two or more gets half of what waits there."""
    scheduler, (first, second) = make_crew(2)
    tasks = make_tasks(4)
    for task in tasks:
        scheduler.submitted(task)
    assert ([tasks[1], tasks[2]], [tasks[0], tasks[3]]) == (
        list(first.inflight),
        list(second.inflight),
    )
    scheduler.task_finished(first, tasks[1], SHORT)
    actions = scheduler.task_finished(first, tasks[2], SHORT)
    assert [Recall(second, 1), Alarm(ANSWER_SECONDS)] == list(actions)
    assert second.recall is ASKED
    assert [Send(first, [tasks[3]])] == list(scheduler.tasks_returned(second, [3]))


def test_a_barren_worker_is_asked_again_only_after_an_answer() -> None:
    """There is no ping-pong of fruitless Recalls."""
    scheduler, (first, second) = make_crew(2)
    for task in make_tasks(40):
        scheduler.submitted(task)
    while first.inflight or n_queued(scheduler):
        scheduler.task_finished(first, first.inflight[0], SHORT)
    n_held = len(second.inflight)
    assert n_held > 3
    assert not scheduler.tasks_returned(second, [])
    again = scheduler.task_finished(second, second.inflight[0], SHORT)
    assert [Recall(second, (n_held - 1) // 2)] == list(again)


def test_a_barren_worker_is_asked_again_after_a_while() -> None:
    """What it was sent may have come since; and it may never answer any of that."""
    scheduler, (_, asked, _), at = run_dry()
    scheduler.tasks_returned(asked, [])
    assert BARREN == asked.recall
    asked.inflight.extend(make_tasks(20, first=300))
    assert Recall(asked, len(asked.inflight) // 2) in list(scheduler.clock(at))


def run_dry() -> tuple[Scheduler, list[Worker], float]:
    """
    Let the first of three workers run dry while both others hold several tasks.

    Returns:
        The workers: who idles, who was asked, and who was not; and when the scheduler looks again.
    """
    scheduler, (idle, *others) = make_crew(3, read_clock=lambda: 100.0)
    for task in make_tasks(80):
        scheduler.submitted(task)
    while len(idle.inflight) > 1 or n_queued(scheduler):
        scheduler.task_finished(idle, idle.inflight[0], SHORT)
    assert all(len(worker.inflight) > 3 for worker in others)
    recall, alarm = scheduler.task_finished(idle, idle.inflight[0], SHORT)
    assert isinstance(recall, Recall)
    assert isinstance(alarm, Alarm)
    others.sort(key=lambda worker: worker is not recall.worker)
    return scheduler, [idle, *others], alarm.at


def test_a_worker_that_says_nothing_is_counted_on_for_a_moment_only() -> None:
    """Then another is asked, once; who said nothing is not, and costs nothing more."""
    scheduler, (idle, silent, other), at = run_dry()
    assert 100.0 + ANSWER_SECONDS == at
    assert not scheduler.clock(100.0)
    recall, _ = scheduler.clock(at)
    assert Recall(other, len(other.inflight) // 2) == recall
    assert (SILENT, ASKED) == (silent.recall, other.recall)
    last = other.inflight[-1]
    assert [Send(idle, [last])] == list(scheduler.tasks_returned(other, [last.ident]))
    # Who answers is asked again; nobody counts on the one that does not.
    recall, *_ = scheduler.task_finished(idle, last, SHORT)
    assert Recall(other, len(other.inflight) // 2) == recall


def test_a_late_answer_counts_like_any_other() -> None:
    """What comes back is run, and its worker may be asked again."""
    scheduler, (idle, silent, _), at = run_dry()
    scheduler.clock(at)
    last = silent.inflight[-1]
    assert [Send(idle, [last])] == list(scheduler.tasks_returned(silent, [last.ident]))
    assert FREE == silent.recall


def test_a_silent_worker_gets_nothing_more() -> None:
    """It could not be had back."""
    scheduler, (_, silent, _), at = run_dry()
    scheduler.clock(at)
    n_held = len(silent.inflight)
    for task in make_tasks(80, first=80):
        scheduler.submitted(task)
    assert n_held == len(silent.inflight)


def test_who_was_asked_just_before_has_its_time() -> None:
    """The alarm rings for the first that was asked; the others are given theirs."""
    scheduler, (_, first, second), at = run_dry()
    second.recall, second.asked_at = ASKED, 100.0 + ANSWER_SECONDS / 2
    actions = scheduler.clock(at)
    assert (SILENT, ASKED) == (first.recall, second.recall)
    assert [Alarm(100.0 + ANSWER_SECONDS)] == list(actions)


def withhold(scheduler: Scheduler, worker: Worker, at: float) -> None:
    """Let a worker that was asked say nothing, so that it gets nothing more."""
    worker.is_noted = True
    assert Withhold(worker) in list(scheduler.clock(at))
    assert (DEAF, WITHHELD) == (worker.state, worker.recall)


def test_a_silent_worker_is_withheld_from_where_it_keeps_a_ledger() -> None:
    """What it has not begun runs elsewhere; what it has begun stays its own."""
    scheduler, (idle, silent, _), at = run_dry()
    head, *behind = silent.inflight
    withhold(scheduler, silent, at)
    assert behind == not_begun(silent, head.ident)
    (send, *_) = scheduler.tasks_withheld(silent, behind)
    assert isinstance(send, Send)
    assert idle is send.worker
    assert [head] == list(silent.inflight)


def test_a_deaf_worker_gets_nothing_until_it_hears() -> None:
    """Nor does it count as idle when it holds nothing."""
    scheduler, (idle, deaf, _), at = run_dry()
    withhold(scheduler, deaf, at)
    scheduler.tasks_withheld(deaf, not_begun(deaf, deaf.answered))
    for task in make_tasks(80, first=80):
        scheduler.submitted(task)
    assert not deaf.inflight
    while n_queued(scheduler) or idle.inflight:
        scheduler.task_finished(idle, idle.inflight[0], SHORT)
    scheduler.worker_hears(deaf, [])
    assert READY == deaf.state
    for task in make_tasks(8, first=200):
        scheduler.submitted(task)
    assert deaf.inflight


def test_a_deaf_worker_that_answers_its_task_is_still_deaf() -> None:
    """It comes to what it was told in its own time."""
    scheduler, (_, deaf, _), at = run_dry()
    head = deaf.inflight[0]
    withhold(scheduler, deaf, at)
    scheduler.tasks_withheld(deaf, not_begun(deaf, head.ident))
    scheduler.task_finished(deaf, head, SHORT)
    assert (DEAF, []) == (deaf.state, list(deaf.inflight))


def test_a_deaf_worker_that_holds_nothing_keeps_no_pool_from_its_end() -> None:
    """It is asked to leave, as the idle ones are; whoever performs that forces it."""
    scheduler, (first, second) = make_crew(2)
    for task in make_tasks(40):
        scheduler.submitted(task)
    while first.inflight or n_queued(scheduler):
        scheduler.task_finished(first, first.inflight[0], SHORT)
    withhold(scheduler, second, ANSWER_SECONDS)
    scheduler.tasks_withheld(second, not_begun(second, -1))
    actions = list(scheduler.shutdown())
    while first.inflight:
        actions += scheduler.task_finished(first, first.inflight[0], SHORT)
    assert {first, second} == {action.worker for action in actions if isinstance(action, Retire)}


def test_a_worker_that_hears_by_itself_keeps_what_it_has() -> None:
    """Before anybody has looked: it gives back what it has passed over, and no more."""
    scheduler, (_, deaf, _), at = run_dry()
    withhold(scheduler, deaf, at)
    passed = list(deaf.inflight)[1:3]
    scheduler.worker_hears(deaf, [task.ident for task in passed])
    assert [] == not_begun(deaf, deaf.answered)
    assert not set(passed) & set(deaf.inflight)


def test_of_a_worker_without_an_entry_nothing_is_withheld() -> None:
    """Nobody would know what it has begun."""
    scheduler, (_, silent, _), at = run_dry()
    n_held = len(silent.inflight)
    assert not any(isinstance(action, Withhold) for action in scheduler.clock(at))
    assert (READY, n_held) == (silent.state, len(silent.inflight))


def test_a_used_up_worker_is_replaced_before_it_leaves() -> None:
    """The replacement starts while the last task runs, and gets work only when that has ended."""
    scheduler, tasks = Scheduler(1, max_tasks_per_worker=1), make_tasks(2)
    scheduler.submitted(tasks[0])
    (old,) = scheduler.workers
    scheduler.worker_ready(old)
    assert DRAINING == old.state
    (start,) = scheduler.submitted(tasks[1])
    _, new = scheduler.workers
    assert Start(new) == start
    assert (0, 0) == (new.slot, len(new.inflight))
    expected = [Send(new, [tasks[1]]), Retire(old)]
    assert expected == list(scheduler.task_finished(old, tasks[0], SHORT))


def test_prefetch_keeps_to_the_allowance() -> None:
    """A worker is not sent more tasks than it may run."""
    scheduler, tasks = Scheduler(1, max_tasks_per_worker=5), make_tasks(100)
    for task in tasks:
        scheduler.submitted(task)
    (worker,) = scheduler.workers
    scheduler.worker_ready(worker)
    scheduler.task_finished(worker, tasks[0], SHORT)
    assert tasks[1:5] == list(worker.inflight)


def test_an_idle_worker_of_a_lazy_pool_is_not_replaced_unasked() -> None:
    """Nobody notices the death of an idle worker."""
    scheduler, (worker,) = make_crew(1)
    assert not scheduler.worker_exited(worker, None, 0.0)
    assert 2 == len(scheduler.submitted(make_tasks(1)[0]))


def test_an_idle_worker_of_an_eager_pool_is_replaced_at_once() -> None:
    """An eager pool stays at full size."""
    scheduler, (worker,) = make_crew(1, eager=True)
    (start,) = scheduler.worker_exited(worker, UNKNOWN, 0.0)
    assert Start(scheduler.workers[0]) == start


def test_hands_are_free_where_nothing_waits() -> None:
    """Idle workers and free places are for what comes, unless it would be cancelled."""
    scheduler, _ = make_crew(2)
    scheduler.resized(5)
    assert (2, 3) == (scheduler.n_idle, scheduler.n_unused)
    scheduler.submitted(make_tasks(1)[0])
    assert (1, 3) == (scheduler.n_idle, scheduler.n_unused)
    scheduler.shutdown(cancel=True)
    assert (0, 0) == (scheduler.n_idle, scheduler.n_unused)
