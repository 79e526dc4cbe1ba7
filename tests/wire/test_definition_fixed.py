"""
A callable with large buffers is packed once for a map, if that is worth while.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tests.pool.large import block, touch
from webworker_executor.wire import codec
from webworker_executor.wire.definition import NO_ARGUMENTS, Fixed, fix, pack_call
from webworker_executor.wire.place import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


def shelve(buffers: Sequence[memoryview]) -> list[Place]:
    return [Place(7, 0, buffer.nbytes) for buffer in buffers]


def test_it_is_packed_once() -> None:
    """
    Every call of it has the same definition, which names the place of its buffers.
    """
    fn = partial(touch, block(1))
    fixed = fix(fn, fn, shelve)
    assert isinstance(fixed, Fixed)
    definition, shape, packed = pack_call(fixed, (), {})
    assert definition is fixed.definition
    assert definition is pack_call(fixed, (3,), {})[0]
    assert NO_ARGUMENTS == shape
    assert b"" == packed.payload
    assert [7] == [place.segment for place in definition.buffers]
    assert 1 == fixed(5)
    assert 6 == fixed(6)


def test_what_is_left_alone() -> None:
    """
    Functions that are sent once, small callables, what does not pack, and where there is no room.
    """
    large = partial(touch, block(1))
    assert fix(touch, partial(print, touch), shelve) is None
    assert fix(partial(touch, 1), partial(touch, 1), shelve) is None  # type: ignore[arg-type]  # only packed
    assert fix(large, large, lambda _: None) is None
    generator: Any = iter([1])
    generator = (each for each in generator)
    unpackable: Any = partial(touch, block(1), generator)
    assert fix(unpackable, unpackable, shelve) is None


TABLE = {number: str(number) for number in range(10_000)}


def look_up(number: int) -> str:
    return TABLE[number]


def test_a_function_with_large_globals_is_packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    If it goes by value, and in the standard library would go by name; in a `map` of any kind.
    """
    monkeypatch.setattr(look_up, "__module__", "__main__")
    monkeypatch.setattr("__main__.look_up", look_up, raising=False)
    fixed = fix(look_up, look_up, lambda _: None)
    assert fixed is not None
    definition: Any = fixed.definition
    assert len(definition.payload) > 1 << 16
    assert [] == definition.buffers
    bound = partial(look_up, 1)
    assert fix(bound, bound, lambda _: None) is None
    monkeypatch.setitem(globals(), "TABLE", {1: "one"})
    assert fix(look_up, look_up, lambda _: None) is None


class Holder:
    """Has a definition, and is told when nobody needs it."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def take_back(self, ident: int) -> None:
        self.told.append(ident)


def test_its_end_is_told() -> None:
    """
    When nobody needs it any more, whoever has it is told, once.
    """
    holder = Holder()
    fn = partial(touch, block(1))
    fixed = fix(fn, fn, shelve)
    assert fixed is not None
    definition: Any = fixed.definition
    ident = definition.ident
    definition.holders.add(holder)
    definition.holders.add(Holder())
    del fixed
    assert [] == holder.told
    del definition
    assert [ident] == holder.told


def test_an_ordinary_definition_has_no_buffers() -> None:
    """
    What goes by name is sent as ever.
    """
    definition, _, packed = pack_call(touch, (1, 2), {})
    assert definition is not None
    assert () == definition.buffers
    assert (1, 2) == codec.unpack(packed.payload)
