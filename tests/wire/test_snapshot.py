"""
A function or class is unchanged only if everything that was packed with it is.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import pytest

from webworker_executor.wire import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = """
import math, enum, dataclasses
number, text, pair, group = 1, "a", (1, ("b", None)), frozenset({1})
table = {}
def leaf(a, b=2, *, c=3): return number, len(text), pair, group, math.pi
def caller(): return leaf(1)
def ping(): return pong
def pong(): return ping
def reads_table(): return table
def calls_reader(): return reads_table()
def undefined(): return not_yet
def mutable_default(a=[]): return a
def attributes(): return 0
attributes.note = "text"
def closes_over(value):
    def inner(): return value
    return inner
def empty_cell():
    def inner(): return late
    return inner
    late = 1
@dataclasses.dataclass
class Data:
    a: int = 1
    def other(self): return Other, leaf(1)
class Other(Data):
    count = 0
    def data(self): return super().other(), Data
class Cache: seen = {}
class Colour(enum.Enum): RED = 1
class Planet(enum.Enum):
    EARTH = 1, "e"
    def __init__(self, mass, letter): self.mass, self.letter = mass, letter
    @enum.property
    def density(self): return self.mass
class Tagged(enum.Enum):
    ONE = 1
    def __init__(self, number): self.tags = []
class WithSlot:
    __slots__ = ("width",)
class Slotted(WithSlot, enum.Enum):
    ONE = 1
    def __init__(self, number): self.width = number
def makes_data(): return Data(1), Colour.RED
def makes_cache(): return Cache
class Meta(type): pass
class WithMeta(metaclass=Meta): pass
"""


@pytest.fixture
def main() -> Any:
    """
    Offer a module that is not importable, as `__main__` is not.
    """
    module = types.ModuleType("__main__")
    # Classes look for their module's globals while they are made; this one has its own.
    exec(SOURCE, module.__dict__)
    return module


UNCHANGING = [
    "leaf", "caller", "ping", "undefined", "attributes", "Data", "Other", "Colour", "makes_data",
    "Planet",
]  # fmt: skip


@pytest.mark.parametrize("name", UNCHANGING)
def test_what_holds_no_state_can_be_taken(main: Any, name: str) -> None:
    """
    Functions and classes that refer to values, each other and modules have a snapshot.
    """
    taken = snapshot.take(getattr(main, name))
    assert taken is not None
    assert taken.is_unchanged()


@pytest.mark.parametrize(
    "name",
    [
        "reads_table", "calls_reader", "mutable_default", "Cache", "makes_cache", "WithMeta",
        "Tagged", "Slotted",
    ],
)  # fmt: skip
def test_what_refers_to_a_state_cannot(main: Any, name: str) -> None:
    """
    A dictionary, list or unknown metaclass anywhere within reach refuses the snapshot.
    """
    assert snapshot.take(getattr(main, name)) is None


CHANGES: dict[str, tuple[str, Callable[[Any], object]]] = {
    "global": ("leaf", lambda m: setattr(m, "number", 2)),
    "global of a callee": ("caller", lambda m: setattr(m, "text", "b")),
    "redefined callee": ("caller", lambda m: setattr(m, "leaf", m.ping)),
    "code": ("caller", lambda m: setattr(m.leaf, "__code__", (lambda a: 5).__code__)),
    "defaults": ("leaf", lambda m: setattr(m.leaf, "__defaults__", (5,))),
    "keyword defaults": ("leaf", lambda m: m.leaf.__kwdefaults__.update(c=4)),
    "an equal value": ("leaf", lambda m: m.leaf.__kwdefaults__.update(c=3.0)),
    "attribute": ("attributes", lambda m: setattr(m.attributes, "note", "other")),
    "now defined": ("undefined", lambda m: setattr(m, "not_yet", 1)),
    "class attribute": ("makes_data", lambda m: setattr(m.Data, "a", 7)),
    "method": ("Other", lambda m: setattr(m.Data, "other", m.leaf)),
    "global of a method": ("Other", lambda m: setattr(m, "pair", (2, 2))),
    "counter on a class": ("Other", lambda m: setattr(m.Other, "count", 1)),
    "attribute of a member": ("Planet", lambda m: setattr(m.Planet.EARTH, "mass", 2)),
    "new attribute of a member": ("Planet", lambda m: setattr(m.Planet.EARTH, "moon", 2)),
    "redefined class": ("makes_data", lambda m: setattr(m, "Colour", None)),
}


@pytest.mark.parametrize(("name", "change"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen(main: Any, name: str, change: Callable[[Any], object]) -> None:
    """
    Whatever is rebound or replaced within reach, the snapshot is no longer valid.
    """
    taken = snapshot.take(getattr(main, name))
    assert taken is not None
    change(main)
    assert not taken.is_unchanged()


def test_cells_are_compared(main: Any) -> None:
    """
    A closure over a value can be taken, and a new value is seen; one over a state, or nothing,
    cannot.
    """
    inner = main.closes_over((1, "a"))
    taken = snapshot.take(inner)
    assert taken is not None
    assert taken.is_unchanged()
    inner.__closure__[0].cell_contents = 2
    assert not taken.is_unchanged()
    assert snapshot.take(main.closes_over([])) is None
    assert snapshot.take(main.empty_cell()) is None


class Named:
    """An object that pickles as the name of a global."""

    def __reduce__(self) -> str:
        return "named"


named = Named()


def test_an_object_that_goes_by_name_does_not_change() -> None:
    """
    What is looked up by its name at the other end need not be watched here.
    """

    def uses() -> object:
        return named

    assert isinstance(uses, types.FunctionType)
    assert snapshot.take(uses) is not None
