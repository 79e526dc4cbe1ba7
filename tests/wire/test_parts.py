"""
The parts of a function last until the sender changes them.
"""

from __future__ import annotations

from typing import Any

import pytest

from webworker_executor.wire import codec
from webworker_executor.wire.parts import parts_of, set_parts
from webworker_executor.wire.version import version


def make(value: object) -> Any:
    """
    Make a function with one part of each kind.
    """

    def fn(default: object = value, *, named: object = value) -> object:
        return value, default, named

    vars(fn)["attribute"] = value
    return fn


def versions_of(parts: dict[Any, Any]) -> dict[Any, object]:
    """
    Tell the content of parts as their sender does.
    """
    return {key: version(value) for key, value in parts.items()}


def test_every_kind_of_part_is_found() -> None:
    """
    Attributes, defaults, keyword defaults and what cells hold.
    """
    assert {("a", "attribute"): 1, ("d", 0): 1, ("k", "named"): 1, ("c", 0): 1} == parts_of(make(1))


def test_an_empty_cell_is_no_part() -> None:
    """
    It is empty at the receiver, too.
    """

    def inner() -> object:
        return late

    fn: Any = inner
    assert {} == parts_of(fn)
    late = 1
    assert {("c", 0): 1} == parts_of(fn)


def test_a_function_that_was_just_made_gets_all() -> None:
    """
    Whatever it had before.
    """
    fn, sent = make([0]), parts_of(make([1]))
    set_parts(fn, sent, versions_of(sent))
    assert all(sent[key] is value for key, value in parts_of(fn).items())


def test_what_has_not_changed_stays() -> None:
    """
    So what a task has put there lasts; and what comes anew is set, each part for itself.
    """
    fn, sent = make([0]), parts_of(make([1]))
    set_parts(fn, sent, versions_of(sent))
    left = vars(fn)["attribute"] = ["left by a task"]
    again = parts_of(make([1]))
    again["d", 0] = [2]
    set_parts(fn, again, versions_of(again))
    assert left is vars(fn)["attribute"]
    assert sent["c", 0] is parts_of(fn)["c", 0]
    assert sent["k", "named"] is parts_of(fn)["k", "named"]
    assert again["d", 0] is parts_of(fn)["d", 0]


def test_what_nothing_tells_about_is_set_each_time() -> None:
    """
    It may have changed.
    """
    fn = make(0)
    for value in ([1], [1]):
        sent = parts_of(make(value))
        set_parts(fn, sent, dict.fromkeys(sent))
        assert all(value is part for part in parts_of(fn).values())


def test_parts_that_are_no_more_are_gone() -> None:
    """
    A function that has lost its defaults has none, but an attribute that a task has set stays.
    """
    fn = make(0)
    vars(fn)["own"] = 5
    set_parts(fn, {}, {})
    assert None is fn.__defaults__
    assert None is fn.__kwdefaults__
    assert 5 == vars(fn)["own"]


@pytest.mark.parametrize("is_initialized", [False, True])
def test_a_forked_worker_has_what_it_inherited(
    monkeypatch: pytest.MonkeyPatch, is_initialized: bool
) -> None:
    """
    What the host has still counts as not changed, and what an initializer may have set as its own.
    """
    fn = make([0])
    monkeypatch.setattr(codec, "is_fork", True)
    monkeypatch.setattr(codec, "is_initialized", is_initialized)
    monkeypatch.setitem(codec.at_fork, fn.__qualname__, fn)
    inherited, sent = parts_of(fn), parts_of(make([0]))
    sent["d", 0] = [1]
    set_parts(fn, sent, versions_of(sent))
    parts = parts_of(fn)
    assert inherited["a", "attribute"] is parts["a", "attribute"]
    assert (inherited if is_initialized else sent)["d", 0] is parts["d", 0]
