"""
Of a class, what its author wrote is told from what the machinery made.
"""

from __future__ import annotations

import abc
import collections
import dataclasses
import enum
import functools
import typing

import pytest

from webworker_executor.wire.machinery import attributes_of


def function(self: object) -> None: ...


@dataclasses.dataclass(order=True)
class Data:
    plain: int = 1
    made: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(slots=True, frozen=True)
class Slots:
    plain: int = 1


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Abstract(abc.ABC):
    @abc.abstractmethod
    def method(self) -> None: ...


class Everything:
    plain = 5
    method = function
    static = staticmethod(function)
    on_class: typing.Any = classmethod(function)
    looked_up = property(function)
    cached = functools.cached_property(function)
    table: typing.ClassVar[dict[str, int]] = {}


def test_an_ordinary_class_is_all_its_authors() -> None:
    """
    Every attribute is given, and every wrapped function unwrapped.
    """
    found = list(attributes_of(Everything))
    assert 5 == found.count(function)
    assert 5 in found
    assert Everything.table in found


@pytest.mark.parametrize(("cls", "written"), [(Data, {1, list}), (Slots, {1})])
def test_a_dataclass_is_its_fields_defaults(cls: type, written: set[object]) -> None:
    """
    Generated methods and tables are left out; defaults and factories stay.
    """
    found = {each for each in attributes_of(cls) if not callable(each) or each is list}
    assert written == found - {None}


def test_an_enum_is_its_values() -> None:
    """
    The maps of members are left out; the values stay.
    """
    assert {"red", "blue"} <= set(attributes_of(Colour))
    assert not [each for each in attributes_of(Colour) if isinstance(each, (dict, list, Colour))]


def test_a_named_tuple_has_no_tables() -> None:
    """
    The descriptors and the table of defaults are left out.
    """
    pair = collections.namedtuple("pair", "a b", defaults=[1])  # noqa: PYI024  it is about these
    assert not [each for each in attributes_of(pair) if isinstance(each, dict)]


def test_an_abstract_class_has_no_registry() -> None:
    """
    The abstract base's caches are left out; its methods stay.
    """
    assert Abstract.__dict__["method"] in list(attributes_of(Abstract))
    assert Abstract.__dict__["_abc_impl"] not in list(attributes_of(Abstract))
