"""
The parts of a function of `__main__` that can change: defaults, attributes, what is in its closure.

For: letting them last in a worker as they would in a module that it had imported. What a task or an
initializer has put there stays until the sender puts something else there itself; and what is a
global variable as well is the same object under both names.
Not for: the globals (`origin.changed`), nor for functions that are made anew at each arrival,
nested ones for instance: they come with all their parts.
A changer must know: a key names a part in both processes. A worker imports this module with
`arrival`, so it imports the least.
"""

from __future__ import annotations

import weakref

from webworker_executor.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FunctionType
    from typing import Any

    # The slot, and the place or name in it.
    Key = tuple[str, int | str]

ATTRIBUTE, DEFAULT, KEYWORD_DEFAULT, CELL = "a", "d", "k", "c"

# By function, what told the content of each part when it was last sent.
_seen: weakref.WeakKeyDictionary[FunctionType, dict[Key, object]] = weakref.WeakKeyDictionary()


def parts_of(fn: FunctionType) -> dict[Key, Any]:
    """
    Return the parts of a function, but for cells that are empty.
    """
    parts: dict[Key, Any] = {(ATTRIBUTE, name): value for name, value in fn.__dict__.items()}
    parts.update({(DEFAULT, place): value for place, value in enumerate(fn.__defaults__ or ())})
    named = fn.__kwdefaults__ or {}
    parts.update({(KEYWORD_DEFAULT, name): value for name, value in named.items()})
    for place, cell in enumerate(fn.__closure__ or ()):
        try:
            parts[CELL, place] = cell.cell_contents
        except ValueError:
            continue
    return parts


def set_parts(fn: FunctionType, arrived: dict[Key, Any], versions: dict[Key, object]) -> None:
    """
    Set those parts of a function that the sender has changed since it last sent them.

    Args:
        fn: The function, just made or known from before.
        arrived: Its parts as they are there.
        versions: For each of these, what tells its content; None if nothing does.
    """
    here = parts_of(fn)
    parts = {
        key: here[key] if key in here and _stays(fn, key, here[key], versions.get(key)) else value
        for key, value in arrived.items()
    }
    _seen.setdefault(fn, {}).update(versions)
    slots: dict[str, dict[Any, Any]] = {ATTRIBUTE: {}, DEFAULT: {}, KEYWORD_DEFAULT: {}, CELL: {}}
    for (slot, place), value in parts.items():
        slots[slot][place] = value
    fn.__dict__.update(slots[ATTRIBUTE])
    fn.__defaults__ = tuple(slots[DEFAULT].values()) or None
    fn.__kwdefaults__ = slots[KEYWORD_DEFAULT] or None
    for place, value in slots[CELL].items():
        fn.__closure__[place].cell_contents = value  # type: ignore[index]  # it has one


def _stays(fn: FunctionType, key: Key, value: object, token: object) -> bool:
    """Tell whether what a part is here counts, and not what has arrived for it."""
    if token is None:
        return False
    seen = _seen.get(fn)
    if seen is not None and key in seen:
        return seen[key] == token
    if not codec.is_fork or codec.at_fork.get(fn.__qualname__) is not fn:
        return False
    from webworker_executor.wire.stand_in import VERSION
    from webworker_executor.wire.version import version

    # Inherited: what the host still has, or what an initializer may have made of it.
    return codec.is_initialized or token in {version(value), VERSION}
