"""
Tests of `webworker_executor.web.event`: what a handler is called with.
"""

from __future__ import annotations

import time

import pytest

from webworker_executor.errors import InvalidStateError, WebWorkerError
from webworker_executor.web.event import CloseEvent, ErrorEvent, Event, ExitEvent, MessageEvent
from webworker_executor.web.target import EventTarget

EVERY_EVENT = [
    (Event("custom"), "custom", False),
    (MessageEvent(1), "message", False),
    (MessageEvent(error=ValueError("torn")), "messageerror", False),
    (ErrorEvent("ValueError: bad"), "error", True),
    (CloseEvent(), "close", False),
    (ExitEvent(0), "exit", False),
]


@pytest.mark.parametrize(("event", "type", "cancelable"), EVERY_EVENT)
def test_every_event_has_the_webs_names(event: Event, type: str, cancelable: bool) -> None:
    """
    Each event says its type, where it is, and whether its default can be prevented.
    """
    assert (type, cancelable, False, False, None, None) == (
        event.type,
        event.cancelable,
        event.bubbles,
        event.default_prevented,
        event.target,
        event.current_target,
    )


def test_case_5_properties_of_a_message() -> None:
    """
    A message does not bubble, cannot be cancelled, and has no ports, source, origin or id.
    """
    event = MessageEvent({"a": 1})
    assert ("message", {"a": 1}, False, False, (), (), None, "", "") == (
        event.type,
        event.data,
        event.bubbles,
        event.cancelable,
        event.ports,
        event.fds,
        event.source,
        event.origin,
        event.last_event_id,
    )
    assert event.error is None


def test_case_5_what_comes_along_with_a_message() -> None:
    """
    Source, ports, descriptors, origin and id are found where they were given.
    """
    event = MessageEvent(
        1, "worker", ports=("p", "q"), fds=(0, 7), origin="local", last_event_id="3"
    )
    assert (1, "worker", ("p", "q"), (0, 7), "local", "3") == (
        event.data,
        event.source,
        event.ports,
        event.fds,
        event.origin,
        event.last_event_id,
    )


def test_ports_cannot_be_changed() -> None:
    """
    What is given as a list arrives as a tuple, so that no listener takes a port from the next.
    """
    event = MessageEvent(1, ports=["p"], fds=[5])  # type: ignore[arg-type]  # what users may do
    assert (("p",), (5,)) == (event.ports, event.fds)


def test_the_descriptor_zero_is_one() -> None:
    """
    `fd` is the first descriptor, also if it is 0, and `None` if there is none.
    """
    assert 0 == MessageEvent(1, fds=(0, 7)).fd
    assert None is MessageEvent(1).fd


def test_a_message_that_cannot_be_read() -> None:
    """
    The event of a message that did not unpack has no data, and tells why.
    """
    error = ValueError("torn")
    event = MessageEvent(error=error)
    assert ("messageerror", None, error) == (event.type, event.data, event.error)


def test_an_error_tells_where() -> None:
    """
    An error has its message, its place, the exception and the traceback as text.
    """
    error = ValueError("bad")
    event = ErrorEvent("ValueError: bad", "file.py", 3, 5, error, "Traceback ...")
    assert ("ValueError: bad", "file.py", 3, 5, error, "Traceback ...") == (
        event.message,
        event.filename,
        event.lineno,
        event.colno,
        event.error,
        event.traceback,
    )
    empty = ErrorEvent()
    assert ("", "", 0, 0, None, "") == (
        empty.message,
        empty.filename,
        empty.lineno,
        empty.colno,
        empty.error,
        empty.traceback,
    )


def test_an_exit_tells_how() -> None:
    """
    An exit has a code or a signal.
    """
    code, signal = ExitEvent(3), ExitEvent(None, 9)
    assert [(3, None), (None, 9)] == [(event.code, event.signal) for event in (code, signal)]


@pytest.mark.parametrize("cancelable", [True, False])
def test_prevent_default(cancelable: bool) -> None:
    """
    Only of a cancelable event the default is prevented, also outside a dispatch.
    """
    event = Event("custom", cancelable=cancelable)
    event.prevent_default()
    assert cancelable == event.default_prevented
    assert cancelable != EventTarget().dispatch_event(event)


def test_bubbles_is_kept() -> None:
    """
    Who makes an event that bubbles is told so, although nothing here has a parent.
    """
    assert Event("custom", bubbles=True).bubbles


def test_time_stamp() -> None:
    """
    An event knows when it was made, by the clock that never goes back.
    """
    stamps = [
        time.monotonic(),
        Event("first").time_stamp,
        MessageEvent(1).time_stamp,
        time.monotonic(),
    ]
    assert sorted(stamps) == stamps


def test_no_other_attributes() -> None:
    """
    An event is slots and no more: a misspelt attribute is an error, and an event is small.
    """
    for event, _, _ in EVERY_EVENT:
        with pytest.raises(AttributeError):
            event.prevent = True  # type: ignore[attr-defined]  # the mistake under test


def test_repr_is_short() -> None:
    """
    An event prints itself with the beginning of what it carries.
    """
    assert [
        "<Event 'custom'>",
        "<MessageEvent data='abc'>",
        "<MessageEvent error=ValueError('torn')>",
        "<ErrorEvent 'ValueError: bad' at file.py:3>",
        "<ErrorEvent 'ValueError: bad'>",
        "<CloseEvent>",
        "<ExitEvent code=None signal=9>",
    ] == [
        repr(Event("custom")),
        repr(MessageEvent("abc")),
        repr(MessageEvent(error=ValueError("torn"))),
        repr(ErrorEvent("ValueError: bad", "file.py", 3)),
        repr(ErrorEvent("ValueError: bad")),
        repr(CloseEvent()),
        repr(ExitEvent(None, 9)),
    ]
    assert len(repr(MessageEvent("x" * 1000))) < 100


def test_the_error_of_a_wrong_state_has_old_names() -> None:
    """
    A program that catches `RuntimeError`, or any of ours, catches a wrong state.
    """
    assert issubclass(InvalidStateError, RuntimeError)
    assert issubclass(InvalidStateError, WebWorkerError)
