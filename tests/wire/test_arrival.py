"""
What came by value is rebuilt, once, and as it was.
"""

from __future__ import annotations

import abc
import collections
import ctypes
import dataclasses
import functools
import marshal
import sys
import types
import typing
import weakref
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest

from webworker_executor.wire import arrival, codec, origin

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def no_half_imported_modules() -> Iterator[None]:
    """
    Forget the modules that the classes of these tests pretend to be from.
    """
    before = set(codec.half_imported)
    yield
    codec.half_imported.intersection_update(before)


def there_and_back(value: Any) -> Any:
    return codec.unpack(codec.pack_by_value(value).payload)


def test_code_of_another_version_is_refused() -> None:
    """
    Byte code that this interpreter cannot run is an error that says so, and no crash.
    """
    data = marshal.dumps(test_code_of_another_version_is_refused.__code__)
    with pytest.raises(ImportError, match="another version of Python"):
        arrival.receive_code(b"\0\0\r\n", data)
    assert "a module" not in arrival.receive_code(arrival.MAGIC_NUMBER, data).co_names


def test_cells() -> None:
    """
    A cell is made empty or with a value.
    """
    assert 1 == arrival.make_cell(1).cell_contents
    with pytest.raises(ValueError, match="empty"):
        _ = arrival.make_cell().cell_contents


def receive(ident: str, **attributes: object) -> Any:
    made_of = (type, "Received", (), {"__module__": "no_such_module"})
    cls = arrival.receive_class(ident, False, arrival.make_class, made_of)
    arrival.adopt_class_state(cls, (attributes, {}))
    return cls


def test_a_class_comes_once() -> None:
    """
    The second arrival of a class gives the first one, as it is by now.
    """
    cls = receive("ident of a class that comes once", a=1)
    cls.a = 2
    assert cls is receive("ident of a class that comes once", a=1)
    assert 2 == cls.a


def test_cloudpickle_knows_what_came() -> None:
    """
    A class that has come here goes on under the ident that it came with.
    """
    cls = receive("ident of a class that goes on")
    assert "ident of a class that goes on" == cloudpickle.cloudpickle._get_or_create_tracker_id(cls)
    assert cls is origin.class_known_as("ident of a class that goes on")


def test_a_class_has_all_its_attributes() -> None:
    """
    An abstract class keeps the classes registered with it, and any class the line it began in.
    """
    metaclass = (abc.ABCMeta, "Shape", (), {"__module__": __name__})
    cls: Any = arrival.receive_class("ident of Shape", False, arrival.make_class, metaclass)
    state = {"_abc_impl": [int], "__firstlineno__": 7, "__module__": __name__, "sides": 4}
    arrival.adopt_class_state(cls, (dict(state), {}))
    assert isinstance(1, cls)
    assert (7, 4) == (cls.__firstlineno__, cls.sides)


def test_marks_of_a_dataclass() -> None:
    """
    The kinds of fields are told by identity, so each is the one of this process.
    """
    assert dataclasses._FIELD is arrival.dataclass_mark("_FIELD")  # type: ignore[attr-defined]  # private


def test_names() -> None:
    """
    A module and a type of the interpreter are found by their names.
    """
    assert sys.modules["os.path"] is arrival.imported_module("os.path")
    assert types.MethodType is arrival.builtin_type("MethodType")


def test_a_cache_lasts() -> None:
    """
    A function that came by value has one cache for all its arrivals.
    """

    def square(n: int) -> int:
        return n * n

    cached: Any = arrival.receive_cached(square, {"maxsize": 2, "typed": False})
    again: Any = arrival.receive_cached(square, {"maxsize": 2, "typed": False})
    assert cached is again
    assert (9, 2) == (cached(3), cached.cache_parameters()["maxsize"])
    arrival._cached.clear()


def test_a_cached_closure_is_not_kept() -> None:
    """
    Each that comes is another one, with what is in its closure now.
    """

    def power(exponent: int) -> Any:
        return lambda base: base**exponent

    cached: Any = arrival.receive_cached(power(3), {"maxsize": 2, "typed": False})
    again: Any = arrival.receive_cached(power(2), {"maxsize": 2, "typed": False})
    assert (8, 4) == (cached(2), again(2))
    gone = weakref.ref(cached)
    del cached
    assert gone() is None


def test_a_generic_function_has_all_its_implementations() -> None:
    """
    A generic function is made without any, and gets them with its name and its attributes.
    """
    made: Any = arrival.receive_dispatcher("ident of a generic function", False, "describe")
    with pytest.raises(TypeError, match="describe requires at least 1"):
        made()

    def describe(value: object) -> str:
        return "something"

    arrival.adopt_dispatcher_state(made, ({object: describe, int: str}, {"note": 1}))
    assert ("something", "1", "describe", 1) == (made(""), made(1), made.__name__, made.note)


def test_what_has_a_name_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What the host's `__main__` names is one object in a worker, and belongs to that module.
    """
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    made_of: Any = ("P", typing.ParamSpec, ("P",), {})
    assert arrival.receive_named(*made_of) is not arrival.receive_named(*made_of)
    monkeypatch.setattr(codec, "is_stand_in", True)
    made = arrival.receive_named(*made_of)
    assert made is arrival.receive_named(*made_of)
    assert ("P", "__main__") == (made.__name__, made.__module__)  # type: ignore[attr-defined]  # a parameter


def test_a_reference_to_nothing_says_so() -> None:
    """
    A reference that this process never gave out is a LookupError that names the object.
    """
    with pytest.raises(LookupError, match="'Point' came back by reference"):
        arrival.original("no such ident", "Point")


def test_instances_of_local_classes() -> None:
    """
    A local class is itself again when it comes back, whatever kind of class it is.
    """
    pair = collections.namedtuple("pair", "a b")  # noqa: PYI024  # the kind under test
    pair.__module__ = "nowhere"

    @dataclasses.dataclass
    class Point:
        x: int
        tags: list[int] = dataclasses.field(default_factory=list)

    for value in (pair(1, 2), Point(3)):
        copy = there_and_back(value)
        assert (type(value), value) == (type(copy), copy)


def test_functions_of_the_library_come_back() -> None:
    """
    A wrapped local function comes back with what wraps it.
    """

    def add(a: int, b: int) -> int:
        return a + b

    assert 3 == there_and_back(functools.partial(add, 1))(2)


def test_a_class_whose_hook_refuses_is_made_without() -> None:
    """
    The keywords of its statement are not known any more; what they have done is.
    """

    class Plugin:
        known: typing.ClassVar[list[type]] = []

        def __init_subclass__(cls, *, name: str) -> None:
            Plugin.known.append(cls)

    made = arrival.make_class(type, "Made", (Plugin,), {"__module__": "somewhere"})
    assert ((Plugin,), []) == (made.__bases__, Plugin.known)


def test_a_class_that_cannot_be_made_says_what_to_do() -> None:
    """
    It is the hook's own error that is raised.
    """

    class Structure(ctypes.Structure):
        def __init_subclass__(cls, *, name: str) -> None: ...

    with pytest.raises(TypeError, match="'name'") as caught:
        arrival.make_class(type(Structure), "Made", (Structure,), {})
    assert "a module" in caught.value.__notes__[0]
