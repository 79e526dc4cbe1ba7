"""
What was last sent of each global variable.
"""

from __future__ import annotations

from webworker_executor.wire import sent


def test_what_is_sent_again_makes_nothing_older() -> None:
    """Only another content does, and only for who has this variable."""
    place, other = ("test:again", "x"), ("test:again", "y")
    sent.note("test:again", {"x": 1, "y": 1})
    time = sent.latest()
    sent.note("test:again", {"x": 1})
    assert time == sent.latest()
    sent.note("test:again", {"x": 2})
    assert sent.latest() > time
    assert sent.is_older(time, [other, place])
    assert not sent.is_older(time, [other])
    assert not sent.is_older(sent.latest(), [place])


def test_what_has_not_been_sent_makes_nothing_older() -> None:
    """Nor does it when it is sent for the first time: no worker has another."""
    place = ("test:first", "x")
    assert not sent.is_older(sent.latest(), [place])
    time = sent.latest()
    sent.note("test:first", {"x": 1})
    assert not sent.is_older(time, [place])
