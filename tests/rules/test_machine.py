"""
Transition tables, the machines that follow them, and the story told when they cannot.
"""

from __future__ import annotations

from typing import ClassVar

import pytest

from webworker_executor.rules.machine import InvalidTransition, Machine, Table, diagram, table

DOOR = table(
    "door", {"shut": {"open": "ajar"}, "ajar": {"close": "shut", "burn": "ash"}, "ash": {}}
)


class Door(Machine):
    table: ClassVar[Table] = DOOR


def test_a_table_is_two_subscripts() -> None:
    """A transition is looked up as table[state][event]."""
    assert DOOR["shut"]["open"] == "ajar"


def test_a_table_refuses_what_a_state_does_not_allow() -> None:
    """A bare table names machine, state and event."""
    with pytest.raises(InvalidTransition, match="door cannot 'burn' while 'shut'"):
        DOOR["shut"]["burn"]


def test_a_table_leads_nowhere_else() -> None:
    """A table with a transition into an unknown state cannot be built."""
    with pytest.raises(ValueError, match="unknown state 'wall'"):
        table("door", {"shut": {"open": "wall"}})


def test_a_machine_starts_in_the_first_state() -> None:
    """The first row is the initial state."""
    assert Door().state == "shut"


def test_a_machine_tells_its_story() -> None:
    """A refused step leaves the state and names the steps that led to it."""
    door = Door()
    door.step("open")
    door.step("close")
    with pytest.raises(InvalidTransition, match="after open, close") as caught:
        door.step("burn")
    assert ("door", "shut", "burn", ("open", "close")) == (
        caught.value.machine,
        caught.value.state,
        caught.value.event,
        caught.value.story,
    )
    assert door.state == "shut"


def test_a_table_draws_itself() -> None:
    """The diagram has every transition, the way in and the way out."""
    expected = (
        "stateDiagram-v2\n"
        "    [*] --> shut\n"
        "    shut --> ajar: open\n"
        "    ajar --> shut: close\n"
        "    ajar --> ash: burn\n"
        "    ash --> [*]\n"
    )
    assert expected == diagram(DOOR)
