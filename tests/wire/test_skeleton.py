"""
A class is made without its author's hooks, and is otherwise like any other.
"""

from __future__ import annotations

import abc
import ctypes
import typing
from typing import Any

import pytest

from webworker_executor.wire.skeleton import make_quietly


class Refusal(Exception): ...


class Hooked:
    def __init_subclass__(cls, *, name: str, **keywords: object) -> None:
        raise Refusal


class Slotted:
    __slots__ = ("x",)

    def __init_subclass__(cls) -> None:
        raise Refusal


class Bare:
    __slots__ = ()

    def __init_subclass__(cls) -> None:
        raise Refusal


OverBare = make_quietly(type, "OverBare", (Bare,), {"__module__": __name__})


class Meta(type):
    def __new__(cls, *args: Any, tag: str) -> Any:
        raise Refusal

    def __setattr__(cls, name: str, value: object) -> None:
        raise Refusal


class Number(int):
    def __init_subclass__(cls) -> None:
        raise Refusal


class Failure(Exception):
    def __init_subclass__(cls) -> None:
        raise Refusal


T = typing.TypeVar("T")


class Generic(typing.Generic[T]):
    def __init_subclass__(cls) -> None:
        raise Refusal


class Abstract(abc.ABC):
    @abc.abstractmethod
    def method(self) -> None: ...

    def __init_subclass__(cls) -> None:
        raise Refusal


@pytest.mark.parametrize(
    ("kind", "bases", "namespace"),
    [
        (type, (), {}),
        (type, (object,), {}),
        (type, (Hooked,), {}),
        (type, (Hooked,), {"__slots__": ("y",)}),
        (type, (Slotted,), {}),
        (type, (Slotted,), {"__slots__": ("y",)}),
        (type, (Bare,), {}),
        (type, (Bare,), {"__slots__": ()}),
        (type, (Bare, Hooked), {}),
        (type, (OverBare,), {}),
        (type, (OverBare, Hooked), {}),
        (type, (Hooked, Slotted), {}),
        (type, (Number,), {}),
        (type, (Failure,), {}),
        (type, (Generic,), {}),
        (Meta, (), {}),
        (Meta, (object,), {}),
        (Meta, (Hooked,), {}),
        (abc.ABCMeta, (Abstract,), {"method": print}),
    ],
)
def test_no_hook_is_asked(
    kind: type[type], bases: tuple[type, ...], namespace: dict[str, object]
) -> None:
    """
    The class has its bases and its metaclass, and can be instantiated and derived from.
    """
    cls = make_quietly(kind, "Made", bases, {"__module__": "somewhere", **namespace})
    assert (bases or (object,)) == cls.__bases__
    assert (kind, "Made", "somewhere") == (type(cls), cls.__name__, cls.__module__)
    assert isinstance(cls(), cls)
    assert {base.__module__ for base in cls.__mro__[1:]} <= {__name__, "builtins", "typing", "abc"}
    assert all(cls in base.__subclasses__() for base in bases)


def test_a_class_looks_like_one_of_a_statement() -> None:
    """
    Instances have what those of a statement have, and no more.
    """

    class Plain:
        def __init_subclass__(cls) -> None: ...

    class Closed:
        __slots__ = ()

        def __init_subclass__(cls) -> None: ...

    for base in (Plain, Closed):
        for namespace in ({}, {"__slots__": ()}, {"__slots__": ("x", "__dict__")}):
            if base is Plain and namespace.get("__slots__"):
                continue
            made = make_quietly(type, "Made", (base,), dict(namespace))
            stated = type("Stated", (base,), dict(namespace))
            for name in ("__basicsize__", "__dictoffset__", "__weakrefoffset__", "__flags__"):
                assert getattr(made, name) == getattr(stated, name), (base, namespace, name)


def test_generic_bases_stay_as_they_stood() -> None:
    """
    What the class statement resolved is noted as the statement would.
    """
    made = make_quietly(type, "Made", (Generic[int],), {})
    assert (Generic,) == made.__bases__
    assert (Generic[int],) == made.__orig_bases__


def test_an_abstract_class_is_abstract() -> None:
    """
    It has its table of subclasses, and its methods are missing.
    """
    made = make_quietly(abc.ABCMeta, "Made", (Abstract,), {})
    assert frozenset({"method"}) == made.__abstractmethods__
    assert issubclass(made.register(int), made)
    assert not issubclass(str, made)


def test_what_only_its_metaclass_can_make_is_refused() -> None:
    """
    A metaclass in C keeps more about a class than the interpreter knows.
    """
    with pytest.raises(TypeError):
        make_quietly(type(ctypes.Structure), "Made", (ctypes.Structure,), {})
