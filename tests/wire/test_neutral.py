"""
Tests of `webworker_executor.wire.neutral`: what JSON has arrives, and the rest is refused by name.
"""

from __future__ import annotations

import enum
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.errors import DataCloneError
from webworker_executor.wire.neutral import dump_json, load_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts),
    max_leaves=20,
)


@given(VALUES)
def test_what_json_has_arrives_as_it_was(value: Any) -> None:
    """
    Values of every kind come back equal, of their type, and in their order.
    """
    copy = load_json(dump_json(value))
    assert (type(value), repr(value)) == (type(copy), repr(copy))


def test_tuples_become_lists_and_shared_parts_copies() -> None:
    """
    JSON has neither tuples nor identity; what stands twice in a value is no cycle.
    """
    shared = [1]
    copy = load_json(dump_json((shared, shared)))
    assert [[1], [1]] == copy
    assert copy[0] is not copy[1]


class Color(enum.IntEnum):
    """Would become a mere number in silence."""

    RED = 1


CYCLE: list[Any] = [{}]
CYCLE[0]["a"] = CYCLE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, print]}, r'^message\["a"\]\[1\] cannot be sent as JSON: builtin_function'),
        ([math.nan], r"^message\[0\] cannot be sent as JSON: nan is no number"),
        (-math.inf, r"^message cannot be sent as JSON: -inf is no number"),
        ({"a": {1: 2}}, r'^message\["a"\]\.key\(1\) cannot be sent as JSON: keys are texts'),
        (CYCLE, r'^message\[0\]\["a"\] cannot be sent as JSON: it is in itself: it is message as'),
        (b"bytes", r"^message cannot be sent as JSON: bytes is not known there"),
        ({"set": {1}}, r'^message\["set"\] cannot be sent as JSON: set is not known'),
        (Color.RED, r"^message cannot be sent as JSON: Color is not known"),
        ([1 << 20_000], r"^message cannot be sent as JSON: Exceeds the limit"),
    ],
    ids=["callable", "nan", "infinity", "key", "cycle", "bytes", "set", "enum", "digits"],
)
def test_what_json_has_not_is_named(value: Any, text: str) -> None:
    """
    The error says which part it is and why, and nothing is changed in silence.
    """
    with pytest.raises(DataCloneError, match=text):
        dump_json(value)


def test_what_is_nested_too_deeply() -> None:
    """
    It is an error on either side, never the end of the process.
    """
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(DataCloneError, match="too deeply"):
        dump_json(value)
    while value:
        value = value.pop()
    with pytest.raises(RecursionError):
        load_json(b"[" * 100_000 + b"]" * 100_000)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"NaN", b"[Infinity]", b"{'a': 1}", b"1 2"])
def test_what_is_no_json(data: bytes) -> None:
    """
    It is a ``ValueError``, whatever the sender wrote.
    """
    with pytest.raises(ValueError, match=r".+"):
        load_json(data)


def test_any_program_can_read_it() -> None:
    """
    What is written is plain JSON in ASCII, without a space too many.
    """
    written = dump_json({"a": [1, 2.5, None, True, "ä"]})
    assert rb'{"a":[1,2.5,null,true,"\u00e4"]}' == written
    assert {"a": [1, 2.5, None, True, "ä"]} == json.loads(written)
