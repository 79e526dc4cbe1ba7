"""
The states of a submitted call.
"""

from __future__ import annotations

import pytest

from webworker_executor.rules.machine import InvalidTransition
from webworker_executor.rules.task import CANCELLED, DONE, NEW, SENT, TASK_TABLE, Task


def test_a_task_is_new() -> None:
    """A task starts with no worker and no strikes."""
    task = Task(7)
    assert (7, NEW, None, 0) == (task.ident, task.state, task.worker, task.strikes)


def test_a_sent_task_cannot_be_cancelled() -> None:
    """A sent task may have begun, so only a hand-over that did not happen ends it early."""
    with pytest.raises(InvalidTransition):
        TASK_TABLE[SENT]["cancel"]
    assert CANCELLED == TASK_TABLE[SENT]["drop"]


@pytest.mark.parametrize("state", [DONE, CANCELLED])
def test_an_outcome_is_final(state: str) -> None:
    """Nothing follows an outcome."""
    assert {} == TASK_TABLE[state]


def test_a_task_tells_its_state() -> None:
    """The repr shows number and state."""
    assert repr(Task(7)) == "<Task #7 new>"
