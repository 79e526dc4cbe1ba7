"""
What the scheduler may ask for.
"""

from __future__ import annotations

from webworker_executor.rules.action import Action, Fail, Recall, Retire, Send, Start
from webworker_executor.rules.task import Task
from webworker_executor.rules.worker import Worker


def test_actions_compare_by_what_they_ask() -> None:
    """Two actions are equal if kind and details are."""
    worker = Worker(0, 0)
    assert Recall(worker, 2) == Recall(worker, 2)
    assert Recall(worker, 2) != Recall(worker, 3)
    actions: list[Action] = [Start(worker), Retire(worker)]
    assert 1 == actions.index(Retire(worker))


def test_actions_are_bare() -> None:
    """An action has no dictionary, since one is made per task."""
    worker, task = Worker(0, 0), Task(0)
    assert [] == [
        action
        for action in (Send(worker, [task]), Fail(task, worker))
        if hasattr(action, "__dict__")
    ]
