"""
The states of a worker's life.
"""

from __future__ import annotations

import pytest

from webworker_executor.rules.worker import EXITED, WORKER_TABLE, Worker


@pytest.mark.parametrize("state", [state for state in WORKER_TABLE if state != EXITED])
def test_a_worker_may_exit_in_any_state(state: str) -> None:
    """A process may die at any time."""
    assert EXITED == WORKER_TABLE[state]["exit"]


def test_a_worker_may_become_ready_after_it_was_asked_to_leave() -> None:
    """The two messages may cross."""
    worker = Worker(0, 0)
    worker.step("close")
    worker.step("ready")
    assert worker.state == "closing"


def test_a_worker_tells_its_state() -> None:
    """The repr shows number, slot, state and load."""
    assert repr(Worker(4, 1)) == "<Worker 4 slot=1 starting inflight=0>"
