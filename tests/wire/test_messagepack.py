"""
Tests of `webworker_executor.wire.messagepack`: what it has arrives, the rest is refused.
"""

from __future__ import annotations

import enum
import math
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webworker_executor.errors import DataCloneError
from webworker_executor.wire.messagepack import check_installed, dump_msgpack, load_msgpack

msgpack = pytest.importorskip("msgpack")

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
VALUES = st.recursive(
    ATOMS, lambda parts: st.lists(parts) | st.dictionaries(ATOMS, parts), max_leaves=20
)


@given(VALUES)
def test_what_it_has_arrives_as_it_was(value: Any) -> None:
    """
    Values of every kind come back equal, of their type, and in their order.
    """
    copy = load_msgpack(dump_msgpack(value))
    assert (type(value), repr(value)) == (type(copy), repr(copy))


def test_what_json_has_not() -> None:
    """
    No number, bytes in the midst, and tuples, which become lists.
    """
    assert math.isnan(load_msgpack(dump_msgpack(math.nan)))
    assert [1, [b"2", []]] == load_msgpack(dump_msgpack((1, [b"2", ()])))


class Colour(enum.IntEnum):
    """
    Numbers with names.
    """

    RED = 1


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(10_000):
        value = [value]
    return value


@pytest.mark.parametrize("value", [object(), {1}, 2**64, Colour.RED, 1j, "\ud800", deep()])
def test_what_has_no_form_is_refused(value: Any) -> None:
    """
    Nothing arrives as something else.
    """
    with pytest.raises(DataCloneError, match="cannot be sent as MessagePack"):
        dump_msgpack([value])


def test_a_value_in_itself_is_refused() -> None:
    """
    It would have no end.
    """
    value: list[Any] = []
    value.append(value)
    with pytest.raises(DataCloneError, match="MessagePack"):
        dump_msgpack(value)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x92\x01", b"\x01\x02", b"\x91" * 5000])
def test_what_is_no_message_is_an_error(data: bytes) -> None:
    """
    And nothing worse.
    """
    with pytest.raises(ValueError, match=r".*"):
        load_msgpack(data)


@pytest.mark.parametrize("data", [b"\x81\x90\x01", b"\x81\x80\x01", b"\x91\x81\x91\x01\xc0"])
def test_a_key_that_no_dict_can_have_is_an_error(data: bytes) -> None:
    """
    Of other languages' maps it may be one: the message says what does not go here.
    """
    with pytest.raises(ValueError, match="a map has a key that no dict can have: unhashable type"):
        load_msgpack(data)


def test_the_package_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The error says what to install.
    """
    check_installed()
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(ModuleNotFoundError, match=r"webworker-executor\[msgpack\]"):
        check_installed()
