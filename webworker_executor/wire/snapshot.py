"""
Tell whether a function or class still is what it was when it was packed.

For: sending a function or class of `__main__` once, as long as nothing that it was packed with has
changed.
Not for: comparing values. Everything is compared by identity, and what can change without a new
identity is refused.
A changer must know: a wrong "unchanged" runs old code in a worker, in silence; a wrong "changed"
costs some microseconds. When in doubt, refuse.
"""

from __future__ import annotations

import sys
from _contextvars import ContextVar
from _operator import is_
from types import BuiltinFunctionType, FunctionType, ModuleType

from webworker_executor.wire import origin, sent
from webworker_executor.wire.by_name import MAIN, goes_by_name
from webworker_executor.wire.departure import global_names
from webworker_executor.wire.stand_in import stand_in_for
from webworker_executor.wire.struck import is_a_handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CellType, CodeType
    from typing import Any

    _Parts = tuple[
        FunctionType,
        CodeType,
        tuple[object, ...] | None,
        dict[str, object] | None,
        dict[str, object],
    ]

__all__ = ["Snapshot", "take"]

_ABSENT = object()
_ATOMS = frozenset(
    (int, str, bytes, float, bool, complex, type(None), type(...), type(NotImplemented), ContextVar)
)


class Snapshot:
    """
    What a function or class, and everything of `__main__` that it refers to, consisted of.
    """

    __slots__ = ("_cells", "_classes", "_functions", "_globals", "_places", "_time")

    def __init__(self) -> None:
        self._functions: list[_Parts] = []
        self._globals: list[tuple[dict[str, object], str, object]] = []
        self._cells: list[tuple[CellType, object]] = []
        self._classes: list[tuple[Any, dict[str, object]]] = []
        # Where the globals stand in the worker, and when they were sent.
        self._places: list[tuple[str, str]] = []
        self._time = 0

    def was_packed(self) -> None:
        """Note that the object has just been packed, and its globals with it."""
        spaces = [(origin.namespace_of(variables), name) for variables, name, _ in self._globals]
        self._places = [(namespace, name) for namespace, name in spaces if namespace is not None]
        self._time = sent.latest()

    def is_unchanged(self) -> bool:
        """
        Tell whether packing the object now would give the same meaning as then.

        Returns:
            True only if every part is the identical object, and no worker was told meanwhile that
            a global is another.
        """
        for fn, code, defaults, keyword_defaults, attributes in self._functions:
            if (
                fn.__code__ is not code
                or fn.__defaults__ is not defaults
                or (
                    fn.__kwdefaults__ is not keyword_defaults
                    and not _is_same(fn.__kwdefaults__ or {}, keyword_defaults or {})
                )
                or not _is_same(fn.__dict__, attributes)
            ):
                return False
        for variables, name, value in self._globals:
            if variables.get(name, _ABSENT) is not value:
                return False
        for cell, value in self._cells:
            if _contents(cell) is not value:
                return False
        if not all(_is_same(cls.__dict__, attributes) for cls, attributes in self._classes):
            return False
        time = sent.latest()
        if time != self._time:
            if sent.is_older(self._time, self._places):
                return False
            self._time = time
        return True

    def holds(self, value: Any) -> bool:
        """
        Add a value, and tell whether it cannot change unseen.

        Args:
            value: Whatever a function or class refers to.

        Returns:
            False if it can change without a new identity; the snapshot is of no use then.
        """
        kind = type(value)
        if kind in _ATOMS:
            return True
        if kind is tuple or kind is frozenset:
            return all(map(self.holds, value))
        if kind is ModuleType:
            return value.__name__ not in MAIN and sys.modules.get(value.__name__) is value
        if kind is FunctionType:
            return goes_by_name(value) or self._add_function(value)
        if kind is BuiltinFunctionType:
            return goes_by_name(value) or (
                isinstance(value.__self__, type) and goes_by_name(value.__self__)
            )
        if issubclass(kind, type):
            return goes_by_name(value) or self._add_class(value)
        # Of a lock and the like each process has its own, whatever becomes of this one.
        if stand_in_for(value) is not None:
            return True
        # An object that says by a string of what name it is, such as `scope`, is looked up anew.
        # To ask an array would be to copy it.
        if "__reduce__" not in kind.__dict__ or hasattr(kind, "__array__"):
            return False
        try:
            return isinstance(value.__reduce__(), str)
        except Exception as error:
            if is_a_handlers(error):
                raise
            # It will not be packed.
            return False

    def _add_function(self, fn: FunctionType) -> bool:
        if any(fn is known for known, *_ in self._functions):
            return True
        keyword_defaults = None if fn.__kwdefaults__ is None else dict(fn.__kwdefaults__)
        attributes = dict(fn.__dict__)
        self._functions.append((fn, fn.__code__, fn.__defaults__, keyword_defaults, attributes))
        values = (
            *(fn.__defaults__ or ()),
            *(keyword_defaults or {}).values(),
            *attributes.values(),
        )
        return all(map(self.holds, values)) and self._add_cells(fn) and self._add_globals(fn)

    def _add_cells(self, fn: FunctionType) -> bool:
        for cell in fn.__closure__ or ():
            value = _contents(cell)
            if value is _ABSENT or not self.holds(value):
                return False
            self._cells.append((cell, value))
        return True

    def _add_globals(self, fn: FunctionType) -> bool:
        variables = fn.__globals__
        if variables.get("__name__") in sys.stdlib_module_names:
            # A method that the library made, for a named tuple say; its module does not change.
            return True
        for name in global_names(fn.__code__):
            value = variables.get(name, _ABSENT)
            if value is not _ABSENT and not self.holds(value):
                return False
            self._globals.append((variables, name, value))
        return True

    def _add_class(self, cls: type) -> bool:
        if any(cls is known for known, _ in self._classes):
            return True
        # Here, because it imports dataclasses, and a function need not refer to a class.
        from webworker_executor.wire.machinery import attributes_of, members_of

        members = members_of(cls)
        # What stands in slots is not compared. Asked first, for the class notes the answer.
        has_slots = any(isinstance(object.__getstate__(each), tuple) for each in members)
        # The members are of the class, and may be given attributes like it.
        self._classes.extend((each, dict(each.__dict__)) for each in (cls, *members))
        return (
            not has_slots
            and goes_by_name(type(cls))
            and all(map(self.holds, cls.__bases__))
            and all(map(self.holds, attributes_of(cls)))
        )


def _is_same(now: Mapping[str, object], before: dict[str, object]) -> bool:
    # Not by `==`, for which 1 and True are the same; and in C, so no user's __eq__ is asked. Most
    # functions have no attributes.
    if len(now) != len(before):
        return False
    return not before or all(map(is_, map(now.get, before), before.values()))


def _contents(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return _ABSENT


def take(obj: FunctionType | type) -> Snapshot | None:
    """
    Take a snapshot of a function or class.

    Args:
        obj: What goes by value.

    Returns:
        The snapshot, or None if it refers to something that may change unseen: a list, an instance.
    """
    snapshot = Snapshot()
    return snapshot if snapshot.holds(obj) else None
