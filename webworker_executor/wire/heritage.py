"""
Look for what forked workers inherit from the main module: shared memory, classes, globals.

For: the launcher that forks, before it does, so that program and worker call these things by the
same numbers (`forks`).
Not for: what other modules hold, which a worker finds there by name; nor for all that there is. A
program may hold millions of objects, and a fork takes milliseconds; of what is not found, workers
get copies.
A changer must know: this runs on a thread of the library's own, while the program goes on. So
nothing here may call code of a user, and whatever is looked at may change meanwhile.
"""

from __future__ import annotations

import sys
from _weakref import ref
from gc import get_referents
from itertools import islice
from types import FunctionType, ModuleType

from webworker_executor.wire.by_name import MAIN
from webworker_executor.wire.forks import Forks, forget_the_dead, number
from webworker_executor.wire.mapped import owner_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["note"]

# So many values are looked into, beyond the globals themselves, and so many of each: 1 ms.
_MOST = 2000
_MOST_OF_EACH = 100
_ATOMS = frozenset((int, float, complex, str, bytes, bytearray, bool, type(None), ModuleType, ref))
_module_of: Any = type.__dict__["__module__"]


def note(forks: Forks) -> None:
    """
    Number what the main module holds, and note that workers which are forked from now on have it.

    Args:
        forks: The workers; of them the first is about to be forked.
    """
    try:
        _number_all()
    except Exception:
        # Copies will do, and a worker has to start.
        pass
    forks.begin()


def _number_all() -> None:
    forget_the_dead()
    variables = getattr(sys.modules.get("__main__"), "__dict__", {})
    found = list(variables.values())
    seen = {id(variables), *map(id, found)}
    for value in found:
        if type(value) not in _ATOMS and not issubclass(type(value), FunctionType | type):
            _number_if_possible(value)
    n_left = _MOST
    # It grows meanwhile.
    for value in found:
        kind = type(value)
        if kind in _ATOMS:
            continue
        owner = owner_of(value)
        is_class = issubclass(kind, type)
        if owner is not None or (is_class and _is_of_main(value)):
            number(value if owner is None else owner)
        if owner is not None or (is_class and not _is_of_main(value)) or n_left <= 0:
            continue
        inside = [each for each in _inside(value, kind) if id(each) not in seen]
        n_left -= len(inside)
        seen.update(map(id, inside))
        found += inside


def _number_if_possible(value: object) -> None:
    try:
        number(value)
    except TypeError:
        # Nothing can refer to it weakly.
        return


def _is_of_main(cls: type) -> bool:
    return _module_of.__get__(cls) in MAIN


def _inside(value: Any, kind: type) -> list[Any]:
    if kind is FunctionType:
        # Not its globals, which are those of a whole module.
        cells = value.__closure__ or ()
        return [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *cells]
    try:
        if issubclass(kind, dict):
            return list(islice(dict.values(value), _MOST_OF_EACH))
        if issubclass(kind, list | tuple | set | frozenset):
            return list(islice(_iterator(value, kind), _MOST_OF_EACH))
        return get_referents(value)[:_MOST_OF_EACH]
    except RuntimeError:
        # It has just been changed.
        return []


def _iterator(value: Any, kind: type) -> Any:
    for base in (list, tuple, set, frozenset):
        if issubclass(kind, base):
            return base.__iter__(value)
    return iter(())
