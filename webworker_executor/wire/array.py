"""
Arrays of numpy, laid out for the pickler.

For: `codec`, which packs every value. numpy's own reduction of an array is two functions by name
and a dtype that is built and then given its state; here it is one function, a text and the shape.
Of a round trip with an array of 64 KiB that is 60 us of 180 us, because each side does it with
cold caches. What arrives is the same. A changer must know: whatever is not plainly an array of
numbers, alone or among plain values, is left to numpy; two places in a value that refer to one
array must do so again in the copy.

An array that cannot be written to arrives as one that can, wherever it is in a value. That is how
the standard library's pool has it up to Python 3.13, by a pickle of protocol 4. In protocol 5 a
buffer keeps whether it is read-only, which a receiver who owns it has no use for.

Source: PEP 574; numpy, ``ndarray.__reduce_ex__``.
"""

from __future__ import annotations

import sys
from _pickle import PickleBuffer, Pickler
from copyreg import dispatch_table
from importlib import import_module
from io import BytesIO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any

__all__ = ["dumps_writable", "laid_out", "reducers"]

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
        return rebuilt, (_writable(PickleBuffer(data)), data.dtype.str, data.shape)


def rebuilt(buffer: Any, dtype: str, shape: tuple[int, ...]) -> Any:
    """Make an array over memory, which it keeps, and writable if that is."""
    numpy: Any = sys.modules.get("numpy") or import_module("numpy")
    return numpy.frombuffer(buffer, dtype).reshape(shape)


class _Memory:
    """
    The memory of an array, said to be writable.

    Nothing writes into it: a pickler copies it, and to copy it for that once more would take as
    long as all the rest.

    Args:
        data: An array of bytes, kept for as long as this is.

    Source: numpy, the array interface.
    """

    def __init__(self, data: Any) -> None:
        self._data = data
        described = data.__array_interface__
        self.__array_interface__ = {**described, "data": (described["data"][0], False)}


def _writable(buffer: PickleBuffer) -> PickleBuffer:
    """Give a buffer that is writable where it is unpickled, in either order of its elements."""
    # Not by the array's flag: of what `numpy.broadcast_arrays` gives, the two differ.
    if not memoryview(buffer).readonly:
        return buffer
    raw = buffer.raw()
    if not raw.nbytes:
        return PickleBuffer(bytearray())
    numpy: Any = sys.modules["numpy"]
    return PickleBuffer(numpy.asarray(_Memory(numpy.frombuffer(raw, "u1"))))


def _reduced(array: Any) -> Any:
    """Reduce an array as numpy does, but to one that can be written to."""
    fn, arguments, *rest = array.__reduce_ex__(5)
    if arguments and type(arguments[0]) is PickleBuffer:
        arguments = (_writable(arguments[0]), *arguments[1:])
    return (fn, arguments, *rest)


def reducers() -> dict[type, Callable[[Any], Any]]:
    """Return what reduces arrays, by exact type; nothing where a program has said what does."""
    ndarray = _ndarray()
    pickler = getattr(sys.modules.get("multiprocessing.reduction"), "ForkingPickler", None)
    is_told = ndarray is None or ndarray in getattr(pickler, "_extra_reducers", ())
    return {} if is_told else {ndarray: _reduced}


def dumps_writable(value: object, buffer_callback: Callable[[PickleBuffer], bool]) -> bytes:
    """
    Pickle a value in which there are arrays that cannot be written to.

    Args:
        value: Anything.
        buffer_callback: As for `pickle.dumps`.

    Raises:
        Exception: As `pickle.dumps`, of which this is the slower sister.
    """
    with BytesIO() as file:
        pickler = Pickler(file, 5, buffer_callback=buffer_callback)
        # Asked within C, where a `reducer_override` would be a call for each object.
        pickler.dispatch_table = {**dispatch_table, **reducers()}
        pickler.dump(value)
        return file.getvalue()


def _ndarray() -> Any:
    # A program that has no numpy, or is just importing it, has no array.
    ndarray = getattr(sys.modules.get("numpy"), "ndarray", None)
    return None if ndarray in dispatch_table else ndarray


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
    ndarray = _ndarray()
    if ndarray is None:
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
