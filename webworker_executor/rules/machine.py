"""
Hold what may follow what: transition tables, and the error that tells the story of a step outside
of them.

Not for deciding which event to feed; that is the caller's. A changer must know: a table is
consulted for every task several times, so a lookup is two plain subscripts (`TABLE[state][event]`)
and the error costs nothing until it is raised.
"""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import ClassVar, NoReturn

__all__ = ["InvalidTransition", "Machine", "Row", "Table", "diagram", "table"]

STORY_LENGTH = 8


class InvalidTransition(AssertionError):
    """
    Report an event that a state does not allow: a mistake of this package, never of its user.

    Args:
        machine: The name of the machine.
        state: The state it was and still is in.
        event: The event that was refused.
        story: The last steps that led there, oldest first; empty where none are kept.

    Source: h11's LocalProtocolError for the refusal; the story is for the report that a user sends
    us.
    """

    def __init__(self, machine: str, state: str, event: str, story: Iterable[str] = ()) -> None:
        self.machine = machine
        self.state = state
        self.event = event
        self.story = tuple(story)
        told = f" after {', '.join(self.story)}" if self.story else ""
        super().__init__(
            f"{machine} cannot {event!r} while {state!r}{told}. "
            "This is a bug in webworker_executor; please report it with this message."
        )


class Row(dict[str, str]):
    """
    Map the events that one state allows to the states that follow.

    Args:
        machine: The name of the machine, for the error.
        state: The state this row belongs to.
        events: Event -> next state.

    Raises:
        InvalidTransition: On lookup of an event that the state does not allow.

    Source: h11, `_state.py`.
    """

    def __init__(self, machine: str, state: str, events: Mapping[str, str]) -> None:
        super().__init__(events)
        self.machine = machine
        self.state = state

    def __missing__(self, event: str) -> NoReturn:
        raise InvalidTransition(self.machine, self.state, event)


Table = dict[str, Row]


def table(machine: str, rows: Mapping[str, Mapping[str, str]]) -> Table:
    """
    Build a transition table whose lookups explain themselves when they fail.

    Args:
        machine: The name of the machine.
        rows: State -> event -> next state; the first state is the initial one.

    Returns:
        The table, read as `table[state][event]`.

    Raises:
        ValueError: If a row leads to a state that has no row.

    Source: h11, `_state.py`.
    """
    for state, events in rows.items():
        for event, following in events.items():
            if following not in rows:
                raise ValueError(
                    f"{machine}: {event!r} leads from {state!r} to unknown state {following!r}"
                )
    return {state: Row(machine, state, events) for state, events in rows.items()}


class Machine:
    """
    Be in one state of a table, and remember the last steps.

    For things with few events, such as a worker's life; tasks use their table bare, because an
    object and a story for each would double what a submit costs. A subclass names its `table`.

    Source: h11, `_state.py`; trio's habit of errors that carry their history.
    """

    __slots__ = ("_story", "state")
    table: ClassVar[Table] = {}

    def __init__(self) -> None:
        self.state = next(iter(self.table))
        self._story: deque[str] = deque(maxlen=STORY_LENGTH)

    def step(self, event: str) -> None:
        """
        Go on to the state that follows on an event.

        Args:
            event: What happened.

        Raises:
            InvalidTransition: If the state does not allow it; the state is unchanged.
        """
        row = self.table[self.state]
        if event not in row:
            raise InvalidTransition(row.machine, self.state, event, self._story)
        self._story.append(event)
        self.state = row[event]


def diagram(transitions: Mapping[str, Mapping[str, str]]) -> str:
    """
    Draw a table as a Mermaid state diagram for the documentation.

    Args:
        transitions: State -> event -> next state; the first state is drawn as the initial one.

    Returns:
        The diagram's text, one transition a line, in the order of the table.

    Source: Mermaid, "State diagrams"; h11's make-state-diagrams.py.
    """
    lines = ["stateDiagram-v2", *(f"    [*] --> {state}" for state in list(transitions)[:1])]
    for state, events in transitions.items():
        lines += [f"    {state} --> {following}: {event}" for event, following in events.items()]
        if not events:
            lines.append(f"    {state} --> [*]")
    return "\n".join(lines) + "\n"
