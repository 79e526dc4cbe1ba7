"""
What the Web promises of copies, each case by its number in our own list.

Sources: HTML, "StructuredSerialize"; web-platform-tests, ``structured-clone``; Gears, WorkerPool.
"""

from __future__ import annotations

import datetime
import math
import threading
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor import DataCloneError, MessageChannel, structured_clone

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 10.0


def over_a_port(value: Any) -> Any:
    with MessageChannel() as channel:
        channel.port1.post_message(value)
        return channel.port2.receive(LIMIT).data


@pytest.fixture(params=["structured_clone", "port"])
def clone(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Copy in each way in turn."""
    ways: dict[str, Callable[[Any], Any]] = {"structured_clone": structured_clone}
    return ways.get(request.param, over_a_port)


def test_case_46_a_message_is_copied_when_it_is_posted() -> None:
    """What is changed after the post does not change what arrives."""
    with MessageChannel() as channel:
        message: dict[str, Any] = {"a": [1, 2], "b": bytearray(b"abc"), "c": bytearray(1 << 20)}
        channel.port1.post_message(message)
        message["a"].append(3)
        message["b"][0] = 0
        message["c"][:] = b"x" * (1 << 20)
        expected = {"a": [1, 2], "b": bytearray(b"abc"), "c": bytearray(1 << 20)}
        assert expected == channel.port2.receive(LIMIT).data


NOON = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -0.0,
        math.inf,
        -math.inf,
        2**31,
        2**53,
        2**200,
        "",
        "a\0b",
        "\ud800",
        b"",
        b"\0\xff",
        bytearray(b"abc"),
        NOON,
        datetime.timedelta(days=-1),
        {1, 2},
        frozenset({"a"}),
        {"a": [1, {"b": (2, [3])}], 4: None},
        [[[[]]]],
        complex(1, -2),
        range(3),
        slice(1, 2),
    ],
    ids=lambda value: f"{value!r:.20}",
)
def test_case_47_values_arrive_as_they_were(clone: Callable[[Any], Any], value: Any) -> None:
    """Each kind of value arrives equal and of its type."""
    copy = clone(value)
    assert (type(value), value) == (type(copy), copy)
    assert repr(value) == repr(copy)


def test_case_47_not_a_number_and_exceptions(clone: Callable[[Any], Any]) -> None:
    """What is not equal to itself arrives, too."""
    assert math.isnan(clone(math.nan))
    error = clone(ValueError("a", 1))
    assert (ValueError, ("a", 1)) == (type(error), error.args)


def test_case_47_cycles_and_shared_parts_are_kept(clone: Callable[[Any], Any]) -> None:
    """What refers to itself arrives so, and what is one object twice is one there."""
    shared: list[Any] = []
    value: list[Any] = [shared, shared]
    value.append(value)
    copy = clone(value)
    assert copy is copy[2]
    assert copy[0] is copy[1]
    assert shared is not copy[0]


def test_case_50_what_is_nested_too_deeply_is_refused(clone: Callable[[Any], Any]) -> None:
    """A hundred thousand levels are an error in the sender, not the end of the process."""
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises((DataCloneError, RecursionError)):
        clone(value)
    # Level by level, because the interpreter's own way down is recursive, too.
    while value:
        value = value.pop()
    assert "works on" == clone("works on")


def test_case_51_the_error_names_the_part(clone: Callable[[Any], Any]) -> None:
    """What cannot be copied is named with its path."""
    with pytest.raises(DataCloneError, match=r'message\["a"\]\[2\] cannot be sent'):
        clone({"b": [1], "a": [0, "x", threading.Lock()]})
