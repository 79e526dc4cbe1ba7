"""Outcomes of programs that do not live to tell."""

from __future__ import annotations

import pytest

from webworker_executor.conformance import watch
from webworker_executor.conformance.row import HANGS
from webworker_executor.conformance.rows import ROWS
from webworker_executor.conformance.subject import Subject

pytestmark = pytest.mark.slow

BY_NAME = {row.name: row for row in ROWS}


def test_a_hang_is_an_outcome(planted: str) -> None:
    """And takes no longer than the row's limit."""
    row = BY_NAME["lambda_task"]._replace(limit=1.0)
    assert HANGS == watch.run(row, Subject(f"{planted}:HangingForEver"))


def test_a_failure_is_an_outcome(planted: str) -> None:
    """It is told by the last line that the program wrote."""
    row = BY_NAME["lambda_task"]
    missing = watch.run(row, Subject(f"{planted}:NoSuchExecutor"))
    assert missing.startswith("fails: AttributeError: module 'tests.conformance.planted' has no")
    assert len(missing) <= watch.MAX_LENGTH
    assert "fails: exit 5" == watch.run(row, Subject(f"{planted}:Exiting"))


@pytest.mark.parametrize(
    "name", ["parent_is_killed", "interrupt_with_block", "interrupt_at_terminal"]
)
def test_tasks_that_never_start(planted: str, name: str) -> None:
    """Nobody is killed or interrupted for nothing."""
    row = BY_NAME[name]._replace(limit=1.0)
    assert "tasks do not start" == watch.run(row, Subject(f"{planted}:Hanging"))
