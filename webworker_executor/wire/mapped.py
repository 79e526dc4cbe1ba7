"""
Values whose memory is not their own: views of a shared mapping, and parts of a mapped file.

For: global variables of these kinds, and what a class or function has of them. A copy would be
wrong: what a task writes into it, which is what it is there for, would be seen by nobody.
Not for: arguments and results, copies as in the standard library; nor for arrays that have their
memory to themselves.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["is_mapped", "open_again", "reopening"]

# How a file is opened again. A private mapping, `c`, has what its owner alone has written.
_MODES = {"r": "r", "r+": "r+", "w+": "r+"}


def is_mapped(value: object) -> bool:
    """
    Tell whether a value is a view of memory that a forked process may share.

    Args:
        value: Anything; arrays of numpy and memoryviews are looked at.
    """
    kind = type(value)
    if kind is memoryview:
        return True
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or not hasattr(kind, "__array_interface__"):
        return False
    if not isinstance(value, numpy.ndarray):
        return False
    owner: Any = _root(value, numpy).base
    kind = type(owner)
    # What `ctypes` makes, as `multiprocessing.RawArray` is, can be told by its metaclass.
    return kind is memoryview or kind.__name__ == "mmap" or type(kind).__module__ == "_ctypes"


def _root(array: Any, numpy: Any) -> Any:
    while isinstance(array.base, numpy.ndarray):
        array = array.base
    return array


class _Reopening:
    def __init__(self, *place: object) -> None:
        self._place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return open_again, self._place


def reopening(value: object) -> object | None:
    """
    Return what packs to the same part of the same file, mapped again by the reader.

    Args:
        value: Anything.

    Returns:
        None for what is no ``numpy.memmap`` of a file that is there, or a private one, or a part
        with gaps.

    Source: numpy, ``memmap``, which pickles to a copy.
    """
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.memmap):
        return None
    array: Any = value
    mode, name = _MODES.get(array.mode), array.filename
    order = "C" if array.flags.c_contiguous else "F" if array.flags.f_contiguous else None
    if mode is None or name is None or order is None or not array.size or not is_mapped(array):
        return None
    try:
        with open(name, "rb"):
            pass
    except OSError:
        return None
    # A part of it has the offset of the whole.
    root = _root(array, numpy)
    offset = root.offset + array.ctypes.data - root.ctypes.data
    return _Reopening(str(name), array.dtype, mode, int(offset), array.shape, order)


def open_again(
    name: str, dtype: Any, mode: str, offset: int, shape: tuple[int, ...], order: str
) -> Any:
    """
    Map a part of a file.

    Raises:
        OSError: The file is not there any more.
        ValueError: It is shorter by now.
    """
    import numpy

    memmap: Any = numpy.memmap
    return memmap(name, dtype, mode, offset, shape, order)
