"""
Make a class that has no attributes yet, without asking its author's hooks.

For: `enumeration`, and `arrival` where the hooks have refused. An `__init_subclass__`, or a
metaclass's `__new__`, may want keywords of the class statement, which a class does not keep, or
attributes, which are set later. What they did at home is in the attributes.
Not for: the ordinary class. Its hooks do run in the worker, so that a class which is defined after
its base has gone there is known to the base.
A changer must know: no hook is switched off, not even for a moment, for another thread may be in a
class statement of its own. The class gets a base in front of the others whose hook does nothing,
and loses it again.
"""

from __future__ import annotations

from abc import ABCMeta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

__all__ = ["make_quietly"]


def _do_nothing(cls: type, /, **keywords: object) -> None: ...


_HOOK: Any = classmethod(_do_nothing)
_HEAP_TYPE = 1 << 9


class _WithDict:
    __init_subclass__ = _HOOK


class _WithoutDict:
    __slots__ = ()
    __init_subclass__ = _HOOK


def make_quietly(
    kind: type[type], name: str, bases: tuple[Any, ...], namespace: Mapping[str, object]
) -> Any:
    """
    Make a class by the interpreter alone; takes what `arrival.make_class` takes.

    Raises:
        TypeError: If it cannot be made so: the metaclass is one in C, or the layout of a base is
            its own.
    """
    from types import BuiltinFunctionType, WrapperDescriptorType, resolve_bases

    metaclasses: Any = kind.__mro__
    for meta in metaclasses[: metaclasses.index(type)]:
        made_by, set_up_by = vars(meta).get("__new__"), vars(meta).get("__init__")
        if type(made_by) is BuiltinFunctionType or type(set_up_by) is WrapperDescriptorType:
            raise TypeError(f"{name} can only be made by {meta.__qualname__}, which is in C")
    resolved = resolve_bases(bases)
    namespace = dict(namespace)
    if resolved is not bases:
        namespace["__orig_bases__"] = bases
    cls = _made(kind, name, resolved, namespace)
    if issubclass(kind, ABCMeta):
        from _abc import _abc_init  # type: ignore[import-not-found]  # in C, without stubs

        # What abstract classes have beside their attributes.
        _abc_init(cls)
    return cls


def _made(
    kind: type[type], name: str, bases: tuple[type, ...], namespace: dict[str, object]
) -> type:
    ancestors = {ancestor for base in bases for ancestor in base.__mro__} - {object}
    if not any("__init_subclass__" in vars(ancestor) for ancestor in ancestors):
        return type.__new__(kind, name, bases, namespace)
    error = None
    for quiet in _quiet_bases(bases):
        try:
            cls: type = type.__new__(kind, name, (quiet, *bases), namespace)
            # A metaclass may have its own idea of what may be set.
            type.__setattr__(cls, "__bases__", bases)
            return cls
        except TypeError as refusal:
            error = refusal
    raise error or AssertionError("there are always two")


def _quiet_bases(bases: tuple[type, ...]) -> Iterator[type]:
    """
    Give what may stand in front of some bases.

    It can be taken away only if it adds to instances what the others add, at the same place.
    """
    yield _WithDict
    yield _WithoutDict
    for base in bases:
        for root in base.__mro__[1:-1]:
            # Such as `typing.Generic` or `abc.ABC`, from which a class without slots is derived.
            if not root.__dictoffset__ and root.__flags__ & _HEAP_TYPE:
                yield make_quietly(type(root), "Quiet", (root,), {"__init_subclass__": _HOOK})
