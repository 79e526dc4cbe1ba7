"""
Tell whether what a function reads looks as it did, without reading all of it.

For: `large`, whose functions take long to pack.
Not for: small functions, which are compared part by part (`snapshot`).
A changer must know: whether something large has changed in place cannot be told without reading all
of it, which is what is to be saved. So of what is large only a few places are looked at; what is
small is compared whole; and where a look would tell nothing, or where something large has code of
`__main__` in it that may change unseen, there is no look at all, and all is packed each time.
"""

from __future__ import annotations

import sys
from array import array
from collections import deque
from functools import partial
from itertools import islice
from operator import is_
from types import FunctionType

from webworker_executor.wire.departure import is_bulk
from webworker_executor.wire.snapshot import Snapshot
from webworker_executor.wire.version import weigh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["LARGE_VALUE_NBYTES", "Look"]

# A value that is smaller takes less than 0.2 ms to compare.
LARGE_VALUE_NBYTES = 1 << 16
# Into what has no more parts each is looked at by itself, as some may be large and others not.
_FEW = 64
# How many places of something large are looked at.
_N_SAMPLES = 64
_CONTAINERS = frozenset((list, dict, set))
# Have a place by a number, or by none.
_IN_ORDER = (list, tuple, bytearray, array)
_WITH_A_LENGTH = (dict, set, frozenset, deque)


class Look(Snapshot):
    """
    What a function consists of, and what is seen of values that may change in place.

    Attributes:
        is_of_use: Whether a change would be seen, but for one within something large.
    """

    __slots__ = ("_seen", "_within", "is_of_use")

    def __init__(self) -> None:
        super().__init__()
        self.is_of_use = True
        self._seen: list[Callable[[], bool]] = []
        # What was gone into, by address: it may hold itself.
        self._within: set[int] = set()

    def holds(self, value: Any) -> bool:
        """Add a value, whatever it is."""
        kind = type(value)
        if kind in _CONTAINERS and len(value) <= _FEW:
            self._add_parts(value, _items(value))
        elif not (kind is tuple or kind is frozenset) or len(value) <= _FEW:
            if not super().holds(value):
                self._add(value)
        else:
            # As a whole: each item by itself would take longer than to pack them.
            self._add_whole(value)
        return True

    def is_unchanged(self) -> bool:
        """Tell whether nothing is another object, nor looks another."""
        return super().is_unchanged() and all(is_the_same() for is_the_same in self._seen)

    def _add(self, value: Any) -> None:
        """Add what may change without a new identity."""
        if isinstance(value, FunctionType | type):
            # What it refers to was not all looked at.
            self.is_of_use = False
        elif _is_its_attributes(value):
            self.holds(type(value))
            self._add_parts(value, _items(vars(value)))
        else:
            self._add_whole(value)

    def _add_parts(self, value: Any, parts: tuple[object, ...]) -> None:
        if id(value) not in self._within:
            self._within.add(id(value))
            self._seen.append(partial(_has_these, value, parts))
            for part in parts:
                self.holds(part)

    def _add_whole(self, value: Any) -> None:
        if is_bulk(value) and getattr(value, "nbytes", 0) >= LARGE_VALUE_NBYTES:
            # Known without packing it.
            self._add_large(value)
            return
        code: list[Any] = []
        token, nbytes = weigh(value, code)
        for each in code:
            if not super().holds(each):
                self.is_of_use = False
        if nbytes < LARGE_VALUE_NBYTES:
            self._seen.append(partial(_weighs, value, token))
        else:
            self._add_large(value)

    def _add_large(self, value: Any) -> None:
        glance = _glance_for(value)
        if glance is None:
            self.is_of_use = False
        else:
            self._seen.append(partial(_is_seen, value, glance, glance(value)))


def _is_its_attributes(value: Any) -> bool:
    """Whether an object is made of its attributes, as those of most classes are."""
    kind: Any = type(value)
    return (
        hasattr(value, "__dict__")
        and kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and kind.__getstate__ is object.__getstate__
        and not isinstance(value, list | dict)
        # Nor of slots.
        and object.__getstate__(value) is vars(value)
        and len(vars(value)) <= _FEW
    )


def _items(value: Any) -> tuple[object, ...]:
    if isinstance(value, dict):
        return (*value.keys(), *value.values())
    return tuple(value)


def _has_these(value: Any, parts: tuple[object, ...]) -> bool:
    now = _items(value if type(value) in _CONTAINERS else vars(value))
    return len(now) == len(parts) and all(map(is_, now, parts))


def _weighs(value: object, token: object) -> bool:
    return weigh(value)[0] == token


def _is_seen(value: object, glance: Callable[[Any], object], seen: object) -> bool:
    return glance(value) == seen


def _glance_for(value: Any) -> Callable[[Any], object] | None:
    """Return what looks at a large value; None where that would tell nothing."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return None if value.dtype.hasobject else _glance_at_array
    if isinstance(value, _IN_ORDER):
        return _glance_at_order
    if isinstance(value, _WITH_A_LENGTH):
        return _glance_at_first
    if hasattr(type(value), "iloc"):
        return _glance_at_table
    return None


def _glance_at_array(value: Any) -> object:
    step = max(1, value.size // _N_SAMPLES)
    return value.shape, str(value.dtype), weigh(value.flat[::step])


def _glance_at_order(value: Any) -> object:
    step = max(1, len(value) // _N_SAMPLES)
    return len(value), _identities(value[::step])


def _glance_at_first(value: Any) -> object:
    found = islice(value.items() if isinstance(value, dict) else value, _N_SAMPLES)
    parts = [part for pair in found for part in pair] if isinstance(value, dict) else found
    return len(value), _identities(parts)


def _glance_at_table(value: Any) -> object:
    step = max(1, len(value) // _N_SAMPLES)
    return value.shape, weigh(value.iloc[::step])


def _identities(parts: Iterable[object]) -> object:
    return [part if isinstance(part, int | float) else id(part) for part in parts]
