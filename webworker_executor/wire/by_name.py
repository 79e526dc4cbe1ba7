"""
Tell what the other process can have by name.

For: `definition` and `by_value`, which must not send by value what a worker can import, nor make it
import what it must not.
Not for: anything that pickles.
A changer must know: workers import this module at their start, and the plain pickler decides for
itself: what it sends by name in the arguments of a call is not asked about here.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = [
    "MAIN",
    "goes_by_name",
    "is_being_imported",
    "is_module_level",
    "is_named",
    "must_go_by_value",
    "must_not_import",
]

MAIN = ("__main__", "__mp_main__")
"""The module that only this process has, and what a child of multiprocessing calls its parent's."""

_BUILTIN = type(len)
_MODULE = type(sys)


def is_being_imported(module_name: str | None) -> bool:
    """
    Tell whether a module, or a package around it, has begun to be imported and not finished.

    What stands in such a module must not go by name: the other process would import it and run the
    very statement that is submitting.

    Args:
        module_name: The value of some object's `__module__`.

    Returns:
        Whether one of these modules is initializing in this process.
    """
    while module_name and type(module_name) is str:
        spec = getattr(sys.modules.get(module_name), "__spec__", None)
        if getattr(spec, "_initializing", False):
            return True
        module_name = module_name.rpartition(".")[0]
    return False


def must_not_import(module_name: str | None) -> bool:
    """
    Tell whether the other process must not import a module, though it could.

    Args:
        module_name: The value of some object's `__module__`.

    Returns:
        Whether it is still being imported here, or the user asked cloudpickle to send it by value.

    Source: `cloudpickle.register_pickle_by_value`.
    """
    cloudpickle = sys.modules.get("cloudpickle.cloudpickle")
    asked: Iterable[str] = getattr(cloudpickle, "_PICKLE_BY_VALUE_MODULES", ())
    for name in asked:
        if f"{module_name}.".startswith(f"{name}."):
            return True
    return is_being_imported(module_name)


def is_module_level(obj: Any) -> bool:
    """
    Tell whether a function or class is what its module has under its name.

    Args:
        obj: A function or class.

    Returns:
        Whether the module holds it. A lambda's name tells nothing, so for a lambda all the module's
        globals are tried.
    """
    if obj.__qualname__ == "<lambda>":
        return any(value is obj for value in list(obj.__globals__.values()))
    found: object = sys.modules.get(obj.__module__)
    for name in obj.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is obj


def is_named(kind: type) -> bool:
    """
    Tell whether objects of a type may pickle as the name of a global, as a `typing.NewType` does.

    Args:
        kind: The exact type of some object.

    Source: `object.__reduce__`, which may return a string.
    """
    return "__reduce__" in kind.__dict__ or kind.__module__ == "typing"


def goes_by_name(fn: Any) -> bool:
    """
    Tell whether a function, builtin or class can be imported by the other process.

    Args:
        fn: A function, builtin or class.

    Returns:
        Whether its module has it, and is a module that can be imported, and is not `__main__`.
    """
    module_name = fn.__module__
    if not module_name or module_name in MAIN or fn.__qualname__ == "<lambda>":
        return False
    if type(fn) is _BUILTIN and type(getattr(fn, "__self__", None)) is not _MODULE:
        # A method bound to an object, and so to a state.
        return False
    return is_module_level(fn) and not must_not_import(module_name)


def must_go_by_value(fn: Any) -> bool:
    """
    Tell whether a callable must not go by name even though the plain pickler could send its name.

    Args:
        fn: Any callable, also one whose attributes raise.

    Returns:
        Whether it, or the function that it wraps, stands in a module that is still being imported.
    """
    try:
        for _ in range(8):
            inner = getattr(fn, "func", None) or getattr(fn, "__func__", None)
            if inner is None:
                break
            fn = inner
        module_name = getattr(fn, "__module__", None)
        return must_not_import(module_name)
    except Exception:
        return False
