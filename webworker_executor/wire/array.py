"""
Arrays of numpy, laid out for the pickler.

For: `codec`, which packs every value. numpy's own reduction of an array is two functions by name
and a dtype that is built and then given its state; here it is one function, a text and the shape.
Of a round trip with an array of 64 KiB that is 60 us of 180 us, because each side does it with
cold caches. What arrives is the same. A changer must know: whatever is not plainly an array of
numbers, alone or among plain values, is left to numpy; two places in a value that refer to one
array must do so again in the copy.

Source: PEP 574; numpy, ``ndarray.__reduce_ex__``.
"""

from __future__ import annotations

import sys
from _pickle import PickleBuffer
from copyreg import dispatch_table
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

__all__ = ["laid_out"]

# Of dtypes that are whole when they are told as a text.
_KINDS_OF_NUMBERS = frozenset("biufc")


class Array:
    """
    An array that is packed as its memory, the text of its dtype, and its shape.

    Args:
        data: The array.
    """

    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, tuple[PickleBuffer, str, tuple[int, ...]]]:
        data = self.data
        return rebuilt, (PickleBuffer(data), data.dtype.str, data.shape)


def rebuilt(buffer: Any, dtype: str, shape: tuple[int, ...]) -> Any:
    """Make an array over memory, which it keeps, and writable if that is."""
    numpy: Any = sys.modules.get("numpy") or import_module("numpy")
    return numpy.frombuffer(buffer, dtype).reshape(shape)


def laid_out(value: object, plain: Collection[type]) -> object | None:
    """
    Lay out arrays for the pickler.

    Args:
        value: What is to be packed.
        plain: The types of values that may stand beside arrays, and hold nothing.

    Returns:
        What unpickles as an equal of the value, and names nothing but what is here; ``None`` if it
        is neither an array of numbers nor a tuple of such and plain values.
    """
    # A program that has no numpy, or is just importing it, has no array.
    ndarray = getattr(sys.modules.get("numpy"), "ndarray", None)
    if ndarray is None or ndarray in dispatch_table:
        return None
    if type(value) is ndarray:
        return Array(value) if _is_of_numbers(value) else None
    if type(value) is not tuple:
        return None
    arrays: dict[int, Array] = {}
    for item in value:
        kind = type(item)
        if kind is ndarray and _is_of_numbers(item):
            arrays[id(item)] = arrays.get(id(item)) or Array(item)
        elif kind not in plain:
            return None
    return tuple([arrays.get(id(item), item) for item in value])


def _is_of_numbers(array: Any) -> bool:
    dtype = array.dtype
    return (
        dtype.kind in _KINDS_OF_NUMBERS
        and dtype.isbuiltin == 1
        and not dtype.metadata
        and array.flags.c_contiguous
    )
