"""
Take enumerations apart, and make them again as they were.

For: enumerations that go by value, and their members.
Not for: those that the other process can import; these go by name.
A changer must know: the class is not made from its statement, for what stood there is not to be had
from it: a member's `__new__` and `__init__` have made something else of it. So the members are made
bare, and get what they hold at home. There must be members, with their names, before anything that
may refer to one arrives; therefore what they are made with is plain, and the rest comes as state.
"""

from __future__ import annotations

import abc
from types import BuiltinFunctionType

from webworker_executor.wire import origin
from webworker_executor.wire.skeleton import make_quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["adopt_enum_state", "make_enum", "member", "reduce_member", "taken_apart"]

# Made with the class; or brought by the members; or not to be had elsewhere.
_LEFT_OUT = frozenset(
    (
        "__annotate_func__",
        "__dict__",
        "__module__",
        "__slotnames__",
        "__weakref__",
        "_abc_impl",
        "_member_map_",
        "_value2member_map_",
    )
)
_PLAIN = (int, float, complex, str, bytes, bool, type(None))


def taken_apart(cls: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """
    Give what an enumeration is made with, and what is set on it then.

    Args:
        cls: The class.

    Returns:
        The arguments of `make_enum`, and the state for `adopt_enum_state`.
    """
    members = list({id(each): each for each in cls._member_map_.values()}.values())
    index = {id(each): number for number, each in enumerate(members)}
    states = [_state_of(each) for each in members]
    made_of = [
        (*_origin_of(each), {name: value for name, value in held.items() if _is_plain(value)})
        for each, (held, _) in zip(members, states, strict=True)
    ]
    namespace = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    names = {name: index[id(each)] for name, each in cls._member_map_.items()}
    arguments = (type(cls), cls.__name__, cls.__bases__, namespace, names, made_of)
    attributes = {
        name: value
        for name, value in vars(cls).items()
        if name not in _LEFT_OUT and not (name in names and value is cls._member_map_[name])
    }
    values = [
        (value, index[id(each)])
        # What a flag has made of several members is made again.
        for value, each in list(cls._value2member_map_.items())
        if id(each) in index
    ]
    return arguments, (attributes, states, values, _registered(cls))


def _state_of(each: Any) -> tuple[dict[str, object], dict[str, object]]:
    """
    Give the attributes of a member, and its slots.
    """
    state = object.__getstate__(each)
    held, slots = state if isinstance(state, tuple) else (state, None)
    held = dict(held or {})
    # The class is there when it is set.
    held.pop("__objclass__", None)
    return held, slots or {}


def _origin_of(each: Any) -> tuple[type, tuple[Any, ...]]:
    """
    Give the type of the interpreter that a member is made by, and with what.

    What the types of Python around it have made of the member is in its attributes.
    """
    made_by: Any = next(
        kind
        for kind in type(each).__mro__
        if type(vars(kind).get("__new__")) is BuiltinFunctionType
    )
    if made_by is object:
        return made_by, ()
    if hasattr(made_by, "__getnewargs__"):
        return made_by, made_by.__getnewargs__(each)
    make, args, *rest = made_by.__reduce_ex__(each, 2)
    if not isinstance(make, type):
        # copyreg's own, whose first argument is the class.
        args = args[1:]
    for items in rest[1:]:
        if items is not None:
            args = (list(items),)
    return made_by, args


def _is_plain(value: object) -> bool:
    return type(value) in _PLAIN or (type(value) is tuple and all(map(_is_plain, value)))


def _registered(cls: type) -> list[type | None]:
    if not isinstance(cls, abc.ABCMeta):
        return []
    registry, *_ = abc._get_dump(cls)  # type: ignore[attr-defined]  # private
    return [reference() for reference in registry]


def reduce_member(each: Any) -> Any:
    """
    Reduce a member to its name: the value need not be equal to itself elsewhere.

    Returns:
        A reduce tuple; NotImplemented for what is no member by itself, such as two flags.
    """
    cls = type(each)
    name = each.__dict__.get("_name_")
    return (member, (cls, name)) if cls._member_map_.get(name) is each else NotImplemented


def member(cls: Any, name: str) -> object:
    """
    Give a member, also of a class that has no attributes yet.
    """
    return cls._member_map_[name]


def make_enum(
    kind: type[type],
    name: str,
    bases: tuple[type, ...],
    namespace: dict[str, object],
    names: dict[str, int],
    made_of: list[tuple[Any, tuple[Any, ...], dict[str, object]]],
) -> type:
    """
    Make an enumeration that has members and no attributes yet.

    Args:
        kind: Its metaclass.
        name: Its name.
        bases: Its bases.
        namespace: What must be there from the first.
        names: For each name, the number of its member.
        made_of: For each member what it is made by, with what, and the plain ones of its
            attributes.
    """
    cls = make_quietly(kind, name, bases, namespace)
    if issubclass(kind, abc.ABCMeta):
        # Its methods are not there yet, and it could have no members.
        type.__setattr__(cls, "__abstractmethods__", frozenset())
    members = []
    for made_by, args, held in made_of:
        each = made_by.__new__(cls, *args)
        if made_by.__init__ is not object.__init__:
            made_by.__init__(each, *args)
        each.__dict__.update(held, __objclass__=cls)
        members.append(each)
    by_name = {name: members[number] for name, number in names.items()}
    # The metaclass lets no member be set.
    for name, value in (*by_name.items(), ("_member_map_", by_name), ("_value2member_map_", {})):
        type.__setattr__(cls, name, value)
    return cls  # type: ignore[no-any-return]  # a class


def adopt_enum_state(cls: Any, state: tuple[Any, ...]) -> None:
    """
    Set the attributes of an enumeration that has just been made, and of its members.
    """
    if not origin.is_unfinished(cls):
        return
    attributes, states, values, registered = state
    members = list({id(each): each for each in cls._member_map_.values()}.values())
    for each, (held, slots) in zip(members, states, strict=True):
        each.__dict__.update(held)
        for name, value in slots.items():
            object.__setattr__(each, name, value)
    for name, value in attributes.items():
        type.__setattr__(cls, name, value)
    cls._value2member_map_.update((value, members[number]) for value, number in values)
    for subclass in registered:
        cls.register(subclass)
    origin.finish(cls)
