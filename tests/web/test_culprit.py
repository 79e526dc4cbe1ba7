"""
Tests of `webworker_executor.web.culprit`: which part of a message stood in the way.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

from webworker_executor import DataCloneError, MessageChannel

LOCK = threading.Lock()
GENERATOR = (number for number in range(0))


class Box:
    """Holds something."""

    def __init__(self, held: object) -> None:
        self.held = held


class Fails:
    """Has a hook with a mistake of its own."""

    def __reduce__(self) -> Any:
        return self.nonsense  # type: ignore[attr-defined]  # that is the mistake


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (LOCK, "message"),
        ([1, [LOCK]], "message[1][0]"),
        ({"a": [1, 2, Box(LOCK)]}, 'message["a"][2].held'),
        ({1: {(2, 3): LOCK}}, "message[1][(2, 3)]"),
        (GENERATOR, "message"),
        ({"x": Box(Box({"deep": LOCK}))}, 'message["x"].held.held["deep"]'),
    ],
)
def test_the_part_is_named(message: Any, path: str) -> None:
    """The error names the way to the smallest part that cannot be sent."""
    with MessageChannel() as channel, pytest.raises(DataCloneError) as caught:
        channel.port1.post_message(message)
    assert str(caught.value).startswith(f"{path} cannot be sent: ")
    assert caught.value.__cause__ is not None


def test_an_error_of_a_hook_is_the_users_own() -> None:
    """What a user's own code raises comes out as it is."""
    with MessageChannel() as channel, pytest.raises(AttributeError, match="nonsense"):
        channel.port1.post_message([Fails()])
