"""
The queue of tasks that wait.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.crew import SpecialTask, make_tasks
from webworker_executor.rules.backlog import Backlog
from webworker_executor.rules.machine import InvalidTransition
from webworker_executor.rules.task import CANCELLED, DONE, QUEUED, SENT, Task


def make_backlog(count: int) -> tuple[Backlog, list[Task]]:
    """Make a backlog in which so many tasks wait."""
    backlog, tasks = Backlog(), make_tasks(count)
    backlog.rebuild(tasks)
    return backlog, tasks


def test_tasks_are_taken_in_order() -> None:
    """First in, first out."""
    backlog, tasks = make_backlog(3)
    assert tasks[:2] == backlog.take(2)
    assert backlog.n_queued == 1


def test_given_back_tasks_stand_first_in_order() -> None:
    """What comes back from a worker runs before what never left."""
    backlog, tasks = make_backlog(4)
    for task in backlog.take(2):
        task.state = SENT
    backlog.give_back(tasks[:2])
    assert tasks == backlog.take(9)


def test_a_cancelled_task_is_skipped_and_not_counted() -> None:
    """A cancel is exact though the task stays in the deque."""
    backlog, tasks = make_backlog(3)
    backlog.cancel(tasks[0])
    assert backlog.n_queued == 2
    assert tasks[1:] == backlog.take(3)


def test_only_a_waiting_task_is_cancelled() -> None:
    """A task that does not wait is refused, and the count stays."""
    backlog, _ = make_backlog(3)
    with pytest.raises(InvalidTransition):
        backlog.cancel(Task(9))
    assert backlog.n_queued == 3


def test_ten_thousand_cancels_leave_nothing_behind() -> None:
    """Cancelled tasks do not pile up."""
    backlog, tasks = make_backlog(10_000)
    for task in tasks[5:]:
        backlog.cancel(task)
    assert backlog.n_queued == 5
    assert len(backlog.tasks) <= 64


def test_clear_takes_all_for_one_reason() -> None:
    """Everything that waits ends as told; what was cancelled before does not again."""
    backlog, tasks = make_backlog(3)
    backlog.cancel(tasks[1])
    assert [tasks[0], tasks[2]] == backlog.clear("fail")
    assert [DONE, CANCELLED, DONE] == [task.state for task in tasks]


@settings(max_examples=40)
@given(st.lists(st.integers(0, 99), unique=True))
def test_the_count_is_exact(cancelled: list[int]) -> None:
    """Whatever is cancelled, the count is that of the tasks that can be taken."""
    backlog, tasks = make_backlog(100)
    for ident in cancelled:
        backlog.cancel(tasks[ident])
    n_queued = backlog.n_queued
    assert n_queued == len(backlog.take(100)) == 100 - len(cancelled)
    assert all(task.state in {QUEUED, CANCELLED} for task in tasks)


def pin(backlog: Backlog, ident: int, slot: int) -> SpecialTask:
    """Put a task into a lane."""
    task = SpecialTask(ident, slot)
    task.state = QUEUED
    backlog.pin(task, slot)
    return task


def test_the_older_task_is_due() -> None:
    """A place runs what is pinned to it and what runs anywhere in the order of submission."""
    tasks = [Task(0), Task(2)]
    backlog = Backlog()
    backlog.rebuild(tasks)
    pinned = pin(backlog, 1, 1)
    assert not backlog.is_due(0)
    assert not backlog.is_due(1)
    assert tasks[:1] == backlog.take(9, 1)
    assert backlog.is_due(1)
    assert pinned is backlog.take_pinned(1)
    assert tasks[1:] == backlog.take(9, 1)
    assert backlog.is_empty
    assert backlog.front is None


def test_pinned_tasks_that_are_cancelled_are_never_taken() -> None:
    """
    Wherever they stand; and a lane in which all are is none.
    """
    backlog = Backlog()
    tasks = [pin(backlog, ident, 0) for ident in range(1, 1001)]
    for task in reversed(tasks[1:-1]):
        backlog.cancel(task)
    assert [tasks[0], tasks[-1]] == backlog.lanes[0].tasks()
    assert [tasks[0], tasks[-1]] == [backlog.take_pinned(0) for _ in range(2)]
    assert {} == backlog.lanes
    backlog.cancel(pin(backlog, 1001, 0))
    assert backlog.is_empty


def test_lanes_are_kept_through_everything() -> None:
    """Given back, cancelled, rebuilt and cleared, a pinned task stays with its place."""
    backlog = Backlog()
    first, second, third = (pin(backlog, ident, 1) for ident in (1, 2, 3))
    assert first is backlog.take_pinned(1)
    first.state = SENT
    backlog.give_back([first])
    backlog.cancel(second)
    assert CANCELLED == second.state
    assert [first, third] == backlog.lanes[1].tasks()
    backlog.rebuild([first, third])
    assert [first, third] == backlog.clear("fail")
    assert {} == backlog.lanes
    assert DONE == third.state


def test_the_last_of_a_lane_takes_it_along() -> None:
    """No lane is empty."""
    backlog = Backlog()
    backlog.cancel(pin(backlog, 1, 0))
    assert backlog.is_empty


def test_a_higher_priority_comes_first() -> None:
    """What has none stands at 0, between those above and those below."""
    backlog, plain = make_backlog(2)
    low, high, higher = (SpecialTask(9, None, 0, -1), SpecialTask(8, None, 0, 1), SpecialTask(7))
    higher.priority = 2
    for task in (low, high, higher):
        task.state = QUEUED
        backlog.rank(task)
    assert higher is backlog.front
    assert 5 == backlog.n_queued
    assert [higher, high, *plain, low] == backlog.take(9)
    assert backlog.is_empty


def test_ranked_tasks_come_back_where_they_stood() -> None:
    """Given back, cancelled or rebuilt, a task keeps its rank."""
    backlog, (plain,) = make_backlog(1)
    first, second, third = (SpecialTask(ident, None, 0, 5) for ident in (2, 3, 4))
    for task in (first, second, third):
        task.state = QUEUED
        backlog.rank(task)
    (taken,) = backlog.take(1)
    taken.state = SENT
    backlog.give_back([taken])
    backlog.cancel(second)
    assert 3 == backlog.n_queued
    backlog.rebuild([plain, first, third])
    assert [first, third, plain] == backlog.clear("fail")


def test_priorities_count_within_a_lane_and_against_it() -> None:
    """A place runs what is most urgent of what is pinned to it and what is not."""
    backlog = Backlog()
    usual, urgent = pin(backlog, 1, 0), SpecialTask(2, 0, 0, 3)
    urgent.state = QUEUED
    backlog.pin(urgent, 0)
    assert [urgent, usual] == backlog.lanes[0].tasks()
    most_urgent = SpecialTask(3, None, 0, 9)
    most_urgent.state = QUEUED
    backlog.rank(most_urgent)
    assert not backlog.is_due(0)
    assert [most_urgent] == backlog.take(9, 0)
    assert backlog.is_due(0)
