"""
Tests of `webworker_executor.wire.dissect`: the table holds every exception once, in plain values.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from tests.wire.crossing import cross, names, raised
from webworker_executor.wire.dissect import Dissection, node
from webworker_executor.wire.failure import LeftBehind

PLAIN = (str, int, float, bool, type(None), bytes, complex)


def is_plain(value: Any) -> bool:
    """
    Tell whether a value is made of builtin types only.
    """
    if type(value) in (tuple, list):
        return all(map(is_plain, value))
    return type(value) in PLAIN


class Key(str):
    """
    Is a text that has a class of its own.
    """

    __slots__ = ()


def test_table_is_made_of_builtin_types() -> None:
    """
    Nothing of the user's stands outside the parts, so the table can be loaded anywhere.
    """
    exc = raised(ValueError(Key("a"), [1], threading.Lock()), raised(KeyError({1: 2})))
    exc.__dict__[Key("odd")] = exc.attribute = Key("b")
    table = Dissection(exc, exc.__traceback__)
    assert is_plain(table.nodes)
    assert [bytes] * 4 == [type(part) for part in table.parts]


def test_values_are_pickled_once() -> None:
    """
    A value that is an argument and an attribute is one pickle.
    """
    data = [1]
    exc: Any = ValueError(data)
    exc.data = data
    assert 1 == len(Dissection(exc, None).parts)


def test_traceback_as_a_value_arrives() -> None:
    """
    Tracebacks in attributes arrive with their frames.
    """
    exc: Any = ValueError("x")
    exc.trace = {"k": raised(KeyError()).__traceback__}
    assert ["raised"] == names(cross(exc).trace["k"])


def test_local_classes_and_functions_arrive() -> None:
    """
    What has no name to be found by goes by value, required arguments or not.
    """

    class Local(Exception):
        def __init__(self, *, key: int) -> None:
            super().__init__(key)
            self.double = lambda: 2 * key

    arrived = cross(Local(key=4))
    assert ("Local", (4,), 8) == (type(arrived).__name__, arrived.args, arrived.double())


def test_name_of_main_in_a_text_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Data that merely looks like a reference to `__main__` crosses even if it cannot by value.
    """
    monkeypatch.setitem(sys.modules, "webworker_executor.wire.by_value", None)
    monkeypatch.setattr("webworker_executor.wire.dissect._made", [])
    assert (["__main__"],) == cross(ValueError(["__main__"])).args
    assert LeftBehind is type(cross(ValueError(lambda: 0)).args[0])


def test_half_imported_modules_are_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    While a module came by value because its host still imports it, no name is looked up.
    """
    monkeypatch.setattr("webworker_executor.wire.codec.half_imported", {"a_module"})
    assert ([1],) == cross(ValueError([1])).args


def test_reference_without_a_table_is_refused() -> None:
    """
    A reference to a row means nothing to another unpickler.
    """
    with pytest.raises(LookupError, match="another table"):
        node(0)
