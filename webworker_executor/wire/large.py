"""
Functions of the main module with large globals: packed once for each executor.

For: what ``submit`` would otherwise pack with every call, 0.3 s for an array of 100 MB.
Not for: functions whose globals are small, which go along as they are at each call; nor for
``map``, which packs its function once anyway (`fix`); nor for knowing what has changed (`look`).
A changer must know: what looks unchanged is what it was when it was packed, as for the workers of
the standard library, which never see a change.
"""

from __future__ import annotations

from webworker_executor.wire import codec
from webworker_executor.wire.definition import (
    LARGE_NBYTES,
    FixedDefinition,
    nbytes_of,
    suspects,
)
from webworker_executor.wire.forks import readers
from webworker_executor.wire.look import Look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from webworker_executor.wire.apart import Shelf
    from webworker_executor.wire.definition import Definition

__all__ = ["definition_of", "forget"]

# By name, and the forks that it was packed for, which inherit some of it; the function itself, too.
# A name has one: a cell of a notebook may be run again and again. There is no definition for what
# only looked large, because of its arguments, nor where there was no room, nor where a change could
# not be seen.
_known: dict[tuple[object, ...], tuple[object, Definition | None, Look]] = {}
_MOST = 64
# What all of them may have: half of what large buffers of all calls together have.
_MOST_NBYTES = 1 << 29


def definition_of(fn: Any, shelf: Shelf) -> Definition | None:
    """
    Give the definition of a large function.

    Args:
        fn: A function that goes by value, and a call of which was large.
        shelf: As for `pack`.

    Returns:
        The definition, the same one as long as the function looks unchanged; None if it is small
        after all, or there is no room.

    Raises:
        Exception: As `pack`.
    """
    name = fn.__code__ if fn.__name__ == "<lambda>" else fn.__qualname__
    key = fn.__module__, name, readers()
    known = _known.get(key)
    if known is not None and known[0] is fn and known[2].is_unchanged():
        return known[1]
    _known.pop(key, None)
    look = Look()
    look.holds(fn)
    definition = _defined(fn, shelf) if look.is_of_use else None
    look.was_packed()
    _make_room(0 if definition is None else nbytes_of(definition))
    # One that can be of no use is not looked at again.
    _known[key] = fn, definition, look if look.is_of_use else Look()
    return definition


def _defined(fn: Any, shelf: Shelf) -> Definition | None:
    packed = codec.pack_by_value(fn, shelf=shelf)
    has_no_room = packed.buffers and packed.buffers[0].__class__ is bytes
    if has_no_room or not LARGE_NBYTES <= nbytes_of(packed) <= _MOST_NBYTES:
        return None
    return FixedDefinition(fn, packed.payload, packed.buffers)


def _make_room(nbytes: int) -> None:
    """Let go of the oldest, for one that has so many bytes."""
    for key in tuple(_known):
        others = [each for _, each, _ in _known.values() if each is not None]
        if len(_known) < _MOST and sum(map(nbytes_of, others), nbytes) <= _MOST_NBYTES:
            return
        _known.pop(key, None)


def forget() -> None:
    """Have everything packed anew: there is a new executor, whose workers see what there is now."""
    _known.clear()
    suspects.clear()
