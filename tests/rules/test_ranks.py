"""
The heap of tasks that have a priority.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.rules.crew import SpecialTask
from webworker_executor.rules.ranks import Ranks, comes_after, rank
from webworker_executor.rules.task import CANCELLED, QUEUED, Task


def make(priorities: list[int]) -> list[SpecialTask]:
    """Make tasks that wait, numbered from 0."""
    tasks = [SpecialTask(ident, None, 0, each) for ident, each in enumerate(priorities)]
    for task in tasks:
        task.state = QUEUED
    return tasks


@given(st.lists(st.integers(-3, 3)), st.data())
def test_the_highest_comes_first_and_then_the_oldest(
    priorities: list[int], data: st.DataObject
) -> None:
    """Whatever is cancelled, the others leave in order, and are counted exactly."""
    tasks = make(priorities)
    ranks = Ranks(tasks[:2])
    for task in tasks[2:]:
        ranks.push(task)
    for task in data.draw(st.lists(st.sampled_from(tasks), unique=True) if tasks else st.just([])):
        task.state = CANCELLED
        ranks.forget()
    waiting = sorted((task for task in tasks if task.state is QUEUED), key=rank)
    assert waiting == ranks.tasks()
    assert len(waiting) == len(ranks)
    for task in waiting:
        assert task is ranks.top
        ranks.pop()
    assert ranks.top is None


def test_cancelled_tasks_do_not_pile_up() -> None:
    """Ten thousand cancels leave a handful."""
    tasks = make([1] * 10_000)
    ranks = Ranks(tasks)
    for task in tasks[5:]:
        task.state = CANCELLED
        ranks.forget()
    assert 5 == len(ranks)
    assert 64 >= len(ranks._heap)


def test_a_task_without_a_priority_stands_at_zero() -> None:
    """It comes before what is below, and after what is above."""
    low, high = make([-1, 1])
    assert comes_after(low, Task(9))
    assert comes_after(Task(9), high)
    assert not comes_after(high, high)
