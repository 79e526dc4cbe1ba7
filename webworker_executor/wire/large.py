"""
Functions of the main module with large globals: packed once for each executor.

For: what ``submit`` would otherwise pack with every call, 0.3 s for an array of 100 MB.
Not for: functions whose globals are small, which go along as they are at each call; nor for
``map``, which packs its function once anyway (`fix`).
A changer must know: whether a large value has changed in place cannot be told without reading all
of it, which is what is to be saved. So it counts as unchanged while it is the same object, of the
same length or shape, and an array while it has the same numbers at some places. Beyond that a large
global is what it is for the workers of the standard library, which never see a change: what there
was when the executor first needed it. Whatever is small is compared as ever.
"""

from __future__ import annotations

import sys

from webworker_executor.wire import by_name, codec
from webworker_executor.wire.definition import FixedDefinition, is_large, suspects
from webworker_executor.wire.departure import is_bulk
from webworker_executor.wire.forks import is_packing_for_forks
from webworker_executor.wire.snapshot import Snapshot
from webworker_executor.wire.version import weigh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from webworker_executor.wire.apart import Shelf
    from webworker_executor.wire.definition import Definition

__all__ = ["definition_of", "forget"]

# A value that is smaller takes less than 0.2 ms to compare.
LARGE_VALUE_NBYTES = 1 << 16
# How many numbers of an array are looked at.
_N_SAMPLES = 64
# By name, and whether it was packed for forks, which inherit some of it; the function itself, too.
# A name has one: a cell of a notebook may be run again and again. There is no definition for what
# only looked large, because of its arguments.
_known: dict[tuple[object, ...], tuple[object, Definition | None, Look]] = {}
_MOST = 64


class Look(Snapshot):
    """What a function consists of, and what is seen of values that may change in place."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[tuple[Callable[[object], object], object, object]] = []

    def holds(self, value: Any) -> bool:
        """Add a value, whatever it is."""
        if not super().holds(value):
            # Of an array it is known without packing it.
            nbytes = getattr(value, "nbytes", 0) if is_bulk(value) else 0
            weight = weigh(value) if nbytes < LARGE_VALUE_NBYTES else (None, nbytes)
            if weight[1] < LARGE_VALUE_NBYTES:
                self._seen.append((weigh, value, weight))
            else:
                self._seen.append((_glance, value, _glance(value)))
        return True

    def is_unchanged(self) -> bool:
        """Tell whether nothing is another object, nor looks another."""
        return super().is_unchanged() and all(
            look(value) == seen for look, value, seen in self._seen
        )


def _glance(value: Any) -> object:
    kind = type(value)
    if kind in {list, dict, set, bytearray}:
        return len(value)
    numpy: Any = sys.modules.get("numpy")
    if kind is getattr(numpy, "ndarray", None):
        step = max(1, value.size // _N_SAMPLES)
        return value.shape, value.flat[::step].tobytes()
    try:
        # Of tables and the like.
        return tuple(value.shape)
    except Exception:
        return None


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
    key = fn.__module__, name, is_packing_for_forks()
    known = _known.get(key)
    if known is not None and known[0] is fn and known[2].is_unchanged():
        return known[1]
    _known.pop(key, None)
    if not _may_be_defined(fn):
        return None
    look = Look()
    look.holds(fn)
    packed = codec.pack_by_value(fn, shelf=shelf)
    definition = None
    if is_large(packed):
        if packed.buffers and packed.buffers[0].__class__ is bytes:
            return None
        definition = FixedDefinition(fn, packed.payload, packed.buffers)
    if len(_known) >= _MOST:
        _known.pop(next(iter(_known)), None)
    _known[key] = fn, definition, look
    return definition


def _may_be_defined(fn: Any) -> bool:
    return by_name.is_module_level(fn) and not by_name.is_being_imported(fn.__module__)


def forget() -> None:
    """Have everything packed anew: there is a new executor, whose workers see what there is now."""
    _known.clear()
    suspects.clear()
