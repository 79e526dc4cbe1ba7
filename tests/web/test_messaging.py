"""
Tests of `webworker_executor.web.messaging`: posting, whatever the way is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.errors import DataCloneError
from webworker_executor.web.messaging import MessageTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webworker_executor.wire.frame import Parts


class Looped(MessageTarget):
    """Keeps what it posts, laid out."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: list[Parts] = []

    def _post(self, parts: Parts, fds: Sequence[Any]) -> None:
        self.posted.append(parts)


def test_a_target_without_a_way_says_so() -> None:
    """The base class alone cannot post."""
    with pytest.raises(NotImplementedError):
        MessageTarget().post_message(1)


def test_what_has_another_side_stays() -> None:
    """It is named as a whole, not by what it is made of, and so is what to send instead."""
    way = r"^message\[1\] cannot be sent: a Looped stays where it was made; make a MessageChannel"
    with pytest.raises(DataCloneError, match=way):
        Looped().post_message([1, Looped()])


def test_a_post_is_one_frame() -> None:
    """A message is laid out when it is posted."""
    target = Looped()
    target.post_message("x")
    assert 1 == len(target.posted)


def test_what_writes_at_once_has_nothing_to_wait_for() -> None:
    """Whoever posts may ask anything that takes messages how much still waits."""
    target = Looped()
    target.post_message("x")
    target.drain(0)
    assert 0 == target.buffered_amount
