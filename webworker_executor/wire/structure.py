"""
Say what the types of `ctypes` that a program makes are made of.

For: structures, unions, arrays and pointers of `__main__` on their way to a worker.
Not for: their instances, which ctypes pickles itself, as bytes.
A changer must know: nothing here may import ctypes, which few programs use. Where a class is one of
its, it is there.
"""

from __future__ import annotations

import operator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["derived_from", "in_order"]


def derived_from(cls: Any) -> tuple[Any, tuple[Any, ...]] | None:
    """
    Give the call that gives an array or pointer type, of which there is one per process.

    Returns:
        The function and its arguments; None for a class with a statement of its own.
    """
    if "_ctypes" not in (type(cls).__module__, cls.__module__):
        return None
    import ctypes as public

    # Some of it has no public name.
    ctypes: Any = public
    for kind in (ctypes.Structure, ctypes.Union, ctypes._SimpleCData, ctypes._CFuncPtr):
        if cls is type(kind):
            # The metaclasses have no name in their module.
            return type, (kind,)
    if ctypes._SimpleCData in cls.__bases__:
        # What a structure of the other byte order makes its fields of.
        name, _, order = cls.__name__.rpartition("_")
        plain = getattr(ctypes, name, None)
        if getattr(plain, f"__ctype_{order}__", None) is cls:
            return getattr, (plain, f"__ctype_{order}__")
    if ctypes._Pointer in cls.__bases__ and ctypes.POINTER(getattr(cls, "_type_", None)) is cls:
        return ctypes.POINTER, (cls._type_,)
    if ctypes.Array in cls.__bases__ and cls._type_ * cls._length_ is cls:
        return operator.mul, (cls._type_, cls._length_)
    return None


def in_order(attributes: dict[str, Any]) -> None:
    """
    Have the fields of a structure set after all that decides where they lie.

    Args:
        attributes: What is set on a class, in this order. The descriptors of the fields are left
            out, for the fields bring them.
    """
    fields = attributes.pop("_fields_", None)
    if fields is None:
        return
    for name, value in list(attributes.items()):
        kind = type(value)
        if (kind.__module__, kind.__name__) == ("_ctypes", "CField"):
            del attributes[name]
    attributes["_fields_"] = fields
