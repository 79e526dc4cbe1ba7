"""
Classes and globals that cannot be taken apart, such as what holds weak references.

For: forked workers, who have such a thing since their fork, if it was there then. They, and their
host, are told which it is, and everything else goes by value as ever.
Not for: what came after the fork; that is an error, in the words of whoever packs it.
A changer must know: of such a class the worker has what it was at the fork, with the globals that
its methods read, so nothing may count as one that can be packed.
"""

from __future__ import annotations

from types import FunctionType, ModuleType
from weakref import WeakSet

from webworker_executor.wire import codec, forks
from webworker_executor.wire.struck import is_a_handlers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["as_inherited", "find", "find_values"]

_found: WeakSet[type] = WeakSet()


def as_inherited(cls: type, *, to_host: bool) -> tuple[Any, ...] | None:
    """
    Reduce a class that cannot be taken apart to its number.

    Args:
        cls: Any class.
        to_host: As for `codec.pack`.

    Returns:
        None for one that may well be taken apart, or that the reader has not got so.
    """
    if cls not in _found:
        return None
    ident = _ident(cls, to_host=to_host)
    return None if ident is None else (forks.inherited, (ident,))


def _ident(cls: type, *, to_host: bool) -> int | None:
    if forks.is_packing_for_forks():
        return forks.inherited_ident(cls)
    return forks.ident_in_host(cls) if to_host and codec.is_fork else None


def find(
    classes: Iterable[type], pack: Callable[[type, frozenset[type]], object], *, to_host: bool
) -> bool:
    """
    Look for those of some classes that cannot be taken apart, where something did not pickle.

    Args:
        classes: Those that were packed by value until then.
        pack: Packs a class, as if some others could not be.
        to_host: As for `codec.pack`.

    Returns:
        Whether there were any, so that it is worth another attempt.
    """
    inherited = [
        cls
        for cls in dict.fromkeys(classes)
        if cls not in _found and _ident(cls, to_host=to_host) is not None
    ]
    found = [cls for cls in inherited if not _packs(cls, inherited, pack)]
    _found.update(found)
    return bool(found)


def find_values(values: Iterable[object], pack: Callable[[Any, frozenset[type]], object]) -> bool:
    """
    Look for globals that cannot be taken apart, and note them for the packing that is going on.

    Only for that: what they hold may be another thing by the next.

    Args:
        values: Those of the functions that were packed by value until then.
        pack: As for `find`.

    Returns:
        As `find`.
    """
    if not forks.is_packing_for_forks():
        return False
    known, n_before = forks.noted(), len(forks.noted())
    for value in values:
        if id(value) not in known and not isinstance(value, FunctionType | type | ModuleType):
            ident = _ident_of(value)
            if ident is not None and not _packs(value, [], pack):
                known[id(value)] = value, _Inherited(ident)
    return len(known) > n_before


def _ident_of(value: object) -> int | None:
    try:
        return forks.inherited_ident(value)
    except TypeError:
        # Nothing refers to it weakly: a list, a number.
        return None


class _Inherited:
    def __init__(self, ident: int) -> None:
        self._ident = ident

    def __reduce__(self) -> tuple[Any, ...]:
        return forks.inherited, (self._ident,)


def _packs(
    thing: Any, inherited: list[type], pack: Callable[[Any, frozenset[type]], object]
) -> bool:
    try:
        # What others cannot is no fault of this one.
        pack(thing, frozenset(inherited) - {thing} if inherited else frozenset())
    except Exception as error:
        if is_a_handlers(error):
            raise
        return False
    return True
