"""
Tests of `webworker_executor.web.listener`: which callback is which, and that each is called.
"""

from __future__ import annotations

import functools
import gc
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from webworker_executor.web.event import ErrorEvent, Event, MessageEvent
from webworker_executor.web.listener import Listener, call_each, identity, is_callback
from webworker_executor.web.target import EventTarget

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Button:
    """
    A thing that compares by its value, so that it cannot be hashed.
    """

    name: str

    def press(self, event: Event) -> None:
        raise NotImplementedError

    def handle_event(self, event: Event) -> None:
        raise NotImplementedError


class Unwilling:
    """
    A callable that refuses to be compared.
    """

    __hash__ = None  # type: ignore[assignment]  # what the test is about

    def __eq__(self, other: object) -> bool:
        raise AssertionError("was compared")

    def __call__(self, event: Event) -> None:
        raise NotImplementedError


def test_methods_of_one_object_are_one() -> None:
    """
    Each look at a method makes a new object, which is the same callback nevertheless.
    """
    button, items = Button("a"), [1]
    for look in (lambda: button.press, lambda: items.append, lambda: items.__len__):
        assert look() is not look()
        assert identity(look()) == identity(look())
        assert hash(identity(look())) == hash(identity(look()))


def test_equal_objects_are_two() -> None:
    """
    What compares equal is not the same callback for it, and neither are methods of it.
    """
    first, second = Button("a"), Button("a")
    assert first == second
    assert identity(first) != identity(second)
    assert identity(first.press) != identity(second.press)
    assert identity([].append) != identity([].append)


def test_callbacks_are_told_apart_without_their_code() -> None:
    """
    Callbacks that cannot be hashed, or whose comparison fails, are callbacks like others.
    """
    unwilling = Unwilling()
    assert identity(unwilling) == identity(unwilling)
    hash(identity(unwilling))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (print, True),
        (functools.partial(print, 1), True),
        (Button("a"), True),
        (None, False),
        ("print", False),
        (1, False),
    ],
)
def test_is_callback(value: object, expected: bool) -> None:
    """
    What can be called is a callback, and what has a method `handle_event`.
    """
    assert expected == is_callback(value)


@pytest.mark.parametrize(
    ("event", "answer", "prevented"),
    [
        (Event("custom", cancelable=True), False, True),
        (Event("custom", cancelable=True), True, False),
        (Event("custom", cancelable=True), None, False),
        (Event("custom", cancelable=True), 0, False),
        (Event("custom"), False, False),
        # A plain event of that type is no error to be handled: HTML fires one for a failed load.
        (Event("error", cancelable=True), True, False),
        (Event("error", cancelable=True), False, True),
        (ErrorEvent("bad"), True, True),
        (ErrorEvent("bad"), False, False),
        (ErrorEvent("bad"), None, False),
        (ErrorEvent("bad"), 1, False),
        (MessageEvent(1), False, False),
    ],
)
@pytest.mark.parametrize("is_handler", [True, False])
def test_answers_of_handlers(
    event: Event, answer: object, prevented: bool, is_handler: bool
) -> None:
    """
    A handler's `True` handles an error and its `False` prevents the rest; listeners' do neither.
    """
    event = type(event)("bad") if isinstance(event, ErrorEvent) else event
    event.default_prevented = False
    listener = Listener(EventTarget(), event.type, "key", lambda event: answer)
    listener.is_handler = is_handler
    listener.call(event)
    assert (prevented and is_handler) == event.default_prevented


def test_a_listener_does_not_keep_its_target() -> None:
    """
    A target that is gone is no target to leave.
    """
    target = EventTarget()
    listener = Listener(target, "custom", "key", print)
    gone = weakref.ref(target)
    del target
    gc.collect()
    assert gone() is None
    listener.leave()


def raise_(error: BaseException) -> None:
    raise error


def test_call_each_reports() -> None:
    """
    What one call raises is reported, and the others are made.
    """
    done: list[object] = []
    reported: list[Exception] = []
    error = ValueError("bad")
    calls: list[Callable[[], object]] = [
        lambda: done.append(1),
        lambda: raise_(error),
        lambda: done.append(2),
    ]
    call_each(calls, lambda call: call(), reported.append)
    assert ([1, 2], [error]) == (done, reported)


def test_call_each_raises_an_interrupt_at_the_end() -> None:
    """
    Ctrl-C and `sys.exit()` get through to the caller after the other calls, the first of them.
    """
    done: list[object] = []
    reported: list[Exception] = []
    first, second = KeyboardInterrupt(), SystemExit(3)
    calls: list[Callable[[], object]] = [
        lambda: raise_(first),
        lambda: raise_(second),
        lambda: done.append(1),
    ]
    with pytest.raises(KeyboardInterrupt) as caught:
        call_each(calls, lambda call: call(), reported.append)
    assert first is caught.value
    assert ([1], []) == (done, reported)
