"""
Tests of `webworker_executor.web.event`: what a handler is called with.
"""

from __future__ import annotations

from webworker_executor.web.event import MessageEvent


def test_event_has_the_webs_names() -> None:
    """
    Type, data and source are found where JavaScript has them.
    """
    event = MessageEvent({"a": 1}, "worker")
    assert ("message", {"a": 1}, "worker") == (event.type, event.data, event.source)
    assert None is MessageEvent(1).source


def test_repr_is_short() -> None:
    """
    An event prints itself with the beginning of its data.
    """
    assert "<MessageEvent data='abc'>" == repr(MessageEvent("abc"))
    assert len(repr(MessageEvent("x" * 1000))) < 100
