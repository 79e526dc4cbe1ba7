"""
Tests of `webworker_executor.wire.heritage`: what forked workers inherit is found.
"""

from __future__ import annotations

import collections
import mmap
import sys
from types import ModuleType
from typing import Any

import pytest

from webworker_executor.wire import heritage
from webworker_executor.wire.forks import Forks, inherited_ident, packing_for_forks


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Any:
    """
    Have another main module.
    """
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


def is_inherited(thing: object, forks: Forks) -> bool:
    """
    Tell whether a thing was found.
    """
    return packing_for_forks(inherited_ident, thing, forks=forks) is not None


class Holder:
    """
    Has something.
    """

    def __init__(self, held: object) -> None:
        self.held = held


def test_shared_memory_is_found_wherever_globals_have_it(main: Any) -> None:
    """
    As such, in views, and inside of what holds them.
    """
    memories = [mmap.mmap(-1, 64) for _ in range(9)]
    main.itself = memories[0]
    main.view = memoryview(memories[1])
    main.box = {"a": [(memories[2],)], "b": {"c": collections.deque([memories[3]])}}
    main.instance = Holder(Holder(memories[4]))

    def function(given: object = memories[5]) -> object:
        return memories[6], given

    main.function = function
    main.Class = type("Class", (), {"__module__": "__main__", "held": memories[7]})
    main.itself_again = main.__dict__
    forks = Forks()
    heritage.note(forks)
    assert [True] * 8 + [True] == [is_inherited(each, forks) for each in memories]


def test_classes_of_the_main_module_are_found(main: Any) -> None:
    """
    Those inside of others, too; not those of other modules.
    """
    inner = type("Inner", (), {"__module__": "__main__"})
    main.Outer = type("Outer", (), {"__module__": "__main__", "Inner": inner})
    main.Holder = Holder
    forks = Forks()
    heritage.note(forks)
    assert is_inherited(main.Outer, forks)
    assert is_inherited(inner, forks)
    assert not is_inherited(Holder, forks)


def test_globals_are_numbered_themselves(main: Any) -> None:
    """
    If anything can refer to them weakly; functions go by value.
    """
    main.instance = Holder(1)
    main.list = [1]
    main.function = lambda: None
    forks = Forks()
    heritage.note(forks)
    assert is_inherited(main.instance, forks)
    assert not is_inherited(main.function, forks)


def test_what_modules_hold_is_not_looked_into(main: Any) -> None:
    """
    Nor is more than a part of what is large.
    """
    memory = mmap.mmap(-1, 64)
    main.module = ModuleType("other")
    main.module.memory = memory
    main.large = [*range(100_000), memory]
    forks = Forks()
    heritage.note(forks)
    assert not is_inherited(memory, forks)


def test_whatever_goes_wrong_there_is_an_end(main: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A worker can start, and gets copies.
    """
    main.held = [mmap.mmap(-1, 64)]

    def refuse(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(heritage, "owner_of", refuse)
    forks = Forks()
    heritage.note(forks)
    assert forks.inherited is not None
    assert not is_inherited(main.held[0], forks)
