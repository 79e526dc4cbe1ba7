"""
Tests of `webworker_executor.rules.script`: the states of a worker that somebody made.
"""

from __future__ import annotations

import pytest

from webworker_executor.rules.machine import InvalidTransition
from webworker_executor.rules.script import CLOSING, EXITED, RUNNING, STARTING, ScriptMachine


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], STARTING),
        (["ready"], RUNNING),
        (["ready", "close"], CLOSING),
        (["close", "ready"], CLOSING),
        (["close", "close"], CLOSING),
        (["exit"], EXITED),
        (["ready", "close", "exit"], EXITED),
    ],
)
def test_lives(events: list[str], state: str) -> None:
    """
    Each way through a life ends where it should.
    """
    machine = ScriptMachine()
    for event in events:
        machine.step(event)
    assert state == machine.state


@pytest.mark.parametrize("events", [["ready", "ready"], ["exit", "exit"], ["exit", "close"]])
def test_what_cannot_happen(events: list[str]) -> None:
    """
    What no worker does is a mistake of ours, and is told as one.
    """
    machine = ScriptMachine()
    machine.step(events[0])
    with pytest.raises(InvalidTransition, match="script cannot"):
        machine.step(events[1])
